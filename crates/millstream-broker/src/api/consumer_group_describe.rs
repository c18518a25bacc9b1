//! ConsumerGroupDescribe 0 to the newest: groups of the consumer protocol (KIP-848), of which there
//! are none: a classic group is refused as such, and any other is not found.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::consumer_group_describe_response::DescribedGroup;
use millstream_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use super::{Api, Call, Served, sentence, text};
use crate::core::state::State;

impl Api for ConsumerGroupDescribeRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<ConsumerGroupDescribeResponse> {
        let groups = self.group_ids.iter().map(|id| {
            if let Err(code) = state.check_group(call.node, id) {
                return failed(id, code, None);
            }
            let why = match state.groups.get(id.as_str()) {
                Some(_) => format!("Group {} is not a consumer group.", id.as_str()),
                None => format!("Group {} not found.", id.as_str()),
            };
            failed(id, ErrorCode::GroupIdNotFound, Some(&why))
        });
        Served::Now(ConsumerGroupDescribeResponse::default().with_groups(groups.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ConsumerGroupDescribeResponse {
        let groups = self.group_ids.iter().map(|id| failed(id, code, Some(&sentence(code))));
        ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
    }
}

fn failed(id: &m::GroupId, code: ErrorCode, why: Option<&str>) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_id(id.clone())
        .with_error_code(code.code())
        .with_error_message(why.map(text))
}
