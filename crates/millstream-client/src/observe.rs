//! Metrics, through the `metrics` facade: free unless the application installs a recorder.

use metrics::counter;

/// A connection was made.
pub(crate) fn connected() {
    counter!("millstream_client_connections_total").increment(1);
}

/// A connection could not be made.
pub(crate) fn connection_failed() {
    counter!("millstream_client_connection_failures_total").increment(1);
}

/// Requests went to the wire.
pub(crate) fn requests_sent(count: u64) {
    counter!("millstream_client_requests_total").increment(count);
}

/// Bytes went out.
pub(crate) fn bytes_sent(count: usize) {
    counter!("millstream_client_bytes_sent_total").increment(count as u64);
}

/// Bytes came in.
pub(crate) fn bytes_received(count: usize) {
    counter!("millstream_client_bytes_received_total").increment(count as u64);
}
