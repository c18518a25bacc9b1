//! A Kafka client in pure Rust: producer, consumer groups, admin.
//!
//! ```no_run
//! use millstream_client::{Admin, Consumer, NewTopic, Producer, Record};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let admin = Admin::connect(["localhost:9092"]).await?;
//! admin.create_topics([NewTopic::new("orders", 6)]).await?;
//!
//! let producer = Producer::builder(["localhost:9092"]).build().await?;
//! let delivery = producer.enqueue(&Record::to("orders").key("42").value("paid")).await?;
//! delivery.await?; // written, by all in-sync replicas
//!
//! let consumer = Consumer::builder(["localhost:9092"]).group("billing").build().await?;
//! consumer.subscribe(["orders"]).await?;
//! while let Some(batch) = consumer.poll().await? {
//!     for record in &batch {
//!         println!("{:?} at {}", record.key(), record.offset());
//!     }
//!     consumer.commit(&batch).await?; // exactly what was handled
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Each client has a driver, a future that moves its bytes on an [`IoThread`]: one of its own, or
//! one that several share. Futures of this crate can be awaited on any runtime. Dropping one never
//! loses what was accepted; what it leaves is said in its `# Cancel safety`.
//!
//! Errors say by `class()` what can be done about them, and in words what happened, to which topic,
//! partition or broker.
//!
//! The decisions are made in `millstream-client-core`, which does no I/O. Not here: TLS and SASL,
//! KIP-848 and share groups.

pub mod admin;
pub mod config;
pub mod consumer;
mod driver;
pub mod error;
pub mod metrics;
mod net;
mod observe;
pub mod producer;
pub mod transaction;

pub use admin::{
    Admin, AdminBuilder, AdminError, AdminErrors, BatchError, ConfigChange, ConfigResource,
    NewTopic, OffsetSpec,
};
pub use config::{ConfigError, Properties};
pub use consumer::{
    Assignment, Assignor, AssignorError, Batch, ClusterView, CommitError, Consumer,
    ConsumerBuilder, ConsumerError, ConsumerEvent, ConsumerHandle, ConsumerRecord, FetchError,
    GroupAssignment, GroupAssignor, GroupMetadata, GroupSubscription, IsolationLevel, OffsetReset,
    RebalanceProtocol, RecordCursor, RecordView, ResetCause, Revoking, Subscription,
};
pub use driver::IoThread;
pub use error::{BuildError, ClientClosed};
pub use millstream_protocol::{ErrorClass, ErrorCode};
pub use millstream_types::Record;
pub use producer::{
    Acks, Compression, Delivery, DeliveryError, DeliveryStatus, EnqueueError, FlushReport,
    Partitioner, Producer, ProducerBuilder, ProducerInterceptor, Receipt, SendError, TopicProducer,
};

pub use transaction::{
    CommitTransactionError, OpenTransaction, Transaction, TransactionError, TransactionOutcome,
    TransactionalProducer, TransactionalProducerBuilder, UnknownCommit,
};

/// The program of the page on configuration compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/configuration.md")]
struct Configuration;
