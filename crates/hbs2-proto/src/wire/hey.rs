//! The greeting of the encryption layer: here is my key of this run (spec: wire 1.4).
//!
//! A greeting stands outside the envelopes. It starts with a tiny program for a machine with one byte of memory; the
//! packet is a greeting if the program computes 117 and the rest reads as one. The programs differ from packet to packet,
//! so greetings have no head by which they are told from noise.

use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::{EncryptPublicKey, SignSecretKey, Signed};

use super::Packet;
use crate::random::Random;

/// What the program of a greeting computes.
const HEY: u8 = 117;

/// The parts in which it is computed, as the original does.
const HEY_PARTS: [u8; 3] = [40, 44, 33];

/// Longest packet that may be a greeting, in bytes: the original's longest datagram. One has some 180.
const HEY_BYTES_MAX: usize = 4096;

/// Bytes that a program skips before its end, at most.
const SKIPPED_BYTES_MAX: usize = 6;

mod op {
    pub(super) const STOP: u8 = 0;
    pub(super) const SET: u8 = 1;
    pub(super) const SKIP: u8 = 2;
    pub(super) const OR: u8 = 3;
    pub(super) const AND: u8 = 4;
    pub(super) const XOR: u8 = 5;
    pub(super) const ADD: u8 = 6;
    pub(super) const SUBTRACT: u8 = 7;
    pub(super) const MULTIPLY: u8 = 8;
}

/// A greeting: CBOR `[0, [0, nonce], signed box of the key]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hey {
    /// A number that the process goes by. Two numbers name a conversation.
    pub nonce: u16,
    /// The key of this run, signed by the peer key. The signature is still to be checked.
    pub greeting: Signed<Greeting>,
}

/// What a greeting says: CBOR `[0, seconds, key]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// When it was made, in seconds since 1970. Nobody checks it.
    pub seconds: u64,
    /// The key of this run.
    pub key: EncryptPublicKey,
}

impl Hey {
    /// A greeting of the peer `key`.
    #[must_use]
    pub fn new(nonce: u16, key: &SignSecretKey, greeting: &Greeting) -> Self {
        Self { nonce, greeting: Signed::sign(key, greeting) }
    }

    /// Reads a packet, if it is a greeting.
    #[must_use]
    pub fn from_packet(packet: &[u8]) -> Option<Self> {
        if packet.len() > HEY_BYTES_MAX {
            return None;
        }
        match run(packet)? {
            (HEY, rest) => Self::decode(&mut Decoder::new(rest)).ok(),
            _ => None,
        }
    }

    /// The packet of this greeting, behind a program.
    #[must_use]
    pub fn to_packet(&self, program: &[u8]) -> Packet {
        let mut packet = program.to_vec();
        packet.extend_from_slice(&self.to_bytes());
        Packet::raw(packet.into())
    }
}

impl Encode for Hey {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        e.variant(0, 1);
        e.uint(u64::from(self.nonce));
        self.greeting.encode(e);
    }
}

impl Decode for Hey {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        d.record(1)?;
        Ok(Self { nonce: d.u16()?, greeting: Signed::decode(d)? })
    }
}

impl Encode for Greeting {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        e.uint(self.seconds);
        self.key.encode(e);
    }
}

impl Decode for Greeting {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        // A clock before 1970 is no reason to refuse a key.
        let seconds = u64::try_from(d.integer()?).unwrap_or_default();
        Ok(Self { seconds, key: EncryptPublicKey::decode(d)? })
    }
}

/// A program that computes 117, made as the original makes its own.
pub(crate) fn program(random: &mut Random) -> Vec<u8> {
    let mut program = Vec::new();
    for part in HEY_PARTS {
        match random.below(3) {
            0 => program.extend([op::ADD, part]),
            1 => program.extend([op::ADD, part % 2, op::ADD, part / 2, op::ADD, part / 2]),
            _ => {
                let [less] = random.bytes();
                program.extend([op::SUBTRACT, less, op::ADD, part.wrapping_add(less)]);
            }
        }
    }
    let skipped = 1 + random.below(SKIPPED_BYTES_MAX);
    program.extend([op::SKIP, skipped as u8]);
    program.extend(std::iter::repeat_with(|| random.bytes::<1>()[0]).take(skipped));
    program.push(op::STOP);
    program
}

/// Runs the program at the start of `packet`: its result and what follows it, or nothing when it does not stop.
fn run(packet: &[u8]) -> Option<(u8, &[u8])> {
    let mut a = 0u8;
    let mut rest = packet;
    loop {
        let (code, after) = rest.split_first()?;
        rest = after;
        if *code == op::STOP {
            return Some((a, rest));
        }
        if *code > op::MULTIPLY {
            continue;
        }
        let (n, after) = rest.split_first()?;
        rest = after;
        match *code {
            op::SET => a = *n,
            op::SKIP => rest = rest.get(usize::from(*n)..)?,
            op::OR => a |= n,
            op::AND => a &= n,
            op::XOR => a ^= n,
            op::ADD => a = a.wrapping_add(*n),
            op::SUBTRACT => a = a.wrapping_sub(*n),
            _ => a = a.wrapping_mul(*n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_we_make_computes_117_and_leaves_the_rest() {
        let mut random = Random::new([5; 32]);
        for _ in 0..1000 {
            let mut packet = program(&mut random);
            assert!((10..=27).contains(&packet.len()), "{packet:?}");
            packet.extend(b"rest");
            assert_eq!(run(&packet), Some((HEY, &b"rest"[..])), "{packet:?}");
        }
    }

    #[test]
    fn programs_compute_as_the_spec_says() {
        let check = |program: &[u8], expected: Option<(u8, &[u8])>| {
            assert_eq!(run(program), expected, "{program:?}");
        };
        check(&[1, 117, 0, 9], Some((117, &[9])));
        check(&[3, 6, 4, 3, 5, 1, 8, 5, 0], Some((15, &[])));
        check(&[0xfe, 6, 200, 0xc0, 6, 200, 7, 1, 0], Some((143, &[])));
        check(&[2, 2, 0, 0, 1, 5, 0], Some((5, &[])));
        check(&[2, 9, 0], None);
        check(&[1], None);
        check(&[0x82, 0x82], None);
    }
}
