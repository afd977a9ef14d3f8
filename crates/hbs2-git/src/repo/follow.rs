//! Following the reflog and choosing the state that counts (spec: git3 8.2, 8.4).

use std::collections::BTreeSet;
use std::time::Duration;

use hbs2_core::{Decode, Hash, ReflogUpdate, SignPublicKey};

use super::state::State;
use super::{Located, Repository};
use crate::error::{Error, Result};
use crate::import::{self, Contents, Source};
use crate::ledger::{self, Ledger, View};
use crate::link::GET_HASHES_MAX;
use crate::transaction::{Payload, Transaction};
use crate::wait;

/// What to do when the newest checkpoint is not here completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Take the newest one that is: good enough for reading.
    Older,
    /// Fail: whoever writes must know the present state.
    Never,
}

impl Repository<'_> {
    /// Follows the reflog and gives the state that counts. With nothing new this reads one small file.
    pub(crate) fn refresh(&self, fallback: Fallback) -> Result<View> {
        let located = self.locate()?;
        self.note_journal(&located)?;
        let root = self.reflog_value(&located)?;
        if let Some(dir) = self.state_dir(&located.reflog) {
            let view = View::load(&dir)?;
            if root.is_some() && view.root == root {
                return Ok(view);
            }
        }
        let mut state = self.open_state(&located)?;
        self.follow(&located, root, fallback, &mut state)?;
        Ok(state.view)
    }

    /// As [`Repository::refresh`], and keeps the lock.
    pub(crate) fn refreshed_state(&self, fallback: Fallback) -> Result<State> {
        let located = self.locate()?;
        self.note_journal(&located)?;
        let root = self.reflog_value(&located)?;
        let mut state = self.open_state(&located)?;
        self.follow(&located, root, fallback, &mut state)?;
        Ok(state)
    }

    /// Brings the state up to the value `root` of the reflog.
    pub(crate) fn follow(
        &self,
        located: &Located,
        root: Option<Hash>,
        fallback: Fallback,
        state: &mut State,
    ) -> Result<()> {
        let Some(root) = root.filter(|root| state.view.root != Some(*root)) else { return Ok(()) };
        let (listed, all_known) = self.learn(located, root, &mut state.ledger)?;
        let chosen = self.choose(located, &listed, fallback, state)?;
        let (checkpoint, transactions, newest) = match chosen {
            Some((checkpoint, transactions, newest)) => (Some(checkpoint), transactions, newest),
            None => (None, Vec::new(), true),
        };
        state.ledger.save()?;
        state.view = View {
            // Only a state that cannot get better before the reflog changes is remembered for its root.
            root: Some(root).filter(|_| newest && all_known),
            checkpoint,
            refs: state.ledger.refs(&transactions),
        };
        state.dir.as_ref().map_or(Ok(()), |dir| state.view.save(dir))
    }

    /// Reads the transactions of a reflog that are not in the ledger yet. Gives its list, and whether all are
    /// known now.
    pub(crate) fn learn(
        &self,
        located: &Located,
        root: Hash,
        ledger: &mut Ledger,
    ) -> Result<(Vec<Hash>, bool)> {
        let what = format!("reflog {}", located.reflog);
        let listed = self.leaves(&what, root, self.ctx.settings.timeout)?;
        let unknown: Vec<Hash> = listed.iter().filter(|id| ledger.get(id).is_none()).copied().collect();
        let mut all_known = true;
        for group in unknown.chunks(GET_HASHES_MAX) {
            let blocks = self.ctx.link("read transactions", self.ctx.link.get(group))?;
            for (id, block) in group.iter().zip(blocks) {
                match block {
                    Some(block) => ledger.add(*id, read_transaction(&block, &located.reflog)),
                    None => all_known = false,
                }
            }
        }
        Ok((listed, all_known))
    }

    /// The entries of a tree; waits for its blocks.
    pub(crate) fn leaves(&self, what: &str, root: Hash, patience: Duration) -> Result<Vec<Hash>> {
        wait::until_present(self.ctx, what, patience, || {
            let leaves = self.ctx.link(&format!("read {what}"), self.ctx.link.leaves(&root))?;
            Ok(leaves.missing.map_or(Ok(leaves.hashes), Err))
        })
    }

    /// The checkpoint of the greatest rank that is here completely, its transactions, and whether it is the
    /// newest of all (spec: git3 8.2). Imports its segments.
    fn choose(
        &self,
        located: &Located,
        listed: &[Hash],
        fallback: Fallback,
        state: &mut State,
    ) -> Result<Option<(Transaction, Vec<Hash>, bool)>> {
        let mut first_error = None;
        for checkpoint in checkpoints(listed, &state.ledger) {
            let Payload::Checkpoint { tree, .. } = checkpoint.payload else { continue };
            let patience = if first_error.is_none() { self.ctx.settings.timeout } else { Duration::ZERO };
            match self.gather(located, checkpoint.id, tree, patience, state) {
                Ok(transactions) => {
                    if let Some(error) = &first_error {
                        self.ctx
                            .voice
                            .say(&format!("warning: {error}; showing checkpoint {} instead", checkpoint.id));
                    }
                    return Ok(Some((checkpoint, transactions, first_error.is_none())));
                }
                Err(error @ Error::MissingBlock { .. }) if fallback == Fallback::Older => {
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// Waits for everything a checkpoint lists and imports it; gives its transactions.
    fn gather(
        &self,
        located: &Located,
        checkpoint: Hash,
        tree: Hash,
        patience: Duration,
        state: &mut State,
    ) -> Result<Vec<Hash>> {
        let what = format!("checkpoint {checkpoint}");
        let transactions = self.leaves(&what, tree, patience)?;
        for id in &transactions {
            if state.ledger.get(id).is_none() {
                let found =
                    wait::until_present(self.ctx, &what, patience, || Ok(self.block(id)?.ok_or(*id)))?;
                state.ledger.add(*id, read_transaction(&found, &located.reflog));
            }
        }
        let sources = not_imported(&transactions, &state.ledger);
        self.bring_in(located, &what, &sources, patience, state)?;
        Ok(transactions)
    }

    /// Waits for segments and imports them.
    pub(crate) fn bring_in(
        &self,
        located: &Located,
        what: &str,
        sources: &[Source],
        patience: Duration,
        state: &mut State,
    ) -> Result<()> {
        if sources.is_empty() {
            return Ok(());
        }
        let secrets = self.unlock(located, what, sources, patience)?;
        let trees: Vec<Hash> = sources.iter().map(|source| source.tree).collect();
        wait::for_trees(self.ctx, what, patience, &trees)?;
        let contents = match &self.git {
            Some(git) => import::import(self.ctx, git, sources, &secrets)?,
            None => import::scan(self.ctx, sources, &secrets)?,
        };
        // Ids before the ledger: after a crash in between the segments are read again, and nothing is lost.
        let mut ids = Vec::new();
        for Contents { transaction, ids: more, lines } in contents {
            ids.extend(more);
            state.ledger.set_imported(transaction, lines);
        }
        if let Some(set) = &mut state.ids {
            set.add(ids)?;
        }
        state.ledger.save()
    }
}

/// What a transaction's block says; none when it is not of this reflog, badly signed, or of another kind.
fn read_transaction(block: &[u8], reflog: &SignPublicKey) -> Option<Payload> {
    let update = ReflogUpdate::from_bytes(block).ok()?;
    if update.key() != reflog || update.verify().is_err() {
        return None;
    }
    Payload::read(update.data())
}

/// The checkpoints among transactions, the greatest rank first; at equal ranks the greater hash.
fn checkpoints(listed: &[Hash], ledger: &Ledger) -> Vec<Transaction> {
    let mut ranked: Vec<(i128, Transaction)> = listed
        .iter()
        .filter_map(|id| match ledger.get(id)?.payload? {
            payload @ Payload::Checkpoint { rank, .. } => Some((rank, Transaction { id: *id, payload })),
            Payload::Segment { .. } => None,
        })
        .collect();
    ranked.sort_unstable_by_key(|(rank, checkpoint)| std::cmp::Reverse((*rank, checkpoint.id)));
    ranked.into_iter().map(|(_, checkpoint)| checkpoint).collect()
}

/// The segments among transactions that were not imported yet.
pub(crate) fn not_imported(transactions: &[Hash], ledger: &Ledger) -> Vec<Source> {
    let distinct: BTreeSet<&Hash> = transactions.iter().collect();
    let source = |id: &&Hash| match ledger.get(id)? {
        ledger::Entry { payload: Some(Payload::Segment { tree }), imported: false, .. } => {
            Some(Source { transaction: **id, tree: *tree })
        }
        _ => None,
    };
    distinct.iter().filter_map(source).collect()
}
