//! Local programs beside a refchan, which come and go with the configuration while the daemon runs.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use hbs2_core::refchan::{ChanAction, ChanNotice};
use hbs2_core::refkey::RefKind;
use hbs2_core::tree::build::build_data;
use hbs2_core::{Blob, ChanHead, Encode, Hash, SignPublicKey, SignSecretKey, Signed};
use hbs2_proto::wire::{ChanValidate, Verdict, open_local, protocol, seal_local};
use hbs2_rpc::api::node::{Event, RefName, RefWait, Reload, WaitRef};
use hbs2_rpc::api::peer::DownloadList;
use hbs2_rpc::api::refchan::{HeadPost, Notify, Propose};
use hbs2_rpc::api::storage::{GetRef, RefAlias};

use crate::kit::{PATIENCE, Person};

/// A channel in which the peer of `person` admits alone.
struct Chan<'p> {
    person: &'p Person,
    key: SignPublicKey,
    author: SignSecretKey,
}

impl<'p> Chan<'p> {
    fn new(person: &'p Person) -> Self {
        let (owner, author) = (SignSecretKey::from_seed(&[7; 32]), SignSecretKey::from_seed(&[8; 32]));
        let text = format!(
            "version 1\nquorum 1\nwait 5\npeer \"{}\" 1\nauthor \"{}\"\n",
            person.key,
            author.public()
        );
        let lines: Vec<Vec<String>> = text
            .lines()
            .map(|line| line.split(' ').map(|word| word.trim_matches('"').to_owned()).collect())
            .collect();
        let head = ChanHead::from_lines(&lines).unwrap();
        let signed: Bytes = Signed::sign(&owner, &head).to_bytes().into();
        let mut blocks = Vec::new();
        let root = build_data(&signed, |_, block| blocks.push(block));
        person.put(blocks);
        person.call::<HeadPost>(root);
        Self { person, key: owner.public(), author }
    }

    fn log(&self) -> RefName {
        RefName { kind: RefKind::ChanLog, key: self.key }
    }

    fn propose(&self, text: &'static str) {
        let payload = Signed::sign(&self.author, &Blob(Bytes::from_static(text.as_bytes())));
        self.person.call::<Propose>((self.key, payload));
    }

    /// Waits until the log is another than `seen`.
    fn admitted(&self, seen: Option<Hash>) -> Option<Hash> {
        let wait = RefWait { name: self.log(), seen, timeout_ms: 30_000 };
        let value = self.person.call::<WaitRef>(wait);
        assert_ne!(value, seen, "nothing was admitted: {:#?}", self.person.status());
        value
    }

    fn notify(&self, text: &'static str) {
        let signed = Signed::sign(&self.author, &Blob(Bytes::from_static(text.as_bytes())));
        self.person.call::<Notify>((self.key, signed));
    }
}

fn write_frame(stream: &mut UnixStream, packet: &[u8]) {
    stream.write_all(&u32::try_from(packet.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(packet).unwrap();
}

/// The next frame; none when the other side has hung up.
fn read_frame(stream: &mut UnixStream) -> Option<Bytes> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).ok()?;
    let mut packet = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut packet).ok()?;
    Some(packet.into())
}

/// A validator that likes nothing; it tells of each proposal.
fn validator(socket: &Path, told: Sender<Hash>) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(packet) = read_frame(&mut stream) else { continue };
            let question: ChanValidate = open_local(protocol::CHAN_VALIDATE_LOCAL, &packet).unwrap();
            let Verdict::Validate(hash) = question.verdict else { panic!("no question") };
            let answer = ChanValidate { verdict: Verdict::Rejected(hash), ..question };
            write_frame(&mut stream, &seal_local(protocol::CHAN_VALIDATE_LOCAL, &answer));
            if told.send(hash).is_err() {
                return;
            }
        }
    });
}

