//! What the Rust peers of the benchmarks share: the contract of their command line, the values they send, the
//! clock of their process, the line they print. `README.md` one folder up has the contract.

mod latency;
mod measure;
mod run;

pub use latency::{Latencies, Pace};
pub use measure::{Meter, Reading, peak_rss, switches};
pub use run::{Compression, Mode, Run, Values};
