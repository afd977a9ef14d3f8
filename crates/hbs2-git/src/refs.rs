//! Reference records: which reference points where, since when (spec: git3 6.2, 8.2).
//!
//! A record is lines of `<unix time> <40 hex digits> <full name>`. For each name the line with the greatest
//! time wins; at equal times the greater transaction hash, then the later line. Forty zeros, or a lone `0`,
//! say that the reference is gone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hbs2_core::Hash;

use crate::object::{ObjectId, RefName};
use crate::segment::SegmentError;

/// One line of a reference record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefLine {
    /// When it was written, in seconds since 1970.
    pub time: u64,
    /// Where the reference points; [`ObjectId::NULL`] when it is gone.
    pub id: ObjectId,
    /// The reference.
    pub name: RefName,
}

/// A line and the transaction whose segment holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedLine {
    /// The transaction.
    pub transaction: Hash,
    /// The line.
    pub line: RefLine,
}

/// Reads the value of a reference record. Lines whose name git would refuse are left out: nobody can have them.
///
/// # Errors
/// A line is not of the three parts; the error names `record`, the key of the record.
pub fn parse(value: &[u8], record: ObjectId) -> Result<Vec<RefLine>, SegmentError> {
    let mut lines = Vec::new();
    for line in value.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let bad = || SegmentError::RefLine { id: record, line: String::from_utf8_lossy(line).into_owned() };
        let mut parts = line.splitn(3, |b| *b == b' ');
        let (time, id, name) = (parts.next(), parts.next(), parts.next());
        let time = text(time).and_then(|t| t.parse().ok()).ok_or_else(bad)?;
        let id = match text(id) {
            Some("0") => ObjectId::NULL,
            id => id.and_then(|id| id.parse().ok()).ok_or_else(bad)?,
        };
        if let Ok(name) = RefName::new(name.ok_or_else(bad)?) {
            lines.push(RefLine { time, id, name });
        }
    }
    Ok(lines)
}

fn text(bytes: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(bytes?).ok()
}

/// Writes the value of a reference record.
#[must_use]
pub fn write(lines: &[RefLine]) -> Vec<u8> {
    let mut value = Vec::new();
    for line in lines {
        value.extend_from_slice(format!("{} {} ", line.time, line.id).as_bytes());
        value.extend_from_slice(line.name.as_bytes());
        value.push(b'\n');
    }
    value
}

/// For each name the line that won, gone references included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefTable {
    winners: BTreeMap<RefName, PlacedLine>,
}

impl RefTable {
    /// Takes the line in; it replaces the present one of its name if it is newer.
    pub fn offer(&mut self, transaction: Hash, line: &RefLine) {
        let placed = || PlacedLine { transaction, line: line.clone() };
        match self.winners.entry(line.name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(placed());
            }
            Entry::Occupied(mut entry) => {
                let present = entry.get();
                if (line.time, transaction) >= (present.line.time, present.transaction) {
                    entry.insert(placed());
                }
            }
        }
    }

    /// Where the reference points, if it exists.
    #[must_use]
    pub fn id(&self, name: &RefName) -> Option<ObjectId> {
        self.winners.get(name).map(|placed| placed.line.id).filter(|id| !id.is_null())
    }

    /// When the reference was last set or removed, in seconds; 0 for one never seen.
    #[must_use]
    pub fn time(&self, name: &RefName) -> u64 {
        self.winners.get(name).map_or(0, |placed| placed.line.time)
    }

    /// The existing references and where they point, sorted by name.
    pub fn existing(&self) -> impl Iterator<Item = (&RefName, ObjectId)> {
        self.winners.iter().map(|(name, placed)| (name, placed.line.id)).filter(|(_, id)| !id.is_null())
    }

    /// All winning lines, sorted by name.
    pub fn lines(&self) -> impl Iterator<Item = &PlacedLine> {
        self.winners.values()
    }

    /// The reference that `HEAD` stands for (spec: git3 9.4): the one that has the id of a published `HEAD`,
    /// else master, else main, else the branch that moved last.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        if let Some(id) = self.id(&RefName::head()) {
            let same = self.existing().find(|(name, other)| name.is_branch() && *other == id);
            return Some(same.map_or(Head::Detached(id), |(name, _)| Head::Branch(name.clone())));
        }
        let usual = ["refs/heads/master", "refs/heads/main"].map(|name| RefName::new(name).expect("valid"));
        if let Some(name) = usual.into_iter().find(|name| self.id(name).is_some()) {
            return Some(Head::Branch(name));
        }
        let branches = self.lines().filter(|p| p.line.name.is_branch() && !p.line.id.is_null());
        branches.max_by_key(|p| (p.line.time, p.transaction)).map(|p| Head::Branch(p.line.name.clone()))
    }
}

