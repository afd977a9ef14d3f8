//! The server: a thread of its own, its connections, and the limits on what they may hold.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::link::Link;
use crate::metrics::Metrics;
use crate::patient::Patient;
use crate::routes::{Web, router};
use crate::write::Gate;

/// Threads for questions to the daemon beyond one for each request, in count: those of monitors, which are always
/// answered.
const MORE_THREADS: usize = 4;

/// After this long an idle thread ends, in seconds.
const THREAD_IDLE_SECONDS: u64 = 10;

/// Buffer of a connection for the head of a request, in bytes: what other servers take.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Header lines of a request, at most. Browsers send twenty.
const HEADERS_MAX: usize = 64;

/// Time for answers under way when the server stops, in milliseconds. The daemon promises to end within two seconds.
const STOP_MS: u64 = 300;

/// Pause after a connection could not be accepted, in milliseconds: out of file descriptors, most likely.
const ACCEPT_PAUSE_MS: u64 = 100;

/// What a server needs.
#[derive(Debug)]
pub struct Options {
    /// Where clients come in.
    pub listener: TcpListener,
    /// The socket of the daemon.
    pub rpc_socket: PathBuf,
    /// The file of the token with which clients may write; without it nobody may.
    pub token_file: Option<PathBuf>,
    /// How much is taken on.
    pub limits: Limits,
}

/// How much a server takes on, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones are closed. A browser opens six.
    pub connections_max: usize,
    /// Requests being answered at once; further ones are told to come again. Each holds 1.5 MiB at most.
    pub requests_max: usize,
    /// Time for the head of a request, and for the next request on a connection that is kept.
    pub head_wait: Duration,
    /// Time until an answer begins, the body of its request included.
    pub answer_wait: Duration,
    /// Time in which a client must take some of an answer.
    pub write_wait: Duration,
    /// Time for one answer of the daemon.
    pub peer_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 128,
            requests_max: 64,
            head_wait: Duration::from_secs(15),
            answer_wait: Duration::from_secs(30),
            write_wait: Duration::from_secs(30),
            peer_wait: Duration::from_secs(10),
        }
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to serve. The daemon need not run yet; without it, requests are answered with its absence.
    ///
    /// # Errors
    /// The system gives no thread, or the listener is none.
    pub fn start(options: Options) -> io::Result<Self> {
        let address = options.listener.local_addr()?;
        options.listener.set_nonblocking(true)?;
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(options.limits.requests_max + MORE_THREADS)
            .thread_keep_alive(Duration::from_secs(THREAD_IDLE_SECONDS))
            .thread_name("hbs2-web")
            .enable_all()
            .build()?;
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("hbs2-web".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(options, stopped)) {
                tracing::error!(%error, "http: cannot listen");
            }
            runtime.shutdown_timeout(Duration::from_millis(STOP_MS));
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic has been printed by its thread.
            let _ = thread.join();
        }
    }
}

async fn serve(options: Options, stop: CancellationToken) -> io::Result<()> {
    let Options { listener, rpc_socket, token_file, limits } = options;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let web = Arc::new(Web {
        link: Link::new(rpc_socket, limits.peer_wait),
        gate: Gate::new(token_file),
        metrics: Metrics::new(limits.requests_max),
        limits,
    });
    let router = router(Arc::clone(&web));
    let places = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "http: cannot accept a connection");
                    sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                    continue;
                }
            },
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                tokio::spawn(connection(stream, router.clone(), limits, stop.clone(), place));
            }
            Err(_) => {
                web.metrics.refused.inc();
            }
        }
    }
    drop(listener);
    let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    // Those who have not taken their answers by then are cut off.
    let _ = timeout(Duration::from_millis(STOP_MS), places.acquire_many(all)).await;
    Ok(())
}

/// Serves one client until it leaves, is too slow, or the server stops.
async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    // Without it only small answers are slower.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Patient::new(stream, limits.write_wait));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_wait)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(stream, TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("http: closed a connection: {error}");
    }
}
