//! Opening a segment: from the root of its tree to a stream of compressed bytes.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use bytes::Bytes;
use hbs2_core::groupkey::GroupSecret;
use hbs2_core::tree::sealed::BlockCipher;
use hbs2_core::{AnnotatedTree, Crypt, Decode, Hash};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::link::BlockStream;

/// The secrets of group keys, by the root of the group key.
pub type Secrets = BTreeMap<Hash, GroupSecret>;

/// The compressed content of a segment, fetched and opened as it is read.
pub struct SegmentContent<'a> {
    blocks: BlockStream<'a>,
    cipher: Option<BlockCipher>,
    /// Blocks taken so far.
    place: u64,
    current: Bytes,
}

/// The group key with which the tree under the block `root` is sealed; none when it is in the clear.
pub(crate) fn group_of(root: &[u8]) -> Option<Hash> {
    match AnnotatedTree::from_bytes(root).ok()?.crypt {
        Crypt::None => None,
        Crypt::Asymmetric { key } | Crypt::Group1 { key, .. } | Crypt::Group2 { key, .. } => Some(key),
    }
}

/// Opens the segment of a transaction.
///
/// # Errors
/// A block is missing, the root is no tree, or it is sealed with a group key that is not in `secrets`.
pub fn open_segment<'a>(
    ctx: &Context<'a>,
    transaction: Hash,
    tree: Hash,
    secrets: &Secrets,
) -> Result<SegmentContent<'a>> {
    let root = ctx.link("read a segment", ctx.link.get(&[tree]))?.pop().flatten();
    let root = root.ok_or_else(|| missing(ctx, tree, tree))?;
    let cipher = match group_of(&root) {
        None => None,
        Some(group) => {
            let no_access = || Error::NoAccess { transaction, tree, group };
            let secret = secrets.get(&group).ok_or_else(no_access)?;
            let crypt = AnnotatedTree::from_bytes(&root).map(|tree| tree.crypt).ok();
            // What is left is the asymmetric method, for which nobody has a secret.
            Some(crypt.and_then(|crypt| BlockCipher::new(secret, &crypt).ok()).ok_or_else(no_access)?)
        }
    };
    let leaves = ctx.link("read a segment", ctx.link.leaves(&tree))?;
    if let Some(block) = leaves.missing {
        return Err(missing(ctx, tree, block));
    }
    let blocks = ctx.link.stream(leaves.hashes);
    Ok(SegmentContent { blocks, cipher, place: 0, current: Bytes::new() })
}

fn missing(ctx: &Context<'_>, tree: Hash, block: Hash) -> Error {
    Error::MissingBlock { block, what: format!("segment {tree}"), limit: ctx.settings.timeout }
}

impl SegmentContent<'_> {
    /// The next chunk; none at the end.
    fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let Some(answer) = self.blocks.next() else { return Ok(None) };
        let (hash, block) = answer.map_err(io::Error::other)?;
        let absent = || io::Error::new(io::ErrorKind::NotFound, format!("block {hash} is missing"));
        let block = block.ok_or_else(absent)?;
        self.place += 1;
        match &self.cipher {
            None => Ok(Some(block)),
            Some(cipher) => {
                let opened = cipher.open(self.place, &hash, &block);
                opened.map(|chunk| Some(chunk.into())).map_err(io::Error::other)
            }
        }
    }
}

impl BufRead for SegmentContent<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.chunk()? {
                Some(chunk) => self.current = chunk,
                None => break,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current = self.current.slice(amount..);
    }
}

impl Read for SegmentContent<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut from = self.fill_buf()?;
        let got = from.read(buffer)?;
        self.consume(got);
        Ok(got)
    }
}
