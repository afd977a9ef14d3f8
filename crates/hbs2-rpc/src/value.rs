//! Inputs and outputs as CBOR, without copying block bytes.
//!
//! [`Value`] is what [`Encode`] and [`Decode`] are for the formats, for everything that crosses the socket. A
//! large byte string is *shared*: a [`Writer`] keeps the `Bytes` beside the CBOR heads around it and the socket
//! gets both in one vectored write; a reader returns slices of the frame as it was read. A slice keeps its
//! whole frame alive: who keeps a block for long copies it.

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::lwwref::LwwRef;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Hash, SignPublicKey, Signed};

/// A value that crosses the socket.
pub trait Value: Sized {
    /// Appends the value to `w`.
    fn write(&self, w: &mut Writer);

    /// Reads the value at the decoder's place. `frame` is the buffer that `d` reads; large byte strings come
    /// out as slices of it.
    ///
    /// # Errors
    /// The bytes are not this value.
    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError>;

    /// The value as the pieces of its CBOR form.
    fn to_parts(&self) -> Parts {
        let mut w = Writer::default();
        self.write(&mut w);
        w.into_parts()
    }

    /// Reads the value at the start of `frame`; trailing bytes are ignored.
    ///
    /// # Errors
    /// The bytes are not this value.
    fn from_frame(frame: &Bytes) -> Result<Self, DecodeError> {
        Self::read(&mut Decoder::new(frame), frame)
    }
}

/// Pieces of one byte string, in order. Cheap to wrap and to write, never joined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    pieces: Vec<Bytes>,
    bytes: usize,
}

impl Parts {
    /// Length of the whole, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether the whole is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The pieces.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The whole as one piece; copies unless it is one already.
    #[must_use]
    pub fn join(&self) -> Bytes {
        match self.pieces.as_slice() {
            [one] => one.clone(),
            pieces => pieces.concat().into(),
        }
    }

    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push(piece);
        }
    }
}

impl From<Bytes> for Parts {
    fn from(piece: Bytes) -> Self {
        let mut parts = Self::default();
        parts.push(piece);
        parts
    }
}

/// A byte string from which on sharing is cheaper than copying, in bytes: one more entry in a vectored write
/// and a count of references cost about as much as copying this much.
const SHARED_BYTES_MIN: usize = 4 * 1024;

/// Appends values; keeps large byte strings as they are.
#[derive(Debug, Default)]
pub struct Writer {
    done: Parts,
    cbor: Encoder,
}

impl Writer {
    /// The encoder for everything but large byte strings.
    pub fn cbor(&mut self) -> &mut Encoder {
        &mut self.cbor
    }

    /// A lazy byte string of one chunk.
    pub fn lazy_bytes(&mut self, bytes: &Bytes) {
        self.lazy_parts(&Parts::from(bytes.clone()));
    }

    /// A lazy byte string of one chunk that comes in pieces.
    pub fn lazy_parts(&mut self, parts: &Parts) {
        self.cbor.raw(&[LAZY]);
        if !parts.is_empty() {
            self.cbor.raw(bytes_head(parts.len()).as_slice());
            self.raw_parts(parts);
        }
        self.cbor.raw(&[BREAK]);
    }

    /// What has been written.
    #[must_use]
    pub fn into_parts(mut self) -> Parts {
        self.flush();
        self.done
    }

    /// Bytes that are CBOR already.
    pub(crate) fn raw_parts(&mut self, parts: &Parts) {
        for piece in parts.pieces() {
            if piece.len() < SHARED_BYTES_MIN {
                self.cbor.raw(piece);
            } else {
                self.flush();
                self.done.push(piece.clone());
            }
        }
    }

    fn flush(&mut self) {
        let written = std::mem::take(&mut self.cbor).into_bytes();
        self.done.push(written.into());
    }
}

const LAZY: u8 = 0x5f;
const LIST: u8 = 0x9f;
const BREAK: u8 = 0xff;

/// Head of a definite byte string of `len` bytes.
fn bytes_head(len: usize) -> Vec<u8> {
    const BYTE_STRING: u8 = 0x40;
    let mut head = Encoder::new();
    head.uint(len as u64);
    let mut head = head.into_bytes();
    head[0] |= BYTE_STRING;
    head
}

/// Items of a list we read, at most. The longest list of the contract is the leaves of a tree
/// ([`LEAVES_MAX`](crate::api::node::LEAVES_MAX)); a list item has at least one byte, so a frame of the largest
/// size cannot make us reserve more than its own size before this limit stops it.
const LIST_ITEMS_MAX: usize = 128 * 1024;

