//! Listing from every broker: first any broker is asked which there are, then each, and what they
//! say is merged (`AllBrokersStrategy`).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_types::BrokerId;

use super::command::AdminCall;
use super::error::AdminError;
use super::operation::{Lot, Operation, Placement, Refusal, Results, Said, Verdict};
use super::wire::{anywhere, broker_id};
use crate::cx::Cx;
use crate::outbox::{Destination, RequestBody, Response, ResponseBody, WrongResponse};

/// A list that each broker has a part of.
pub(super) trait List: fmt::Debug + Send + 'static {
    /// What names an entry.
    type Name: Ord + fmt::Debug + Send + 'static;
    /// What an entry says.
    type Entry: fmt::Debug + Send + 'static;
    /// What is listed, in words.
    const WHAT: &'static str;

    /// The first version that can carry the filter.
    fn version_min(&self) -> Option<i16>;

    /// Asks a broker for its part.
    fn request(&self) -> RequestBody;

    /// A broker's part.
    fn read(&self, response: Response) -> Result<Part<Self>, WrongResponse>;
}

/// A broker's part of a list, or its refusal.
pub(super) type Part<L> = Result<BTreeMap<<L as List>::Name, <L as List>::Entry>, Refusal>;

/// A list of all brokers.
type Whole<L> = Result<BTreeMap<<L as List>::Name, <L as List>::Entry>, AdminError>;

/// Lists from every broker.
pub(super) fn list<L: List>(list: L) -> AdminCall<Whole<L>> {
    AdminCall::new(Everywhere(list), [(None, ())])
}

#[derive(Debug)]
struct Everywhere<L>(L);

/// The lot of the question which brokers there are.
const QUESTION: Lot = Lot::Shared(0);

impl<L: List> Operation for Everywhere<L> {
    /// A broker; the item without one asks which there are, and becomes them.
    type Key = Option<BrokerId>;
    type Input = ();
    type Output = BTreeMap<L::Name, L::Entry>;
    type Done = Whole<L>;

    fn about(&self, key: &Self::Key) -> String {
        match key {
            None => format!("the list of {}", L::WHAT),
            Some(broker) => format!("the {} of broker {broker}", L::WHAT),
        }
    }

    fn place(&self, key: &Self::Key, (): &(), _cx: &mut Cx<'_>) -> Placement {
        key.map_or_else(anywhere, |broker| Placement::At(Destination::Broker(broker)))
    }

    fn lot(&self, key: &Self::Key, (): &()) -> Lot {
        if key.is_none() { QUESTION } else { Lot::Shared(1) }
    }

    fn versions(&self, lot: Lot) -> (Option<i16>, Option<i16>) {
        (self.0.version_min().filter(|_| lot != QUESTION), None)
    }

    fn request(&self, items: &[(&Self::Key, &())], _timeout: Duration) -> RequestBody {
        if !matches!(items, [(None, ())]) {
            return self.0.request();
        }
        m::MetadataRequest::default()
            .with_topics(Some(Vec::new()))
            .with_allow_auto_topic_creation(false)
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&Self::Key, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        if let ResponseBody::Metadata(answer) = response.body {
            let brokers = answer.brokers.iter();
            let brokers = brokers.map(|broker| (Some(broker_id(broker.node_id)), ()));
            return Ok(vec![(None, Verdict::Become(brokers.collect()))]);
        }
        let key = asked.first().and_then(|(key, ())| **key);
        Ok(vec![(key, self.0.read(response)?.into())])
    }

    fn merge(self, results: Results<Self::Key, Self::Output>) -> Self::Done {
        let mut merged = BTreeMap::new();
        for part in results.into_values() {
            merged.extend(part?);
        }
        Ok(merged)
    }
}
