//! A serde of another type than the stream's.

use millstream_core::{Produced, StreamsBuilder};
use millstream_types::DefaultSerde;

fn main() {
    let builder = StreamsBuilder::new();
    let lines = builder.stream::<String, String>("lines");
    let produced = Produced::with(String::default_serde(), i64::default_serde());
    lines.to_with("out", produced);
}
