//! A Kafka client in pure Rust: producer, consumer groups, admin.

pub mod admin;
pub mod config;
pub mod consumer;
mod driver;
pub mod error;
mod net;
mod observe;
pub mod producer;

pub use admin::{
    Admin, AdminBuilder, AdminError, AdminErrors, BatchError, ConfigChange, ConfigResource, NewTopic,
    OffsetSpec,
};
pub use config::{ConfigError, Properties};
pub use consumer::{
    Assignment, Assignor, AssignorError, Batch, ClusterView, CommitError, Consumer, ConsumerBuilder,
    ConsumerError, ConsumerEvent, ConsumerHandle, ConsumerRecord, FetchError, GroupAssignment,
    GroupAssignor, GroupSubscription, IsolationLevel, OffsetReset, RebalanceProtocol, RecordCursor,
    RecordView, ResetCause, Revoking, Subscription,
};
pub use driver::IoThread;
pub use error::{BlockingCallError, BuildError, ClientClosed};
pub use millstream_protocol::{ErrorClass, ErrorCode};
pub use millstream_types::Record;
pub use producer::{
    Acks, Compression, Delivery, DeliveryError, EnqueueError, FlushReport, Producer, ProducerBuilder,
    Receipt, SendError,
};
