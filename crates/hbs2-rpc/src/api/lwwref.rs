//! Service LWWRef: references whose last writer wins.

use bytes::Bytes;
use hbs2_core::cbor::{DecodeError, Decoder};
use hbs2_core::lwwref::LwwRef;
use hbs2_core::{SignPublicKey, Signed};

use super::{SMALL_OUTPUT_BYTES, methods};
use crate::value::{Value, Writer};

/// Id of the service.
pub const ID: u64 = 16_267_229_472_009_458_342;

methods! { "lwwref" ID:
    /// Value of the reference.
    0 Get "get" (LwwKey) -> Option<LwwRef>, SMALL_OUTPUT_BYTES;
    /// Sets the reference, stores the box and passes it on.
    1 Update "update" (Signed<LwwRef>) -> (), SMALL_OUTPUT_BYTES;
    /// Asks the neighbours for the reference now; answers at once.
    2 Fetch "fetch" (LwwKey) -> (), SMALL_OUTPUT_BYTES;
}

/// Name of an LWW reference: `[0, SignPK]`, the key wrapped once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LwwKey(pub SignPublicKey);

impl Value for LwwKey {
    fn write(&self, w: &mut Writer) {
        w.cbor().variant(0, 1);
        self.0.write(w);
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        d.record(1)?;
        SignPublicKey::read(d, frame).map(Self)
    }
}
