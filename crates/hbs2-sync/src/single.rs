//! Single entries: deleting a file everywhere, posting an old version again, reading what the channel has.

use hbs2_core::{Hash, SignPublicKey};

use crate::channel::Channel;
use crate::context::Context;
use crate::entry::{Facts, Kind};
use crate::error::{Result, SyncError};
use crate::folder::Folder;
use crate::groups::Groups;
use crate::history::History;
use crate::path::RelPath;
use crate::post::{Letter, What};
use crate::run::read_content;
use crate::state::LogState;

impl Folder {
    /// Posts a deletion of a path. The file here, if there is one, is deleted by the next synchronisation.
    ///
    /// # Errors
    /// The channel has no such file; the head does not allow writing; the daemon fails.
    pub fn tomb(&mut self, ctx: &Context<'_>, path: &RelPath) -> Result<()> {
        let history = self.history(ctx)?;
        if history.file(path).is_none() {
            return Err(SyncError::NoFile { path: path.to_string() });
        }
        let after = Some(history.heads(path));
        let facts = Facts { path: path.clone(), kind: Kind::Tomb, after, same: None };
        // What it deletes stays known, so that the next synchronisation deletes the file here as well.
        self.post_one(ctx, Letter { facts, what: What::Tomb })
    }

    /// Posts an old version again; `hash` is its tree.
    ///
    /// # Errors
    /// No entry has it; its blocks are gone; the head does not allow writing; the daemon fails.
    pub fn revert(&mut self, ctx: &Context<'_>, hash: &Hash) -> Result<()> {
        let history = self.history(ctx)?;
        let mut entries = history.lines().flat_map(|(_, line)| line.entries());
        let entry = entries.find(|entry| entry.tree == *hash && entry.is_file()).cloned();
        let entry = entry.ok_or(SyncError::NoEntry { hash: *hash })?;
        let after = Some(history.heads(&entry.facts.path));
        let facts = Facts { after, same: None, ..entry.facts.clone() };
        let mut groups = Groups::new(ctx);
        let letter = self.tree_letter(ctx, &mut groups, &entry, facts)?;
        let reason = || "its head is missing, or no key of ours opens it".to_owned();
        let letter = letter.ok_or_else(|| SyncError::Tree { root: *hash, reason: reason() })?;
        self.post_one(ctx, letter)
    }

    fn post_one(&mut self, ctx: &Context<'_>, letter: Letter) -> Result<()> {
        self.lock()?;
        let head = self.head(ctx)?;
        self.history(ctx)?;
        let writer = self.writer(ctx, &head)?;
        let mut groups = Groups::new(ctx);
        let seal = self.seal_for(&mut groups, &head)?;
        self.post(ctx, (&writer, &seal), vec![letter], &mut |_, _| {})?;
        self.await_accepted(ctx)?;
        self.save()
    }
}

/// The content of the file at a path of a channel, without a folder.
///
/// # Errors
/// There is none; it does not come, or no key of ours opens it.
pub fn cat(
    ctx: &Context<'_>,
    chan: SignPublicKey,
    path: &RelPath,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut channel = Channel::new(chan, LogState::default());
    let mut groups = Groups::new(ctx);
    channel.read(ctx.client)?;
    channel.read_trees(ctx, &mut groups)?;
    let history = History::new(channel.entries());
    let entry = history.file(path).ok_or_else(|| SyncError::NoFile { path: path.to_string() })?;
    read_content(ctx, &channel, &mut groups, entry, each)
}
