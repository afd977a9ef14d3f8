//! Datagrams to and from addresses (spec: wire 1.1).
//!
//! One socket sends and receives; one datagram is one message, without a head. A link is an address: it is there
//! from the first datagram, either way, until it is closed. Nothing is acknowledged or repeated here, and the order
//! is the network's.
//!
//! What waits is sent in turns, a few datagrams of each link. After [`BURST_DATAGRAMS`] without a pause the sender
//! rests a moment: a receiver with the usual buffer can then take them all.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::link::{CloseReason, Rates, Received};
use crate::multicast;
use crate::outgoing::Outgoing;
use crate::queue::{Lane, Refused};
use crate::registry::Direction;
use crate::tcp::{BindError, DialFailure, Event, LinkId};

/// Longest datagram that is sent or received, in bytes: the most that UDP over IPv4 carries. The original reads no
/// more than 4096 of it.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Addresses that are links at once, in count. Each costs some hundred bytes; datagrams from others are dropped.
const LINKS_MAX: usize = 1024;

/// What may wait on one link, in bytes. The sender paces bulk data by what was written, well below this.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Datagrams that may wait on one link, in count.
const QUEUE_DATAGRAMS_MAX: usize = 8 * 1024;

/// Received bytes that are not yet taken, in bytes. What does not fit waits in the socket, or is lost there.
const INBOX_BYTES_MAX: usize = 1024 * 1024;

/// Buffers that are asked of the system for the socket, in bytes. It may give less.
const SOCKET_BYTES: usize = 2 * 1024 * 1024;

/// Datagrams of one link that are sent before the next link has its turn, in count.
const TURN_DATAGRAMS: usize = 16;

/// Datagrams sent without a pause, in count. The usual receive buffer of 208 KiB holds some ninety of 1 KiB.
const BURST_DATAGRAMS: usize = 64;

/// The pause after a burst, in milliseconds: so at most some 60 MB/s leave.
const PAUSE_MS: u64 = 1;

/// Pause after an error of the socket, in milliseconds.
const ERROR_PAUSE_MS: u64 = 20;

/// The first number of a link here. The numbers of TCP never come so far, so no two links share one.
const LINK_FIRST: u64 = 1 << 63;

/// The UDP carrier of a process.
#[derive(Debug)]
pub struct Udp {
    shared: Arc<Shared>,
    listen: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    v6: bool,
    next_link: AtomicU64,
    table: Mutex<Table>,
    filled: Notify,
    events: mpsc::Sender<Event>,
    inbox: Arc<Semaphore>,
    rates: Arc<Rates>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// The links, and what waits on them.
#[derive(Debug, Default)]
struct Table {
    by_address: HashMap<SocketAddr, LinkId>,
    links: BTreeMap<LinkId, Line>,
    /// Links with something to send, the next first.
    turns: VecDeque<LinkId>,
}

#[derive(Debug)]
struct Line {
    address: SocketAddr,
    control: VecDeque<Outgoing>,
    bulk: VecDeque<Outgoing>,
    waiting: usize,
}

impl Udp {
    /// Starts a carrier at `address` whose events go to `events`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn start(address: SocketAddr, events: mpsc::Sender<Event>) -> Result<Self, BindError> {
        Self::start_within(address, Arc::default(), events)
    }

