//! The hashes that partitioners take of keys: murmur2 as Java, CRC-32 and FNV-1a as librdkafka.

/// Kafka's murmur2 (`Utils.murmur2`): 32 bits, seed 0x9747b28c.
#[must_use]
pub fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut h = SEED ^ (data.len() as u32);
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0u32, |k, byte| (k << 8) | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        h ^= rest.iter().rev().fold(0u32, |k, byte| (k << 8) | u32::from(*byte));
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    (h ^ (h >> 15)).cast_signed()
}

/// The CRC-32 of ISO 3309 (zlib's), which librdkafka's `consistent` partitioners take.
pub(crate) fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| CRC32_TABLE[usize::from((crc as u8) ^ byte)] ^ (crc >> 8);
    !data.iter().fold(u32::MAX, step)
}

/// The remainders of all bytes by the reversed polynomial.
const CRC32_TABLE: [u32; 256] = {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// FNV-1a of 32 bits, its absolute value as a signed number: what librdkafka's `fnv1a` partitioners
/// share with Sarama's hash partitioner.
pub(crate) fn fnv1a(data: &[u8]) -> u32 {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let hash = data.iter().fold(OFFSET, |h, byte| (h ^ u32::from(*byte)).wrapping_mul(PRIME));
    hash.cast_signed().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_javas_golden_values() {
        let golden: [(&[u8], i32); 11] = [
            (b"", 275_646_681),
            (b"a", -1_563_381_124),
            (b"ab", 316_155_434),
            (b"abc", 479_470_107),
            (b"abcd", -1_323_649_548),
            (b"hello", 2_132_663_229),
            (b"21", -973_932_308),
            // Kafka's own UtilsTest.testMurmur2.
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, hash) in golden {
            assert_eq!(murmur2(key), hash, "{:?}", String::from_utf8_lossy(key));
        }
    }

    /// The values that librdkafka's own unit test holds Sarama to.
    #[test]
    fn fnv1a_gives_saramas_values() {
        let golden = [
            ("kafka", 0x0d33_c4e1),
            ("giberish123456789", 0x77a5_8295),
            ("1234", 0x023b_dd03),
            ("234", 0x2dea_3cd2),
            ("34", 0x740f_a83e),
            ("4", 0x310c_a263),
            ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x65cb_d69c),
            ("reAmbleWillBeRemoved,ThePrePartThatIs", 0x6e49_c79a),
            ("", 0x7ee3_623b),
        ];
        for (key, hash) in golden {
            assert_eq!(fnv1a(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn crc32_gives_the_standards_check_value() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
