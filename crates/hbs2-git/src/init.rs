//! A new repository (spec: git3 4).

use std::path::Path;

use bytes::Bytes;
use hbs2_core::{Hash, LwwRef, RefKind, ReflogUpdate, SignPublicKey, SignSecretKey, Signed};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::gitdir::{self, GitConfig, GitDir};
use crate::link::Guard;
use crate::manifest::{Manifest, annotated, value_block};
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
/// it is not there. The repository can be pushed to and cloned at once.
///
/// # Errors
/// git fails, the key cannot be kept, the daemon fails, or no remote name is free.
pub fn init(ctx: &Context<'_>, dir: &Path) -> Result<NewRepository> {
    let git = gitdir::init(dir)?;
    let secret = SignSecretKey::from_seed(&random()?);
    let url = RepoUrl { key: secret.public() };
    let kept = ctx.keys.add_lwwref(&secret);
    kept.map_err(|source| Error::Keys { doing: format!("keep the key of {}", url.key), source })?;
    let reflog = publish(ctx, &secret)?;
    let remote = add_remote(&git, url)?;
    Ok(NewRepository { remote, url, reflog: reflog.public() })
}

/// Writes the manifest, the lwwref and the first transaction of the repository of this key; gives the key of
/// its reflog.
///
/// # Errors
/// The daemon fails.
pub fn publish(ctx: &Context<'_>, secret: &SignSecretKey) -> Result<SignSecretKey> {
    let key = secret.public();
    let seed = u64::from_le_bytes(random()?);
    let reflog = secret.derive(seed);
    let poll = |kind, key: &SignPublicKey, minutes| {
        ctx.link(&format!("subscribe to {key}"), ctx.link.poll(kind, key, minutes))
    };
    poll(RefKind::Lww, &key, LWWREF_POLL_MINUTES)?;
    poll(RefKind::Reflog, &reflog.public(), REFLOG_POLL_MINUTES)?;

    let manifest = Manifest::new(seed, &reflog.public(), None).to_blocks();
    let value = value_block(&manifest.last().expect("a tree has a root").0, None);
    let hash = value.0;
    store(ctx, manifest.into_iter().chain([value]))?;
    let current = ctx.link("read the lwwref", ctx.link.lwwref(&key))?;
    let seq = LwwRef::next_seq(current.as_ref(), (ctx.now)());
    let signed = Signed::sign(secret, &LwwRef { seq, value: hash, proof: None });
    ctx.link("publish the lwwref", ctx.link.set_lwwref(&signed))?;

    // The null transaction gives the reflog a value, so that everybody who waits for one can go on.
    let empty = zstd::encode_all(&[][..], 1).map_err(|source| Error::Compress { source })?;
    let segment = annotated(&empty);
    let payload = Payload::Segment { tree: segment.last().expect("a tree has a root").0 };
    store(ctx, segment.into_iter())?;
    let update = ReflogUpdate::sign(&reflog, random()?, payload.to_data());
    ctx.link("post the first transaction", ctx.link.post(&[update], Guard::Any))?;
    Ok(reflog)
}

fn store(ctx: &Context<'_>, blocks: impl Iterator<Item = (Hash, Bytes)>) -> Result<()> {
    let blocks: Vec<Bytes> = blocks.map(|(_, block)| block).collect();
    ctx.link("store the manifest", ctx.link.put(&blocks))?;
    ctx.link("store the manifest", ctx.link.sync())
}

/// Adds the remote under the petname, or the petname with a number when that is taken.
fn add_remote(git: &GitDir, url: RepoUrl) -> Result<String> {
    let config = GitConfig::read(Some(git))?;
    let base = petname(&url.key);
    let names =
        std::iter::once(base.clone()).chain((0..SUFFIXES_MAX).map(|number| format!("{base}-{number}")));
    let is_free = |name: &String| config.remotes().all(|(taken, _)| taken != name);
    let name = names.into_iter().find(is_free).ok_or(Error::NoRemoteName { name: base })?;
    git.add_remote(&name, &url.to_string())?;
    Ok(name)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random { message: error.to_string() })?;
    Ok(bytes)
}
