//! `millstream tokens`: delegation tokens, by which a process acts for a user for a while.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Subcommand;
use millstream_client::admin::{DelegationToken, KafkaPrincipal, NewDelegationToken};
use millstream_types::Timestamp;
use serde_json::{Value, json};

use crate::connection::Target;
use crate::error::Failure;

/// Creates, renews, expires and lists delegation tokens.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: millstream tokens create --max-lifetime 24h -F admin.properties")]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Creates a token and prints it with its secret.
    #[command(after_help = "Example: millstream tokens create --renewer User:bob")]
    Create {
        /// For whom. Default: who asks.
        #[arg(long, value_name = "KIND:NAME", value_parser = principal)]
        owner: Option<KafkaPrincipal>,
        /// Who else may renew it.
        #[arg(long, value_name = "KIND:NAME", value_parser = principal)]
        renewer: Vec<KafkaPrincipal>,
        /// How long it may live, renewals included. Default: the broker's.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        max_lifetime: Option<Duration>,
    },
    /// Lists tokens.
    #[command(after_help = "Example: millstream tokens list --owner User:alice")]
    List {
        /// Only those of these owners.
        #[arg(long, value_name = "KIND:NAME", value_parser = principal)]
        owner: Vec<KafkaPrincipal>,
    },
    /// Lets a token live on.
    #[command(after_help = "Example: millstream tokens renew 6f1e0a… --by 12h")]
    Renew {
        /// Its secret, in hexadecimal digits.
        #[arg(value_parser = secret)]
        hmac: Bytes,
        /// By how long. Default: the broker's.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        by: Option<Duration>,
    },
    /// Ends a token.
    #[command(after_help = "Example: millstream tokens expire 6f1e0a…")]
    Expire {
        /// Its secret, in hexadecimal digits.
        #[arg(value_parser = secret)]
        hmac: Bytes,
        /// After this time. Default: at once.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        after: Option<Duration>,
    },
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let admin = args.target.admin().await?;
    let shown = match &args.what {
        What::Create { owner, renewer, max_lifetime } => {
            let (owner, renewers) = (owner.clone(), renewer.clone());
            let token = NewDelegationToken { owner, renewers, max_lifetime: *max_lifetime };
            face(&admin.create_delegation_token(token).await?)
        }
        What::List { owner } => {
            let tokens = if owner.is_empty() {
                admin.describe_all_delegation_tokens().await?
            } else {
                admin.describe_delegation_tokens(owner.iter().cloned()).await?
            };
            tokens.iter().map(face).collect()
        }
        What::Renew { hmac, by } => ends(admin.renew_delegation_token(hmac.clone(), *by).await?),
        What::Expire { hmac, after } => {
            ends(admin.expire_delegation_token(hmac.clone(), *after).await?)
        }
    };
    args.target.show(&shown);
    Ok(ExitCode::SUCCESS)
}

fn face(token: &DelegationToken) -> Value {
    json!({
        "id": token.id,
        "hmac": hex(&token.hmac),
        "owner": token.owner.to_string(),
        "requester": token.requester.as_ref().map(ToString::to_string),
        "renewers": token.renewers.iter().map(|one| json!(one.to_string())).collect::<Value>(),
        "issued": token.issued.value(),
        "expires": token.expires.value(),
        "maxLifetime": token.max_lifetime.value(),
    })
}

fn ends(expires: Timestamp) -> Value {
    json!({"expires": expires.value()})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn principal(text: &str) -> Result<KafkaPrincipal, String> {
    match text.split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
            Ok(KafkaPrincipal { kind: kind.to_owned(), name: name.to_owned() })
        }
        _ => Err("KIND:NAME is needed, such as User:alice".to_owned()),
    }
}

fn secret(text: &str) -> Result<Bytes, String> {
    let digits: Option<Vec<_>> = text.chars().map(|c| c.to_digit(16)).collect();
    match digits {
        Some(digits) if !digits.is_empty() && digits.len() % 2 == 0 => {
            let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).unwrap_or_default();
            Ok(digits.chunks_exact(2).map(byte).collect())
        }
        _ => Err("pairs of hexadecimal digits are needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_as_they_are_written() {
        let bytes = Bytes::from_static(&[0, 1, 0x7f, 0xff]);
        assert_eq!(hex(&bytes), "00017fff");
        assert_eq!(secret("00017FFF"), Ok(bytes));
        assert!(secret("0").is_err() && secret("").is_err() && secret("0x").is_err());
    }
}
