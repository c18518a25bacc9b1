//! What the user sees: a bar and a live table on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Rows of the live table.
pub(crate) const ROWS: usize = 10;
/// How often plain lines are printed.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Where progress is shown.
pub(crate) enum View {
    /// Standard output is a terminal.
    Live { bar: ProgressBar, rows: Vec<ProgressBar>, _all: MultiProgress },
    /// A line a second; on standard error if standard output is for JSON.
    Plain { json: bool, printed: Option<Instant> },
}

impl View {
    pub(crate) fn new(json: bool) -> Self {
        if json || !io::stdout().is_terminal() {
            return Self::Plain { json, printed: None };
        }
        let all = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout());
        let bar = all.add(ProgressBar::new(0));
        let style = "{msg:10} [{bar:40}] {pos}/{len} {elapsed}";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let rows = (0..ROWS)
            .map(|_| {
                let row = all.add(ProgressBar::new(0));
                let plain = ProgressStyle::with_template("  {msg}");
                row.set_style(plain.unwrap_or_else(|_| ProgressStyle::default_bar()));
                row
            })
            .collect();
        Self::Live { bar, rows, _all: all }
    }

    /// Shows how far one phase is.
    pub(crate) fn show(
        &mut self,
        phase: &str,
        done: u64,
        total: u64,
        rate: f64,
        top: &[(&str, i64)],
    ) {
        match self {
            Self::Live { bar, rows, .. } => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(format!("{phase} {rate:.0}/s"));
                for (row, (word, count)) in rows.iter().zip(top) {
                    row.set_message(format!("{word:<24} {count:>12}"));
                }
            }
            Self::Plain { json, printed } => {
                if printed.is_some_and(|at| at.elapsed() < LINE_INTERVAL) {
                    return;
                }
                *printed = Some(Instant::now());
                let top: Vec<_> =
                    top.iter().take(3).map(|(word, count)| format!("{word} {count}")).collect();
                let line = format!(
                    "{phase}: {done} of {total} lines, {rate:.0} records/s  {}",
                    top.join(", ")
                );
                print(*json, line.trim_end());
            }
        }
    }

    /// Takes the bar and the live table away.
    pub(crate) fn clear(&mut self) {
        if let Self::Live { bar, rows, .. } = self {
            bar.finish_and_clear();
            for row in rows {
                row.finish_and_clear();
            }
        }
    }

    /// Prints a line that stays.
    pub(crate) fn line(&self, text: &str) {
        print(matches!(self, Self::Plain { json: true, .. }), text);
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the example talks to its user")]
fn print(to_stderr: bool, text: &str) {
    if to_stderr {
        eprintln!("{text}");
    } else {
        println!("{text}");
    }
}
