//! Tests of the transaction machine with the producer machine that it holds: virtual time, a model
//! of coordinator and logs, and a network that loses, delays and refuses what it is given.

mod codes;
mod life;
mod model;
mod properties;
mod world;
