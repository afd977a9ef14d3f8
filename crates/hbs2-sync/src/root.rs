//! The folder on disk: every file is reached step by step from an open directory, and never through a symbolic link.
//!
//! A file is written under a temporary name in the folder's own directory, made durable, and renamed to its place only if
//! what is there is what was seen: nothing a user does meanwhile is written over. What is deleted is moved away first and
//! looked at once more.

pub(crate) mod at;
mod unfinished;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, Stat, mkdirat, openat, renameat, syncfs, unlinkat};
use rustix::io::Errno;

use crate::path::{OWN, RelPath};
use at::{enter_in, look_in, names_in, read_in, read_through, rename_to_nothing};
pub use unfinished::Unfinished;

/// Where unfinished files are, in the folder's own directory.
const UNFINISHED: &str = "tmp";

/// Permissions of a new file and of a new directory, before the umask.
const FILE_MODE: u32 = 0o666;
const DIR_MODE: u32 = 0o777;

/// The permissions that are kept: to read, write and execute, and nothing that lends rights.
const PERMISSIONS: u32 = 0o777;

/// What tells two states of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// Number of the file in its file system.
    pub inode: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Last change of the content: seconds since the epoch, and nanoseconds.
    pub modified: (i64, u32),
    /// Last change of anything: seconds since the epoch, and nanoseconds.
    pub changed: (i64, u32),
    /// Permissions.
    pub mode: u32,
}

impl Print {
    fn of(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino,
            bytes: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime, stat.st_mtime_nsec as u32),
            changed: (stat.st_ctime, stat.st_ctime_nsec as u32),
            mode: stat.st_mode & PERMISSIONS,
        }
    }

    /// Whether its owner may execute it.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Whether this is the same file with the same content, although it may have been renamed.
    #[must_use]
    pub fn is_moved(&self, other: &Self) -> bool {
        (self.inode, self.bytes, self.modified) == (other.inode, other.bytes, other.modified)
    }

    /// Seconds since the epoch of the last change of the content.
    #[must_use]
    pub fn modified_seconds(&self) -> u64 {
        u64::try_from(self.modified.0).unwrap_or_default()
    }
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A regular file.
    File(Print),
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// A socket, device or named pipe.
    Special,
}

/// What must be at a place, else nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Nothing,
    /// This file.
    File(Print),
    /// Directories without a file.
    Hollow,
}

/// Why a place was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Somebody has changed what is there since it was looked at; or it is another file, on a file system that does not
    /// tell their names apart.
    #[error("something else is there now")]
    Changed,
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl From<Errno> for PlaceError {
    fn from(error: Errno) -> Self {
        match error {
            // A link or a file stands where a directory should be, or something came into the way.
            Errno::EXIST | Errno::NOTDIR | Errno::LOOP | Errno::NOTEMPTY | Errno::ISDIR => Self::Changed,
            other => Self::System(other.into()),
        }
    }
}

/// An open folder.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
    /// For the names of temporary files.
    count: AtomicU64,
}

impl Root {
    /// Opens a folder.
    ///
    /// # Errors
    /// It is not there, is no directory, or cannot be entered.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(rustix::fs::CWD, path, flags, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned(), count: AtomicU64::new(0) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of ours in it.
    #[must_use]
    pub fn own(&self) -> PathBuf {
        self.path.join(OWN)
    }

