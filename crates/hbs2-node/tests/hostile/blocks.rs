//! Attacks by blocks: wrong bytes, wrong sizes, endless trees, readers that do not read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::{Hash, SignSecretKey};
use hbs2_proto::wire::{BlockChunks, BlockInfo, ChanHeadMessage, ChunksBody, Message};
use hbs2_rpc::api::node::{TreeWait, WaitTree};
use hbs2_rpc::api::peer::PollAdd;

use crate::eve::Eve;
use crate::kit::{PATIENCE, noise, tree_of};
use crate::victim::Victim;

/// Bytes that eve says each block has.
const CLAIMED_BYTES: u64 = 50_000;

fn size(hash: Hash, bytes: u64) -> Message {
    Message::BlockInfo(BlockInfo::BlockSize { hash, bytes })
}

fn chunk(cookie: u32, number: u16, data: Bytes) -> Message {
    Message::BlockChunks(BlockChunks { cookie, body: ChunksBody::Chunk { number, data } })
}

/// The run of chunks that a message asks for: cookie, block, chunk length, first and count.
fn asked(message: &Message) -> Option<(u32, Hash, u16, u32, u32)> {
    let Message::BlockChunks(BlockChunks { cookie, body }) = message else { return None };
    match body {
        ChunksBody::GetAllChunks { hash, chunk_bytes } => Some((*cookie, *hash, *chunk_bytes, 0, u32::MAX)),
        ChunksBody::GetChunks { hash, chunk_bytes, first, count } => {
            Some((*cookie, *hash, *chunk_bytes, *first, *count))
        }
        _ => None,
    }
}

/// The chunks of a block that are asked for.
fn chunks(block: &Bytes, (cookie, _, size, first, count): (u32, Hash, u16, u32, u32)) -> Vec<Message> {
    let parts = block.chunks(usize::from(size)).enumerate();
    let parts = parts.skip(first as usize).take(count as usize);
    parts.map(|(number, part)| chunk(cookie, number as u16, block.slice_ref(part))).collect()
}

/// Lets the victim want a tree that only eve says to have.
fn want(victim: &Victim, seed: u64) -> Hash {
    let (root, _) = tree_of(&noise(seed, 1_000_000));
    victim.call::<WaitTree>(TreeWait { roots: vec![root], timeout_ms: 0, seen: None });
    root
}

#[test]
fn wrong_bytes_ban_and_leave_nothing_on_disk() {
    let mut victim = Victim::start("");
    let eve = Eve::meet_with(&victim, 66, |message| match &message {
        Message::BlockInfo(BlockInfo::GetBlockSize(hash)) => vec![size(*hash, CLAIMED_BYTES)],
        message => asked(message)
            .map(|ask| chunks(&Bytes::from(vec![0; CLAIMED_BYTES as usize]), ask))
            .unwrap_or_default(),
    });
    for seed in 1..=5 {
        want(&victim, seed);
    }
    victim.hold("wrong bytes", 0);
    victim.until("eve is banned", |victim| victim.ban(&eve.key()).is_some());
    assert_eq!(victim.ban(&eve.key()).as_deref(), Some("wrong blocks"));
    assert!(victim.offences(&eve.key(), "wrong blocks") >= 3);
    assert!(eve.is_gone());
}

#[test]
fn wrong_sizes_ban_and_leave_nothing_on_disk() {
    let mut victim = Victim::start("");
    let mut asks = 0_u64;
    let eve = Eve::meet_with(&victim, 66, move |message| match &message {
        Message::BlockInfo(BlockInfo::GetBlockSize(hash)) => {
            asks += 1;
            vec![size(*hash, if asks.is_multiple_of(2) { u64::MAX } else { CLAIMED_BYTES })]
        }
        message => asked(message)
            .map(|(cookie, _, bytes, _, _)| {
                let longer = Bytes::from(vec![0; usize::from(bytes) + 1]);
                vec![chunk(cookie, 0, longer), chunk(cookie, 60_000, Bytes::from_static(b"x"))]
            })
            .unwrap_or_default(),
    });
    for seed in 1..=12 {
        want(&victim, seed);
    }
    victim.hold("wrong sizes", 0);
    victim.until("eve is banned", |victim| victim.ban(&eve.key()).is_some());
    assert_eq!(victim.ban(&eve.key()).as_deref(), Some("wrong sizes"));
}

