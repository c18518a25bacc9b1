//! Admin calls about access: rules, quotas, SCRAM users, delegation tokens.

use std::collections::BTreeMap;

use bytes::Bytes;
use millstream_client::ErrorCode;
use millstream_client::admin::{
    AclBinding, AclFilter, AclOperation, AclPermission, AclResourceType, NewDelegationToken,
    PatternType, QuotaChange, QuotaEntity, QuotaFilter, QuotaMatch, ScramChange, ScramMechanism,
};

use crate::cluster::{TestCluster, unique};
use crate::deadline::{eventually, step};

/// Rules are created, found by what they concern, and deleted by filter.
pub async fn rules_come_and_go(cluster: &TestCluster) {
    let admin = cluster.admin();
    let (name, user) = (unique("ruled"), format!("User:{}", unique("alice")));
    let topic = AclResourceType::Topic;
    let read = AclBinding::allow(topic, &name, &user, AclOperation::Read);
    let write = AclBinding::allow(topic, "ruled", &user, AclOperation::Write).prefixed().deny();
    admin.create_acls([read.clone(), write.clone()]).await.expect("they are created");
    let of_user = || AclFilter { principal: Some(user.clone()), ..AclFilter::default() };
    eventually("both are found", || async {
        let found = admin.describe_acls(of_user()).await.expect("rules");
        found.contains(&read) && found.contains(&write)
    })
    .await;
    let concerning = AclFilter { principal: Some(user.clone()), ..AclFilter::about(topic, &name) };
    let found = admin.describe_acls(concerning).await.expect("rules");
    assert_eq!(found.len(), 2, "literal and prefixed ones: {found:?}");
    let denied = found.iter().find(|rule| rule.permission == AclPermission::Deny);
    assert_eq!(denied.map(|rule| rule.pattern_type), Some(PatternType::Prefixed));

    step("one by itself, the rest by its user");
    let exact = AclFilter::from(&read);
    let filters = [exact.clone(), of_user()];
    let deleted = admin.delete_acls(filters).await.expect("they are deleted");
    assert!(deleted[&exact].keys().eq([&read]), "{deleted:?}");
    assert!(deleted.values().flat_map(BTreeMap::values).all(Result::is_ok));
    eventually("none is left", || async {
        admin.describe_acls(of_user()).await.expect("rules").is_empty()
    })
    .await;
}

/// Quotas are set, found and taken away; what cannot be is refused.
pub async fn quotas_come_and_go(cluster: &TestCluster) {
    let admin = cluster.admin();
    let user = unique("bob");
    let entity = QuotaEntity::user(&user).and("client-id", Some("tool".to_owned()));
    let set = |value| QuotaChange::Set { key: "producer_byte_rate".to_owned(), value };
    let validated = admin.validate_alter_client_quotas([(entity.clone(), vec![set(5.0)])]).await;
    validated.expect("it could be set");
    let of_user = || QuotaFilter::all().with("user", QuotaMatch::Exactly(user.clone()));
    assert!(admin.describe_client_quotas(of_user()).await.expect("quotas").is_empty());
    let changes = [(entity.clone(), vec![set(1_048_576.0)])];
    admin.alter_client_quotas(changes).await.expect("it is set");
    eventually("the quota is found", || async {
        let found = admin.describe_client_quotas(of_user()).await.expect("quotas");
        found.get(&entity).is_some_and(|quotas| quotas["producer_byte_rate"] == 1_048_576.0)
    })
    .await;
    let strict = of_user().strict();
    assert!(admin.describe_client_quotas(strict).await.expect("quotas").is_empty());
    let wrong = QuotaChange::Set { key: "no_such_quota".to_owned(), value: 1.0 };
    let error = admin.alter_client_quotas([(entity.clone(), vec![wrong])]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::InvalidRequest), "{error}");
    let remove = QuotaChange::Remove { key: "producer_byte_rate".to_owned() };
    admin.alter_client_quotas([(entity, vec![remove])]).await.expect("it is taken away");
    eventually("no quota is left", || async {
        admin.describe_client_quotas(of_user()).await.expect("quotas").is_empty()
    })
    .await;
}

/// Users get credentials and lose them; a user without any is named.
pub async fn scram_users_come_and_go(cluster: &TestCluster) {
    let admin = cluster.admin();
    let (carol, absent) = (unique("carol"), unique("absent"));
    let upsert = |mechanism, iterations| ScramChange::Upsert {
        user: carol.clone(),
        mechanism,
        iterations,
        password: "secret".to_owned(),
    };
    let changes = [upsert(ScramMechanism::Sha256, 4096), upsert(ScramMechanism::Sha512, 8192)];
    admin.alter_user_scram_credentials(changes).await.expect("she is known");
    eventually("both credentials are told", || async {
        let told = admin.describe_user_scram_credentials([&*carol]).await;
        told.is_ok_and(|users| {
            users[&carol]
                .iter()
                .map(|(kind, count)| (*kind, *count))
                .eq([(ScramMechanism::Sha256, 4096), (ScramMechanism::Sha512, 8192)])
        })
    })
    .await;
    let all = admin.describe_all_user_scram_credentials().await.expect("all users");
    assert!(all.contains_key(&carol));
    let error = admin.describe_user_scram_credentials([&*carol, &*absent]).await.unwrap_err();
    let failed: Vec<_> = error.failed().map(|(user, error)| (user.clone(), error.code())).collect();
    assert_eq!(failed, [(absent.clone(), Some(ErrorCode::ResourceNotFound))]);

    step("too few iterations are refused without asking, a deletion of nothing by the cluster");
    let delete = |user: &String, mechanism| ScramChange::Delete { user: user.clone(), mechanism };
    let weak = upsert(ScramMechanism::Sha256, 100);
    let missing = delete(&absent, ScramMechanism::Sha256);
    let error = admin.alter_user_scram_credentials([weak, missing]).await.unwrap_err();
    let failed: BTreeMap<_, _> =
        error.failed().map(|(user, error)| (user.clone(), error.code())).collect();
    assert_eq!(failed[&carol], Some(ErrorCode::UnacceptableCredential));
    assert_eq!(failed[&absent], Some(ErrorCode::ResourceNotFound));
    let changes = [delete(&carol, ScramMechanism::Sha256), delete(&carol, ScramMechanism::Sha512)];
    admin.alter_user_scram_credentials(changes).await.expect("she is forgotten");
}

/// Without authentication there are no delegation tokens, and the cluster says so.
pub async fn tokens_need_authentication(cluster: &TestCluster) {
    let admin = cluster.admin();
    let expected = [
        Some(ErrorCode::DelegationTokenAuthDisabled),
        Some(ErrorCode::DelegationTokenRequestNotAllowed),
    ];
    let code = |error: millstream_client::admin::AdminError| match error {
        millstream_client::admin::AdminError::Call(error) => error.code(),
        other => panic!("{other}"),
    };
    let error = admin.create_delegation_token(NewDelegationToken::default()).await.unwrap_err();
    assert!(expected.contains(&code(error)));
    let hmac = Bytes::from_static(b"no such token");
    let error = admin.renew_delegation_token(hmac.clone(), None).await.unwrap_err();
    assert!(expected.contains(&code(error)));
    let error = admin.expire_delegation_token(hmac, None).await.unwrap_err();
    assert!(expected.contains(&code(error)));
    let error = admin.describe_all_delegation_tokens().await.unwrap_err();
    assert!(expected.contains(&code(error)));
}
