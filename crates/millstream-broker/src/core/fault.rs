//! Faults: what a test makes go wrong with chosen requests.

use std::time::Duration;

use millstream_protocol::{ApiKey, ErrorCode};
use millstream_types::{BrokerId, TopicPartition};

use super::frame::ResponseFrame;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultAction {
    Error(ErrorCode),
    Delay(Duration),
    Drop,
    Disconnect,
    ApplyThenDisconnect,
    ApplyThenDrop,
    ApplyThenError(ErrorCode),
    CorruptRecords,
    Cut,
    Throttle(Duration),
}

/// What becomes of the answer once it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum AfterReply {
    #[default]
    Send,
    Disconnect,
    Drop,
    /// Another one is sent.
    Replace(ResponseFrame),
    /// It names this throttle time, and the connection is mute for as long.
    Throttle(Duration),
}

/// The items of a request that a fault is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<String>,
    /// Each item is refused by itself, where the answer has a place for that.
    pub(crate) each: bool,
}

impl Target {
    /// Whether requests have to name something.
    pub(crate) const fn selects(&self) -> bool {
        self.topic.is_some() || self.key.is_some()
    }
}

/// What goes wrong with a request, and with which of its items (`None`: the whole).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub(crate) action: FaultAction,
    pub(crate) target: Option<Target>,
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
    target: Target,
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
            target: Target { topic: None, partition: None, key: None, each: false },
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

    /// Only requests that name this topic; an error is answered for it alone, and the rest of the
    /// request is served.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.0.target.topic = Some(topic.into());
        self
    }

    /// Only requests that name this partition; an error is answered for it alone, and the rest of
    /// the request is served. Where requests name topics alone, its topic stands for it.
    pub fn partition(mut self, partition: &TopicPartition) -> Self {
        self.0.target.topic = Some(partition.topic.to_string());
        self.0.target.partition = Some(partition.partition.0);
        self
    }

    /// Only requests that name this group, transactional id, resource or member; an error is
    /// answered for it alone where the answer has a place for that.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.target.key = Some(key.into());
        self
    }

    /// Answers an error with each topic, partition or key by itself, in answers that could also say
    /// it of the whole.
    pub const fn each_item(mut self) -> Self {
        self.0.target.each = true;
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

    /// Does what was asked and answers with this error all the same, as a coordinator does that
    /// timed out or moved meanwhile.
    #[must_use]
    pub fn apply_then_error(self, code: ErrorCode) -> Fault {
        self.action(FaultAction::ApplyThenError(code))
    }

    /// Resets the connection as soon as the head of the request is read, in the middle of it where
    /// it is larger than one read. Nothing is done.
    #[must_use]
    pub fn cut(self) -> Fault {
        self.action(FaultAction::Cut)
    }

    /// Does what was asked, says in the answer that the client is throttled, and serves nothing
    /// more on the connection for that time, as a broker does whose quota is exceeded (KIP-219).
    #[must_use]
    pub fn throttle(self, time: Duration) -> Fault {
        self.action(FaultAction::Throttle(time))
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

    /// Whether none is set.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts a request and says what goes wrong with it; `names` tells whether it names a target.
    pub(crate) fn strike(
        &mut self,
        api: ApiKey,
        node: BrokerId,
        client_id: &str,
        names: impl Fn(&Target) -> bool,
    ) -> Option<Strike> {
        let mut struck = None;
        for fault in &mut self.0 {
            let matches = fault.is_for(api, node, client_id)
                && (!fault.target.selects() || names(&fault.target));
            if !matches {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if struck.is_none() {
                fault.left = fault.left.saturating_sub(u64::from(fault.left != u64::MAX));
                let target = fault.target.selects() || fault.target.each;
                let target = target.then(|| fault.target.clone());
                struck = Some(Strike { action: fault.action, target });
            }
        }
        self.0.retain(|fault| fault.left > 0);
        struck
    }

    /// Whether the next such request is to be cut before it is whole; counts it if so. What it
    /// names is not known yet, so faults with a target wait for the whole.
    pub(crate) fn strike_early(&mut self, api: ApiKey, node: BrokerId, client_id: &str) -> bool {
        let mut candidates = self.0.iter_mut();
        let found = candidates.find(|fault| {
            fault.is_for(api, node, client_id) && !fault.target.selects() && fault.skip == 0
        });
        let Some(fault) = found.filter(|fault| fault.action == FaultAction::Cut) else {
            return false;
        };
        fault.left = fault.left.saturating_sub(u64::from(fault.left != u64::MAX));
        self.0.retain(|fault| fault.left > 0);
        true
    }
}

impl Fault {
    fn is_for(&self, api: ApiKey, node: BrokerId, client_id: &str) -> bool {
        self.api == api
            && self.node.is_none_or(|wanted| wanted == node)
            && self.client_id.as_deref().is_none_or(|wanted| wanted == client_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_request_is_hit_so_many_times() {
        let mut faults = Faults::default();
        faults.add(Fault::on(ApiKey::Fetch).node(2).nth(2).times(2).drop());
        let mut strike = |api, node| faults.strike(api, BrokerId(node), "c", |_| true).is_some();
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
        let strike = |faults: &mut Faults, client: &str| {
            let struck = faults.strike(ApiKey::Fetch, BrokerId(1), client, |_| true);
            struck.map(|strike| strike.action)
        };
        assert_eq!(strike(&mut faults, "b"), None);
        for _ in 0..3 {
            assert_eq!(strike(&mut faults, "a"), Some(FaultAction::Disconnect));
        }
        faults.clear();
        assert_eq!(strike(&mut faults, "a"), None);
    }

    #[test]
    fn a_target_counts_only_the_requests_that_name_it() {
        let mut faults = Faults::default();
        faults.add(Fault::on(ApiKey::Produce).topic("t").error(ErrorCode::NotEnoughReplicas));
        let strike = |faults: &mut Faults, topic: &str| {
            let names = |target: &Target| target.topic.as_deref() == Some(topic);
            faults.strike(ApiKey::Produce, BrokerId(1), "a", names)
        };
        assert_eq!(strike(&mut faults, "u"), None);
        let target = strike(&mut faults, "t").unwrap().target.unwrap();
        assert_eq!(target.topic.as_deref(), Some("t"));
        assert_eq!(strike(&mut faults, "t"), None);
    }

    #[test]
    fn a_cut_strikes_before_the_request_is_whole_and_then_not_again() {
        let mut faults = Faults::default();
        faults.add(Fault::on(ApiKey::Produce).nth(2).cut());
        let node = BrokerId(1);
        assert!(!faults.strike_early(ApiKey::Produce, node, "a"), "the first is let through");
        assert_eq!(faults.strike(ApiKey::Produce, node, "a", |_| true), None);
        assert!(faults.strike_early(ApiKey::Produce, node, "a"));
        assert!(faults.is_empty());
    }
}
