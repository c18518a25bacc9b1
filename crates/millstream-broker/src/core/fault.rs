//! Faults: what a test makes go wrong with chosen requests.

use std::time::Duration;

use millstream_protocol::{ApiKey, ErrorCode};
use millstream_types::BrokerId;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultAction {
    Error(ErrorCode),
    Delay(Duration),
    Drop,
    Disconnect,
    ApplyThenDisconnect,
    ApplyThenDrop,
    CorruptRecords,
}

/// What becomes of the answer once it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AfterReply {
    #[default]
    Send,
    Disconnect,
    Drop,
}

/// Something that goes wrong with requests of one API.
///
/// Requests are counted from the moment the fault is set. By default the first one that matches is
/// hit, once; [`nth`](FaultBuilder::nth) hits a later one and [`times`](FaultBuilder::times) or
/// [`always`](FaultBuilder::always) more of them. Where several faults match, the one set first acts.
///
/// ```
/// use millstream_broker::{ApiKey, Fault};
///
/// let fault = Fault::on(ApiKey::Produce).nth(3).apply_then_disconnect();
/// # let _ = fault;
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    api: ApiKey,
    node: Option<BrokerId>,
    client_id: Option<String>,
    skip: u64,
    left: u64,
    action: FaultAction,
}

/// A fault whose action is not chosen yet; made by [`Fault::on`].
#[derive(Clone, Debug)]
#[must_use = "a fault needs an action, and has to be handed to a cluster"]
pub struct FaultBuilder(Fault);

impl Fault {
    /// Begins a fault on requests of `api`.
    pub const fn on(api: ApiKey) -> FaultBuilder {
        FaultBuilder(Self {
            api,
            node: None,
            client_id: None,
            skip: 0,
            left: 1,
            action: FaultAction::Drop,
        })
    }
}

impl FaultBuilder {
    /// Only requests to this node.
    pub fn node(mut self, node: impl Into<BrokerId>) -> Self {
        self.0.node = Some(node.into());
        self
    }

    /// Only requests of clients that call themselves so.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.0.client_id = Some(client_id.into());
        self
    }

    /// Starts at the `n`th matching request, counted from 1.
    pub const fn nth(mut self, n: u64) -> Self {
        self.0.skip = n.saturating_sub(1);
        self
    }

    /// Hits so many requests in a row.
    pub const fn times(mut self, count: u64) -> Self {
        self.0.left = count;
        self
    }

    /// Hits every request, until the faults are cleared.
    pub const fn always(mut self) -> Self {
        self.0.left = u64::MAX;
        self
    }

    /// Answers with this error instead of doing what was asked.
    #[must_use]
    pub fn error(self, code: ErrorCode) -> Fault {
        self.action(FaultAction::Error(code))
    }

    /// Serves the request only after `delay`; the connection waits.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Fault {
        self.action(FaultAction::Delay(delay))
    }

    /// Neither does what was asked nor ever answers; the connection stays open and stuck.
    #[must_use]
    pub fn drop(self) -> Fault {
        self.action(FaultAction::Drop)
    }

    /// Closes the connection without doing what was asked.
    #[must_use]
    pub fn disconnect(self) -> Fault {
        self.action(FaultAction::Disconnect)
    }

    /// Does what was asked and closes the connection instead of answering.
    #[must_use]
    pub fn apply_then_disconnect(self) -> Fault {
        self.action(FaultAction::ApplyThenDisconnect)
    }

    /// Does what was asked and never answers; the connection stays open and stuck.
    #[must_use]
    pub fn apply_then_drop(self) -> Fault {
        self.action(FaultAction::ApplyThenDrop)
    }

    /// Flips a bit in the first record batch of the answer. Only fetches carry batches.
    #[must_use]
    pub fn corrupt_records(self) -> Fault {
        self.action(FaultAction::CorruptRecords)
    }

    fn action(mut self, action: FaultAction) -> Fault {
        self.0.action = action;
        self.0
    }
}

/// The faults that are set, in the order of setting.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Sets one more.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Takes all back.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts a request and says what goes wrong with it.
    pub(crate) fn strike(
        &mut self,
        api: ApiKey,
        node: BrokerId,
        client_id: &str,
    ) -> Option<FaultAction> {
        let mut struck = None;
        for fault in &mut self.0 {
            let matches = fault.api == api
                && fault.node.is_none_or(|wanted| wanted == node)
                && fault.client_id.as_deref().is_none_or(|wanted| wanted == client_id);
            if !matches {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if struck.is_none() {
                fault.left = fault.left.saturating_sub(u64::from(fault.left != u64::MAX));
                struck = Some(fault.action);
            }
        }
        self.0.retain(|fault| fault.left > 0);
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_request_is_hit_so_many_times() {
        let mut faults = Faults::default();
        faults.add(Fault::on(ApiKey::Fetch).node(2).nth(2).times(2).drop());
        let mut strike = |api, node| faults.strike(api, BrokerId(node), "c").is_some();
        assert!(!strike(ApiKey::Fetch, 2));
        assert!(!strike(ApiKey::Fetch, 1));
        assert!(!strike(ApiKey::Produce, 2));
        assert!(strike(ApiKey::Fetch, 2));
        assert!(strike(ApiKey::Fetch, 2));
        assert!(!strike(ApiKey::Fetch, 2));
    }

    #[test]
    fn a_clients_faults_are_its_own_until_cleared() {
        let mut faults = Faults::default();
        faults.add(Fault::on(ApiKey::Fetch).client_id("a").always().disconnect());
        assert_eq!(faults.strike(ApiKey::Fetch, BrokerId(1), "b"), None);
        for _ in 0..3 {
            let struck = faults.strike(ApiKey::Fetch, BrokerId(1), "a");
            assert_eq!(struck, Some(FaultAction::Disconnect));
        }
        faults.clear();
        assert_eq!(faults.strike(ApiKey::Fetch, BrokerId(1), "a"), None);
    }
}
