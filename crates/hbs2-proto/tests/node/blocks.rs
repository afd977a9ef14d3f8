//! Trust, questions and answers, message by message.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::SignSecretKey;
use hbs2_core::addr::PeerAddr;
use hbs2_proto::wire::{
    BlockChunks, ChunksBody, Handshake, KEY_NATIVE, Message, MetaEntries, PeerExchange, PeerMeta,
};
use hbs2_proto::{Command, CommandId, Config, DialFailure, Input, Node, Origin, Output};

use crate::table::{Other, Table, answer, ask_chunks, ask_size, hash, ping, seconds};

#[test]
fn nothing_is_served_before_trust_but_every_ping_is_answered() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.link_up(&bob);
    alice.take();
    for message in [
        ask_size(1),
        ask_chunks(1, 1024, 0, 1),
        Message::PeerMeta(PeerMeta::Get),
        Message::PeerExchange(PeerExchange::Get2 { nonce: vec![1] }),
    ] {
        alice.tell(&bob, &message);
        assert!(alice.take().is_empty(), "{message:?}");
    }
    assert_eq!(alice.node.counters().messages_untrusted, 4);
    for len in [0, 1, 24, 200] {
        alice.tell(&bob, &Message::Handshake(Handshake::Ping { nonce: vec![7; len] }));
        let said = alice.said(&bob);
        let [Message::Handshake(Handshake::Pong { nonce, signature, data })] = &said[..] else {
            panic!("{said:?}");
        };
        assert_eq!(nonce.len(), len);
        assert_eq!(data.key.verify(nonce, signature), Ok(()));
    }
}

#[test]
fn a_side_that_does_not_answer_pings_is_left_after_a_while() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.link_up(&bob);
    alice.pass(seconds(14));
    assert!(alice.said(&bob).len() >= 3, "it is pinged again");
    alice.pass(seconds(2));
    assert!(alice.take().iter().any(|output| matches!(output, Output::Close { .. })));
}

#[test]
fn questions_wait_until_the_other_side_trusts_us() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.want(hash(1));
    alice.link_up(&bob);
    alice.pong(&bob);
    assert!(!alice.said(&bob).contains(&ask_size(1)), "bob has not been answered yet");
    alice.tell(&bob, &ping());
    let said = alice.said(&bob);
    let pong = said.iter().position(|message| matches!(message, Message::Handshake(Handshake::Pong { .. })));
    let question = said.iter().position(|message| *message == ask_size(1));
    assert!(pong.is_some() && pong < question, "{said:?}");
}

#[test]
fn a_side_that_never_pings_is_asked_all_the_same() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.want(hash(1));
    alice.link_up(&bob);
    alice.pong(&bob);
    alice.pass(seconds(2));
    assert!(alice.said(&bob).contains(&ask_size(1)));
}

#[test]
fn answers_to_an_original_keep_the_order_of_its_questions() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet(&bob);
    alice.take();
    for byte in [1, 2, 1, 3] {
        alice.tell(&bob, &ask_size(byte));
    }
    let stats = alice.stats();
    for place in [3, 1, 2] {
        alice.give(Input::BlockStat { ticket: stats[place], bytes: Some(10 + place as u64) });
    }
    assert!(alice.said(&bob).is_empty());
    alice.give(Input::BlockStat { ticket: stats[0], bytes: None });
    let expected = [answer(1, None), answer(2, Some(11)), answer(1, Some(12)), answer(3, Some(13))];
    assert_eq!(alice.said(&bob), expected);
}

#[test]
fn answers_to_our_own_kind_leave_as_they_come() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet_native(&bob);
    alice.tell(&bob, &ask_size(1));
    alice.tell(&bob, &ask_size(2));
    let stats = alice.stats();
    alice.give(Input::BlockStat { ticket: stats[1], bytes: Some(7) });
    assert_eq!(alice.said(&bob), [answer(2, Some(7))]);
}

#[test]
fn no_answer_is_forgotten_when_a_peer_turns_out_to_be_of_our_kind() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet(&bob);
    alice.take();
    alice.tell(&bob, &ask_size(1));
    alice.tell(&bob, &ask_size(2));
    let stats = alice.stats();
    alice.give(Input::BlockStat { ticket: stats[1], bytes: Some(7) });
    alice.meet_native(&bob);
    alice.tell(&bob, &ask_size(3));
    assert_eq!(alice.said(&bob), [answer(2, Some(7))]);
    alice.give(Input::BlockStat { ticket: stats[0], bytes: Some(6) });
    assert_eq!(alice.said(&bob), [answer(1, Some(6))]);
}

