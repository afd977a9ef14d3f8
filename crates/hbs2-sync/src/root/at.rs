//! One step from an open directory to what is in it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, fstat, openat, renameat, renameat_with, statat,
};
use rustix::io::Errno;

use super::{Found, Print};

/// Opens a directory in a directory; no link is followed.
///
/// # Errors
/// It is not there, is something else, or may not be read.
pub(crate) fn enter_in(dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    openat(dir, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Renames a file to a name that nothing has.
pub(super) fn rename_to_nothing(from: &OwnedFd, name: &str, dir: &OwnedFd, to: &str) -> Result<(), Errno> {
    match renameat_with(from, name, dir, to, RenameFlags::NOREPLACE) {
        // A file system without this call: look, then rename.
        Err(Errno::INVAL | Errno::NOSYS) => match look_in(dir, to)? {
            Some(_) => Err(Errno::EXIST),
            None => renameat(from, name, dir, to),
        },
        other => other,
    }
}

/// What has this name in a directory.
///
/// # Errors
/// The system refuses.
pub(crate) fn look_in(dir: &OwnedFd, name: &str) -> Result<Option<Found>, Errno> {
    let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Found::File(Print::of(&stat)),
        FileType::Directory => Found::Dir,
        FileType::Symlink => Found::Link,
        _ => Found::Special,
    }))
}

/// Opens a regular file in a directory for reading.
///
/// # Errors
/// It is not there, is something else, or may not be read.
pub(crate) fn read_in(dir: &OwnedFd, name: &str) -> io::Result<(File, Print)> {
    open_regular(dir, name, OFlags::NOFOLLOW)
}

/// The same through a symbolic link.
///
/// # Errors
/// As [`read_in`].
pub(crate) fn read_through(dir: &OwnedFd, name: &str) -> io::Result<(File, Print)> {
    open_regular(dir, name, OFlags::empty())
}

fn open_regular(dir: &OwnedFd, name: &str, flags: OFlags) -> io::Result<(File, Print)> {
    // A named pipe must not hold us.
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(dir, name, flags, Mode::empty())?);
    let print = print_of(&file)?;
    Ok((file, print))
}

/// The state of an open regular file.
///
/// # Errors
/// It is no regular file.
pub(crate) fn print_of(file: &File) -> io::Result<Print> {
    let stat = fstat(file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Print::of(&stat)),
        _ => Err(io::Error::other("it is no regular file")),
    }
}

/// The names in a directory.
///
/// # Errors
/// It cannot be read.
pub(crate) fn names_in(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.as_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}
