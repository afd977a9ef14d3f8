//! The socket file.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Mode of the socket file: only its owner may connect.
const SOCKET_MODE: u32 = 0o600;

/// A socket that listens. Dropping it removes the file, unless somebody has put another one in its place.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    identity: (u64, u64),
}

/// Why a socket cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A daemon answers there.
    #[error("another hbs2-peer is listening at {}", path.display())]
    Live {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is not a socket lies there; it is not ours to remove.
    #[error("cannot listen at {}: the file there is not a socket", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot listen at {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl Listener {
    /// Listens at `path`. To be called within a tokio runtime.
    ///
    /// # Errors
    /// A daemon listens there already, something else lies there, or the system refuses, for instance because
    /// the path is longer than the 107 bytes that a socket's name may have.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        check_free(path)?;
        // Under another name first: the file never shows up with the wrong mode, and it takes the place of a
        // stale one in one step. The process id makes the name ours.
        let hidden = path.with_file_name(format!(".hbs2-{}", std::process::id()));
        remove(&hidden).map_err(failed)?;
        let socket = UnixListener::bind(&hidden).map_err(failed)?;
        let place = || -> io::Result<(u64, u64)> {
            fs::set_permissions(&hidden, fs::Permissions::from_mode(SOCKET_MODE))?;
            let identity = identity(&hidden)?;
            fs::rename(&hidden, path)?;
            Ok(identity)
        };
        match place() {
            Ok(identity) => Ok(Self { socket, path: path.to_owned(), identity }),
            Err(source) => {
                // The first error is the one to tell.
                let _ = remove(&hidden);
                Err(failed(source))
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.socket.accept().await?.0)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "rpc: cannot remove the socket");
        }
    }
}

/// Whether `path` may be taken: nothing is there, or a socket at which nobody listens.
fn check_free(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    // Refuses what no client could name.
    SocketAddr::from_pathname(path).map_err(failed)?;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(BindError::Live { path: path.to_owned() }),
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