#[test]
fn a_tree_named_as_a_head_is_fetched_no_further_than_a_head_may_be_long() {
    let mut victim = Victim::start("");
    let channel = SignSecretKey::from_seed(&[7; 32]).public();
    victim.call::<PollAdd>((channel, "refchan".to_owned(), 60));
    let (root, blocks) = tree_of(&noise(9, 60_000_000));
    let all = blocks.len() as u64;
    let bait: BTreeMap<Hash, Bytes> = blocks.into_iter().map(|block| (Hash::of(&block), block)).collect();
    let mut eve = Eve::meet_with(&victim, 66, move |message| match &message {
        Message::BlockInfo(BlockInfo::GetBlockSize(hash)) => match bait.get(hash) {
            Some(block) => vec![size(*hash, block.len() as u64)],
            None => vec![Message::BlockInfo(BlockInfo::NoBlock(*hash))],
        },
        message => asked(message).and_then(|ask| Some(chunks(bait.get(&ask.1)?, ask))).unwrap_or_default(),
    });
    assert!(eve.say(&Message::ChanHead(ChanHeadMessage::Head { chan: channel, root })));
    victim.until("the tree is given up", |victim| victim.counter("wants_over") > 0);
    // Two mebibytes in blocks of a quarter, what was on its way, and the blocks above them.
    victim.hold("a bait of 60 MB", 64);
    assert!(all > 200);
    assert_eq!(victim.offences(&eve.key(), "useless trees"), 1);
}

/// Eight peers that ask for all blocks of the victim's first tree again and again, 4 GB in all, and answer nothing.
/// Each reads for so long.
fn readers(victim: &Victim, reads: Duration) -> Vec<Eve> {
    let (_, blocks) = tree_of(&noise(1001, 24_000_000));
    let hashes: Vec<Hash> = blocks.iter().map(|block| Hash::of(block)).collect();
    let mut readers: Vec<Eve> = (0..8)
        .map(|number| {
            // What it is greeted with is read in any case.
            let mut begin = None;
            Eve::meet_with(victim, 66 + number, move |message| {
                let is_data = matches!(message, Message::BlockChunks(_));
                if is_data && begin.get_or_insert_with(Instant::now).elapsed() >= reads {
                    std::thread::park_timeout(PATIENCE);
                }
                Vec::new()
            })
        })
        .collect();
    for eve in &mut readers {
        for (cookie, hash) in (0..).zip(hashes.iter().cycle().take(2_000)) {
            let body = ChunksBody::GetAllChunks { hash: *hash, chunk_bytes: u16::MAX };
            assert!(eve.say(&Message::BlockChunks(BlockChunks { cookie, body })));
        }
    }
    readers
}

#[test]
fn a_reader_that_asks_for_all_and_reads_nothing_takes_its_share_of_memory_only() {
    let mut victim = Victim::start("");
    let readers = readers(&victim, Duration::ZERO);
    victim.hold("eight readers that ask for 4 GB and do not read", 0);
    victim.hold_serving("eight readers that ask for 4 GB and do not read");
    assert!(!readers.iter().any(Eve::is_gone));
}

#[test]
fn a_reader_that_takes_all_it_can_get_and_answers_nothing_leaves_the_others_their_share() {
    let mut victim = Victim::start("");
    let _readers = readers(&victim, PATIENCE);
    victim.hold("eight readers that ask for 4 GB and take it", 0);
    victim.hold_serving("eight readers that ask for 4 GB and take it");
}
