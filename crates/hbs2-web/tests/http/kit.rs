//! A server above a scripted peer, and a client that speaks HTTP byte by byte.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::tree::build::{build_annotated, build_data};
use hbs2_core::{Crypt, Hash, LwwRef, Meta, Shape, SignPublicKey, SignSecretKey};
use hbs2_rpc::api::lwwref;
use hbs2_rpc::api::node::{Annotation, Figure, Figures, GetMany, StatMany};
use hbs2_rpc::api::peer::Poke;
use hbs2_rpc::api::reflog::{self, Post};
use hbs2_rpc::api::storage::{GetBlock, GetChunk, HasBlock, PutBlock};
use hbs2_rpc::{Fault, Listener, Router};
use hbs2_web::{Limits, Options, Server};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything in these tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// The token that lets write.
pub(crate) const TOKEN: &str = "a-token-of-these-tests";

/// What the scripted peer has.
#[derive(Default)]
pub(crate) struct State {
    blocks: Mutex<BTreeMap<Hash, Bytes>>,
    /// Blocks in the order in which they were read.
    pub(crate) read: Mutex<Vec<Hash>>,
    values: Mutex<BTreeMap<SignPublicKey, Hash>>,
    /// Entries that were posted.
    pub(crate) posted: Mutex<Vec<ReflogUpdate>>,
}

impl State {
    fn read(&self, hash: &Hash) -> Option<Bytes> {
        let block = self.blocks.lock().unwrap().get(hash).cloned();
        if block.is_some() {
            self.read.lock().unwrap().push(*hash);
        }
        block
    }

    fn size(&self, hash: &Hash) -> Option<u64> {
        self.blocks.lock().unwrap().get(hash).map(|block| block.len() as u64)
    }

    pub(crate) fn put(&self, block: impl Into<Bytes>) -> Hash {
        let block = block.into();
        let hash = Hash::of(&block);
        self.blocks.lock().unwrap().insert(hash, block);
        hash
    }

    pub(crate) fn delete(&self, hash: &Hash) {
        self.blocks.lock().unwrap().remove(hash);
    }

    /// The chunks of `data`.
    pub(crate) fn chunks(&self, data: &[u8], bytes: usize) -> Vec<Hash> {
        data.chunks(bytes).map(|chunk| self.put(chunk.to_vec())).collect()
    }

    /// A tree of these blocks with metadata.
    pub(crate) fn tree(&self, hashes: &[Hash], meta: Meta, crypt: Crypt) -> Hash {
        build_annotated(Shape::DATA, hashes, meta, crypt, |_, block| {
            self.put(block);
        })
    }

    /// A tree of `data` with a short metadata text.
    pub(crate) fn site(&self, data: &[u8], meta: &str) -> Hash {
        self.tree(&self.chunks(data, 256 * 1024), Meta::Short(meta.to_owned()), Crypt::None)
    }

    /// A tree of `data` without metadata.
    pub(crate) fn plain(&self, data: &[u8]) -> Hash {
        build_data(&Bytes::copy_from_slice(data), |_, block| {
            self.put(block);
        })
    }

    pub(crate) fn set(&self, key: SignPublicKey, value: Hash) {
        self.values.lock().unwrap().insert(key, value);
    }
}

