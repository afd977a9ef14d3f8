//! The object index: which objects are in the repository's segments already.
//!
//! The exact set of ids lies in a few sorted files, *runs*. Each transaction adds one; when the last run has
//! grown to half of the one before, both are merged, so there are never more than about log2(objects) of them
//! and each id is rewritten as often at most. A question costs two small reads a run, however large the set.
//!
//! ```text
//! run = "hbs2ids1" | bits u32 | count u32 | 2^bits + 1 bounds u32 | count ids of 20 bytes, sorted
//! ```
//! All integers are big-endian. Bound *i* is the number of ids whose first `bits` bits are below *i*.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::object::ObjectId;

const MAGIC: &[u8; 8] = b"hbs2ids1";
const HEAD_BYTES: u64 = 16;
const BOUND_BYTES: u64 = 4;
const ID_BYTES: u64 = ObjectId::BYTES as u64;

/// Prefix bits of the bounds table of large and small runs, and where large begins, in ids. With 16 bits a
/// run of ten million ids has about 150 of them behind one bound: one read of 3 KB.
const BITS_LARGE: u32 = 16;
const BITS_SMALL: u32 = 8;
const LARGE_IDS: usize = 65_536;

/// The set of ids, in a directory of its own.
#[derive(Debug)]
pub struct IdSet {
    dir: PathBuf,
    /// In the order in which they were added.
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    number: u64,
    path: PathBuf,
    file: File,
    bits: u32,
    count: u32,
}

impl IdSet {
    /// Opens the set; an absent directory is an empty set.
    ///
    /// # Errors
    /// A run cannot be read or is broken.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut runs = Vec::new();
        let listing = match fs::read_dir(dir) {
            Ok(listing) => Some(listing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(Error::File { doing: "list", path: dir.to_owned(), source }),
        };
        for entry in listing.into_iter().flatten() {
            let path =
                entry.map_err(|source| Error::File { doing: "list", path: dir.to_owned(), source })?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if let Some(number) = number.filter(|_| path.extension().is_some_and(|ext| ext == "ids")) {
                runs.push(Run::open(number, path)?);
            }
        }
        runs.sort_unstable_by_key(|run| run.number);
        Ok(Self { dir: dir.to_owned(), runs })
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether the id is in the set.
    ///
    /// # Errors
    /// A run cannot be read.
    pub fn contains(&self, id: &ObjectId) -> Result<bool> {
        for run in self.runs.iter().rev() {
            if run.contains(id).map_err(|source| run.error("read", source))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds ids, in any order; they are on stable storage when this returns.
    ///
    /// # Errors
    /// A run cannot be written.
    pub fn add(&mut self, mut ids: Vec<ObjectId>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        ids.sort_unstable();
        ids.dedup();
        let number = self.runs.last().map_or(0, |run| run.number + 1);
        let count = ids.len();
        let run = self.write(number, count, ids.into_iter().map(Ok))?;
        self.runs.push(run);
        while let [.., before, last] = self.runs.as_slice() {
            if u64::from(last.count) * 2 < u64::from(before.count) {
                break;
            }
            self.merge_last_two()?;
        }
        Ok(())
    }

    fn merge_last_two(&mut self) -> Result<()> {
        let (last, before) = (self.runs.pop().expect("two runs"), self.runs.pop().expect("two runs"));
        let both = merge(before.ids()?, last.ids()?);
        let upper_bound = (before.count + last.count) as usize;
        let merged = self.write(last.number + 1, upper_bound, both)?;
        self.runs.push(merged);
        // A crash before this leaves the old runs beside the merged one: the same set.
        for old in [before, last] {
            fs::remove_file(&old.path).map_err(|source| old.error("remove", source))?;
        }
        Ok(())
    }

    /// Writes a run of at most `count_max` sorted ids.
    fn write(
        &self,
        number: u64,
        count_max: usize,
        ids: impl Iterator<Item = io::Result<ObjectId>>,
    ) -> Result<Run> {
        let path = self.dir.join(format!("{number:08}.ids"));
        let temp = path.with_extension("tmp");
        let written = fs::create_dir_all(&self.dir)
            .and_then(|()| write_run(&temp, count_max, ids))
            .and_then(|()| fs::rename(&temp, &path));
        written.map_err(|source| Error::File { doing: "write", path: path.clone(), source })?;
        Run::open(number, path)
    }
}

/// The union of two sorted iterators.
fn merge(
    left: impl Iterator<Item = io::Result<ObjectId>>,
    right: impl Iterator<Item = io::Result<ObjectId>>,
) -> impl Iterator<Item = io::Result<ObjectId>> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(Ok(a)), Some(Ok(b))) => {
            let order = a.cmp(b);
            if order.is_eq() {
                right.next();
            }
            if order.is_le() { left.next() } else { right.next() }
        }
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}

fn write_run(
    path: &Path,
    count_max: usize,
    ids: impl Iterator<Item = io::Result<ObjectId>>,
) -> io::Result<()> {
    let bits = if count_max >= LARGE_IDS { BITS_LARGE } else { BITS_SMALL };
    let mut bounds = vec![0u32; (1 << bits) + 1];
    let mut out = BufWriter::new(File::create(path)?);
    // Head and bounds are filled in when the ids are counted.
    out.write_all(&vec![0; HEAD_BYTES as usize + bounds.len() * BOUND_BYTES as usize])?;
    let mut count = 0u32;
    for id in ids {
        let id = id?;
        out.write_all(id.as_bytes())?;
        bounds[prefix(&id, bits) + 1] += 1;
        count = count.checked_add(1).ok_or_else(|| io::Error::other("more than 2^32 ids"))?;
    }
    let mut sum = 0;
    let mut head = Vec::with_capacity(HEAD_BYTES as usize + bounds.len() * BOUND_BYTES as usize);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&bits.to_be_bytes());
    head.extend_from_slice(&count.to_be_bytes());
    for bound in bounds {
        sum += bound;
        head.extend_from_slice(&sum.to_be_bytes());
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.write_all_at(&head, 0)?;
    file.sync_all()
}

/// The first `bits` bits of an id.
fn prefix(id: &ObjectId, bits: u32) -> usize {
    let first = u16::from_be_bytes(*id.as_bytes().first_chunk().expect("an id has 20 bytes"));
    usize::from(first >> (16 - bits))
}

impl Run {
    fn open(number: u64, path: PathBuf) -> Result<Self> {
        let fail = |path: &Path, source| Error::File { doing: "read", path: path.to_owned(), source };
        let mut head = [0; HEAD_BYTES as usize];
        let file = File::open(&path).map_err(|source| fail(&path, source))?;
        file.read_exact_at(&mut head, 0).map_err(|source| fail(&path, source))?;
        let length = file.metadata().map_err(|source| fail(&path, source))?.len();
        let word = |at: usize| u32::from_be_bytes(*head[at..].first_chunk().expect("the head has 16 bytes"));
        let run = Self { number, file, bits: word(8), count: word(12), path };
        let known = head.starts_with(MAGIC) && (run.bits == BITS_SMALL || run.bits == BITS_LARGE);
        if !known || length != run.ids_at() + u64::from(run.count) * ID_BYTES {
            return Err(run.error("read", io::Error::other("not an index of object ids")));
        }
        Ok(run)
    }