#[test]
fn no_is_said_late_for_a_block_that_is_being_fetched() {
    for arrives in [true, false] {
        let mut alice = Table::new(|_| {});
        let (bob, carol) = (Other::new(1, 2), Other::new(2, 3));
        alice.meet(&bob);
        alice.meet(&carol);
        alice.want(hash(1));
        alice.take();
        alice.tell(&bob, &ask_size(1));
        let stats = alice.stats();
        alice.give(Input::BlockStat { ticket: stats[0], bytes: None });
        alice.pass(seconds(1));
        assert!(!alice.said(&bob).contains(&answer(1, None)));
        if arrives {
            alice.tell(&carol, &answer(1, Some(0)));
            alice.give(Input::BlockStored { hash: hash(1), missing: vec![], truncated: false });
            assert!(alice.said(&bob).contains(&answer(1, Some(0))));
        } else {
            alice.pass(Duration::from_millis(2100));
            assert!(alice.said(&bob).contains(&answer(1, None)));
        }
    }
}

/// Asks for chunks of a block of 100,000 bytes; the ranges of it that come back.
fn check_chunks(ask: &Message, expected: &[std::ops::Range<usize>]) {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet(&bob);
    alice.take();
    let block = Bytes::from((0..100_000u32).map(|i| (i % 251) as u8).collect::<Vec<u8>>());
    alice.tell(&bob, ask);
    for ticket in alice.reads() {
        alice.give(Input::BlockRead { ticket, block: Some(block.clone()) });
    }
    let chunks = alice.said(&bob).into_iter().map(|message| match message {
        Message::BlockChunks(BlockChunks { body: ChunksBody::Chunk { data, .. }, cookie: 77 }) => data,
        message => panic!("{message:?}"),
    });
    assert!(chunks.eq(expected.iter().map(|range| block.slice(range.clone()))), "{ask:?}");
}

#[test]
fn any_chunk_size_but_zero_is_served() {
    check_chunks(&ask_chunks(77, 0, 0, 1), &[]);
    check_chunks(&ask_chunks(77, 1, 99_999, 5), &[]);
    check_chunks(&ask_chunks(77, 2, 49_999, 5), std::slice::from_ref(&(99_998..100_000)));
    check_chunks(&ask_chunks(77, 1024, 96, 256), &[98_304..99_328, 99_328..100_000]);
    check_chunks(&ask_chunks(77, 65_535, 0, 9), &[0..65_535, 65_535..100_000]);
    check_chunks(&ask_chunks(77, 65_535, u32::MAX, u32::MAX), &[]);
    let body = ChunksBody::GetAllChunks { hash: hash(1), chunk_bytes: 50_000 };
    let all = Message::BlockChunks(BlockChunks { cookie: 77, body });
    check_chunks(&all, &[0..50_000, 50_000..100_000]);
}

#[test]
fn a_peer_that_asks_for_everything_fills_no_memory() {
    const BLOCKS: u32 = 2000;
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet(&bob);
    alice.take();
    let block = Bytes::from(vec![1; 262_144]);
    let (mut sent, mut served) = (0, 0);
    for cookie in 0..BLOCKS {
        alice.tell(&bob, &ask_chunks(cookie, 1024, 0, 256));
    }
    loop {
        let (mut reads, mut unsent) = (Vec::new(), 0);
        for output in alice.take() {
            match output {
                Output::ReadBlock { ticket, .. } => reads.push(ticket),
                Output::Send { packet, .. } => unsent += packet.len(),
                _ => {}
            }
        }
        assert!(unsent < 3 << 20, "{unsent} bytes are in the queue");
        assert!(reads.len() <= 16, "{} blocks are read at once", reads.len());
        if reads.is_empty() && unsent == 0 {
            break;
        }
        sent += unsent;
        served += reads.len();
        for ticket in reads {
            alice.give(Input::BlockRead { ticket, block: Some(block.clone()) });
        }
        alice.give(Input::Sent { link: bob.link, bytes: unsent });
    }
    assert_eq!(served, BLOCKS as usize);
    assert!(sent > served * block.len());
}

