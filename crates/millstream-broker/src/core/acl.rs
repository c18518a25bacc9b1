//! Access control: the rules that are stored, and what they permit.
//!
//! The decisions are those of `StandardAuthorizer.java`: super users may all, a DENY that matches
//! wins, an ALLOW that matches permits, and without either the default decides. Numbers are those
//! of the protocol (`ResourceType`, `PatternType`, `AclOperation`, `AclPermissionType`).

use std::collections::BTreeSet;

use super::config::SecurityConfig;

/// Resource types.
pub(crate) mod resource {
    pub(crate) const ANY: i8 = 1;
    pub(crate) const TOPIC: i8 = 2;
    pub(crate) const GROUP: i8 = 3;
    pub(crate) const CLUSTER: i8 = 4;
    pub(crate) const TRANSACTIONAL_ID: i8 = 5;
    /// The highest that is known (USER).
    pub(crate) const LAST: i8 = 7;
    /// The name of the one cluster.
    pub(crate) const CLUSTER_NAME: &str = "kafka-cluster";
}

/// Pattern types.
pub(crate) mod pattern {
    pub(crate) const ANY: i8 = 1;
    pub(crate) const MATCH: i8 = 2;
    pub(crate) const LITERAL: i8 = 3;
    pub(crate) const PREFIXED: i8 = 4;
}

/// Operations.
pub(crate) mod operation {
    pub(crate) const ANY: i8 = 1;
    pub(crate) const ALL: i8 = 2;
    pub(crate) const READ: i8 = 3;
    pub(crate) const WRITE: i8 = 4;
    pub(crate) const CREATE: i8 = 5;
    pub(crate) const DELETE: i8 = 6;
    pub(crate) const ALTER: i8 = 7;
    pub(crate) const DESCRIBE: i8 = 8;
    pub(crate) const CLUSTER_ACTION: i8 = 9;
    pub(crate) const DESCRIBE_CONFIGS: i8 = 10;
    pub(crate) const ALTER_CONFIGS: i8 = 11;
    pub(crate) const IDEMPOTENT_WRITE: i8 = 12;
    /// The highest that is known (TWO_PHASE_COMMIT).
    pub(crate) const LAST: i8 = 15;
}

/// Permission types.
pub(crate) mod permission {
    pub(crate) const ANY: i8 = 1;
    pub(crate) const DENY: i8 = 2;
    pub(crate) const ALLOW: i8 = 3;
}

const WILDCARD: &str = "*";
const EVERYBODY: &str = "User:*";

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Acl {
    pub(crate) resource_type: i8,
    pub(crate) name: String,
    pub(crate) pattern_type: i8,
    pub(crate) principal: String,
    pub(crate) host: String,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

/// What rules are looked for. `None` matches any.
#[derive(Clone, Debug)]
pub(crate) struct AclFilter {
    pub(crate) resource_type: i8,
    pub(crate) name: Option<String>,
    pub(crate) pattern_type: i8,
    pub(crate) principal: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

impl AclFilter {
    /// What of it is of a kind that this broker does not know, as Kafka says it.
    pub(crate) const fn unknown(&self) -> Option<&'static str> {
        if !known(self.resource_type, resource::LAST)
            || !known(self.pattern_type, pattern::PREFIXED)
        {
            return Some("Unknown patternFilter.");
        }
        if !known(self.operation, operation::LAST) || !known(self.permission, permission::ALLOW) {
            return Some("Unknown entryFilter.");
        }
        None
    }

    /// Whether a rule is meant (`AclBindingFilter.matches`).
    pub(crate) fn matches(&self, acl: &Acl) -> bool {
        let is = |filter: &Option<String>, value: &str| {
            filter.as_deref().is_none_or(|wanted| wanted == value)
        };
        self.matches_pattern(acl)
            && is(&self.principal, &acl.principal)
            && is(&self.host, &acl.host)
            && (self.operation == operation::ANY || self.operation == acl.operation)
            && (self.permission == permission::ANY || self.permission == acl.permission)
    }

    fn matches_pattern(&self, acl: &Acl) -> bool {
        if self.resource_type != resource::ANY && self.resource_type != acl.resource_type {
            return false;
        }
        let exact = self.pattern_type == acl.pattern_type;
        let loose = self.pattern_type == pattern::ANY;
        if !exact && !loose && self.pattern_type != pattern::MATCH {
            return false;
        }
        match &self.name {
            None => true,
            Some(name) if exact || loose => *name == acl.name,
            Some(name) => acl.covers(name),
        }
    }
}

const fn known(number: i8, last: i8) -> bool {
    number >= 1 && number <= last
}

impl Acl {
    /// Whether its pattern covers the resource of this name.
    fn covers(&self, name: &str) -> bool {
        match self.pattern_type {
            pattern::PREFIXED => name.starts_with(&self.name),
            _ => self.name == name || self.name == WILDCARD,
        }
    }

    fn is_for(&self, principal: &str, host: &str) -> bool {
        (self.principal == principal || self.principal == EVERYBODY)
            && (self.host == host || self.host == WILDCARD)
    }

    /// Whether it speaks of an operation; permissions imply others (`AclEntry.java`).
    const fn speaks_of(&self, wanted: i8) -> bool {
        if self.operation == operation::ALL || self.operation == wanted {
            return true;
        }
        if self.permission != permission::ALLOW {
            return false;
        }
        match wanted {
            operation::DESCRIBE => matches!(
                self.operation,
                operation::READ | operation::WRITE | operation::DELETE | operation::ALTER
            ),
            operation::DESCRIBE_CONFIGS => self.operation == operation::ALTER_CONFIGS,
            _ => false,
        }
    }
}

/// Who asks, from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) principal: &'a str,
    pub(crate) host: &'a str,
}

