//! Looking at a folder: which files are there, and what is in them.
//!
//! A file is read only when its number, length or times differ from those at its last reading. One that was read within
//! moments of its last change is read again the next time, because another change in the same moment shows in no time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use hbs2_core::Hash;

use crate::masks::Masks;
use crate::path::{PATH_NAMES_MAX, PathError, RelPath};
use crate::plan::{Local, Snapshot};
use crate::root::at::{enter_in, look_in, names_in, print_of, read_in, read_through};
use crate::root::{Found, Print, Root};

/// How long after its last change a file must be read for its times to be believed, in seconds: the coarsest file systems
/// count in steps of two.
const SETTLED_SECONDS: u64 = 2;

/// What is read of a file at once, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// What is remembered of a file that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Its state then.
    pub print: Print,
    /// The hash of its content.
    pub content: Hash,
    /// Whether it had rested long enough for the state to tell the next change.
    pub settled: bool,
}

/// Why something in a folder is not kept equal.
#[derive(Debug, thiserror::Error)]
pub enum Skipped {
    /// A symbolic link.
    #[error("symbolic links are not kept")]
    Link,
    /// A socket, device or named pipe.
    #[error("it is no regular file")]
    Special,
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Unreadable(io::Error),
    /// It is being written.
    #[error("it changed while it was read")]
    Changing,
    /// Its name is not UTF-8.
    #[error("its name is no UTF-8 text")]
    NoText,
    /// Its name cannot be kept.
    #[error("its name cannot be kept: {0}")]
    Name(PathError),
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Scan {
    /// For the plan.
    pub snapshot: Snapshot,
    /// All files that were seen whole, as they were then.
    pub reads: BTreeMap<RelPath, Reading>,
    /// What is not kept equal, by name.
    pub skipped: Vec<(String, Skipped)>,
}

/// How a folder is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Looking<'l> {
    /// What is looked at.
    pub masks: &'l Masks,
    /// Whether a symbolic link to a file counts as the file.
    pub follow_links: bool,
    /// What is remembered.
    pub known: &'l BTreeMap<RelPath, Reading>,
}

/// Looks at a folder.
///
/// # Errors
/// The folder itself cannot be read.
pub fn scan(root: &Root, looking: Looking<'_>) -> io::Result<Scan> {
    let mut scanner = Scanner { looking, scan: Scan::default() };
    let dir = root.dir(None)?;
    let names = names_in(&dir)?;
    scanner.walk(&dir, None, names, PATH_NAMES_MAX);
    Ok(scanner.scan)
}

struct Scanner<'l> {
    looking: Looking<'l>,
    scan: Scan,
}

