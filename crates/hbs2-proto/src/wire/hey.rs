//! Recognising the greeting of the encryption layer (spec: wire 1.4), which is not spoken here.
//!
//! A greeting starts with a tiny program; it is one if the program computes 117 and the rest reads as a greeting.
//! A node that ignores greetings goes on in clear text, so recognising serves only the counters.

use hbs2_core::Signed;
use hbs2_core::cbor::{Decode, DecodeError, Decoder};

/// What the program of a greeting computes.
const HEY: u8 = 117;

/// Whether `packet` is a greeting of the encryption layer.
#[must_use]
pub fn is_hey(packet: &[u8]) -> bool {
    match run(packet) {
        Some((HEY, rest)) => read(rest).is_ok(),
        _ => false,
    }
}

/// Runs the program at the start of `packet`: its result and what follows it, or nothing when it does not stop.
fn run(packet: &[u8]) -> Option<(u8, &[u8])> {
    let mut a = 0u8;
    let mut rest = packet;
    loop {
        let (op, after) = rest.split_first()?;
        if *op == 0 {
            return Some((a, after));
        }
        if !(1..=8).contains(op) {
            rest = after;
            continue;
        }
        let (n, after) = after.split_first()?;
        rest = after;
        match op {
            1 => a = *n,
            2 => rest = rest.get(usize::from(*n)..)?,
            3 => a |= n,
            4 => a &= n,
            5 => a ^= n,
            6 => a = a.wrapping_add(*n),
            7 => a = a.wrapping_sub(*n),
            _ => a = a.wrapping_mul(*n),
        }
    }
}

fn read(rest: &[u8]) -> Result<(), DecodeError> {
    let d = &mut Decoder::new(rest);
    d.record(2)?;
    d.record(1)?;
    d.u16()?;
    Signed::<()>::decode(d).map(drop)
}
