//! A stream is used twice without a clone.

use millstream_core::StreamsBuilder;

fn main() {
    let builder = StreamsBuilder::new();
    let lines = builder.stream::<String, String>("lines");
    lines.to("copy");
    lines.to("again");
}
