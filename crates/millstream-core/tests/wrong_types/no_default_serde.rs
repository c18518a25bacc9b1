//! A type without a default serde is written by a verb that was told none.

use millstream_core::StreamsBuilder;

struct Order;

fn main() {
    let builder = StreamsBuilder::new();
    let lines = builder.stream::<String, String>("lines");
    lines.map_values(|_| Order).to("orders");
}
