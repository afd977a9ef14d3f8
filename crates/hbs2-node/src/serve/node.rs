//! Our own service, the part that answers at once: much data in one call, posts, status.

use bytes::Bytes;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::tree::walk::{Leaves as LeafLists, WalkError};
use hbs2_core::{Encode, Hash, SignPublicKey};
use hbs2_proto::io::status::BanSource;
use hbs2_proto::{Answer, Command, PollKind};
use hbs2_rpc::api::node::{
    BULK_BLOCKS_MAX, BULK_BYTES_MAX, Ban, Banned, Bans, Conduct, FetchRef, GetMany, Guard, LEAVES_MAX,
    LIST_HASHES_MAX, Leaves, LeavesFrom, LeavesPage, ListBlocks, Look, POST_UPDATES_MAX, PeerConduct,
    PostEntries, PostMany, Posted, PutMany, RefName, Reload, STAT_HASHES_MAX, StageMany, StatMany, Status,
    Sync, Unban,
};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;
use hbs2_store::{Durability, Store, StoreError, list};

use super::{Service, overview, with};
use crate::driver::Posting;

/// Blocks read at a time for a bulk answer, in count: fills the lanes of the hash twice.
const READ_BLOCKS: usize = 8;

pub(super) fn routes(router: Router, service: &Service) -> Router {
    router
        .on::<PutMany, _>(with(service, put_many))
        .on::<GetMany, _>(with(service, get_many))
        .on::<StatMany, _>(with(service, stat_many))
        .on::<FetchRef, _>(with(service, fetch_ref))
        .on::<Leaves, _>(with(service, leaves))
        .on::<Status, _>(with(service, status))
        .on::<StageMany, _>(with(service, stage_many))
        .on::<Sync, _>(with(service, sync))
        .on::<PostMany, _>(with(service, post_many))
        .on::<ListBlocks, _>(with(service, list_blocks))
        .on::<Reload, _>(with(service, reload))
        .on::<Ban, _>(with(service, ban))
        .on::<Unban, _>(with(service, unban))
        .on::<Bans, _>(with(service, bans))
        .on::<Conduct, _>(with(service, conduct))
        .on::<Look, _>(with(service, overview::look))
}

/// The poll kind of a reference that the daemon serves.
pub(super) fn kind(name: &RefName) -> Result<PollKind, Fault> {
    match name.kind {
        RefKind::Reflog => Ok(PollKind::Reflog),
        RefKind::Lww => Ok(PollKind::Lwwref),
        RefKind::ChanHead | RefKind::ChanLog => Ok(PollKind::Refchan),
        other => Err(Fault::failed(format!("references of kind {other:?} are not served"))),
    }
}

/// Refuses a list that is longer than the contract says.
pub(super) fn check_len(what: &str, len: usize, max: usize) -> Result<(), Fault> {
    if len > max {
        Err(Fault::failed(format!("{len} {what} in one call, at most {max} are taken")))
    } else {
        Ok(())
    }
}

async fn put_many(service: Service, blocks: Vec<Bytes>) -> Result<Vec<Hash>, Fault> {
    put(service, blocks, Durability::Synced).await
}

async fn stage_many(service: Service, blocks: Vec<Bytes>) -> Result<Vec<Hash>, Fault> {
    put(service, blocks, Durability::Grouped).await
}

async fn put(service: Service, blocks: Vec<Bytes>, durability: Durability) -> Result<Vec<Hash>, Fault> {
    check_len("blocks", blocks.len(), BULK_BLOCKS_MAX)?;
    service.ask(move |store| store.put(&blocks, durability)).await
}

async fn sync(service: Service, (): ()) -> Result<(), Fault> {
    service.ask(|store| store.put(&[], Durability::Synced).map(drop)).await
}

async fn get_many(service: Service, hashes: Vec<Hash>) -> Result<Vec<Option<Bytes>>, Fault> {
    check_len("hashes", hashes.len(), BULK_BLOCKS_MAX)?;
    service.ask(move |store| read_many(store, &hashes)).await
}

