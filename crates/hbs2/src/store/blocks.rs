//! Where the blocks of a command are: behind a running peer, or in a storage that the command opens itself.
//!
//! Both answer the same few questions, from any thread. What comes out has been checked against its hash: the
//! storage does so itself; what a peer says is checked here, four blocks at a time.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::tree::walk::Leaves;
use hbs2_rpc::api::node::{GetMany, LIST_HASHES_MAX, ListBlocks, StageMany, Sync};
use hbs2_rpc::api::storage::{DelBlock, GetBlock, GetRef, HasBlock, PutBlock, RefAlias, UpdateRef};
use hbs2_store::{DiskStore, Durability, MemoryStore, Store, list};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Blocks moved in one step: 2 MiB of data, enough to fill the lanes of the hash and to hide a round trip, little
/// enough that the few batches under way stay far below 40 MiB.
pub const BATCH_BLOCKS: usize = 8;

/// Threads that move batches: one hashes while the other waits for the storage.
pub const WORKERS: usize = 2;

/// Options that say where the blocks are.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Which storage")]
pub struct Place {
    /// Directory of the storage [default: that of the running peer, else that of the peer's config]
    #[arg(short, long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// Directory of the peer's config [default: ~/.config/hbs2-peer]
    #[arg(short, long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Socket of the running peer [default: as its config says]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Place {
    /// That of the peer with this config directory and socket, both optional.
    #[must_use]
    pub fn of_peer(config: Option<PathBuf>, socket: Option<PathBuf>) -> Self {
        Self { prefix: None, config, socket }
    }
}

/// A place of blocks.
pub enum Blocks {
    /// Behind a running peer.
    Peer(Daemon),
    /// In a storage that nobody else has open.
    Own(Box<dyn Store>),
}

/// What a command is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Read: a storage that is not there stays so.
    Read,
    /// Write: a storage that is not there is made.
    Write,
}

impl Blocks {
    /// Finds the place: the directory the user named; else a running peer; else the storage of the config.
    ///
    /// # Errors
    /// A socket was named and nobody answers; the storage cannot be opened, or another process has it open.
    pub fn open(place: &Place, purpose: Purpose, voice: &mut Voice) -> Result<Self, Failure> {
        let reach = Reach::new(place.config.clone(), place.socket.clone());
        let peer = reach.find()?;
        let Some(prefix) = &place.prefix else {
            return match peer {
                Some(daemon) => Ok(Self::Peer(daemon)),
                None => Self::own(&reach.storage()?, purpose, voice),
            };
        };
        match peer {
            Some(daemon) if daemon.keeps(prefix)? => Ok(Self::Peer(daemon)),
            _ => Self::own(prefix, purpose, voice),
        }
    }

    /// The blocks of a running peer.
    #[must_use]
    pub fn behind(daemon: Daemon) -> Self {
        Self::Peer(daemon)
    }

    fn own(path: &Path, purpose: Purpose, voice: &mut Voice) -> Result<Self, Failure> {
        if purpose == Purpose::Read && !path.exists() {
            voice.talk().note(format_args!("there is no storage at {} yet", path.display()));
            return Ok(Self::Own(Box::new(MemoryStore::default())));
        }
        voice.talk().detail(format_args!("no peer answers: opening the storage {}", path.display()));
        Ok(Self::Own(Box::new(DiskStore::open(path)?)))
    }

    /// Stores blocks and returns their hashes in order. They are safe when [`Blocks::sync`] has returned.
    ///
    /// # Errors
    /// The storage failed, or the peer did not answer.
    pub fn put(&self, blocks: Vec<Bytes>) -> Result<Vec<Hash>, Failure> {
        match self {
            Self::Peer(daemon) => put_behind(daemon, &blocks),
            Self::Own(store) => Ok(store.put(&blocks, Durability::Grouped)?),
        }
    }

    /// Returns when everything stored before is on stable storage.
    ///
    /// # Errors
    /// As [`Blocks::put`].
    pub fn sync(&self) -> Result<(), Failure> {
        match self {
            Self::Peer(daemon) => match daemon.ask::<Sync>(&()) {
                // A peer without this call has stored each block before it answered.
                Err(failure) if failure.is_unknown_call() => Ok(()),
                other => other,
            },
            Self::Own(store) => Ok(store.put(&[], Durability::Synced).map(drop)?),
        }
    }

    /// A block, or none when it is not here.
    ///
    /// # Errors
    /// As [`Blocks::put`].
    pub fn get(&self, hash: &Hash) -> Result<Option<Bytes>, Failure> {
        Ok(self.get_all(std::slice::from_ref(hash))?.pop().flatten())
    }

    /// Blocks in the order of `hashes`, at most [`BATCH_BLOCKS`] of them; none for each that is not here.
    ///
    /// # Errors
    /// As [`Blocks::put`]; or the peer answered with other blocks.
    pub fn get_all(&self, hashes: &[Hash]) -> Result<Vec<Option<Bytes>>, Failure> {
        match self {
            Self::Peer(daemon) => get_behind(daemon, hashes),
            Self::Own(store) => Ok(store.get_many(hashes)?),
        }
    }

