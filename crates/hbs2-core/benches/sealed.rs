//! How fast sealed trees are made and read on one core, and what of the time each part takes.

#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement stops at the first trouble")]

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::sealed::nonce_for;
use hbs2_core::tree::sealed::{BlockCipher, Opener, Sealer};
use hbs2_core::{Crypt, GroupSecret, Hash, Meta};

const MIB: usize = 1024 * 1024;
/// Content of the tree, in MiB.
const CONTENT_MIB: usize = 256;
/// Each part runs so often; the best time counts, because other programs disturb the rest.
const RUNS: usize = 5;

/// Seconds that this thread has had a processor, so that waiting for one does not count; where the system does not
/// tell, seconds of the clock.
fn seconds() -> f64 {
    let on_cpu = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = on_cpu.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| START.with(Instant::elapsed).as_secs_f64(), |it| it / 1e9)
}

thread_local! {
    static START: Instant = Instant::now();
}

fn time<T>(what: &str, mut part: impl FnMut() -> T) -> T {
    let mut best = f64::MAX;
    let mut result = None;
    for _ in 0..RUNS {
        drop(result.take());
        let start = seconds();
        result = Some(black_box(part()));
        best = best.min(seconds() - start);
    }
    println!("{what:<44} {:>6.0} MB/s", (CONTENT_MIB * MIB) as f64 / 1e6 / best);
    result.unwrap()
}

fn main() {
    let content: Vec<u8> = (0..CONTENT_MIB * MIB).map(|i| (i * 31 + i / 997) as u8).collect();
    let secret = GroupSecret::from_bytes([5; 32]);
    let nonce = time("nonce string", || nonce_for(&secret, &content));
    let crypt = Crypt::Group1 { key: Hash::of(b"key"), nonce };
    let cipher = BlockCipher::new(&secret, &crypt).unwrap();
    let seal_blocks = || {
        let place = 1u64..;
        place.zip(content.chunks(CHUNK_BYTES)).map(|(at, chunk)| cipher.seal(at, chunk)).collect::<Vec<_>>()
    };
    let blocks = time("sealing alone", seal_blocks);
    let four = || {
        let batches = blocks.chunks(4);
        let hash = |batch: &[Bytes]| Hash::of_many(&batch.iter().map(|block| &block[..]).collect::<Vec<_>>());
        batches.flat_map(hash).collect::<Vec<_>>()
    };
    time("naming blocks alone, four at a time", four);
    drop(blocks);

    let seal = || {
        let crypt = Crypt::Group1 { key: Hash::of(b"key"), nonce: nonce_for(&secret, &content) };
        let mut blocks: Vec<(Hash, Bytes)> = Vec::new();
        let emit = |hash, block| {
            blocks.push((hash, block));
            Ok::<_, Infallible>(())
        };
        let mut sealer = Sealer::new(&secret, crypt, emit).unwrap();
        sealer.write(&content).unwrap();
        let root = sealer.finish(Meta::None).unwrap();
        (root, blocks)
    };
    let (root, blocks) = time("seal a tree: nonce string, boxes, names", seal);
    let blocks: std::collections::HashMap<Hash, Bytes> = blocks.into_iter().collect();

    let open = |check: bool| {
        let get = |hash: &Hash| {
            let block = blocks.get(hash).cloned();
            assert!(!check || block.as_ref().is_some_and(|block| Hash::of(block) == *hash));
            Ok::<_, Infallible>(block)
        };
        Opener::new(root, &crypt, &secret, get).unwrap().map(|chunk| chunk.unwrap().len()).sum::<usize>()
    };
    assert_eq!(time("open a tree", || open(false)), content.len());
    time("open a tree, names checked one by one", || open(true));
}
