//! Reading and writing the fields of the messages that this crate generates.
//!
//! `kafka-protocol` keeps its own readers and writers to itself, so the generated messages have
//! these. Its traits speak `anyhow`; the codec turns that into this crate's errors.

pub(crate) mod get;
pub(crate) mod put;

use anyhow::{Result, bail};
use kafka_protocol::protocol::Message;

/// Fails unless `M`, called `name`, has `version`.
pub(crate) fn supported<M: Message>(name: &'static str, version: i16) -> Result<()> {
    let versions = M::VERSIONS;
    if version < versions.min || version > versions.max {
        bail!("{name} has versions {} to {}, not {version}", versions.min, versions.max);
    }
    Ok(())
}
