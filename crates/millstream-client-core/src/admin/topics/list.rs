//! Listing all topics.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_types::TopicName;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Operation, Placement, Results, Said, Verdict, only};
use super::super::wire::anywhere;
use super::metadata_request;
use crate::cx::Cx;
use crate::metadata::Topic;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Lists all topics, with their partitions.
pub fn list_topics() -> AdminCall<Result<BTreeMap<TopicName, Topic>, AdminError>> {
    AdminCall::new(List, [((), ())])
}

#[derive(Debug)]
struct List;

const ABOUT: &str = "the list of topics";

impl Operation for List {
    type Key = ();
    type Input = ();
    type Output = BTreeMap<TopicName, Topic>;
    type Done = Result<BTreeMap<TopicName, Topic>, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        metadata_request(None::<std::iter::Empty<_>>)
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::MetadataResponse::try_from(response.body)?;
        let good = answer.topics.iter().filter(|topic| ErrorCode::check(topic.error_code).is_ok());
        let topics = good.filter_map(|topic| {
            let name = TopicName::from(topic.name.as_ref()?.0.as_str());
            Some((name.clone(), Topic::read(name, topic)))
        });
        Ok(vec![((), Verdict::Done(topics.collect()))])
    }

    fn merge(self, results: Results<(), Self::Output>) -> Self::Done {
        only(results, ABOUT)
    }
}
