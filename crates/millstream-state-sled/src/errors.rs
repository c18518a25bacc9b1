//! Sled's errors and panics as store errors.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use millstream_state::StoreError;

/// Runs one call into sled. A panic inside sled is taken for damaged data: that is where its
/// assertions fail. The store is poisoned by the error, so nothing uses what the panic left behind.
pub(crate) fn guarded<T>(
    store: &Arc<str>,
    call: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(store_error(store, &error)),
        Err(panic) => Err(StoreError::Corrupt {
            store: store.clone(),
            detail: format!("sled panicked: {}", panic_text(&*panic)).into(),
        }),
    }
}

fn store_error(store: &Arc<str>, error: &sled::Error) -> StoreError {
    let store = store.clone();
    let detail = error.to_string().into();
    match error {
        sled::Error::Io(error) => io_error(store, error),
        // A write that failed can leave a tree's name without its pages.
        sled::Error::Corruption { .. }
        | sled::Error::ReportableBug(_)
        | sled::Error::CollectionNotFound(_) => StoreError::Corrupt { store, detail },
        _ => StoreError::Io { store, detail },
    }
}

pub(crate) fn io_error(store: Arc<str>, error: &io::Error) -> StoreError {
    let detail: Arc<str> = error.to_string().into();
    match error.kind() {
        // A quota or a limit on the size of files is as full as the disk.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::DiskFull { store, detail }
        }
        // What sled makes of a lock that another process holds has no kind of its own.
        io::ErrorKind::Other if detail.starts_with("could not acquire lock") => {
            StoreError::Locked { path: store }
        }
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            StoreError::Corrupt { store, detail }
        }
        _ => StoreError::Io { store, detail },
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
