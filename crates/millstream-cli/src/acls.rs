//! `millstream acls`: who may do what.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use millstream_client::admin::{
    AclBinding, AclFilter, AclOperation, AclPatternFilter, AclPermission, AclResourceType,
    PatternType,
};
use serde_json::{Value, json};

use crate::connection::Target;
use crate::error::Failure;
use crate::outcome;

/// Lists, creates and deletes rules of access.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A resource is `topic/NAME`, `group/NAME`, `transactional_id/NAME`, `user/NAME`, `delegation_token/ID` or `cluster`.\nExample: millstream acls create --principal User:alice --operation read --resource topic/orders"
)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the rules that fit what is given.
    #[command(after_help = "Example: millstream acls list --resource topic/orders")]
    List(Filter),
    /// Creates a rule for each operation.
    #[command(
        after_help = "Example: millstream acls create --principal User:alice --operation write,describe --resource topic/orders- --prefixed"
    )]
    Create(New),
    /// Deletes the rules that fit what is given, and shows them.
    #[command(after_help = "Example: millstream acls delete --principal User:alice")]
    Delete {
        #[command(flatten)]
        filter: Filter,
        /// Delete every rule there is.
        #[arg(long)]
        all: bool,
    },
}

/// The rules to create.
#[derive(Debug, clap::Args)]
struct New {
    /// Who: `User:NAME`, or `User:*` for everybody.
    #[arg(long)]
    principal: String,
    /// What they may do, such as `read`, `write`, `describe`, `all`.
    #[arg(long, required = true, value_delimiter = ',')]
    operation: Vec<AclOperation>,
    /// To which resource.
    #[arg(long, value_parser = resource)]
    resource: Resource,
    /// To all whose names begin so.
    #[arg(long)]
    prefixed: bool,
    /// They may not.
    #[arg(long)]
    deny: bool,
    /// From which address.
    #[arg(long, default_value = "*")]
    host: String,
}

/// Which rules are meant.
#[derive(Debug, clap::Args)]
struct Filter {
    /// Those about a resource.
    #[arg(long, value_parser = resource)]
    resource: Option<Resource>,
    /// How the resource's name is found: where it stands so, or wherever it is concerned.
    #[arg(long, value_enum, default_value_t = Pattern::Match, requires = "resource")]
    pattern: Pattern,
    /// Those of somebody.
    #[arg(long)]
    principal: Option<String>,
    /// Those about an operation.
    #[arg(long)]
    operation: Option<AclOperation>,
    /// Those that allow, or those that deny.
    #[arg(long, value_name = "allow|deny")]
    permission: Option<AclPermission>,
    /// Those for an address.
    #[arg(long)]
    host: Option<String>,
}

/// How a resource's name finds rules.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pattern {
    /// All rules that concern a resource of that name.
    Match,
    /// Rules in which the name stands, whatever it means there.
    Any,
    /// Rules for exactly that name.
    Literal,
    /// Rules for all names that begin so.
    Prefixed,
}

/// A kind of resource, and its name.
type Resource = (AclResourceType, String);

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::List(filter) => {
            let admin = args.target.admin().await?;
            let rules = admin.describe_acls(filter.read()).await?;
            args.target.show(&rules.iter().map(row).collect());
            Ok(ExitCode::SUCCESS)
        }
        What::Create(new) => {
            outcome::done(args.target.admin().await?.create_acls(new.read()).await)
        }
        What::Delete { filter, all } => {
            let filter = filter.read();
            if filter == AclFilter::default() && !all {
                let text = "this would delete every rule: say which ones, or give --all";
                return Err(Failure::new(text));
            }
            delete(&args.target, filter).await
        }
    }
}

async fn delete(target: &Target, filter: AclFilter) -> Result<ExitCode, Failure> {
    let found = outcome::sort(target.admin().await?.delete_acls([filter]).await)?;
    let mut code = found.code;
    let mut deleted = Vec::new();
    for (rule, result) in found.succeeded.values().flatten() {
        match result {
            Ok(()) => deleted.push(row(rule)),
            Err(error) => {
                Failure::from(error.clone()).print();
                code = ExitCode::FAILURE;
            }
        }
    }
    target.show(&Value::Array(deleted));
    Ok(code)
}

impl New {
    fn read(&self) -> Vec<AclBinding> {
        let (kind, name) = &self.resource;
        let pattern = if self.prefixed { PatternType::Prefixed } else { PatternType::Literal };
        let permission = if self.deny { AclPermission::Deny } else { AclPermission::Allow };
        let rule = |operation: &AclOperation| {
            let mut rule = AclBinding::allow(*kind, name, &self.principal, *operation);
            rule.host.clone_from(&self.host);
            rule.pattern_type = pattern;
            rule.permission = permission;
            rule
        };
        self.operation.iter().map(rule).collect()
    }
}

impl Filter {
    fn read(&self) -> AclFilter {
        let mut filter = AclFilter::default();
        if let Some((kind, name)) = &self.resource {
            filter.resource_type = Some(*kind);
            filter.resource_name = Some(name.clone());
            filter.pattern = match self.pattern {
                Pattern::Match => AclPatternFilter::Match,
                Pattern::Any => AclPatternFilter::Any,
                Pattern::Literal => AclPatternFilter::Exactly(PatternType::Literal),
                Pattern::Prefixed => AclPatternFilter::Exactly(PatternType::Prefixed),
            };
        }
        filter.principal.clone_from(&self.principal);
        filter.host.clone_from(&self.host);
        filter.operation = self.operation;
        filter.permission = self.permission;
        filter
    }
}

fn row(rule: &AclBinding) -> Value {
    json!({
        "permission": rule.permission.to_string(),
        "principal": rule.principal,
        "operation": rule.operation.to_string(),
        "resourceType": rule.resource_type.to_string(),
        "resource": rule.resource_name,
        "pattern": rule.pattern_type.to_string(),
        "host": rule.host,
    })
}

fn resource(text: &str) -> Result<Resource, String> {
    if text.eq_ignore_ascii_case("cluster") {
        // The one name that Kafka knows (Resource.CLUSTER_NAME).
        return Ok((AclResourceType::Cluster, "kafka-cluster".to_owned()));
    }
    let Some((kind, name)) = text.split_once('/').filter(|(_, name)| !name.is_empty()) else {
        return Err("KIND/NAME is needed, such as `topic/orders`, or `cluster`".to_owned());
    };
    let kind: AclResourceType = kind.parse().map_err(|error| format!("{error}"))?;
    Ok((kind, name.to_owned()))
}
