//! The workspace's own binaries and examples, as processes.

use std::env;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a process may take that is to end by itself.
const PATIENCE: Duration = Duration::from_secs(40);

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

/// Runs a command with this standard input to its end.
///
/// # Panics
/// If it cannot be started or does not end; it is killed then.
pub fn finish(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // A command that ends early does not read its input: its exit code tells better.
    let feed = thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap_or_default());
    let (done, ended) = mpsc::channel();
    let stdout = read(child.stdout.take(), done.clone());
    let stderr = read(child.stderr.take(), done);
    // A process that ends closes its output.
    let in_time = (0..2).all(|_| ended.recv_timeout(PATIENCE).is_ok());
    if !in_time {
        child.kill().expect("it dies");
    }
    let status = child.wait().expect("its state");
    let (stdout, stderr) = (stdout.join().expect("bytes"), stderr.join().expect("bytes"));
    feed.join().expect("fed");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(in_time, "{command:?} did not end within {PATIENCE:?}: {out}{err}");
    Output { status, stdout, stderr }
}

fn read(
    pipe: Option<impl Read + Send + 'static>,
    done: mpsc::Sender<()>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.expect("a pipe").read_to_end(&mut bytes).expect("output");
        done.send(()).unwrap_or_default();
        bytes
    })
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
