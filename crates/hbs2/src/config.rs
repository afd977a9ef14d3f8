//! What client commands need of the peer's config: its socket and its storage.

use std::path::{Path, PathBuf};

use hbs2_node::Places;
use hbs2_node::config::{CONFIG_FILE, Settings};

use crate::error::Failure;

/// The part of the peer's config that matters to its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// The socket it names, if any.
    pub socket: Option<PathBuf>,
    /// The storage it names, or the default one.
    pub storage: PathBuf,
}

/// The directories that the environment of this process gives.
#[must_use]
pub fn places() -> Places {
    Places::from_environment(|name| std::env::var_os(name))
}

/// The directory of the peer's config: the one the user named, or the default one.
///
/// # Errors
/// None is named and there is no home directory.
pub fn peer_dir(named: Option<&Path>, places: &Places) -> Result<PathBuf, Failure> {
    named.map(Path::to_owned).or_else(|| places.peer_config()).ok_or(Failure::NoHome)
}

impl PeerConfig {
    /// Reads the config in `named`, or in the default directory. Without a config the defaults hold, unless a
    /// directory was named.
    ///
    /// # Errors
    /// The config cannot be read or understood; there is no home directory.
    pub fn read(named: Option<&Path>) -> Result<Self, Failure> {
        let places = places();
        let dir = peer_dir(named, &places)?;
        let (socket, storage) = if named.is_some() || dir.join(CONFIG_FILE).exists() {
            let settings = Settings::read(&dir, &places)?;
            (settings.rpc_socket, settings.storage)
        } else {
            (None, None)
        };
        let storage = storage.or_else(|| places.storage()).ok_or(Failure::NoHome)?;
        Ok(Self { socket, storage })
    }
}
