//! The cluster to count on: one inside the process, or the user's.

use std::error::Error;
use std::time::Duration;

use millstream_broker::{Broker, RunningCluster};
use millstream_client::admin::CallError;
use millstream_client::{Admin, ErrorCode, NewTopic};

use crate::topology::{INPUT, OUTPUT};

/// Partitions of the input and output topics, and so the tasks of each sub-topology.
const PARTITIONS: i32 = 4;

/// A cluster that does not answer for so long is taken to be absent.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// A cluster that holds the two topics.
pub(crate) struct Cluster {
    pub(crate) bootstrap: String,
    pub(crate) admin: Admin,
    /// Runs until it is dropped.
    _in_process: Option<RunningCluster>,
}

impl Cluster {
    /// Connects to `bootstrap`, or starts a broker in this process; creates topics that are missing.
    pub(crate) async fn open(bootstrap: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let in_process = match bootstrap {
            None => Some(Broker::in_process().start().await?),
            Some(_) => None,
        };
        let bootstrap = match (&in_process, bootstrap) {
            (Some(cluster), _) => cluster.bootstrap(),
            (None, given) => given.unwrap_or_default().to_owned(),
        };
        let admin =
            Admin::builder([bootstrap.as_str()]).api_timeout(CONNECT_WITHIN).connect().await?;
        create_topics(&admin).await?;
        Ok(Self { bootstrap, admin, _in_process: in_process })
    }
}

async fn create_topics(admin: &Admin) -> Result<(), Box<dyn Error>> {
    let topics = [INPUT, OUTPUT].map(|name| NewTopic::new(name, PARTITIONS));
    match admin.create_topics(topics).await {
        Err(error) if !error.failed().all(|(_, error)| exists(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn exists(error: &CallError) -> bool {
    error.code() == Some(ErrorCode::TopicAlreadyExists)
}