/// What `HEAD` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// The name of a branch.
    Branch(RefName),
    /// An object that no branch points at.
    Detached(ObjectId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(time: u64, byte: u8, name: &str) -> RefLine {
        RefLine { time, id: ObjectId::from_bytes([byte; 20]), name: name.parse().unwrap() }
    }

    fn tx(byte: u8) -> Hash {
        Hash::from_bytes([byte; 32])
    }

    #[test]
    fn the_example_of_the_spec_is_written_and_read() {
        let id = "ce013625030ba8dba906f756967f9e9ca394464a".parse().unwrap();
        let lines = [RefLine { time: 1739026121, id, name: "refs/heads/master".parse().unwrap() }];
        let value = write(&lines);
        assert_eq!(value, b"1739026121 ce013625030ba8dba906f756967f9e9ca394464a refs/heads/master\n");
        assert_eq!(
            ObjectId::of(crate::object::ObjectKind::Blob, &value).to_string(),
            "66b05cc474b26af5e2af0712bbc1712530e90fa5"
        );
        assert_eq!(parse(&value, ObjectId::NULL).unwrap(), lines);
    }

    #[test]
    fn odd_names_survive_and_impossible_ones_are_left_out() {
        let value = b"1 0 refs/heads/a;b\"(c)'`,@\n2 0 refs/heads/with space\n3 0 refs/heads/b";
        let names: Vec<_> =
            parse(value, ObjectId::NULL).unwrap().into_iter().map(|l| l.name.to_string()).collect();
        assert_eq!(names, ["refs/heads/a;b\"(c)'`,@", "refs/heads/b"]);
        assert!(parse(b"x 0 refs/heads/a\n", ObjectId::NULL).is_err());
        assert!(parse(b"1 0\n", ObjectId::NULL).is_err());
    }

    #[test]
    fn the_newest_line_wins_then_the_greater_transaction_then_the_later_line() {
        let mut table = RefTable::default();
        let name = "refs/heads/a".parse().unwrap();
        table.offer(tx(5), &line(10, 1, "refs/heads/a"));
        table.offer(tx(9), &line(9, 2, "refs/heads/a"));
        assert_eq!(table.id(&name), Some(ObjectId::from_bytes([1; 20])));
        table.offer(tx(4), &line(10, 3, "refs/heads/a"));
        assert_eq!(table.id(&name), Some(ObjectId::from_bytes([1; 20])));
        table.offer(tx(5), &line(10, 4, "refs/heads/a"));
        assert_eq!(table.id(&name), Some(ObjectId::from_bytes([4; 20])));
        table.offer(tx(6), &line(10, 0, "refs/heads/a"));
        assert_eq!((table.id(&name), table.time(&name)), (None, 10));
    }

    #[test]
    fn head_is_published_or_master_or_main_or_the_newest_branch() {
        let mut table = RefTable::default();
        let branch = |name: &str| Some(Head::Branch(name.parse().unwrap()));
        assert_eq!(table.head(), None);
        table.offer(tx(1), &line(9, 9, "refs/tags/v1"));
        assert_eq!(table.head(), None);
        table.offer(tx(1), &line(5, 1, "refs/heads/a"));
        table.offer(tx(1), &line(6, 2, "refs/heads/b"));
        assert_eq!(table.head(), branch("refs/heads/b"));
        table.offer(tx(1), &line(1, 3, "refs/heads/main"));
        assert_eq!(table.head(), branch("refs/heads/main"));
        table.offer(tx(1), &line(1, 4, "refs/heads/master"));
        assert_eq!(table.head(), branch("refs/heads/master"));
        table.offer(tx(1), &line(1, 1, "HEAD"));
        assert_eq!(table.head(), branch("refs/heads/a"));
        table.offer(tx(1), &line(2, 77, "HEAD"));
        assert_eq!(table.head(), Some(Head::Detached(ObjectId::from_bytes([77; 20]))));
    }

    proptest! {
        #[test]
        fn the_winner_does_not_depend_on_the_order(times in prop::collection::vec((0u64..4, 0u8..4), 1..12)) {
            let lines: Vec<_> = times.iter().map(|(t, x)| (tx(*x), line(*t, *x, "refs/heads/a"))).collect();
            let (mut forth, mut back) = (RefTable::default(), RefTable::default());
            lines.iter().for_each(|(x, l)| forth.offer(*x, l));
            lines.iter().rev().for_each(|(x, l)| back.offer(*x, l));
            prop_assert_eq!(forth, back);
        }

        #[test]
        fn arbitrary_records_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes, ObjectId::NULL);
        }
    }
}
