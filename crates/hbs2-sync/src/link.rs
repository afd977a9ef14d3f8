//! What a folder asks of the daemon. Every call has a deadline.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::limits::CHAN_HEAD_BYTES_MAX;
use hbs2_core::tree::walk;
use hbs2_core::{Blob, ChanHead, Decode, Hash, RefKind, SignPublicKey, Signed};
use hbs2_rpc::api::{node, peer, refchan};
use hbs2_rpc::bulk::Download;
use hbs2_rpc::client::{Client, ClientError, Pending};

use crate::error::{Result, SyncError};

/// Deadline of a call that the daemon answers from memory or with a few reads. Generous: a disk that wakes up takes ten
/// seconds.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Deadline of a call that writes to stable storage.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(120);

/// Minutes between two polls of a channel; the number of the original.
const POLL_MINUTES: u64 = 17;

/// The name of the kind in the table of polls.
const POLL_KIND: &str = "refchan";

/// The key of the daemon.
pub(crate) fn own_key(client: &Client) -> Result<Option<SignPublicKey>> {
    let text = client.call::<peer::Poke>(&(), CALL_TIMEOUT)?;
    let line = text.lines().find_map(|line| line.strip_prefix("peer-key:"));
    Ok(line.and_then(|key| key.trim().trim_matches('"').parse().ok()))
}

/// Subscribes the daemon to a channel, unless it is.
pub(crate) fn subscribe(client: &Client, chan: SignPublicKey) -> Result<()> {
    let polls = client.call::<peer::PollList>(&(), CALL_TIMEOUT)?;
    if !polls.iter().any(|(key, kind, _)| *key == chan && kind == POLL_KIND) {
        client.call::<peer::PollAdd>(&(chan, POLL_KIND.to_owned(), POLL_MINUTES), CALL_TIMEOUT)?;
    }
    Ok(())
}

/// The head of a channel as it is known here, with the root of its tree; none when none is.
pub(crate) fn head(client: &Client, chan: SignPublicKey) -> Result<Option<(Hash, ChanHead)>> {
    let Some(root) = client.call::<refchan::HeadGet>(&chan, CALL_TIMEOUT)? else { return Ok(None) };
    let wrong = || SyncError::BadHead { chan, root };
    let content =
        walk::content(root, CHAN_HEAD_BYTES_MAX, |hash| block(client, hash)).map_err(|_| wrong())?;
    let opened =
        Signed::<ChanHead>::from_bytes(&content).map_err(|_| wrong())?.verify().map_err(|_| wrong())?;
    if opened.signer == chan { Ok(Some((root, opened.value))) } else { Err(wrong()) }
}

/// Waits up to `wait` until a reference of the channel differs from `seen`.
pub(crate) fn wait_ref(
    client: &Client,
    kind: RefKind,
    key: SignPublicKey,
    seen: Option<Hash>,
    wait: Duration,
) -> Result<Option<Hash>> {
    let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(node::WAIT_MS_MAX);
    let wish = node::RefWait { name: node::RefName { kind, key }, seen, timeout_ms };
    Ok(client.call::<node::WaitRef>(&wish, wait + CALL_TIMEOUT)?)
}

/// The root of the log of a channel.
pub(crate) fn log(client: &Client, chan: SignPublicKey) -> Result<Option<Hash>> {
    Ok(client.call::<refchan::Get>(&chan, CALL_TIMEOUT)?)
}

/// Asks the neighbours for news of a channel. True as soon as all of them that its head names have told theirs and they are
/// here; false when that takes longer than `wait`, or when none of them is linked.
pub(crate) fn ask_news(client: &Client, chan: SignPublicKey, wait: Duration) -> Result<bool> {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Ok(client.call::<node::AskNews>(&(chan, wait_ms), wait + CALL_TIMEOUT)?)
}

/// Asks the neighbours for head and log of a channel.
pub(crate) fn fetch(client: &Client, chan: SignPublicKey) -> Result<()> {
    Ok(client.call::<refchan::Fetch>(&chan, CALL_TIMEOUT)?)
}

/// How many peers are linked.
pub(crate) fn peers(client: &Client) -> Result<u64> {
    Ok(client.call::<node::WaitPeers>(&node::PeersWait { count: 0, timeout_ms: 0 }, CALL_TIMEOUT)?)
}

/// Whether the daemon downloads something since this time, in seconds since the epoch.
pub(crate) fn downloads_since(client: &Client, seconds: u64) -> Result<bool> {
    let list = client.call::<peer::DownloadList>(&(), CALL_TIMEOUT)?;
    Ok(list.iter().any(|(_, began)| *began >= seconds))
}

/// The entries of a tree, as far as its blocks are here.
pub(crate) fn leaves(client: &Client, root: Hash) -> Result<Vec<Hash>> {
    let mut hashes = Vec::new();
    loop {
        let from = node::LeavesFrom { root, skip: hashes.len() as u64 };
        let page = client.call::<node::Leaves>(&from, CALL_TIMEOUT)?;
        let is_last = !page.more || page.hashes.is_empty() || page.missing.is_some();
        hashes.extend(page.hashes);
        if is_last {
            return Ok(hashes);
        }
    }
}

/// A block, if it is here.
pub(crate) fn block(client: &Client, hash: &Hash) -> std::result::Result<Option<Bytes>, ClientError> {
    let mut answer = client.call::<node::GetMany>(&vec![*hash], CALL_TIMEOUT)?;
    Ok(answer.pop().flatten().filter(|block| Hash::of(block) == *hash))
}

/// Blocks in the order of their names, read ahead; none for each that is not here. One whose bytes do not have its name is
/// not here.
pub(crate) fn blocks(client: &Client, hashes: Vec<Hash>) -> Result<Vec<Option<Bytes>>> {
    let mut blocks = Vec::with_capacity(hashes.len());
    for answer in Download::new(client, hashes, CALL_TIMEOUT) {
        let (hash, block) = answer?;
        blocks.push(block.filter(|block| Hash::of(block) == hash));
    }
    Ok(blocks)
}

/// Fetches trees and waits up to `wait`, or until there is progress since `seen`.
pub(crate) fn wait_trees(
    client: &Client,
    roots: &[Hash],
    wait: Duration,
    seen: Option<u64>,
) -> Result<node::TreeStatus> {
    let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(node::WAIT_MS_MAX);
    let roots = roots[..roots.len().min(node::WAIT_ROOTS_MAX)].to_vec();
    let wish = node::TreeWait { roots, timeout_ms, seen };
    match client.call::<node::WaitTree>(&wish, wait + CALL_TIMEOUT) {
        // So much is wanted that there is no room for more: what is on its way must come first.
        Err(ClientError::Refused { .. }) => {
            thread::sleep(wait);
            Ok(node::TreeStatus::default())
        }
        other => Ok(other?),
    }
}

/// Brings a payload to a channel, without waiting for the answer.
pub(crate) fn propose(
    client: &Client,
    chan: SignPublicKey,
    payload: Signed<Blob>,
) -> Pending<refchan::Propose> {
    client.begin::<refchan::Propose>(&(chan, payload))
}
