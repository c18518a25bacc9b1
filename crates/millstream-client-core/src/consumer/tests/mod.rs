//! Tests of the consumer machine in virtual time, by the requests it sends.

mod bench;
mod commits;
mod fetching;
mod positions;
