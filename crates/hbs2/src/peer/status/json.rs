//! The status for programs: one JSON object.

use hbs2_rpc::api::overview::{Download, Overview, PeerFacts};
use serde_json::{Value, json};

/// The object on one line. Keys in the order of the alphabet, units in their names.
pub(super) fn object(overview: &Overview) -> String {
    json!({
        "key": overview.key.to_string(),
        "up_ms": overview.up_ms,
        "blocks": overview.blocks,
        "disk_bytes": overview.disk_bytes,
        "corrupt_blocks": overview.corrupt,
        "polls": overview.polls,
        "peers": overview.peers.iter().map(peer).collect::<Vec<_>>(),
        "wanted": overview.wanted,
        "downloads": overview.downloads.iter().map(download).collect::<Vec<_>>(),
    })
    .to_string()
}

fn peer(peer: &PeerFacts) -> Value {
    json!({
        "key": peer.key.to_string(),
        "address": peer.address.to_string(),
        "listens": peer.listens.map(|address| address.to_string()),
        "dialled": peer.dialled,
        "sealed": peer.sealed,
        "native": peer.native,
        "spare": peer.spare,
        "up_ms": peer.up_ms,
        "round_trip_us": peer.round_trip_us,
        "rate": peer.rate,
        "idle_ms": peer.idle_ms,
        "blocks": peer.blocks,
        "block_bytes": peer.block_bytes,
        "in_flight_bytes": peer.in_flight_bytes,
        "window_bytes": peer.window_bytes,
        "points": peer.points,
        "dropped": peer.dropped,
    })
}

fn download(download: &Download) -> Value {
    let texts = |list: &[hbs2_core::SignPublicKey]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "root": download.root.to_string(),
        "state": download.state.as_str(),
        "kept": download.kept,
        "age_ms": download.age_ms,
        "idle_ms": download.idle_ms,
        "blocks": download.blocks,
        "block_bytes": download.block_bytes,
        "rate": download.rate,
        "missing": download.missing,
        "sample": download.sample.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "asked": texts(&download.asked),
        "busy": texts(&download.busy),
        "retry_ms": download.retry_ms,
    })
}
