//! One request or reply on the socket (spec: wire 1.3, 1.6).
//!
//! A frame is a length (`u32`, big-endian) and that many bytes of payload. A length of 0 is a keep-alive, which
//! the daemon answers with a length of 0. The payload is an envelope `[service, LBS message]`; the messages are
//!
//! * request `[0, number, LBS [method, LBS input]]`
//! * response `[1, number, Either Fault (LBS output)]`, with the number of its request.
//!
//! `LBS` is the lazy byte string: we write one chunk, we read any number. So a block of a put lies in one piece
//! in the frame, and four heads around it.

use bytes::Bytes;
use hbs2_core::cbor::{DecodeError, Decoder};

use crate::api::{NOTIFICATION_SERVICES, is_own};
use crate::value::{Parts, Value, Writer};

/// Longest payload we accept or send, in bytes. A bulk call has up to
/// [`BULK_BYTES_MAX`](crate::api::node::BULK_BYTES_MAX) of blocks and a few KiB around them; the rest is room
/// for a later, larger bulk call. A longer frame closes its connection.
pub const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Length of the length, in bytes.
pub const HEAD_BYTES: usize = 4;

/// Text of a failure, at most, in bytes; a longer one is cut.
const REASON_BYTES_MAX: usize = 2048;

/// Why a call has no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The daemon has no such method.
    #[error("the daemon does not know this call")]
    NotFound,
    /// The input is not what the method takes.
    #[error("the daemon cannot read the input of this call")]
    BadRequest,
    /// The method failed; the original's services cannot say why.
    #[error("the daemon failed to answer")]
    BadResponse,
    /// The method failed, for this reason. Crosses the socket for our own services only; for the others it
    /// becomes [`Fault::BadResponse`].
    #[error("{reason}")]
    Failed {
        /// What the daemon could not do, and why.
        reason: String,
    },
}

impl Fault {
    /// A failure with its reason.
    pub fn failed(reason: impl ToString) -> Self {
        Self::Failed { reason: reason.to_string() }
    }
}

/// A request as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Id of the service.
    pub service: u64,
    /// The client's number for this request.
    pub number: u64,
    /// Index of the method.
    pub method: u64,
    /// CBOR of the input.
    pub input: Bytes,
}

/// A response as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Id of the service.
    pub service: u64,
    /// Number of the request it answers.
    pub number: u64,
    /// CBOR of the output, or why there is none.
    pub outcome: Result<Bytes, Fault>,
}

/// The keep-alive frame, in both directions.
#[must_use]
pub fn keep_alive() -> Parts {
    Parts::from(Bytes::from_static(&[0; HEAD_BYTES]))
}

/// The frame of a request, its length included.
#[must_use]
pub fn request(service: u64, number: u64, method: u64, input: &Parts) -> Parts {
    let mut call = Writer::default();
    call.cbor().array(2);
    call.cbor().uint(method);
    call.lazy_parts(input);
    let mut message = Writer::default();
    message.cbor().variant(REQUEST, 2);
    message.cbor().uint(number);
    message.lazy_parts(&call.into_parts());
    envelope(service, &message.into_parts())
}

/// The frame of a response, its length included.
#[must_use]
pub fn response(service: u64, number: u64, outcome: Result<&Parts, &Fault>) -> Parts {
    let mut message = Writer::default();
    message.cbor().variant(RESPONSE, 2);
    message.cbor().uint(number);
    match outcome {
        Ok(output) => {
            message.cbor().variant(RIGHT, 1);
            message.lazy_parts(output);
        }
        Err(fault) => {
            message.cbor().variant(LEFT, 1);
            write_fault(fault, is_own(service), &mut message);
        }
    }
    envelope(service, &message.into_parts())
}

impl Request {
    /// Reads the payload of a frame. The input is a slice of it.
    ///
    /// # Errors
    /// The payload is not a request.
    pub fn read(payload: &Bytes) -> Result<Self, DecodeError> {
        let (service, message) = open_envelope(payload)?;
        let mut d = Decoder::new(&message);
        if d.variant()? != (REQUEST, 2) {
            return Err(DecodeError::new(0, "a request"));
        }
        let number = d.uint()?;
        let call = Bytes::read(&mut d, &message)?;
        let mut d = Decoder::new(&call);
        d.tuple(2)?;
        Ok(Self { service, number, method: d.uint()?, input: Bytes::read(&mut d, &call)? })
    }
}

/// Whether the payload of a frame belongs to the notifications of the original.
#[must_use]
pub fn is_notification(payload: &Bytes) -> bool {
    open_envelope(payload).is_ok_and(|(service, _)| NOTIFICATION_SERVICES.contains(&service))
}

impl Response {
    /// Reads the payload of a frame. The output is a slice of it.
    ///
    /// # Errors
    /// The payload is not a response.
    pub fn read(payload: &Bytes) -> Result<Self, DecodeError> {
        let (service, message) = open_envelope(payload)?;
        let mut d = Decoder::new(&message);
        if d.variant()? != (RESPONSE, 2) {
            return Err(DecodeError::new(0, "a response"));
        }
        let number = d.uint()?;
        let outcome = match d.variant()? {
            (LEFT, 1) => Err(read_fault(&mut d)?),
            (RIGHT, 1) => Ok(Bytes::read(&mut d, &message)?),
            _ => return Err(d.error("an outcome")),
        };
        Ok(Self { service, number, outcome })
    }
}

const REQUEST: u64 = 0;
const RESPONSE: u64 = 1;
const LEFT: u64 = 0;
const RIGHT: u64 = 1;

fn envelope(service: u64, message: &Parts) -> Parts {
    let mut payload = Writer::default();
    payload.cbor().array(2);
    payload.cbor().uint(service);
    payload.lazy_parts(message);
    let payload = payload.into_parts();
    let mut frame = Writer::default();
    // A payload beyond 4 GiB has no length of 32 bits. Both sides check the cap on the result, and it is far
    // below; the largest length stands for "too long" until they do.
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    frame.cbor().raw(&len.to_be_bytes());
    frame.raw_parts(&payload);
    frame.into_parts()
}

fn open_envelope(payload: &Bytes) -> Result<(u64, Bytes), DecodeError> {
    let mut d = Decoder::new(payload);
    d.tuple(2)?;
    Ok((d.uint()?, Bytes::read(&mut d, payload)?))
}

fn write_fault(fault: &Fault, with_reason: bool, w: &mut Writer) {
    match fault {
        Fault::NotFound => w.cbor().variant(0, 0),
        Fault::BadRequest => w.cbor().variant(1, 0),
        Fault::Failed { reason } if with_reason => {
            w.cbor().variant(3, 1);
            let end = reason.floor_char_boundary(REASON_BYTES_MAX);
            w.cbor().text(&reason[..end]);
        }
        Fault::BadResponse | Fault::Failed { .. } => w.cbor().variant(2, 0),
    }
}

fn read_fault(d: &mut Decoder<'_>) -> Result<Fault, DecodeError> {
    match d.variant()? {
        (0, 0) => Ok(Fault::NotFound),
        (1, 0) => Ok(Fault::BadRequest),
        (2, 0) => Ok(Fault::BadResponse),
        (3, 1) => Ok(Fault::Failed { reason: d.text()?.to_owned() }),
        _ => Err(d.error("a fault")),
    }
}
