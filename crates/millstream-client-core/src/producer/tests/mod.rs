//! Tests of the whole producer without a network: virtual time, a model cluster, every outcome.

mod cluster;
mod codes;
mod front;
mod gate;
mod machine;
mod museum;
mod order;
mod recreated;
mod scale;
mod simulation;
mod steps;
mod world;
