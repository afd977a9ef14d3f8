//! Our own service, the part for monitors: what is counted and measured, and what we tell others about us.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hbs2_core::Encode;
use hbs2_proto::{Counters, Node};
use hbs2_rpc::api::node::{Annotation, Figure, Figures};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;

use super::{Service, with};

pub(super) fn routes(router: Router, service: &Service) -> Router {
    router.on::<Figures, _>(with(service, figures)).on::<Annotation, _>(with(service, annotation))
}

async fn figures(service: Service, (): ()) -> Result<Vec<Figure>, Fault> {
    let totals = service.ask(|store| Ok(store.totals())).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut figures = vec![
        measure(
            "start_time_seconds",
            "Start of the daemon, in seconds since 1970",
            now.saturating_sub(service.since.elapsed()).as_secs(),
        ),
        measure("store_blocks", "Blocks in the store", totals.blocks),
        measure("store_bytes", "Space that the store takes on disk", totals.disk_bytes),
        count("store_corrupt_blocks", "Corrupt blocks met in the store", totals.corrupt),
    ];
    figures.extend(service.desk.look(node_figures).await?);
    Ok(figures)
}

fn node_figures(node: &Node) -> Vec<Figure> {
    let (peers, wants) = (node.peers(), node.wants());
    let in_flight = peers.iter().map(|peer| peer.in_flight_bytes).sum();
    let missing = wants.iter().map(|want| want.missing as u64).sum();
    let mut figures = vec![
        measure("peers", "Peers that are linked and trusted", peers.len() as u64),
        measure("in_flight_bytes", "Bytes of blocks that are asked for and have not come yet", in_flight),
        measure("wants", "Trees that are being fetched", wants.len() as u64),
        measure("missing_blocks", "Blocks of these trees that are known to be missing", missing),
        measure("polls", "References that are followed", node.polls().len() as u64),
    ];
    let counted = node.counters().lines().into_iter().zip(Counters::meanings());
    figures.extend(counted.map(|((name, value), (_, meaning))| count(name, meaning, value)));
    figures
}

fn measure(name: &str, meaning: &str, value: u64) -> Figure {
    Figure { name: name.to_owned(), meaning: meaning.to_owned(), counts: false, value }
}

fn count(name: &str, meaning: &str, value: u64) -> Figure {
    Figure { counts: true, ..measure(name, meaning, value) }
}

async fn annotation(service: Service, (): ()) -> Result<Bytes, Fault> {
    Ok(service.desk.look(|node| node.annotation().to_bytes()).await?.into())
}
