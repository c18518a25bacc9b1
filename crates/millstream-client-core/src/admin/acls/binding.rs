//! The words of rules of access, as in Java's `org.apache.kafka.common.acl` and `.resource`.

use std::fmt;

use super::super::texts::words;

words! {
    /// A kind of resource that rules are about.
    AclResourceType {
        /// A topic.
        Topic = 2, "TOPIC";
        /// A group.
        Group = 3, "GROUP";
        /// The cluster; its name is `kafka-cluster`.
        Cluster = 4, "CLUSTER";
        /// A transactional id.
        TransactionalId = 5, "TRANSACTIONAL_ID";
        /// A delegation token.
        DelegationToken = 6, "DELEGATION_TOKEN";
        /// A user whose SCRAM credentials or tokens are concerned.
        User = 7, "USER";
    }
}

words! {
    /// How a rule's resource name is meant.
    PatternType {
        /// As it stands.
        Literal = 3, "LITERAL";
        /// As the beginning of names.
        Prefixed = 4, "PREFIXED";
    }
}

words! {
    /// Whether a rule allows or denies.
    AclPermission {
        /// It denies.
        Deny = 2, "DENY";
        /// It allows.
        Allow = 3, "ALLOW";
    }
}

words! {
    /// What a rule allows or denies to do.
    AclOperation {
        /// Everything.
        All = 2, "ALL";
        /// To read.
        Read = 3, "READ";
        /// To write.
        Write = 4, "WRITE";
        /// To create.
        Create = 5, "CREATE";
        /// To delete.
        Delete = 6, "DELETE";
        /// To alter.
        Alter = 7, "ALTER";
        /// To describe.
        Describe = 8, "DESCRIBE";
        /// To act as a broker does.
        ClusterAction = 9, "CLUSTER_ACTION";
        /// To describe settings.
        DescribeConfigs = 10, "DESCRIBE_CONFIGS";
        /// To change settings.
        AlterConfigs = 11, "ALTER_CONFIGS";
        /// To write idempotently.
        IdempotentWrite = 12, "IDEMPOTENT_WRITE";
        /// To create delegation tokens.
        CreateTokens = 13, "CREATE_TOKENS";
        /// To describe delegation tokens.
        DescribeTokens = 14, "DESCRIBE_TOKENS";
        /// To take part in two-phase commits.
        TwoPhaseCommit = 15, "TWO_PHASE_COMMIT";
    }
}

/// What a caller may do to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclOperations(u32);

impl AclOperations {
    /// Reads the bits of an answer; `None` where it was not asked for them.
    pub(in crate::admin) const fn read(bits: i32) -> Option<Self> {
        if bits == i32::MIN { None } else { Some(Self(bits.cast_unsigned())) }
    }

    /// Whether the operation is allowed.
    #[must_use]
    pub const fn contains(self, operation: AclOperation) -> bool {
        let code = operation.code();
        code >= 0 && code < 32 && self.0 & (1 << code) != 0
    }

    /// The operations that are allowed.
    pub fn iter(self) -> impl Iterator<Item = AclOperation> {
        (2..31).map(AclOperation::read).filter(move |operation| self.contains(*operation))
    }
}

/// A rule of access.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclBinding {
    /// The kind of resource.
    pub resource_type: AclResourceType,
    /// Its name, or the beginning of names; `*` literally means all.
    pub resource_name: String,
    /// How the name is meant.
    pub pattern_type: PatternType,
    /// Who: `User:alice`, or `User:*` for everybody.
    pub principal: String,
    /// From where: an address, or `*` for everywhere.
    pub host: String,
    /// What.
    pub operation: AclOperation,
    /// Whether it is allowed or denied.
    pub permission: AclPermission,
}

impl AclBinding {
    /// Allows `principal` to do `operation` to the resource of exactly this name, from everywhere.
    pub fn allow(
        resource_type: AclResourceType,
        resource_name: impl Into<String>,
        principal: impl Into<String>,
        operation: AclOperation,
    ) -> Self {
        Self {
            resource_type,
            resource_name: resource_name.into(),
            pattern_type: PatternType::Literal,
            principal: principal.into(),
            host: "*".to_owned(),
            operation,
            permission: AclPermission::Allow,
        }
    }

