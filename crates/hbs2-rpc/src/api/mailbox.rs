//! Service Mailbox: messages kept for a key.

use bytes::Bytes;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode};
use hbs2_core::mailbox::{Deletion, MailboxKind, MailboxStatus, PolicySetting};
use hbs2_core::{Hash, Message, SignPublicKey, Signed};

use super::{LIST_OUTPUT_BYTES, SMALL_OUTPUT_BYTES, methods};
use crate::value::{Value, Writer, core_values};

/// Id of the service.
pub const ID: u64 = 0x0560_9151_0d3b_2ec9;

methods! { "mailbox" ID:
    /// Whether the service is there.
    0 Poke "poke" (()) -> (), SMALL_OUTPUT_BYTES;
    /// Keeps a mailbox from now on.
    1 Create "create" ((MailboxKey, MailboxKind)) -> (), SMALL_OUTPUT_BYTES;
    /// Sets the policy of a mailbox; answers the tree of the policy.
    2 SetPolicy "set-policy" ((MailboxKey, Signed<PolicySetting>)) -> Outcome<Hash>, SMALL_OUTPUT_BYTES;
    /// Keeps a mailbox no more.
    3 Delete "delete" (MailboxKey) -> (), SMALL_OUTPUT_BYTES;
    /// How a mailbox is.
    4 GetStatus "get-status" (MailboxKey) -> Outcome<Option<MailboxStatus>>, SMALL_OUTPUT_BYTES;
    /// Asks the neighbours for a mailbox now; answers at once.
    5 Fetch "fetch" (MailboxKey) -> (), SMALL_OUTPUT_BYTES;
    /// The mailboxes that are kept.
    6 List "list" (()) -> Vec<(MailboxKey, MailboxKind)>, LIST_OUTPUT_BYTES;
    /// Sends a message.
    7 Send "send" (Message) -> (), SMALL_OUTPUT_BYTES;
    /// Deletes messages of a mailbox.
    8 DeleteMessages "delete-messages" (Signed<Deletion>) -> Outcome<()>, SMALL_OUTPUT_BYTES;
    /// Root of the tree of the entries, none when there are none.
    9 Get "get" (MailboxKey) -> Option<Hash>, SMALL_OUTPUT_BYTES;
}

/// Name of a mailbox. We write the bare key, and read it as well wrapped once more, `[0, key]`: the original has both
/// in its types, and which it uses where was not seen on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxKey(pub SignPublicKey);

impl Value for MailboxKey {
    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        let mut wrapped = d.clone();
        if let Ok(key) = wrapped.record(1).and_then(|()| SignPublicKey::decode(&mut wrapped)) {
            *d = wrapped;
            return Ok(Self(key));
        }
        SignPublicKey::read(d, frame).map(Self)
    }
}

/// The output of a method that may fail: `Either error value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<T>(pub Result<T, MailboxFault>);

/// Why a mailbox method failed: a constructor with a text, or with none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", text.as_deref().unwrap_or("the mailbox service failed"))]
pub struct MailboxFault {
    /// Which error of the original; ours is always the first.
    pub number: u64,
    /// What happened, if it says so.
    pub text: Option<String>,
}

impl MailboxFault {
    /// A failure with its reason.
    pub fn because(reason: impl ToString) -> Self {
        Self { number: 0, text: Some(reason.to_string()) }
    }
}

impl<T: Value> Value for Outcome<T> {
    fn write(&self, w: &mut Writer) {
        match &self.0 {
            Err(fault) => {
                w.cbor().variant(0, 1);
                w.cbor().variant(fault.number, usize::from(fault.text.is_some()));
                if let Some(text) = &fault.text {
                    w.cbor().text(text);
                }
            }
            Ok(value) => {
                w.cbor().variant(1, 1);
                value.write(w);
            }
        }
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 1) => {
                let (number, fields) = d.variant()?;
                let text = if fields == 0 { None } else { Some(d.text()?.to_owned()) };
                Ok(Self(Err(MailboxFault { number, text })))
            }
            (1, 1) => T::read(d, frame).map(|value| Self(Ok(value))),
            _ => Err(d.error("an outcome")),
        }
    }
}

core_values!(MailboxKind, MailboxStatus, Message);

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back<T: Value>(value: &T) -> T {
        T::from_frame(&value.to_parts().join()).unwrap()
    }

    #[test]
    fn outcomes_and_keys_cross() {
        let key = MailboxKey(SignPublicKey::from_bytes([3; 32]));
        assert_eq!(read_back(&key), key);
        let mut wrapped = hbs2_core::cbor::Encoder::new();
        wrapped.variant(0, 1);
        key.0.encode(&mut wrapped);
        assert_eq!(MailboxKey::from_frame(&wrapped.into_bytes().into()), Ok(key));
        let done = Outcome(Ok(Hash::of(b"x")));
        assert_eq!(read_back(&done), done);
        let failed: Outcome<Hash> = Outcome(Err(MailboxFault::because("it is so")));
        assert_eq!(read_back(&failed), failed);
        let bare: Outcome<Hash> = Outcome(Err(MailboxFault { number: 2, text: None }));
        assert_eq!(read_back(&bare), bare);
    }
}