/// The blocks in order, until the next one would make the answer too large.
fn read_many(store: &dyn Store, hashes: &[Hash]) -> Result<Vec<Option<Bytes>>, StoreError> {
    let mut blocks: Vec<Option<Bytes>> = Vec::with_capacity(hashes.len());
    let mut bytes = 0;
    for group in hashes.chunks(READ_BLOCKS) {
        for block in store.get_many(group)? {
            bytes += block.as_ref().map_or(0, Bytes::len);
            if bytes > BULK_BYTES_MAX && !blocks.is_empty() {
                return Ok(blocks);
            }
            blocks.push(block);
        }
    }
    Ok(blocks)
}

async fn stat_many(service: Service, hashes: Vec<Hash>) -> Result<Vec<Option<u64>>, Fault> {
    check_len("hashes", hashes.len(), STAT_HASHES_MAX)?;
    let stat = move |store: &dyn Store| {
        hashes.iter().map(|hash| Ok(store.stat(hash)?.map(|stat| stat.bytes))).collect()
    };
    service.ask(stat).await
}

async fn list_blocks(service: Service, after: Option<Hash>) -> Result<Vec<Hash>, Fault> {
    service.ask(move |store| list::after(store, after, LIST_HASHES_MAX)).await
}

async fn fetch_ref(service: Service, name: RefName) -> Result<(), Fault> {
    service.order(Command::FetchRef { key: name.key, kind: kind(&name)? }).await
}

async fn reload(service: Service, (): ()) -> Result<Vec<String>, Fault> {
    service.reload.run().await.map_err(Fault::failed)
}

async fn ban(service: Service, (peer, seconds): (SignPublicKey, Option<u64>)) -> Result<(), Fault> {
    service.order(Command::Ban { peer, seconds }).await
}

async fn unban(service: Service, peer: SignPublicKey) -> Result<(), Fault> {
    service.order(Command::Unban { peer }).await
}

async fn bans(service: Service, (): ()) -> Result<Vec<Banned>, Fault> {
    let bans = service.desk.look(|node| node.bans()).await?;
    let banned = bans.into_iter().map(|ban| Banned {
        key: ban.key,
        reason: match ban.source {
            BanSource::Config => "blacklist".to_owned(),
            BanSource::Owner => "by hand".to_owned(),
            BanSource::Conduct(offence) => offence.to_string(),
        },
        seconds_left: ban.left.map(|left| left.as_secs()),
    });
    Ok(banned.collect())
}

async fn conduct(service: Service, (): ()) -> Result<Vec<PeerConduct>, Fault> {
    let peers = service.desk.look(|node| node.conduct()).await?;
    let told = peers.into_iter().filter(|peer| !peer.is_clean()).map(|peer| PeerConduct {
        key: peer.key,
        points: u64::from(peer.points),
        dropped: peer.dropped,
        bans: u64::from(peer.bans),
        banned_seconds: peer.banned.map(|left| left.as_secs()),
        offences: peer.offences.iter().map(|(offence, count)| (offence.to_string(), *count)).collect(),
    });
    Ok(told.collect())
}

async fn leaves(service: Service, from: LeavesFrom) -> Result<LeavesPage, Fault> {
    match service.ask(move |store| Ok(list_leaves(store, &from))).await? {
        Ok(page) => Ok(page),
        Err(error) => Err(Fault::failed(error)),
    }
}

fn list_leaves(store: &dyn Store, from: &LeavesFrom) -> Result<LeavesPage, WalkError<StoreError>> {
    let mut page = LeavesPage::default();
    let mut skip = usize::try_from(from.skip).unwrap_or(usize::MAX);
    for list in LeafLists::new(from.root, |hash| store.get(hash)) {
        let list = match list {
            Ok(list) => list,
            Err(WalkError::Missing { hash }) => {
                page.missing = Some(hash);
                return Ok(page);
            }
            Err(error) => return Err(error),
        };
        let skipped = skip.min(list.len());
        skip -= skipped;
        let room = LEAVES_MAX - page.hashes.len();
        page.hashes.extend(list[skipped..].iter().take(room));
        if list.len() - skipped > room {
            page.more = true;
            break;
        }
    }
    Ok(page)
}

