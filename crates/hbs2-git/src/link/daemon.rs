//! The link over the local socket.

use std::time::Duration;

use bytes::Bytes;
use hbs2_core::{Hash, LwwRef, PeerAddr, RefKind, ReflogUpdate, SignPublicKey, Signed};
use hbs2_rpc::api::{lwwref, node, peer, reflog};
use hbs2_rpc::bulk::{Download, Upload};
use hbs2_rpc::client::Client;

use super::{BlockSink, BlockStream, Guard, Leaves, Link, LinkError, Posted, TreeStatus};

/// Deadline of a call that the daemon answers from memory or with a few reads. Generous: a disk that wakes up
/// takes ten seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Deadline of a call that writes to stable storage.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);

impl Link for Client {
    fn put(&self, blocks: &[Bytes]) -> Result<(), LinkError> {
        for group in groups(blocks) {
            self.call::<node::StageMany>(&group.to_vec(), WRITE_TIMEOUT)?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), LinkError> {
        Ok(self.call::<node::Sync>(&(), WRITE_TIMEOUT)?)
    }

    fn get(&self, hashes: &[Hash]) -> Result<Vec<Option<Bytes>>, LinkError> {
        let mut blocks = Vec::with_capacity(hashes.len());
        while blocks.len() < hashes.len() {
            let rest = &hashes[blocks.len()..];
            let asked = rest[..rest.len().min(node::BULK_BLOCKS_MAX)].to_vec();
            let got = self.call::<node::GetMany>(&asked, CALL_TIMEOUT)?;
            if got.is_empty() || got.len() > asked.len() {
                let message = format!("hbs2-peer gave {} answers for {} blocks", got.len(), asked.len());
                return Err(LinkError::Failed { message });
            }
            blocks.extend(got);
        }
        Ok(blocks)
    }

    fn upload(&self) -> Box<dyn BlockSink + '_> {
        Box::new(Upload::new(self, WRITE_TIMEOUT))
    }

    fn stream(&self, hashes: Vec<Hash>) -> BlockStream<'_> {
        Box::new(Download::new(self, hashes, CALL_TIMEOUT).map(|answer| Ok(answer?)))
    }

    fn leaves(&self, root: &Hash) -> Result<Leaves, LinkError> {
        let mut leaves = Leaves::default();
        loop {
            let from = node::LeavesFrom { root: *root, skip: leaves.hashes.len() as u64 };
            let page = self.call::<node::Leaves>(&from, CALL_TIMEOUT)?;
            let is_last = !page.more || page.hashes.is_empty();
            leaves.hashes.extend(page.hashes);
            leaves.missing = page.missing;
            if is_last || leaves.missing.is_some() {
                return Ok(leaves);
            }
        }
    }

    fn wait_trees(&self, roots: &[Hash], wait: Duration, seen: Option<u64>) -> Result<TreeStatus, LinkError> {
        // One call takes so many roots; only the last group is waited for, the others are already on their way.
        let mut all = TreeStatus { complete: true, ..TreeStatus::default() };
        for group in roots.chunks(node::WAIT_ROOTS_MAX) {
            let (roots, timeout_ms) = (group.to_vec(), millis(wait));
            let status = self
                .call::<node::WaitTree>(&node::TreeWait { roots, timeout_ms, seen }, wait + CALL_TIMEOUT)?;
            all.complete &= status.complete;
            all.missing += status.missing;
            all.sample.extend(status.sample);
            all.bytes += status.bytes;
            all.peers = all.peers.max(status.peers_asked);
            all.mark = all.mark.max(status.mark);
        }
        Ok(all)
    }

    fn lwwref(&self, key: &SignPublicKey) -> Result<Option<LwwRef>, LinkError> {
        Ok(self.call::<lwwref::Get>(&lwwref::LwwKey(*key), CALL_TIMEOUT)?)
    }

    fn set_lwwref(&self, signed: &Signed<LwwRef>) -> Result<(), LinkError> {
        Ok(self.call::<lwwref::Update>(signed, WRITE_TIMEOUT)?)
    }

    fn reflog(&self, key: &SignPublicKey) -> Result<Option<Hash>, LinkError> {
        Ok(self.call::<reflog::Get>(key, CALL_TIMEOUT)?)
    }

    fn post(&self, updates: &[ReflogUpdate], guard: Guard) -> Result<Posted, LinkError> {
        let guard = match guard {
            Guard::Any => node::Guard::Any,
            Guard::Is(value) => node::Guard::Is(value),
        };
        let entries = node::PostEntries { updates: updates.to_vec(), guard };
        Ok(match self.call::<node::PostMany>(&entries, WRITE_TIMEOUT)? {
            node::Posted::Done(root) => Posted::Done(root),
            node::Posted::Moved(value) => Posted::Moved(value),
        })
    }

    fn wait_ref(
        &self,
        kind: RefKind,
        key: &SignPublicKey,
        seen: Option<Hash>,
        wait: Duration,
    ) -> Result<Option<Hash>, LinkError> {
        let wish = node::RefWait { name: node::RefName { kind, key: *key }, seen, timeout_ms: millis(wait) };
        Ok(self.call::<node::WaitRef>(&wish, wait + CALL_TIMEOUT)?)
    }

    fn fetch_ref(&self, kind: RefKind, key: &SignPublicKey) -> Result<(), LinkError> {
        Ok(self.call::<node::FetchRef>(&node::RefName { kind, key: *key }, CALL_TIMEOUT)?)
    }

    fn peers(&self) -> Result<Vec<PeerAddr>, LinkError> {
        let peers = self.call::<peer::Peers>(&(), CALL_TIMEOUT)?;
        Ok(peers.into_iter().map(|(_, address)| address).collect())
    }

    fn poll(&self, kind: RefKind, key: &SignPublicKey, minutes: u32) -> Result<(), LinkError> {
        let name = if kind == RefKind::Reflog { "reflog" } else { "lwwref" };
        Ok(self.call::<peer::PollAdd>(&(*key, name.to_owned(), u64::from(minutes)), CALL_TIMEOUT)?)
    }
}

impl BlockSink for Upload<'_> {
    fn put(&mut self, block: Bytes) -> Result<(), LinkError> {
        Ok(Upload::put(self, block)?)
    }

    fn finish(self: Box<Self>) -> Result<(), LinkError> {
        Ok(Upload::finish(*self)?)
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(node::WAIT_MS_MAX)
}

/// Cuts blocks into groups that fit one call.
fn groups(blocks: &[Bytes]) -> impl Iterator<Item = &[Bytes]> {
    let mut rest = blocks;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |block: &&Bytes| {
            bytes += block.len();
            bytes <= node::BULK_BYTES_MAX
        };
        let count = rest.iter().take(node::BULK_BLOCKS_MAX).take_while(fits).count();
        // A block that is too large alone is refused by the daemon, with its reason.
        let (group, after) = rest.split_at(count.max(1).min(rest.len()));
        rest = after;
        (!group.is_empty()).then_some(group)
    })
}
