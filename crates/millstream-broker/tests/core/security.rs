//! The authorizer: who may do what, and what the others are told.

use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::create_acls_request::AclCreation;

use crate::bench::{Bench, batch, produce_request, text, topic_name};
use crate::fetch::{VERSION, partition, request};

const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const TRANSACTION: i8 = 5;
const READ: i8 = 3;
const WRITE: i8 = 4;
const CREATE: i8 = 5;
const DESCRIBE: i8 = 8;

/// A cluster whose clients are nobody special; rules are made by the super user.
struct Guarded(Bench);

impl Guarded {
    fn new() -> Self {
        let mut bench = Bench::with(1, |config| {
            config.security.authorizer = true;
            config.security.super_users.push("User:root".to_owned());
            config.security.principals.insert("root".to_owned(), "User:root".to_owned());
        });
        bench.cluster.create_topic("open", 1).unwrap();
        bench.cluster.create_topic("shut", 1).unwrap();
        Self(bench)
    }

    fn allow(&mut self, kind: i8, name: &str, operation: i8) {
        let rule = AclCreation::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_resource_pattern_type(3)
            .with_principal(text("User:ANONYMOUS"))
            .with_host(text("*"))
            .with_operation(operation)
            .with_permission_type(3);
        let request = m::CreateAclsRequest::default().with_creations(vec![rule]);
        self.0.client = "root";
        let answer = self.0.ask(1, 3, &request);
        self.0.client = "bench";
        assert_eq!(answer.results[0].error_code, 0, "{answer:?}");
    }
}

fn both(version: i16) -> m::ProduceRequest {
    assert!(version < 13, "topics are named");
    let mut whole = produce_request("open", 0, batch(&["a"]));
    whole.topic_data.push(produce_request("shut", 0, batch(&["a"])).topic_data.remove(0));
    whole
}

#[test]
fn topics_are_refused_one_by_one() {
    let mut guarded = Guarded::new();
    let denied = ErrorCode::TopicAuthorizationFailed.code();
    let codes = |answer: &m::ProduceResponse| {
        let topics = answer.responses.iter();
        let mut codes: Vec<_> = topics
            .map(|topic| (topic.name.to_string(), topic.partition_responses[0].error_code))
            .collect();
        codes.sort();
        codes
    };
    let shut = |code| [("open".to_owned(), code), ("shut".to_owned(), denied)];
    assert_eq!(codes(&guarded.0.ask(1, 9, &both(9))), shut(denied), "nothing is permitted");
    guarded.allow(TOPIC, "open", WRITE);
    assert_eq!(codes(&guarded.0.ask(1, 9, &both(9))), shut(0));
    let connection = guarded.0.connect(1);
    guarded.0.send(connection, 9, &both(9).with_acks(0));
    assert!(guarded.0.is_closed(connection), "a denial without an answer closes");
}

#[test]
fn fetches_are_refused_one_by_one_and_at_once() {
    let mut guarded = Guarded::new();
    guarded.allow(TOPIC, "open", READ);
    let mut fetch = request("open", vec![partition(0, 0)]);
    fetch.topics.push(request("shut", vec![partition(0, 0)]).topics.remove(0));
    let fetch = fetch.with_max_wait_ms(60_000).with_min_bytes(1);
    let answer = guarded.0.ask(1, VERSION, &fetch);
    let codes: Vec<_> = answer
        .responses
        .iter()
        .map(|topic| (topic.topic.to_string(), ErrorCode::from(topic.partitions[0].error_code)))
        .collect();
    let denied = ErrorCode::TopicAuthorizationFailed;
    assert_eq!(codes, [("open".to_owned(), ErrorCode::None), ("shut".to_owned(), denied)]);
}

#[test]
fn metadata_hides_what_may_not_be_seen() {
    let mut guarded = Guarded::new();
    guarded.allow(TOPIC, "open", DESCRIBE);
    let all = guarded.0.ask(1, 9, &m::MetadataRequest::default().with_topics(None));
    let names: Vec<_> = all.topics.iter().map(|topic| topic.name.clone().unwrap()).collect();
    assert_eq!(names, [topic_name("open")]);
    let wanted = ["shut", "open"].map(|name| {
        m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(name)))
    });
    let named = m::MetadataRequest::default()
        .with_topics(Some(wanted.to_vec()))
        .with_include_topic_authorized_operations(true);
    let answer = guarded.0.ask(1, 9, &named);
    assert_eq!(answer.brokers.len(), 1);
    let open = answer.topics.iter().find(|topic| topic.error_code == 0).unwrap();
    assert_eq!(open.topic_authorized_operations, 1 << DESCRIBE);
    let shut = answer.topics.iter().find(|topic| topic.name == Some(topic_name("shut"))).unwrap();
    assert_eq!(ErrorCode::from(shut.error_code), ErrorCode::TopicAuthorizationFailed);
}

#[test]
fn groups_transactions_and_the_cluster_are_guarded() {
    let mut guarded = Guarded::new();
    let beat = m::HeartbeatRequest::default()
        .with_group_id(m::GroupId(text("g")))
        .with_group_instance_id(None);
    let code = |guarded: &mut Guarded| ErrorCode::from(guarded.0.ask(1, 4, &beat).error_code);
    assert_eq!(code(&mut guarded), ErrorCode::GroupAuthorizationFailed);
    guarded.allow(GROUP, "g", READ);
    assert_eq!(code(&mut guarded), ErrorCode::UnknownMemberId);
    let init = |id: Option<&str>| {
        let id = id.map(|id| m::TransactionalId(text(id)));
        m::InitProducerIdRequest::default()
            .with_transactional_id(id)
            .with_transaction_timeout_ms(1000)
    };
    let code =
        |guarded: &mut Guarded, id| ErrorCode::from(guarded.0.ask(1, 4, &init(id)).error_code);
    let denied = ErrorCode::TransactionalIdAuthorizationFailed;
    assert_eq!(code(&mut guarded, Some("x")), denied);
    assert_eq!(code(&mut guarded, None), ErrorCode::ClusterAuthorizationFailed);
    guarded.allow(TRANSACTION, "x", WRITE);
    guarded.allow(TOPIC, "open", WRITE);
    assert_eq!(code(&mut guarded, Some("x")), ErrorCode::None);
    assert_eq!(code(&mut guarded, None), ErrorCode::None, "who may write to a topic may init");
    let quotas = m::DescribeClientQuotasRequest::default();
    let refused = guarded.0.ask(1, 1, &quotas);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::ClusterAuthorizationFailed);
}

#[test]
fn topics_are_created_by_right_on_the_cluster_or_the_topic() {
    let mut guarded = Guarded::new();
    let create = |name: &str| {
        let topic = m::create_topics_request::CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(1)
            .with_replication_factor(1);
        m::CreateTopicsRequest::default().with_topics(vec![topic])
    };
    let code = |guarded: &mut Guarded, name| {
        ErrorCode::from(guarded.0.ask(1, 7, &create(name)).topics[0].error_code)
    };
    assert_eq!(code(&mut guarded, "a"), ErrorCode::TopicAuthorizationFailed);
    guarded.allow(TOPIC, "a", CREATE);
    assert_eq!(code(&mut guarded, "a"), ErrorCode::None);
    assert_eq!(code(&mut guarded, "b"), ErrorCode::TopicAuthorizationFailed);
    guarded.allow(CLUSTER, "kafka-cluster", CREATE);
    assert_eq!(code(&mut guarded, "b"), ErrorCode::None);
}
