//! One entry of a channel: what became of a file (docs/spec/sync.md).
//!
//! The payload of a proposal points to a sealed tree, whose content is that of the file and whose metadata say where it
//! belongs. The lines `file-name`, `location` and `tomb` are those of the original; the others are ours, and readers
//! who do not know them lose nothing but what they tell.

use hbs2_core::tree::meta;
use hbs2_core::{AnnotatedRef, Decode, Encode, Hash};

use crate::path::{PathError, RelPath};

/// Random bytes after the pointer in a payload, so that equal entries are different proposals.
pub const NONCE_BYTES: usize = 6;

/// Longest metadata that we read as an entry, in bytes: a path, and the names of [`AFTER_MAX`] entries.
pub const META_BYTES_MAX: usize = 16 * 1024;

/// Entries that one names as those it follows, at most. There is one; more when several people wrote at once.
pub const AFTER_MAX: usize = 64;

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The file.
    pub path: RelPath,
    /// What became of it.
    pub kind: Kind,
    /// The entries of this path that the writer had seen and that this one replaces. None: the writer does not say, and
    /// it replaces all that are older.
    pub after: Option<Vec<Hash>>,
    /// This is the same version as that entry, made readable for others.
    pub same: Option<Hash>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// It was deleted.
    Tomb,
    /// It has a content.
    File {
        /// Its hash, if the writer tells it.
        content: Option<Hash>,
        /// Whether its owner may execute it, if the writer tells it.
        executable: Option<bool>,
    },
}

/// Why metadata are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It names no file, so it is something else.
    #[error("it names no file")]
    NoName,
    /// It names a file outside the folder, or one that no folder can have.
    #[error("it names the file '{path}': {source}")]
    Path {
        /// The path as it stands there.
        path: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// It is longer than an entry.
    #[error("its metadata are longer than {META_BYTES_MAX} bytes")]
    TooLong,
}

/// Values of `tomb` that mean a deletion.
const TOMB_WORDS: [&str; 4] = ["#t", "true", "yes", "tomb"];

impl Facts {
    /// The metadata text.
    #[must_use]
    pub fn text(&self) -> String {
        let location = self.path.parent().map(|dir| format!("{dir}/"));
        let joined = |ids: &[Hash]| ids.iter().map(Hash::to_string).collect::<Vec<_>>().join(" ");
        let mut pairs = vec![("file-name", self.path.name().to_owned())];
        pairs.extend(location.map(|dir| ("location", dir)));
        match &self.kind {
            Kind::Tomb => pairs.push(("tomb", "#t".to_owned())),
            Kind::File { content, executable } => {
                pairs.extend(content.map(|hash| ("content", hash.to_string())));
                pairs.extend(executable.map(|yes| ("executable", if yes { "#t" } else { "#f" }.to_owned())));
            }
        }
        pairs.extend(self.after.as_ref().map(|ids| ("after", joined(ids))));
        pairs.extend(self.same.map(|id| ("same", id.to_string())));
        meta::text(pairs.iter().map(|(key, value)| (*key, value.as_str())))
    }

    /// What a metadata text says.
    ///
    /// # Errors
    /// It is no entry, or a hostile one.
    pub fn read(text: &str) -> Result<Self, EntryError> {
        if text.len() > META_BYTES_MAX {
            return Err(EntryError::TooLong);
        }
        let name =
            meta::value(text, "file-name").filter(|name| !name.is_empty()).ok_or(EntryError::NoName)?;
        let location = meta::value(text, "location").unwrap_or_default();
        let path = full_path(location, name);
        let path = RelPath::parse(&path).map_err(|source| EntryError::Path { path: path.clone(), source })?;
        let hash = |key| meta::value(text, key).and_then(|word| word.parse::<Hash>().ok());
        let kind = if meta::value(text, "tomb").is_some_and(|word| TOMB_WORDS.contains(&word)) {
            Kind::Tomb
        } else {
            let executable = meta::value(text, "executable").map(|word| word == "#t");
            Kind::File { content: hash("content"), executable }
        };
        let ids =
            |words: &str| words.split(' ').filter_map(|word| word.parse().ok()).take(AFTER_MAX).collect();
        Ok(Self { path, kind, after: meta::value(text, "after").map(ids), same: hash("same") })
    }
}

/// The path in its parts. A location may start with `./` and end with a slash or without one; the name is one name.
fn full_path(location: &str, name: &str) -> String {
    let location = match location.strip_prefix('.') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        _ => location,
    };
    let location = location.strip_suffix('/').unwrap_or(location);
    match (location.is_empty(), name.contains('/')) {
        (_, true) => format!("{location}//{name}"),
        (true, false) => name.to_owned(),
        (false, false) => format!("{location}/{name}"),
    }
}

