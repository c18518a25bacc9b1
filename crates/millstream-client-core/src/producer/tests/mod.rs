//! Tests of the whole producer without a network: virtual time, a model cluster, every outcome.

mod cluster;
mod machine;
mod museum;
mod simulation;
mod world;
