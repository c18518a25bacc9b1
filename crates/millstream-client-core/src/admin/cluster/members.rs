//! Changing who belongs to the cluster: voters of the quorum (KIP-853), brokers (KIP-500).

use std::fmt;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::add_raft_voter_request::Listener;
use millstream_types::BrokerId;
use uuid::Uuid;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{
    Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf, only,
};
use super::super::wire::{controller, millis, text};
use crate::config::Endpoint;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, ResponseBody, WrongResponse};

/// Where a controller listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterEndpoint {
    /// The listener's name, such as `CONTROLLER`.
    pub listener: String,
    /// Its address.
    pub endpoint: Endpoint,
}

/// Makes a controller that follows the metadata log a voter.
pub fn add_raft_voter(
    voter: BrokerId,
    directory: Uuid,
    endpoints: impl IntoIterator<Item = VoterEndpoint>,
) -> AdminCall<Result<(), AdminError>> {
    let endpoints = endpoints.into_iter().collect();
    change(Change::AddVoter { voter, directory, endpoints })
}

/// Takes a controller's vote away.
pub fn remove_raft_voter(voter: BrokerId, directory: Uuid) -> AdminCall<Result<(), AdminError>> {
    change(Change::RemoveVoter { voter, directory })
}

/// Forgets a broker that is down for good.
pub fn unregister_broker(broker: BrokerId) -> AdminCall<Result<(), AdminError>> {
    change(Change::Unregister(broker))
}

fn change(change: Change) -> AdminCall<Result<(), AdminError>> {
    AdminCall::new(change, [((), ())])
}

#[derive(Debug)]
enum Change {
    AddVoter { voter: BrokerId, directory: Uuid, endpoints: Vec<VoterEndpoint> },
    RemoveVoter { voter: BrokerId, directory: Uuid },
    Unregister(BrokerId),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddVoter { voter, .. } => write!(f, "making controller {voter} a voter"),
            Self::RemoveVoter { voter, .. } => {
                write!(f, "taking the vote of controller {voter} away")
            }
            Self::Unregister(broker) => write!(f, "unregistering broker {broker}"),
        }
    }
}

impl Operation for Change {
    type Key = ();
    type Input = ();
    type Output = ();
    type Done = Result<(), AdminError>;

    fn about(&self, (): &()) -> String {
        self.to_string()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn request(&self, _items: &[(&(), &())], timeout: Duration) -> RequestBody {
        match self {
            Self::AddVoter { voter, directory, endpoints } => {
                let listeners = endpoints.iter().map(|endpoint| {
                    Listener::default()
                        .with_name(text(&endpoint.listener))
                        .with_host(text(&endpoint.endpoint.host))
                        .with_port(endpoint.endpoint.port)
                });
                m::AddRaftVoterRequest::default()
                    .with_cluster_id(None)
                    .with_timeout_ms(millis(timeout))
                    .with_voter_id(voter.0)
                    .with_voter_directory_id(*directory)
                    .with_listeners(listeners.collect())
                    .into()
            }
            Self::RemoveVoter { voter, directory } => m::RemoveRaftVoterRequest::default()
                .with_cluster_id(None)
                .with_voter_id(voter.0)
                .with_voter_directory_id(*directory)
                .into(),
            Self::Unregister(broker) => {
                m::UnregisterBrokerRequest::default().with_broker_id(m::BrokerId(broker.0)).into()
            }
        }
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let (code, message) = match response.body {
            ResponseBody::AddRaftVoter(answer) => (answer.error_code, answer.error_message),
            ResponseBody::RemoveRaftVoter(answer) => (answer.error_code, answer.error_message),
            body => {
                let answer = m::UnregisterBrokerResponse::try_from(body)?;
                (answer.error_code, answer.error_message)
            }
        };
        Ok(vec![((), Refusal::check(code, message.as_deref()).into())])
    }

    /// An earlier try, whose answer was lost, did it.
    fn when_repeated(&self, (): &(), (): &(), code: ErrorCode) -> Option<VerdictOf<Self>> {
        let is_done = match self {
            Self::AddVoter { .. } => code == ErrorCode::DuplicateVoter,
            Self::RemoveVoter { .. } => code == ErrorCode::VoterNotFound,
            Self::Unregister(_) => code == ErrorCode::BrokerIdNotRegistered,
        };
        is_done.then_some(Verdict::Done(()))
    }

    fn merge(self, results: Results<(), ()>) -> Self::Done {
        only(results, &self.to_string())
    }
}
