//! The manifest: what a repository says about itself (spec: git3 1.1, 3).
//!
//! A text of one form a line, LF between lines, none at the end. Clauses we do not know are kept and written
//! again as they are. The value of the lwwref is a plain tree that lists the manifest's tree and, if there is
//! one, the tree of the group key journal.

use bytes::Bytes;
use hbs2_core::base58::Base58Error;
use hbs2_core::tree::build;
use hbs2_core::{AnnotatedTree, Crypt, Decode, DecodeError, Encode, Hash, Meta, Shape, SignPublicKey, Tree};
use hbs2_script::print;
use hbs2_script::syntax::{self, Form, SyntaxError};

/// The version we write and read.
const VERSION: i128 = 3;

/// Longest manifest we read, in bytes. Those of all known writers have under 1000; the original caps the
/// manifest of version 2 at the same size.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;

/// A manifest: its clauses in order.
#[derive(Debug, Clone)]
pub struct Manifest {
    clauses: Vec<Clause>,
}

/// One clause, with its text as it was read, so that it is written again unchanged.
#[derive(Debug, Clone)]
struct Clause {
    form: Form,
    text: String,
}

/// Why a text is no usable manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not UTF-8.
    #[error("it is not a text")]
    NotText,
    /// Longer than [`MANIFEST_BYTES_MAX`].
    #[error("it is longer than {MANIFEST_BYTES_MAX} bytes")]
    TooLong,
    /// Not a list of forms.
    #[error("it cannot be parsed")]
    Syntax {
        /// The first fault.
        source: SyntaxError,
    },
    /// A repository of another version.
    #[error("it is of version {version}, and only version {VERSION} is known")]
    Version {
        /// Its version.
        version: String,
    },
    /// A clause that is needed is not there.
    #[error("it has no usable clause ({clause} …)")]
    Missing {
        /// The first word of the clause.
        clause: &'static str,
    },
    /// A clause holds something else than a key or hash.
    #[error("its clause ({clause} {text}) holds no key")]
    Key {
        /// The first word of the clause.
        clause: &'static str,
        /// What it holds.
        text: String,
        /// Why that is no key.
        source: Base58Error,
    },
}

impl Manifest {
    /// The manifest of a new repository.
    #[must_use]
    pub fn new(seed: u64, reflog: &SignPublicKey, group: Option<&Hash>) -> Self {
        let mut text = format!("(hbs2-git {VERSION})\n(seed {seed})\n(public)\n(reflog {reflog})");
        if let Some(group) = group {
            text += &format!("\n(gk {group})");
        }
        Self::parse(text.as_bytes()).expect("a text of our own can be read")
    }

    /// Reads the text of a manifest.
    ///
    /// # Errors
    /// The text cannot be parsed or is of another version.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong);
        }
        let text = std::str::from_utf8(text).map_err(|_| ManifestError::NotText)?;
        let parsed = syntax::parse(text);
        if let Some(source) = parsed.errors.into_iter().next() {
            return Err(ManifestError::Syntax { source });
        }
        let clause = |form: Form| Clause { text: text[form.span.start..form.span.end].to_owned(), form };
        let manifest = Self { clauses: parsed.forms.into_iter().map(clause).collect() };
        if let Some(form) = manifest.values("hbs2-git").next_back()
            && form.as_integer() != Some(VERSION)
        {
            return Err(ManifestError::Version { version: print::print(form) });
        }
        Ok(manifest)
    }

    /// The text: one clause a line, no newline at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.clauses.iter().map(|clause| clause.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The clauses in one list `(manifest …)`, pretty printed as `repo:manifest` shows it.
    #[must_use]
    pub fn pretty(&self) -> String {
        let forms = self.clauses.iter().map(|clause| clause.form.clone());
        print::print(&Form::list(std::iter::once(Form::symbol("manifest")).chain(forms).collect()))
    }

    /// The seed from which the reflog's key grows; the last clause counts.
    ///
    /// # Errors
    /// There is none.
    pub fn seed(&self) -> Result<u64, ManifestError> {
        let mut seeds = self.values("seed").filter_map(|form| u64::try_from(form.as_integer()?).ok());
        seeds.next_back().ok_or(ManifestError::Missing { clause: "seed" })
    }

    /// The key of the reflog; the last clause counts.
    ///
    /// # Errors
    /// There is none, or it is no key.
    pub fn reflog(&self) -> Result<SignPublicKey, ManifestError> {
        let clause = "reflog";
        let form = self.values(clause).next_back().ok_or(ManifestError::Missing { clause })?;
        word(form).parse().map_err(|source| ManifestError::Key { clause, text: word(form), source })
    }

    /// The group key for new segments, if the repository is encrypted; the first clause counts.
    ///
    /// # Errors
    /// The clause holds no hash.
    pub fn group(&self) -> Result<Option<Hash>, ManifestError> {
        let clause = "gk";
        let Some(form) = self.values(clause).next() else { return Ok(None) };
        word(form).parse().map(Some).map_err(|source| ManifestError::Key { clause, text: word(form), source })
    }

    /// The same with another group key for new segments: all clauses of the old ones go, the new one comes last.
    #[must_use]
    pub fn with_group(&self, group: &Hash) -> Self {
        let kept = self.clauses.iter().filter(|clause| !matches!(clause.form.as_call(), Some(("gk", _))));
        let mut lines: Vec<String> = kept.map(|clause| clause.text.clone()).collect();
        lines.push(format!("(gk {group})"));
        Self::parse(lines.join("\n").as_bytes()).expect("clauses that were read can be read again")
    }

    /// The second items of the clauses that begin with `first`.
    fn values(&self, first: &str) -> impl DoubleEndedIterator<Item = &Form> {
        self.clauses.iter().filter_map(move |clause| match clause.form.as_call() {
            Some((word, [value, ..])) if word == first => Some(value),
            _ => None,
        })
    }

    /// The blocks of the manifest's tree; the last one is the root.
    #[must_use]
    pub fn to_blocks(&self) -> Vec<(Hash, Bytes)> {
        annotated(self.to_text().as_bytes())
    }
}

