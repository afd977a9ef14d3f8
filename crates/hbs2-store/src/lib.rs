//! Blocks and references: on disk and in memory.
//!
//! A *block* is a byte string of 0 bytes to 16 MiB, named by its [`Hash`]. A *reference* is a mutable name, a
//! 32-byte key that points to one hash. A *record* is a small named value that the owner of the store keeps
//! beside them, such as its list of polls. [`Store`] is the contract, [`DiskStore`] the engine of a node and
//! [`MemoryStore`] the engine of tests; both pass the same suite.
//!
//! What the contract promises:
//!
//! * **Durable before it says so.** A call that returns with [`Durability::Synced`] has its bytes on stable
//!   storage; callers that wait at the same time share one sync.
//! * **Never a wrong block.** Hashes are computed or checked on write and checked again on read. A block whose
//!   bytes do not fit its hash is logged, counted in [`Totals::corrupt`] and treated as missing; putting it
//!   again repairs it.
//! * **References change together.** One call of [`Store::set_references`] is applied as a whole or not at all.
//! * **After an IO error nothing is acknowledged that may be lost.**
//!
//! [`walk`] answers the one question that needs more than single blocks: which blocks of a tree are absent. [`list`] gives
//! the names of all blocks a page at a time.

#![forbid(unsafe_code)]

mod disk;
mod error;
pub mod legacy;
pub mod list;
mod memory;
#[cfg(test)]
mod suite;
pub mod walk;

use std::ops::ControlFlow;

use bytes::Bytes;
use hbs2_core::Hash;

pub use disk::DiskStore;
pub use error::{Cause, StoreError};
pub use hbs2_core::limits::BLOCK_BYTES_MAX;
pub use memory::MemoryStore;

/// Largest value of a record, in bytes. Records hold lists that their owner keeps whole in memory, such as
/// polls; a mebibyte is ten thousand entries of a hundred bytes.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// References that one call may change, at most: four mebibytes on disk. A node follows some thousands.
pub const REFERENCES_MAX: usize = 65_536;

/// Longest name of a record, in bytes. Names are chosen by the program, never by a peer.
pub const RECORD_NAME_BYTES_MAX: usize = 255;

/// When a write may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the bytes are on stable storage. For data that exists nowhere else.
    Synced,
    /// When the bytes are readable; they are on stable storage within a second. For blocks that can be fetched
    /// again.
    Grouped,
}

/// What is known about a stored block without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Length of the block, in bytes.
    pub bytes: u64,
    /// Whether the block may name other blocks. False means certainly a blob.
    pub links: bool,
}

/// Figures of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Blocks held.
    pub blocks: u64,
    /// Space taken on disk, in bytes; 0 for a store in memory.
    pub disk_bytes: u64,
    /// Corrupt blocks met since the store was opened.
    pub corrupt: u64,
}

/// Blocks, references and records. Calls block the thread; any number of threads may call at once.
///
/// # Errors
///
/// Every call returns [`StoreError`] when the engine fails. [`StoreError::BlockTooLarge`] concerns only the call
/// that carried the block: nothing of that call is stored.
pub trait Store: Send + Sync {
    /// Stores `blocks` and returns their hashes in order. A block that is there already is not written again, but
    /// is as durable as asked when the call returns.
    fn put(&self, blocks: &[Bytes], durability: Durability) -> Result<Vec<Hash>, StoreError>;

    /// Stores each block whose bytes have the hash that is claimed for it. The answer is, in order, whether they
    /// had; the others are not stored.
    fn put_expected(&self, blocks: &[(Hash, Bytes)], durability: Durability)
    -> Result<Vec<bool>, StoreError>;

    /// The bytes of a block, checked against its hash, or `None` when it is absent or corrupt.
    fn get(&self, hash: &Hash) -> Result<Option<Bytes>, StoreError>;

    /// [`Store::get`] of several blocks, in order. Checks them in batches, which costs half as much per byte.
    fn get_many(&self, hashes: &[Hash]) -> Result<Vec<Option<Bytes>>, StoreError> {
        hashes.iter().map(|hash| self.get(hash)).collect()
    }

    /// Length and kind of a block, or `None` when it is absent. Does not read the block.
    fn stat(&self, hash: &Hash) -> Result<Option<Stat>, StoreError>;

    /// Removes a block. The answer is whether it was there. A crash may bring the block back.
    fn delete(&self, hash: &Hash) -> Result<bool, StoreError>;

    /// Calls `each` with the hash and the length in bytes of every block, in no particular order, until it breaks.
    /// Blocks that come or go meanwhile may or may not be seen. `each` must not call the store.
    fn hashes(&self, each: &mut dyn FnMut(Hash, u64) -> ControlFlow<()>) -> Result<(), StoreError>;

    /// The value of a reference.
    fn reference(&self, key: &Hash) -> Result<Option<Hash>, StoreError>;

    /// Sets (`Some`) and removes (`None`) references, all or none, and returns when that is on stable storage.
    /// When a key occurs twice the later change holds. At most [`REFERENCES_MAX`] in one call.
    fn set_references(&self, changes: &[(Hash, Option<Hash>)]) -> Result<(), StoreError>;

    /// Calls `each` with key and value of every reference, in the order of the keys, until it breaks. `each` must
    /// not call the store.
    fn references(&self, each: &mut dyn FnMut(Hash, Hash) -> ControlFlow<()>) -> Result<(), StoreError>;

    /// The value of a record.
    fn record(&self, name: &str) -> Result<Option<Bytes>, StoreError>;

    /// Sets (`Some`) or removes (`None`) a record and returns when that is on stable storage.
    fn set_record(&self, name: &str, value: Option<&[u8]>) -> Result<(), StoreError>;

    /// Figures of the store.
    fn totals(&self) -> Totals;
}

/// Refuses a block that no store takes.
fn check_block(block: &Bytes) -> Result<(), StoreError> {
    match block.len() {
        0..=BLOCK_BYTES_MAX => Ok(()),
        bytes => Err(StoreError::BlockTooLarge { bytes }),
    }
}

/// Refuses more references than one call may change.
fn check_references(changes: &[(Hash, Option<Hash>)]) -> Result<(), StoreError> {
    match changes.len() {
        0..=REFERENCES_MAX => Ok(()),
        count => Err(StoreError::TooManyReferences { count }),
    }
}

/// Refuses a record that no store takes.
fn check_record(name: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
    if name.is_empty() || name.len() > RECORD_NAME_BYTES_MAX {
        return Err(StoreError::RecordName { name: name.to_owned() });
    }
    match value.map_or(0, <[u8]>::len) {
        0..=RECORD_BYTES_MAX => Ok(()),
        bytes => Err(StoreError::RecordTooLarge { name: name.to_owned(), bytes }),
    }
}

/// The hashes of `blocks`, after checking their lengths.
fn hash_blocks(blocks: &[Bytes]) -> Result<Vec<Hash>, StoreError> {
    blocks.iter().try_for_each(check_block)?;
    let inputs: Vec<&[u8]> = blocks.iter().map(Bytes::as_ref).collect();
    Ok(Hash::of_many(&inputs))
}

/// Whether each block has the hash that is claimed for it, after checking the lengths.
fn check_hashes(blocks: &[(Hash, Bytes)]) -> Result<Vec<bool>, StoreError> {
    blocks.iter().try_for_each(|(_, block)| check_block(block))?;
    let inputs: Vec<&[u8]> = blocks.iter().map(|(_, block)| block.as_ref()).collect();
    let hashes = Hash::of_many(&inputs);
    Ok(blocks.iter().zip(hashes).map(|((claimed, _), found)| *claimed == found).collect())
}
