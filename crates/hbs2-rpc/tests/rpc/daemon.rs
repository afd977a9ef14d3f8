//! A daemon for tests: any router on a socket in a directory of its own.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hbs2_rpc::{Client, Listener, Router, serve};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Longest wait of a test. Reached only when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Daemon {
    pub(crate) socket: PathBuf,
    pub(crate) stop: CancellationToken,
    pub(crate) served: Option<tokio::task::JoinHandle<()>>,
    pub(crate) runtime: Runtime,
    _dir: TempDir,
}

impl Daemon {
    pub(crate) fn start(router: Router) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let stop = CancellationToken::new();
        let listener = {
            let _guard = runtime.enter();
            Listener::bind(&socket).unwrap()
        };
        let served = Some(runtime.spawn(serve(listener, Arc::new(router), stop.clone())));
        Self { socket, stop, served, runtime, _dir: dir }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.socket, PATIENCE).unwrap()
    }

    /// A socket without a client: for bytes made by hand.
    pub(crate) fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Stops it and waits until it has stopped.
    pub(crate) fn stop(&mut self) {
        self.stop.cancel();
        let served = self.served.take().unwrap();
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap() });
    }
}

/// Sends `payload` as a frame.
pub(crate) fn send(stream: &mut UnixStream, payload: &[u8]) {
    stream.write_all(&(payload.len() as u32).to_be_bytes()).unwrap();
    stream.write_all(payload).unwrap();
}

/// The payload of the next frame; none when the daemon has hung up.
pub(crate) fn receive(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut payload).unwrap();
    Some(payload)
}
