//! Attacks by references: bad and foreign signatures, old values.

use std::collections::BTreeMap;

use bytes::Bytes;
use hbs2_core::lwwref::LwwRef;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Decode, Encode, Hash, SignSecretKey, Signed};
use hbs2_proto::wire::{BlockChunks, BlockInfo, ChunksBody, LwwMessage, Message, ReflogRequest};
use hbs2_rpc::api::lwwref;
use hbs2_rpc::api::peer::PollAdd;
use hbs2_rpc::api::reflog;

use crate::eve::Eve;
use crate::kit::tree_above;
use crate::victim::Victim;

fn author() -> SignSecretKey {
    SignSecretKey::from_seed(&[42; 32])
}

fn update(key: &SignSecretKey, number: u8) -> ReflogUpdate {
    ReflogUpdate::sign(key, [number; 24], Bytes::from(vec![number; 100]))
}

#[test]
fn bad_signatures_ban_and_nothing_of_them_is_kept() {
    let mut victim = Victim::start("");
    victim.call::<PollAdd>((author().public(), "reflog".to_owned(), 60));
    let mut eve = Eve::meet(&victim, 66);
    for number in 0..20 {
        let mut bytes = update(&author(), number).to_bytes();
        *bytes.last_mut().unwrap() ^= 1;
        eve.say(&Message::ReflogUpdate(ReflogUpdate::from_bytes(&bytes).unwrap()));
    }
    victim.hold("bad signatures", 0);
    victim.until("eve is banned", |victim| victim.ban(&eve.key()).is_some());
    assert_eq!(victim.ban(&eve.key()).as_deref(), Some("bad signatures"));
    assert_eq!(victim.call::<reflog::Get>(author().public()), None);
}

#[test]
fn entries_of_another_log_are_not_taken_and_are_held_against_who_told() {
    let mut victim = Victim::start("");
    victim.call::<PollAdd>((author().public(), "reflog".to_owned(), 60));
    let foreign = SignSecretKey::from_seed(&[43; 32]);
    let entries: Vec<Bytes> = (0..50).map(|number| update(&foreign, number).to_bytes().into()).collect();
    let hashes: Vec<Hash> = entries.iter().map(|entry| Hash::of(entry)).collect();
    let (root, nodes) = tree_above(&hashes);
    let blocks: BTreeMap<Hash, Bytes> =
        entries.into_iter().chain(nodes).map(|block| (Hash::of(&block), block)).collect();
    let told = blocks.len() as u64;
    let mut eve = Eve::meet_with(&victim, 66, move |message| match message {
        Message::BlockInfo(BlockInfo::GetBlockSize(hash)) => {
            let known = blocks.get(&hash).map(|block| block.len() as u64);
            vec![Message::BlockInfo(match known {
                Some(bytes) => BlockInfo::BlockSize { hash, bytes },
                None => BlockInfo::NoBlock(hash),
            })]
        }
        // Its blocks are small: one chunk each.
        Message::BlockChunks(BlockChunks { cookie, body: ChunksBody::GetChunks { hash, .. } }) => {
            let data = blocks.get(&hash).cloned();
            let chunk = |data| BlockChunks { cookie, body: ChunksBody::Chunk { number: 0, data } };
            data.map(|data| Message::BlockChunks(chunk(data))).into_iter().collect()
        }
        _ => Vec::new(),
    });
    let key = author().public();
    assert!(eve.say(&Message::ReflogRequest(ReflogRequest::Response { key, root })));
    victim.until("they are examined", |victim| victim.counter("updates_foreign") == 50);
    // A list must be read to be judged: its blocks stay, its entries enter no log.
    victim.hold("foreign entries", told);
    assert_eq!(victim.offences(&eve.key(), "foreign entries"), 1);
    assert_eq!(victim.call::<reflog::Get>(key), None);
}

#[test]
fn old_values_are_not_taken_stored_or_passed_on() {
    let mut victim = Victim::start("");
    victim.call::<PollAdd>((author().public(), "lwwref".to_owned(), 60));
    let key = author().public();
    let set = |seq: u64| {
        let value = LwwRef { seq, value: Hash::of(&seq.to_be_bytes()), proof: None };
        Message::Lww(LwwMessage::Set { key, signed: Signed::sign(&author(), &value) })
    };
    let mut eve = Eve::meet(&victim, 66);
    assert!(eve.say(&set(1_000_000)));
    victim.until("the new value is kept", |victim| victim.call::<lwwref::Get>(lwwref::LwwKey(key)).is_some());
    let stored = victim.stored();
    for _ in 0..4 {
        for seq in 1..=300 {
            eve.say(&set(seq));
        }
    }
    victim.until("they are counted", |victim| victim.counter("values_stale") >= 300);
    assert_eq!(victim.stored(), stored);
    victim.hold("old values", 1);
    assert!(victim.offences(&eve.key(), "stale values") >= 300);
    assert!(victim.ban(&eve.key()).is_none(), "the original repeats old values as long as others do");
}
