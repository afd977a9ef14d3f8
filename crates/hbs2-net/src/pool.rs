//! Recycled buffers for the payloads of frames.
//!
//! A download at full speed fills some ten thousand buffers each second. Taken from the allocator by one thread
//! and given back by another they leave its heaps full of holes: 50 MiB stayed resident after a transfer. So they
//! go round here instead. A [`Lease`] becomes [`Bytes`], and when the last slice of it is dropped the buffer
//! returns.
//!
//! All buffers are parts of one *slab*, a single allocation so large that the system's allocator takes it directly
//! from the kernel and gives it back there. Pages that were never written take no memory, so the slab costs what was
//! in use at most at one time. [`Pool::shrink`] lets go of it when nothing is being transferred.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

/// Size of a buffer, in bytes: the largest chunk of the protocol (65,535) and its envelope.
const BUFFER_BYTES: usize = 66 * 1024;

/// Buffers of a slab, in count: 33 MiB, what a download may have under way. More than 32 MiB is what common
/// allocators never keep for themselves.
const SLAB_BUFFERS: usize = 512;

/// The buffers, shared by all links of a carrier.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    slab: Mutex<Slab>,
}

#[derive(Debug, Default)]
struct Slab {
    /// Buffers not in use; the next one last. Those used lately come first again, so that few pages are touched.
    free: Vec<BytesMut>,
    /// Buffers in use.
    leased: usize,
    /// Raised when a slab is let go: its buffers do not return to its successor.
    generation: u64,
}

/// A buffer that returns to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    buffer: BytesMut,
    bytes: usize,
    generation: u64,
    pool: Arc<Pool>,
}

impl Pool {
    /// A buffer for a payload of `bytes` bytes; `None` when it is too long or all buffers are in use.
    pub(crate) fn lease(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        if bytes > BUFFER_BYTES {
            return None;
        }
        let mut slab = self.slab();
        if slab.free.is_empty() && slab.leased == 0 {
            slab.free = allocate();
        }
        let buffer = slab.free.pop()?;
        slab.leased += 1;
        Some(Lease { buffer, bytes, generation: slab.generation, pool: Arc::clone(self) })
    }

    /// Lets go of the slab. Its memory is free as soon as the last of its buffers is.
    pub(crate) fn shrink(&self) {
        let mut slab = self.slab();
        slab.free = Vec::new();
        slab.leased = 0;
        slab.generation += 1;
    }

    fn give_back(&self, buffer: BytesMut, generation: u64) {
        let mut slab = self.slab();
        if slab.generation == generation {
            slab.leased -= 1;
            slab.free.push(buffer);
        }
    }

    fn slab(&self) -> MutexGuard<'_, Slab> {
        self.slab.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The buffers of a new slab.
fn allocate() -> Vec<BytesMut> {
    let mut slab = BytesMut::zeroed(SLAB_BUFFERS * BUFFER_BYTES);
    let mut free: Vec<BytesMut> = (0..SLAB_BUFFERS).map(|_| slab.split_to(BUFFER_BYTES)).collect();
    free.reverse();
    free
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
        self.pool.give_back(std::mem::take(&mut self.buffer), self.generation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(pool: &Pool) -> usize {
        pool.slab().free.len()
    }

    #[test]
    fn a_buffer_returns_when_its_last_slice_is_dropped() {
        let pool = Arc::new(Pool::default());
        let mut lease = pool.lease(60_000).unwrap();
        lease.bytes_mut()[0] = 9;
        let bytes = lease.freeze();
        let slice = bytes.slice(..1);
        drop(bytes);
        assert_eq!(free(&pool), SLAB_BUFFERS - 1);
        assert_eq!(slice[0], 9);
        drop(slice);
        assert_eq!(free(&pool), SLAB_BUFFERS);
    }

    #[test]
    fn a_buffer_of_a_slab_that_was_let_go_does_not_return() {
        let pool = Arc::new(Pool::default());
        let old = pool.lease(1).unwrap();
        pool.shrink();
        let new = pool.lease(1).unwrap();
        drop(old);
        assert_eq!(free(&pool), SLAB_BUFFERS - 1);
        drop(new);
        assert_eq!(free(&pool), SLAB_BUFFERS);
    }

    #[test]
    fn long_payloads_and_those_beyond_the_slab_are_not_pooled() {
        let pool = Arc::new(Pool::default());
        assert!(pool.lease(BUFFER_BYTES + 1).is_none());
        let leases: Vec<Lease> = (0..SLAB_BUFFERS).map(|_| pool.lease(BUFFER_BYTES).unwrap()).collect();
        assert!(pool.lease(1).is_none());
        drop(leases);
        assert!(pool.lease(1).is_some());
    }
}
