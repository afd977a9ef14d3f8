//! Listener, dialler and the links between them (spec: wire 1.2).
//!
//! A connection begins with four raw bytes each way: the one who dialled sends its cookie, the other reads it
//! and answers with its own. A cookie is a random number of the process; there is no version and no
//! authentication at this level. Then the registry admits the connection as a link or closes it. Probes
//! (connect, cookies, close) are normal: originals test in this way whether our port can be reached.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::addr::{PeerAddr, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::link::{CloseReason, Link, Rates, Received};
use crate::net::Limits;
use crate::outgoing::Outgoing;
use crate::places::{Place, Places};
use crate::pool::Pool;
use crate::queue::{Lane, Queue, Refused};
use crate::registry::{Claim, Direction, Registry};

/// Connections at once when nothing else is said, in count, handshakes included: so many that come in, and so many that
/// we make. Each costs about 20 KiB when idle.
pub(crate) const LINKS_MAX: usize = 256;

/// Connections that may come from one address when nothing else is said, in count: a household, or an office behind one
/// address.
pub(crate) const LINKS_PER_ADDRESS_MAX: usize = 32;

/// Received bytes that are not yet taken, all links together, in bytes. Some milliseconds at full speed.
const INBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Time for a dial to connect, in seconds. Half a minute is for satellites; longer only keeps a place busy.
const CONNECT_SECONDS: u64 = 10;

/// Time for the exchange of the cookies, in seconds.
const HANDSHAKE_SECONDS: u64 = 10;

/// Pause after a failed accept, in milliseconds. It doubles up to [`ACCEPT_PAUSE_MS_MAX`] while the failure
/// lasts (no free file descriptor, no memory).
const ACCEPT_PAUSE_MS: u64 = 20;

/// Longest pause after a failed accept, in milliseconds.
const ACCEPT_PAUSE_MS_MAX: u64 = 1000;

/// Connections that the kernel holds for us until they are accepted, in count.
const BACKLOG: u32 = 256;

/// Names one link of one carrier; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// How a carrier begins.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where to listen; port 0 takes a free one; `None` only dials.
    pub listen: Option<SocketAddr>,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A link is there and can be used.
    Opened {
        /// The link.
        link: LinkId,
        /// The dialled address, or the address from which the other side came.
        remote: PeerAddr,
        /// Who dialled.
        direction: Direction,
    },
    /// A frame came.
    Received {
        /// On which link.
        link: LinkId,
        /// Its payload.
        frame: Received,
    },
    /// Messages were written to the socket.
    Written {
        /// On which link.
        link: LinkId,
        /// Sum of the lengths of these messages, in bytes.
        bytes: usize,
    },
    /// The link is gone; the last event about it.
    Closed {
        /// The link.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Something was heard on the local network, outside of any link.
    Heard {
        /// Who sent it.
        from: SocketAddr,
        /// The datagram.
        packet: Bytes,
    },
    /// A dial did not lead to a link.
    DialFailed {
        /// The dialled address.
        address: PeerAddr,
        /// Why.
        failure: DialFailure,
    },
}

/// Why a dial did not lead to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DialFailure {
    /// The address is this very process.
    #[error("the address is this process")]
    Myself,
    /// The process at the address is linked already.
    #[error("the process is linked already")]
    Duplicate {
        /// Its link.
        link: LinkId,
    },
    /// Connecting or the exchange of cookies took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The connection could not be made or broke during the exchange of cookies.
    #[error("cannot connect: {0}")]
    Socket(io::ErrorKind),
    /// Too many outbound connections.
    #[error("too many connections are open already")]
    TooMany,
}

/// Why a carrier cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {}", with_transport(.address))]
pub struct BindError {
    /// Where it should.
    pub address: PeerAddr,
    /// What the system said.
    pub source: io::Error,
}

/// The TCP carrier of a process.
#[derive(Debug)]
pub struct Tcp {
    shared: Arc<Shared>,
    listen: Option<SocketAddr>,
}