    fn ids_at(&self) -> u64 {
        HEAD_BYTES + ((1 << self.bits) + 1) * BOUND_BYTES
    }

    fn contains(&self, id: &ObjectId) -> io::Result<bool> {
        let mut bounds = [0; 2 * BOUND_BYTES as usize];
        self.file.read_exact_at(&mut bounds, HEAD_BYTES + prefix(id, self.bits) as u64 * BOUND_BYTES)?;
        let (low, high) = bounds.split_at(BOUND_BYTES as usize);
        let [from, to] = [low, high].map(|b| u32::from_be_bytes(*b.first_chunk().expect("four bytes")));
        if from > to || to > self.count {
            return Err(io::Error::other("not an index of object ids"));
        }
        let mut ids = vec![0; (to - from) as usize * ObjectId::BYTES];
        self.file.read_exact_at(&mut ids, self.ids_at() + u64::from(from) * ID_BYTES)?;
        let (ids, _) = ids.as_chunks::<{ ObjectId::BYTES }>();
        Ok(ids.binary_search(id.as_bytes()).is_ok())
    }

    /// All ids, sorted.
    fn ids(&self) -> Result<impl Iterator<Item = io::Result<ObjectId>> + use<>> {
        let file = File::open(&self.path).map_err(|source| self.error("read", source))?;
        let mut input = BufReader::with_capacity(1 << 17, file);
        let skip = io::copy(&mut (&mut input).take(self.ids_at()), &mut io::sink());
        skip.map_err(|source| self.error("read", source))?;
        Ok((0..self.count).map(move |_| {
            let mut id = [0; ObjectId::BYTES];
            input.read_exact(&mut id)?;
            Ok(ObjectId::from_bytes(id))
        }))
    }

    fn error(&self, doing: &'static str, source: io::Error) -> Error {
        Error::File { doing, path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectKind;

    fn id(number: u32) -> ObjectId {
        ObjectId::of(ObjectKind::Blob, &number.to_be_bytes())
    }

    fn check(sizes: &[u32]) {
        let dir = tempfile::tempdir().unwrap();
        let mut set = IdSet::open(&dir.path().join("ids")).unwrap();
        let mut next = 0;
        for size in sizes {
            set.add((next..next + size).map(id).collect()).unwrap();
            next += size;
        }
        let again = IdSet::open(&dir.path().join("ids")).unwrap();
        for number in 0..next {
            assert!(set.contains(&id(number)).unwrap() && again.contains(&id(number)).unwrap(), "{number}");
        }
        for number in next..next + 1000 {
            assert!(!again.contains(&id(number)).unwrap(), "{number}");
        }
        let total: u32 = again.runs.iter().map(|run| run.count).sum();
        assert_eq!(total, next);
        assert!(again.runs.len() <= 2 + next.max(1).ilog2() as usize, "{} runs", again.runs.len());
    }

    #[test]
    fn the_set_holds_exactly_what_was_added() {
        check(&[]);
        check(&[1]);
        check(&[0, 3, 1, 1, 1, 1, 1, 1, 1, 20, 1, 2, 3]);
        check(&[70_000, 1, 1, 500, 3, 70_000, 1]);
        check(&[1; 200]);
    }

    #[test]
    fn ids_added_twice_are_there_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut set = IdSet::open(dir.path()).unwrap();
        set.add(vec![id(1), id(2), id(1)]).unwrap();
        set.add(vec![id(2), id(3)]).unwrap();
        assert_eq!(set.runs.iter().map(|run| run.count).sum::<u32>(), 3);
    }

    #[test]
    fn a_broken_run_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut set = IdSet::open(dir.path()).unwrap();
        set.add(vec![id(1), id(2)]).unwrap();
        let path = set.runs[0].path.clone();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(IdSet::open(dir.path()), Err(Error::File { .. })));
    }
}
