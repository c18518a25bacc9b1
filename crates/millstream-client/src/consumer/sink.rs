//! Runs the application's assignors when the machine asks, and reports back.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use millstream_client_core::Event;
use millstream_client_core::consumer::{ConsumerCommand, ConsumerEvent};
use millstream_client_core::group::{
    AssignorError, ClusterView, GroupAssignment, GroupSubscription,
};

use super::assignor::GroupAssignor;
use crate::driver::{ClientHandle, EventSink};

/// Takes the machine's questions.
pub(super) struct ConsumerSink {
    pub(super) assignors: Vec<Arc<dyn GroupAssignor>>,
    /// Set as soon as the driver is spawned, before the application can subscribe.
    pub(super) handle: Arc<OnceLock<ClientHandle>>,
}

impl EventSink for ConsumerSink {
    fn handle_event(&mut self, event: Event) {
        let (Event::Consumer(event), Some(handle)) = (event, self.handle.get()) else { return };
        match event {
            ConsumerEvent::SubscriptionWanted { round, topics } => {
                let user_data: BTreeMap<_, _> = self
                    .assignors
                    .iter()
                    .map(|assignor| {
                        (assignor.name().to_owned(), assignor.subscription_user_data(&topics))
                    })
                    .collect();
                handle.post(ConsumerCommand::Subscription { round, user_data });
            }
            ConsumerEvent::AssignmentWanted { round, assignor, cluster, group } => {
                if let Some(assignor) = self.named(&assignor) {
                    let report =
                        Report { handle: handle.clone(), round, assignor: None, sent: false };
                    handle.spawn(run(assignor, cluster, group, report));
                }
            }
            ConsumerEvent::AssignmentReceived { assignor, assignment, generation } => {
                if let Some(assignor) = self.named(&assignor) {
                    assignor.on_assignment(&assignment, generation);
                }
                handle.post(ConsumerCommand::AssignmentSeen { generation });
            }
            other => tracing::debug!(?other, "event without a listener"),
        }
    }
}

impl ConsumerSink {
    fn named(&self, name: &str) -> Option<Arc<dyn GroupAssignor>> {
        self.assignors.iter().find(|assignor| assignor.name() == name).cloned()
    }
}

async fn run(
    assignor: Arc<dyn GroupAssignor>,
    cluster: ClusterView,
    group: GroupSubscription,
    mut report: Report,
) {
    report.assignor = Some(assignor.name().to_owned());
    let result = assignor.assign(cluster, group).await;
    report.send(result);
}

/// Answers for an assignor, also one that panics.
struct Report {
    handle: ClientHandle,
    round: u64,
    assignor: Option<String>,
    sent: bool,
}

impl Report {
    fn send(&mut self, result: Result<GroupAssignment, AssignorError>) {
        self.sent = true;
        self.handle.post(ConsumerCommand::Assignment { round: self.round, result });
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.sent {
            let assignor = self.assignor.take().unwrap_or_default();
            let reason = "it panicked or was cut short".to_owned();
            self.send(Err(AssignorError { assignor, reason }));
        }
    }
}
