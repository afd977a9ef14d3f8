//! A storage folder instead of a daemon: for tests, and for looking at saved repositories.
//!
//! The layout is that of the original (spec: formats 3.1): a block in `blocks/c/rest`, a reference in
//! `refs/c/rest` as base58 text. Nothing is fetched from anywhere; two folders meet when somebody copies files
//! from one to the other ([`Folder::copy_from`]). Several processes may use one folder.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::tree::{build, walk};
use hbs2_core::{
    Decode, Encode, Hash, LwwRef, PeerAddr, RefKind, ReflogUpdate, Shape, SignPublicKey, Signed, inspect,
};

use super::{BlockSink, BlockStream, Guard, Leaves, Link, LinkError, Posted, TreeStatus};

/// How often a wait looks whether something changed, in milliseconds.
const LOOK_MS: u64 = 10;

/// The most hashes of missing blocks in a status.
const SAMPLE_MAX: usize = 16;

/// A storage folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    written: AtomicU64,
}

impl Folder {
    /// The folder `root`, made when it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root.join("blocks"))?;
        fs::create_dir_all(root.join("refs"))?;
        Ok(Self { root: root.to_owned(), written: AtomicU64::new(0) })
    }

    /// Takes over all blocks and references of another folder, as two connected peers do: reflogs are united, of
    /// an lwwref the winner stays.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn copy_from(&self, other: &Self) -> Result<(), LinkError> {
        for (hash, _) in other.list("blocks")? {
            if let Some(block) = other.block(&hash)? {
                self.write("blocks", &hash, &block)?;
            }
        }
        let _lock = self.lock()?;
        for (key, value) in other.list("refs")? {
            let theirs: Hash = value.trim().parse().map_err(failed)?;
            let merged = match self.reference(&key)? {
                None => theirs,
                Some(ours) => self.merge(ours, theirs)?,
            };
            self.write("refs", &key, merged.to_string().as_bytes())?;
        }
        Ok(())
    }

    /// All blocks, by name.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn blocks(&self) -> Result<Vec<Hash>, LinkError> {
        Ok(self.list("blocks")?.into_iter().map(|(hash, _)| hash).collect())
    }

    /// Removes a block, as if it had never come.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, hash: &Hash) -> Result<(), LinkError> {
        fs::remove_file(self.path("blocks", hash)).map_err(failed)
    }

    fn merge(&self, ours: Hash, theirs: Hash) -> Result<Hash, LinkError> {
        let boxed = |hash: &Hash| -> Result<Option<LwwRef>, LinkError> {
            let block = self.block(hash)?.unwrap_or_default();
            Ok(Signed::<LwwRef>::from_bytes(&block).ok().and_then(|b| b.verify().ok()).map(|v| v.value))
        };
        match (boxed(&ours)?, boxed(&theirs)?) {
            (Some(a), Some(b)) => Ok(if b.beats(&a) { theirs } else { ours }),
            _ => {
                let all: BTreeSet<_> =
                    [ours, theirs].iter().flat_map(|root| self.walk(root).hashes).collect();
                self.write_log(&all)
            }
        }
    }

    fn list(&self, kind: &str) -> Result<Vec<(Hash, String)>, LinkError> {
        let mut found = Vec::new();
        for dir in fs::read_dir(self.root.join(kind)).map_err(failed)? {
            let dir = dir.map_err(failed)?.path();
            for file in fs::read_dir(&dir).map_err(failed)? {
                let file = file.map_err(failed)?.path();
                let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
                let text = name(&dir).unwrap_or_default() + &name(&file).unwrap_or_default();
                if let Ok(hash) = text.parse() {
                    let value = if kind == "refs" {
                        fs::read_to_string(&file).map_err(failed)?
                    } else {
                        String::new()
                    };
                    found.push((hash, value));
                }
            }
        }
        Ok(found)
    }

    fn path(&self, kind: &str, hash: &Hash) -> PathBuf {
        let name = hash.to_string();
        self.root.join(kind).join(&name[..1]).join(&name[1..])
    }

    fn write(&self, kind: &str, hash: &Hash, bytes: &[u8]) -> Result<(), LinkError> {
        let path = self.path(kind, hash);
        let dir = path.parent().expect("a file in a directory");
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let temp = dir.join(format!("tmp.{}.{number}", std::process::id()));
        let written = fs::create_dir_all(dir).and_then(|()| fs::write(&temp, bytes));
        written.and_then(|()| fs::rename(&temp, &path)).map_err(failed)
    }

    fn block(&self, hash: &Hash) -> Result<Option<Bytes>, LinkError> {
        match fs::read(self.path("blocks", hash)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn reference(&self, key: &Hash) -> Result<Option<Hash>, LinkError> {
        match fs::read_to_string(self.path("refs", key)) {
            Ok(text) => text.trim().parse().map(Some).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps other processes from changing references.
    fn lock(&self) -> Result<File, LinkError> {
        let file = File::create(self.root.join("lock")).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    fn walk(&self, root: &Hash) -> Leaves {
        let mut leaves = Leaves::default();
        for leaf in
            walk::Leaves::new(*root, |hash: &Hash| Ok::<_, Infallible>(self.block(hash).unwrap_or_default()))
        {
            match leaf {
                Ok(hashes) => leaves.hashes.extend(hashes),
                Err(walk::WalkError::Missing { hash }) => leaves.missing = Some(hash),
                Err(_) => {}
            }
        }
        leaves
    }

    fn write_log(&self, updates: &BTreeSet<Hash>) -> Result<Hash, LinkError> {
        let sorted: Vec<_> = updates.iter().copied().collect();
        let mut blocks = Vec::new();
        let root = build::build(Shape::LOG, &sorted, |hash, block| blocks.push((hash, block)));
        for (hash, block) in blocks {
            self.write("blocks", &hash, &block)?;
        }
        Ok(root)
    }

    fn missing(&self, roots: &[Hash]) -> Result<BTreeSet<Hash>, LinkError> {
        let (mut seen, mut missing) = (BTreeSet::new(), BTreeSet::new());
        let mut waiting = roots.to_vec();
        while let Some(hash) = waiting.pop() {
            if seen.insert(hash) {
                match self.block(&hash)? {
                    Some(block) => waiting.extend(inspect::links(&block)),
                    None => drop(missing.insert(hash)),
                }
            }
        }
        Ok(missing)
    }
}

fn failed(error: impl std::fmt::Display) -> LinkError {
    LinkError::Failed { message: error.to_string() }
}

/// Calls `look` until it says that it is done or the time is over; gives what it saw last.
fn wait_for<T>(
    wait: Duration,
    mut look: impl FnMut() -> Result<(T, bool), LinkError>,
) -> Result<T, LinkError> {
    let end = Instant::now() + wait;
    loop {
        let (value, done) = look()?;
        if done || Instant::now() >= end {
            return Ok(value);
        }
        // Files have no events that all systems share.
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
}

impl BlockSink for &Folder {
    fn put(&mut self, block: Bytes) -> Result<(), LinkError> {
        self.write("blocks", &Hash::of(&block), &block)
    }

    fn finish(self: Box<Self>) -> Result<(), LinkError> {
        Ok(())
    }
}

impl Link for Folder {
    fn put(&self, blocks: &[Bytes]) -> Result<(), LinkError> {
        blocks.iter().try_for_each(|block| self.write("blocks", &Hash::of(block), block))
    }

    fn sync(&self) -> Result<(), LinkError> {
        Ok(())
    }

    fn get(&self, hashes: &[Hash]) -> Result<Vec<Option<Bytes>>, LinkError> {
        hashes.iter().map(|hash| self.block(hash)).collect()
    }

    fn upload(&self) -> Box<dyn BlockSink + '_> {
        Box::new(self)
    }

    fn stream(&self, hashes: Vec<Hash>) -> BlockStream<'_> {
        Box::new(hashes.into_iter().map(|hash| Ok((hash, self.block(&hash)?))))
    }

    fn leaves(&self, root: &Hash) -> Result<Leaves, LinkError> {
        Ok(self.walk(root))
    }

    fn wait_trees(
        &self,
        roots: &[Hash],
        wait: Duration,
        _seen: Option<u64>,
    ) -> Result<TreeStatus, LinkError> {
        wait_for(wait, || {
            let missing = self.missing(roots)?;
            let sample = missing.iter().take(SAMPLE_MAX).copied().collect();
            let count = missing.len() as u64;
            let status = TreeStatus { complete: count == 0, missing: count, sample, ..TreeStatus::default() };
            Ok((status, count == 0))
        })
    }

    fn lwwref(&self, key: &SignPublicKey) -> Result<Option<LwwRef>, LinkError> {
        let Some(hash) = self.reference(&RefKind::Lww.key(key))? else { return Ok(None) };
        let block = self.block(&hash)?.unwrap_or_default();
        let signed = Signed::<LwwRef>::from_bytes(&block).map_err(failed)?;
        Ok(Some(signed.verify().map_err(failed)?.value))
    }

    fn set_lwwref(&self, signed: &Signed<LwwRef>) -> Result<(), LinkError> {
        let verified = signed.verify().map_err(failed)?;
        let _lock = self.lock()?;
        if self.lwwref(&verified.signer)?.is_none_or(|current| verified.value.beats(&current)) {
            let block = signed.to_bytes();
            let hash = Hash::of(&block);
            self.write("blocks", &hash, &block)?;
            self.write("refs", &RefKind::Lww.key(&verified.signer), hash.to_string().as_bytes())?;
        }
        Ok(())
    }

    fn reflog(&self, key: &SignPublicKey) -> Result<Option<Hash>, LinkError> {
        self.reference(&RefKind::Reflog.key(key))
    }

    fn post(&self, updates: &[ReflogUpdate], guard: Guard) -> Result<Posted, LinkError> {
        let key = updates.first().ok_or_else(|| failed("nothing to post"))?.key();
        let _lock = self.lock()?;
        let present = self.reflog(key)?;
        if guard != Guard::Any && guard != Guard::Is(present) {
            return Ok(Posted::Moved(present));
        }
        let old = present.map(|root| self.walk(&root).hashes).unwrap_or_default();
        let mut all: BTreeSet<_> = old.into_iter().collect();
        for update in updates {
            update.verify().map_err(failed)?;
            self.write("blocks", &update.id(), &update.to_bytes())?;
            all.insert(update.id());
        }
        let root = self.write_log(&all)?;
        self.write("refs", &RefKind::Reflog.key(key), root.to_string().as_bytes())?;
        Ok(Posted::Done(root))
    }

    fn wait_ref(
        &self,
        kind: RefKind,
        key: &SignPublicKey,
        seen: Option<Hash>,
        wait: Duration,
    ) -> Result<Option<Hash>, LinkError> {
        wait_for(wait, || {
            let value = self.reference(&kind.key(key))?;
            Ok((value, value != seen))
        })
    }

    fn fetch_ref(&self, _kind: RefKind, _key: &SignPublicKey) -> Result<(), LinkError> {
        Ok(())
    }

    fn peers(&self) -> Result<Vec<PeerAddr>, LinkError> {
        Ok(Vec::new())
    }

    fn poll(&self, kind: RefKind, key: &SignPublicKey, minutes: u32) -> Result<(), LinkError> {
        let line = format!("{key} {minutes} {kind:?}\n");
        let path = self.root.join("polls");
        let polls = fs::read_to_string(&path).unwrap_or_default();
        if polls.contains(&line) { Ok(()) } else { fs::write(path, polls + &line).map_err(failed) }
    }
}
