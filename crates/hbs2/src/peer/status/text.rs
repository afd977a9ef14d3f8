//! The status for people: a few lines, and a table each for peers and downloads.

use hbs2_rpc::api::overview::{Download, DownloadState, Overview, PeerFacts};

use crate::peer::figures::{bytes, count, rate, span};

/// Time without a block after which a download that asks is called stuck, in milliseconds. Slow peers deliver one
/// within a few seconds.
const STUCK_MILLIS: u64 = 10_000;

/// Peers named for each download, at most.
const NAMED_PEERS_MAX: usize = 4;

/// All of it, without a line end.
pub(super) fn page(overview: &Overview) -> String {
    let mut lines = vec![format!("peer {} up {}", overview.key, span(overview.up_ms)), stored(overview)];
    let used: Vec<_> = overview.peers.iter().filter(|peer| !peer.spare).collect();
    lines.push(String::new());
    lines.push(count(used.len() as u64, "peer"));
    lines.extend(table(&used.iter().map(|peer| row(peer)).collect::<Vec<_>>()));
    lines.push(String::new());
    lines.push(count(overview.wanted, "download"));
    for download in &overview.downloads {
        let (word, rest) = doing(download);
        lines.push(format!("{:<44}  {word:<8}  {rest}", download.root.to_string()));
        lines.extend(sources(download, overview));
    }
    let more = overview.wanted.saturating_sub(overview.downloads.len() as u64);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn stored(overview: &Overview) -> String {
    let mut line = format!(
        "{} stored, {} on disk, {} polled",
        count(overview.blocks, "block"),
        bytes(overview.disk_bytes),
        count(overview.polls, "reference")
    );
    if overview.corrupt > 0 {
        line += &format!(", {} damaged", count(overview.corrupt, "block"));
    }
    line
}

/// Key, address, link, round trip, rate, what was delivered, and what is unusual.
fn row(peer: &PeerFacts) -> [String; 7] {
    let direction = if peer.dialled { "out" } else { "in" };
    let cover = if peer.sealed { "sealed" } else { "clear" };
    let trip =
        peer.round_trip_us.map_or_else(|| "-".to_owned(), |us| format!("{:.1} ms", us as f64 / 1000.0));
    let speed = if peer.blocks == 0 { "-".to_owned() } else { rate(peer.rate) };
    let got = format!("{} in {}", bytes(peer.block_bytes), count(peer.blocks, "block"));
    let mut remarks = Vec::new();
    if peer.in_flight_bytes > 0 {
        remarks.push(format!("{} asked for", bytes(peer.in_flight_bytes)));
    }
    if peer.points > 0 {
        remarks.push(format!("{} against it", count(peer.points, "point")));
    }
    if peer.dropped > 0 {
        remarks.push(format!("{} dropped", count(peer.dropped, "message")));
    }
    let address = peer.address.to_string();
    [peer.key.to_string(), address, format!("{direction} {cover}"), trip, speed, got, remarks.join(", ")]
}

/// Lines with columns as wide as they must be; numbers stand at the right.
fn table(rows: &[[String; 7]]) -> Vec<String> {
    const RIGHT: [bool; 7] = [false, false, false, true, true, false, false];
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).zip(RIGHT);
        let padded = cells.map(
            |((cell, width), right)| {
                if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            },
        );
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// What a download is doing, in one word, and the rest of its line.
fn doing(download: &Download) -> (&'static str, String) {
    let Download { state, blocks, block_bytes, missing, .. } = *download;
    let missing = format!("{} missing", count(missing, "block"));
    let silent = download.idle_ms.unwrap_or(download.age_ms);
    match state {
        DownloadState::Looking => ("looking", "for what is missing of it".to_owned()),
        DownloadState::Alone => ("stuck", format!("{missing}; no peer is linked")),
        DownloadState::Waiting => {
            let asked = count(download.asked.len() as u64, "peer");
            let again = download.retry_ms.map(|left| format!("; asked again in {}", span(left)));
            ("stuck", format!("{missing}; {asked} asked, none has them{}", again.unwrap_or_default()))
        }
        DownloadState::Fetching if silent >= STUCK_MILLIS => {
            ("stuck", format!("{missing}; nothing has come for {}", span(silent)))
        }
        DownloadState::Fetching => {
            let come = format!("{}, {}, {}", count(blocks, "block"), bytes(block_bytes), rate(download.rate));
            ("fetching", format!("{come}; {missing}"))
        }
    }
}

/// Whose turn it is, a line each.
fn sources<'a>(download: &'a Download, overview: &'a Overview) -> impl Iterator<Item = String> + 'a {
    let address = |key| overview.peers.iter().find(|peer| peer.key == key && !peer.spare);
    let named = download.busy.iter().take(NAMED_PEERS_MAX).map(move |key| {
        let address = address(*key).map(|peer| format!(" at {}", peer.address)).unwrap_or_default();
        format!("  from {key}{address}")
    });
    let more = download.busy.len().saturating_sub(NAMED_PEERS_MAX);
    named.chain((more > 0).then(|| format!("  and from {}", count(more as u64, "other peer"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hbs2_core::{Hash, SignPublicKey};

    fn overview() -> Overview {
        Overview {
            key: SignPublicKey::from_bytes([1; 32]),
            up_ms: 65_000,
            blocks: 1,
            disk_bytes: 1_500,
            corrupt: 0,
            polls: 2,
            peers: Vec::new(),
            wanted: 0,
            downloads: Vec::new(),
        }
    }

    fn peer(byte: u8, address: &str, blocks: u64) -> PeerFacts {
        PeerFacts {
            key: SignPublicKey::from_bytes([byte; 32]),
            address: address.parse().unwrap(),
            listens: None,
            dialled: blocks > 0,
            sealed: blocks > 0,
            native: false,
            spare: false,
            up_ms: 1,
            round_trip_us: (blocks > 0).then_some(12_345),
            rate: 5_100_000,
            idle_ms: None,
            blocks,
            block_bytes: blocks * 1000,
            in_flight_bytes: 0,
            window_bytes: 1,
            points: u64::from(blocks == 0),
            dropped: 0,
        }
    }

    fn download(state: DownloadState, idle_ms: Option<u64>) -> Download {
        Download {
            root: Hash::of(b"root"),
            state,
            kept: true,
            age_ms: 5_000,
            idle_ms,
            blocks: 3,
            block_bytes: 3_000,
            rate: 1_000,
            missing: 2,
            sample: Vec::new(),
            asked: vec![SignPublicKey::from_bytes([2; 32])],
            busy: vec![SignPublicKey::from_bytes([2; 32])],
            retry_ms: Some(40_000),
        }
    }

    #[test]
    fn peers_stand_in_columns_and_spares_are_left_out() {
        let mut overview = overview();
        overview.peers = vec![peer(2, "tcp://192.0.2.1:10351", 4), peer(3, "192.0.2.7:7351", 0)];
        overview.peers.push(PeerFacts { spare: true, ..peer(2, "192.0.2.1:7351", 1) });
        let page = page(&overview);
        let lines: Vec<_> = page.lines().collect();
        let (two, three) = (overview.peers[0].key, overview.peers[1].key);
        assert_eq!(lines[0], format!("peer {} up 1 min 5 s", overview.key));
        assert_eq!(lines[1], "1 block stored, 1.5 kB on disk, 2 references polled");
        assert_eq!(lines[3], "2 peers");
        assert_eq!(
            lines[4],
            format!("{two:<44}  tcp://192.0.2.1:10351  out sealed  12.3 ms  5.1 MB/s  4.0 kB in 4 blocks")
                .replace(&format!("{two:<44}"), &pad(two, three))
        );
        assert!(lines[5].contains("  192.0.2.7:7351         in clear          -         -  0 B in 0 blocks"));
        assert!(lines[5].ends_with("1 point against it"), "{}", lines[5]);
        assert_eq!(lines[7], "0 downloads");
    }

    /// A key, as wide as the longer of two.
    fn pad(key: SignPublicKey, other: SignPublicKey) -> String {
        let width = key.to_string().len().max(other.to_string().len());
        format!("{:<width$}", key.to_string())
    }

    #[test]
    fn a_download_says_what_is_in_its_way() {
        use DownloadState::{Alone, Fetching, Looking, Waiting};
        for (state, idle_ms, word, rest) in [
            (Looking, None, "looking", "for what is missing of it"),
            (Fetching, Some(100), "fetching", "3 blocks, 3.0 kB, 1.0 kB/s; 2 blocks missing"),
            (Fetching, Some(12_000), "stuck", "2 blocks missing; nothing has come for 12 s"),
            (Waiting, None, "stuck", "2 blocks missing; 1 peer asked, none has them; asked again in 40 s"),
            (Alone, None, "stuck", "2 blocks missing; no peer is linked"),
        ] {
            assert_eq!(doing(&download(state, idle_ms)), (word, rest.to_owned()));
        }
    }

    #[test]
    fn a_download_names_the_peers_whose_turn_it_is() {
        let mut overview = overview();
        overview.wanted = 3;
        overview.peers = vec![peer(2, "tcp://192.0.2.1:10351", 4)];
        overview.downloads = vec![download(DownloadState::Fetching, Some(0))];
        let key = overview.peers[0].key;
        let page = page(&overview);
        assert!(page.contains(&format!("\n  from {key} at tcp://192.0.2.1:10351\n")), "{page}");
        assert!(page.ends_with("\nand 2 more"), "{page}");
    }
}
