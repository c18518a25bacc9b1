//! The thread that hosts drivers: a current-thread runtime of its own.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread that does the input and output of one client, or of several that share it.
///
/// Cloning gives another name for the same thread. It ends when the last clone and the last client
/// on it are gone; nothing waits for that. The only user code that runs on it are group assignors.
#[derive(Clone)]
pub struct IoThread {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    runtime: Handle,
    /// Dropped with the last clone: the thread sees that and ends.
    _alive: oneshot::Sender<()>,
}

impl IoThread {
    /// Starts a thread of this name.
    ///
    /// # Errors
    /// The operating system refuses the thread or its event queue.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = runtime.handle().clone();
        let (alive, last_clone_gone) = oneshot::channel::<()>();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Either answer means the same: all clones are gone.
            let _ = runtime.block_on(last_clone_gone);
        })?;
        Ok(Self {
            inner: Arc::new(Inner { name: name.to_owned(), runtime: handle, _alive: alive }),
        })
    }

    /// Runs a future on the thread. It must not block.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.inner.runtime.spawn(future));
    }
}

impl fmt::Debug for IoThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoThread").field("name", &self.inner.name).finish_non_exhaustive()
    }
}
