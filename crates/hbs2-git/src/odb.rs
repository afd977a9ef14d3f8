//! Reading the local repository's objects in this process. All of gix is in this file.
//!
//! Replacements and grafts are not applied: what travels is what the ids say. Alternates are followed.

use std::cell::RefCell;
use std::collections::HashMap;

use gix_object::{Exists, Find};
use gix_pack::cache::DecodeEntry;

use crate::error::{Error, Result};
use crate::gitdir::GitDir;
use crate::object::{ObjectId, ObjectKind};

/// Bytes of delta bases that are kept while objects are read: git's own `core.deltaBaseCacheLimit`.
const BASE_CACHE_BYTES: usize = 96 * 1024 * 1024;

/// The object database of a local repository. Belongs to one thread.
pub struct Odb {
    handle: gix_odb::Handle,
    buffer: RefCell<Vec<u8>>,
}

impl Odb {
    /// Opens the database; nothing is read before the first question.
    ///
    /// # Errors
    /// The object directory cannot be listed.
    pub fn open(git: &GitDir) -> Result<Self> {
        let path = git.objects();
        let mut handle = gix_odb::at(path, gix_hash::Kind::Sha1).map_err(|source| Error::File {
            doing: "open",
            path: path.to_owned(),
            source,
        })?;
        handle.set_pack_cache(|| Box::new(BaseCache::default()));
        handle.ignore_replacements = true;
        Ok(Self { handle, buffer: RefCell::default() })
    }

    /// Do not look at the directory again when an object is not found. For work that asks for many absent ones.
    #[must_use]
    pub fn without_refresh(mut self) -> Self {
        self.handle.refresh_never();
        self
    }

    /// Whether the object is there.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.handle.exists(gix_hash::oid::from_bytes_unchecked(id.as_bytes()))
    }

    /// Replaces `content` by the object's content; gives its kind, or none when it is not there.
    ///
    /// # Errors
    /// The object is there but cannot be read.
    pub fn read(&self, id: &ObjectId, content: &mut Vec<u8>) -> Result<Option<ObjectKind>> {
        let found = self.handle.try_find(gix_hash::oid::from_bytes_unchecked(id.as_bytes()), content);
        let found = found.map_err(|error| Error::Object { id: *id, message: format!("{error:#}") })?;
        Ok(found.map(|data| match data.kind {
            gix_object::Kind::Commit => ObjectKind::Commit,
            gix_object::Kind::Tree => ObjectKind::Tree,
            gix_object::Kind::Blob => ObjectKind::Blob,
            gix_object::Kind::Tag => ObjectKind::Tag,
        }))
    }

    /// As [`Odb::read`], for an object that must be there and be of a kind; hands the content to `use_it`.
    ///
    /// # Errors
    /// The object is absent, of another kind, or cannot be read.
    pub fn with<T>(&self, id: &ObjectId, kind: ObjectKind, use_it: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let mut buffer = self.buffer.borrow_mut();
        match self.read(id, &mut buffer)? {
            Some(found) if found == kind => Ok(use_it(&buffer)),
            Some(found) => {
                let message = format!("it is a {} where a {} is needed", found.name(), kind.name());
                Err(Error::Object { id: *id, message })
            }
            None => Err(Error::Object { id: *id, message: "it is not there".into() }),
        }
    }
}

/// Decoded objects by place, for deltas that build on them. Two generations: when the young one is full it
/// becomes the old one, and what was in the old one and not asked for since goes away.
#[derive(Default)]
struct BaseCache {
    young: HashMap<(u32, u64), Base>,
    young_bytes: usize,
    old: HashMap<(u32, u64), Base>,
}

struct Base {
    content: Vec<u8>,
    kind: gix_object::Kind,
    packed_bytes: usize,
}

impl BaseCache {
    fn insert(&mut self, key: (u32, u64), base: Base) {
        let bytes = base.content.len();
        if self.young_bytes + bytes > BASE_CACHE_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if bytes <= BASE_CACHE_BYTES / 4 && self.young.insert(key, base).is_none() {
            self.young_bytes += bytes;
        }
    }
}

impl DecodeEntry for BaseCache {
    fn put(&mut self, pack_id: u32, offset: u64, data: &[u8], kind: gix_object::Kind, packed_bytes: usize) {
        self.insert((pack_id, offset), Base { content: data.to_vec(), kind, packed_bytes });
    }

    fn get(&mut self, pack_id: u32, offset: u64, out: &mut Vec<u8>) -> Option<(gix_object::Kind, usize)> {
        let key = (pack_id, offset);
        if let Some(base) = self.old.remove(&key) {
            self.insert(key, base);
        }
        let base = self.young.get(&key)?;
        out.clear();
        out.extend_from_slice(&base.content);
        Some((base.kind, base.packed_bytes))
    }
}
