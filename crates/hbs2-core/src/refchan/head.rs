//! The head of a channel: its rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::limits::{CHAN_EXTENSIONS_MAX, CHAN_KEYS_MAX};
use crate::order::sort_by_table;
use crate::{EncryptPublicKey, Hash, SignPublicKey};

/// The rules of a channel: CBOR
/// `[2, version, quorum, wait, {peer: weight}, authors, readers, notifiers, extension bytes]`. Heads of two older
/// forms, without notifiers and without readers, are read too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChanHead {
    /// Number of this head; a higher one replaces it. At least 1 in a head that is to be taken.
    pub version: u64,
    /// Acceptances that a proposal needs.
    pub quorum: u64,
    /// How long peers wait for them, in seconds.
    pub wait: u64,
    /// Peers that bring and accept proposals. Nothing has a use for the weights.
    pub peers: BTreeMap<SignPublicKey, i128>,
    /// Who may write.
    pub authors: BTreeSet<SignPublicKey>,
    /// Keys for which programs seal what they write.
    pub readers: BTreeSet<EncryptPublicKey>,
    /// Who may send notices beside the authors.
    pub notifiers: BTreeSet<SignPublicKey>,
    /// CBOR of the extensions, or nothing.
    pub extension: Vec<u8>,
}

impl ChanHead {
    /// Whether `key` is a peer of the channel.
    #[must_use]
    pub fn has_peer(&self, key: &SignPublicKey) -> bool {
        self.peers.contains_key(key)
    }

    /// Whether a proposal by this author may come from this peer.
    #[must_use]
    pub fn allows_proposal(&self, peer: &SignPublicKey, author: &SignPublicKey) -> bool {
        self.has_peer(peer) && self.authors.contains(author)
    }

    /// Whether `key` may send notices.
    #[must_use]
    pub fn allows_notice(&self, key: &SignPublicKey) -> bool {
        self.authors.contains(key) || self.notifiers.contains(key)
    }

    /// Acceptances that a proposal needs, by different peers. No proposal is admitted by nobody.
    #[must_use]
    pub fn votes_needed(&self) -> u64 {
        self.quorum.max(1)
    }

    /// The disclosed credentials that the extensions name.
    #[must_use]
    pub fn disclosed(&self) -> Vec<Hash> {
        extensions(&self.extension).iter().filter_map(|item| disclosure(item)).collect()
    }

    /// Writes the extensions anew: these disclosed credentials and nothing else.
    pub fn disclose(&mut self, hashes: &[Hash]) {
        let mut e = Encoder::new();
        e.variant(0, 1);
        e.list(hashes, |e, hash| {
            let mut item = Encoder::new();
            item.variant(0, 1);
            item.variant(0, 1);
            hash.encode(&mut item);
            e.lazy_bytes(&item.into_bytes());
        });
        self.extension = e.into_bytes();
    }

    /// How many extensions there are.
    #[must_use]
    pub fn extensions(&self) -> usize {
        extensions(&self.extension).len()
    }

    /// The peers in the order in which the original lists them.
    #[must_use]
    pub(super) fn listed_peers(&self) -> Vec<(SignPublicKey, i128)> {
        let mut peers: Vec<_> = self.peers.iter().map(|(key, weight)| (*key, *weight)).collect();
        sort_by_table(&mut peers, |(key, _)| key.as_bytes());
        peers
    }
}

/// Sign keys in the order in which the original lists them.
pub(super) fn listed(keys: &BTreeSet<SignPublicKey>) -> Vec<SignPublicKey> {
    let mut keys: Vec<_> = keys.iter().copied().collect();
    sort_by_table(&mut keys, |key| key.as_bytes());
    keys
}

/// Encryption keys in the order in which the original lists them.
pub(super) fn listed_readers(keys: &BTreeSet<EncryptPublicKey>) -> Vec<EncryptPublicKey> {
    let mut keys: Vec<_> = keys.iter().copied().collect();
    sort_by_table(&mut keys, |key| key.as_bytes());
    keys
}

/// The items of the extension; none when it is empty or something else.
fn extensions(bytes: &[u8]) -> Vec<Vec<u8>> {
    let d = &mut Decoder::new(bytes);
    let read = d
        .record(1)
        .and_then(|()| d.list(CHAN_EXTENSIONS_MAX, |d| d.lazy_bytes().map(std::borrow::Cow::into_owned)));
    read.unwrap_or_default()
}