/// Makes values of the core values of the contract.
macro_rules! core_values {
    ($($name:ty),+) => {$(
        impl $crate::value::Value for $name {
            fn write(&self, w: &mut Writer) {
                self.encode(w.cbor());
            }

            fn read(d: &mut Decoder<'_>, _: &Bytes) -> Result<Self, DecodeError> {
                Self::decode(d)
            }
        }
    )+};
}

pub(crate) use core_values;

core_values!(Hash, SignPublicKey, PeerAddr, LwwRef, ReflogUpdate);

impl<T> Value for Signed<T> {
    fn write(&self, w: &mut Writer) {
        self.encode(w.cbor());
    }

    fn read(d: &mut Decoder<'_>, _: &Bytes) -> Result<Self, DecodeError> {
        Self::decode(d)
    }
}

impl Value for () {
    fn write(&self, w: &mut Writer) {
        w.cbor().null();
    }

    fn read(d: &mut Decoder<'_>, _: &Bytes) -> Result<Self, DecodeError> {
        d.null()
    }
}

impl Value for bool {
    fn write(&self, w: &mut Writer) {
        w.cbor().bool(*self);
    }

    fn read(d: &mut Decoder<'_>, _: &Bytes) -> Result<Self, DecodeError> {
        d.bool()
    }
}

/// Word, and the `Int` and `Integer` that are never negative.
impl Value for u64 {
    fn write(&self, w: &mut Writer) {
        w.cbor().uint(*self);
    }

    fn read(d: &mut Decoder<'_>, _: &Bytes) -> Result<Self, DecodeError> {
        d.uint()
    }
}

/// `Text` and `String` of the original.
impl Value for String {
    fn write(&self, w: &mut Writer) {
        w.cbor().text(self);
    }

    fn read(d: &mut Decoder<'_>, _: &Bytes) -> Result<Self, DecodeError> {
        d.text().map(str::to_owned)
    }
}

/// The lazy byte string of the original.
impl Value for Bytes {
    fn write(&self, w: &mut Writer) {
        w.lazy_bytes(self);
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        Ok(match d.lazy_bytes()? {
            std::borrow::Cow::Borrowed(slice) => frame.slice_ref(slice),
            std::borrow::Cow::Owned(joined) => joined.into(),
        })
    }
}

impl<T: Value> Value for Option<T> {
    fn write(&self, w: &mut Writer) {
        match self {
            None => w.cbor().array(0),
            Some(value) => {
                w.cbor().array(1);
                value.write(w);
            }
        }
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        d.maybe(|d| T::read(d, frame))
    }
}

impl<T: Value> Value for Vec<T> {
    fn write(&self, w: &mut Writer) {
        if self.is_empty() {
            w.cbor().array(0);
            return;
        }
        w.cbor().raw(&[LIST]);
        for item in self {
            item.write(w);
        }
        w.cbor().raw(&[BREAK]);
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        d.list(LIST_ITEMS_MAX, |d| T::read(d, frame))
    }
}

impl<A: Value, B: Value> Value for (A, B) {
    fn write(&self, w: &mut Writer) {
        w.cbor().array(2);
        self.0.write(w);
        self.1.write(w);
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        d.tuple(2)?;
        Ok((A::read(d, frame)?, B::read(d, frame)?))
    }
}

impl<A: Value, B: Value, C: Value> Value for (A, B, C) {
    fn write(&self, w: &mut Writer) {
        w.cbor().array(3);
        self.0.write(w);
        self.1.write(w);
        self.2.write(w);
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        d.tuple(3)?;
        Ok((A::read(d, frame)?, B::read(d, frame)?, C::read(d, frame)?))
    }
}

/// Defines a struct of public fields that crosses as `[0, field…]`.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl $crate::value::Value for $name {
            fn write(&self, w: &mut $crate::value::Writer) {
                w.cbor().variant(0, [$(stringify!($field)),+].len());
                $(self.$field.write(w);)+
            }

            fn read(
                d: &mut hbs2_core::cbor::Decoder<'_>,
                frame: &bytes::Bytes,
            ) -> Result<Self, hbs2_core::cbor::DecodeError> {
                d.record([$(stringify!($field)),+].len() as u64)?;
                Ok(Self { $($field: $crate::value::Value::read(d, frame)?,)+ })
            }
        }
    };
}
pub(crate) use record;
