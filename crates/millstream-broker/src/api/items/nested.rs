//! The requests whose items stand two lists deep: OffsetFetch and AddPartitionsToTxn.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use millstream_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};

use super::{Choose, Item, Items, join_parts, take_parts};

impl Items for m::OffsetFetchRequest {
    fn keys(&self) -> Vec<Item<'_>> {
        let groups = self.groups.iter().map(|group| group.group_id.as_str());
        let groups = groups.chain([self.group_id.as_str()]);
        groups.filter(|id| !id.is_empty()).map(Item::Group).collect()
    }

    fn split(&mut self, choose: &mut Choose<'_>) -> Option<Self> {
        let topics = take_parts(
            &mut self.topics,
            |topic| &mut topic.partition_indexes,
            |topic, index| choose(Item::name(&topic.name).partition(*index)),
        );
        let mut groups = Vec::new();
        self.groups.retain_mut(|group| {
            let taken = take_parts(
                &mut group.topics,
                |topic| &mut topic.partition_indexes,
                |topic, index| choose(Item::topic(&topic.name, topic.topic_id).partition(*index)),
            );
            let Some(taken) = taken else {
                return true;
            };
            let mut other = group.clone();
            other.topics = taken;
            groups.push(other);
            group.topics.as_ref().is_none_or(|topics| !topics.is_empty())
        });
        if topics.is_none() && groups.is_empty() {
            return None;
        }
        let mut other = self.clone();
        other.topics = topics.unwrap_or_default();
        other.groups = groups;
        Some(other)
    }

    fn join(response: &mut m::OffsetFetchResponse, other: m::OffsetFetchResponse) {
        let same = |a: &m::offset_fetch_response::OffsetFetchResponseTopic,
                    b: &m::offset_fetch_response::OffsetFetchResponseTopic| {
            a.name == b.name
        };
        join_parts(&mut response.topics, other.topics, same, |topic| &mut topic.partitions);
        for mut group in other.groups {
            let mut known = response.groups.iter_mut();
            match known.find(|known| known.group_id == group.group_id) {
                Some(known) => join_parts(
                    &mut known.topics,
                    std::mem::take(&mut group.topics),
                    |a, b| a.name == b.name && a.topic_id == b.topic_id,
                    |topic| &mut topic.partitions,
                ),
                None => response.groups.push(group),
            }
        }
    }

    fn refuse_items(&self, version: i16, code: ErrorCode) -> Option<m::OffsetFetchResponse> {
        crate::api::offset_fetch::refuse_partitions(self, version, code)
    }
}

impl Items for m::AddPartitionsToTxnRequest {
    fn keys(&self) -> Vec<Item<'_>> {
        let ids = self.transactions.iter().map(|one| one.transactional_id.as_str());
        let ids = ids.chain([self.v3_and_below_transactional_id.as_str()]);
        ids.filter(|id| !id.is_empty()).map(Item::Transaction).collect()
    }

    fn split(&mut self, choose: &mut Choose<'_>) -> Option<Self> {
        let mut taken = |topics: &mut Vec<AddPartitionsToTxnTopic>| {
            take_parts(
                topics,
                |topic| &mut topic.partitions,
                |topic, index| choose(Item::name(&topic.name).partition(*index)),
            )
        };
        let topics = taken(&mut self.v3_and_below_topics);
        let mut transactions = Vec::new();
        self.transactions.retain_mut(|one| {
            let Some(topics) = taken(&mut one.topics) else {
                return true;
            };
            let mut other = one.clone();
            other.topics = topics;
            transactions.push(other);
            !one.topics.is_empty()
        });
        if topics.is_none() && transactions.is_empty() {
            return None;
        }
        let mut other = self.clone();
        other.v3_and_below_topics = topics.unwrap_or_default();
        other.transactions = transactions;
        Some(other)
    }

    fn join(response: &mut m::AddPartitionsToTxnResponse, other: m::AddPartitionsToTxnResponse) {
        join_topics(
            &mut response.results_by_topic_v3_and_below,
            other.results_by_topic_v3_and_below,
        );
        for one in other.results_by_transaction {
            let mut known = response.results_by_transaction.iter_mut();
            match known.find(|known| known.transactional_id == one.transactional_id) {
                Some(known) => join_topics(&mut known.topic_results, one.topic_results),
                None => response.results_by_transaction.push(one),
            }
        }
    }

    fn refuse_items(&self, version: i16, code: ErrorCode) -> Option<m::AddPartitionsToTxnResponse> {
        let response = m::AddPartitionsToTxnResponse::default();
        if version < 4 {
            let topics = refuse_topics(&self.v3_and_below_topics, code);
            return Some(response.with_results_by_topic_v3_and_below(topics));
        }
        let transactions = self.transactions.iter().map(|one| {
            AddPartitionsToTxnResult::default()
                .with_transactional_id(one.transactional_id.clone())
                .with_topic_results(refuse_topics(&one.topics, code))
        });
        Some(response.with_results_by_transaction(transactions.collect()))
    }
}

fn join_topics(
    into: &mut Vec<AddPartitionsToTxnTopicResult>,
    from: Vec<AddPartitionsToTxnTopicResult>,
) {
    join_parts(into, from, |a, b| a.name == b.name, |topic| &mut topic.results_by_partition);
}

fn refuse_topics(
    topics: &[AddPartitionsToTxnTopic],
    code: ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topics = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code.code())
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    topics.collect()
}
