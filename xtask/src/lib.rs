//! Automation of the workspace: real Kafka, the checks of CI, code generation, benchmarks.
//!
//! The binary is `cargo xtask`; the suites under `tests/` use [`kafka`] to run real clusters.

pub mod bench;
pub mod ci;
pub mod codegen;
pub mod fuzz;
pub mod kafka;
pub mod tidy;

mod shell;
