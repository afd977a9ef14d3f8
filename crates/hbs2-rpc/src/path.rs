//! Where the socket is.
//!
//! The first of these that is given: an option of the command line, the environment variable
//! `HBS2_RPC_SOCKET`, the setting `rpc unix "PATH"` of the peer's configuration. With none of them the daemon
//! listens at `$XDG_RUNTIME_DIR/hbs2-rpc.socket`, or at `/tmp/hbs2-rpc.socket` without that directory, and a
//! client tries both: the original's daemon is always at the second.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Environment variable that names the socket.
pub const SOCKET_VARIABLE: &str = "HBS2_RPC_SOCKET";

/// Name of the socket file in a runtime directory.
const SOCKET_NAME: &str = "hbs2-rpc.socket";

/// Where the original's daemon listens.
const SOCKET_IN_TMP: &str = "/tmp/hbs2-rpc.socket";

/// Everything that can say where the socket is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SocketPath {
    /// An option of the command line.
    pub option: Option<PathBuf>,
    /// `HBS2_RPC_SOCKET`.
    pub environment: Option<PathBuf>,
    /// `rpc unix "PATH"` of the peer's configuration.
    pub config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

impl SocketPath {
    /// Takes the two variables from `variable`, which is `std::env::var_os` in a program. Empty ones count as
    /// not set; so does a relative runtime directory, as its standard says.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            environment: path(SOCKET_VARIABLE),
            runtime_dir: path("XDG_RUNTIME_DIR").filter(|dir| dir.is_absolute()),
            ..Self::default()
        }
    }

    /// Where a daemon listens. A runtime directory that does not exist, as after `su`, is passed over.
    #[must_use]
    pub fn listen(&self) -> PathBuf {
        self.chosen()
            .map(Path::to_owned)
            .or_else(|| self.in_runtime_dir().filter(|path| path.parent().is_some_and(Path::is_dir)))
            .unwrap_or_else(|| SOCKET_IN_TMP.into())
    }

    /// Where a client looks, in this order.
    #[must_use]
    pub fn candidates(&self) -> Vec<PathBuf> {
        match self.chosen() {
            Some(path) => vec![path.to_owned()],
            None => self.in_runtime_dir().into_iter().chain([SOCKET_IN_TMP.into()]).collect(),
        }
    }

    fn chosen(&self) -> Option<&Path> {
        self.option.as_deref().or(self.environment.as_deref()).or(self.config.as_deref())
    }

    fn in_runtime_dir(&self) -> Option<PathBuf> {
        self.runtime_dir.as_ref().map(|dir| dir.join(SOCKET_NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_wins_over_environment_over_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let in_dir = dir.path().join("hbs2-rpc.socket");
        let mut path = SocketPath {
            option: Some("/o".into()),
            environment: Some("/e".into()),
            config: Some("/c".into()),
            runtime_dir: Some(dir.path().to_owned()),
        };
        for expected in ["/o", "/e", "/c"] {
            assert_eq!(path.listen(), Path::new(expected));
            assert_eq!(path.candidates(), [Path::new(expected)]);
            match expected {
                "/o" => path.option = None,
                "/e" => path.environment = None,
                _ => path.config = None,
            }
        }
        assert_eq!(path.listen(), in_dir);
        assert_eq!(path.candidates(), [&in_dir, Path::new("/tmp/hbs2-rpc.socket")]);
        drop(dir);
        assert_eq!(path.listen(), Path::new("/tmp/hbs2-rpc.socket"));
    }

    #[test]
    fn without_anything_the_place_is_that_of_the_original() {
        assert_eq!(SocketPath::default().listen(), Path::new("/tmp/hbs2-rpc.socket"));
        assert_eq!(SocketPath::default().candidates(), [Path::new("/tmp/hbs2-rpc.socket")]);
    }

    #[test]
    fn empty_variables_and_relative_runtime_directories_count_as_not_set() {
        let path = SocketPath::from_environment(|name| match name {
            SOCKET_VARIABLE => Some("".into()),
            _ => Some("run".into()),
        });
        assert_eq!(path, SocketPath::default());
        let path = SocketPath::from_environment(|name| Some(format!("/{name}").into()));
        assert_eq!(path.environment.as_deref(), Some(Path::new("/HBS2_RPC_SOCKET")));
        assert_eq!(path.runtime_dir.as_deref(), Some(Path::new("/XDG_RUNTIME_DIR")));
    }
}
