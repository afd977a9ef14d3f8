//! Access to sealed segments: secrets, and the journal of group keys (spec: git3 10.3, 10.4).
//!
//! A secret is looked for in the group key that the segment names, then in other group keys of the same secret: the
//! journal's, which a new member gets for what was written before, and those that the key index remembers. Whoever
//! has none is told at once; only blocks that may still arrive are waited for.

use std::time::Duration;

use hbs2_core::Hash;
use hbs2_core::groupkey::{GroupKey, GroupSecret};

use super::state::make_dir;
use super::{Located, Repository};
use crate::content::{self, Secrets};
use crate::error::{Error, Result};
use crate::groupkey;
use crate::import::Source;
use crate::ledger;
use crate::link::GET_HASHES_MAX;
use crate::wait;

/// Group keys in a journal, at most. Each change of the members adds one, and one for each older secret when
/// somebody new comes; every reader loads them all.
pub const JOURNAL_KEYS_MAX: usize = 4096;

impl Repository<'_> {
    /// The group key that seals new segments; none when there is none, or it cannot be loaded.
    ///
    /// # Errors
    /// The repository does not arrive in time, or its manifest is malformed.
    pub fn group(&self) -> Result<Option<Hash>> {
        let Some(group) = self.locate()?.group else { return Ok(None) };
        match groupkey::load(self.ctx, group, self.ctx.settings.timeout) {
            Ok(_) => Ok(Some(group)),
            Err(Error::MissingBlock { .. } | Error::GroupKey { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The group keys of the journal, in its order; none when the repository was never encrypted.
    ///
    /// # Errors
    /// The journal does not arrive in time.
    pub fn group_journal(&self) -> Result<Vec<Hash>> {
        self.journal_keys(&self.locate()?, self.ctx.settings.timeout)
    }

    /// Makes the group keys of the journal known to the key index.
    ///
    /// # Errors
    /// The journal does not arrive in time, or the key index fails.
    pub fn import_group_journal(&self) -> Result<()> {
        self.track_journal(&self.locate()?, self.ctx.settings.timeout)
    }

    /// The root of the journal that was imported last; asks nobody.
    ///
    /// # Errors
    /// The local state cannot be read.
    pub fn imported_group_journal(&self) -> Result<Option<Hash>> {
        let Some(dir) = self.repo_dir() else { return Ok(None) };
        let text = ledger::read_or_empty(&dir.join("journal"))?;
        Ok(std::str::from_utf8(&text).ok().and_then(|text| text.trim_end().parse().ok()))
    }

    /// The secrets that open these segments. Waits for their first blocks and group keys, not for the rest: who has
    /// no access need not wait for what he cannot read.
    pub(crate) fn unlock(
        &self,
        located: &Located,
        what: &str,
        sources: &[Source],
        patience: Duration,
    ) -> Result<Secrets> {
        let ctx = self.ctx;
        let mut secrets = Secrets::new();
        for part in sources.chunks(GET_HASHES_MAX) {
            let trees: Vec<Hash> = part.iter().map(|source| source.tree).collect();
            let roots = ctx.link("read segments", ctx.link.get(&trees))?;
            if roots.contains(&None) {
                // All are on their way while we wait for the first.
                ctx.link("ask for segments", ctx.link.wait_trees(&trees, Duration::ZERO, None))?;
            }
            for (Source { transaction, tree }, root) in part.iter().zip(roots) {
                let root = match root {
                    Some(root) => root,
                    None => wait::until_present(ctx, what, patience, || Ok(self.block(tree)?.ok_or(*tree)))?,
                };
                let Some(group) = content::group_of(&root).filter(|group| !secrets.contains_key(group))
                else {
                    continue;
                };
                let no_access = Error::NoAccess { transaction: *transaction, tree: *tree, group };
                secrets.insert(group, self.secret_of(located, group, patience)?.ok_or(no_access)?);
            }
        }
        Ok(secrets)
    }

    /// The secret of a group key; none when we have no access to it.
    pub(crate) fn secret_of(
        &self,
        located: &Located,
        group: Hash,
        patience: Duration,
    ) -> Result<Option<GroupSecret>> {
        if let Some(secret) = self.secrets.borrow().get(&group) {
            return Ok(Some(secret.clone()));
        }
        let key = groupkey::load(self.ctx, group, patience)?;
        let found = match groupkey::open(self.ctx, group, &key)? {
            Some(secret) => Some(secret),
            None => self.secret_by_id(located, &key, patience)?,
        };
        if let Some(secret) = &found {
            self.secrets.borrow_mut().insert(group, secret.clone());
        }
        Ok(found)
    }

    /// The secret of `key` from another group key of the same id. Opening checks that the id is true.
    fn secret_by_id(
        &self,
        located: &Located,
        key: &GroupKey,
        patience: Duration,
    ) -> Result<Option<GroupSecret>> {
        let Some(id) = key.id() else { return Ok(None) };
        let open = |root: Hash, other: &GroupKey| match other.id() == Some(id) {
            true => groupkey::open(self.ctx, root, other),
            false => Ok(None),
        };
        for root in self.journal_keys(located, patience)? {
            let other = match groupkey::load(self.ctx, root, patience) {
                Err(Error::GroupKey { .. }) => continue,
                other => other?,
            };
            if let Some(secret) = open(root, &other)? {
                return Ok(Some(secret));
            }
        }
        let tracked = self.ctx.keys.tracked_groups(&id);
        let tracked =
            tracked.map_err(|source| Error::Keys { doing: format!("look for secret {id}"), source })?;
        for root in tracked {
            if let Some(other) = groupkey::find(self.ctx, root)?
                && let Some(secret) = open(root, &other)?
            {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }

    pub(super) fn journal_keys(&self, located: &Located, patience: Duration) -> Result<Vec<Hash>> {
        let Some(root) = located.journal else { return Ok(Vec::new()) };
        let keys = self.leaves(&format!("group key journal {root}"), root, patience)?;
        match keys.len() {
            0..=JOURNAL_KEYS_MAX => Ok(keys),
            count => Err(Error::JournalTooLong { repo: self.key, count }),
        }
    }

    /// Imports a journal that is new, as far as it is here: what has not arrived is taken another time, and whoever
    /// needs a secret looks into the journal itself.
    pub(super) fn note_journal(&self, located: &Located) -> Result<()> {
        let Some(journal) = located.journal.filter(|_| self.git.is_some()) else { return Ok(()) };
        if self.imported_group_journal()? == Some(journal) {
            return Ok(());
        }
        let status = self.ctx.link.wait_trees(&[journal], Duration::ZERO, None);
        if !self.ctx.link("look for the group key journal", status)?.complete {
            return Ok(());
        }
        match self.track_journal(located, Duration::ZERO) {
            Err(error @ Error::Keys { .. }) => {
                self.ctx.voice.say(&format!("warning: {error}"));
                Ok(())
            }
            other => other,
        }
    }

    fn track_journal(&self, located: &Located, patience: Duration) -> Result<()> {
        let Some(journal) = located.journal else { return Ok(()) };
        let mut groups = Vec::new();
        for root in self.journal_keys(located, patience)? {
            match groupkey::load(self.ctx, root, patience) {
                Ok(key) => groups.push((root, key)),
                Err(error @ Error::GroupKey { .. }) => self.ctx.voice.say(&format!("warning: {error}")),
                Err(error) => return Err(error),
            }
        }
        let tracked = self.ctx.keys.track_groups(&groups);
        tracked.map_err(|source| Error::Keys { doing: "remember group keys".to_owned(), source })?;
        let Some(dir) = self.repo_dir() else { return Ok(()) };
        make_dir(&dir)?;
        ledger::replace(&dir.join("journal"), format!("{journal}\n").as_bytes())
    }
}
