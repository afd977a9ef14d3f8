//! `hbs2-peer refchan` over two and three real daemons.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::time::{Duration, Instant};

use hbs2_core::Decode;
use hbs2_testkit::{Daemon, Home, free_address};
use kit::{await_that, home, new_key, peer_key, text};

/// How long something may take to travel over the loopback interface on a loaded machine, in seconds.
const TRAVEL_SECONDS: u64 = 30;

/// Publishes a head with these peers at `home`.
fn post_head(
    home: &Home,
    chan: &str,
    version: u32,
    quorum: u32,
    peers: &[String],
    author: &str,
    reader: &str,
) {
    let peers: String = peers.iter().map(|key| format!("peer \"{key}\" 1\n")).collect();
    let head = format!(
        "version {version}\nquorum {quorum}\nwait 10\n{peers}author \"{author}\"\nreader \"{reader}\"\n"
    );
    let hash = kit::post_head(home, chan, &head);
    assert_eq!(text(home, &format!("hbs2-peer refchan head get {chan}")), hash);
}

#[test]
fn what_is_written_at_one_peer_is_in_the_channel_of_all() {
    let (alice, bob, carol) = (home("alice"), home("bob"), home("carol"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let _at_carol = Daemon::start(&carol, &[at_alice.address(), at_bob.address()]).unwrap();
    let homes = [&alice, &bob, &carol];
    let (chan, _) = new_key(&alice, "chan");
    let (author, reader) = new_key(&alice, "author");
    for home in homes {
        home.line(&format!("hbs2-peer poll add {chan} refchan 1")).ok().unwrap();
    }
    let peers: Vec<String> = homes.iter().map(|home| peer_key(home)).collect();
    post_head(&alice, &chan, 1, 2, &peers, &author, &reader);
    let dump = text(&alice, &format!("hbs2-peer refchan head dump {chan}"));
    assert!(
        dump.contains(&format!("\n; refchan {chan}\n(version 1)\n(quorum 2)\n(wait 10)\n(peer \"")),
        "{dump}"
    );
    assert!(dump.ends_with("; (head-extensions: (count: 0) (size 3))"), "{dump}");
    for home in [&bob, &carol] {
        await_that(home, &format!("hbs2-peer refchan head dump {chan}"), |said| said == dump);
    }
    alice.line(&format!("hbs2-peer refchan propose -a {author} {chan}")).stdin("hello").ok().unwrap();
    let root = await_that(&alice, &format!("hbs2-peer refchan get {chan}"), |root| !root.is_empty());
    assert!(!root.is_empty());
    for home in homes {
        await_that(home, &format!("hbs2-peer refchan cat {chan}"), |said| said == "hello");
    }
    // Sets are listed in one order here, so everybody comes to the same root.
    let began = Instant::now();
    loop {
        let roots: Vec<String> =
            homes.iter().map(|home| text(home, &format!("hbs2-peer refchan get {chan}"))).collect();
        if roots.iter().all(|root| *root == roots[0]) {
            break;
        }
        bob.line(&format!("hbs2-peer refchan fetch {chan}")).ok().unwrap();
        assert!(began.elapsed() < Duration::from_secs(TRAVEL_SECONDS), "{roots:?}");
    }
}

#[test]
fn a_wrong_head_or_writer_is_told_why() {
    let alice = home("alice");
    let _at_alice = Daemon::start(&alice, &[]).unwrap();
    let (chan, _) = new_key(&alice, "chan");
    let (author, reader) = new_key(&alice, "author");
    let none = alice.line(&format!("hbs2-peer refchan head get {chan}")).fails().unwrap();
    assert!(none.talk().contains(&format!("no head is known of refchan {chan}")), "{none}");
    post_head(&alice, &chan, 3, 1, &[peer_key(&alice)], &author, &reader);
    let hash = text(&alice, &format!("hbs2-peer refchan head get {chan}"));
    let stale = alice.line(&format!("hbs2-peer refchan head post {hash}")).fails().unwrap();
    assert!(
        stale
            .talk()
            .contains(&format!("version 3 does not replace the head of refchan {chan} which has version 3")),
        "{stale}"
    );
    assert!(stale.talk().contains("hint: take (version 4) or a higher one"), "{stale}");
    let line = format!("hbs2-peer refchan propose -a {chan} {chan}");
    let strange = alice.line(&line).stdin("x").fails().unwrap();
    assert!(
        strange.talk().contains(&format!("the head of refchan {chan} does not name {chan} as an author")),
        "{strange}"
    );
    let wrong = alice
        .line(&format!("hbs2-peer refchan head gen {chan}"))
        .stdin("version 1\nquorom 2\n")
        .fails()
        .unwrap();
    assert!(wrong.talk().contains("a head has no line of the name \"quorom\""), "{wrong}");
    let signed = alice
        .line(&format!("hbs2-peer refchan head gen {chan}"))
        .stdin("version 1\nquorum 1\nwait 2")
        .ok()
        .unwrap();
    let dump = alice.line("hbs2-peer refchan head dump").stdin(signed.stdout).ok().unwrap();
    assert!(
        dump.text().starts_with(&format!("; refchan {chan}\n(version 1)\n(quorum 1)\n(wait 2)\n")),
        "{dump}"
    );
    let gk = text(&alice, &format!("hbs2-peer refchan gk {chan}"));
    assert!(gk.starts_with("# hbs2 symmetric group key file"), "{gk}");
    let payload =
        alice.line(&format!("hbs2-peer refchan propose -n -a {author} {chan}")).stdin("x").ok().unwrap();
    assert_eq!(payload.stdout[..4], [0x84, 0x00, 0x82, 0x00], "a signed box");
}

#[test]
fn the_owner_changes_the_head_by_command() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let (chan, _) = new_key(&alice, "chan");
    let (author, reader) = new_key(&alice, "author");
    let (guest, guest_reader) = new_key(&bob, "guest");
    let (alice_key, bob_key) = (peer_key(&alice), peer_key(&bob));
    let edit = format!("hbs2-peer refchan head edit {chan}");
    let unknown = alice.line(&format!("{edit} --quorum 1")).fails().unwrap();
    assert!(unknown.talk().contains(&format!("no head is known of refchan {chan}")), "{unknown}");
    for home in [&alice, &bob] {
        home.line(&format!("hbs2-peer poll add {chan} refchan 1")).ok().unwrap();
    }
    post_head(&alice, &chan, 1, 1, std::slice::from_ref(&alice_key), &author, &reader);

    let line = format!(
        "{edit} --add-peer {bob_key}=5 --add-author {guest} --add-reader {guest_reader} --add-author {author} --quorum 2"
    );
    let added = alice.line(&line).ok().unwrap();
    let talk = added.talk();
    for said in [
        format!("added peer {bob_key}\n"),
        format!("added author {guest}\n"),
        format!("author {author} is named already\n"),
        "the quorum is 2\n".to_owned(),
        format!("published version 2 of the head of refchan {chan}\n"),
    ] {
        assert!(talk.contains(&said), "{said}: {talk}");
    }
    assert_eq!(added.text(), text(&alice, &format!("hbs2-peer refchan head get {chan}")));
    // It is the head that the daemon of the other one takes, and under which he may write.
    let dump = format!("hbs2-peer refchan head dump {chan}");
    let seen = await_that(&bob, &dump, |said| said.contains("(version 2)\n(quorum 2)\n(wait 10)\n"));
    assert!(seen.contains(&format!("(peer \"{bob_key}\" 5)\n")), "{seen}");
    assert!(seen.contains(&format!("(peer \"{alice_key}\" 1)\n")), "{seen}");
    assert!(seen.contains(&format!("(reader \"{guest_reader}\")\n")), "{seen}");
    bob.line(&format!("hbs2-peer refchan propose -a {guest} {chan}")).stdin("hello").ok().unwrap();
    await_that(&alice, &format!("hbs2-peer refchan cat {chan}"), |said| said == "hello");

    let line = format!("{edit} --quorum 2 --add-peer {bob_key} --remove-author {chan}");
    let same = alice.line(&line).ok().unwrap();
    let said = format!("nothing to change, the head of refchan {chan} stays at version 2");
    assert!(same.talk().contains(&said), "{same}");
    assert!(same.talk().contains(&format!("author {chan} is not named")), "{same}");
    assert_eq!(same.text(), added.text());

    let never = alice.line(&format!("{edit} --remove-peer {bob_key}")).fails().unwrap();
    let cause = "cause: 2 peers would have to accept what is written, and the head would name 1";
    assert!(never.talk().contains(cause), "{never}");
    assert!(never.talk().contains("hint: take --quorum 1 or less"), "{never}");
    let nobody = alice
        .line(&format!("{edit} --quorum 1 --remove-peer {bob_key} --remove-peer {alice_key}"))
        .fails()
        .unwrap();
    assert!(nobody.talk().contains("cause: the head would name no peer"), "{nobody}");
    let stranger = bob.line(&format!("{edit} --quorum 1")).fails().unwrap();
    assert!(stranger.talk().contains("hbs2-keyman"), "{stranger}");

    let line = format!(
        "{edit} --remove-peer {bob_key} --remove-author {guest} --remove-reader {guest_reader} --quorum 1"
    );
    alice.line(&line).ok().unwrap();
    let left = text(&alice, &dump);
    assert!(left.contains("(version 3)\n(quorum 1)\n"), "{left}");
    assert!(!left.contains(&guest) && !left.contains(&bob_key) && !left.contains(&guest_reader), "{left}");
}

#[test]
fn notices_are_kept_in_a_list_where_the_config_says_so() {
    let (alice, bob) = (home("alice"), home("bob"));
    let (chan, _) = new_key(&alice, "chan");
    let (author, reader) = new_key(&alice, "author");
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let extra = format!("refchan-notify-log \"{chan}\" (write-time 1) (trim 2)\npoll refchan 1 \"{chan}\"\n");
    let _at_bob = Daemon::start_at(&bob, free_address().unwrap(), &[at_alice.address()], &extra).unwrap();
    alice.line(&format!("hbs2-peer poll add {chan} refchan 1")).ok().unwrap();
    post_head(&alice, &chan, 1, 1, &[peer_key(&alice)], &author, &reader);
    await_that(&bob, &format!("hbs2-peer refchan head get {chan}"), |root| !root.is_empty());
    let none = alice.line(&format!("hbs2-peer refchan notify log {chan}")).fails().unwrap();
    assert!(none.talk().contains("hint: keep one with this line in the config of the peer"), "{none}");
    let sigil = text(&alice, "hbs2 keyring-list .hbs2-keyman/keys/author.key");
    assert!(sigil.contains(&author), "{sigil}");
    let keyring =
        hbs2_core::Keyring::parse(&std::fs::read(alice.join(".hbs2-keyman/keys/author.key")).unwrap())
            .unwrap();
    let data = hbs2_core::SigilData { encrypt: keyring.encrypt[0].public(), info: None, ext: None };
    std::fs::write(alice.join("author.sigil"), hbs2_core::Sigil::sign(&keyring.sign, &data).to_text())
        .unwrap();
    for (number, options) in ["", "", "--encrypt"].iter().enumerate() {
        let line = format!("hbs2-peer refchan notify post -s author.sigil {options} {chan}");
        alice.line(&line).stdin(format!("news {number}")).ok().unwrap();
    }
    let tail =
        await_that(&bob, &format!("hbs2-peer refchan notify tail {chan}"), |tail| tail.lines().count() == 2);
    let first = tail.lines().next().unwrap();
    let block = bob.line(&format!("hbs2 cat --raw {first}")).run().unwrap().stdout;
    assert!(block.is_empty() || block.windows(6).any(|part| part == b"news 1"));
    let sealed = |block: &[u8]| {
        let notice = hbs2_core::refchan::ChanNotice::from_bytes(block).unwrap();
        let hbs2_core::refchan::ChanNotice::Notify { signed, .. } = notice else { panic!("a notice") };
        let payload = signed.verify().unwrap().value.0;
        hbs2_core::SealedBlock::from_bytes(&payload).unwrap()
    };
    let last = |before: &str| {
        await_that(&bob, &format!("hbs2-peer refchan notify tail -n 1 {chan}"), |tail| {
            !tail.is_empty() && tail != before
        })
    };
    let third = tail.lines().last().unwrap().to_owned();
    let line = format!("hbs2-peer refchan notify post -s author.sigil --encrypt {chan}");
    alice.line(&line).stdin("more").ok().unwrap();
    let block = |hash: &str| bob.line(&format!("hbs2 cat --raw {hash}")).ok().unwrap().stdout;
    let (one, two) = (sealed(&block(&third)), sealed(&block(&last(&third))));
    assert_eq!(one.key, two.key, "a group key is used again");
}
