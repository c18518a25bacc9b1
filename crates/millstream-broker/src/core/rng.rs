//! The broker's only source of chance: SplitMix64 from the configured seed.

use uuid::Uuid;

/// A small seeded generator; the same seed gives the same ids for ever.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Starts from a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (SplitMix64).
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(
            (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes(),
        )
        .into_uuid()
    }

    /// A UUID that Kafka's text form does not begin with a dash: ids must be usable as command-line
    /// arguments (`Uuid.randomUuid`).
    pub(crate) fn kafka_uuid(&mut self) -> Uuid {
        loop {
            let id = self.uuid();
            if !base64_url(id.as_bytes()).starts_with('-') {
                return id;
            }
        }
    }

    /// Such a UUID as Kafka prints it: URL-safe base64 without padding.
    pub(crate) fn text_id(&mut self) -> String {
        base64_url(self.kafka_uuid().as_bytes())
    }
}

/// URL-safe base64 without padding.
fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = 0_u32;
        for index in 0..3 {
            word = word << 8 | u32::from(chunk.get(index).copied().unwrap_or(0));
        }
        for index in 0..=chunk.len() {
            let six = word >> (18 - 6 * index) & 0x3f;
            text.push(char::from(ALPHABET[six as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (mut one, mut other) = (Rng::new(7), Rng::new(7));
        let id = one.uuid();
        assert_eq!(id, other.uuid());
        assert_ne!(id, one.uuid());
        assert_eq!(id.get_version_num(), 4);
    }

    #[test]
    fn text_ids_are_kafkas_22_characters() {
        assert_eq!(base64_url(b"Ma"), "TWE");
        assert_eq!(base64_url(&[0xfb, 0xff, 0xfe]), "-__-");
        assert_eq!(Rng::new(1).text_id().len(), 22);
    }
}
