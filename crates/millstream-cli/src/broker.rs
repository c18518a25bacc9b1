//! `millstream broker`: the in-process broker as a process of its own.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use millstream_broker::Broker;
use tokio::sync::Notify;

use crate::error::Failure;

/// Runs a broker for development and tests; what it holds is gone when it ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: millstream broker --listen 127.0.0.1:9092")]
pub(crate) struct Args {
    /// Where the first node listens; the others take the ports behind it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9092")]
    listen: SocketAddr,

    /// How many nodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    nodes: u16,

    /// Acknowledge records and throw them away, to measure producers alone.
    #[arg(long)]
    discard: bool,
}

/// Runs until Ctrl-C.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let stop = Arc::new(Notify::new());
    let handler = stop.clone();
    ctrlc::set_handler(move || handler.notify_one())?;
    let broker = Broker::in_process().nodes(args.nodes.into()).listen(args.listen);
    let cluster =
        broker.discard(args.discard).start().await.map_err(|error| {
            Failure::during(format!("cannot listen on {}", args.listen), &error)
        })?;
    println!("{}", cluster.bootstrap());
    stop.notified().await;
    cluster.stop().await;
    Ok(ExitCode::SUCCESS)
}
