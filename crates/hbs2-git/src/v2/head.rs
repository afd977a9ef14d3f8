//! The head of a repository: references, description, group key (docs/spec/git2.md).
//!
//! It is never encrypted: whoever has the transaction reads the names of branches and the ids of commits.

use hbs2_core::Hash;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::object::{ObjectId, RefName};

/// Longest head we read, in bytes: [`REFS_MAX`] references with names of usual length and the largest manifest.
pub const HEAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest manifest, in bytes, as the manual of the original says.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;

/// References of one head, at most. The largest public repositories have a tenth of it.
pub const REFS_MAX: usize = 1024 * 1024;

/// How far into the manifest its first lines are looked for, in characters.
const MANIFEST_START_CHARS: usize = 1024;

/// What stands for a project without a description.
const NO_BRIEF: &str = "n/a";

/// CBOR `[0, [0], time, Maybe group key, name, brief, Maybe manifest, [(ref, id)], []]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoHead {
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// Root of the tree of the group key, in an encrypted repository.
    pub group: Option<Hash>,
    /// Name of the project.
    pub name: String,
    /// One line about it.
    pub brief: String,
    /// Everything its owner says about it.
    pub manifest: Option<String>,
    /// The references, by name; `HEAD` sorts first.
    pub refs: Vec<HeadRef>,
}

/// A reference and where it points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRef {
    /// Its name as it was written. It may be one that git refuses.
    pub name: Vec<u8>,
    /// Where it points; [`ObjectId::NULL`] when it is gone.
    pub id: ObjectId,
}

impl RepoHead {
    /// The references that exist and that git can have.
    pub fn existing(&self) -> impl Iterator<Item = (RefName, ObjectId)> {
        self.refs
            .iter()
            .filter(|reference| !reference.id.is_null())
            .filter_map(|reference| Some((RefName::new(reference.name.as_slice()).ok()?, reference.id)))
    }

    /// Where a reference points, if it exists.
    #[must_use]
    pub fn id(&self, name: &RefName) -> Option<ObjectId> {
        let found = self.refs.iter().find(|reference| reference.name == name.as_bytes());
        found.map(|reference| reference.id).filter(|id| !id.is_null())
    }
}

/// The name and the brief of a project: the lines `name: "…"` and `brief: "…"` at the start of its manifest, before
/// the first empty line; without them `directory` and `n/a`.
#[must_use]
pub fn title(manifest: Option<&str>, directory: &str) -> (String, String) {
    let start: String = manifest.unwrap_or_default().chars().take(MANIFEST_START_CHARS).collect();
    let value = |key: &str| {
        start.lines().take_while(|line| !line.trim().is_empty()).find_map(|line| {
            let value = line.trim().strip_prefix(key)?.trim_start().strip_prefix(':')?.trim();
            let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            Some(unquoted.unwrap_or(value).to_owned()).filter(|value| !value.is_empty())
        })
    };
    (
        value("name").unwrap_or_else(|| directory.to_owned()),
        value("brief").unwrap_or_else(|| NO_BRIEF.to_owned()),
    )
}

impl Encode for RepoHead {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 8);
        e.variant(0, 0);
        e.uint(self.time);
        e.maybe(self.group.as_ref(), |e, group| group.encode(e));
        e.text(&self.name);
        e.text(&self.brief);
        e.maybe(self.manifest.as_ref(), |e, manifest| e.text(manifest));
        e.list(&self.refs, |e, reference| {
            e.array(2);
            e.variant(0, 1);
            e.bytes(&reference.name);
            e.variant(0, 1);
            e.bytes(reference.id.as_bytes());
        });
        e.list(&[(); 0], |_, ()| {});
    }
}

impl Decode for RepoHead {
    /// What stands after the references is not read: nobody ever wrote anything there.
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(8)?;
        d.record(0)?;
        Ok(Self {
            time: d.uint()?,
            group: d.maybe(Hash::decode)?,
            name: d.text()?.to_owned(),
            brief: d.text()?.to_owned(),
            manifest: d.maybe(|d| Ok(d.text()?.to_owned()))?,
            refs: d.list(REFS_MAX, read_ref)?,
        })
    }
}

fn read_ref(d: &mut Decoder<'_>) -> Result<HeadRef, DecodeError> {
    d.tuple(2)?;
    d.record(1)?;
    let name = d.bytes()?.to_vec();
    d.record(1)?;
    let at = d.at();
    let id = d.bytes()?;
    // A reference that is gone has an id of zeros; the original once spelt them with 17 bytes.
    let id = match id.iter().all(|byte| *byte == 0) {
        true => ObjectId::NULL,
        false if id.len() == ObjectId::BYTES => ObjectId::from_slice(id).expect("the length was compared"),
        false => return Err(DecodeError::new(at, "an object id of 20 bytes")),
    };
    Ok(HeadRef { name, id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(refs: Vec<HeadRef>) -> RepoHead {
        RepoHead { time: 5, group: None, name: "x".into(), brief: "n/a".into(), manifest: None, refs }
    }

    #[test]
    fn a_head_is_read_again() {
        let group = Some(Hash::of(b"g"));
        let refs = vec![HeadRef { name: b"HEAD".to_vec(), id: ObjectId::from_bytes([7; 20]) }];
        for head in [head(vec![]), RepoHead { group, manifest: Some("name: \"ü\"\n".into()), ..head(refs) }]
        {
            assert_eq!(RepoHead::from_bytes(&head.to_bytes()).unwrap(), head);
        }
    }

    #[test]
    fn an_id_of_zeros_of_any_length_says_that_the_reference_is_gone() {
        let gone = HeadRef { name: b"refs/heads/a".to_vec(), id: ObjectId::from_bytes([1; 20]) };
        let bytes = head(vec![gone]).to_bytes();
        let id = bytes.windows(2).position(|pair| pair == [0x54, 1]).unwrap();
        let short = [&bytes[..id], &[0x51], &[0; 17], &bytes[id + 21..]].concat();
        let read = RepoHead::from_bytes(&short).unwrap();
        assert!(read.refs[0].id.is_null());
        assert_eq!(read.existing().count(), 0);
        let wrong = [&bytes[..id], &[0x51], &[1; 17], &bytes[id + 21..]].concat();
        assert!(RepoHead::from_bytes(&wrong).is_err());
    }

    #[test]
    fn the_title_stands_in_the_first_lines_of_the_manifest() {
        let both = |manifest: Option<&str>| title(manifest, "dir");
        assert_eq!(both(None), ("dir".into(), "n/a".into()));
        assert_eq!(
            both(Some("name: \"my project\"\nbrief: about it\n\ntext")),
            ("my project".into(), "about it".into())
        );
        assert_eq!(both(Some("# hello\n\nname: \"late\"")), ("dir".into(), "n/a".into()));
        assert_eq!(both(Some(&format!("{}\nname: far", "x".repeat(2000)))), ("dir".into(), "n/a".into()));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = RepoHead::from_bytes(&bytes);
        }
    }
}
