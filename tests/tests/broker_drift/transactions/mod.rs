//! Transactions, told by the client's frames: by the rules of versions 1 and 2.

mod ends;
mod errors;
mod group;
mod wire;

pub(crate) use ends::{epochs, version_1, version_2};
pub(crate) use errors::{fenced, refused, verified, zombies};
pub(crate) use group::{administration, offsets};
