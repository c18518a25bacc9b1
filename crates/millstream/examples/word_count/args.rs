//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Counts the words of texts with a streams application.
#[derive(Debug, Parser)]
#[command(name = "word_count")]
pub(crate) struct Args {
    /// The texts, in UTF-8; `-` for standard input. Default: this repository's Markdown files.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "no_produce")]
    pub(crate) input: Vec<PathBuf>,

    /// A Kafka cluster to use instead of a broker inside this process.
    #[arg(long, value_name = "HOST:PORT[,…]")]
    pub(crate) bootstrap: Option<String>,

    /// The application's name: that of its group, and the start of its internal topics' names.
    #[arg(long, value_name = "ID", default_value = "word-count")]
    pub(crate) application_id: String,

    /// Where state is kept. Default: a temporary folder without --bootstrap, else
    /// `millstream-word-count` in the system's folder for temporary files.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// How many stream threads run.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,

    /// Print the final counts as one JSON object on standard output, and nothing else there.
    #[arg(long)]
    pub(crate) json: bool,

    /// Produce nothing: count what the input topic holds.
    #[arg(long, requires = "bootstrap")]
    pub(crate) no_produce: bool,
}
