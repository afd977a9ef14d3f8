//! Service Peer: links, polls, downloads and the daemon itself.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hbs2_core::addr::{PeerAddr, Transport};
use hbs2_core::{Hash, SignPublicKey};
use hbs2_net::multicast;
use hbs2_proto::{Answer, Command, Keep, Node, PollKind};
use hbs2_rpc::api::peer::{
    Announce, BypassInfo, BypassStat, Die, DownloadDel, DownloadList, Fetch, GetProbes, LogLevel, Peers,
    PerformGc, PexInfo, Ping, Poke, Poll, PollAdd, PollDel, PollList, PollList2, Probe, RunScript,
    SetLogging,
};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;

use super::{Service, script, with};

/// Longest interval of a poll, in minutes: a year.
const POLL_MINUTES_MAX: u64 = 366 * 24 * 60;

pub(super) fn routes(router: Router, service: &Service) -> Router {
    router
        .on::<Poke, _>(with(service, poke))
        .on::<Ping, _>(with(service, ping))
        .on::<Announce, _>(with(service, announce))
        .on::<Fetch, _>(with(service, fetch))
        .on::<Peers, _>(with(service, peers))
        .on::<PexInfo, _>(with(service, pex_info))
        .on::<LogLevel, _>(with(service, log_level))
        .on::<Die, _>(with(service, die))
        .on::<PollList, _>(with(service, poll_list))
        .on::<PollAdd, _>(with(service, poll_add))
        .on::<PollDel, _>(with(service, poll_del))
        .on::<DownloadList, _>(with(service, download_list))
        .on::<DownloadDel, _>(with(service, download_del))
        .on::<BypassInfo, _>(with(service, bypass_info))
        .on::<PerformGc, _>(with(service, perform_gc))
        .on::<GetProbes, _>(with(service, get_probes))
        .on::<RunScript, _>(with(service, script::run))
        .on::<PollList2, _>(with(service, poll_list2))
}

/// One attribute a line; what the daemon has not is not named.
async fn poke(service: Service, (): ()) -> Result<String, Fault> {
    let about = &service.about;
    let mut text = format!("peer-key: \"{}\"\n", about.key);
    if let Some(address) = about.listen_udp {
        text += &format!("udp: \"{address}\"\n");
    }
    if let Some(address) = about.listen_tcp {
        text += &format!("tcp: \"tcp://{address}\"\n");
    }
    if about.multicast {
        text += &format!("local-multicast: \"{}\"\n", multicast::GROUP);
    }
    text += &format!("rpc: {:?}\n", about.rpc_socket);
    text += &format!("storage: {:?}\n", about.storage);
    if let Some(address) = about.http {
        text += &format!("http-port: {}\n", address.port());
    }
    Ok(text)
}

async fn ping(service: Service, address: PeerAddr) -> Result<bool, Fault> {
    match service.command(Command::Ping { address }).await? {
        Answer::Pinged { answered } => Ok(answered),
        other => Err(Fault::failed(format!("the ping was answered with {other:?}"))),
    }
}

async fn announce(service: Service, root: Hash) -> Result<(), Fault> {
    let stat = service.ask(move |store| store.stat(&root)).await?;
    let Some(stat) = stat else {
        return Err(Fault::failed(format!("block {root} is not here, so it cannot be announced")));
    };
    service.order(Command::Announce { root, bytes: stat.bytes }).await
}

async fn fetch(service: Service, root: Hash) -> Result<(), Fault> {
    service.order(Command::Want { root, keep: Keep::UntilDone }).await
}

async fn peers(service: Service, (): ()) -> Result<Vec<(SignPublicKey, PeerAddr)>, Fault> {
    let peers = service.desk.look(|node| node.peers()).await?;
    // A peer that is reached by several addresses is one peer.
    let used = peers.into_iter().filter(|peer| !peer.spare);
    Ok(used.map(|peer| (peer.key, peer.listens.unwrap_or(peer.remote))).collect())
}

async fn pex_info(service: Service, (): ()) -> Result<Vec<PeerAddr>, Fault> {
    Ok(service.desk.look(|node| node.exchange_addresses()).await?)
}

async fn log_level(service: Service, switch: SetLogging) -> Result<(), Fault> {
    service.log.change(|level| match switch {
        SetLogging::Debug(on) => level.debug = on,
        SetLogging::Trace(on) => level.trace = on,
    });
    Ok(())
}

async fn die(service: Service, (): ()) -> Result<(), Fault> {
    service.stop.cancel();
    Ok(())
}

