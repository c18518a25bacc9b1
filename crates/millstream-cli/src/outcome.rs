//! What became of a call about several things: what worked is shown, what failed is told.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::process::ExitCode;

use millstream_client::admin::{BatchError, BatchResult};

use crate::error::Failure;

/// What worked, and the code to exit with once it is shown.
pub(crate) struct Outcome<K, T> {
    /// What worked.
    pub(crate) succeeded: BTreeMap<K, T>,
    /// Success only if nothing failed.
    pub(crate) code: ExitCode,
}

/// Tells on standard error what failed, a line for each, and gives what worked.
///
/// # Errors
/// The call failed as a whole.
pub(crate) fn sort<K: Ord + Debug, T: Debug>(
    result: BatchResult<K, T>,
) -> Result<Outcome<K, T>, Failure> {
    match result {
        Ok(succeeded) => Ok(Outcome { succeeded, code: ExitCode::SUCCESS }),
        Err(BatchError::Some(errors)) => {
            for error in errors.failed.values() {
                Failure::from(error.clone()).print();
            }
            Ok(Outcome { succeeded: errors.succeeded, code: ExitCode::FAILURE })
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells what failed of a call whose successes say nothing.
///
/// # Errors
/// The call failed as a whole.
pub(crate) fn done<K: Ord + Debug, T: Debug>(
    result: BatchResult<K, T>,
) -> Result<ExitCode, Failure> {
    Ok(sort(result)?.code)
}