/// The payload of a proposal: a pointer to the tree, and some random bytes.
#[must_use]
pub fn payload(tree: Hash, nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
    let mut bytes = AnnotatedRef::to(tree).to_bytes();
    bytes.extend_from_slice(&nonce);
    bytes
}

/// The tree that a payload points to; none when it is something else. What follows the pointer has no meaning.
#[must_use]
pub fn target(payload: &[u8]) -> Option<Hash> {
    AnnotatedRef::from_bytes(payload).ok().filter(|pointer| pointer.annotation.is_none()).map(|p| p.target)
}

/// The name of an entry: the hash of its payload, which its writer knows before any peer has seen it.
#[must_use]
pub fn id(payload: &[u8]) -> Hash {
    Hash::of(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts(path: &str, kind: Kind) -> Facts {
        Facts { path: RelPath::parse(path).unwrap(), kind, after: None, same: None }
    }

    #[test]
    fn the_lines_of_the_original_come_first() {
        let file = facts("dir/sub/x.txt", Kind::File { content: None, executable: None });
        assert_eq!(file.text(), "file-name: \"x.txt\"\nlocation: \"dir/sub/\"");
        assert_eq!(facts("x", Kind::Tomb).text(), "file-name: \"x\"\ntomb: \"#t\"");
    }

    #[test]
    fn what_others_write_is_read() {
        for (text, path) in [
            ("file-name: \"x\"\nlocation: \"a/b/\"", "a/b/x"),
            ("location: \"a\"\nfile-name:: x", "a/x"),
            ("file-name: \"x\"\nlocation: \"./\"", "x"),
            ("file-name: \"x\"\nlocation: \"./a/\"\nmime-type: \"text/plain\"", "a/x"),
        ] {
            assert_eq!(Facts::read(text).unwrap().path.as_str(), path, "{text}");
        }
        for word in TOMB_WORDS {
            assert_eq!(Facts::read(&format!("file-name: x\ntomb: {word}")).unwrap().kind, Kind::Tomb);
        }
        assert_ne!(Facts::read("file-name: x\ntomb: #f").unwrap().kind, Kind::Tomb);
        assert_eq!(Facts::read("file-name: x").unwrap().after, None);
        assert_eq!(Facts::read("file-name: x\nafter: \"\"").unwrap().after, Some(vec![]));
    }

    #[test]
    fn an_entry_never_names_a_file_outside_its_folder() {
        for (location, name) in [
            ("", "../x"),
            ("..", "x"),
            ("../", "x"),
            ("/etc/", "x"),
            ("a/../../", "x"),
            ("", "/x"),
            ("a", "b/c"),
            ("", ".."),
            ("", ".hbs2-sync"),
            (".hbs2-sync/", "config"),
            ("a/.hbs2-sync", "config"),
            ("", "a\0b"),
            ("./..", "x"),
            (".//etc/..", "x"),
        ] {
            let text = format!("file-name: \"{name}\"\nlocation: \"{location}\"");
            assert!(matches!(Facts::read(&text), Err(EntryError::Path { .. })), "{text}");
        }
        assert_eq!(Facts::read("subject: \"x\""), Err(EntryError::NoName));
    }

    #[test]
    fn a_payload_points_to_its_tree_whatever_follows() {
        let tree = Hash::of(b"tree");
        let [one, two] = [payload(tree, [0; NONCE_BYTES]), payload(tree, [1; NONCE_BYTES])];
        assert_ne!(id(&one), id(&two));
        assert_eq!((target(&one), target(&two), target(b"hello")), (Some(tree), Some(tree), None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            names in proptest::collection::vec("[ -~äß]{1,20}", 1..4),
            tomb in any::<bool>(),
            executable in any::<Option<bool>>(),
            after in any::<Option<Vec<[u8; 32]>>>(),
        ) {
            let Ok(path) = RelPath::parse(&names.join("/")) else { return Ok(()) };
            let ids = |ids: Vec<[u8; 32]>| ids.into_iter().take(AFTER_MAX).map(Hash::from_bytes).collect();
            let kind = if tomb { Kind::Tomb } else { Kind::File { content: Some(Hash::of(b"x")), executable } };
            let facts = Facts { path, kind, after: after.map(ids), same: None };
            prop_assert_eq!(Facts::read(&facts.text()), Ok(facts));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = Facts::read(&text);
        }
    }
}
