//! Taking over the references of a repository into the local one, for mirrors: `git hbs2 import`.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::Result;
use crate::export::is_fast_forward;
use crate::gitdir::GitDir;
use crate::object::{ObjectId, RefName};
use crate::refs::{Head, RefTable};
use crate::v2;

/// Sets the local branches and tags to the published ones. A bare repository becomes as the published one is; in
/// one with a working directory nothing is lost: the branch that is checked out stays, and so does every branch that
/// has commits of its own. Says what stays.
///
/// # Errors
/// git fails.
pub fn adopt(ctx: &Context<'_>, git: &GitDir, refs: &RefTable) -> Result<()> {
    let (bare, current, local) = (v2::is_bare(git)?, v2::current_branch(git), v2::local_refs(git)?);
    let mut changes: BTreeMap<RefName, ObjectId> = BTreeMap::new();
    for (name, id) in refs.existing().filter(|(name, _)| **name != RefName::head()) {
        let old = local.get(name).map(|revision| revision.id);
        if old == Some(id) {
            continue;
        }
        let checked_out = !bare && current.as_ref() == Some(name);
        if old.is_some() && checked_out {
            ctx.voice.say(&format!("{name} is checked out and stays; to move it: git merge --ff-only {id}"));
        } else if bare || old.is_none() || moves_on(git, old, id)? {
            changes.insert(name.clone(), id);
            if checked_out {
                ctx.voice.say(&format!("{name} is here; to see its files: git reset --hard"));
            }
        } else {
            ctx.voice.say(&format!("{name} has commits of its own and stays; the published one is {id}"));
        }
    }
    let changes: Vec<(RefName, ObjectId)> = changes.into_iter().collect();
    v2::set_refs(git, &changes)?;
    // A mirror whose HEAD names a branch that is not there could not be cloned.
    if bare
        && current.is_some_and(|branch| refs.id(&branch).is_none())
        && let Some(Head::Branch(branch)) = refs.head()
    {
        v2::set_head(git, &branch)?;
    }
    Ok(())
}

fn moves_on(git: &GitDir, from: Option<ObjectId>, to: ObjectId) -> Result<bool> {
    let revision = git.revisions(&[&to.to_string()])?.pop().flatten();
    is_fast_forward(git, from, revision)
}
