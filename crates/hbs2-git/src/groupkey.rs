//! Group keys as the daemon has them, and sealing with one of them (spec: git3 10.1, 10.2).
//!
//! A group key is public and stored as a tree; its name is the root. Who is a member opens its secret with a key
//! of the key index; the secret stays in memory and is wiped after use.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::groupkey::{GroupKey, GroupSecret, LoadError};
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::sealed::NonceHasher;
use hbs2_core::tree::sealed::{Sealer, seal_data};
use hbs2_core::tree::walk::WalkError;
use hbs2_core::{Crypt, Encode, EncryptPublicKey, EncryptSecretKey, Hash, Meta, SealedBlock};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::init::random;
use crate::wait;

/// Reads the group key with this root; waits for its blocks.
///
/// # Errors
/// They do not arrive, or hold no group key.
pub fn load(ctx: &Context<'_>, group: Hash, patience: Duration) -> Result<GroupKey> {
    let get = |hash: &Hash| Ok(ctx.link("read a group key", ctx.link.get(&[*hash]))?.pop().flatten());
    wait::until_present(ctx, &format!("group key {group}"), patience, || match GroupKey::load(group, get) {
        Ok(found) => Ok(Ok(found)),
        Err(LoadError::Tree { source: WalkError::Missing { hash }, .. }) => Ok(Err(hash)),
        Err(LoadError::Tree { source: WalkError::Source(error), .. }) => Err(error),
        Err(other) => Err(Error::GroupKey { group, source: Box::new(other) }),
    })
}

/// Reads the group key with this root, if it is here; none when it is not, or is none.
///
/// # Errors
/// The daemon is gone.
pub fn find(ctx: &Context<'_>, group: Hash) -> Result<Option<GroupKey>> {
    match load(ctx, group, Duration::ZERO) {
        Ok(found) => Ok(Some(found)),
        Err(Error::MissingBlock { .. } | Error::GroupKey { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores a group key; gives its root.
///
/// # Errors
/// The daemon fails.
pub fn store(ctx: &Context<'_>, group: &GroupKey) -> Result<Hash> {
    let mut blocks = Vec::new();
    let root = group.build(|_, block| blocks.push(block));
    ctx.link("store a group key", ctx.link.put(&blocks))?;
    ctx.link("store a group key", ctx.link.sync())?;
    Ok(root)
}

/// Opens the secret of a group key with a key of our own; none when we are no member.
pub(crate) fn open(ctx: &Context<'_>, group: Hash, key: &GroupKey) -> Result<Option<GroupSecret>> {
    let opened = ctx.keys.open_group(key);
    opened.map_err(|source| Error::Keys { doing: format!("open group key {group}"), source })
}

/// A group key that holds the secret of `group` for `members`.
pub(crate) fn wrap(
    ctx: &Context<'_>,
    group: Hash,
    secret: &GroupSecret,
    members: &BTreeSet<EncryptPublicKey>,
) -> Result<GroupKey> {
    let mut once = Vec::with_capacity(members.len());
    for _ in members {
        once.push(EncryptSecretKey::from_bytes(random()?));
    }
    let wrapped = GroupKey::generate(secret, members, (ctx.now)(), || {
        once.pop().expect("there is one for each member")
    });
    wrapped.map_err(|source| Error::GroupKey { group, source: Box::new(source) })
}

/// Seals segments for the members of one group key.
pub(crate) struct Seal {
    pub(crate) group: Hash,
    pub(crate) secret: GroupSecret,
}

impl Seal {
    /// The blocks of the tree of `content`; the last is the root.
    pub(crate) fn blocks(&self, content: &[u8]) -> (Hash, Vec<Bytes>) {
        let (meta, block) = self.meta();
        let mut blocks = vec![block];
        let root = seal_data(&self.secret, self.group, meta, content, |_, block| blocks.push(block));
        (root, blocks)
    }

    /// Seals and stores what `chunks` gives; returns the root of its tree.
    ///
    /// The nonce string depends on every byte, so the content is read twice: it waits in a file of `dir` that has
    /// no name.
    pub(crate) fn store(&self, ctx: &Context<'_>, chunks: Receiver<Vec<Bytes>>, dir: &Path) -> Result<Hash> {
        let (mut spool, mut nonce) = (Spool::create(dir)?, NonceHasher::begin(&self.secret));
        for chunk in chunks.into_iter().flatten() {
            nonce.update(&chunk);
            spool.write(&chunk)?;
        }
        spool.rewind()?;
        let crypt = Crypt::Group1 { key: self.group, nonce: nonce.finish() };
        let mut upload = ctx.link.upload();
        let (meta, block) = self.meta();
        ctx.link("store a segment", upload.put(block))?;
        let emit = |_, block| ctx.link("store a segment", upload.put(block));
        let mut sealer = Sealer::new(&self.secret, crypt, emit).expect("this crypt is for a group");
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match spool.read(&mut chunk)? {
                0 => break,
                got => sealer.write(&chunk[..got])?,
            }
        }
        let root = sealer.finish(meta)?;
        ctx.link("store a segment", upload.finish())?;
        Ok(root)
    }

    /// Empty metadata, sealed as the original does, and its block.
    fn meta(&self) -> (Meta, Bytes) {
        let block = Bytes::from(SealedBlock::seal_meta(&self.secret, self.group, "").to_bytes());
        (Meta::Block(Hash::of(&block)), block)
    }
}

/// A file for content that must be read again. It loses its name at once, so nobody else opens it and it is gone
/// when we are.
struct Spool {
    file: File,
    path: PathBuf,
}

/// Spools of this process so far, for their names.
static SPOOLS: AtomicU64 = AtomicU64::new(0);

impl Spool {
    fn create(dir: &Path) -> Result<Self> {
        let number = SPOOLS.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("spool.{}.{number}", std::process::id()));
        let opened = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
        match opened.and_then(|file| fs::remove_file(&path).map(|()| file)) {
            Ok(file) => Ok(Self { file, path }),
            Err(source) => Err(Error::File { doing: "make", path, source }),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| self.error("write", source))
    }

    fn rewind(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::Start(0)).map(drop).map_err(|source| self.error("read", source))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        self.file.read(bytes).map_err(|source| self.error("read", source))
    }

    fn error(&self, doing: &'static str, source: io::Error) -> Error {
        Error::File { doing, path: self.path.clone(), source }
    }
}