/// The rules of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Acls(BTreeSet<Acl>);

impl Acls {
    /// Stores a rule; one that is stored already is no news.
    pub(crate) fn insert(&mut self, acl: Acl) {
        self.0.insert(acl);
    }

    /// How many are stored.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The rules that match.
    pub(crate) fn find<'a>(&'a self, filter: &'a AclFilter) -> impl Iterator<Item = &'a Acl> {
        self.0.iter().filter(|acl| filter.matches(acl))
    }

    /// Takes rules away.
    pub(crate) fn remove(&mut self, gone: &Acl) {
        self.0.remove(gone);
    }

    /// Whether somebody may do something to a resource.
    pub(crate) fn permits(
        &self,
        config: &SecurityConfig,
        asker: Asker<'_>,
        wanted: i8,
        resource_type: i8,
        name: &str,
    ) -> bool {
        if config.super_users.iter().any(|user| user == asker.principal) {
            return true;
        }
        let on_it = || {
            let all = self.0.iter().filter(move |acl| acl.resource_type == resource_type);
            all.filter(move |acl| acl.covers(name))
        };
        let mut heard = on_it()
            .filter(|acl| acl.is_for(asker.principal, asker.host) && acl.speaks_of(wanted))
            .map(|acl| acl.permission);
        let mut allowed = false;
        if heard.any(|permission| {
            allowed |= permission == permission::ALLOW;
            permission == permission::DENY
        }) {
            return false;
        }
        allowed || (config.allow_everyone_if_no_acl_found && on_it().next().is_none())
    }

    /// Whether somebody may do something to at least one topic (`authorizeByResourceType`), as far
    /// as ALLOW rules say; a DENY on all topics outweighs them.
    pub(crate) fn permits_any_topic(
        &self,
        config: &SecurityConfig,
        asker: Asker<'_>,
        wanted: i8,
    ) -> bool {
        if self.permits(config, asker, wanted, resource::TOPIC, WILDCARD) {
            return true;
        }
        let mut heard = self.0.iter().filter(|acl| {
            acl.resource_type == resource::TOPIC
                && acl.is_for(asker.principal, asker.host)
                && acl.speaks_of(wanted)
        });
        let denies_all = |acl: &Acl| acl.permission == permission::DENY && acl.name == WILDCARD;
        let denied = heard.clone().any(denies_all);
        !denied && heard.any(|acl| acl.permission == permission::ALLOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(name: &str, pattern_type: i8, operation: i8, permission: i8) -> Acl {
        Acl {
            resource_type: resource::TOPIC,
            name: name.to_owned(),
            pattern_type,
            principal: "User:a".to_owned(),
            host: WILDCARD.to_owned(),
            operation,
            permission,
        }
    }

    fn permits(acls: &Acls, wanted: i8, name: &str) -> bool {
        let config = SecurityConfig::default();
        let asker = Asker { principal: "User:a", host: "127.0.0.1" };
        acls.permits(&config, asker, wanted, resource::TOPIC, name)
    }

    #[test]
    fn rules_permit_what_they_cover_and_a_denial_wins() {
        let mut acls = Acls::default();
        assert!(!permits(&acls, operation::READ, "t"), "nothing is permitted by default");
        acls.insert(acl("t", pattern::PREFIXED, operation::READ, permission::ALLOW));
        assert!(permits(&acls, operation::READ, "topic"));
        assert!(permits(&acls, operation::DESCRIBE, "t"), "who may read may describe");
        assert!(!permits(&acls, operation::WRITE, "t"));
        assert!(!permits(&acls, operation::READ, "other"));
        acls.insert(acl(WILDCARD, pattern::LITERAL, operation::ALL, permission::ALLOW));
        assert!(permits(&acls, operation::WRITE, "other"));
        acls.insert(acl("other", pattern::LITERAL, operation::WRITE, permission::DENY));
        assert!(!permits(&acls, operation::WRITE, "other"));
        assert!(permits(&acls, operation::DESCRIBE, "other"), "a denial implies nothing");
    }

    #[test]
    fn a_filter_matches_by_pattern_and_entry() {
        let filter = |name: Option<&str>, pattern_type| AclFilter {
            resource_type: resource::ANY,
            name: name.map(str::to_owned),
            pattern_type,
            principal: None,
            host: None,
            operation: operation::ANY,
            permission: permission::ANY,
        };
        let prefixed = acl("to", pattern::PREFIXED, operation::READ, permission::ALLOW);
        let all = acl(WILDCARD, pattern::LITERAL, operation::READ, permission::ALLOW);
        assert!(filter(None, pattern::ANY).matches(&prefixed));
        assert!(filter(Some("to"), pattern::ANY).matches(&prefixed));
        assert!(!filter(Some("topic"), pattern::ANY).matches(&prefixed));
        assert!(!filter(Some("to"), pattern::LITERAL).matches(&prefixed));
        assert!(filter(Some("topic"), pattern::MATCH).matches(&prefixed));
        assert!(filter(Some("topic"), pattern::MATCH).matches(&all));
        assert!(!filter(Some("x"), pattern::MATCH).matches(&prefixed));
        let mut other = filter(None, pattern::ANY);
        other.operation = operation::WRITE;
        assert!(!other.matches(&all));
        other.operation = operation::LAST + 1;
        assert_eq!(other.unknown(), Some("Unknown entryFilter."));
    }
}
