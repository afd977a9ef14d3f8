//! Addresses of peers: a transport and a socket address (docs/spec/addr.md).
//!
//! In text, `tcp://1.2.3.4:10351` is TCP; `1.2.3.4:7351` and `udp://1.2.3.4:7351` are UDP; IPv6 stands in
//! brackets. Names of hosts are no addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

/// How packets travel to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// One message in one datagram.
    Udp,
    /// Messages in frames on a stream.
    Tcp,
}

/// Where a peer can be reached: CBOR `[0, transport, [0, [ip, port]]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddr {
    /// How packets travel.
    pub transport: Transport,
    /// Where they go. The CBOR form has no room for the scope of a link-local IPv6 address.
    pub socket: SocketAddr,
}

/// A text that is no address of a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no peer address; write it as tcp://1.2.3.4:10351 or udp://1.2.3.4:7351")]
pub struct AddrError {
    /// The text.
    pub text: String,
}

impl PeerAddr {
    /// A TCP address.
    #[must_use]
    pub const fn tcp(socket: SocketAddr) -> Self {
        Self { transport: Transport::Tcp, socket }
    }

    /// A UDP address.
    #[must_use]
    pub const fn udp(socket: SocketAddr) -> Self {
        Self { transport: Transport::Udp, socket }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Udp => write!(f, "{}", self.socket),
            Transport::Tcp => write!(f, "tcp://{}", self.socket),
        }
    }
}

impl FromStr for PeerAddr {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (transport, socket) = match text.strip_prefix("tcp://") {
            Some(socket) => (Transport::Tcp, socket),
            None => (Transport::Udp, text.strip_prefix("udp://").unwrap_or(text)),
        };
        let socket = socket.parse().map_err(|_| AddrError { text: text.to_owned() })?;
        Ok(Self { transport, socket })
    }
}

/// The socket address alone: CBOR `[0, [ip, port]]`, as old answers of the peer exchange hold it.
impl Encode for SocketAddr {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        e.array(2);
        match self.ip() {
            IpAddr::V4(ip) => {
                e.variant(0, 1);
                e.variant(0, 1);
                e.uint(u64::from(ip.to_bits()));
            }
            IpAddr::V6(ip) => {
                e.variant(1, 1);
                e.variant(0, 1);
                e.array(4);
                for word in words(ip) {
                    e.uint(u64::from(word));
                }
            }
        }
        e.uint(u64::from(self.port()));
    }
}

impl Decode for SocketAddr {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        d.tuple(2)?;
        let start = d.at();
        let ip = match d.variant()? {
            (0, 1) => {
                d.record(1)?;
                IpAddr::V4(Ipv4Addr::from_bits(d.u32()?))
            }
            (1, 1) => {
                d.record(1)?;
                d.tuple(4)?;
                let mut bits = 0;
                for _ in 0..4 {
                    bits = bits << 32 | u128::from(d.u32()?);
                }
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
            _ => return Err(DecodeError::new(start, "an IP address")),
        };
        Ok(Self::new(ip, d.u16()?))
    }
}

fn words(ip: Ipv6Addr) -> [u32; 4] {
    let bits = ip.to_bits();
    [96, 64, 32, 0].map(|shift| (bits >> shift & u128::from(u32::MAX)) as u32)
}

impl Encode for PeerAddr {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        match self.transport {
            Transport::Udp => e.variant(0, 0),
            Transport::Tcp => e.variant(1, 0),
        }
        self.socket.encode(e);
    }
}

impl Decode for PeerAddr {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        let start = d.at();
        let transport = match d.variant()? {
            (0, 0) => Transport::Udp,
            (1, 0) => Transport::Tcp,
            _ => return Err(DecodeError::new(start, "a transport")),
        };
        Ok(Self { transport, socket: SocketAddr::decode(d)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, hex: &str, shown: &str) {
        let addr: PeerAddr = text.parse().unwrap();
        assert_eq!(hex::encode(addr.to_bytes()), hex, "{text}");
        assert_eq!(PeerAddr::from_bytes(&addr.to_bytes()), Ok(addr));
        assert_eq!(addr.to_string(), shown);
    }

    #[test]
    fn addresses_have_one_text_and_one_form() {
        check("192.168.1.10:10351", "83008100820082820082001ac0a8010a19286f", "192.168.1.10:10351");
        check("udp://192.168.1.10:7351", "83008100820082820082001ac0a8010a191cb7", "192.168.1.10:7351");
        check(
            "tcp://192.168.1.10:10351",
            "83008101820082820082001ac0a8010a19286f",
            "tcp://192.168.1.10:10351",
        );
        check("tcp://[::1]:80", "830081018200828201820084000000011850", "tcp://[::1]:80");
    }

    #[test]
    fn host_names_and_other_schemes_are_refused() {
        for text in
            ["", "localhost:80", "tcp://host:1", "http://1.2.3.4:80", "1.2.3.4", "1.2.3.4:99999", "::1:80"]
        {
            assert_eq!(text.parse::<PeerAddr>(), Err(AddrError { text: text.to_owned() }));
        }
    }
}
