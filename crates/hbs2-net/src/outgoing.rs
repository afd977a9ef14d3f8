//! What is to be sent.

use std::fmt;

use bytes::Bytes;

/// A message on its way out. What it consists of may be worked out only when its turn has come, by the writer of its
/// link: sealing a message costs more than sending it.
pub struct Outgoing {
    bytes: usize,
    content: Content,
}

enum Content {
    Ready(Vec<Bytes>),
    Later(Box<dyn FnOnce() -> Vec<Bytes> + Send>),
}

impl Outgoing {
    /// A message of `bytes` bytes in parts that `prepare` will give.
    pub fn later(bytes: usize, prepare: impl FnOnce() -> Vec<Bytes> + Send + 'static) -> Self {
        Self { bytes, content: Content::Later(Box::new(prepare)) }
    }

    /// Length, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// The parts, in order.
    pub(crate) fn into_parts(self) -> Vec<Bytes> {
        let parts = match self.content {
            Content::Ready(parts) => return parts,
            Content::Later(prepare) => prepare(),
        };
        let bytes: usize = parts.iter().map(Bytes::len).sum();
        assert_eq!(bytes, self.bytes, "a prepared message has the length that was told");
        parts
    }

    /// The message in one piece.
    pub(crate) fn into_bytes(self) -> Bytes {
        let mut parts = self.into_parts();
        if parts.len() == 1 { parts.swap_remove(0) } else { parts.concat().into() }
    }
}

impl From<Vec<Bytes>> for Outgoing {
    fn from(parts: Vec<Bytes>) -> Self {
        Self { bytes: parts.iter().map(Bytes::len).sum(), content: Content::Ready(parts) }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} bytes)", self.bytes)
    }
}
