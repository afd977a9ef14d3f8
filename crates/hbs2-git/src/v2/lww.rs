//! The value of the lwwref: one block that names the reflog and the seed of its key (docs/spec/git2.md).

use hbs2_core::SignPublicKey;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

/// Where the transactions are: CBOR `[0, [0, seed, reflog]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LwwBlock {
    /// From this and the owner's secret key grows the key of the reflog.
    pub seed: u64,
    /// The reflog.
    pub reflog: SignPublicKey,
}

impl Encode for LwwBlock {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        e.variant(0, 2);
        e.uint(self.seed);
        self.reflog.encode(e);
    }
}

impl Decode for LwwBlock {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        d.record(2)?;
        Ok(Self { seed: d.uint()?, reflog: SignPublicKey::decode(d)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_blocks_are_none() {
        for bytes in [&b""[..], b"hello", &[0x82, 0, 0x83, 0, 1], &[0x82, 1, 0x9f, 0xff]] {
            assert!(LwwBlock::from_bytes(bytes).is_err());
        }
    }
}