#[test]
fn a_validator_judges_from_the_reload_that_names_it_to_the_one_that_does_not() {
    let alice = Person::alone();
    let chan = Chan::new(&alice);
    chan.propose("before");
    let first = chan.admitted(None);
    let socket = alice.socket().with_file_name("v.socket");
    let (told, proposals): (Sender<Hash>, Receiver<Hash>) = channel();
    validator(&socket, told);
    let line = format!("validate refchan \"{}\" (socket unix \"./v.socket\")\n", chan.key);
    alice.configure(&[], &line);
    let changes = alice.call::<Reload>(());
    assert_eq!(changes, [format!("validate refchan {} at {} added", chan.key, socket.display())]);
    chan.propose("judged");
    proposals.recv_timeout(PATIENCE).unwrap();
    let begin = Instant::now();
    while alice.counter("proposals_rejected") == 0 {
        assert!(begin.elapsed() < PATIENCE, "{:#?}", alice.status());
    }
    alice.configure(&[], "");
    assert_eq!(alice.call::<Reload>(()).len(), 1);
    chan.propose("after");
    assert!(chan.admitted(first).is_some());
    assert!(proposals.try_recv().is_err(), "the validator was asked once");
}

#[test]
fn a_notify_client_gets_notices_and_is_obeyed_until_the_configuration_drops_it() {
    let alice = Person::alone();
    let chan = Chan::new(&alice);
    let listener = UnixListener::bind(alice.socket().with_file_name("n.socket")).unwrap();
    alice.configure(&[], &format!("notify refchan \"{}\" (socket unix \"./n.socket\")\n", chan.key));
    assert_eq!(alice.call::<Reload>(()).len(), 1);
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();

    let cursor = alice.cursor();
    chan.notify("news");
    let packet = read_frame(&mut stream).unwrap();
    let notice: ChanNotice = open_local(protocol::CHAN_NOTICE_LOCAL, &packet).unwrap();
    let ChanNotice::Notify { chan: named, signed } = &notice else { panic!("{notice:?}") };
    assert_eq!(*named, chan.key);
    assert_eq!(signed.verify().unwrap().value, Blob(Bytes::from_static(b"news")));
    alice.wait_event(cursor, &Event::Notice(chan.key, notice.to_bytes().into()));

    // What it sends is passed on, and comes back to it as any notice does.
    let cursor = alice.cursor();
    let signed = Signed::sign(&chan.author, &Blob(Bytes::from_static(b"its own")));
    let own = ChanNotice::Notify { chan: chan.key, signed };
    write_frame(&mut stream, &seal_local(protocol::CHAN_NOTICE_LOCAL, &own));
    alice.wait_event(cursor, &Event::Notice(chan.key, own.to_bytes().into()));

    let absent = Hash::of(b"absent");
    let action = ChanNotice::Action { chan: chan.key, action: ChanAction::Fetch(absent) };
    write_frame(&mut stream, &seal_local(protocol::CHAN_NOTICE_LOCAL, &action));
    let begin = Instant::now();
    while !alice.call::<DownloadList>(()).iter().any(|(root, _)| *root == absent) {
        assert!(begin.elapsed() < PATIENCE, "{:#?}", alice.status());
    }

    alice.configure(&[], "");
    alice.call::<Reload>(());
    while read_frame(&mut stream).is_some() {}
    chan.notify("nobody listens");
}

#[test]
fn a_list_of_notices_begins_and_ends_with_a_reload() {
    let alice = Person::alone();
    let chan = Chan::new(&alice);
    chan.notify("not kept");
    let list = || alice.call::<GetRef>(RefAlias(RefKind::notices(&chan.key)));
    alice.configure(&[], &format!("refchan-notify-log \"{}\" (write-time 1)\n", chan.key));
    let changes = alice.call::<Reload>(());
    assert_eq!(changes, [format!("refchan-notify-log {} (write-time 1) (trim 10000) added", chan.key)]);
    assert_eq!(list(), None);
    chan.notify("kept");
    let begin = Instant::now();
    while list().is_none() {
        assert!(begin.elapsed() < PATIENCE, "{:#?}", alice.status());
    }
    alice.configure(&[], "");
    alice.call::<Reload>(());
    let before = list();
    let cursor = alice.cursor();
    chan.notify("not kept again");
    let signed = Signed::sign(&chan.author, &Blob(Bytes::from_static(b"not kept again")));
    let notice = ChanNotice::Notify { chan: chan.key, signed };
    alice.wait_event(cursor, &Event::Notice(chan.key, notice.to_bytes().into()));
    assert_eq!(list(), before);
}