#[test]
fn the_annotation_names_port_and_kind() {
    let (mut alice, bob) = (Table::new(|config| config.http_port = Some(5000)), Other::new(1, 2));
    alice.meet(&bob);
    assert!(alice.said(&bob).contains(&Message::PeerMeta(PeerMeta::Get)), "a new peer is asked at once");
    alice.tell(&bob, &Message::PeerMeta(PeerMeta::Get));
    let said = alice.said(&bob);
    let [Message::PeerMeta(PeerMeta::TheText(text))] = &said[..] else { panic!("{said:?}") };
    let entries = MetaEntries::from_text(text).unwrap();
    assert_eq!(entries.port("listen-tcp"), Some(10351));
    assert_eq!(entries.port("http-port"), Some(5000));
    assert!(entries.value(KEY_NATIVE).is_some());
}

#[test]
fn an_annotation_counts_once_and_only_when_asked_for() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    let tell_port = |alice: &mut Table, port: u16| {
        let entries = MetaEntries(vec![("listen-tcp".to_owned(), port.to_string().into_bytes())]);
        alice.tell(&bob, &Message::PeerMeta(PeerMeta::TheText(entries.to_text())));
        assert!(!alice.take().iter().any(|output| matches!(output, Output::Dial { .. })), "not at once");
        alice.pass(seconds(8));
        alice.take().iter().filter(|output| matches!(output, Output::Dial { .. })).count()
    };
    alice.meet(&bob);
    assert_eq!(tell_port(&mut alice, 4000), 1);
    assert_eq!(tell_port(&mut alice, 4001), 0);
}

#[test]
fn only_addresses_that_answered_are_told() {
    let mut alice = Table::new(|_| {});
    let (bob, carol) = (Other::new(1, 2), Other::new(2, 3));
    alice.meet(&bob);
    alice.meet(&carol);
    let entries = MetaEntries(vec![("listen-tcp".to_owned(), b"4000".to_vec())]);
    alice.tell(&bob, &Message::PeerMeta(PeerMeta::TheText(entries.to_text())));
    let address = PeerAddr::tcp(([10, 0, 0, 2], 4000).into());
    let told = |alice: &mut Table| {
        alice.take();
        alice.tell(&carol, &Message::PeerExchange(PeerExchange::Get2 { nonce: vec![1; 24] }));
        alice.said(&carol)
    };
    let peers =
        |addresses| vec![Message::PeerExchange(PeerExchange::Peers2 { nonce: vec![1; 24], addresses })];
    assert_eq!(told(&mut alice), peers(vec![]));
    alice.give(Input::DialFailed { address, failure: DialFailure::Duplicate(Some(bob.link)) });
    assert_eq!(told(&mut alice), peers(vec![address]));
}

#[test]
fn who_came_by_datagrams_is_told_when_it_has_said_that_it_listens_there() {
    let seen = PeerAddr::udp(([10, 0, 0, 2], 7351).into());
    for (port, told) in [(None, vec![seen]), (Some("7351"), vec![seen]), (Some("9999"), vec![])] {
        let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
        alice.give(Input::LinkUp { link: bob.link, remote: seen, origin: Origin::Accepted });
        alice.pong(&bob);
        alice.tell(&bob, &ping());
        assert_eq!(alice.node.exchange_addresses(), [], "somebody between us may have given it the address");
        let entries = port.map(|port| ("listen-udp".to_owned(), port.as_bytes().to_vec()));
        let entries = MetaEntries(entries.into_iter().collect());
        alice.tell(&bob, &Message::PeerMeta(PeerMeta::TheText(entries.to_text())));
        assert_eq!(alice.node.exchange_addresses(), told);
    }
}

#[test]
fn of_two_forms_of_a_question_the_new_one_is_answered() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet(&bob);
    alice.take();
    let nonce = vec![4; 24];
    let old = Message::PeerExchange(PeerExchange::Get { nonce: nonce.clone() });
    alice.tell(&bob, &old);
    alice.tell(&bob, &Message::PeerExchange(PeerExchange::Get2 { nonce: nonce.clone() }));
    alice.pass(seconds(2));
    let new = PeerExchange::Peers2 { nonce: nonce.clone(), addresses: vec![] };
    assert_eq!(alice.said(&bob), [Message::PeerExchange(new)]);
    alice.tell(&bob, &old);
    alice.pass(seconds(2));
    let alone = PeerExchange::Peers { nonce, addresses: vec![] };
    assert_eq!(alice.said(&bob).first(), Some(&Message::PeerExchange(alone)));
}