async fn post_many(service: Service, entries: PostEntries) -> Result<Posted, Fault> {
    let PostEntries { updates, guard } = entries;
    check_len("entries", updates.len(), POST_UPDATES_MAX)?;
    let Some(key) = updates.first().map(|update| *update.key()) else {
        return Err(Fault::failed("no entries to post"));
    };
    // The cursor comes before the value: a change after this line is seen by the decision task.
    let cursor = service.hub.cursor();
    let reference = RefKind::Reflog.key(&key);
    let (value, updates) =
        service.ask(move |store| Ok((store.reference(&reference)?, check(updates)))).await?;
    let updates = updates.map_err(Fault::failed)?;
    let unchanged_since = match guard {
        Guard::Any => None,
        Guard::Is(expected) if expected == value => Some(cursor),
        Guard::Is(_) => return Ok(Posted::Moved(value)),
    };
    let name = RefName { kind: RefKind::Reflog, key };
    let answers = match service.desk.post(name, updates, unchanged_since).await? {
        Posting::Moved(value) => return Ok(Posted::Moved(Some(value))),
        Posting::Answers(answers) => answers,
    };
    let mut root = None;
    for answer in answers {
        match answer.await.map_err(|_| crate::driver::Stopping)? {
            Answer::Posted { value } => root = Some(value),
            Answer::Refused(refusal) => return Err(Fault::failed(refusal)),
            other => return Err(Fault::failed(format!("the post was answered with {other:?}"))),
        }
    }
    Ok(Posted::Done(root.expect("there is an answer for each entry, and there is an entry")))
}

/// The entries as bytes, when all are signed well and of one log. Costs 50 µs each, hence a worker thread.
fn check(updates: Vec<ReflogUpdate>) -> Result<Vec<Bytes>, String> {
    let key = updates.first().map(|update| *update.key());
    let check = |update: ReflogUpdate| {
        if Some(*update.key()) != key {
            return Err("the entries are not all of one reflog".to_owned());
        }
        update.verify().map_err(|error| error.to_string())?;
        Ok(update.to_bytes().into())
    };
    updates.into_iter().map(check).collect()
}

async fn status(service: Service, (): ()) -> Result<Vec<String>, Fault> {
    let totals = service.ask(|store| Ok(store.totals())).await?;
    let about = &service.about;
    let mut lines = vec![
        format!("peer {} up {} s", about.key, service.since.elapsed().as_secs()),
        format!("storage {}", about.storage.display()),
        format!("blocks {} bytes on disk {}", totals.blocks, totals.disk_bytes),
    ];
    if totals.corrupt > 0 {
        lines.push(format!("corrupt blocks {}", totals.corrupt));
    }
    lines.extend(service.desk.look(node_lines).await?);
    Ok(lines)
}

fn node_lines(node: &hbs2_proto::Node) -> Vec<String> {
    let peers = node.peers().into_iter().map(|peer| {
        let trip = peer.round_trip.map_or_else(|| "unknown".to_owned(), |trip| format!("{trip:.1?}"));
        format!(
            "linked {} at {} round trip {trip} blocks {} bytes {} in flight {}",
            peer.key, peer.remote, peer.blocks, peer.block_bytes, peer.in_flight_bytes
        )
    });
    let wants = node.wants().into_iter().map(|want| {
        format!("fetching {} {:?} blocks {} missing {}", want.root, want.state, want.blocks, want.missing)
    });
    let counts = node.counters().lines().into_iter().filter(|(_, count)| *count > 0);
    peers.chain(wants).chain(counts.map(|(name, count)| format!("{name} {count}"))).collect()
}