    /// Denies instead.
    #[must_use]
    pub const fn deny(mut self) -> Self {
        self.permission = AclPermission::Deny;
        self
    }

    /// Takes the name for the beginning of names.
    #[must_use]
    pub const fn prefixed(mut self) -> Self {
        self.pattern_type = PatternType::Prefixed;
        self
    }
}

impl fmt::Display for AclBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource_type, resource_name, pattern_type, principal, host, .. } = self;
        let Self { operation, permission, .. } = self;
        write!(f, "{permission} {principal} from {host} to {operation} ")?;
        write!(f, "{pattern_type} {resource_type} {resource_name}")
    }
}

/// Which rules are meant: those that fit all that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclFilter {
    /// The kind of resource.
    pub resource_type: Option<AclResourceType>,
    /// The name of the resource.
    pub resource_name: Option<String>,
    /// How the name is meant.
    pub pattern: AclPatternFilter,
    /// Who.
    pub principal: Option<String>,
    /// From where.
    pub host: Option<String>,
    /// What.
    pub operation: Option<AclOperation>,
    /// Whether it is allowed or denied.
    pub permission: Option<AclPermission>,
}

/// Which patterns a filter's name finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AclPatternFilter {
    /// Those of that name, whatever it means there.
    #[default]
    Any,
    /// All that concern a resource of that name: literal, wildcard and prefixed ones.
    Match,
    /// Those of that name where it is meant so.
    Exactly(PatternType),
}

/// "Any" as the number of a resource type, pattern, operation or permission.
const ANY: i8 = 1;
const MATCH: i8 = 2;

impl AclFilter {
    /// The rules that concern this resource.
    pub fn about(resource_type: AclResourceType, resource_name: impl Into<String>) -> Self {
        Self {
            resource_type: Some(resource_type),
            resource_name: Some(resource_name.into()),
            pattern: AclPatternFilter::Match,
            ..Self::default()
        }
    }

    pub(super) fn type_code(&self) -> i8 {
        self.resource_type.map_or(ANY, AclResourceType::code)
    }

    pub(super) const fn pattern_code(&self) -> i8 {
        match self.pattern {
            AclPatternFilter::Any => ANY,
            AclPatternFilter::Match => MATCH,
            AclPatternFilter::Exactly(pattern) => pattern.code(),
        }
    }

    pub(super) fn operation_code(&self) -> i8 {
        self.operation.map_or(ANY, AclOperation::code)
    }

    pub(super) fn permission_code(&self) -> i8 {
        self.permission.map_or(ANY, AclPermission::code)
    }
}

/// The filter that finds exactly this rule.
impl From<&AclBinding> for AclFilter {
    fn from(binding: &AclBinding) -> Self {
        Self {
            resource_type: Some(binding.resource_type),
            resource_name: Some(binding.resource_name.clone()),
            pattern: AclPatternFilter::Exactly(binding.pattern_type),
            principal: Some(binding.principal.clone()),
            host: Some(binding.host.clone()),
            operation: Some(binding.operation),
            permission: Some(binding.permission),
        }
    }
}

impl fmt::Display for AclFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut part = |name: &str, value: Option<String>| match value {
            None => Ok(()),
            Some(value) => {
                let written = write!(f, "{separator}{name} {value}");
                separator = ", ";
                written
            }
        };
        part("resource", self.resource_type.map(|value| value.to_string()))?;
        part("named", self.resource_name.clone())?;
        part("of", self.principal.clone())?;
        part("from", self.host.clone())?;
        part("to", self.operation.map(|value| value.to_string()))?;
        part("permission", self.permission.map(|value| value.to_string()))?;
        if separator.is_empty() { f.write_str("any") } else { Ok(()) }
    }
}
