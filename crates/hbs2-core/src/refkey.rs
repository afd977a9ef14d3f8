//! Where a mutable reference lies in the store: its key as a hash (docs/spec/refkey.md).
//!
//! A reference is named by a public signing key and its kind. The store knows it by
//! BLAKE2b-256(prefix of the kind ‖ CBOR of the public key).

use zeroize::Zeroizing;

use crate::cbor::{Encode, Encoder};
use crate::keyring::KeyringEntry;
use crate::{Hash, SignPublicKey};

/// The kinds of mutable reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefKind {
    /// Set of signed updates; the value is the root of a tree of update blocks.
    Reflog,
    /// Last writer wins; the value is the block of a signed [`LwwRef`](crate::LwwRef).
    Lww,
    /// Any hash, local to one store, set without a signature.
    Any,
    /// Head of a refchan; the value is the root of the data tree of the signed head.
    ChanHead,
    /// Log of a refchan; the value is the root of a tree of transaction blocks.
    ChanLog,
    /// Mailbox; the value is the root of a tree of entry blocks.
    Mailbox,
}

impl RefKind {
    /// The key under which a store keeps the reference of this kind and public key.
    #[must_use]
    pub fn key(self, public: &SignPublicKey) -> Hash {
        Hash::of_parts([self.prefix().as_bytes(), &public.to_bytes()])
    }

    /// The key under which a store keeps the log of the notices of a refchan.
    #[must_use]
    pub fn notices(chan: &SignPublicKey) -> Hash {
        let mut e = Encoder::new();
        e.array(2);
        e.text("refchan-notify-log-key");
        chan.encode(&mut e);
        Hash::of(&e.into_bytes())
    }

    /// The key under which a store keeps the group key with which the owner of `own` seals notices for the readers of
    /// the refchan head whose tree has the root `head`.
    #[must_use]
    pub fn notice_key(head: &Hash, own: &KeyringEntry) -> Hash {
        let mut secret = Encoder::new();
        own.encode(&mut secret);
        let mut e = Encoder::new();
        e.array(2);
        head.encode(&mut e);
        e.inner_hash(&Hash::of(&Zeroizing::new(secret.into_bytes())));
        Hash::of(&e.into_bytes())
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Reflog => "reflogkey|",
            Self::Lww => "lwwrefkey|",
            Self::Any => "anyref|",
            Self::ChanHead => "refchanhead|",
            Self::ChanLog => "refchanlog|",
            Self::Mailbox => "mailboxv1|",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SignSecretKey;

    #[test]
    fn the_kind_separates_references_of_one_key() {
        let key = SignSecretKey::from_seed(&[1; 32]).public();
        assert_eq!(RefKind::Reflog.key(&key).to_string(), "Hf1tX6VwNAJLAt4vRDT3sfaxunZFSS2PvZeyFFYJB47y");
        assert_eq!(RefKind::Lww.key(&key).to_string(), "3H2AreJUzFZbX3w8e7QHFDEu4nbj9zDHvrAFTdKivXRj");
    }
}
