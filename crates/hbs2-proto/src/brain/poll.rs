//! The table of polls: what we are subscribed to, and when to ask again (spec: wire 3.4).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::SignPublicKey;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::{Poll, PollKind};

/// Rows, at most. The table is one record of the store; this many rows of 43 bytes take half a mebibyte.
pub(crate) const POLLS_MAX: usize = 12_288;

/// Longest time between questions, in minutes: a year. Keeps times within reach of the clock.
const POLL_MINUTES_MAX: u64 = 365 * 24 * 60;

#[derive(Debug)]
struct Row {
    poll: Poll,
    due: Instant,
}

/// The rows in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    rows: Vec<Row>,
    /// Key and kind of each row.
    names: BTreeSet<(SignPublicKey, PollKind)>,
    /// When the first row is due.
    next: Option<Instant>,
}

/// What adding did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// A row more.
    New,
    /// Other minutes for a row.
    Changed,
    /// The row was there.
    Same,
    /// No place.
    Full,
}

impl Polls {
    /// Adds or changes a row; it is due in `poll.minutes`, since whoever adds it asks at once.
    pub(crate) fn add(&mut self, now: Instant, mut poll: Poll) -> Added {
        poll.minutes = poll.minutes.clamp(1, POLL_MINUTES_MAX);
        let due = now + period(&poll);
        let added = if self.rows.iter().any(|row| row.poll == poll) {
            Added::Same
        } else if self.contains(&poll.key, poll.kind) {
            self.rows
                .iter_mut()
                .filter(|row| same(&row.poll, &poll))
                .for_each(|row| *row = Row { poll, due });
            Added::Changed
        } else if self.rows.len() >= POLLS_MAX {
            Added::Full
        } else {
            self.names.insert((poll.key, poll.kind));
            self.rows.push(Row { poll, due });
            Added::New
        };
        self.plan();
        added
    }

    /// Removes the rows of a key, of one kind or all.
    pub(crate) fn remove(&mut self, key: &SignPublicKey, kind: Option<PollKind>) -> Vec<Poll> {
        let gone = |poll: &Poll| poll.key == *key && kind.is_none_or(|kind| kind == poll.kind);
        let removed = self.rows.iter().map(|row| row.poll).filter(gone).collect();
        self.rows.retain(|row| !gone(&row.poll));
        self.names = self.rows.iter().map(|row| (row.poll.key, row.poll.kind)).collect();
        self.plan();
        removed
    }

    pub(crate) fn contains(&self, key: &SignPublicKey, kind: PollKind) -> bool {
        self.names.contains(&(*key, kind))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Poll> {
        self.rows.iter().map(|row| row.poll)
    }

    /// The rows to ask for now; each is due again after its minutes.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Poll> {
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let due = self.rows.iter_mut().filter(|row| row.due <= now).map(|row| {
            row.due = now + period(&row.poll);
            row.poll
        });
        let due = due.collect();
        self.plan();
        due
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    fn plan(&mut self) {
        self.next = self.rows.iter().map(|row| row.due).min();
    }

    /// The table as a record: `[0, [[key, kind word, minutes]…]]`.
    pub(crate) fn to_record(&self) -> Bytes {
        let mut e = Encoder::new();
        e.variant(0, 1);
        e.list(self.iter(), |e, poll| {
            e.array(3);
            poll.key.encode(e);
            e.text(poll.kind.as_str());
            e.uint(poll.minutes);
        });
        e.into_bytes().into()
    }

    /// Reads a record.
    pub(crate) fn from_record(record: &[u8]) -> Result<Vec<Poll>, DecodeError> {
        let d = &mut Decoder::new(record);
        d.record(1)?;
        d.list(POLLS_MAX, |d| {
            d.tuple(3)?;
            let key = SignPublicKey::decode(d)?;
            let start = d.at();
            let kind =
                d.text()?.parse().map_err(|_| DecodeError::new(start, "the word of a kind of reference"))?;
            Ok(Poll { key, kind, minutes: d.uint()? })
        })
    }
}

fn same(a: &Poll, b: &Poll) -> bool {
    a.key == b.key && a.kind == b.kind
}

fn period(poll: &Poll) -> Duration {
    Duration::from_secs(poll.minutes * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(byte: u8, kind: PollKind, minutes: u64) -> Poll {
        Poll { key: SignPublicKey::from_bytes([byte; 32]), kind, minutes }
    }

    #[test]
    fn rows_keep_their_order_and_survive_the_record() {
        let now = Instant::now();
        let rows = [poll(9, PollKind::Lwwref, 5), poll(1, PollKind::Reflog, 1), poll(9, PollKind::Reflog, 2)];
        let mut polls = Polls::default();
        for row in rows {
            assert_eq!(polls.add(now, row), Added::New);
        }
        assert_eq!(polls.add(now, poll(9, PollKind::Lwwref, 7)), Added::Changed);
        let read = Polls::from_record(&polls.to_record()).unwrap();
        assert_eq!(read, [poll(9, PollKind::Lwwref, 7), rows[1], rows[2]]);
        assert_eq!(polls.remove(&rows[2].key, Some(PollKind::Reflog)), [rows[2]]);
        assert!(polls.contains(&rows[0].key, PollKind::Lwwref));
        assert_eq!(polls.remove(&rows[0].key, None), [poll(9, PollKind::Lwwref, 7)]);
    }

    #[test]
    fn a_row_is_due_every_n_minutes() {
        let start = Instant::now();
        let minutes = |n: u64| start + Duration::from_secs(n * 60);
        let mut polls = Polls::default();
        polls.add(start, poll(1, PollKind::Reflog, 2));
        polls.add(start, poll(2, PollKind::Reflog, 0));
        assert_eq!(polls.due(minutes(1)), [poll(2, PollKind::Reflog, 1)]);
        assert_eq!(polls.due(minutes(2)).len(), 2);
        assert_eq!(polls.next(), Some(minutes(3)));
    }
}