    /// As [`start`](Self::start), no faster than `rates`.
    ///
    /// # Errors
    /// The address cannot be used.
    pub(crate) fn start_within(
        address: SocketAddr,
        rates: Arc<Rates>,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, BindError> {
        let (socket, listen) =
            bind(address).map_err(|source| BindError { address: PeerAddr::udp(address), source })?;
        let shared = Arc::new(Shared {
            socket,
            v6: listen.is_ipv6(),
            next_link: AtomicU64::new(LINK_FIRST),
            table: Mutex::default(),
            filled: Notify::new(),
            events,
            inbox: Arc::new(Semaphore::new(INBOX_BYTES_MAX)),
            rates,
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        });
        shared.spawn(Arc::clone(&shared).read());
        shared.spawn(Arc::clone(&shared).write());
        Ok(Self { shared, listen })
    }

    /// Where the carrier listens, with the real port.
    #[must_use]
    pub fn listen_address(&self) -> SocketAddr {
        self.listen
    }

    /// Whether a link is one of this carrier.
    #[must_use]
    pub fn owns(link: LinkId) -> bool {
        link.0 >= LINK_FIRST
    }

    /// Makes a link of `address`. The outcome is [`Event::Opened`] or [`Event::DialFailed`]; whether somebody is
    /// there only an answer tells.
    pub fn dial(&self, address: SocketAddr) {
        let shared = Arc::clone(&self.shared);
        let remote = PeerAddr::udp(address);
        let event = match shared.open(address) {
            Open::Fresh(link) => Event::Opened { link, remote, direction: Direction::Outbound },
            Open::Known(link) => {
                Event::DialFailed { address: remote, failure: DialFailure::Duplicate { link } }
            }
            Open::Unusable(failure) => Event::DialFailed { address: remote, failure },
        };
        self.shared.tell(event);
    }

    /// Queues a datagram. Its bytes are reported by [`Event::Written`].
    ///
    /// # Errors
    /// The link is gone, its queue is full, or the message is longer than a datagram; then nothing was queued.
    pub fn send(&self, link: LinkId, lane: Lane, datagram: impl Into<Outgoing>) -> Result<(), Refused> {
        let datagram = datagram.into();
        let bytes = datagram.len();
        if bytes > DATAGRAM_BYTES_MAX {
            return Err(Refused::TooLong { bytes });
        }
        let mut table = self.shared.table();
        let line = table.links.get_mut(&link).ok_or(Refused::Closed)?;
        let datagrams = line.control.len() + line.bulk.len();
        if datagrams > 0 && (line.waiting + bytes > QUEUE_BYTES_MAX || datagrams >= QUEUE_DATAGRAMS_MAX) {
            return Err(Refused::Full { waiting: line.waiting });
        }
        line.waiting += bytes;
        match lane {
            Lane::Control => line.control.push_back(datagram),
            Lane::Bulk => line.bulk.push_back(datagram),
        }
        if datagrams == 0 {
            table.turns.push_back(link);
        }
        drop(table);
        self.shared.filled.notify_one();
        Ok(())
    }

    /// Forgets a link and what waits on it. [`Event::Closed`] follows.
    pub fn close(&self, link: LinkId) {
        if self.shared.table().remove(link) {
            self.shared.tell(Event::Closed { link, reason: CloseReason::Requested });
        }
    }

    /// Hears a multicast group from now on.
    pub(crate) fn hear(&self, group: SocketAddrV4) {
        self.shared.spawn(multicast::hear(group, self.shared.events.clone()));
    }

    /// Sends a datagram to a multicast group. Lost ones are repeated by whoever announces.
    pub(crate) fn announce(&self, group: SocketAddrV4, packet: &[u8]) {
        if let Err(error) = self.shared.socket.try_send_to(packet, group.into()) {
            tracing::debug!(%error, "cannot announce to {group}");
        }
    }

    /// Ends the tasks of the carrier and waits until they have ended.
    pub async fn shutdown(&self) {
        self.shared.shutdown.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        self.shared.shutdown.cancel();
    }
}

/// What is known of an address.
enum Open {
    Fresh(LinkId),
    Known(LinkId),
    Unusable(DialFailure),
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

    fn tell(&self, event: Event) {
        let events = self.events.clone();
        self.spawn(async move {
            // Without a receiver the process is ending; nobody waits for the outcome.
            let _ = events.send(event).await;
        });
    }

    /// The link of an address, made if there is none.
    fn open(&self, address: SocketAddr) -> Open {
        if !self.v6 && address.is_ipv6() {
            return Open::Unusable(DialFailure::Socket(io::ErrorKind::AddrNotAvailable));
        }
        let mut table = self.table();
        if let Some(link) = table.by_address.get(&address) {
            return Open::Known(*link);
        }
        if table.links.len() >= LINKS_MAX {
            return Open::Unusable(DialFailure::TooMany);
        }
        let link = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let line = Line { address, control: VecDeque::new(), bulk: VecDeque::new(), waiting: 0 };
        table.by_address.insert(address, link);
        table.links.insert(link, line);
        Open::Fresh(link)
    }