#[derive(Debug)]
struct Shared {
    cookie: u32,
    next_link: AtomicU64,
    registry: Mutex<Registry>,
    links: Mutex<HashMap<LinkId, Handle>>,
    events: mpsc::Sender<Event>,
    pool: Arc<Pool>,
    inbox: Arc<Semaphore>,
    places: Arc<Places>,
    rates: Arc<Rates>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

#[derive(Debug)]
struct Handle {
    queue: Arc<Queue>,
    stop: Option<oneshot::Sender<CloseReason>>,
}

impl Tcp {
    /// Starts a carrier whose events go to `events`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The listening address cannot be used.
    ///
    /// # Panics
    /// The system has no random bytes.
    pub fn start(options: Options, events: mpsc::Sender<Event>) -> Result<Self, BindError> {
        let mut cookie = [0; 4];
        getrandom::fill(&mut cookie).expect("the system gives random bytes");
        let cookie = u32::from_be_bytes(cookie);
        let listener = options.listen.map(listen).transpose()?;
        let shared = Arc::new(Shared {
            cookie,
            next_link: AtomicU64::new(1),
            registry: Mutex::new(Registry::new(cookie)),
            links: Mutex::default(),
            events,
            pool: Arc::default(),
            inbox: Arc::new(Semaphore::new(INBOX_BYTES_MAX)),
            places: Arc::new(Places::new(LINKS_MAX, LINKS_PER_ADDRESS_MAX)),
            rates: Arc::default(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        });
        let listen = match listener {
            None => None,
            Some((address, listener)) => {
                shared.spawn(Arc::clone(&shared).accept(listener));
                Some(address)
            }
        };
        Ok(Self { shared, listen })
    }

    /// Where the carrier listens, with the real port.
    #[must_use]
    pub fn listen_address(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// Begins to connect to `address`. The outcome is [`Event::Opened`] or [`Event::DialFailed`].
    pub fn dial(&self, address: SocketAddr) {
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(async move {
            if let Err(failure) = shared.connect(address).await {
                // Without a receiver the process is ending; nobody waits for the outcome.
                let address = PeerAddr::tcp(address);
                let _ = shared.events.send(Event::DialFailed { address, failure }).await;
            }
        });
    }

    /// Works within other limits from now on.
    pub(crate) fn limit(&self, limits: &Limits) {
        self.shared.places.limit(limits.links_max, limits.links_per_address_max);
        self.shared.pool.limit_grown(limits.frames_bytes_max);
    }

    /// How fast bytes may come and go.
    pub(crate) fn rates(&self) -> &Arc<Rates> {
        &self.shared.rates
    }

    /// Queues a message. Its bytes are reported by [`Event::Written`] when they have left, unless the link closes
    /// first.
    ///
    /// # Errors
    /// The link is gone or its queue is full; then nothing was queued.
    pub fn send(&self, link: LinkId, lane: Lane, message: impl Into<Outgoing>) -> Result<(), Refused> {
        let queue = self.shared.links().get(&link).map(|handle| Arc::clone(&handle.queue));
        queue.ok_or(Refused::Closed)?.push(lane, message.into())
    }

    /// Closes a link after what waits on it has been tried for half a second. [`Event::Closed`] follows.
    pub fn close(&self, link: LinkId) {
        self.shared.stop(link, CloseReason::Requested);
    }

    /// Frees the memory of unused buffers. Worth a call when transfers have ended.
    pub fn shrink(&self) {
        self.shared.pool.shrink();
    }

    /// Closes everything and waits until all tasks of the carrier have ended.
    pub async fn shutdown(&self) {
        self.shared.shutdown.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.shared.shutdown.cancel();
    }
}

impl Shared {
    /// Runs `task` until it or the carrier ends.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut pause = ACCEPT_PAUSE_MS;
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => {
                    pause = ACCEPT_PAUSE_MS;
                    match self.places.take(Direction::Inbound, remote.ip()) {
                        Ok(place) => self.spawn(Arc::clone(&self).greet(stream, remote, place)),
                        Err(full) => tracing::debug!(%remote, "refused a connection: {full}"),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection, trying again in {pause} ms");
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MS_MAX);
                }
            }
        }
    }

