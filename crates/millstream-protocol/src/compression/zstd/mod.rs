//! Zstandard: by ruzstd, or by the C library with the feature `zstd-c`.

#[cfg(feature = "zstd-c")]
mod c;
#[cfg(not(feature = "zstd-c"))]
mod pure;

#[cfg(feature = "zstd-c")]
pub(super) use c::{Decoder, Encoder};
#[cfg(not(feature = "zstd-c"))]
pub(super) use pure::{Decoder, Encoder};

/// The largest window that a frame may ask for, where the limit of the output is larger. It is what the
/// C library accepts by default; levels up to 19 need 8 MiB.
const WINDOW_MAX: usize = 128 * 1024 * 1024;
/// The window that is granted whatever the limit is: RFC 8878 asks every decoder for it.
const WINDOW_MIN: usize = 8 * 1024 * 1024;