async fn poll_list(service: Service, (): ()) -> Result<Vec<Poll>, Fault> {
    poll_list2(service, (None, None)).await
}

async fn poll_list2(
    service: Service,
    (kind, page): (Option<String>, Option<(u64, u64)>),
) -> Result<Vec<Poll>, Fault> {
    let polls = service.desk.look(|node| node.polls()).await?;
    let (skip, take) = page.unwrap_or((0, u64::MAX));
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let wanted = polls.iter().filter(|poll| kind.as_ref().is_none_or(|kind| kind == poll.kind.as_str()));
    let page = wanted.skip(place(skip)).take(place(take));
    Ok(page.map(|poll| (poll.key, poll.kind.to_string(), poll.minutes)).collect())
}

async fn poll_add(service: Service, (key, kind, minutes): Poll) -> Result<(), Fault> {
    let kind: PollKind = kind.parse().map_err(Fault::failed)?;
    if !(1..=POLL_MINUTES_MAX).contains(&minutes) {
        return Err(Fault::failed(format!("{minutes} minutes are not within 1 to {POLL_MINUTES_MAX}")));
    }
    service.order(Command::PollAdd(hbs2_proto::Poll { key, kind, minutes })).await
}

async fn poll_del(service: Service, key: SignPublicKey) -> Result<(), Fault> {
    service.order(Command::PollDel { key, kind: None }).await
}

async fn download_list(service: Service, (): ()) -> Result<Vec<(Hash, u64)>, Fault> {
    let wants = service.desk.look(|node| node.wants()).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let begin = |since: Instant| now.saturating_sub(since.elapsed()).as_secs();
    Ok(wants.into_iter().map(|want| (want.root, begin(want.since))).collect())
}

async fn download_del(service: Service, root: Hash) -> Result<(), Fault> {
    service.order(Command::Unwant { root }).await
}

/// The counters of the original.
async fn bypass_info(service: Service, (): ()) -> Result<BypassStat, Fault> {
    let stat = service.desk.look(|node| {
        let counters = node.counters();
        BypassStat {
            bypassed: counters.packets_received.saturating_sub(counters.packets_opened),
            encrypted: counters.packets_sealed,
            decrypted: counters.packets_opened,
            decrypt_fails: counters.packets_unreadable,
            flows: node.flows() as u64,
            auth_fails: counters.heys_bad,
            sent: counters.packets_sent,
            received: counters.packets_received,
            sent_bytes: counters.bytes_sent,
            received_bytes: counters.bytes_received,
            peers: node.peers().len() as u64,
            packet_bytes_longest: node.sealed_bytes_longest() as u64,
        }
    });
    Ok(stat.await?)
}

/// Ours has no garbage; what it can give back are buffers.
async fn perform_gc(service: Service, (): ()) -> Result<(), Fault> {
    Ok(service.desk.shrink().await?)
}

/// What is like something that the original measures has its name; `Download.wip` is what its git tools look at. The
/// rest are our own counters.
async fn get_probes(service: Service, (): ()) -> Result<Vec<Probe>, Fault> {
    let up = service.since.elapsed().as_secs();
    let mut probes = service.desk.look(probes).await?;
    probes.push(Probe { name: "Node.up-seconds".to_owned(), value: up });
    probes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(probes)
}

fn probes(node: &Node) -> Vec<Probe> {
    let (wants, missing) = node.wanted();
    let (counters, peers) = (node.counters(), node.peers());
    let tcp = peers.iter().filter(|peer| peer.remote.transport == Transport::Tcp).count();
    let likened = [
        ("Brains.brainsPolled", node.polls().len() as u64),
        ("Download.peerThreads", peers.iter().filter(|peer| !peer.spare).count() as u64),
        // A tree that is looked through has no known missing blocks yet, and is not done all the same.
        ("Download.wip", missing.max(wants) as u64),
        ("Messaging.Encrypted.ByPass.flowKeys", node.flows() as u64),
        ("Messaging.Encrypted.ByPass.heysSent", counters.heys_sent),
        ("MessagingTCP.tcpPeerConn", tcp as u64),
        ("Node.downloads", wants as u64),
        ("Node.mailboxes", node.mailboxes().len() as u64),
        ("Node.held-bytes", node.held_bytes()),
        ("Node.unsent-bytes", node.unsent_bytes() as u64),
    ];
    let likened = likened.into_iter().map(|(name, value)| Probe { name: name.to_owned(), value });
    let counted = counters.lines().into_iter();
    let counted =
        counted.map(|(name, value)| Probe { name: format!("Node.{}", name.replace('_', "-")), value });
    likened.chain(counted).collect()
}
