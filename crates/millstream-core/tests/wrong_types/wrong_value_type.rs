//! A closure that takes another type than the stream's.

use millstream_core::StreamsBuilder;

fn main() {
    let builder = StreamsBuilder::new();
    let lines = builder.stream::<String, String>("lines");
    lines.map_values(|value: i64| value + 1).to("out");
}
