//! A repository of version 3 from one of version 2, under a new key or under the same (docs/guide/git2.md).
//!
//! Everything is imported into a scratch repository, exported into a new reflog, imported from there into a second
//! scratch repository, and compared. Only then the lwwref gets its value; until that moment nobody sees anything, and
//! whatever fails before leaves the old repository as it was.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hbs2_core::{Hash, LwwRef, RefKind, SignPublicKey, SignSecretKey};

use super::repo::{Repository, Snapshot};
use super::{SecondError, work};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::export::{ExportRequest, RefUpdate};
use crate::gitdir::{GitDir, run};
use crate::manifest::Manifest;
use crate::object::{ObjectId, RefName};
use crate::refs::RefTable;
use crate::repo::{Fallback, Located};
use crate::{head, init};

/// How often the daemon asks for the references of the new repository, in minutes: as for any of version 3.
const LWWREF_POLL_MINUTES: u32 = 31;
const REFLOG_POLL_MINUTES: u32 = 17;

/// A repository that was migrated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// Its key: the old one, or a new one.
    pub key: SignPublicKey,
    /// References it has.
    pub references: usize,
    /// Objects it has.
    pub objects: usize,
    /// The group key that seals it, in an encrypted repository.
    pub group: Option<Hash>,
}

/// Makes a repository of version 3 with everything that the one of version 2 with this key has. `in_place` keeps the
/// key, which must be ours; otherwise there is a new key, and the old repository stays as it is.
///
/// # Errors
/// The repository does not arrive, is sealed for others, or is not ours. The copy differs from it. Nothing was switched
/// then.
pub fn migrate(ctx: &Context<'_>, key: SignPublicKey, in_place: bool) -> Result<Migrated> {
    let scratch = Scratch::new()?;
    let git = scratch.repository("old")?;
    let old = Repository::open(ctx, key, Some(git.clone()));
    let before = old.locate()?;
    let secret = match in_place {
        true => {
            old.credentials()?;
            old.owner_secret()?.ok_or(Error::NoSecretKey { repo: key })?
        }
        false => SignSecretKey::from_seed(&init::random()?),
    };
    ctx.voice.say(&format!("importing {key}"));
    let snapshot = old.refresh(Fallback::Never)?;
    let refs = references(snapshot.as_ref());
    let group = snapshot.as_ref().and_then(|snapshot| snapshot.head.group);
    if !in_place {
        let kept = ctx.keys.add_lwwref(&secret);
        kept.map_err(|source| Error::Keys { doing: format!("keep the key of {}", secret.public()), source })?;
    }

    let seed = u64::from_le_bytes(init::random()?);
    let reflog = secret.derive(seed);
    let manifest = Manifest::new(seed, &reflog.public(), group.as_ref());
    let unpublished = LwwRef { seq: before.head.seq, value: before.head.value, proof: None };
    let located = Located {
        head: unpublished,
        manifest: manifest.clone(),
        reflog: reflog.public(),
        group,
        journal: None,
    };
    poll(ctx, RefKind::Reflog, &reflog.public(), REFLOG_POLL_MINUTES)?;
    init::first_transaction(ctx, &reflog)?;
    export(ctx, &secret, &git, &located, &refs)?;
    ctx.voice.say("comparing what was exported with what was imported");
    let objects = verify(ctx, &secret, &scratch, &git, &located, &refs)?;

    let after = Repository::open(ctx, key, None).locate()?;
    let root = ctx.link("read the reflog", ctx.link.reflog(&before.value.reflog))?;
    let newest = snapshot.as_ref().map(|snapshot| snapshot.id);
    let mut state = old.open_state(&before)?;
    if after != before || old.follow(&before, root, Fallback::Never, &mut state)?.map(|now| now.id) != newest
    {
        return Err(differs("what was pushed meanwhile"));
    }
    head::publish(ctx, &secret, &manifest, &group.into_iter().collect::<BTreeSet<_>>())?;
    poll(ctx, RefKind::Lww, &secret.public(), LWWREF_POLL_MINUTES)?;
    Ok(Migrated { key: secret.public(), references: refs.len(), objects, group })
}

