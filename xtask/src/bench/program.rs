//! Runs a peer's program: a process a run, or one that serves run after run because it has to warm up.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A run takes seconds; Java's first includes half a minute of warming up.
const RUN_MAX: Duration = Duration::from_secs(240);

/// How a peer is run.
pub(super) enum Program {
    /// One process a run.
    Once(PathBuf),
    /// One process a case.
    Server(Server),
}

/// A peer whose process stays: a line of arguments in, a line of JSON out.
pub(super) struct Server {
    command: Vec<String>,
    processes: HashMap<String, Process>,
}

struct Process {
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<std::io::Result<String>>,
}

impl Program {
    /// Runs it with these arguments and takes the line it prints. A server has a process for each `case`.
    pub(super) fn run(&mut self, case: &str, arguments: &[String]) -> Result<Value> {
        let line = match self {
            Self::Once(path) => {
                let mut command = Command::new(&*path);
                command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
                let name = path.display().to_string();
                let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
                let output = child.stdout.take().context("the peer has no output")?;
                let line = lines(output).recv_timeout(RUN_MAX);
                if line.is_err() {
                    // Whether it ended without a word or hangs: it must not outlive its run.
                    let _ = child.kill();
                }
                let status = child.wait()?;
                match line {
                    Ok(line) if status.success() => line?,
                    _ => bail!("{name} {} ended with {status}", arguments.join(" ")),
                }
            }
            Self::Server(server) => server.run(case, arguments)?,
        };
        serde_json::from_str(&line).with_context(|| format!("the peer printed no JSON: {line}"))
    }
}

impl Server {
    pub(super) fn new(command: Vec<String>) -> Self {
        Self { command, processes: HashMap::new() }
    }

    fn run(&mut self, case: &str, arguments: &[String]) -> Result<String> {
        if !self.processes.contains_key(case) {
            self.processes.insert(case.to_owned(), Process::start(&self.command)?);
        }
        let process = self.processes.get_mut(case).context("the process was just started")?;
        writeln!(process.input, "{}", arguments.join(" "))?;
        process.input.flush()?;
        match process.lines.recv_timeout(RUN_MAX) {
            Ok(line) => Ok(line?),
            Err(_) => {
                bail!("{} printed nothing to {}", self.command.join(" "), arguments.join(" "))
            }
        }
    }
}

impl Process {
    fn start(command: &[String]) -> Result<Self> {
        let [program, arguments @ ..] = command else { bail!("there is nothing to start") };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let input = child.stdin.take().context("the peer has no input")?;
        let output = child.stdout.take().context("the peer has no output")?;
        Ok(Self { child, input, lines: lines(output) })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is idle: there is nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines on a thread of their own, so that waiting for one can end.
fn lines(output: ChildStdout) -> mpsc::Receiver<std::io::Result<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