fn router(state: &Arc<State>) -> Router {
    macro_rules! on {
        ($router:expr, $method:ty, |$state:ident, $input:pat_param| $answer:expr) => {{
            let shared = Arc::clone(state);
            $router.on::<$method, _>(move |$input| {
                let $state = Arc::clone(&shared);
                async move { $answer }
            })
        }};
    }
    let router = Router::new();
    let router = on!(router, Poke, |_state, ()| Ok("peer-key: \"x\"\n".to_owned()));
    let router = on!(router, HasBlock, |state, hash| Ok(state.size(&hash)));
    let router = on!(router, GetBlock, |state, hash| Ok(state.read(&hash)));
    let router =
        on!(router, GetMany, |state, hashes| Ok(hashes.iter().map(|hash| state.read(hash)).collect()));
    let router = on!(router, GetChunk, |state, (hash, offset, bytes)| {
        let block = state.read(&hash);
        Ok(block.map(|block| block.slice(offset as usize..(offset + bytes) as usize)))
    });
    let router =
        on!(router, StatMany, |state, hashes| Ok(hashes.iter().map(|hash| state.size(hash)).collect()));
    let router = on!(router, PutBlock, |state, block| Ok(Some(state.put(block))));
    let router = on!(router, reflog::Get, |state, key| Ok(state.values.lock().unwrap().get(&key).copied()));
    let router = on!(router, Post, |state, update| {
        if update.verify().is_err() {
            return Err(Fault::failed("the signature is bad"));
        }
        state.posted.lock().unwrap().push(update);
        Ok(())
    });
    let router = on!(router, lwwref::Get, |state, key| {
        let value = state.values.lock().unwrap().get(&key.0).copied();
        Ok(value.map(|value| LwwRef { seq: 1, value, proof: None }))
    });
    let router = on!(router, Figures, |_state, ()| {
        let (name, meaning) = ("bytes_sent".to_owned(), "Bytes sent".to_owned());
        Ok(vec![Figure { name, meaning, counts: true, value: 42 }])
    });
    on!(router, Annotation, |_state, ()| Ok(Bytes::from_static(b"\x81\x00")))
}

/// A scripted peer with a server above it.
pub(crate) struct Web {
    pub(crate) state: Arc<State>,
    pub(crate) address: SocketAddr,
    home: TempDir,
    stop: CancellationToken,
    _server: Server,
    _peer: Runtime,
}

impl Web {
    /// A server with the usual limits, at which nobody may write.
    pub(crate) fn start() -> Self {
        Self::with(None, Limits::default())
    }

    /// A server at which may write who shows [`TOKEN`].
    pub(crate) fn writable() -> Self {
        Self::with(Some(TOKEN), Limits::default())
    }

    pub(crate) fn with(token: Option<&str>, limits: Limits) -> Self {
        let home = tempfile::tempdir().unwrap();
        let rpc_socket = home.path().join("rpc.socket");
        let state: Arc<State> = Arc::default();
        let peer = Runtime::new().unwrap();
        let stop = CancellationToken::new();
        let entered = peer.enter();
        let listener = Listener::bind(&rpc_socket).unwrap();
        drop(entered);
        peer.spawn(hbs2_rpc::serve(listener, Arc::new(router(&state)), stop.clone()));
        let token_file = token.map(|token| {
            let path = home.path().join("token");
            std::fs::write(&path, format!("{token}\n")).unwrap();
            path
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::start(Options { listener, rpc_socket, token_file, limits }).unwrap();
        Self { state, address: server.address(), home, stop, _server: server, _peer: peer }
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.home.path().join("token")
    }

    /// Ends the peer; the server goes on.
    pub(crate) fn stop_peer(&self) {
        self.stop.cancel();
    }

    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Connection { reader: BufReader::new(stream) }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, headers, b"")
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.send(method, path, headers, body);
        connection.answer(method)
    }
}

/// One connection to the server.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        self.write(format!("{head}\r\n").as_bytes());
        self.write(body);
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // A server that has refused may have hung up before it has read all.
        let _ = self.reader.get_mut().write_all(bytes);
    }

    /// The status line and the headers.
    pub(crate) fn head(&mut self) -> Answer {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.reader.read_line(&mut line).unwrap() > 0, "the server hung up after {lines:?}");
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines[1..].iter().map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Answer { status, headers: headers.collect(), body: Vec::new() }
    }

    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        let mut answer = self.head();
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        if method != "HEAD" && ![204, 304].contains(&answer.status) {
            answer.body = vec![0; length.expect("every answer says its length")];
            self.reader.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    /// Everything until the server hangs up.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = self.reader.read_to_end(&mut rest);
        rest
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A key of these tests.
pub(crate) fn key(seed: u8) -> SignSecretKey {
    SignSecretKey::from_seed(&[seed; 32])
}

/// Bytes in which every place differs from its neighbours.
pub(crate) fn data(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]).collect()
}
