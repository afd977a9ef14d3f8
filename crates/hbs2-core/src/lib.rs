//! Formats and cryptography of HBS2: bytes in, values out.
//!
//! This crate is floor 0 of the house: no file, socket, clock, randomness, thread or global lives here.
//! Whatever needs the time or random bytes takes them as an argument. One noun of the format has one file
//! here, one page in `docs/spec/` and one folder of vectors.
//!
//! Everything structured is CBOR in the exact dialect of [`cbor`]; everything that has a name is named by its
//! [`struct@Hash`]. [`cbor::Encode`] and [`cbor::Decode`] are the two traits every noun implements.

pub mod addr;
pub mod armour;
pub mod base58;
pub mod bundle;
pub mod cbor;
pub mod groupkey;
pub mod hash;
pub mod inspect;
pub mod kdf;
pub mod key;
pub mod keyring;
pub mod limits;
pub mod lwwref;
pub mod mailbox;
pub mod nacl;
pub mod order;
pub mod pointer;
pub mod refchan;
pub mod refkey;
pub mod reflog;
pub mod sealed;
pub mod sigil;
pub mod signed;
pub mod tree;

pub use addr::{PeerAddr, Transport};
pub use cbor::{Decode, DecodeError, Encode};
pub use groupkey::{GroupKey, GroupKeyId, GroupSecret};
pub use hash::Hash;
pub use key::{EncryptPublicKey, EncryptSecretKey, SignPublicKey, SignSecretKey, Signature};
pub use keyring::{Keyring, KeyringEntry};
pub use lwwref::LwwRef;
pub use mailbox::Message;
pub use pointer::{AnnotatedRef, SequentialRef};
pub use refchan::{ChanHead, ChanUpdate};
pub use refkey::RefKind;
pub use reflog::ReflogUpdate;
pub use sealed::SealedBlock;
pub use sigil::{Sigil, SigilData};
pub use signed::{Blob, Signed, Verified};
pub use tree::{AnnotatedTree, Crypt, Meta, Shape, Tree};
