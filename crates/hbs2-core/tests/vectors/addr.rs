//! Addresses of peers, in the answers that an original peer gave.

use hbs2_core::cbor::{Decoder, Encoder};
use hbs2_core::{Decode, Encode, PeerAddr, Transport};

use crate::support::{Fields, json};

/// Head of an answer with addresses, up to the nonce: constructor 3 with a nonce of 24 bytes.
const ANSWER: [u8; 4] = [0x83, 0x03, 0x58, 0x18];
const NONCE_BYTES: usize = 24;

/// The address list of a packet that is an envelope of protocol 6 around such an answer in one piece.
fn list(packet: &[u8]) -> Option<Vec<u8>> {
    let envelope = packet.windows(3).position(|window| window == [0x82, 0x06, 0x5f])?;
    let mut d = Decoder::new(&packet[envelope..]);
    d.tuple(2).ok()?;
    d.uint().ok()?;
    let body = d.lazy_bytes().ok()?;
    body.strip_prefix(&ANSWER).map(|rest| rest[NONCE_BYTES..].to_vec())
}

#[test]
fn addresses_of_the_original_are_written_again() {
    let (mut udp, mut tcp) = (0, 0);
    for transcript in ["tcp-plain", "udp-plain"] {
        let transcript = json(&format!("wire/transcript-{transcript}.json"));
        let frames = transcript["frames"].as_array().unwrap();
        let packets = frames.iter().filter(|frame| frame["hex"].is_string()).map(|frame| frame.hex("hex"));
        for list in packets.filter_map(|packet| list(&packet)) {
            let addrs = Decoder::new(&list).list(50, PeerAddr::decode).unwrap();
            let mut e = Encoder::new();
            e.list(&addrs, |e, addr| addr.encode(e));
            assert_eq!(hex::encode(e.into_bytes()), hex::encode(&list));
            for addr in addrs {
                assert!(addr.socket.ip().is_loopback(), "{addr} is an address of the test network");
                *(if addr.transport == Transport::Udp { &mut udp } else { &mut tcp }) += 1;
            }
        }
    }
    assert!(udp > 0 && tcp > 0, "{udp} UDP and {tcp} TCP addresses");
}
