//! Rules of access, SCRAM users, delegation tokens.

use millstream_protocol::messages as m;
use millstream_protocol::messages::create_acls_request::AclCreation;

use crate::peer::{Peer, eventually, name, text};

const ANY: i8 = 1;
const TOPIC: i8 = 2;
const CLUSTER: i8 = 4;
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const READ: i8 = 3;
const WRITE: i8 = 4;
const ALLOW: i8 = 3;
const DENY: i8 = 2;

fn rule(kind: i8, resource: &str, pattern: i8, operation: i8, permission: i8) -> AclCreation {
    AclCreation::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_resource_pattern_type(pattern)
        .with_principal(text("User:nobody"))
        .with_host(text("*"))
        .with_operation(operation)
        .with_permission_type(permission)
}

fn find(peer: &Peer, resource: &str, pattern: i8) -> Vec<String> {
    let request = m::DescribeAclsRequest::default()
        .with_resource_type_filter(TOPIC)
        .with_resource_name_filter(Some(text(resource)))
        .with_pattern_type_filter(pattern)
        .with_principal_filter(Some(text("User:nobody")))
        .with_host_filter(None)
        .with_operation(ANY)
        .with_permission_type(ANY);
    let answer = peer.any().ask(3, &request);
    let mut found: Vec<_> = answer
        .resources
        .iter()
        .flat_map(|resource| {
            resource.acls.iter().map(|acl| {
                let (kind, pattern) = (resource.resource_type, resource.pattern_type);
                let (name, who) = (&*resource.resource_name, &*acl.principal);
                let (operation, permission) = (acl.operation, acl.permission_type);
                format!("{kind} {name} {pattern} {who} {} {operation} {permission}", &*acl.host)
            })
        })
        .collect();
    found.sort();
    found
}

pub(crate) fn rules(peer: &mut Peer) {
    let topic = peer.unique("guarded");
    for (what, rule) in [
        ("any resource type", rule(ANY, &topic, LITERAL, READ, ALLOW)),
        ("any pattern", rule(TOPIC, &topic, ANY, READ, ALLOW)),
        ("a match", rule(TOPIC, &topic, MATCH, READ, ALLOW)),
        ("any operation", rule(TOPIC, &topic, LITERAL, ANY, ALLOW)),
        ("any permission", rule(TOPIC, &topic, LITERAL, READ, ANY)),
        ("no name", rule(TOPIC, "", LITERAL, READ, ALLOW)),
        ("another cluster", rule(CLUSTER, "mine", LITERAL, READ, ALLOW)),
        ("a principal without type", {
            rule(TOPIC, &topic, LITERAL, READ, ALLOW).with_principal(text("nobody"))
        }),
        ("no host", rule(TOPIC, &topic, LITERAL, READ, ALLOW).with_host(text(""))),
        ("a rule", rule(TOPIC, &topic, LITERAL, READ, ALLOW)),
        ("the same rule", rule(TOPIC, &topic, LITERAL, READ, ALLOW)),
        ("a denial", rule(TOPIC, &topic, LITERAL, WRITE, DENY)),
        ("a prefix", rule(TOPIC, &topic, PREFIXED, READ, ALLOW)),
    ] {
        let request = m::CreateAclsRequest::default().with_creations(vec![rule]);
        let answer = peer.any().ask(3, &request);
        let result = &answer.results[0];
        let message = result.error_message.as_deref();
        peer.tell(what, format!("{} {message:?}", name(result.error_code)));
    }
    eventually(|| find(peer, &topic, PREFIXED).len() == 1);
    for (what, resource, pattern) in [
        ("by name", topic.clone(), ANY),
        ("literal", topic.clone(), LITERAL),
        ("prefixed", topic.clone(), PREFIXED),
        ("matching", format!("{topic}-more"), MATCH),
        ("none", format!("{topic}-more"), LITERAL),
    ] {
        let found = find(peer, &resource, pattern);
        peer.tell(what, format!("{found:?}"));
    }
    remove(peer, &topic);
}

fn remove(peer: &mut Peer, topic: &str) {
    use m::delete_acls_request::DeleteAclsFilter;
    let filter = |operation| {
        DeleteAclsFilter::default()
            .with_resource_type_filter(TOPIC)
            .with_resource_name_filter(Some(text(topic)))
            .with_pattern_type_filter(ANY)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(operation)
            .with_permission_type(ANY)
    };
    let request = m::DeleteAclsRequest::default().with_filters(vec![filter(READ), filter(7)]);
    let answer = peer.any().ask(3, &request);
    for result in &answer.filter_results {
        let mut gone: Vec<_> = result
            .matching_acls
            .iter()
            .map(|acl| (acl.pattern_type, acl.operation, acl.error_code))
            .collect();
        gone.sort_unstable();
        let message = result.error_message.as_deref();
        peer.tell("removed", format!("{} {message:?} {gone:?}", name(result.error_code)));
    }
    eventually(|| find(peer, topic, PREFIXED).is_empty());
    let left = find(peer, topic, ANY);
    peer.tell("left", format!("{left:?}"));
    peer.any().ask(3, &m::DeleteAclsRequest::default().with_filters(vec![filter(ANY)]));
}

