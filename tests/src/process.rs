//! The workspace's own binaries and examples, as processes.

use std::env;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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
    let stdout = read(child.stdout.take());
    let stderr = read(child.stderr.take());
    let status = wait(&mut child, PATIENCE);
    let (stdout, stderr) = (stdout.join().expect("bytes"), stderr.join().expect("bytes"));
    feed.join().expect("fed");
    let Some(status) = status else {
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        panic!("{command:?} did not end within {PATIENCE:?}: {out}{err}");
    };
    Output { status, stdout, stderr }
}

/// Waits until a process ends; kills it if it does not in time.
fn wait(child: &mut Child, patience: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("its state") {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it dies");
    child.wait().expect("its state");
    None
}

fn read(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.expect("a pipe").read_to_end(&mut bytes).expect("output");
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
