//! Counts words: a whole streams application, from a text file to sled-backed state.
//!
//! ```sh
//! cargo run --release --example word_count                       # on a broker inside the process
//! cargo run --release --example word_count -- --bootstrap localhost:9092 --input book.txt
//! ```
//!
//! Lines go to `word-count-input`; the application splits them into words, which travel through a
//! repartition topic to the tasks that count them; counts go to `word-count-output`, and the table
//! shows what arrives there. Run again with the same application id and state directory, it goes on
//! where it stopped.

mod args;
mod cluster;
mod input;
mod progress;
mod run;
mod table;
mod topology;
mod view;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::Args;

#[expect(clippy::print_stderr, reason = "the example talks to its user")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter()).init();
    match run::run(&Args::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Without `RUST_LOG` the user is told of state that is wiped and threads that are replaced; what
/// befalls connections is told by the errors that come of it.
fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,millstream_client_core=error"))
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
