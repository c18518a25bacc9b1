//! `millstream users`: the SCRAM credentials of users.

use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use clap::Subcommand;
use millstream_client::admin::{ScramChange, ScramMechanism};
use serde_json::json;

use crate::connection::Target;
use crate::error::Failure;
use crate::outcome;

/// Shows and changes the SCRAM credentials of users.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: millstream users set alice --mechanism SCRAM-SHA-512 < password.txt"
)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists users with the mechanisms they have a password for.
    #[command(after_help = "Example: millstream users list")]
    List {
        /// Only these.
        users: Vec<String>,
    },
    /// Sets the password of a user, read from the first line of standard input.
    #[command(
        after_help = "Example: millstream users set alice --mechanism SCRAM-SHA-256 < password.txt"
    )]
    Set {
        /// The user.
        user: String,
        /// The mechanism: SCRAM-SHA-256 or SCRAM-SHA-512.
        #[arg(long, default_value = "SCRAM-SHA-512")]
        mechanism: ScramMechanism,
        /// How often the password is hashed: 4096 to 16384.
        #[arg(long, default_value_t = 4096)]
        iterations: u32,
    },
    /// Deletes the password of a user.
    #[command(after_help = "Example: millstream users delete alice --mechanism SCRAM-SHA-256")]
    Delete {
        /// The user.
        user: String,
        /// The mechanism: SCRAM-SHA-256 or SCRAM-SHA-512.
        #[arg(long)]
        mechanism: ScramMechanism,
    },
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::List { users } => list(&args.target, users).await,
        What::Set { user, mechanism, iterations } => {
            let password = read_password()?;
            let change = ScramChange::Upsert {
                user: user.clone(),
                mechanism: *mechanism,
                iterations: *iterations,
                password,
            };
            let admin = args.target.admin().await?;
            outcome::done(admin.alter_user_scram_credentials([change]).await)
        }
        What::Delete { user, mechanism } => {
            let change = ScramChange::Delete { user: user.clone(), mechanism: *mechanism };
            let admin = args.target.admin().await?;
            outcome::done(admin.alter_user_scram_credentials([change]).await)
        }
    }
}

async fn list(target: &Target, users: &[String]) -> Result<ExitCode, Failure> {
    let admin = target.admin().await?;
    let described = outcome::sort(if users.is_empty() {
        admin.describe_all_user_scram_credentials().await
    } else {
        admin.describe_user_scram_credentials(users.iter().cloned()).await
    })?;
    let rows = described.succeeded.iter().flat_map(|(user, credentials)| {
        credentials.iter().map(move |(mechanism, iterations)| {
            json!({"user": user, "mechanism": mechanism.to_string(), "iterations": iterations})
        })
    });
    target.show(&rows.collect());
    Ok(described.code)
}

/// The first line of standard input: an argument would show in the list of processes.
fn read_password() -> Result<String, Failure> {
    let mut input = io::stdin();
    let text = if input.is_terminal() {
        rpassword::prompt_password("password: ")?
    } else {
        let mut text = String::new();
        input.read_to_string(&mut text)?;
        text
    };
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => Err(Failure::new("no password: write it to standard input")),
    }
}
