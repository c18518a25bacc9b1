//! An answer as a list of byte chunks: what the broker made itself in one piece, record batches by
//! reference.

use bytes::{BufMut, Bytes, BytesMut};

/// Chunks below this are copied beside their neighbours: a pointer for the kernel costs more.
const COPY_BELOW: usize = 2048;

/// One answer, length prefix included, ready for a vectored write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseFrame {
    chunks: Vec<Bytes>,
}

impl ResponseFrame {
    /// The chunks, in order.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// A frame of these chunks.
    pub(crate) const fn of(chunks: Vec<Bytes>) -> Self {
        Self { chunks }
    }

    /// The chunks, in order.
    #[must_use]
    pub fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// The bytes of all chunks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame as one piece; copies unless it is one already.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if self.chunks.len() == 1
            && let Some(only) = self.chunks.pop()
        {
            return only;
        }
        let mut whole = BytesMut::with_capacity(self.len());
        for chunk in &self.chunks {
            whole.put_slice(chunk);
        }
        whole.freeze()
    }
}

impl From<Bytes> for ResponseFrame {
    fn from(bytes: Bytes) -> Self {
        Self { chunks: vec![bytes] }
    }
}

/// Builds a [`ResponseFrame`].
#[derive(Debug, Default)]
pub(crate) struct FrameWriter {
    chunks: Vec<Bytes>,
    open: BytesMut,
    closed: usize,
}

impl FrameWriter {
    /// An empty frame.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The buffer behind all that was written: what is put here is copied.
    pub(crate) const fn open(&mut self) -> &mut BytesMut {
        &mut self.open
    }

    /// Copies bytes into the frame.
    pub(crate) fn put_slice(&mut self, bytes: &[u8]) {
        self.open.put_slice(bytes);
    }

    /// Puts bytes into the frame, by reference if they are many.
    pub(crate) fn put_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW {
            self.open.put_slice(&bytes);
            return;
        }
        self.close_chunk();
        self.closed += bytes.len();
        self.chunks.push(bytes);
    }

    /// The bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.closed + self.open.len()
    }

    /// The finished frame.
    pub(crate) fn finish(mut self) -> ResponseFrame {
        self.close_chunk();
        ResponseFrame { chunks: self.chunks }
    }

    /// The finished frame, with its length in front.
    pub(crate) fn finish_with_length(self) -> ResponseFrame {
        let length = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let mut frame = self.finish();
        let prefix = Bytes::copy_from_slice(&length.to_be_bytes());
        frame.chunks.insert(0, prefix);
        frame
    }

    fn close_chunk(&mut self) {
        if !self.open.is_empty() {
            self.closed += self.open.len();
            self.chunks.push(self.open.split().freeze());
        }
    }
}