    /// Makes the place of unfinished files, and removes those that a run before has left. For the one who holds the lock.
    ///
    /// # Errors
    /// The system refuses.
    pub fn prepare(&self) -> io::Result<()> {
        let dir = self.own().join(UNFINISHED);
        std::fs::create_dir_all(&dir)?;
        for entry in std::fs::read_dir(&dir)? {
            std::fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    /// An open directory; the folder itself for none.
    ///
    /// # Errors
    /// It is not there, or something on the way is no directory.
    pub fn dir(&self, path: Option<&RelPath>) -> io::Result<OwnedFd> {
        let mut dir = enter_in(&self.fd, ".")?;
        for name in path.iter().flat_map(|path| path.names()) {
            dir = enter_in(&dir, name)?;
        }
        Ok(dir)
    }

    /// The same, with directories made as needed.
    fn made_dir(&self, path: Option<&RelPath>) -> Result<OwnedFd, Errno> {
        let mut dir = enter_in(&self.fd, ".")?;
        for name in path.iter().flat_map(|path| path.names()) {
            dir = match enter_in(&dir, name) {
                Err(Errno::NOENT) => match mkdirat(&dir, name, Mode::from_raw_mode(DIR_MODE)) {
                    Ok(()) | Err(Errno::EXIST) => enter_in(&dir, name)?,
                    Err(error) => return Err(error),
                },
                other => other?,
            };
        }
        Ok(dir)
    }

    fn parent(&self, path: &RelPath) -> io::Result<OwnedFd> {
        self.dir(path.parent().as_ref())
    }

    /// What is at a path; none for nothing.
    ///
    /// # Errors
    /// The system refuses.
    pub fn look(&self, path: &RelPath) -> io::Result<Option<Found>> {
        match self.parent(path) {
            Ok(dir) => Ok(look_in(&dir, path.name())?),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a regular file for reading; if links are followed, also through one that has its name.
    ///
    /// # Errors
    /// It is not there, is something else, or may not be read.
    pub fn read(&self, path: &RelPath, follow_links: bool) -> io::Result<(File, Print)> {
        let dir = self.parent(path)?;
        if follow_links { read_through(&dir, path.name()) } else { read_in(&dir, path.name()) }
    }

    /// Begins a file.
    ///
    /// # Errors
    /// The system refuses.
    pub fn begin(&self) -> io::Result<Unfinished<'_>> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{OWN}/{UNFINISHED}/{}.{number}", std::process::id());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.fd, &name, flags, Mode::from_raw_mode(FILE_MODE))?;
        Ok(Unfinished { root: self, name, file: fd.into() })
    }

    /// Waits until everything written is on stable storage.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn sync(&self) -> io::Result<()> {
        Ok(syncfs(&self.fd)?)
    }

    /// Deletes a file if it is the one that was seen, and the directories that are empty without it.
    ///
    /// # Errors
    /// Another file is there now; the system refuses.
    pub fn delete(&self, path: &RelPath, seen: &Print) -> Result<(), PlaceError> {
        let dir = self.parent(path)?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let aside = format!("{OWN}/{UNFINISHED}/{}.{number}", std::process::id());
        match renameat(&dir, path.name(), &self.fd, &aside) {
            Err(Errno::NOENT) => return Ok(()),
            // Another file system below the folder.
            Err(Errno::XDEV) => {
                self.check(&dir, path.name(), seen)?;
                unlinkat(&dir, path.name(), AtFlags::empty())?;
            }
            other => {
                other?;
                if let Err(error) = self.check(&self.fd, &aside, seen) {
                    rename_to_nothing(&self.fd, &aside, &dir, path.name())?;
                    return Err(error);
                }
                unlinkat(&self.fd, &aside, AtFlags::empty())?;
            }
        }
        for dir in path.ancestors() {
            if self.remove_empty_dir(&dir).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Renames a file if it is the one that was seen and nothing has the new name.
    ///
    /// # Errors
    /// Something is in the way; the system refuses.
    pub fn rename(&self, path: &RelPath, to: &RelPath, seen: &Print) -> Result<(), PlaceError> {
        let dir = self.parent(path)?;
        self.check(&dir, path.name(), seen)?;
        let target = self.made_dir(to.parent().as_ref())?;
        Ok(rename_to_nothing(&dir, path.name(), &target, to.name())?)
    }

    /// Removes a directory if it is empty.
    ///
    /// # Errors
    /// It is not.
    pub fn remove_empty_dir(&self, path: &RelPath) -> io::Result<()> {
        let dir = self.parent(path)?;
        Ok(unlinkat(&dir, path.name(), AtFlags::REMOVEDIR)?)
    }

    /// Whether a file is the one that was seen.
    fn check(&self, dir: &OwnedFd, name: &str, seen: &Print) -> Result<(), PlaceError> {
        match look_in(dir, name)? {
            Some(Found::File(print)) if print.is_moved(seen) => Ok(()),
            _ => Err(PlaceError::Changed),
        }
    }

    /// Removes a directory in which there are directories only.
    fn remove_hollow(&self, dir: &OwnedFd, name: &str, depth: usize) -> Result<(), Errno> {
        if depth == 0 {
            return Err(Errno::NOTEMPTY);
        }
        let inner = enter_in(dir, name)?;
        for entry in names_in(&inner)? {
            let name = entry.to_str().map_err(|_| Errno::NOTEMPTY)?;
            self.remove_hollow(&inner, name, depth - 1)?;
        }
        unlinkat(dir, name, AtFlags::REMOVEDIR)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    fn folder() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        root.prepare().unwrap();
        (dir, root)
    }

    fn write(root: &Root, at: &str, text: &str, expected: &Expected) -> Result<Print, PlaceError> {
        let mut file = root.begin()?;
        file.file().write_all(text.as_bytes())?;
        file.place(&path(at), 1_000_000, Some(false), expected)
    }

    fn seen(root: &Root, at: &str) -> Print {
        match root.look(&path(at)).unwrap() {
            Some(Found::File(print)) => print,
            other => panic!("{at} is {other:?}"),
        }
    }

    #[test]
    fn a_file_comes_whole_with_its_directories_and_its_time() {
        let (dir, root) = folder();
        let print = write(&root, "a/b/c.txt", "hello", &Expected::Nothing).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a/b/c.txt")).unwrap(), "hello");
        assert_eq!((print.modified, print.is_executable()), ((1_000_000, 0), false));
        assert_eq!(fs::read_dir(root.own().join(UNFINISHED)).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_written_over_that_was_not_seen() {
        let (dir, root) = folder();
        fs::write(dir.path().join("f"), "mine").unwrap();
        let changed = |outcome| matches!(outcome, Err(PlaceError::Changed));
        assert!(changed(write(&root, "f", "theirs", &Expected::Nothing)));
        let before = seen(&root, "f");
        fs::write(dir.path().join("f"), "mine, edited").unwrap();
        assert!(changed(write(&root, "f", "theirs", &Expected::File(before))));
        assert!(matches!(root.delete(&path("f"), &before), Err(PlaceError::Changed)));
        assert!(matches!(root.rename(&path("f"), &path("g"), &before), Err(PlaceError::Changed)));
        assert_eq!(fs::read_to_string(dir.path().join("f")).unwrap(), "mine, edited");
        write(&root, "f", "theirs", &Expected::File(seen(&root, "f"))).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("f")).unwrap(), "theirs");
        assert_eq!(fs::read_dir(root.own().join(UNFINISHED)).unwrap().count(), 0);
    }

    #[test]
    fn no_link_is_followed_out_of_the_folder() {
        let (dir, root) = folder();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("link")).unwrap();
        fs::write(outside.path().join("victim"), "safe").unwrap();
        assert!(write(&root, "link/new", "x", &Expected::Nothing).is_err());
        assert!(write(&root, "link", "x", &Expected::Nothing).is_err());
        assert!(root.read(&path("link/victim"), true).is_err());
        assert!(root.read(&path("link"), false).is_err());
        let print = Print { inode: 0, bytes: 0, modified: (0, 0), changed: (0, 0), mode: 0 };
        assert!(root.delete(&path("link/victim"), &print).is_err());
        assert_eq!(root.look(&path("link")).unwrap(), Some(Found::Link));
        assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "safe");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn deleting_takes_the_directories_that_are_empty_without_the_file() {
        let (dir, root) = folder();
        write(&root, "a/b/c", "1", &Expected::Nothing).unwrap();
        write(&root, "a/d", "2", &Expected::Nothing).unwrap();
        root.delete(&path("a/b/c"), &seen(&root, "a/b/c")).unwrap();
        assert!(!dir.path().join("a/b").exists() && dir.path().join("a/d").exists());
    }

    #[test]
    fn empty_directories_make_room_for_a_file_and_others_do_not() {
        let (dir, root) = folder();
        fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
        write(&root, "a", "file", &Expected::Hollow).unwrap();
        fs::create_dir_all(dir.path().join("d/e")).unwrap();
        fs::write(dir.path().join("d/e/f"), "x").unwrap();
        assert!(matches!(write(&root, "d", "file", &Expected::Hollow), Err(PlaceError::Changed)));
        assert!(dir.path().join("d/e/f").exists());
    }

    #[test]
    fn the_permission_to_execute_goes_with_the_permission_to_read() {
        let (dir, root) = folder();
        let file = root.begin().unwrap();
        let print = file.place(&path("run"), 1, Some(true), &Expected::Nothing).unwrap();
        assert!(print.is_executable());
        let mode = fs::metadata(dir.path().join("run")).unwrap().permissions().mode();
        assert_eq!((mode >> 2) & 0o111, mode & 0o111, "{mode:o}");
    }
}
