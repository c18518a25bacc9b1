//! A call of an admin client as the shell posts it, and what it returns.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::call::{AnyCall, Call};
use super::operation::Operation;

/// A call of an admin client that returns `T`; made by the functions of this module.
#[must_use = "nothing is called until it is posted as a command"]
pub struct AdminCall<T> {
    command: AdminCommand,
    returns: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for AdminCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(f)
    }
}

impl<T: 'static> AdminCall<T> {
    pub(super) fn new<O: Operation<Done = T>>(
        operation: O,
        items: impl IntoIterator<Item = (O::Key, O::Input)>,
    ) -> Self {
        let call = Box::new(Call::new(operation, items));
        let command = AdminCommand { call, timeout: None, retry_throttled: true };
        Self { command, returns: PhantomData }
    }

    /// Bounds the call by this instead of the client's `default.api.timeout.ms`.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.command.timeout = Some(timeout);
        self
    }

    /// Gives up at the first `THROTTLING_QUOTA_EXCEEDED` instead of waiting it out (KIP-599).
    pub const fn failing_when_throttled(mut self) -> Self {
        self.command.retry_throttled = false;
        self
    }

    /// What the call returned, from its completion; `None` if it is another call's.
    #[must_use]
    pub fn read(completion: AdminCompletion) -> Option<T> {
        completion.take()
    }
}

/// A call of an admin client, whatever it returns.
#[derive(Debug)]
pub struct AdminCommand {
    pub(super) call: Box<dyn AnyCall>,
    pub(super) timeout: Option<Duration>,
    pub(super) retry_throttled: bool,
}

impl<T> From<AdminCall<T>> for AdminCommand {
    fn from(call: AdminCall<T>) -> Self {
        call.command
    }
}

impl<T> From<AdminCall<T>> for crate::cx::Command {
    fn from(call: AdminCall<T>) -> Self {
        Self::Admin(call.command)
    }
}

/// What an [`AdminCall`] returned.
pub struct AdminCompletion(Box<dyn Any + Send>);

impl AdminCompletion {
    pub(super) fn new<T: Send + 'static>(done: T) -> Self {
        Self(Box::new(done))
    }

    /// The result, if it is of this type.
    #[must_use]
    pub fn take<T: 'static>(self) -> Option<T> {
        self.0.downcast().ok().map(|done| *done)
    }
}

impl fmt::Debug for AdminCompletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminCompletion")
    }
}
