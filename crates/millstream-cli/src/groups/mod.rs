//! `millstream groups`: groups of any kind, their members and offsets.

mod describe;

use std::process::ExitCode;

use clap::Subcommand;
use millstream_client::Admin;
use millstream_client::admin::{GroupFilter, GroupState, GroupType, MemberToRemove};
use millstream_types::{GroupId, Offset, OffsetAndMetadata, TopicName, TopicPartition};
use serde_json::json;

use crate::connection::Target;
use crate::error::Failure;
use crate::{outcome, parse};

/// Lists, describes and changes groups.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: millstream groups lag billing -b localhost:9092")]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the groups.
    #[command(after_help = "Example: millstream groups list --state Stable")]
    List {
        /// Only those in such a state, such as `Stable` or `Empty`.
        #[arg(long)]
        state: Vec<GroupState>,
        /// Only those of such a kind: `classic`, `consumer`, `share`, `streams`.
        #[arg(long = "type")]
        kind: Vec<GroupType>,
    },
    /// Shows groups with their members.
    #[command(after_help = "Example: millstream groups describe billing")]
    Describe {
        /// The groups.
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Shows how far a group is behind.
    #[command(after_help = "Example: millstream groups lag billing")]
    Lag {
        /// The group.
        group: String,
    },
    /// Sets the offsets of a group that has no members.
    #[command(after_help = "Example: millstream groups set-offsets billing orders:0=100")]
    SetOffsets {
        /// The group.
        group: String,
        /// The next offset of each partition.
        #[arg(required = true, value_name = "TOPIC:PARTITION=OFFSET", value_parser = next_offset)]
        offsets: Vec<(TopicPartition, Offset)>,
        /// It is a share group: these are the offsets that it starts from.
        #[arg(long)]
        share: bool,
    },
    /// Deletes offsets of a group, where it does not read.
    #[command(after_help = "Example: millstream groups delete-offsets billing orders:0")]
    DeleteOffsets {
        /// The group.
        group: String,
        /// The partitions.
        #[arg(required = true, value_name = "TOPIC:PARTITION", value_parser = parse::topic_partition)]
        partitions: Vec<TopicPartition>,
        /// It is a share group: the offsets of whole topics are deleted.
        #[arg(long)]
        share: bool,
    },
    /// Makes members leave a group.
    #[command(
        after_help = "Example: millstream groups remove-members billing --instance billing-1"
    )]
    RemoveMembers {
        /// The group.
        group: String,
        /// The static members, by `group.instance.id`.
        #[arg(long, required_unless_present = "all")]
        instance: Vec<String>,
        /// All members.
        #[arg(long, conflicts_with = "instance")]
        all: bool,
    },
    /// Deletes groups that have no members.
    #[command(after_help = "Example: millstream groups delete billing")]
    Delete {
        /// The groups.
        #[arg(required = true)]
        groups: Vec<String>,
    },
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let target = &args.target;
    let admin = target.admin().await?;
    match &args.what {
        What::List { state, kind } => list(target, &admin, state, kind).await,
        What::Describe { groups } => describe::run(target, &admin, groups).await,
        What::Lag { group } => lag(target, &admin, group).await,
        What::SetOffsets { group, offsets, share } => {
            let group = GroupId::from(group.as_str());
            let offsets = offsets.iter().cloned();
            if *share {
                return outcome::done(admin.alter_share_group_offsets(group, offsets).await);
            }
            let offsets = offsets.map(|(p, offset)| (p, OffsetAndMetadata::from(offset)));
            outcome::done(admin.alter_group_offsets(group, offsets).await)
        }
        What::DeleteOffsets { group, partitions, share } => {
            let group = GroupId::from(group.as_str());
            if *share {
                let topics: Vec<TopicName> = partitions.iter().map(|p| p.topic.clone()).collect();
                return outcome::done(admin.delete_share_group_offsets(group, topics).await);
            }
            outcome::done(admin.delete_group_offsets(group, partitions.iter().cloned()).await)
        }
        What::RemoveMembers { group, instance, .. } => {
            let group = GroupId::from(group.as_str());
            if instance.is_empty() {
                return outcome::done(admin.remove_all_group_members(group, None).await);
            }
            let members = instance.iter().map(|id| MemberToRemove::Static(id.as_str().into()));
            outcome::done(admin.remove_group_members(group, members, None).await)
        }
        What::Delete { groups } => {
            let groups = groups.iter().map(|group| GroupId::from(group.as_str()));
            outcome::done(admin.delete_groups(groups).await)
        }
    }
}

async fn list(
    target: &Target,
    admin: &Admin,
    states: &[GroupState],
    kinds: &[GroupType],
) -> Result<ExitCode, Failure> {
    let filter = states.iter().cloned().fold(GroupFilter::all(), GroupFilter::state);
    let filter = kinds.iter().cloned().fold(filter, GroupFilter::group_type);
    let groups = admin.list_groups(filter).await?;
    let rows = groups.values().map(|group| {
        json!({
            "group": group.id.as_str(),
            "type": group.group_type.as_ref().map(ToString::to_string),
            "protocol": group.protocol,
            "state": group.state.as_ref().map(ToString::to_string),
            "coordinator": group.coordinator.map(|id| id.value()),
        })
    });
    target.show(&rows.collect());
    Ok(ExitCode::SUCCESS)
}

async fn lag(target: &Target, admin: &Admin, group: &str) -> Result<ExitCode, Failure> {
    let lags = outcome::sort(admin.group_lag(group).await)?;
    let rows = lags.succeeded.iter().map(|(partition, lag)| {
        json!({
            "topic": partition.topic.as_str(),
            "partition": partition.partition.value(),
            "committed": lag.committed.value(),
            "end": lag.end.value(),
            "lag": lag.lag,
        })
    });
    target.show(&rows.collect());
    Ok(lags.code)
}

fn next_offset(text: &str) -> Result<(TopicPartition, Offset), String> {
    let (partition, offset) = parse::partition_pair(text)?;
    match offset.parse() {
        Ok(offset) if offset >= 0 => Ok((partition, Offset(offset))),
        _ => Err(format!("`{offset}` is no offset: a number from 0 is needed")),
    }
}
