//! Protocol 13001: mailboxes (spec: wire 2.15).

use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::mailbox::{Deletion, MailboxStatus};
use hbs2_core::{Message, SignPublicKey, Signed};

/// A message of protocol 13001.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxMessage {
    /// A letter for whom it concerns.
    Send(Message),
    /// How is this mailbox?
    Check {
        /// When it was asked, in seconds since the epoch.
        seconds: Option<u64>,
        /// The mailbox.
        mailbox: SignPublicKey,
    },
    /// So, says the peer that signed it.
    Status(Signed<MailboxStatus>),
    /// The owner deletes a letter.
    Delete(Signed<Deletion>),
}

impl Encode for MailboxMessage {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        match self {
            Self::Send(message) => {
                e.variant(0, 1);
                message.encode(e);
            }
            Self::Check { seconds, mailbox } => {
                e.variant(1, 2);
                e.maybe(*seconds, Encoder::uint);
                mailbox.encode(e);
            }
            Self::Status(signed) => {
                e.variant(2, 1);
                signed.encode(e);
            }
            Self::Delete(signed) => {
                e.variant(3, 1);
                signed.encode(e);
            }
        }
    }
}

impl Decode for MailboxMessage {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        match d.variant()? {
            (0, 1) => Message::decode(d).map(Self::Send),
            (1, 2) => {
                Ok(Self::Check { seconds: d.maybe(Decoder::uint)?, mailbox: SignPublicKey::decode(d)? })
            }
            (2, 1) => Signed::decode(d).map(Self::Status),
            (3, 1) => Signed::decode(d).map(Self::Delete),
            _ => Err(d.error("a message about mailboxes")),
        }
    }
}
