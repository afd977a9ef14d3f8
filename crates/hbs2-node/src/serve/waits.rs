//! Our own service, the part that waits: for trees, references, peers and events.
//!
//! A wait takes the cursor of the events first, then looks whether it has to wait at all, and then is woken by
//! events only; what happens between the look and the wait is behind the cursor and so not lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hbs2_core::{Hash, SignPublicKey};
use hbs2_proto::{Answer, Command, Keep, Node};
use hbs2_rpc::api::node::{
    AskNews, Event, Events, EventsWait, MISSING_SAMPLE_MAX, PeersWait, RefWait, TreeStatus, TreeWait,
    WAIT_MS_MAX, WAIT_ROOTS_MAX, WaitEvents, WaitPeers, WaitRef, WaitTree,
};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;
use tokio::time::{sleep_until, timeout_at};

use super::node::{check_len, kind};
use super::{Service, with};

/// How often a wait for progress looks, in milliseconds: as often as a person can read.
const PROGRESS_MS: u64 = 200;

pub(super) fn routes(router: Router, service: &Service) -> Router {
    router
        .on::<WaitTree, _>(with(service, wait_tree))
        .on::<WaitRef, _>(with(service, wait_ref))
        .on::<WaitEvents, _>(with(service, wait_events))
        .on::<WaitPeers, _>(with(service, wait_peers))
        .on::<AskNews, _>(with(service, ask_news))
}

fn deadline(timeout_ms: u64) -> tokio::time::Instant {
    (Instant::now() + Duration::from_millis(timeout_ms.min(WAIT_MS_MAX))).into()
}

async fn wait_tree(service: Service, wait: TreeWait) -> Result<TreeStatus, Fault> {
    check_len("roots", wait.roots.len(), WAIT_ROOTS_MAX)?;
    let deadline = deadline(wait.timeout_ms);
    let mut cursor = service.hub.cursor();
    let begin = service.desk.look(fetched).await?;
    let mut open: BTreeSet<Hash> = wait.roots.into_iter().collect();
    want(&service, &open).await?;
    loop {
        let news = service.hub.after(cursor);
        cursor = news.cursor;
        for event in &news.events {
            if let Event::Tree(root) = event {
                open.remove(root);
            }
        }
        if news.lost {
            // Wanting what is there already costs a walk and gives a new event.
            want(&service, &open).await?;
        }
        let late = tokio::time::Instant::now() >= deadline;
        if open.is_empty() || late || wait.seen.is_some() {
            let roots = open.clone();
            let status = service.desk.look(move |node| tree_status(node, &roots, begin)).await?;
            if status.complete || late || wait.seen.is_some_and(|seen| seen != status.mark) {
                return Ok(status);
            }
        }
        let pause = match wait.seen {
            Some(_) => deadline.min(tokio::time::Instant::now() + Duration::from_millis(PROGRESS_MS)),
            None => deadline,
        };
        tokio::select! {
            () = service.hub.wait(cursor) => {}
            () = sleep_until(pause) => {}
        }
    }
}

async fn want(service: &Service, roots: &BTreeSet<Hash>) -> Result<(), Fault> {
    for root in roots {
        service.order(Command::Want { root: *root, keep: Keep::ThisRun }).await?;
    }
    Ok(())
}

/// Blocks and bytes fetched since the start of the daemon.
fn fetched(node: &Node) -> (u64, u64) {
    (node.counters().blocks_fetched, node.counters().block_bytes_fetched)
}

/// How far the trees under `open` are. What was fetched is known for each want; a wait that has seen some of its
/// wants end counts what the daemon has fetched since `begin`.
fn tree_status(node: &Node, open: &BTreeSet<Hash>, begin: (u64, u64)) -> TreeStatus {
    let now = fetched(node);
    let mut status = TreeStatus { complete: open.is_empty(), mark: now.0, ..TreeStatus::default() };
    let mut asked: BTreeSet<SignPublicKey> = BTreeSet::new();
    for want in open.iter().filter_map(|root| node.want(root)) {
        status.blocks += want.blocks;
        status.bytes += want.block_bytes;
        status.missing += want.missing as u64;
        let room = MISSING_SAMPLE_MAX - status.sample.len();
        status.sample.extend(want.missing_some.into_iter().take(room));
        asked.extend(want.asked);
    }
    status.blocks = status.blocks.max(now.0 - begin.0);
    status.bytes = status.bytes.max(now.1 - begin.1);
    status.peers_asked = asked.len() as u64;
    let gave = |peer: &hbs2_proto::io::status::PeerStatus| peer.blocks > 0 && asked.contains(&peer.key);
    status.peers_gave = node.peers().iter().filter(|peer| gave(peer)).count() as u64;
    status
}

async fn wait_ref(service: Service, wait: RefWait) -> Result<Option<Hash>, Fault> {
    let RefWait { name, seen, timeout_ms } = wait;
    let deadline = deadline(timeout_ms);
    let kind = kind(&name)?;
    let key = name.kind.key(&name.key);
    let mut cursor = service.hub.cursor();
    let read = async || service.ask(move |store| store.reference(&key)).await;
    let value = read().await?;
    if value != seen || timeout_ms == 0 {
        return Ok(value);
    }
    service.order(Command::FetchRef { key: name.key, kind }).await?;
    loop {
        if timeout_at(deadline, service.hub.wait(cursor)).await.is_err() {
            return Ok(value);
        }
        let news = service.hub.after(cursor);
        cursor = news.cursor;
        let concerns = |event: &Event| matches!(event, Event::Ref(changed, _) if *changed == name);
        if news.lost || news.events.iter().any(concerns) {
            let value = read().await?;
            if value != seen {
                return Ok(value);
            }
        }
    }
}

async fn wait_events(service: Service, wait: EventsWait) -> Result<Events, Fault> {
    let Some(after) = wait.after else {
        return Ok(Events { cursor: service.hub.cursor(), ..Events::default() });
    };
    // Late or not, what is there is the answer.
    let _ = timeout_at(deadline(wait.timeout_ms), service.hub.wait(after)).await;
    Ok(service.hub.after(after))
}

async fn wait_peers(service: Service, wait: PeersWait) -> Result<u64, Fault> {
    let deadline = deadline(wait.timeout_ms);
    loop {
        let cursor = service.hub.cursor();
        let count = service.desk.look(|node| node.peers().iter().filter(|peer| !peer.spare).count()).await?;
        let count = count as u64;
        if count >= wait.count || timeout_at(deadline, service.hub.wait(cursor)).await.is_err() {
            return Ok(count);
        }
    }
}

async fn ask_news(service: Service, (chan, wait_ms): (SignPublicKey, u64)) -> Result<bool, Fault> {
    let wait = Duration::from_millis(wait_ms.min(WAIT_MS_MAX));
    let answer = service.command(Command::AskNews { chan, wait }).await?;
    Ok(matches!(answer, Answer::Told { all: true }))
}
