//! What happens when a stream thread dies of an error (KIP-671).

use std::fmt;
use std::sync::Arc;

use crate::StreamsError;

/// What to do about a stream thread that died
/// (`StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UncaughtResponse {
    /// Start another thread in its place; it goes on from the last commit.
    ReplaceThread,
    /// Close this instance. The default.
    ShutdownClient,
    /// Close every instance of the application.
    ShutdownApplication,
}

/// Decides about errors that no other handler took.
#[derive(Clone)]
pub(crate) struct UncaughtHandler(Arc<dyn Fn(&StreamsError) -> UncaughtResponse + Send + Sync>);

impl UncaughtHandler {
    pub(crate) fn new(
        handler: impl Fn(&StreamsError) -> UncaughtResponse + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(handler))
    }

    pub(crate) fn decide(&self, error: &StreamsError) -> UncaughtResponse {
        (self.0)(error)
    }
}

impl Default for UncaughtHandler {
    fn default() -> Self {
        Self::new(|_| UncaughtResponse::ShutdownClient)
    }
}

impl fmt::Debug for UncaughtHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UncaughtHandler")
    }
}