    /// Gives the blocks that the tree `root` lists to `take`, in its order.
    ///
    /// # Errors
    /// As [`Blocks::put`]; a block is missing, or `take` fails.
    pub fn each_listed<E: From<Failure>>(
        &self,
        root: Hash,
        mut take: impl FnMut(Hash, Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        for leaf in Leaves::new(root, |hash| self.get(hash)) {
            for batch in leaf.map_err(Failure::from)?.chunks(BATCH_BLOCKS) {
                for (hash, block) in batch.iter().zip(self.get_all(batch)?) {
                    take(*hash, block.ok_or(Failure::MissedBlock { hash: *hash })?)?;
                }
            }
        }
        Ok(())
    }

    /// Length of a block in bytes, or none when it is not here.
    ///
    /// # Errors
    /// As [`Blocks::put`].
    pub fn size(&self, hash: &Hash) -> Result<Option<u64>, Failure> {
        match self {
            Self::Peer(daemon) => daemon.ask::<HasBlock>(hash),
            Self::Own(store) => Ok(store.stat(hash)?.map(|stat| stat.bytes)),
        }
    }

    /// Deletes a block, if it is here.
    ///
    /// # Errors
    /// As [`Blocks::put`].
    pub fn delete(&self, hash: &Hash) -> Result<(), Failure> {
        match self {
            Self::Peer(daemon) => daemon.ask::<DelBlock>(hash),
            Self::Own(store) => Ok(store.delete(hash).map(drop)?),
        }
    }

    /// The names of blocks after `after` in the order of hashes: a long list, empty at the end.
    ///
    /// # Errors
    /// As [`Blocks::put`].
    pub fn list(&self, after: Option<Hash>) -> Result<Vec<Hash>, Failure> {
        match self {
            Self::Peer(daemon) => daemon.ask::<ListBlocks>(&after),
            Self::Own(store) => Ok(list::after(store.as_ref(), after, LIST_HASHES_MAX)?),
        }
    }

    /// The value of a reference, by its reference key.
    ///
    /// # Errors
    /// As [`Blocks::put`].
    pub fn reference(&self, key: Hash) -> Result<Option<Hash>, Failure> {
        match self {
            Self::Peer(daemon) => daemon.ask::<GetRef>(&RefAlias(key)),
            Self::Own(store) => Ok(store.reference(&key)?),
        }
    }

    /// Sets a reference; it is on stable storage when this returns.
    ///
    /// # Errors
    /// As [`Blocks::put`].
    pub fn set_reference(&self, key: Hash, value: Hash) -> Result<(), Failure> {
        match self {
            Self::Peer(daemon) => daemon.ask::<UpdateRef>(&(RefAlias(key), value)),
            Self::Own(store) => Ok(store.set_references(&[(key, Some(value))])?),
        }
    }
}

/// In one call, or one by one when the peer is the original's.
fn put_behind(daemon: &Daemon, blocks: &Vec<Bytes>) -> Result<Vec<Hash>, Failure> {
    let hashes = match daemon.ask::<StageMany>(blocks) {
        Err(failure) if failure.is_unknown_call() => {
            blocks.iter().map(|block| put_one(daemon, block)).collect()
        }
        other => other,
    }?;
    if hashes.len() == blocks.len() { Ok(hashes) } else { Err(Failure::NotStored) }
}

fn put_one(daemon: &Daemon, block: &Bytes) -> Result<Hash, Failure> {
    daemon.ask::<PutBlock>(block)?.ok_or(Failure::NotStored)
}

/// An answer may be shorter than its question, then the rest is asked for again.
fn get_behind(daemon: &Daemon, hashes: &[Hash]) -> Result<Vec<Option<Bytes>>, Failure> {
    let mut blocks = Vec::with_capacity(hashes.len());
    while blocks.len() < hashes.len() {
        let rest = &hashes[blocks.len()..];
        let answer = match daemon.ask::<GetMany>(&rest.to_vec()) {
            Err(failure) if failure.is_unknown_call() => vec![daemon.ask::<GetBlock>(&rest[0])?],
            other => other?,
        };
        if answer.is_empty() || answer.len() > rest.len() {
            return Err(Failure::OtherBlocks { hash: rest[0] });
        }
        verify(rest, &answer)?;
        blocks.extend(answer);
    }
    Ok(blocks)
}

fn verify(hashes: &[Hash], blocks: &[Option<Bytes>]) -> Result<(), Failure> {
    let present = || hashes.iter().zip(blocks).filter_map(|(hash, block)| Some((hash, block.as_ref()?)));
    let bytes: Vec<&[u8]> = present().map(|(_, block)| block.as_ref()).collect();
    match present().zip(Hash::of_many(&bytes)).find(|((hash, _), found)| *hash != found) {
        Some(((hash, _), _)) => Err(Failure::OtherBlocks { hash: *hash }),
        None => Ok(()),
    }
}
