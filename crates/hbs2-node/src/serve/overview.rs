//! Our own service, the part that tells what the daemon is doing.

use std::time::{Duration, Instant};

use hbs2_proto::io::status::{PeerStatus, WantState, WantStatus};
use hbs2_proto::{Keep, Node, Origin};
use hbs2_rpc::api::overview::{DOWNLOADS_SHOWN_MAX, Download, DownloadState, Overview, PeerFacts};
use hbs2_rpc::frame::Fault;

use super::Service;

/// Everything at one moment.
pub(super) async fn look(service: Service, (): ()) -> Result<Overview, Fault> {
    let totals = service.ask(|store| Ok(store.totals())).await?;
    let (key, up_ms) = (service.about.key, millis(service.since.elapsed()));
    let see = move |node: &Node| {
        let now = Instant::now();
        Overview {
            key,
            up_ms,
            blocks: totals.blocks,
            disk_bytes: totals.disk_bytes,
            corrupt: totals.corrupt,
            polls: node.polls().len() as u64,
            peers: node.peers().into_iter().map(|peer| facts(now, peer)).collect(),
            wanted: node.wanted().0 as u64,
            downloads: node
                .first_wants(DOWNLOADS_SHOWN_MAX)
                .into_iter()
                .map(|want| download(now, want))
                .collect(),
        }
    };
    Ok(service.desk.look(see).await?)
}

fn facts(now: Instant, peer: PeerStatus) -> PeerFacts {
    PeerFacts {
        key: peer.key,
        address: peer.remote,
        listens: peer.listens,
        dialled: matches!(peer.origin, Origin::Dialled(_)),
        sealed: peer.sealed,
        native: peer.native,
        spare: peer.spare,
        up_ms: since(now, peer.since),
        round_trip_us: peer.round_trip.map(|trip| u64::try_from(trip.as_micros()).unwrap_or(u64::MAX)),
        rate: peer.rate,
        idle_ms: peer.progress.map(|at| since(now, at)),
        blocks: peer.blocks,
        block_bytes: peer.block_bytes,
        in_flight_bytes: peer.in_flight_bytes,
        window_bytes: peer.window_bytes,
        points: u64::from(peer.conduct.points),
        dropped: peer.conduct.dropped,
    }
}

fn download(now: Instant, want: WantStatus) -> Download {
    Download {
        root: want.root,
        state: match want.state {
            WantState::Walking => DownloadState::Looking,
            WantState::Fetching => DownloadState::Fetching,
            WantState::Waiting => DownloadState::Waiting,
            WantState::Alone => DownloadState::Alone,
        },
        kept: want.keep == Keep::UntilDone,
        age_ms: since(now, want.since),
        idle_ms: want.progress.map(|at| since(now, at)),
        blocks: want.blocks,
        block_bytes: want.block_bytes,
        rate: want.rate,
        missing: want.missing as u64,
        sample: want.missing_some,
        asked: want.asked,
        busy: want.busy,
        retry_ms: want.retry.map(|at| since(at, now)),
    }
}

/// Milliseconds from `earlier` to `later`, 0 when it is the other way round.
fn since(later: Instant, earlier: Instant) -> u64 {
    millis(later.saturating_duration_since(earlier))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
