//! Attacks by packets: floods, garbage, replays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hbs2_core::SignSecretKey;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_proto::wire::{Message, PeerMeta, ReflogRequest};
use hbs2_rpc::api::peer::PollAdd;

use crate::eve::{Eve, connect};
use crate::kit::noise;
use crate::victim::Victim;

/// Runs `attack` on a thread as long as `meanwhile` runs; how often it was done.
fn during(mut attack: impl FnMut() -> bool + Send, meanwhile: impl FnOnce()) -> u64 {
    let done = Arc::new(AtomicU64::new(0));
    let end = Arc::new(std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn({
            let (done, end) = (Arc::clone(&done), Arc::clone(&end));
            move || {
                while !end.load(Ordering::Relaxed) && attack() {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        meanwhile();
        end.store(true, Ordering::Relaxed);
    });
    done.load(Ordering::Relaxed)
}

#[test]
fn a_flood_of_messages_is_dropped_counted_and_ends_in_a_ban() {
    let mut victim = Victim::start("");
    let mut eve = Eve::meet(&victim, 66);
    let key = eve.key();
    let question = Message::ReflogRequest(ReflogRequest::Request(key)).encode().to_bytes();
    let sent = during(
        || eve.send(&question),
        || {
            victim.hold("a flood of messages", 0);
            victim.until("eve is banned", |victim| victim.ban(&key).is_some());
        },
    );
    assert_eq!(victim.ban(&key).as_deref(), Some("floods"));
    let dropped = victim.conduct(&key).unwrap().dropped;
    println!("{sent} messages sent, {dropped} dropped");
    assert!(dropped > 0 && victim.counter("messages_limited") >= dropped);
}

#[test]
fn questions_that_are_never_read_do_not_fill_the_memory() {
    let mut victim = Victim::start("");
    let mut eve = Eve::meet_with(&victim, 66, |_| {
        std::thread::park_timeout(std::time::Duration::from_secs(1));
        Vec::new()
    });
    let question = Message::PeerMeta(PeerMeta::Get).encode().to_bytes();
    let sent = during(|| eve.send(&question), || victim.hold("questions whose answers are not read", 0));
    println!("{sent} questions sent, {} answers dropped", victim.counter("packets_dropped"));
}

#[test]
fn garbage_is_counted_and_closes_a_link_that_has_not_greeted() {
    let mut victim = Victim::start("");
    let mut eve = Eve::meet(&victim, 66);
    let key = eve.key();
    let garbage = noise(5, 60_000);
    let mut at = 0;
    let sent = during(
        || {
            at = (at + 997) % 50_000;
            eve.send(&garbage[at..at + at % 9_000])
        },
        || victim.hold("garbage", 0),
    );
    println!("{sent} frames of garbage");
    victim.until("it is counted", |victim| victim.offences(&key, "garbage") > 0);

    let expelled = victim.counter("strangers_expelled");
    let mut stranger = connect(victim.address, *b"anon");
    let frame = [&b"tag!\0\0\0\x08"[..], &[0xff; 8]].concat();
    std::io::Write::write_all(&mut stranger, &frame.repeat(64)).unwrap();
    victim.until("the stranger is expelled", |victim| victim.counter("strangers_expelled") > expelled);
    assert!(victim.conduct(&victim.alice.key).is_none(), "nothing is held against the honest");
}

#[test]
fn replays_are_counted_and_neither_stored_nor_passed_on_again() {
    let mut victim = Victim::start("");
    let author = SignSecretKey::from_seed(&[42; 32]);
    victim.call::<PollAdd>((author.public(), "reflog".to_owned(), 60));
    let update = ReflogUpdate::sign(&author, [1; 24], Bytes::from_static(b"once"));
    let packet = Message::ReflogUpdate(update).encode().to_bytes();
    let mut eve = Eve::meet(&victim, 66);
    let key = eve.key();
    assert!(eve.send(&packet));
    victim.until("it is merged", |victim| victim.counter("updates_merged") == 1);
    let heard = victim.alice.counter("packets_received");
    let mut left = 20_000;
    during(
        || {
            left -= 1;
            left > 0 && eve.send(&packet)
        },
        // The update, and the leaf and root of the log.
        || victim.hold("replays", 3),
    );
    victim.until("they are counted", |victim| victim.offences(&key, "replays") > 10_000);
    assert_eq!(victim.counter("updates_merged"), 1);
    let heard = victim.alice.counter("packets_received") - heard;
    assert!(heard < 5_000, "alice was told {heard} things, most about the tree that she delivers");
}
