//! Hearing others on the local network (spec: wire 1.5).
//!
//! Peers announce themselves to a multicast group from their UDP socket, so the address that an announcement comes from
//! is where its sender listens. What is heard arrives as [`Event::Heard`]; announcing is
//! [`Net::announce`](crate::Net::announce). A network without multicast stops nothing: it is tried again later.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::tcp::Event;

/// The group and port of HBS2.
pub const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 192, 152, 145), 10153);

/// Longest datagram that is read, in bytes: the original's limit. An announcement has some forty.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// Pause after a failure, in seconds; the original's.
const RETRY_SECONDS: u64 = 120;

/// Hears the group until nobody takes the events any more.
pub(crate) async fn hear(group: SocketAddrV4, events: mpsc::Sender<Event>) {
    while !events.is_closed() {
        let error = match join(group) {
            Ok(socket) => match read(&socket, &events).await {
                Ok(()) => return,
                Err(error) => error,
            },
            Err(error) => error,
        };
        tracing::info!(%error, "cannot hear the local network, trying again in {RETRY_SECONDS} s");
        tokio::time::sleep(Duration::from_secs(RETRY_SECONDS)).await;
    }
}

fn join(group: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // Several peers of one host hear the same group.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Bound to the group, the socket gets nothing that was sent to the port otherwise.
    socket.bind(&SocketAddr::from(group).into())?;
    socket.join_multicast_v4(group.ip(), &Ipv4Addr::UNSPECIFIED)?;
    UdpSocket::from_std(socket.into())
}

async fn read(socket: &UdpSocket, events: &mpsc::Sender<Event>) -> io::Result<()> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let (bytes, from) = socket.recv_from(&mut buffer).await?;
        let packet = Bytes::copy_from_slice(&buffer[..bytes]);
        if events.send(Event::Heard { from, packet }).await.is_err() {
            return Ok(());
        }
    }
}