    /// The accepting side of a connection.
    async fn greet(self: Arc<Self>, mut stream: TcpStream, remote: SocketAddr, place: Place) {
        let exchange = async {
            let cookie = stream.read_u32().await?;
            stream.write_u32(self.cookie).await?;
            io::Result::Ok(cookie)
        };
        match timeout(Duration::from_secs(HANDSHAKE_SECONDS), exchange).await {
            Ok(Ok(cookie)) => {
                if let Err(failure) = self.admit(stream, cookie, remote, Direction::Inbound, place).await {
                    tracing::debug!(%remote, %failure, "closed an inbound connection");
                }
            }
            Ok(Err(error)) => tracing::debug!(%remote, %error, "an inbound connection sent no cookie"),
            Err(_) => tracing::debug!(%remote, "an inbound connection sent no cookie in time"),
        }
    }

    /// The dialling side of a connection.
    async fn connect(self: &Arc<Self>, address: SocketAddr) -> Result<(), DialFailure> {
        let place = self.places.take(Direction::Outbound, address.ip()).map_err(|_| DialFailure::TooMany)?;
        let connect = timeout(Duration::from_secs(CONNECT_SECONDS), TcpStream::connect(address)).await;
        let socket_failure = |error: io::Error| DialFailure::Socket(error.kind());
        let mut stream = connect.map_err(|_| DialFailure::TimedOut)?.map_err(socket_failure)?;
        let exchange = async {
            stream.write_u32(self.cookie).await?;
            stream.read_u32().await
        };
        let exchanged = timeout(Duration::from_secs(HANDSHAKE_SECONDS), exchange).await;
        let cookie = exchanged.map_err(|_| DialFailure::TimedOut)?.map_err(socket_failure)?;
        self.admit(stream, cookie, address, Direction::Outbound, place).await
    }

    /// Makes a link of a connection whose cookies are exchanged, or closes it.
    async fn admit(
        self: &Arc<Self>,
        stream: TcpStream,
        cookie: u32,
        remote: SocketAddr,
        direction: Direction,
        place: Place,
    ) -> Result<(), DialFailure> {
        stream.set_nodelay(true).map_err(|error| DialFailure::Socket(error.kind()))?;
        let id = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let queue = Arc::new(Queue::new(self.cookie));
        let (stop, stopped) = oneshot::channel();
        // The handle is there before the claim, so that whoever replaces this link can stop it.
        self.links().insert(id, Handle { queue: Arc::clone(&queue), stop: Some(stop) });
        let claim = self.registry().claim(Instant::now(), cookie, id, direction);
        let refused = match claim {
            Claim::Admitted => None,
            Claim::Replaces(old) => {
                self.stop(old, CloseReason::Replaced);
                None
            }
            Claim::Duplicate(link) => Some(DialFailure::Duplicate { link }),
            Claim::Myself => Some(DialFailure::Myself),
        };
        if let Some(failure) = refused {
            self.links().remove(&id);
            return Err(failure);
        }
        let link = Link {
            id,
            queue,
            pool: Arc::clone(&self.pool),
            inbox: Arc::clone(&self.inbox),
            inbox_bytes: INBOX_BYTES_MAX,
            rates: Arc::clone(&self.rates),
            events: self.events.clone(),
        };
        let shared = Arc::clone(self);
        self.spawn(async move {
            let opened = Event::Opened { link: id, remote: PeerAddr::tcp(remote), direction };
            // A failed send means that the process is ending; the link ends at once, too.
            let _ = shared.events.send(opened).await;
            let reason = link.run(stream, stopped).await;
            shared.links().remove(&id);
            shared.registry().release(cookie, id);
            drop(place);
            let _ = shared.events.send(Event::Closed { link: id, reason }).await;
        });
        Ok(())
    }

    fn stop(&self, link: LinkId, reason: CloseReason) {
        let stop = self.links().get_mut(&link).and_then(|handle| handle.stop.take());
        if let Some(stop) = stop {
            // The link may be ending by itself at this moment.
            let _ = stop.send(reason);
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<LinkId, Handle>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener), BindError> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        Ok((listener.local_addr()?, listener))
    };
    bind().map_err(|source| BindError { address: PeerAddr::tcp(address), source })
}

/// The address with its transport always named.
fn with_transport(address: &PeerAddr) -> String {
    match address.transport {
        Transport::Udp => format!("udp://{}", address.socket),
        Transport::Tcp => address.to_string(),
    }
}