/// A symbol or string without its quotes; anything else as it prints.
fn word(form: &Form) -> String {
    form.as_word().map_or_else(|| print::print(form), str::to_owned)
}

/// The blocks of an unencrypted annotated tree with empty short metadata over `content`; the last is the root.
#[must_use]
pub fn annotated(content: &[u8]) -> Vec<(Hash, Bytes)> {
    let mut blocks: Vec<(Hash, Bytes)> =
        build::chunks(content).map(|chunk| (Hash::of(chunk), Bytes::copy_from_slice(chunk))).collect();
    let chunks: Vec<Hash> = blocks.iter().map(|(hash, _)| *hash).collect();
    blocks.extend(annotated_tree(&chunks));
    blocks
}

/// The tree blocks of an unencrypted annotated tree with empty short metadata over chunks that are stored
/// already; the last is the root.
#[must_use]
pub fn annotated_tree(chunks: &[Hash]) -> Vec<(Hash, Bytes)> {
    let mut blocks = Vec::new();
    build::build(Shape::DATA, chunks, |hash, bytes| blocks.push((hash, bytes)));
    let (_, root) = blocks.pop().expect("a tree has a root");
    let tree = Tree::from_bytes(&root).expect("a root we made is a tree block");
    let root = AnnotatedTree { meta: Meta::Short(String::new()), crypt: Crypt::None, tree }.to_bytes();
    blocks.push((Hash::of(&root), root.into()));
    blocks
}

/// The block of the lwwref's value: a list of the manifest's tree and the journal's, if there is one.
#[must_use]
pub fn value_block(manifest: &Hash, journal: Option<&Hash>) -> (Hash, Bytes) {
    let entries = std::iter::once(manifest).chain(journal).copied().collect();
    let block: Bytes = Tree::Leaf(entries).to_bytes().into();
    (Hash::of(&block), block)
}