#[test]
fn of_two_links_to_one_process_one_is_used_and_the_other_is_its_heir() {
    let mut alice = Table::new(|_| {});
    let (bob, twin) = (Other::new(1, 2), Other::new(2, 2));
    alice.meet(&bob);
    alice.meet(&twin);
    alice.take();
    let announce = Command::Announce { root: hash(1), bytes: 1 };
    alice.give(Input::Command(CommandId(1), announce.clone()));
    let links = |outputs: Vec<Output>| {
        let links = outputs.into_iter().filter_map(|output| match output {
            Output::Send { link, .. } => Some(link),
            _ => None,
        });
        links.collect::<Vec<_>>()
    };
    assert_eq!(links(alice.take()), [bob.link]);
    let spares: Vec<bool> = alice.node.peers().iter().map(|peer| peer.spare).collect();
    assert_eq!(spares, [false, true]);
    alice.give(Input::LinkDown { link: bob.link });
    alice.take();
    alice.give(Input::Command(CommandId(2), announce));
    assert_eq!(links(alice.take()), [twin.link]);
}

#[test]
fn the_same_key_in_another_process_is_another_peer() {
    let mut alice = Table::new(|_| {});
    let bob = Other::new(1, 2);
    let restarted = Other { process: vec![99; 24], ..Other::new(2, 2) };
    alice.meet(&bob);
    alice.meet(&restarted);
    assert!(alice.node.peers().iter().all(|peer| !peer.spare));
}

#[test]
fn noise_is_counted_and_changes_nothing() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet(&bob);
    alice.take();
    for packet in [&b""[..], b"\x82", b"\x82\x18\x63\x5f\xff", b"\x82\x01\x5f\x41\x00\xff"] {
        alice.give(Input::Received { link: bob.link, packet: Bytes::from_static(packet) });
    }
    assert!(alice.take().is_empty());
    let counters = alice.node.counters();
    let counts = (counters.packets_unreadable, counters.packets_malformed, counters.packets_unknown);
    assert_eq!(counts, (2, 1, 1));
}

#[test]
fn a_flood_of_pings_is_answered_in_part() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet(&bob);
    alice.take();
    for _ in 0..1000 {
        alice.tell(&bob, &ping());
    }
    assert!(alice.said(&bob).len() <= 100);
}

#[test]
fn unreadable_records_are_counted_and_ignored() {
    let now = Instant::now();
    let mut node = Node::new(Config::new(SignSecretKey::from_seed(&[1; 32]), [9; 32]), now);
    for name in hbs2_proto::io::RECORDS {
        node.handle(now, Input::Record { name: name.to_owned(), value: Bytes::from_static(b"?") });
    }
    node.handle(now, Input::Start);
    assert_eq!(node.counters().records_unreadable, hbs2_proto::io::RECORDS.len() as u64);
    assert!(node.polls().is_empty() && node.wants().is_empty() && node.mailboxes().is_empty());
}

#[test]
fn more_links_than_allowed_are_refused() {
    let mut alice = Table::new(|config| config.links_max = 1);
    let (bob, carol) = (Other::new(1, 2), Other::new(2, 3));
    alice.meet(&bob);
    alice.take();
    alice.link_up(&carol);
    assert!(matches!(&alice.take()[..], [Output::Close { link, .. }] if *link == carol.link));
}

/// Answers all reads with blocks of 256 KiB.
fn answer_reads(alice: &mut Table) -> usize {
    let reads = alice.reads();
    for ticket in &reads {
        alice.give(Input::BlockRead { ticket: *ticket, block: Some(Bytes::from(vec![7; 256 * 1024])) });
    }
    reads.len()
}

