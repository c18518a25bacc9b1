//! Zigzag variable-length integers, as records of format 2 carry them.

/// The number of bytes that an unsigned varint of this value takes.
#[inline]
const fn unsigned_size(value: u64) -> usize {
    // Nearly all numbers in a record take one byte.
    if value < 0x80 {
        return 1;
    }
    // One byte for each started group of seven bits: (bits * 9 + 64) / 64 for 1..=64 bits.
    ((64 - value.leading_zeros() as usize) * 9 + 64) / 64
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
pub(super) fn write(out: &mut [u8], at: usize, value: i64) -> usize {
    let value = zigzag(value);
    if value < 0x80 {
        out[at] = value as u8;
        return at + 1;
    }
    if value < 0x4000 {
        let bytes = [value as u8 | 0x80, (value >> 7) as u8];
        out[at..at + 2].copy_from_slice(&bytes);
        return at + 2;
    }
    write_long(out, at, value)
}

fn write_long(out: &mut [u8], mut at: usize, mut rest: u64) -> usize {
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
    match bytes.get(*at..)? {
        [first, ..] if *first < 0x80 => {
            *at += 1;
            Some(unzigzag(u64::from(*first)))
        }
        [first, second, ..] if *second < 0x80 => {
            *at += 2;
            Some(unzigzag(u64::from(*first & 0x7f) | u64::from(*second) << 7))
        }
        _ => read_long(bytes, at),
    }
}

fn read_long(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut value = 0;
    let mut position = *at;
    for shift in (0..70).step_by(7) {
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
    match bytes.get(*at..)? {
        [first, ..] if *first < 0x80 => {
            *at += 1;
            Some(unzigzag(u64::from(*first)) as i32)
        }
        [first, second, ..] if *second < 0x80 => {
            *at += 2;
            Some(unzigzag(u64::from(*first & 0x7f) | u64::from(*second) << 7) as i32)
        }
        _ => read_long_int(bytes, at),
    }
}

fn read_long_int(bytes: &[u8], at: &mut usize) -> Option<i32> {
    let start = *at;
    let value = read_long(bytes, at)?;
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
