//! The git remotes that are repositories of ours, and what the argument REPO of a command names.

use hbs2_core::SignPublicKey;

use crate::error::{Error, Result};
use crate::gitdir::GitConfig;
use crate::url::RepoUrl;

/// A remote and the repository it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The repository.
    pub key: SignPublicKey,
    /// The remote's name.
    pub name: String,
}

/// The remotes whose URL is that of a repository, in the order of the configuration.
#[must_use]
pub fn list(config: &GitConfig) -> Vec<Remote> {
    let remote = |(name, url): (&str, &str)| {
        let url = RepoUrl::has_scheme(url).then(|| url.parse::<RepoUrl>().ok())??;
        Some(Remote { key: url.key, name: name.to_owned() })
    };
    config.remotes().filter_map(remote).collect()
}

/// The repository that `name` means: a key, a URL, or the name of a remote.
///
/// # Errors
/// It is none of the three.
pub fn resolve(config: &GitConfig, name: &str) -> Result<RepoUrl> {
    if let Ok(url) = name.parse() {
        return Ok(url);
    }
    let remote = list(config).into_iter().find(|remote| remote.name == name);
    remote
        .map(|remote| RepoUrl { key: remote.key })
        .ok_or_else(|| Error::Unresolved { name: name.to_owned() })
}
