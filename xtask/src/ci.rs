//! What CI runs.

use anyhow::Result;

pub fn run() -> Result<()> { Ok(()) }
pub fn test() -> Result<()> { Ok(()) }
