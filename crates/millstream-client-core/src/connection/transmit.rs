//! Bytes that wait to be written: chunks, so that heads and batch bodies go out by one vectored
//! write without being copied together.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// The bytes that wait to be written to one connection, in order.
#[derive(Debug, Default)]
pub struct Transmit {
    chunks: VecDeque<Bytes>,
    /// How many bytes were ever appended, and ever written: places in the stream of bytes.
    appended: u64,
    written: u64,
}

impl Transmit {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How many bytes wait.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.appended - self.written
    }

    /// Fills `slices` with the bytes to write next, and says how many of them it filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.chunks);
        pairs.map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.appended += chunk.len() as u64;
            self.chunks.push_back(chunk);
        }
    }

    /// The first `count` bytes are written.
    pub(super) fn advance(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let Some(chunk) = self.chunks.front_mut() else {
                break;
            };
            let step = left.min(chunk.len());
            chunk.advance(step);
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
            left -= step;
            self.written += step as u64;
        }
    }

    /// The place in the stream where the next appended byte goes.
    pub(super) const fn end(&self) -> u64 {
        self.appended
    }

    /// The place in the stream up to which all is written.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_advance_through_chunks() {
        let mut transmit = Transmit::default();
        for chunk in ["abc", "", "de", "f"] {
            transmit.push(Bytes::from_static(chunk.as_bytes()));
        }
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(transmit.slices(&mut slices), 2);
        assert_eq!((&*slices[0], &*slices[1]), (&b"abc"[..], &b"de"[..]));
        transmit.advance(4);
        assert_eq!((transmit.len(), transmit.written(), transmit.end()), (2, 4, 6));
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(transmit.slices(&mut slices), 2);
        assert_eq!(&*slices[0], b"e");
        transmit.advance(2);
        assert!(transmit.is_empty());
    }
}
