//! Bans of the owner, which outlive a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::SignPublicKey;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::io::status::{BanSource, BanStatus};

/// Bans of the owner, at most. They are one record of the store, of some 50 bytes each.
pub(crate) const OWNER_BANS_MAX: usize = 4096;

/// Peers that the owner has banned.
#[derive(Debug, Default)]
pub(crate) struct OwnerBans {
    /// Until when, in seconds since 1970; none for ever.
    until: BTreeMap<SignPublicKey, Option<u64>>,
}

impl OwnerBans {
    /// Bans a peer; false when there are too many.
    pub(crate) fn add(&mut self, unix_seconds: Option<u64>, key: SignPublicKey, until: Option<u64>) -> bool {
        if self.until.len() >= OWNER_BANS_MAX {
            self.until.retain(|_, until| is_running(unix_seconds, *until));
        }
        let fits = self.until.len() < OWNER_BANS_MAX || self.until.contains_key(&key);
        if fits {
            self.until.insert(key, until);
        }
        fits
    }

    /// Lifts a ban; whether there was one.
    pub(crate) fn remove(&mut self, key: &SignPublicKey) -> bool {
        self.until.remove(key).is_some()
    }

    /// Whether a peer is banned. As long as the clock is not known no ban is over.
    pub(crate) fn has(&self, unix_seconds: Option<u64>, key: &SignPublicKey) -> bool {
        self.until.get(key).is_some_and(|until| is_running(unix_seconds, *until))
    }

    pub(crate) fn statuses(&self, unix_seconds: Option<u64>) -> impl Iterator<Item = BanStatus> {
        let running = self.until.iter().filter(move |(_, until)| is_running(unix_seconds, **until));
        running.map(move |(key, until)| {
            let left =
                until.map(|until| Duration::from_secs(until.saturating_sub(unix_seconds.unwrap_or(0))));
            BanStatus { key: *key, source: BanSource::Owner, left }
        })
    }

    /// The record: `[0, [[0, key, until]…]]`, with 0 for ever.
    pub(crate) fn to_record(&self) -> Bytes {
        let mut e = Encoder::new();
        e.variant(0, 1);
        e.list(self.until.iter(), |e, (key, until)| {
            e.variant(0, 2);
            key.encode(e);
            e.uint(until.unwrap_or(0));
        });
        e.into_bytes().into()
    }

    /// Reads a record.
    pub(crate) fn from_record(record: &[u8]) -> Result<Self, DecodeError> {
        let d = &mut Decoder::new(record);
        d.record(1)?;
        let rows = d.list(OWNER_BANS_MAX, |d| {
            d.record(2)?;
            let key = SignPublicKey::decode(d)?;
            Ok((key, Some(d.uint()?).filter(|until| *until > 0)))
        })?;
        Ok(Self { until: rows.into_iter().collect() })
    }
}

fn is_running(unix_seconds: Option<u64>, until: Option<u64>) -> bool {
    until.is_none_or(|until| unix_seconds.is_none_or(|now| now < until))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SignPublicKey {
        SignPublicKey::from_bytes([byte; 32])
    }

    #[test]
    fn bans_outlive_a_restart_and_end_by_the_clock_on_the_wall() {
        let mut bans = OwnerBans::default();
        assert!(bans.add(Some(1000), key(1), None) && bans.add(Some(1000), key(2), Some(1600)));
        let read = OwnerBans::from_record(&bans.to_record()).unwrap();
        assert!(read.has(Some(1599), &key(1)) && read.has(Some(1599), &key(2)) && read.has(None, &key(2)));
        assert!(read.has(Some(1600), &key(1)) && !read.has(Some(1600), &key(2)));
        let left: Vec<_> = read.statuses(Some(1590)).map(|ban| ban.left).collect();
        assert_eq!(left, [None, Some(Duration::from_secs(10))]);
    }

    #[test]
    fn a_full_list_drops_what_is_over_and_then_refuses() {
        let mut bans = OwnerBans::default();
        let many = |n: usize| {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            SignPublicKey::from_bytes(bytes)
        };
        for n in 0..OWNER_BANS_MAX {
            assert!(bans.add(Some(0), many(n), Some(10)));
        }
        assert!(!bans.add(Some(9), key(1), None));
        assert!(bans.add(Some(9), many(0), None), "a change needs no place");
        assert!(bans.add(Some(10), key(1), None));
    }
}