/// Elements of another age.
pub(crate) fn unknown_rules(peer: &mut Peer) {
    let topic = peer.unique("unknown");
    for rule in [
        rule(99, &topic, LITERAL, READ, ALLOW),
        rule(TOPIC, &topic, 99, READ, ALLOW),
        rule(TOPIC, &topic, LITERAL, 99, ALLOW),
        rule(TOPIC, &topic, LITERAL, READ, 99),
    ] {
        let request = m::CreateAclsRequest::default().with_creations(vec![rule]);
        let mut wire = peer.any();
        wire.send(3, &request);
        let told = wire.receive::<m::CreateAclsRequest>(3).map(|answer| {
            let results = answer.results.iter();
            let results = results.map(|one| (name(one.error_code), one.error_message.clone()));
            results.collect::<Vec<_>>()
        });
        peer.tell("an unknown element", format!("{told:?}"));
    }
}

fn alter(peer: &mut Peer, what: &str, request: &m::AlterUserScramCredentialsRequest) {
    let answer = peer.any().ask(0, request);
    let mut results: Vec<_> = answer
        .results
        .iter()
        .map(|one| {
            let message = one.error_message.as_deref();
            format!("{:?} {} {message:?}", &*one.user, name(one.error_code))
        })
        .collect();
    results.sort();
    peer.tell(what, results.join("; "));
}

pub(crate) fn scram(peer: &mut Peer) {
    use m::alter_user_scram_credentials_request::{
        ScramCredentialDeletion, ScramCredentialUpsertion,
    };
    let user = peer.unique("user");
    let set = |user: &str, mechanism, iterations| {
        ScramCredentialUpsertion::default()
            .with_name(text(user))
            .with_mechanism(mechanism)
            .with_iterations(iterations)
            .with_salt(vec![1; 16].into())
            .with_salted_password(vec![2; 32].into())
    };
    let gone = |user: &str, mechanism| {
        ScramCredentialDeletion::default().with_name(text(user)).with_mechanism(mechanism)
    };
    let request = m::AlterUserScramCredentialsRequest::default();
    for (what, one) in [
        ("no name", set("", 1, 4096)),
        ("no mechanism", set(&user, 9, 4096)),
        ("few iterations", set(&user, 1, 4095)),
        ("many iterations", set(&user, 1, 16385)),
        ("set", set(&user, 1, 4096)),
        ("another mechanism", set(&user, 2, 8192)),
    ] {
        alter(peer, what, &request.clone().with_upsertions(vec![one]));
    }
    let twice = vec![set(&user, 1, 4096), set(&user, 2, 4096)];
    alter(peer, "twice", &request.clone().with_upsertions(twice));
    let both = request.clone().with_upsertions(vec![set(&user, 1, 4096)]);
    alter(peer, "set and removed", &both.with_deletions(vec![gone(&user, 1)]));
    let describe = |names: &[&str]| {
        let names = names.iter().map(|name| {
            m::describe_user_scram_credentials_request::UserName::default().with_name(text(name))
        });
        let names = Some(names.collect());
        let request = m::DescribeUserScramCredentialsRequest::default().with_users(names);
        let answer = peer.any().ask(0, &request);
        let results = answer.results.iter().map(|one| {
            let mut infos: Vec<_> =
                one.credential_infos.iter().map(|info| (info.mechanism, info.iterations)).collect();
            infos.sort_unstable();
            let message = one.error_message.as_deref();
            format!("{:?} {} {message:?} {infos:?}", &*one.user, name(one.error_code))
        });
        let mut results: Vec<_> = results.collect();
        results.sort();
        results.join("; ")
    };
    eventually(|| describe(&[&user]).contains("8192"));
    let told = [describe(&[&user, "nobody-at-all"]), describe(&[&user, &user])];
    for told in told {
        peer.tell("described", told);
    }
    alter(peer, "removed", &request.clone().with_deletions(vec![gone(&user, 1)]));
    alter(peer, "removed again", &request.clone().with_deletions(vec![gone(&user, 1)]));
    alter(peer, "removed too", &request.with_deletions(vec![gone(&user, 2)]));
}

pub(crate) fn tokens(peer: &mut Peer) {
    let create = m::CreateDelegationTokenRequest::default()
        .with_owner_principal_type(None)
        .with_owner_principal_name(None)
        .with_max_lifetime_ms(-1);
    let answer = peer.any().ask(3, &create);
    let said = (&*answer.principal_type, &*answer.principal_name);
    let by = (&*answer.token_requester_principal_type, &*answer.token_requester_principal_name);
    let times = (answer.issue_timestamp_ms, answer.expiry_timestamp_ms, answer.max_timestamp_ms);
    let code = name(answer.error_code);
    peer.tell("created", format!("{code} {said:?} {by:?} {times:?} {:?}", &*answer.token_id));
    let renew = m::RenewDelegationTokenRequest::default().with_hmac(vec![1, 2, 3].into());
    let answer = peer.any().ask(2, &renew);
    peer.tell("renewed", format!("{} {}", name(answer.error_code), answer.expiry_timestamp_ms));
    let expire = m::ExpireDelegationTokenRequest::default().with_hmac(vec![1, 2, 3].into());
    let answer = peer.any().ask(2, &expire);
    peer.tell("expired", format!("{} {}", name(answer.error_code), answer.expiry_timestamp_ms));
    let describe = m::DescribeDelegationTokenRequest::default().with_owners(None);
    let answer = peer.any().ask(3, &describe);
    peer.tell("described", format!("{} {}", name(answer.error_code), answer.tokens.len()));
}
