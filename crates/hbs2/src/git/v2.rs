//! The commands of version 2 repositories: `export`, `import`, `key`, `tools`, `manifest`, `run`, `track`, `fsck`, `migrate`
//! (spec: git3 14.8). `git push`, `git fetch` and `git clone` work with them as with any.

pub mod export;
pub mod key;
pub mod manifest;
pub mod run;
pub mod subscribe;
pub mod tools;
pub mod track;

use hbs2_core::SignPublicKey;
use hbs2_git::remotes::Remote;
use hbs2_git::{Generation, remotes};

use super::session::Session;
use crate::error::Failure;

/// The repository that is meant when none is named: the one of the only remote, or of the only one of version 2.
///
/// # Errors
/// There is not exactly one.
pub fn only_remote(session: &mut Session<'_>) -> Result<String, Failure> {
    let remotes = remotes::list(session.config()?);
    if let [remote] = remotes.as_slice() {
        return Ok(remote.name.clone());
    }
    let mut second = Vec::new();
    for remote in remotes {
        let is_second = session
            .with_any(&remote.name, None, |_, repository| Ok(matches!(repository, Generation::Second(_))));
        if is_second? {
            second.push(remote.name);
        }
    }
    match second.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(Failure::WhichRemote { count: second.len() }),
    }
}

/// What is known of a remote without asking anybody.
pub struct Known {
    /// The sequence number of its lwwref.
    pub seq: u64,
    /// The key of its reflog.
    pub reflog: SignPublicKey,
}

/// The remotes that are repositories, each with what is known of it, if anything is.
///
/// # Errors
/// No peer answers, or a repository of which a part is here does not arrive whole.
pub fn known_remotes(session: &mut Session<'_>) -> Result<Vec<(Remote, Option<Known>)>, Failure> {
    let remotes = remotes::list(session.config()?);
    session.within(|context| {
        let know = |remote: Remote| {
            let key = remote.key;
            let head = context.link.lwwref(&key);
            let head =
                head.map_err(|source| hbs2_git::Error::Link { doing: "read the lwwref".to_owned(), source })?;
            let Some(head) = head else { return Ok((remote, None)) };
            let reflog = Generation::open(context, key, None)?.reflog()?;
            Ok((remote, Some(Known { seq: head.seq, reflog })))
        };
        remotes.into_iter().map(know).collect()
    })
}
