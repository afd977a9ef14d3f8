//! What the words of HBS2 find wrong.

use hbs2_core::groupkey::GroupKeyError;
use hbs2_core::keyring::KeyringError;
use hbs2_core::mailbox::MessageError;
use hbs2_core::reflog::ReflogError;
use hbs2_core::sealed::SealedBlockError;
use hbs2_core::sigil::SigilError;
use hbs2_core::tree::sealed::CryptError;
use hbs2_core::{DecodeError, Hash, SignPublicKey};
use hbs2_script::Raised;

/// A value is not what its word needs.
#[derive(Debug, thiserror::Error)]
pub enum WordError {
    /// A text is no keyring.
    #[error("cannot read the keyring")]
    Keyring(#[source] KeyringError),
    /// A text is no group key, or one cannot be made.
    #[error("invalid group key")]
    GroupKey(#[source] GroupKeyError),
    /// A text is no sigil, or a false one.
    #[error("invalid sigil")]
    Sigil(#[source] SigilError),
    /// A keyring has no such encryption key.
    #[error("the keyring has no encryption key {wanted}")]
    NoEncryptKey {
        /// A number or the begin of a key.
        wanted: String,
    },
    /// Bytes are not what they must be.
    #[error("these bytes are not {expected}")]
    Bytes {
        /// What they must be.
        expected: &'static str,
        /// Where they went wrong.
        source: DecodeError,
    },
    /// A sealed block does not open.
    #[error(transparent)]
    Sealed(#[from] SealedBlockError),
    /// A tree is sealed in a way that we do not write.
    #[error("cannot give {hash} another group key")]
    Crypt {
        /// The tree.
        hash: Hash,
        /// Why.
        source: CryptError,
    },
    /// A tree is not sealed.
    #[error("the content of {hash} is not sealed")]
    NotSealed {
        /// The tree.
        hash: Hash,
    },
    /// A letter has a line in its head that is none.
    #[error("the head of {file} has a line '{line}', expected: sender SIGIL-HASH or recipient SIGIL-HASH")]
    Letter {
        /// The file.
        file: String,
        /// The line.
        line: String,
    },
    /// A letter has no sender.
    #[error("the message has no sender")]
    NoSender,
    /// A message cannot be made.
    #[error("cannot make the message")]
    Message(#[source] MessageError),
    /// A group key for a channel has nobody who could publish it.
    #[error("no secret key is known of any author of refchan {chan}")]
    NoAuthor {
        /// The channel.
        chan: SignPublicKey,
    },
    /// A log entry is not signed by its log.
    #[error(transparent)]
    Entry(#[from] ReflogError),
}

impl From<WordError> for Raised {
    fn from(error: WordError) -> Self {
        Self::host(error)
    }
}
