//! The daemon's side of the socket.
//!
//! A [`Listener`] owns the socket file: mode 0600, a file left behind by a dead daemon is replaced, a living
//! daemon is not. A [`Router`] holds the methods. [`serve`] joins them and runs the calls of each connection
//! side by side; answers leave in the order in which they are ready.
//!
//! What a client can make the daemon hold is bounded: [`CONNECTIONS_MAX`] connections, [`CALLS_MAX`] calls in
//! each, and [`CONNECTION_BYTES_MAX`] bytes of inputs and outputs, set aside before a frame is read and given
//! back when its answer has been written. At a limit the daemon stops reading from that client; a client that
//! does not take its answers for [`WRITE_WAIT`] is hung up on. A malformed frame closes its connection and no
//! other.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Method;
use crate::frame::Fault;
use crate::value::{Parts, Value};

mod connection;
mod listener;

pub use listener::{BindError, Listener};

/// Connections at once, at most. Each has two tasks and a few buffers; people run a handful of programs, a web
/// page some dozens.
pub const CONNECTIONS_MAX: usize = 256;

/// Calls of one connection that run at once, at most. Waits count too; a client that needs more of them opens
/// a second connection.
pub const CALLS_MAX: usize = 128;

/// Bytes of inputs and outputs that one connection may have in the daemon, at most: the longest frame and the
/// largest output together, with room to let calls overlap.
pub const CONNECTION_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Time within which a client must take some of an answer.
pub const WRITE_WAIT: Duration = Duration::from_secs(60);

/// Time that calls may still run after their client has hung up: a client may ask for something and leave.
/// Waits of a vanished client end with it.
const HANGUP_WAIT: Duration = Duration::from_secs(5);

/// Time that calls may still run after the daemon was told to stop: enough for the answer to the call that
/// told it.
const STOP_WAIT: Duration = Duration::from_millis(500);

type Answer = Pin<Box<dyn Future<Output = Result<Parts, Fault>> + Send>>;

/// The methods of a daemon.
#[derive(Default)]
pub struct Router {
    routes: BTreeMap<(u64, u64), Route>,
}

struct Route {
    name: &'static str,
    output_bytes_max: usize,
    run: Box<dyn Fn(Bytes) -> Answer + Send + Sync>,
}

impl Router {
    /// No methods yet: every call is "not found".
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves method `M` with `run`. An input that is no `M::Input` does not reach it.
    ///
    /// # Panics
    /// The method is served already.
    #[must_use]
    pub fn on<M: Method, A>(mut self, run: impl Fn(M::Input) -> A + Send + Sync + 'static) -> Self
    where
        A: Future<Output = Result<M::Output, Fault>> + Send + 'static,
    {
        let run = move |input: Bytes| -> Answer {
            match M::Input::from_frame(&input) {
                Err(error) => {
                    tracing::debug!(call = M::NAME, %error, "rpc: bad request");
                    Box::pin(std::future::ready(Err(Fault::BadRequest)))
                }
                Ok(input) => {
                    let answer = run(input);
                    Box::pin(async move { answer.await.map(|output| output.to_parts()) })
                }
            }
        };
        let route = Route { name: M::NAME, output_bytes_max: M::OUTPUT_BYTES_MAX, run: Box::new(run) };
        let taken = self.routes.insert((M::SERVICE, M::INDEX), route);
        assert!(taken.is_none(), "{} is served twice", M::NAME);
        self
    }

    /// Names of the methods, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.routes.values().map(|route| route.name)
    }
}

/// Serves `router` at `listener` until `stop` is cancelled; then removes the socket file, lets answers that are
/// ready go out, and returns.
pub async fn serve(listener: Listener, router: Arc<Router>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others must be closed first.
                    tracing::warn!(%error, "rpc: cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        if connections.len() >= CONNECTIONS_MAX {
            tracing::warn!(limit = CONNECTIONS_MAX, "rpc: too many connections, refused one");
            continue;
        }
        connections.spawn(connection::run(stream, router.clone(), stop.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}