/// What [`value_block`] wrote: the manifest's tree and the journal's.
///
/// # Errors
/// The block is no leaf, or lists nothing.
pub fn read_value(block: &[u8]) -> Result<(Hash, Option<Hash>), DecodeError> {
    match Tree::from_bytes(block)? {
        Tree::Leaf(entries) if !entries.is_empty() => Ok((entries[0], entries.get(1).copied())),
        _ => Err(DecodeError::new(0, "a leaf that lists a manifest")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hbs2_core::SignSecretKey;
    use proptest::prelude::*;

    const GOLDEN: &str = "(hbs2-git 3)\n(seed 15200703225588472373)\n(public)\n(reflog G7tbCgFxgULK8U2NZZUthG5dB62cwLb62MgPM1UuadTk)";

    #[test]
    fn the_manifest_of_the_seed_document_has_its_hashes() {
        let reflog = "G7tbCgFxgULK8U2NZZUthG5dB62cwLb62MgPM1UuadTk".parse().unwrap();
        let manifest = Manifest::new(15200703225588472373, &reflog, None);
        assert_eq!(manifest.to_text(), GOLDEN);
        let blocks = manifest.to_blocks();
        assert_eq!(blocks[0].0.to_string(), "4tkUW828Trk6QZcQfUy7zEWPUQ6VjhsAyRvBH8UyKiCi");
        let root = blocks.last().unwrap().0;
        assert_eq!(root.to_string(), "63rVF2w1xLKHjD7bihEuB8gkhMRuMzfUVxzEe2jD5VN8");
        let (value, block) = value_block(&root, None);
        assert_eq!(value.to_string(), "42nttBEUkzzZRx3sHnH1sUvYYSUAPY6iL5xsKRfBQ8Rd");
        assert_eq!(read_value(&block), Ok((root, None)));
    }

    #[test]
    fn a_manifest_is_printed_as_in_the_seed_document() {
        let manifest = Manifest::parse(GOLDEN.as_bytes()).unwrap();
        assert_eq!(
            manifest.pretty(),
            "(manifest\n (hbs2-git 3)\n (seed 15200703225588472373)\n (public)\n (reflog G7tbCgFxgULK8U2NZZUthG5dB62cwLb62MgPM1UuadTk))"
        );
    }

    #[test]
    fn unknown_clauses_are_kept_as_they_are() {
        let text = format!("{GOLDEN}\n(mailbox  \"x y\" 0x10)\n(sigil a)");
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.to_text(), text);
        assert_eq!(manifest.seed().unwrap(), 15200703225588472373);
    }

    #[test]
    fn the_last_seed_and_reflog_count_and_the_first_group_key() {
        let (a, b) =
            (SignSecretKey::from_seed(&[1; 32]).public(), SignSecretKey::from_seed(&[2; 32]).public());
        let (x, y) = (Hash::of(b"x"), Hash::of(b"y"));
        let text = format!("(seed 1)\n(seed 2)\n(reflog {a})\n(reflog \"{b}\")\n(gk {x})\n(gk {y})");
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.seed().unwrap(), 2);
        assert_eq!(manifest.reflog().unwrap(), b);
        assert_eq!(manifest.group().unwrap(), Some(x));
    }

    #[test]
    fn another_group_key_takes_the_place_of_all_others_and_stands_last() {
        let (x, y, z) = (Hash::of(b"x"), Hash::of(b"y"), Hash::of(b"z"));
        let text = format!("{GOLDEN}\n(gk {x})\n(mailbox  \"a\")\n(gk \"{y}\")");
        let manifest = Manifest::parse(text.as_bytes()).unwrap().with_group(&z);
        assert_eq!(manifest.to_text(), format!("{GOLDEN}\n(mailbox  \"a\")\n(gk {z})"));
        assert_eq!(manifest.group().unwrap(), Some(z));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        assert!(matches!(Manifest::parse(b"(hbs2-git 4)"), Err(ManifestError::Version { .. })));
        assert!(matches!(Manifest::parse(b"(hbs2-git 3"), Err(ManifestError::Syntax { .. })));
        assert!(matches!(Manifest::parse(b"\xff"), Err(ManifestError::NotText)));
        let empty = Manifest::parse(b"").unwrap();
        assert!(matches!(empty.reflog(), Err(ManifestError::Missing { clause: "reflog" })));
        assert!(matches!(empty.seed(), Err(ManifestError::Missing { clause: "seed" })));
        let bad = Manifest::parse(b"(reflog abc)").unwrap();
        assert!(matches!(bad.reflog(), Err(ManifestError::Key { .. })));
    }

    proptest! {
        #[test]
        fn manifests_come_back(seed: u64, key: [u8; 32], group: Option<[u8; 32]>) {
            let reflog = SignSecretKey::from_seed(&key).public();
            let group = group.map(Hash::from_bytes);
            let text = Manifest::new(seed, &reflog, group.as_ref()).to_text();
            let manifest = Manifest::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(manifest.seed().unwrap(), seed);
            prop_assert_eq!(manifest.reflog().unwrap(), reflog);
            prop_assert_eq!(manifest.group().unwrap(), group);
        }

        #[test]
        fn arbitrary_texts_never_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(manifest) = Manifest::parse(&text) {
                let _ = (manifest.seed(), manifest.reflog(), manifest.group(), manifest.pretty());
            }
        }
    }
}
