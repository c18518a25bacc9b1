//! What stands in for Metadata where the client speaks to controllers: DescribeCluster of
//! controllers (KIP-919). They know of no topics here.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::metadata_response::MetadataResponseBroker;
use millstream_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, MetadataResponse,
};

use super::Metadata;
use crate::outbox::{Destination, Lane, Request, ResponseBody};

/// `EndpointType.CONTROLLER`.
const CONTROLLERS: i8 = 2;

/// Asks who the controllers are, and which is active.
pub(super) fn request() -> Request {
    let request = DescribeClusterRequest::default().with_endpoint_type(CONTROLLERS);
    // Version 0 knows only brokers.
    Request::new(Destination::AnyBroker, Lane::General, request).version_min(1)
}

/// Reads an answer of a broker, or of a controller as if it were one.
///
/// # Errors
/// It is another's answer, or a broker's refusal to speak for controllers.
pub(super) fn read(
    body: ResponseBody,
    metadata: &mut Metadata,
) -> Result<MetadataResponse, String> {
    let ResponseBody::DescribeCluster(answer) = body else {
        return MetadataResponse::try_from(body).map_err(|wrong| wrong.to_string());
    };
    ErrorCode::check(answer.error_code).map_err(|code| code.to_string())?;
    metadata.note_controllers();
    Ok(convert(*answer))
}

fn convert(answer: DescribeClusterResponse) -> MetadataResponse {
    let controllers = answer.brokers.into_iter().map(|controller| {
        MetadataResponseBroker::default()
            .with_node_id(controller.broker_id)
            .with_host(controller.host)
            .with_port(controller.port)
            .with_rack(controller.rack)
    });
    MetadataResponse::default()
        .with_cluster_id(Some(answer.cluster_id).filter(|id| !id.is_empty()))
        .with_controller_id(answer.controller_id)
        .with_brokers(controllers.collect())
}
