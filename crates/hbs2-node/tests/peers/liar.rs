//! A peer that sends wrong bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::{Hash, SignSecretKey};
use hbs2_net::{Event, Lane, Options, Tcp};
use hbs2_proto::wire::{BlockChunks, BlockInfo, ChunksBody, Handshake, Message, PeerData};
use hbs2_rpc::api::node::Bans;
use hbs2_rpc::api::peer::Ping;
use hbs2_rpc::api::storage::GetBlock;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::kit::{Person, noise, tree_of};

/// A peer that says it has every block and sends zeroes.
struct Liar {
    address: SocketAddr,
    lies: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Liar {
    fn start(bytes: u64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _within = runtime.enter();
        let (sender, events) = mpsc::channel(64);
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let tcp = Tcp::start(Options { listen }, sender).unwrap();
        let address = tcp.listen_address().unwrap();
        let lies = Arc::new(AtomicUsize::new(0));
        runtime.spawn(lie(tcp, events, bytes, Arc::clone(&lies)));
        Self { address, lies, _runtime: runtime }
    }
}

async fn lie(tcp: Tcp, mut events: mpsc::Receiver<Event>, bytes: u64, lies: Arc<AtomicUsize>) {
    let key = SignSecretKey::from_seed(&[66; 32]);
    while let Some(event) = events.recv().await {
        let Event::Received { link, frame } = event else { continue };
        let send = |message: Message| {
            let parts: Vec<Bytes> =
                message.encode().into_parts().into_iter().filter(|part| !part.is_empty()).collect();
            // A link that is gone needs no answer.
            let _ = tcp.send(link, Lane::Control, parts);
        };
        match Message::decode(frame.bytes()) {
            Ok(Message::Handshake(Handshake::Ping { nonce })) => {
                let signature = key.sign(&nonce);
                let data = PeerData { key: key.public(), process: vec![66; 24] };
                send(Message::Handshake(Handshake::Pong { nonce, signature, data }));
                send(Message::Handshake(Handshake::Ping { nonce: vec![1; 24] }));
            }
            Ok(Message::BlockInfo(BlockInfo::GetBlockSize(hash))) => {
                send(Message::BlockInfo(BlockInfo::BlockSize { hash, bytes }));
            }
            Ok(Message::BlockChunks(BlockChunks { cookie, body })) => {
                let (size, first, count) = match body {
                    ChunksBody::GetAllChunks { chunk_bytes, .. } => (chunk_bytes, 0, u32::MAX),
                    ChunksBody::GetChunks { chunk_bytes, first, count, .. } => (chunk_bytes, first, count),
                    _ => continue,
                };
                lies.fetch_add(1, Ordering::Relaxed);
                let chunks = bytes.div_ceil(u64::from(size)) as u32;
                for number in first..first.saturating_add(count).min(chunks) {
                    let length = (bytes - u64::from(number) * u64::from(size)).min(u64::from(size));
                    let data = Bytes::from(vec![0; length as usize]);
                    let body = ChunksBody::Chunk { number: number as u16, data };
                    send(Message::BlockChunks(BlockChunks { cookie, body }));
                }
            }
            _ => {}
        }
    }
}

#[test]
fn wrong_bytes_are_never_stored_and_the_honest_peer_is_used() {
    let liar = Liar::start(50_000);
    let eve = SignSecretKey::from_seed(&[66; 32]).public();
    let alice = Person::alone();
    let bob = Person::start(&[liar.address], "");
    bob.wait_peers(1);
    let (root, blocks) = tree_of(&noise(1, 3_000_000));
    let others = [2, 3].map(|seed| tree_of(&noise(seed, 100_000)).0);
    let status = bob.fetch_for(&[root, others[0], others[1]], 1_000);
    assert!(!status.complete);
    assert!(liar.lies.load(Ordering::Relaxed) > 0, "the liar was asked");
    assert_eq!(bob.counter("blocks_fetched"), 0);
    assert!(bob.counter("blocks_rejected") >= 3);
    // Three wrong blocks are a habit.
    let banned = bob.call::<Bans>(());
    assert_eq!((banned[0].key, banned[0].reason.as_str()), (eve, "wrong blocks"));
    bob.wait_fewer_peers(0);
    // Now somebody has it.
    alice.put(blocks.clone());
    alice.call::<Ping>(PeerAddr::tcp(bob.address));
    bob.wait_peers(1);
    bob.fetch(&[root]);
    for block in &blocks {
        let stored = bob.call::<GetBlock>(Hash::of(block));
        assert!(stored.as_ref() == Some(block));
    }
}
