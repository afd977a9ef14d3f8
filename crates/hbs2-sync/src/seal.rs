//! Trees of entries: made, made again under another name, and read.

use std::fs::File;
use std::io::{self, Read, Seek};

use bytes::Bytes;
use hbs2_core::sealed::NonceHasher;
use hbs2_core::tree::sealed::{Opener, Sealer};
use hbs2_core::{AnnotatedTree, Crypt, Decode, Encode, Hash, Meta, SealedBlock, Tree};
use hbs2_rpc::Client;

use crate::entry::{Facts, Kind};
use crate::error::{Result, SyncError};
use crate::groups::Seal;
use crate::link;
use crate::root::Print;
use crate::root::at::print_of;

/// Files up to this length are read once and kept in memory while they are sealed, in bytes.
pub(crate) const HELD_BYTES_MAX: u64 = 1024 * 1024;

/// What is read of a larger file at once, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// Takes blocks on their way to the daemon.
pub(crate) type Emit<'e> = &'e mut dyn FnMut(Bytes) -> Result<()>;

/// A sealed file.
pub(crate) struct Sealed {
    /// The root of its tree.
    pub(crate) tree: Hash,
    /// What it says.
    pub(crate) facts: Facts,
    /// The hash of its content.
    pub(crate) content: Hash,
    /// The file as it was.
    pub(crate) print: Print,
}

/// Seals a file as it is now. `after` are the entries that it replaces.
pub(crate) fn seal_file(
    seal: &Seal,
    facts: Facts,
    (mut file, print): (File, Print),
    emit: Emit<'_>,
) -> Result<Sealed> {
    let path = facts.path.to_string();
    let failed = |source| SyncError::File { doing: "read", path: path.clone().into(), source };
    let changing = || SyncError::Changing { path: path.clone() };
    let mut content = Hash::begin();
    let mut nonce = NonceHasher::begin(&seal.secret);
    let mut held = Vec::new();
    if print.bytes <= HELD_BYTES_MAX {
        (&mut file).take(HELD_BYTES_MAX + 1).read_to_end(&mut held).map_err(failed)?;
        content.update(&held);
        nonce.update(&held);
    } else {
        pieces(&mut file, &mut |piece| {
            content.update(piece);
            nonce.update(piece);
            Ok(())
        })
        .map_err(|error| error.named(failed))?;
    }
    if print_of(&file).map_err(failed)? != print {
        return Err(changing());
    }
    let content = content.finish();
    let kind = Kind::File { content: Some(content), executable: Some(print.is_executable()) };
    let facts = Facts { kind, ..facts };
    let crypt = Crypt::Group1 { key: seal.key, nonce: nonce.finish() };
    let tree = if print.bytes <= HELD_BYTES_MAX {
        tree_of(seal, crypt, &facts, emit, |sealer| sealer.write(&held))?
    } else {
        let mut again = Hash::begin();
        file.rewind().map_err(failed)?;
        let tree = tree_of(seal, crypt, &facts, emit, |sealer| {
            pieces(&mut file, &mut |piece| {
                again.update(piece);
                sealer.write(piece)
            })
            .map_err(|error| error.named(failed))
        })?;
        // One nonce string must never seal two contents; the blocks stay without a name that anybody learns.
        if again.finish() != content {
            return Err(changing());
        }
        tree
    };
    Ok(Sealed { tree, facts, content, print })
}

/// Seals a deletion: nothing, under metadata that say so.
pub(crate) fn seal_tomb(seal: &Seal, facts: &Facts, emit: Emit<'_>) -> Result<Hash> {
    let crypt = Crypt::Group1 { key: seal.key, nonce: NonceHasher::begin(&seal.secret).finish() };
    tree_of(seal, crypt, facts, emit, |_| Ok(()))
}

/// The sealer of this module.
type FileSealer<'s> = Sealer<&'s mut dyn FnMut(Hash, Bytes) -> Result<()>>;

fn tree_of(
    seal: &Seal,
    crypt: Crypt,
    facts: &Facts,
    emit: Emit<'_>,
    write: impl FnOnce(&mut FileSealer<'_>) -> Result<()>,
) -> Result<Hash> {
    let (meta, block) = sealed_meta(seal, facts);
    emit(block)?;
    let mut named = |_: Hash, block: Bytes| emit(block);
    let named: &mut dyn FnMut(Hash, Bytes) -> Result<()> = &mut named;
    let mut sealer = Sealer::new(&seal.secret, crypt, named).expect("this crypt is for a group");
    write(&mut sealer)?;
    sealer.finish(meta)
}

fn sealed_meta(seal: &Seal, facts: &Facts) -> (Meta, Bytes) {
    let block = Bytes::from(SealedBlock::seal_meta(&seal.secret, seal.key, &facts.text()).to_bytes());
    (Meta::Block(Hash::of(&block)), block)
}

/// The head of a tree with other metadata and perhaps another group key of the same secret; the content stays.
pub(crate) fn rename_tree(head: &[u8], seal: &Seal, facts: &Facts, emit: Emit<'_>) -> Option<Result<Hash>> {
    let mut tree = AnnotatedTree::from_bytes(head).ok()?;
    tree.crypt.rekey(seal.key).ok()?;
    let (meta, block) = sealed_meta(seal, facts);
    tree.meta = meta;
    let root = Bytes::from(tree.to_bytes());
    let hash = Hash::of(&root);
    Some(emit(block).and_then(|()| emit(root)).map(|()| hash))
}

/// What went wrong while a file was read in pieces.
enum PieceError {
    Read(io::Error),
    Taken(SyncError),
}

impl PieceError {
    fn named(self, name: impl FnOnce(io::Error) -> SyncError) -> SyncError {
        match self {
            Self::Read(error) => name(error),
            Self::Taken(error) => error,
        }
    }
}

fn pieces(file: &mut File, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> std::result::Result<(), PieceError> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => each(&piece[..count]).map_err(PieceError::Taken)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(PieceError::Read(error)),
        }
    }
}

/// The blocks of the content of a tree, if its head lists them all and they are few.
pub(crate) fn few_blocks(head: &[u8], count_max: usize) -> Option<Vec<Hash>> {
    match AnnotatedTree::from_bytes(head).ok()?.tree {
        Tree::Leaf(hashes) if hashes.len() <= count_max => Some(hashes),
        Tree::Node { children, .. } if children.is_empty() => Some(Vec::new()),
        Tree::Leaf(_) | Tree::Node { .. } => None,
    }
}

/// Opens the content of a tree and gives it to `each`, chunk by chunk. `near` finds blocks that were fetched already.
pub(crate) fn open_tree(
    client: &Client,
    (root, head): (Hash, &[u8]),
    secret: &hbs2_core::GroupSecret,
    near: impl Fn(&Hash) -> Option<Bytes>,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let wrong = |reason: String| SyncError::Tree { root, reason };
    let tree = AnnotatedTree::from_bytes(head).map_err(|error| wrong(error.to_string()))?;
    let get = |hash: &Hash| match near(hash) {
        Some(block) => Ok(Some(block)),
        None => link::block(client, hash),
    };
    let opener = Opener::new(root, &tree.crypt, secret, get).map_err(|error| wrong(reasons(&error)))?;
    for chunk in opener {
        each(&chunk.map_err(|error| wrong(reasons(&error)))?)?;
    }
    Ok(())
}

/// An error and its causes in one line.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
