//! Runs of the command, and the brokers they run against.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use millstream_tests::cluster::TestCluster;
use millstream_tests::deadline::{pause, run, step};
use millstream_tests::process;
use serde_json::Value;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The command with these arguments.
pub(crate) fn millstream(arguments: &[&str]) -> Command {
    let mut command = process::binary("millstream");
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// Runs it with this standard input to its end.
pub(crate) fn output(arguments: &[&str], input: &str) -> Output {
    step(format!("millstream {}", arguments.join(" ")));
    process::finish(millstream(arguments), input)
}

/// What a run that succeeds writes to standard output.
pub(crate) fn success(arguments: &[&str], input: &str) -> String {
    let output = output(arguments, input);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} failed: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a run that succeeds prints as JSON.
pub(crate) fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&success(&[arguments, &["--json"]].concat(), "")).unwrap()
}

/// What a run that fails writes to standard error.
pub(crate) fn failure(arguments: &[&str]) -> String {
    let output = output(arguments, "line\n");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// What a run says that is given words it does not know.
pub(crate) fn misuse(arguments: &[&str]) -> String {
    let output = output(arguments, "");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Runs it until what it prints as JSON is as wanted: changes spread from broker to broker.
pub(crate) fn eventually(arguments: &[&str], is_wanted: impl Fn(&Value) -> bool) -> Value {
    step(format!("until it is so: {}", arguments.join(" ")));
    let mut seen = Value::Null;
    loop {
        let output = process::finish(millstream(&[arguments, &["--json"]].concat()), "");
        let value = serde_json::from_slice(&output.stdout).unwrap();
        if is_wanted(&value) {
            return value;
        }
        if value != seen {
            step(format!("not yet: {value}"));
            seen = value;
        }
        pause();
    }
}

/// A broker as a process of its own; killed when dropped.
pub(crate) struct Broker {
    child: Child,
    pub(crate) bootstrap: String,
}

impl Broker {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = millstream(&["broker", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut bootstrap = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut bootstrap).unwrap();
        Self { child, bootstrap: bootstrap.trim().to_owned() }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a scenario on the command's own broker and on real Kafka.
pub(crate) fn on_both(name: &'static str, scenario: fn(&str)) {
    run(name, DEADLINE, move || async move {
        let broker = Broker::start(&[]);
        scenario(&broker.bootstrap);
        scenario(&TestCluster::kafka().bootstrap());
    });
}
