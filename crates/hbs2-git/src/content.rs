//! Opening a segment: from the root of its tree to a stream of compressed bytes.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use hbs2_core::{AnnotatedTree, Crypt, Decode, Hash};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::link::Link;

/// Blocks that are asked for at once: 4 MiB of chunks, so that one more group can be on its way.
const GROUP_BLOCKS: usize = 16;

/// The compressed content of a segment, fetched as it is read.
pub struct SegmentContent<'a> {
    link: &'a dyn Link,
    /// Chunks still to fetch.
    hashes: std::vec::IntoIter<Hash>,
    /// Fetched chunks.
    ready: std::vec::IntoIter<Bytes>,
    current: Bytes,
}

/// Opens the segment of a transaction. This is the one place that knows about encryption: an encrypted segment
/// is refused here by the name of its group key.
///
/// # Errors
/// A block is missing, the root is no tree, or the segment is sealed.
pub fn open_segment<'a>(ctx: &Context<'a>, transaction: Hash, tree: Hash) -> Result<SegmentContent<'a>> {
    let root = ctx.link("read a segment", ctx.link.get(&[tree]))?.pop().flatten();
    let root = root.ok_or_else(|| missing(ctx, tree, tree))?;
    if let Ok(AnnotatedTree { crypt, .. }) = AnnotatedTree::from_bytes(&root) {
        match crypt {
            Crypt::None => {}
            Crypt::Asymmetric { key: group }
            | Crypt::Group1 { key: group, .. }
            | Crypt::Group2 { key: group, .. } => {
                return Err(Error::NoAccess { transaction, tree, group });
            }
        }
    }
    let leaves = ctx.link("read a segment", ctx.link.leaves(&tree))?;
    if let Some(block) = leaves.missing {
        return Err(missing(ctx, tree, block));
    }
    let (ready, current) = (Vec::new().into_iter(), Bytes::new());
    Ok(SegmentContent { link: ctx.link, hashes: leaves.hashes.into_iter(), ready, current })
}

fn missing(ctx: &Context<'_>, tree: Hash, block: Hash) -> Error {
    Error::MissingBlock { block, what: format!("segment {tree}"), limit: ctx.settings.timeout }
}

impl SegmentContent<'_> {
    fn fetch(&mut self) -> io::Result<()> {
        let group: Vec<Hash> = self.hashes.by_ref().take(GROUP_BLOCKS).collect();
        if group.is_empty() {
            return Ok(());
        }
        let blocks = self.link.get(&group).map_err(io::Error::other)?;
        let absent =
            |hash: &Hash| io::Error::new(io::ErrorKind::NotFound, format!("block {hash} is missing"));
        let blocks: io::Result<Vec<Bytes>> =
            group.iter().zip(blocks).map(|(hash, block)| block.ok_or_else(|| absent(hash))).collect();
        self.ready = blocks?.into_iter();
        Ok(())
    }
}

impl BufRead for SegmentContent<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.ready.next() {
                Some(block) => self.current = block,
                None if self.hashes.len() == 0 => break,
                None => self.fetch()?,
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