impl Scanner<'_> {
    fn walk(&mut self, dir: &OwnedFd, at: Option<&RelPath>, names: Vec<std::ffi::CString>, depth: usize) {
        for name in names {
            let Ok(name) = name.to_str() else {
                self.scan.skipped.push((name.to_string_lossy().into_owned(), Skipped::NoText));
                continue;
            };
            match RelPath::within(at, name) {
                Ok(path) => self.visit(dir, &path, depth),
                Err(PathError::Own) => {}
                Err(error) => self.scan.skipped.push((name.escape_debug().to_string(), Skipped::Name(error))),
            }
        }
    }

    fn visit(&mut self, dir: &OwnedFd, path: &RelPath, depth: usize) {
        let masks = self.looking.masks;
        if !masks.enters(path) {
            return;
        }
        match look_in(dir, path.name()) {
            // Gone since its name was read.
            Ok(None) => {}
            Ok(Some(Found::Dir)) => self.enter(dir, path, depth),
            Ok(_) if !masks.takes(path) => {}
            Ok(Some(Found::File(print))) => self.file(dir, path, &print),
            Ok(Some(Found::Link)) if self.looking.follow_links => self.linked(dir, path),
            Ok(Some(Found::Link)) => self.skip(path, Skipped::Link),
            Ok(Some(Found::Special)) => self.skip(path, Skipped::Special),
            Err(error) => self.skip(path, Skipped::Unreadable(error.into())),
        }
    }

    fn skip(&mut self, path: &RelPath, why: Skipped) {
        self.scan.snapshot.unseen.insert(path.clone());
        self.scan.skipped.push((path.to_string(), why));
    }

    fn enter(&mut self, dir: &OwnedFd, path: &RelPath, depth: usize) {
        if depth == 0 {
            return self.skip(path, Skipped::Name(PathError::TooLong));
        }
        let read = enter_in(dir, path.name()).and_then(|inner| names_in(&inner).map(|names| (inner, names)));
        match read {
            Ok((inner, names)) => {
                self.scan.snapshot.dirs.insert(path.clone());
                self.walk(&inner, Some(path), names, depth - 1);
            }
            Err(error) => self.skip(path, Skipped::Unreadable(error.into())),
        }
    }

    fn file(&mut self, dir: &OwnedFd, path: &RelPath, print: &Print) {
        if let Some(known) =
            self.looking.known.get(path).filter(|known| known.settled && known.print == *print)
        {
            let known = *known;
            return self.keep(path, known);
        }
        let opened = read_in(dir, path.name());
        self.read(path, opened);
    }

    fn linked(&mut self, dir: &OwnedFd, path: &RelPath) {
        let opened = read_through(dir, path.name());
        match (&opened, self.looking.known.get(path)) {
            (Ok((_, print)), Some(known)) if known.settled && known.print == *print => {
                self.keep(path, *known)
            }
            _ => self.read(path, opened),
        }
    }

    fn read(&mut self, path: &RelPath, opened: io::Result<(File, Print)>) {
        match opened.and_then(|(mut file, print)| Ok((hash_of(&mut file)?, print_of(&file)? == print, print)))
        {
            Ok((content, true, print)) => {
                let settled = is_settled(&print);
                self.keep(path, Reading { print, content, settled });
            }
            Ok((_, false, _)) => self.skip(path, Skipped::Changing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.skip(path, Skipped::Unreadable(error)),
        }
    }

    fn keep(&mut self, path: &RelPath, read: Reading) {
        let local = Local {
            content: read.content,
            executable: read.print.is_executable(),
            modified: read.print.modified_seconds(),
        };
        self.scan.snapshot.files.insert(path.clone(), local);
        self.scan.reads.insert(path.clone(), read);
    }
}

/// Whether a file has rested since its last change.
pub(crate) fn is_settled(print: &Print) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let changed = u64::try_from(print.modified.0.max(print.changed.0)).unwrap_or_default();
    now >= changed.saturating_add(SETTLED_SECONDS)
}

fn hash_of(file: &mut File) -> io::Result<Hash> {
    let mut hasher = Hash::begin();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn look(root: &Root, known: &BTreeMap<RelPath, Reading>) -> Scan {
        let masks = Masks::new(["**"], ["**/.*", "out"]).unwrap();
        scan(root, Looking { masks: &masks, follow_links: false, known }).unwrap()
    }

    #[test]
    fn files_are_seen_and_what_is_not_kept_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at("out")).unwrap();
        for name in ["a/b/f", "g", ".hidden", "out/h", "bad\nname"] {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at(".hbs2-sync")).unwrap();
        symlink("g", at("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let scan = look(&Root::open(dir.path()).unwrap(), &BTreeMap::new());
        let names: Vec<&str> = scan.snapshot.files.keys().map(RelPath::as_str).collect();
        assert_eq!(names, ["a/b/f", "g"]);
        assert_eq!(scan.snapshot.files[&RelPath::parse("g").unwrap()].content, Hash::of(b"g"));
        let unseen: Vec<&str> = scan.snapshot.unseen.iter().map(RelPath::as_str).collect();
        assert_eq!(unseen, ["link", "pipe"]);
        assert_eq!(scan.skipped.len(), 3, "{:?}", scan.skipped);
    }

    #[test]
    fn a_file_is_read_again_only_when_it_may_have_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "one").unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = RelPath::parse("f").unwrap();
        let mut known = look(&root, &BTreeMap::new()).reads;
        // A lie in what is remembered shows whether the file was read.
        let lie = Hash::of(b"lie");
        let content = |known: &BTreeMap<RelPath, Reading>| look(&root, known).snapshot.files[&path].content;
        known.get_mut(&path).unwrap().content = lie;
        assert!(!known[&path].settled);
        assert_eq!(content(&known), Hash::of(b"one"), "it was read in the moment of its change");
        known.get_mut(&path).unwrap().settled = true;
        assert_eq!(content(&known), lie);
        fs::write(&file, "two").unwrap();
        assert_eq!(content(&known), Hash::of(b"two"));
    }
}