#[test]
fn readers_that_take_nothing_do_not_keep_another_from_being_served() {
    const BLOCKS: u32 = 40;
    let mut alice = Table::new(|config| {
        config.memory.serve_bytes = 1024 * 1024;
        config.memory.send_bytes = 2 * 1024 * 1024;
    });
    let meet = |alice: &mut Table, number: u8| {
        let other = Other::new(number.into(), number + 1);
        alice.meet_native(&other);
        // All greetings have left.
        alice.give(Input::Sent { link: other.link, bytes: usize::MAX });
        other
    };
    let bob = meet(&mut alice, 1);
    for number in 2..22 {
        let eve = meet(&mut alice, number);
        for cookie in 0..50 {
            alice.tell(&eve, &ask_chunks(cookie, u16::MAX, 0, 5));
            answer_reads(&mut alice);
        }
    }
    let unsent = alice.node.unsent_bytes();
    assert!(unsent > 2 * 1024 * 1024, "{unsent}: the memory for what is sent is full");
    for cookie in 0..BLOCKS {
        alice.tell(&bob, &ask_chunks(cookie, u16::MAX, 0, 5));
    }
    let mut chunks = 0;
    loop {
        let (mut reads, mut left) = (Vec::new(), 0);
        for output in alice.take() {
            match output {
                Output::ReadBlock { ticket, .. } => reads.push(ticket),
                Output::Send { link, packet } if link == bob.link => {
                    chunks += u32::from(packet.is_data());
                    left += packet.len();
                }
                _ => {}
            }
        }
        if reads.is_empty() && left == 0 {
            break;
        }
        for ticket in reads {
            alice.give(Input::BlockRead { ticket, block: Some(Bytes::from(vec![7; 256 * 1024])) });
        }
        alice.give(Input::Sent { link: bob.link, bytes: left });
    }
    assert_eq!((chunks, alice.node.counters().packets_dropped), (5 * BLOCKS, 0));
}

#[test]
fn readers_that_do_not_drain_share_the_memory_for_what_is_served_and_nobody_turns_in_circles() {
    let mut alice = Table::new(|config| config.memory.serve_bytes = 1024 * 1024);
    let readers = [Other::new(1, 2), Other::new(2, 3), Other::new(3, 4)];
    for reader in &readers {
        alice.meet_native(reader);
    }
    for reader in &readers {
        for cookie in 0..50 {
            alice.tell(reader, &ask_chunks(cookie, 32 * 1024, 0, 8));
            answer_reads(&mut alice);
        }
    }
    let unsent = alice.node.unsent_bytes();
    // Three blocks fill the memory; the others wait, as something is on its way on their links.
    assert!((768 * 1024..=1024 * 1024).contains(&unsent), "{unsent}");
    for _ in 0..10 {
        alice.give(Input::Sent { link: readers[0].link, bytes: 100_000 });
        answer_reads(&mut alice);
        assert!(alice.node.unsent_bytes() <= 2 * 1024 * 1024);
    }
}

#[test]
fn a_block_of_which_parts_are_asked_for_is_read_once() {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet(&bob);
    alice.take();
    let block = Bytes::from(vec![7; 200 * 1024]);
    let mut reads = 0;
    for first in [0, 64, 128, 192] {
        alice.tell(&bob, &ask_chunks(first, 1024, first, 64));
        for output in alice.take() {
            if let Output::ReadBlock { ticket, .. } = output {
                reads += 1;
                alice.give(Input::BlockRead { ticket, block: Some(block.clone()) });
            }
        }
        alice.give(Input::Sent { link: bob.link, bytes: 80 * 1024 });
    }
    assert_eq!((reads, alice.node.counters().blocks_kept_served), (1, 3));
    assert_eq!(alice.node.counters().block_bytes_served, 200 * 1024);
}

#[test]
fn long_blocks_that_seemed_short_are_read_again_when_there_is_room() {
    let mut alice = Table::new(|config| config.memory.serve_bytes = 1024 * 1024);
    let bob = Other::new(1, 2);
    alice.meet(&bob);
    alice.take();
    for cookie in 0..4 {
        let body = ChunksBody::GetAllChunks { hash: hash(1), chunk_bytes: u16::MAX };
        alice.tell(&bob, &Message::BlockChunks(BlockChunks { cookie, body }));
    }
    let block = Bytes::from(vec![7; 900 * 1024]);
    let (mut reads, mut rounds) = (0, 0);
    while alice.node.counters().blocks_served < 4 {
        let tickets = alice.reads();
        reads += tickets.len();
        rounds += 1;
        assert!(rounds < 20, "{reads} reads");
        for ticket in tickets.into_iter().rev() {
            alice.give(Input::BlockRead { ticket, block: Some(block.clone()) });
        }
        alice.give(Input::Sent { link: bob.link, bytes: 1024 * 1024 });
    }
    assert!(reads > 4, "some were read again");
}
