//! Zigzag variable-length integers, as records of format 2 carry them.

/// The number of bytes that an unsigned varint of this value takes.
#[inline]
const fn unsigned_size(value: u64) -> usize {
    // One byte for each started group of seven bits: (bits * 9 + 64) / 64 for 1..=64 bits.
    ((64 - (value | 1).leading_zeros() as usize) * 9 + 64) / 64
}

#[inline]
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The number of bytes that this value takes as a zigzag varint or varlong.
#[inline]
pub(super) const fn size(value: i64) -> usize {
    unsigned_size(zigzag(value))
}

/// Writes `value` at `at` and returns the position behind it.
#[inline]
pub(super) fn write(out: &mut [u8], mut at: usize, value: i64) -> usize {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out[at] = rest as u8 | 0x80;
        rest >>= 7;
        at += 1;
    }
    out[at] = rest as u8;
    at + 1
}

/// Reads a varlong at `*at` and moves `*at` behind it; `None` where the bytes end first or the
/// number has more than ten bytes.
#[inline]
pub(super) fn read(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(unzigzag(u64::from(first)));
    }
    read_long(bytes, at, first)
}

fn read_long(bytes: &[u8], at: &mut usize, first: u8) -> Option<i64> {
    let mut value = u64::from(first & 0x7f);
    let mut position = *at + 1;
    for shift in (7..70).step_by(7) {
        let byte = *bytes.get(position)?;
        position += 1;
        // The tenth byte holds the top bit alone; Java drops what does not fit, as the shift does.
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            *at = position;
            return Some(unzigzag(value));
        }
    }
    None
}

/// Reads a varint of at most five bytes; see [`read`].
#[inline]
pub(super) fn read_int(bytes: &[u8], at: &mut usize) -> Option<i32> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(unzigzag(u64::from(first)) as i32);
    }
    let start = *at;
    let value = read_long(bytes, at, first)?;
    // A fifth byte may set bits past the 32nd in no number that an encoder writes.
    match i32::try_from(value) {
        Ok(value) if *at - start <= 5 => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_round_trips_and_takes_the_size_it_says() {
        let mut values = vec![0, -1, 1, i64::MIN, i64::MAX];
        for bit in 0..63 {
            let value = 1_i64 << bit;
            values.extend([value - 1, value, value + 1, -value, -value - 1]);
        }
        for value in values {
            let mut out = [0_u8; 10];
            let end = write(&mut out, 0, value);
            assert_eq!(end, size(value), "{value}");
            let mut at = 0;
            assert_eq!(read(&out[..end], &mut at), Some(value));
            assert_eq!(at, end);
            for cut in 0..end {
                assert_eq!(read(&out[..cut], &mut 0), None);
            }
            let mut at = 0;
            assert_eq!(read_int(&out[..end], &mut at), i32::try_from(value).ok());
        }
    }

    #[test]
    fn endless_numbers_are_refused() {
        assert_eq!(read(&[0x80; 32], &mut 0), None);
        assert_eq!(read_int(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], &mut 0), None);
    }
}
