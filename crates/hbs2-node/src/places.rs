//! Where things lie when nobody says otherwise (spec: cli 1.1).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hbs2_rpc::path::SocketPath;

/// The directories and the socket that the environment gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME` or `~/.config`.
    pub config_home: Option<PathBuf>,
    /// `$XDG_DATA_HOME` or `~/.local/share`.
    pub data_home: Option<PathBuf>,
    /// What the environment says about the RPC socket.
    pub socket: SocketPath,
}

impl Places {
    /// Takes the variables from `variable`, which is `std::env::var_os` in a program. Empty and relative ones
    /// count as not set.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let directory = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = directory("HOME");
        let below_home = |path| home.as_ref().map(|home| home.join(path));
        Self {
            config_home: directory("XDG_CONFIG_HOME").or_else(|| below_home(".config")),
            data_home: directory("XDG_DATA_HOME").or_else(|| below_home(".local/share")),
            socket: SocketPath::from_environment(&variable),
            home,
        }
    }

    /// The directory of the peer's configuration.
    #[must_use]
    pub fn peer_config(&self) -> Option<PathBuf> {
        self.config_home.as_ref().map(|dir| dir.join("hbs2-peer"))
    }

    /// The directory of the storage.
    #[must_use]
    pub fn storage(&self) -> Option<PathBuf> {
        self.data_home.as_ref().map(|dir| dir.join("hbs2"))
    }

    /// A path as a person writes it: `~/` is the home directory, a relative one begins at `base`.
    #[must_use]
    pub fn resolve(&self, base: &Path, written: &str) -> PathBuf {
        match (written.strip_prefix("~/"), &self.home) {
            (Some(below), Some(home)) => home.join(below),
            _ => normal(&base.join(written)),
        }
    }
}

/// The path without `.` components, so that it reads well in messages.
fn normal(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xdg_variables_win_over_home_and_relative_ones_count_as_not_set() {
        let places = Places::from_environment(|name| match name {
            "HOME" => Some("/h".into()),
            "XDG_DATA_HOME" => Some("/d".into()),
            "XDG_CONFIG_HOME" => Some("relative".into()),
            _ => None,
        });
        assert_eq!(places.peer_config().unwrap(), Path::new("/h/.config/hbs2-peer"));
        assert_eq!(places.storage().unwrap(), Path::new("/d/hbs2"));
        assert_eq!(Places::from_environment(|_| None), Places::default());
    }

    #[test]
    fn written_paths_begin_at_the_base_or_at_home() {
        let places = Places { home: Some("/h".into()), ..Places::default() };
        let base = Path::new("/c");
        for (written, expected) in [("./a.key", "/c/a.key"), ("a", "/c/a"), ("/a", "/a"), ("~/a", "/h/a")] {
            assert_eq!(places.resolve(base, written), Path::new(expected));
        }
    }
}
