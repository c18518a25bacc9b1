//! A stream of values that cannot be cloned is forked.

use millstream_core::StreamsBuilder;

struct Order;

fn main() {
    let builder = StreamsBuilder::new();
    let orders = builder.stream::<String, String>("more").map_values(|_| Order);
    orders.clone().foreach(|_, _| {});
}
