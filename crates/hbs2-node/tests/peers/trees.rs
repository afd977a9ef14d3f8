//! Trees from peer to peer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_rpc::api::node::{Event, TreeWait, WaitTree};
use hbs2_rpc::api::peer::{Announce, DownloadList, Fetch};
use hbs2_rpc::api::storage::GetBlock;

use crate::kit::{Person, noise, tree_above, tree_of};

/// Checks that every block of the tree is at `person`.
fn check_blocks(person: &Person, blocks: &[Bytes]) {
    for block in blocks {
        assert!(person.call::<GetBlock>(Hash::of(block)).as_ref() == Some(block));
    }
}

#[test]
fn a_tree_of_twenty_megabytes_arrives_whole() {
    let alice = Person::alone();
    let bob = Person::start(&[alice.address], "");
    let (root, blocks) = tree_of(&noise(1, 20_000_000));
    alice.put(blocks.clone());
    let status = bob.fetch(&[root]);
    assert_eq!(status.blocks, blocks.len() as u64);
    check_blocks(&bob, &blocks);
}

#[test]
fn a_tree_of_trees_with_two_thousand_small_blocks_arrives_whole() {
    let alice = Person::alone();
    let bob = Person::start(&[alice.address], "");
    let mut all = Vec::new();
    let mut roots = Vec::new();
    for i in 0..500 {
        let (root, blocks) = tree_of(&noise(i, 4_000));
        let (above, nodes) = tree_above(&[root, Hash::of(&blocks[0])]);
        roots.push(above);
        all.extend(blocks);
        all.extend(nodes);
        all.push(noise(1000 + i, 10));
        roots.push(Hash::of(&noise(1000 + i, 10)));
    }
    let (root, nodes) = tree_above(&roots);
    all.extend(nodes);
    assert!(all.len() >= 2000, "{}", all.len());
    alice.put(all.clone());
    bob.fetch(&[root]);
    check_blocks(&bob, &all);
}

#[test]
fn blocks_of_zero_bytes_and_of_the_largest_size_arrive() {
    let alice = Person::alone();
    let bob = Person::start(&[alice.address], "");
    let blocks = [Bytes::new(), noise(1, 1), noise(2, 65_535), noise(3, 65_536), noise(4, 16 * 1024 * 1024)];
    let hashes: Vec<Hash> = blocks.iter().map(|block| Hash::of(block)).collect();
    let (root, nodes) = tree_above(&hashes);
    alice.put(blocks.iter().cloned().chain(nodes));
    bob.fetch(&[root]);
    check_blocks(&bob, &blocks);
}

#[test]
fn a_tree_that_is_here_is_complete_at_once_and_an_absent_one_is_named() {
    let alice = Person::alone();
    let (root, blocks) = tree_of(&noise(1, 1_000_000));
    alice.put(blocks[1..].to_vec());
    let begin = Instant::now();
    let status = alice.fetch_for(&[root], 200);
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!((status.complete, status.missing), (false, 1));
    assert_eq!(status.sample, [Hash::of(&blocks[0])]);
    alice.put(blocks[..1].to_vec());
    assert!(alice.fetch(&[root]).complete);
}

#[test]
fn a_download_goes_on_after_a_restart_without_fetching_anything_twice() {
    let alice = Person::alone();
    let mut bob = Person::start(&[alice.address], "");
    let (root, blocks) = tree_of(&noise(1, 8_000_000));
    let (late, early) = blocks.split_at(10);
    alice.put(early.to_vec());
    bob.call::<Fetch>(root);
    let status = bob.fetch_for(&[root], 3_000);
    assert_eq!((status.complete, status.missing), (false, 10), "{status:?}");
    bob.stop();
    alice.put(late.to_vec());
    bob.start_again();
    assert_eq!(bob.call::<DownloadList>(()).len(), 1);
    bob.fetch(&[root]);
    check_blocks(&bob, &blocks);
    assert_eq!(bob.counter("blocks_fetched"), 10);
    assert_eq!(bob.call::<DownloadList>(()), []);
}

#[test]
fn when_a_source_dies_in_the_middle_another_one_is_used() {
    let (mut alice, carol) = (Person::alone(), Person::alone());
    let (root, blocks) = tree_of(&noise(1, 40_000_000));
    alice.put(blocks.clone());
    carol.put(blocks.clone());
    let bob = Person::start(&[alice.address, carol.address], "");
    bob.wait_peers(2);
    let wait = TreeWait { roots: vec![root], timeout_ms: 30_000, seen: Some(0) };
    let status = bob.call::<WaitTree>(wait);
    assert!(status.mark > 0, "{status:?}");
    alice.stop();
    bob.fetch(&[root]);
    check_blocks(&bob, &blocks);
}

#[test]
fn blocks_spread_over_several_peers_are_gathered() {
    let people: Vec<Person> = (0..3).map(|_| Person::alone()).collect();
    let (root, blocks) = tree_of(&noise(1, 6_000_000));
    for (at, block) in blocks.iter().enumerate() {
        people[at % 3].put([block.clone()]);
    }
    let addresses: Vec<_> = people.iter().map(|person| person.address).collect();
    let bob = Person::start(&addresses, "");
    bob.wait_peers(3);
    bob.fetch(&[root]);
    check_blocks(&bob, &blocks);
}

#[test]
fn announces_are_followed_for_the_configured_peers_only() {
    let alice = Person::alone();
    let bob = Person::start(&[alice.address], &format!("accept-block-announce \"{}\"\n", alice.key));
    let carol = Person::start(&[alice.address], "");
    alice.wait_peers(2);
    let (root, blocks) = tree_of(&noise(1, 3_000_000));
    alice.put(blocks.clone());
    let cursor = bob.cursor();
    alice.call::<Announce>(root);
    bob.wait_event(cursor, &Event::Tree(root));
    check_blocks(&bob, &blocks);
    assert_eq!(carol.call::<GetBlock>(root), None);
    assert_eq!(carol.counter("blocks_fetched"), 0);
}
