//! Exponential backoff with jitter (KIP-144, KIP-580), and the seeded generator behind it.

use std::time::Duration;

/// How long to wait before the n-th try: doubles from `initial` to `max`, give or take a fifth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the first retry.
    pub initial: Duration,
    /// The longest wait, before jitter.
    pub max: Duration,
}

/// How far jitter moves a wait, in per cent: `CommonClientConfigs.RETRY_BACKOFF_JITTER`.
const JITTER_PERCENT: u64 = 20;

impl Backoff {
    /// From `initial`, doubling, to `max`.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max }
    }

    /// The wait after `failures` failures in a row: none after 0.
    #[must_use]
    pub fn after(&self, failures: u32, rng: &mut Rng) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let max = self.max.max(self.initial);
        let wait =
            self.initial.checked_mul(1 << doublings.min(20)).map_or(max, |wait| wait.min(max));
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX / 200);
        let spread = micros / 100 * JITTER_PERCENT;
        Duration::from_micros(micros - spread + rng.below(2 * spread + 1))
    }
}

/// A small seeded generator (SplitMix64): for jitter and choices, never for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of `seed`: the same seed gives the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for one part of a client, so that a draw more here shifts nothing there.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_maximum_within_a_fifth() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut rng = Rng::new(7);
        assert_eq!(backoff.after(0, &mut rng), Duration::ZERO);
        for (failures, expected) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (99, 1000)]
        {
            for _ in 0..100 {
                let wait = backoff.after(failures, &mut rng).as_millis();
                assert!(
                    (expected * 8 / 10..=expected * 12 / 10).contains(&wait),
                    "{wait} ms after {failures} failures"
                );
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            [rng.next(), rng.next(), rng.fork().next(), rng.below(10)]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