fn disclosure(item: &[u8]) -> Option<Hash> {
    let d = &mut Decoder::new(item);
    d.record(1).ok()?;
    d.record(1).ok()?;
    Hash::decode(d).ok()
}

impl Encode for ChanHead {
    fn encode(&self, e: &mut Encoder) {
        e.variant(2, 8);
        e.uint(self.version);
        e.uint(self.quorum);
        e.uint(self.wait);
        e.map(self.peers.len());
        for (key, weight) in self.listed_peers() {
            key.encode(e);
            e.integer(weight);
        }
        let signers = |e: &mut Encoder, keys| {
            let keys = listed(keys);
            e.array(keys.len());
            keys.iter().for_each(|key| key.encode(e));
        };
        signers(e, &self.authors);
        e.array(self.readers.len());
        listed_readers(&self.readers).iter().for_each(|key| key.encode(e));
        signers(e, &self.notifiers);
        e.bytes(&self.extension);
    }
}

impl Decode for ChanHead {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let form = match d.variant()? {
            (0, 5) => 0,
            (1, 7) => 1,
            (2, 8) => 2,
            _ => return Err(d.error("one of the three forms of a head")),
        };
        let mut head = Self {
            version: d.uint()?,
            quorum: d.uint()?,
            wait: d.uint()?,
            peers: decode_peers(d)?,
            authors: decode_keys(d)?,
            ..Self::default()
        };
        if form >= 1 {
            head.readers = decode_keys(d)?;
        }
        if form == 2 {
            head.notifiers = decode_keys(d)?;
        }
        if form >= 1 {
            head.extension = d.bytes()?.to_vec();
        }
        Ok(head)
    }
}

fn decode_peers(d: &mut Decoder<'_>) -> Result<BTreeMap<SignPublicKey, i128>, DecodeError> {
    let start = d.at();
    let count = d.map()?;
    check_count(start, count)?;
    let mut peers = BTreeMap::new();
    for _ in 0..count {
        peers.insert(SignPublicKey::decode(d)?, d.integer()?);
    }
    Ok(peers)
}

fn decode_keys<K: Decode + Ord>(d: &mut Decoder<'_>) -> Result<BTreeSet<K>, DecodeError> {
    let start = d.at();
    let count = d.array()?;
    check_count(start, count)?;
    (0..count).map(|_| K::decode(d)).collect()
}

fn check_count(start: usize, count: u64) -> Result<(), DecodeError> {
    if count > CHAN_KEYS_MAX as u64 {
        return Err(DecodeError::new(start, format!("at most {CHAN_KEYS_MAX} keys")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SignPublicKey {
        SignPublicKey::from_bytes([byte; 32])
    }

    #[test]
    fn a_head_says_who_may_what() {
        let head = ChanHead {
            peers: BTreeMap::from([(key(1), 1)]),
            authors: BTreeSet::from([key(2)]),
            notifiers: BTreeSet::from([key(3)]),
            ..ChanHead::default()
        };
        assert!(head.allows_proposal(&key(1), &key(2)));
        assert!(!head.allows_proposal(&key(2), &key(2)) && !head.allows_proposal(&key(1), &key(3)));
        assert!(head.allows_notice(&key(2)) && head.allows_notice(&key(3)) && !head.allows_notice(&key(1)));
        assert_eq!(head.votes_needed(), 1, "nothing is admitted by nobody");
    }

    #[test]
    fn older_heads_are_read() {
        let mut e = Encoder::new();
        e.variant(0, 5);
        (1..=3).for_each(|number| e.uint(number));
        e.map(0);
        e.array(1);
        key(2).encode(&mut e);
        let head = ChanHead::from_bytes(&e.into_bytes()).unwrap();
        assert_eq!((head.version, head.quorum, head.wait), (1, 2, 3));
        assert_eq!((head.authors.len(), head.readers.len(), head.extensions()), (1, 0, 0));
    }

    #[test]
    fn disclosed_credentials_are_read_back() {
        let mut head = ChanHead::default();
        assert_eq!(head.disclosed(), []);
        let hashes = [Hash::of(b"a"), Hash::of(b"b")];
        head.disclose(&hashes);
        assert_eq!((head.disclosed(), head.extensions()), (hashes.to_vec(), 2));
        head.disclose(&[]);
        assert_eq!(head.extension, [0x82, 0x00, 0x80]);
    }
}