/// The references that are taken over. `HEAD` is not: in version 3 it follows from the branches.
fn references(snapshot: Option<&Snapshot>) -> Vec<(RefName, ObjectId)> {
    let all = snapshot.into_iter().flat_map(|snapshot| snapshot.head.existing().collect::<Vec<_>>());
    all.filter(|(name, _)| *name != RefName::head()).collect()
}

fn poll(ctx: &Context<'_>, kind: RefKind, key: &SignPublicKey, minutes: u32) -> Result<()> {
    ctx.link(&format!("subscribe to {key}"), ctx.link.poll(kind, key, minutes))
}

fn export(
    ctx: &Context<'_>,
    secret: &SignSecretKey,
    git: &GitDir,
    located: &Located,
    refs: &[(RefName, ObjectId)],
) -> Result<()> {
    let names: Vec<String> = refs.iter().map(|(_, id)| id.to_string()).collect();
    let found = git.revisions(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut updates = Vec::with_capacity(refs.len());
    for ((name, id), revision) in refs.iter().zip(found) {
        let to = revision.ok_or_else(|| Error::MissingObject { id: *id, name: name.clone() })?;
        updates.push(RefUpdate { name: name.clone(), to: Some(to), force: true, lease: None });
    }
    let new = crate::Repository::open_unpublished(ctx, secret.public(), git.clone(), located.clone());
    let exported = new.export(&ExportRequest { updates, seen: None, atomic: true })?;
    match exported.results.iter().find(|(_, refusal)| refusal.is_some()) {
        Some((name, _)) => Err(differs(&name.to_string())),
        None => Ok(()),
    }
}

/// Imports the new repository and compares it with the old one; gives the number of objects.
fn verify(
    ctx: &Context<'_>,
    secret: &SignSecretKey,
    scratch: &Scratch,
    git: &GitDir,
    located: &Located,
    refs: &[(RefName, ObjectId)],
) -> Result<usize> {
    let copy = scratch.repository("new")?;
    let new = crate::Repository::open_unpublished(ctx, secret.public(), copy.clone(), located.clone());
    let table: RefTable = new.refs()?;
    let found: BTreeSet<(RefName, ObjectId)> =
        table.existing().map(|(name, id)| (name.clone(), id)).collect();
    let expected: BTreeSet<(RefName, ObjectId)> = refs.iter().cloned().collect();
    if let Some((name, _)) = found.symmetric_difference(&expected).next() {
        return Err(differs(&format!("reference {name}")));
    }
    let tips: Vec<ObjectId> = refs.iter().map(|(_, id)| *id).collect();
    let objects =
        |git: &GitDir| Ok::<_, Error>(work::reachable(git, &tips, &[])?.into_iter().collect::<BTreeSet<_>>());
    // Listing what can be reached reads every commit and tree, and so finds whatever is not there.
    let (old, new) = (objects(git)?, objects(&copy)?);
    if let Some(id) = old.symmetric_difference(&new).next() {
        return Err(differs(&format!("object {id}")));
    }
    run(copy.git().args(["fsck", "--full", "--no-dangling", "--no-progress"]), None)?;
    Ok(new.len())
}

fn differs(what: &str) -> Error {
    Box::new(SecondError::Differs { what: what.to_owned() }).into()
}

/// A directory that only we can read, for git repositories that nobody needs afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let number = u64::from_le_bytes(init::random()?);
        let path = std::env::temp_dir().join(format!("hbs2-migrate-{number:016x}"));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(Error::File { doing: "make", path, source }),
        }
    }

    fn repository(&self, name: &str) -> Result<GitDir> {
        let path: &Path = &self.0.join(name);
        run(Command::new("git").args(["init", "--quiet", "--bare"]).arg(path), None)?;
        GitDir::open(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
