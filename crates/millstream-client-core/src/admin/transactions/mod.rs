//! Transactions of the whole cluster: listing, describing and ending them, and their producers.

mod abort;
mod describe;
mod fence;
mod list;
mod producers;

pub use abort::{AbortTransaction, abort_transaction};
pub use describe::{TransactionDescription, TransactionState, describe_transactions};
pub use fence::{FencedProducer, fence_producers};
pub use list::{TransactionFilter, TransactionListing, list_transactions};
pub use producers::{ActiveProducer, describe_producers};

fn about_id(id: &str) -> String {
    format!("transactional id {id}")
}
