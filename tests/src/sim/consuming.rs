//! One consumer of a simulation and the application that polls it as a program would: it asks, and
//! asks again only when its waker was woken.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use millstream_client_core::Engine;
use millstream_client_core::backoff::{Backoff, Rng};
use millstream_client_core::consumer::{
    ConsumerConfig, ConsumerMachine, ConsumerShared, IsolationLevel, Next, OffsetReset, Wants,
};

use super::client::{Bell, ClientId};
use super::net::{happens, one_of};
use super::world::World;

/// A consumer and its application's place in its loop.
#[derive(Debug)]
pub struct Consuming {
    /// Its client.
    pub client: ClientId,
    /// Its application's half.
    pub shared: Arc<ConsumerShared>,
    bell: Arc<Bell>,
    is_asking: bool,
    /// It asks again.
    is_due: bool,
}

impl Consuming {
    /// Starts a consumer of this configuration.
    pub fn start(world: &mut World, name: &str, config: ConsumerConfig) -> Self {
        let parts = world.parts();
        let shared = ConsumerShared::new(config);
        shared.set_driver_waker(parts.waker());
        let engine_config = world.engine_config(name);
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let machine = ConsumerMachine::new(Arc::clone(&shared), backoff, engine_config.seed);
        let client = world.add_client(Engine::new(&engine_config, None, Some(machine)), parts);
        Self { client, shared, bell: Arc::default(), is_asking: false, is_due: true }
    }

    /// The next thing for the application, if it is time to ask and there is one.
    pub fn next(&mut self, now: Instant) -> Option<Next> {
        self.is_due |= self.bell.take();
        if !self.is_due {
            return None;
        }
        if !self.is_asking {
            if let Err(error) = self.shared.enter(now) {
                panic!("nobody else asks: {error}");
            }
            self.is_asking = true;
        }
        match self.shared.poll_next(Wants::Events, &Waker::from(Arc::clone(&self.bell))) {
            Poll::Ready(next) => {
                self.shared.leave(now);
                self.is_asking = false;
                next
            }
            Poll::Pending => {
                self.is_due = false;
                None
            }
        }
    }
}

/// Random settings that every consumer has; reads from the beginning.
pub fn draw_config(rng: &mut Rng) -> ConsumerConfig {
    let millis = Duration::from_millis;
    // Where an answer could never have the least number of bytes, each would take the longest wait.
    let (fetch_min_bytes, max_partition_fetch_bytes, fetch_max_bytes) = one_of(
        rng,
        &[
            (1, 100, 52_428_800),
            (1, 4_000, 500),
            (1, 1_048_576, 20_000),
            (1_000, 1_048_576, 52_428_800),
        ],
    );
    ConsumerConfig {
        auto_offset_reset: OffsetReset::Earliest,
        isolation_level: if happens(rng, 500_000) {
            IsolationLevel::ReadCommitted
        } else {
            IsolationLevel::ReadUncommitted
        },
        fetch_min_bytes,
        fetch_max_bytes,
        max_partition_fetch_bytes,
        fetch_max_wait: millis(one_of(rng, &[20, 200, 500])),
        max_poll_records: one_of(rng, &[None, None, Some(1), Some(7)]),
        buffer_memory: one_of(rng, &[1, 4_000, 64 * 1024 * 1024]),
        request_timeout: millis(1_000 + rng.below(3_000)),
        api_timeout: millis(8_000),
        ..ConsumerConfig::default()
    }
}
