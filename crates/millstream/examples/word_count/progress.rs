//! How far the application has come, as its committed offsets tell.

use std::collections::BTreeMap;
use std::error::Error;

use millstream::Topology;
use millstream_client::admin::{CallError, ListedOffset};
use millstream_client::{Admin, ErrorCode, OffsetSpec};
use millstream_types::{Offset, TopicName, TopicPartition};

use crate::topology::INPUT;

/// The offsets to reach, and those that are reached.
pub(crate) struct Progress<'a> {
    admin: &'a Admin,
    group: String,
    repartition: Vec<TopicName>,
    /// Where the input topic ended when counting began.
    goal: BTreeMap<TopicPartition, Offset>,
    committed: BTreeMap<TopicPartition, Offset>,
    /// Words that had been counted before.
    words_before: i64,
}

impl<'a> Progress<'a> {
    /// Sets the input topic's present end as the goal.
    pub(crate) async fn begin(
        admin: &'a Admin,
        topology: &Topology,
        group: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let repartition = topology
            .subtopologies(group)
            .iter()
            .flat_map(|subtopology| subtopology.repartition_sources.iter())
            .map(|topic| topic.name.clone())
            .collect();
        let goal = ends(admin, &TopicName::from(INPUT)).await?;
        let mut progress = Self {
            admin,
            group: group.to_owned(),
            repartition,
            goal,
            committed: BTreeMap::new(),
            words_before: 0,
        };
        progress.update().await?;
        progress.words_before = progress.words_committed();
        Ok(progress)
    }

    /// Asks for the committed offsets.
    pub(crate) async fn update(&mut self) -> Result<(), Box<dyn Error>> {
        let committed = self.admin.group_offsets(self.group.as_str()).await?;
        self.committed =
            committed.into_iter().map(|(p, committed)| (p, committed.offset)).collect();
        Ok(())
    }

    /// Lines to count and lines counted.
    pub(crate) fn lines(&self) -> (u64, u64) {
        let total = self.goal.values().map(|end| end.value()).sum::<i64>();
        let done = self
            .goal
            .iter()
            .map(|(partition, end)| self.reached(partition).min(end.value()))
            .sum::<i64>();
        (u64::try_from(total).unwrap_or_default(), u64::try_from(done).unwrap_or_default())
    }

    /// Words counted since the beginning of this run.
    pub(crate) fn words(&self) -> i64 {
        self.words_committed() - self.words_before
    }

    /// Whether every line is counted: the input is read up to the goal, and the words on their way
    /// through the repartition topic have arrived.
    pub(crate) async fn is_done(&self) -> Result<bool, Box<dyn Error>> {
        if self.goal.iter().any(|(partition, end)| self.reached(partition) < end.value()) {
            return Ok(false);
        }
        for topic in &self.repartition {
            // The input's commit came after its words were acknowledged, so this end covers them.
            for (partition, end) in ends(self.admin, topic).await? {
                if self.reached(&partition) < end.value() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn reached(&self, partition: &TopicPartition) -> i64 {
        self.committed.get(partition).map_or(0, |offset| offset.value())
    }

    fn words_committed(&self) -> i64 {
        let is_repartition = |p: &TopicPartition| self.repartition.contains(&p.topic);
        let reached = self.committed.iter().filter(|(partition, _)| is_repartition(partition));
        reached.map(|(_, offset)| offset.value()).sum()
    }
}

/// Where the partitions of a topic end now; none if it does not exist yet.
async fn ends(
    admin: &Admin,
    topic: &TopicName,
) -> Result<BTreeMap<TopicPartition, Offset>, Box<dyn Error>> {
    let described = match admin.describe_topics([topic.clone()]).await {
        Ok(described) => described,
        Err(error) if error.failed().all(|(_, error)| is_unknown(error)) => {
            return Ok(BTreeMap::new());
        }
        Err(error) => return Err(error.into()),
    };
    let partitions = described.values().flat_map(|topic| topic.partitions.keys());
    let asked = partitions.map(|number| (TopicPartition::new(topic, *number), OffsetSpec::Latest));
    let listed = admin.list_offsets(asked).await?;
    let offset = |listed: ListedOffset| listed.offset.unwrap_or(Offset::ZERO);
    Ok(listed.into_iter().map(|(partition, listed)| (partition, offset(listed))).collect())
}

fn is_unknown(error: &CallError) -> bool {
    error.code() == Some(ErrorCode::UnknownTopicOrPartition)
}
