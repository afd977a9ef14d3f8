//! A new repository (spec: git3 4).

use std::path::Path;

use bytes::Bytes;
use hbs2_core::{Hash, RefKind, ReflogUpdate, SignPublicKey, SignSecretKey};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::gitdir::{self, GitConfig, GitDir};
use crate::groupkey;
use crate::head;
use crate::link::Guard;
use crate::manifest::{Manifest, annotated};
use crate::petname::petname;
use crate::transaction::Payload;
use crate::url::RepoUrl;

/// How often the daemon asks for the references, in minutes.
const LWWREF_POLL_MINUTES: u32 = 31;
const REFLOG_POLL_MINUTES: u32 = 17;

/// Names that are tried after the petname, at most: `-0` to `-255` once each.
const SUFFIXES_MAX: u16 = 256;

/// A repository that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRepository {
    /// Name of the git remote that was added.
    pub remote: String,
    /// The repository.
    pub url: RepoUrl,
    /// Its reflog.
    pub reflog: SignPublicKey,
}

/// Makes a repository with a new key and adds it as a remote to the git repository in `dir`, which is made when
/// it is not there. The repository can be pushed to and cloned at once. With a group key in `group` only the
/// group's members will read what is pushed.
///
/// # Errors
/// git fails, the key cannot be kept, the daemon fails, or no remote name is free. The group key is not here, or
/// we are no member; then nothing was made.
pub fn init(ctx: &Context<'_>, dir: &Path, group: Option<Hash>) -> Result<NewRepository> {
    if let Some(group) = group {
        let key = groupkey::find(ctx, group)?.ok_or(Error::GroupKeyNotFound { group })?;
        groupkey::open(ctx, group, &key)?.ok_or(Error::NotMember { group })?;
    }
    let git = gitdir::init(dir)?;
    let secret = SignSecretKey::from_seed(&random()?);
    let url = RepoUrl { key: secret.public() };
    let kept = ctx.keys.add_lwwref(&secret);
    kept.map_err(|source| Error::Keys { doing: format!("keep the key of {}", url.key), source })?;
    let reflog = publish(ctx, &secret, group)?;
    let remote = add_remote(&git, url)?;
    Ok(NewRepository { remote, url, reflog: reflog.public() })
}

/// Writes the manifest, the lwwref and the first transaction of the repository of this key; gives the key of
/// its reflog. A group key in `group` makes it an encrypted one.
///
/// # Errors
/// The daemon fails.
pub fn publish(ctx: &Context<'_>, secret: &SignSecretKey, group: Option<Hash>) -> Result<SignSecretKey> {
    let key = secret.public();
    let seed = u64::from_le_bytes(random()?);
    let reflog = secret.derive(seed);
    let poll = |kind, key: &SignPublicKey, minutes| {
        ctx.link(&format!("subscribe to {key}"), ctx.link.poll(kind, key, minutes))
    };
    poll(RefKind::Lww, &key, LWWREF_POLL_MINUTES)?;
    poll(RefKind::Reflog, &reflog.public(), REFLOG_POLL_MINUTES)?;

    let manifest = Manifest::new(seed, &reflog.public(), group.as_ref());
    head::publish(ctx, secret, &manifest, &group.into_iter().collect())?;

    first_transaction(ctx, &reflog)?;
    Ok(reflog)
}

/// Posts the null transaction, which gives the reflog a value, so that everybody who waits for one can go on.
pub(crate) fn first_transaction(ctx: &Context<'_>, reflog: &SignSecretKey) -> Result<()> {
    let empty = zstd::encode_all(&[][..], 1).map_err(|source| Error::Compress { source })?;
    let segment = annotated(&empty);
    let payload = Payload::Segment { tree: segment.last().expect("a tree has a root").0 };
    let blocks: Vec<Bytes> = segment.into_iter().map(|(_, block)| block).collect();
    ctx.link("store the first transaction", ctx.link.put(&blocks))?;
    ctx.link("store the first transaction", ctx.link.sync())?;
    let update = ReflogUpdate::sign(reflog, random()?, payload.to_data());
    ctx.link("post the first transaction", ctx.link.post(&[update], Guard::Any)).map(drop)
}

/// Adds the remote under the petname, or the petname with a number when that is taken; gives the name.
///
/// # Errors
/// No name is free, or git fails.
pub fn add_remote(git: &GitDir, url: RepoUrl) -> Result<String> {
    let config = GitConfig::read(Some(git))?;
    let base = petname(&url.key);
    let names =
        std::iter::once(base.clone()).chain((0..SUFFIXES_MAX).map(|number| format!("{base}-{number}")));
    let is_free = |name: &String| config.remotes().all(|(taken, _)| taken != name);
    let name = names.into_iter().find(is_free).ok_or(Error::NoRemoteName { name: base })?;
    git.add_remote(&name, &url.to_string())?;
    Ok(name)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random { message: error.to_string() })?;
    Ok(bytes)
}