    async fn read(self: Arc<Self>) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
        loop {
            let (bytes, from) = match self.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(%error, "cannot receive a datagram, trying again in {ERROR_PAUSE_MS} ms");
                    tokio::time::sleep(Duration::from_millis(ERROR_PAUSE_MS)).await;
                    continue;
                }
            };
            self.rates.download.spend(bytes).await;
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            if !self.hand_up(from, &buffer[..bytes]).await {
                return;
            }
        }
    }

    /// Waits for room and passes the datagram on; false when nobody listens any more.
    async fn hand_up(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        let (link, fresh) = match self.open(from) {
            Open::Fresh(link) => (link, true),
            Open::Known(link) => (link, false),
            Open::Unusable(_) => return true,
        };
        if fresh {
            let remote = PeerAddr::udp(from);
            let opened = Event::Opened { link, remote, direction: Direction::Inbound };
            if self.events.send(opened).await.is_err() {
                return false;
            }
        }
        let room = u32::try_from(datagram.len()).expect("a datagram is shorter than 64 KiB");
        let Ok(room) = Arc::clone(&self.inbox).acquire_many_owned(room).await else { return false };
        let frame = Received::new(Bytes::copy_from_slice(datagram), room);
        self.events.send(Event::Received { link, frame }).await.is_ok()
    }

    async fn write(self: Arc<Self>) {
        let mut burst = 0;
        loop {
            let Some((link, address, turn)) = self.table().take_turn() else {
                burst = 0;
                self.filled.notified().await;
                continue;
            };
            let address = self.for_socket(address);
            let mut written = 0;
            for datagram in turn {
                if burst >= BURST_DATAGRAMS {
                    tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
                    burst = 0;
                }
                burst += 1;
                written += datagram.len();
                self.rates.upload.spend(datagram.len()).await;
                let datagram = datagram.into_bytes();
                // What cannot be sent is as good as lost on the way.
                if let Err(error) = self.socket.send_to(&datagram, address).await {
                    tracing::debug!(%address, %error, "cannot send a datagram of {} bytes", datagram.len());
                }
            }
            if let Some(line) = self.table().links.get_mut(&link) {
                line.waiting -= written;
            }
            if self.events.send(Event::Written { link, bytes: written }).await.is_err() {
                return;
            }
        }
    }

    /// An address as this socket wants it: a socket for IPv6 takes IPv4 in disguise only.
    fn for_socket(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(v4) if self.v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            address => address,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove(&mut self, link: LinkId) -> bool {
        let Some(line) = self.links.remove(&link) else { return false };
        self.by_address.remove(&line.address);
        true
    }

    /// Some datagrams of the link whose turn it is, control messages first.
    fn take_turn(&mut self) -> Option<(LinkId, SocketAddr, Vec<Outgoing>)> {
        loop {
            let link = self.turns.pop_front()?;
            let Some(line) = self.links.get_mut(&link) else { continue };
            let next = || line.control.pop_front().or_else(|| line.bulk.pop_front());
            let turn: Vec<Outgoing> = std::iter::from_fn(next).take(TURN_DATAGRAMS).collect();
            if !line.control.is_empty() || !line.bulk.is_empty() {
                self.turns.push_back(link);
            }
            if !turn.is_empty() {
                return Some((link, line.address, turn));
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let reference = SockRef::from(&socket);
    // The system may give less, and usually does; the transfer adapts.
    let _ = reference.set_recv_buffer_size(SOCKET_BYTES);
    let _ = reference.set_send_buffer_size(SOCKET_BYTES);
    let socket = UdpSocket::from_std(socket.into())?;
    let listen = socket.local_addr()?;
    Ok((socket, listen))
}
