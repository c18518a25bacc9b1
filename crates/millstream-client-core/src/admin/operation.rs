//! What differs between admin calls: the look-up, the request, what an answer says, the merging.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use millstream_protocol::ErrorCode;

use super::error::AdminError;
use crate::cx::Cx;
use crate::outbox::{Destination, RequestBody, Response, WrongResponse};

/// The result of each thing that a call was about.
pub type Results<K, T> = BTreeMap<K, Result<T, AdminError>>;

/// One operation of the admin client, as the driver of calls sees it.
///
/// A call is about items: topics, partitions, groups, brokers. The driver asks where each goes,
/// puts those that go the same way into one request, hears from the answer what became of each, and
/// tries again what failed for a reason that passes. When every item has its result, the operation
/// merges them into what the caller gets.
pub(super) trait Operation: fmt::Debug + Send + Sized + 'static {
    /// What names an item.
    type Key: Ord + Clone + fmt::Debug + Send + 'static;
    /// What is asked about an item, and how far it has come.
    type Input: fmt::Debug + Send + 'static;
    /// What an item's result holds.
    type Output: fmt::Debug + Send + 'static;
    /// What the caller gets.
    type Done: Send + 'static;

    /// An item in words, for errors: "topic orders".
    fn about(&self, key: &Self::Key) -> String;

    /// Where an item's request goes.
    fn place(&self, key: &Self::Key, input: &Self::Input, cx: &mut Cx<'_>) -> Placement;

    /// Which items may share a request, of those that go to the same place.
    fn lot(&self, _key: &Self::Key, _input: &Self::Input) -> Lot {
        Lot::Shared(0)
    }

    /// The lowest and the highest version that can carry a lot's request.
    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        (None, None)
    }

    /// The request about these items, all of one lot. The broker may take up to `timeout` for it.
    fn request(&self, items: &[(&Self::Key, &Self::Input)], timeout: Duration) -> RequestBody;

    /// What an answer says about the items asked for.
    fn read(
        &self,
        response: Response,
        asked: &[(&Self::Key, &Self::Input)],
    ) -> Result<Vec<Said<Self>>, WrongResponse>;

    /// What becomes of an item that the broker cannot be asked in this way; `None`: it fails.
    fn fallback(&self, _key: &Self::Key, _input: &Self::Input) -> Option<VerdictOf<Self>> {
        None
    }

    /// What an error says when an earlier try, whose answer was lost, may have done the work.
    fn when_repeated(
        &self,
        _key: &Self::Key,
        _input: &Self::Input,
        _code: ErrorCode,
    ) -> Option<VerdictOf<Self>> {
        None
    }

    /// Whether it may be tried again when an earlier try may have done the work.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// Whether an error will pass.
    fn is_retriable(&self, _input: &Self::Input, code: ErrorCode) -> bool {
        code.class().is_retriable()
    }

    /// What the caller gets, from the results of all items.
    fn merge(self, results: Results<Self::Key, Self::Output>) -> Self::Done;
}

/// Where an item's request goes.
#[derive(Debug)]
pub(super) enum Placement {
    /// There.
    At(Destination),
    /// Not known yet, for this reason; metadata has been asked for.
    Later(String),
}

/// Which items may share a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lot {
    /// Those with the same number.
    Shared(u8),
    /// None: each has its own.
    Alone,
}

/// What became of an item.
#[derive(Debug)]
pub(super) enum Verdict<K, I, T> {
    /// It is done.
    Done(T),
    /// The broker refused.
    Refused(Refusal),
    /// It is replaced by these items, which are asked next; its own key may be among them.
    Become(Vec<(K, I)>),
}

/// A verdict on an item of operation `O`.
pub(super) type VerdictOf<O> =
    Verdict<<O as Operation>::Key, <O as Operation>::Input, <O as Operation>::Output>;

/// What an answer says about one item.
pub(super) type Said<O> = (<O as Operation>::Key, VerdictOf<O>);

impl<K, I, T> From<Result<T, Refusal>> for Verdict<K, I, T> {
    fn from(result: Result<T, Refusal>) -> Self {
        match result {
            Ok(output) => Self::Done(output),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

/// A broker's error about one item.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: Option<String>,
}

impl Refusal {
    /// `Err` unless the code says that all is well.
    pub(super) fn check(code: i16, message: Option<&str>) -> Result<(), Self> {
        ErrorCode::check(code).map_err(|code| Self { code, message: message.map(str::to_owned) })
    }

    /// The same refusal for every item of a request.
    pub(super) fn of_all<O: Operation>(self, asked: &[(&O::Key, &O::Input)]) -> Vec<Said<O>> {
        let refused = asked.iter().map(|(key, _)| ((*key).clone(), self.clone()));
        refused.map(|(key, refusal)| (key, Verdict::Refused(refusal))).collect()
    }
}

/// The result of a call about one thing.
pub(super) fn only<K: Ord, T>(mut results: Results<K, T>, about: &str) -> Result<T, AdminError> {
    let result = results.pop_first().map(|(_, result)| result);
    result.unwrap_or_else(|| Err(AdminError::LeftOut { about: about.to_owned() }))
}
