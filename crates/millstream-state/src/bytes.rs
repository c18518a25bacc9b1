//! Bytes that a row holds: short ones in place, long ones shared.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// How many bytes lie in place.
const INLINE: usize = 22;

/// Immutable bytes of a key or a value. Up to 22 lie in place and cost no allocation; cloning
/// longer ones costs a reference count.
#[derive(Clone)]
pub struct SmallBytes(Repr);

#[derive(Clone)]
enum Repr {
    /// Zeros fill the place behind `len`.
    Inline {
        len: u8,
        bytes: [u8; INLINE],
    },
    Shared(Arc<[u8]>),
}

impl SmallBytes {
    /// No bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Repr::Inline { len: 0, bytes: [0; INLINE] })
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// `head` and `tail` in one.
    pub(crate) fn concat(head: &[u8], tail: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        let len = head.len() + tail.len();
        let Some(held) = bytes.get_mut(..len) else {
            return [head, tail].concat().as_slice().into();
        };
        let (first, second) = held.split_at_mut(head.len());
        first.copy_from_slice(head);
        second.copy_from_slice(tail);
        Self(Repr::Inline { len: len as u8, bytes })
    }

    /// Whether `bytes` would lie in place, so that a copy of them costs no allocation.
    pub(crate) const fn in_place(bytes: &[u8]) -> bool {
        bytes.len() <= INLINE
    }

    /// Overwrites these bytes by `bytes`, in place where both are short.
    pub(crate) fn assign(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Repr::Inline { len, bytes: held } if bytes.len() <= INLINE => {
                let (head, tail) = held.split_at_mut(bytes.len());
                head.copy_from_slice(bytes);
                tail.fill(0);
                *len = bytes.len() as u8;
            }
            _ => *self = bytes.into(),
        }
    }
}

impl Default for SmallBytes {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&[u8]> for SmallBytes {
    fn from(from: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        match bytes.get_mut(..from.len()) {
            Some(held) => {
                held.copy_from_slice(from);
                Self(Repr::Inline { len: from.len() as u8, bytes })
            }
            None => Self(Repr::Shared(from.into())),
        }
    }
}

impl<const N: usize> From<&[u8; N]> for SmallBytes {
    fn from(from: &[u8; N]) -> Self {
        from.as_slice().into()
    }
}

impl Deref for SmallBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for SmallBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for SmallBytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for SmallBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SmallBytes {}

impl PartialEq<[u8]> for SmallBytes {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialOrd for SmallBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SmallBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Inline { len: a_len, bytes: a }, Repr::Inline { len: b_len, bytes: b }) => {
                // Word by word, without a call: padded by zeros, only lengths can still differ.
                let heads = word(a, 0).cmp(&word(b, 0));
                let middles = || word(a, 8).cmp(&word(b, 8));
                let tails = || word(a, INLINE - 8).cmp(&word(b, INLINE - 8));
                heads.then_with(middles).then_with(tails).then(a_len.cmp(b_len))
            }
            _ => (**self).cmp(&**other),
        }
    }
}

/// Eight bytes from `at` on, as a number that sorts like them.
fn word(bytes: &[u8; INLINE], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    u64::from_be_bytes(*word.unwrap_or(&[0; 8]))
}

impl Hash for SmallBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for SmallBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn order_is_that_of_slices(a: Vec<u8>, b: Vec<u8>, cut in 0..40_usize, zeros in 0..4_usize) {
            let mut longer = a.clone();
            longer.resize(a.len() + zeros, 0);
            for b in [&b, &longer, &a[..cut.min(a.len())].to_vec()] {
                let mut assigned = SmallBytes::from(&b[..]);
                assigned.assign(&a);
                let (small_a, small_b) = (SmallBytes::from(&a[..]), SmallBytes::from(&b[..]));
                prop_assert_eq!(small_a.cmp(&small_b), a.cmp(b));
                prop_assert_eq!(assigned.cmp(&small_a), Ordering::Equal);
            }
        }
    }

    #[test]
    fn short_and_long_bytes_are_alike() {
        assert_eq!(size_of::<SmallBytes>(), 24);
        for len in [0, 1, INLINE, INLINE + 1, 300] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let small = SmallBytes::from(&bytes[..]);
            assert_eq!(*small, bytes[..]);
            for other_len in [0, 2, INLINE, INLINE + 1] {
                let mut changed = small.clone();
                changed.assign(&vec![7; other_len]);
                assert_eq!(*changed, vec![7; other_len][..]);
            }
        }
    }
}
