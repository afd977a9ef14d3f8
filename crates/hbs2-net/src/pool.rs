//! Recycled buffers for the payloads of frames.
//!
//! A download at full speed fills some ten thousand buffers of 64 KiB each second. Taking them from the
//! allocator and giving them back from another thread makes its arenas grow without limit of use to us, so
//! they go round here instead: a [`Lease`] becomes [`Bytes`], and when the last slice of it is dropped the
//! buffer returns.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Size of a pooled buffer, in bytes: the largest chunk of the protocol (65,535) and its envelope.
const BUFFER_BYTES: usize = 66 * 1024;

/// Payloads above this size are pooled, in bytes. Smaller ones take exactly what they need: a pooled buffer
/// that holds a few kilobytes would waste the rest for as long as they are in use.
const POOLED_BYTES_MIN: usize = 48 * 1024;

/// Free buffers that are kept, in count: 4 MiB, what one link has under way at full speed.
const FREE_BUFFERS_MAX: usize = 64;

/// Free buffers, shared by all links of a carrier.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer that returns to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    buffer: Box<[u8]>,
    bytes: usize,
    pool: Arc<Pool>,
}

impl Pool {
    /// A buffer for a payload of `bytes` bytes, if payloads of that size are pooled.
    pub(crate) fn lease(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        if !(POOLED_BYTES_MIN..=BUFFER_BYTES).contains(&bytes) {
            return None;
        }
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = free.unwrap_or_else(|| vec![0; BUFFER_BYTES].into());
        Some(Lease { buffer, bytes, pool: Arc::clone(self) })
    }

    /// Frees the memory of the buffers that nobody uses.
    pub(crate) fn shrink(&self) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }

    fn give_back(&self, buffer: Box<[u8]>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < FREE_BUFFERS_MAX {
            free.push(buffer);
        }
    }
}

impl Lease {
    /// The whole payload, to be written.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.bytes]
    }

    /// The payload, from now on shared and read-only.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.bytes]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_when_its_last_slice_is_dropped() {
        let pool = Arc::new(Pool::default());
        let mut lease = pool.lease(60_000).unwrap();
        lease.bytes_mut()[0] = 9;
        let bytes = lease.freeze();
        let slice = bytes.slice(..1);
        drop(bytes);
        assert_eq!(pool.free.lock().unwrap().len(), 0);
        assert_eq!(slice[0], 9);
        drop(slice);
        assert_eq!(pool.free.lock().unwrap().len(), 1);
        pool.shrink();
        assert_eq!(pool.free.lock().unwrap().len(), 0);
    }

    #[test]
    fn small_and_oversized_payloads_are_not_pooled() {
        let pool = Arc::new(Pool::default());
        assert!(pool.lease(10_000).is_none());
        assert!(pool.lease(BUFFER_BYTES + 1).is_none());
    }
}
