//! Zstandard: by ruzstd, or by the C library with the feature `zstd-c`.

#[cfg(feature = "zstd-c")]
mod c;
#[cfg(not(feature = "zstd-c"))]
mod pure;

#[cfg(feature = "zstd-c")]
pub(super) use c::{Decoder, Encoder};
#[cfg(not(feature = "zstd-c"))]
pub(super) use pure::{Decoder, Encoder};

/// The largest window that a frame may ask for: what level 22 writes, and the C library accepts by
/// default. A window is only claimed memory, what fills it is counted against the limit.
const WINDOW_LOG_MAX: u32 = 27;
