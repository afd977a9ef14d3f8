//! Many blocks to and from the daemon, with several calls under way so that neither side waits for the other.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::Hash;

use crate::api::node::{BULK_BLOCKS_MAX, GetMany, StageMany, Sync};
use crate::client::{Client, ClientError, Pending};

/// Bytes of blocks after which an upload sends what it has. Larger calls are not faster and keep more in
/// memory.
const UPLOAD_BYTES: usize = 4 * 1024 * 1024;

/// Calls of an upload under way, at most: one being written, one being stored, one on the way. With
/// [`UPLOAD_BYTES`] and the call being filled an upload holds 16 MiB.
const UPLOADS_UNDER_WAY_MAX: usize = 3;

/// Blocks in one call of a download at first, and as long as they are large: 4 MiB of whole chunks.
const DOWNLOAD_BLOCKS: usize = 16;

/// Bytes of an answer below which the next call asks for more blocks: what is read is small.
const DOWNLOAD_BYTES: usize = 1024 * 1024;

/// Calls of a download under way, at most.
const DOWNLOADS_UNDER_WAY_MAX: usize = 3;

/// Stores any number of blocks. Ends with [`Upload::finish`]; without it nothing is promised.
pub struct Upload<'c> {
    client: &'c Client,
    timeout: Duration,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    under_way: VecDeque<Pending<StageMany>>,
}

impl<'c> Upload<'c> {
    /// An upload whose calls take `timeout` each, at most.
    #[must_use]
    pub fn new(client: &'c Client, timeout: Duration) -> Self {
        Self { client, timeout, batch: Vec::new(), batch_bytes: 0, under_way: VecDeque::new() }
    }

    /// Adds a block; sends earlier ones when there are enough.
    ///
    /// # Errors
    /// An earlier call failed.
    pub fn put(&mut self, block: Bytes) -> Result<(), ClientError> {
        if self.batch.len() == BULK_BLOCKS_MAX || self.batch_bytes + block.len() > UPLOAD_BYTES {
            self.send()?;
        }
        self.batch_bytes += block.len();
        self.batch.push(block);
        Ok(())
    }

    /// Sends the rest and waits until everything is on stable storage.
    ///
    /// # Errors
    /// A call failed: some of the blocks may not be stored.
    pub fn finish(mut self) -> Result<(), ClientError> {
        self.send()?;
        while self.wait_oldest()? {}
        self.client.call::<Sync>(&(), self.timeout)
    }

    fn send(&mut self) -> Result<(), ClientError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        if self.under_way.len() == UPLOADS_UNDER_WAY_MAX {
            self.wait_oldest()?;
        }
        self.batch_bytes = 0;
        self.under_way.push_back(self.client.begin::<StageMany>(&std::mem::take(&mut self.batch)));
        Ok(())
    }

    /// Waits for the oldest call; false when there is none.
    fn wait_oldest(&mut self) -> Result<bool, ClientError> {
        let Some(oldest) = self.under_way.pop_front() else { return Ok(false) };
        oldest.wait(self.timeout)?;
        Ok(true)
    }
}

/// Blocks by name, read ahead: an iterator over `(hash, block)` in the order of the names, with none for a
/// block that the daemon does not have.
///
/// It takes up to [`READ_AHEAD_BLOCKS`] names before it gives the first block.
pub struct Download<'c, I> {
    client: &'c Client,
    timeout: Duration,
    hashes: I,
    /// Blocks in the next call.
    count: usize,
    under_way: VecDeque<(Vec<Hash>, Pending<GetMany>)>,
    ready: VecDeque<(Hash, Option<Bytes>)>,
}

/// Names that a [`Download`] takes before it gives the first block.
pub const READ_AHEAD_BLOCKS: usize = DOWNLOAD_BLOCKS * DOWNLOADS_UNDER_WAY_MAX;

impl<'c, I: Iterator<Item = Hash>> Download<'c, I> {
    /// A download of `hashes` whose calls take `timeout` each, at most.
    pub fn new(client: &'c Client, hashes: impl IntoIterator<IntoIter = I>, timeout: Duration) -> Self {
        let hashes = hashes.into_iter();
        let count = DOWNLOAD_BLOCKS;
        Self { client, timeout, hashes, count, under_way: VecDeque::new(), ready: VecDeque::new() }
    }

    fn ask(&mut self) {
        while self.under_way.len() < DOWNLOADS_UNDER_WAY_MAX {
            let names: Vec<Hash> = self.hashes.by_ref().take(self.count).collect();
            if names.is_empty() {
                return;
            }
            let pending = self.client.begin::<GetMany>(&names);
            self.under_way.push_back((names, pending));
        }
    }

    /// Takes the oldest answer. Large blocks may not fit one answer; the rest is asked for at once.
    fn receive(&mut self) -> Result<(), ClientError> {
        let Some((names, pending)) = self.under_way.pop_front() else { return Ok(()) };
        let blocks = pending.wait(self.timeout)?;
        let bytes: usize = blocks.iter().flatten().map(Bytes::len).sum();
        self.count = if bytes < DOWNLOAD_BYTES { BULK_BLOCKS_MAX } else { DOWNLOAD_BLOCKS };
        let got = blocks.len().min(names.len());
        self.ready.extend(names[..got].iter().copied().zip(blocks));
        if got < names.len() {
            // An answer always has one entry at least; if not, asking again would go on for ever.
            if got == 0 {
                let fault = crate::Fault::failed("it gave no answer for any of the blocks");
                return Err(ClientError::Refused { call: <GetMany as crate::api::Method>::NAME, fault });
            }
            let rest = names[got..].to_vec();
            let pending = self.client.begin::<GetMany>(&rest);
            self.under_way.push_front((rest, pending));
        }
        Ok(())
    }
}

impl<I: Iterator<Item = Hash>> Iterator for Download<'_, I> {
    type Item = Result<(Hash, Option<Bytes>), ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            self.ask();
            if self.under_way.is_empty() {
                return None;
            }
            if let Err(error) = self.receive() {
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
