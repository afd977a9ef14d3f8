//! Both carriers as one.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;

use hbs2_core::addr::{PeerAddr, Transport};
use tokio::sync::mpsc;

use crate::outgoing::Outgoing;
use crate::pool::GROWN_BYTES_MAX;
use crate::queue::{Lane, Refused};
use crate::tcp::{BindError, DialFailure, Event, LINKS_MAX, LINKS_PER_ADDRESS_MAX, LinkId, Options, Tcp};
use crate::udp::Udp;

/// Where the carriers listen; port 0 takes a free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listen {
    /// `None`: TCP only dials.
    pub tcp: Option<SocketAddr>,
    /// `None`: no UDP at all.
    pub udp: Option<SocketAddr>,
    /// The multicast group; `None`: neither heard nor spoken to.
    pub group: Option<SocketAddrV4>,
}

/// What the carriers may take and give, all links together. It may change while they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes sent in a second, with their heads; `None` for no limit.
    pub upload: Option<u64>,
    /// Bytes received in a second; `None` for no limit. Beyond it the other sides are slowed down.
    pub download: Option<u64>,
    /// Connections on TCP at once, in count: so many that come in, and so many that we make.
    pub links_max: usize,
    /// Connections on TCP that may come from one address, in count.
    pub links_per_address_max: usize,
    /// Memory for long frames that are still coming, in bytes.
    pub frames_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload: None,
            download: None,
            links_max: LINKS_MAX,
            links_per_address_max: LINKS_PER_ADDRESS_MAX,
            frames_bytes_max: GROWN_BYTES_MAX,
        }
    }
}

/// The carriers of a process.
#[derive(Debug)]
pub struct Net {
    tcp: Tcp,
    udp: Option<Udp>,
    group: Option<SocketAddrV4>,
    events: mpsc::Sender<Event>,
}

impl Net {
    /// Starts the carriers, whose events go to `events`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A listening address cannot be used.
    pub fn start(listen: Listen, events: mpsc::Sender<Event>) -> Result<Self, BindError> {
        let tcp = Tcp::start(Options { listen: listen.tcp }, events.clone())?;
        let start = |address| Udp::start_within(address, Arc::clone(tcp.rates()), events.clone());
        let udp = listen.udp.map(start).transpose()?;
        if let (Some(udp), Some(group)) = (&udp, listen.group) {
            udp.hear(group);
        }
        Ok(Self { tcp, udp, group: listen.group, events })
    }

    /// Works within other limits from now on. Links that there are stay.
    pub fn limit(&self, limits: &Limits) {
        self.tcp.limit(limits);
        self.tcp.rates().upload.set(limits.upload);
        self.tcp.rates().download.set(limits.download);
    }

    /// Where TCP listens, with the real port.
    #[must_use]
    pub fn listen_tcp(&self) -> Option<SocketAddr> {
        self.tcp.listen_address()
    }

    /// Where UDP listens, with the real port.
    #[must_use]
    pub fn listen_udp(&self) -> Option<SocketAddr> {
        self.udp.as_ref().map(Udp::listen_address)
    }

    /// Begins to connect to `address`. The outcome is [`Event::Opened`] or [`Event::DialFailed`].
    pub fn dial(&self, address: PeerAddr) {
        match (address.transport, &self.udp) {
            (Transport::Tcp, _) => self.tcp.dial(address.socket),
            (Transport::Udp, Some(udp)) => udp.dial(address.socket),
            (Transport::Udp, None) => {
                let failure = DialFailure::Socket(std::io::ErrorKind::Unsupported);
                let events = self.events.clone();
                // Without a receiver the process is ending; nobody waits for the outcome.
                tokio::spawn(async move { events.send(Event::DialFailed { address, failure }).await });
            }
        }
    }

    /// Queues a message. Its bytes are reported by [`Event::Written`] when they have
    /// left, unless the link closes first.
    ///
    /// # Errors
    /// The link is gone, its queue is full, or the message is too long for the carrier; then nothing was queued.
    pub fn send(&self, link: LinkId, lane: Lane, message: impl Into<Outgoing>) -> Result<(), Refused> {
        match &self.udp {
            Some(udp) if Udp::owns(link) => udp.send(link, lane, message),
            _ => self.tcp.send(link, lane, message),
        }
    }

    /// Closes a link. On TCP what waits on it is tried for half a second. [`Event::Closed`] follows.
    pub fn close(&self, link: LinkId) {
        match &self.udp {
            Some(udp) if Udp::owns(link) => udp.close(link),
            _ => self.tcp.close(link),
        }
    }

    /// Sends a datagram to the multicast group, if it is spoken to.
    pub fn announce(&self, packet: &[u8]) {
        if let (Some(udp), Some(group)) = (&self.udp, self.group) {
            udp.announce(group, packet);
        }
    }

    /// Frees the memory of unused buffers. Worth a call when transfers have ended.
    pub fn shrink(&self) {
        self.tcp.shrink();
    }

    /// Closes everything and waits until all tasks of the carriers have ended.
    pub async fn shutdown(&self) {
        if let Some(udp) = &self.udp {
            udp.shutdown().await;
        }
        self.tcp.shutdown().await;
    }
}
