//! The `millstream` command: an operator's and beginner's tool for Kafka.

mod acls;
mod args;
mod broker;
mod cluster;
mod configs;
mod connection;
mod consume;
mod error;
mod format;
mod groups;
mod outcome;
mod parse;
mod produce;
mod quotas;
mod reassign;
mod show;
mod tokens;
mod topics;
mod txns;
mod users;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Verb};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let outcome = match Args::parse().verb {
        Verb::Produce(args) => produce::run(&args).await,
        Verb::Consume(args) => consume::run(&args).await,
        Verb::Topics(args) => topics::run(&args).await,
        Verb::Configs(args) => configs::run(&args).await,
        Verb::Groups(args) => groups::run(&args).await,
        Verb::Txns(args) => txns::run(&args).await,
        Verb::Reassign(args) => reassign::run(&args).await,
        Verb::Acls(args) => acls::run(&args).await,
        Verb::Quotas(args) => quotas::run(&args).await,
        Verb::Users(args) => users::run(&args).await,
        Verb::Tokens(args) => tokens::run(&args).await,
        Verb::Cluster(args) => cluster::run(&args).await,
        Verb::Broker(args) => broker::run(&args).await,
        Verb::Completions { shell } => {
            let mut command = Args::command();
            clap_complete::generate(shell, &mut command, "millstream", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            error.print();
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn no_two_arguments_have_a_name() {
        Args::command().debug_assert();
    }
}
