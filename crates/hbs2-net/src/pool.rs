//! Recycled buffers for the payloads of frames.
//!
//! A download at full speed fills some ten thousand buffers each second. Taken from the allocator by one thread
//! and given back by another they leave its heaps full of holes: 50 MiB stayed resident after a transfer. So they
//! go round here instead. A [`Lease`] becomes [`Bytes`], and when the last slice of it is dropped the buffer
//! returns.
//!
//! All buffers of one size are parts of one *slab*, a single allocation so large that the system's allocator takes it
//! directly from the kernel and gives it back there. Pages that were never written take no memory, so a slab costs
//! what was in use at most at one time. [`Pool::shrink`] lets go of it when nothing is being transferred.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

/// Buffer sizes, in bytes, with how many a slab has of each. The larger one takes the largest chunk of the protocol
/// (65,535) and its envelope, the smaller one the small blocks of which a window may have many. Each slab has more
/// than 32 MiB, which is what common allocators never keep for themselves, and what a download may have under way.
const SLABS: [(usize, usize); 2] = [(16 * 1024, 2304), (66 * 1024, 512)];

/// Memory for frames that do not fit a buffer and are still coming, when nothing else is said, in bytes: sixteen of the
/// longest.
pub(crate) const GROWN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The buffers, shared by all links of a carrier.
#[derive(Debug)]
pub(crate) struct Pool {
    slabs: [Mutex<Slab>; 2],
    /// Bytes in use that are not of the slabs, and how many may be.
    grown: AtomicUsize,
    grown_max: AtomicUsize,
}

/// Buffers of one size.
#[derive(Debug)]
struct Slab {
    buffer_bytes: usize,
    buffers: usize,
    /// Buffers not in use; the next one last. Those used lately come first again, so that few pages are touched.
    free: Vec<BytesMut>,
    /// Buffers in use.
    leased: usize,
    /// Raised when the memory is let go: its buffers do not return to its successor.
    generation: u64,
}

/// A buffer outside of the slabs, for a frame that is still coming. It counts until the frame is complete or given up.
#[derive(Debug)]
pub(crate) struct Grown {
    buffer: Vec<u8>,
    pool: Arc<Pool>,
}

/// A buffer that returns to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    buffer: BytesMut,
    bytes: usize,
    slab: usize,
    generation: u64,
    pool: Arc<Pool>,
}

impl Default for Pool {
    fn default() -> Self {
        let slab = |(buffer_bytes, buffers)| {
            Mutex::new(Slab { buffer_bytes, buffers, free: Vec::new(), leased: 0, generation: 0 })
        };
        Self {
            slabs: SLABS.map(slab),
            grown: AtomicUsize::new(0),
            grown_max: AtomicUsize::new(GROWN_BYTES_MAX),
        }
    }
}

impl Pool {
    /// A buffer for a payload of `bytes` bytes; `None` when it is too long or all buffers are in use.
    pub(crate) fn lease(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        let number = SLABS.iter().position(|(buffer_bytes, _)| bytes <= *buffer_bytes)?;
        let mut slab = self.slab(number);
        let buffer = slab.take()?;
        Some(Lease { buffer, bytes, slab: number, generation: slab.generation, pool: Arc::clone(self) })
    }

    /// A buffer of `bytes` bytes that may grow; `None` when too much is in use.
    pub(crate) fn grown(self: &Arc<Self>, bytes: usize) -> Option<Grown> {
        let mut grown = Grown { buffer: Vec::new(), pool: Arc::clone(self) };
        grown.grow(bytes).then_some(grown)
    }

    /// Sets how much memory may be used for frames that do not fit a buffer.
    pub(crate) fn limit_grown(&self, bytes: usize) {
        self.grown_max.store(bytes, Ordering::Relaxed);
    }

    /// Lets go of all memory. It is free as soon as the last buffer is.
    pub(crate) fn shrink(&self) {
        (0..SLABS.len()).for_each(|number| self.slab(number).let_go());
    }

    fn slab(&self, number: usize) -> MutexGuard<'_, Slab> {
        self.slabs[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slab {
    fn take(&mut self) -> Option<BytesMut> {
        if self.free.is_empty() && self.leased == 0 {
            self.free = allocate(self.buffer_bytes, self.buffers);
        }
        let buffer = self.free.pop()?;
        self.leased += 1;
        Some(buffer)
    }

    fn give_back(&mut self, buffer: BytesMut, generation: u64) {
        if self.generation == generation {
            self.leased -= 1;
            self.free.push(buffer);
        }
    }

    fn let_go(&mut self) {
        self.free = Vec::new();
        self.leased = 0;
        self.generation += 1;
    }
}

/// The buffers of a new slab.
fn allocate(buffer_bytes: usize, buffers: usize) -> Vec<BytesMut> {
    let mut slab = BytesMut::zeroed(buffer_bytes * buffers);
    let mut free: Vec<BytesMut> = (0..buffers).map(|_| slab.split_to(buffer_bytes)).collect();
    free.reverse();
    free
}

impl Grown {
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// All of it, to be written.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Makes it `bytes` bytes long, which is not shorter; false when too much is in use.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes - self.buffer.len();
        let max = self.pool.grown_max.load(Ordering::Relaxed);
        let fits = |used: usize| used.checked_add(more).filter(|used| *used <= max);
        let took = self.pool.grown.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if took {
            self.buffer.resize(bytes, 0);
        }
        took
    }

    /// The payload, which counts among what is received from now on.
    pub(crate) fn freeze(mut self) -> Bytes {
        let buffer = std::mem::take(&mut self.buffer);
        self.pool.grown.fetch_sub(buffer.len(), Ordering::Relaxed);
        buffer.into()
    }
}

impl Drop for Grown {
    fn drop(&mut self) {
        self.pool.grown.fetch_sub(self.buffer.len(), Ordering::Relaxed);
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
        self.pool.slab(self.slab).give_back(std::mem::take(&mut self.buffer), self.generation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 66 * 1024;
    const LARGE_BUFFERS: usize = 512;

    fn free(pool: &Pool) -> usize {
        pool.slab(1).free.len()
    }

    #[test]
    fn a_buffer_returns_when_its_last_slice_is_dropped() {
        let pool = Arc::new(Pool::default());
        let mut lease = pool.lease(60_000).unwrap();
        lease.bytes_mut()[0] = 9;
        let bytes = lease.freeze();
        let slice = bytes.slice(..1);
        drop(bytes);
        assert_eq!(free(&pool), LARGE_BUFFERS - 1);
        assert_eq!(slice[0], 9);
        drop(slice);
        assert_eq!(free(&pool), LARGE_BUFFERS);
    }

    #[test]
    fn a_buffer_of_memory_that_was_let_go_does_not_return() {
        let pool = Arc::new(Pool::default());
        let old = pool.lease(LARGE).unwrap();
        pool.shrink();
        let new = pool.lease(LARGE).unwrap();
        drop(old);
        assert_eq!(free(&pool), LARGE_BUFFERS - 1);
        drop(new);
        assert_eq!(free(&pool), LARGE_BUFFERS);
    }

    #[test]
    fn long_payloads_and_those_beyond_the_slab_are_not_pooled() {
        let pool = Arc::new(Pool::default());
        assert!(pool.lease(LARGE + 1).is_none());
        let leases: Vec<Lease> = (0..LARGE_BUFFERS).map(|_| pool.lease(LARGE).unwrap()).collect();
        assert!(pool.lease(LARGE).is_none());
        assert!(pool.lease(1).is_some());
        drop(leases);
        assert!(pool.lease(LARGE).is_some());
    }
}
