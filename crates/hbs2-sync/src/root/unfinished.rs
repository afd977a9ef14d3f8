//! A file that is written aside and put into its place.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, fstat, futimens, openat,
    renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use super::at::{look_in, rename_to_nothing};
use super::{Expected, Found, PERMISSIONS, PlaceError, Print, Root};
use crate::path::{OWN, PATH_NAMES_MAX, RelPath};

/// The permissions to execute.
const EXECUTE: u32 = 0o111;

/// A file that is not in its place yet. Removed when dropped.
#[derive(Debug)]
pub struct Unfinished<'r> {
    pub(super) root: &'r Root,
    pub(super) name: String,
    pub(super) file: File,
}

impl Unfinished<'_> {
    /// The file, to be written.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts the file into its place, with this time of change and permission to execute; what must be there is there, or
    /// nothing is done. Not to be asked before the content is [durable](Root::sync).
    ///
    /// # Errors
    /// Something else is there; the system refuses.
    pub fn place(
        self,
        path: &RelPath,
        seconds: u64,
        executable: Option<bool>,
        expected: &Expected,
    ) -> Result<Print, PlaceError> {
        self.dress(seconds, executable, expected)?;
        let root = self.root;
        let dir = root.made_dir(path.parent().as_ref())?;
        match expected {
            Expected::Nothing => self.put_down(&dir, path.name())?,
            Expected::Hollow => {
                match root.remove_hollow(&dir, path.name(), PATH_NAMES_MAX) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
                self.put_down(&dir, path.name())?;
            }
            Expected::File(seen) => self.swap(&dir, path.name(), seen)?,
        }
        match look_in(&dir, path.name())? {
            Some(Found::File(print)) => Ok(print),
            // It was there whole, and somebody has deleted it since: the next look takes that for what it is.
            None => Ok(Print::of(&fstat(&self.file)?)),
            Some(_) => Err(PlaceError::Changed),
        }
    }

    /// Permissions and time, while the file has no place. Of a file that is replaced its owner has chosen the permissions.
    fn dress(&self, seconds: u64, executable: Option<bool>, expected: &Expected) -> io::Result<()> {
        let mode = match expected {
            Expected::File(seen) => seen.mode,
            Expected::Nothing | Expected::Hollow => fstat(&self.file)?.st_mode & PERMISSIONS,
        };
        let mode = match executable {
            None => mode,
            // Who may read may execute.
            Some(true) => mode | ((mode >> 2) & EXECUTE),
            Some(false) => mode & !EXECUTE,
        };
        fchmod(&self.file, Mode::from_raw_mode(mode))?;
        let modified = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX), tv_nsec: 0 };
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        Ok(futimens(&self.file, &Timestamps { last_access, last_modification: modified })?)
    }

    /// Renames the file to a name that nothing has.
    fn put_down(&self, dir: &OwnedFd, name: &str) -> Result<(), PlaceError> {
        match rename_to_nothing(&self.root.fd, &self.name, dir, name) {
            Err(Errno::XDEV) => self.carry(dir, name, RenameFlags::NOREPLACE),
            other => Ok(other?),
        }
    }

    /// Exchanges the file with the one that was seen, and looks whether it was that one.
    fn swap(&self, dir: &OwnedFd, name: &str, seen: &Print) -> Result<(), PlaceError> {
        self.root.check(dir, name, seen)?;
        match renameat_with(&self.root.fd, &self.name, dir, name, RenameFlags::EXCHANGE) {
            Ok(()) => match self.root.check(&self.root.fd, &self.name, seen) {
                Ok(()) => Ok(unlinkat(&self.root.fd, &self.name, AtFlags::empty())?),
                Err(error) => {
                    // What came in between goes back.
                    renameat_with(&self.root.fd, &self.name, dir, name, RenameFlags::EXCHANGE)?;
                    Err(error)
                }
            },
            Err(Errno::XDEV) => self.carry(dir, name, RenameFlags::empty()),
            // A file system without this call: look, then rename.
            Err(Errno::INVAL | Errno::NOSYS) => Ok(renameat(&self.root.fd, &self.name, dir, name)?),
            Err(error) => Err(error.into()),
        }
    }

    /// To another file system, which is mounted below the folder: copied beside its place, then renamed.
    fn carry(&self, dir: &OwnedFd, name: &str, flags: RenameFlags) -> Result<(), PlaceError> {
        let beside = format!("{OWN}.{}", self.name.rsplit('/').next().unwrap_or_default());
        let mode = fstat(&self.file)?.st_mode & 0o7777;
        let open = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut copy = File::from(openat(dir, &beside, open, Mode::from_raw_mode(mode))?);
        let mut from = self.file.try_clone()?;
        let carried = io::Seek::rewind(&mut from)
            .and_then(|()| io::copy(&mut from, &mut copy))
            .and_then(|_| copy.set_modified(from.metadata()?.modified()?))
            .and_then(|()| copy.sync_all())
            .map_err(PlaceError::System)
            .and_then(|()| Ok(renameat_with(dir, &beside, dir, name, flags)?));
        if carried.is_err() {
            // The error of the copy is the one to tell.
            let _ = unlinkat(dir, &beside, AtFlags::empty());
        }
        carried
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // It is gone when it was renamed, and still there when it was carried to another file system.
        let _ = unlinkat(&self.root.fd, &self.name, AtFlags::empty());
    }
}
