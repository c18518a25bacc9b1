//! A store that failed once is not asked again.

use std::sync::{Arc, OnceLock};

use crate::StoreError;

/// The first failure of a store, remembered for every later call.
#[derive(Debug)]
pub(crate) struct Poison {
    store: Arc<str>,
    cause: OnceLock<Arc<StoreError>>,
}

impl Poison {
    pub(crate) fn new(store: &str) -> Self {
        Self { store: store.into(), cause: OnceLock::new() }
    }

    /// Fails if something failed before.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.cause.get() {
            None => Ok(()),
            Some(cause) => {
                Err(StoreError::Poisoned { store: self.store.clone(), cause: cause.clone() })
            }
        }
    }

    /// Passes a result on, and remembers a failure after which the store is not to be trusted.
    pub(crate) fn note<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result
            && error.poisons()
        {
            self.cause.get_or_init(|| Arc::new(error.clone()));
        }
        result
    }
}
