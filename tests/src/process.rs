//! The workspace's own binaries and examples, as processes.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// A binary of the workspace.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn binary(name: &str) -> Command {
    built(&[name])
}

/// An example of the workspace.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn example(name: &str) -> Command {
    built(&["examples", name])
}

/// Cargo puts test binaries into `deps`, beside which the others lie.
fn built(path: &[&str]) -> Command {
    let this = env::current_exe().expect("the path of this test");
    let profile = this.parent().and_then(|deps| deps.parent()).expect("a target folder");
    let path = path.iter().fold(PathBuf::from(profile), |path, part| path.join(part));
    assert!(
        path.exists(),
        "{} is not built: run `cargo xtask test`, or `cargo build --workspace --bins --examples`",
        path.display()
    );
    Command::new(path)
}
