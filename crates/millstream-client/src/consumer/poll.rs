//! Taking records: one poller at a time.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use millstream_client_core::consumer::{ConsumerShared, FetchError, Next, Wants};

/// The right to take records, for as long as one call waits.
#[derive(Debug)]
pub(super) struct PollGuard<'a>(&'a Arc<ConsumerShared>);

impl<'a> PollGuard<'a> {
    pub(super) fn enter(shared: &'a Arc<ConsumerShared>) -> Result<Self, FetchError> {
        shared.enter(Instant::now())?;
        Ok(Self(shared))
    }
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        self.0.leave(Instant::now());
    }
}

/// The next thing for the application; `None` once the consumer is closed. Dropping the future
/// loses nothing: a batch is taken on the poll that returns it.
pub(super) async fn next(
    shared: &Arc<ConsumerShared>,
    wants: Wants,
) -> Result<Option<Next>, FetchError> {
    let _guard = PollGuard::enter(shared)?;
    Ok(poll_fn(|cx| shared.poll_next(wants, cx.waker())).await)
}
