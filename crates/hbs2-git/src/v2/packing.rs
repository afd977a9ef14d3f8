//! Making the trees of packs: objects in, root out.

use std::io::Read;

use bytes::Bytes;
use hbs2_core::groupkey::GroupSecret;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::tree::build;
use hbs2_core::tree::sealed::Sealer;
use hbs2_core::{Hash, Meta, Shape};

use super::container::write_index;
use super::seal::{self, NONCE_CONTENT_BYTES};
use super::work::PackMaker;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::gitdir::GitDir;
use crate::object::ObjectId;

/// For whom packs are sealed.
pub(crate) struct Seal {
    /// Root of the tree of the group key.
    pub(crate) group: Hash,
    pub(crate) secret: GroupSecret,
}

/// Packs these objects, sorted, and stores the pack; returns the root of its tree. `head` is the CBOR of the head
/// of the same transaction.
pub(crate) fn store_pack(
    ctx: &Context<'_>,
    git: &GitDir,
    ids: &[ObjectId],
    seal: Option<&Seal>,
    head: &[u8],
) -> Result<Hash> {
    let mut maker = PackMaker::start(git, ids)?;
    let index = write_index(ids);
    let mut content = (&index[..]).chain(&mut maker.output);
    let stored = match seal {
        Some(seal) => store_sealed(ctx, &mut content, seal, head),
        None => store_plain(ctx, &mut content),
    };
    let finished = maker.finish();
    let root = stored?;
    finished?;
    Ok(root)
}

/// Seals content that was in the clear.
pub(crate) fn store_sealed(
    ctx: &Context<'_>,
    content: &mut impl Read,
    seal: &Seal,
    head: &[u8],
) -> Result<Hash> {
    let mut start = vec![0; NONCE_CONTENT_BYTES];
    let length = fill(content, &mut start)?;
    start.truncate(length);
    let crypt = seal::crypt(seal.group, &start, head);
    let mut upload = ctx.link.upload();
    let emit = |_, block| ctx.link("store a pack", upload.put(block));
    let mut sealer = Sealer::new(&seal.secret, crypt, emit).expect("this crypt is for a group");
    sealer.write(&start)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    while let length @ 1.. = fill(content, &mut chunk)? {
        sealer.write(&chunk[..length])?;
    }
    let root = sealer.finish(Meta::None)?;
    ctx.link("store a pack", upload.finish())?;
    Ok(root)
}

fn store_plain(ctx: &Context<'_>, content: &mut impl Read) -> Result<Hash> {
    let mut upload = ctx.link.upload();
    let mut hashes = Vec::new();
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let length = fill(content, &mut chunk)?;
        if length == 0 {
            break;
        }
        chunk.truncate(length);
        hashes.push(Hash::of(&chunk));
        ctx.link("store a pack", upload.put(chunk.into()))?;
    }
    let mut blocks = Vec::new();
    let root = build::build(Shape::DATA, &hashes, |_, block| blocks.push(block));
    for block in blocks {
        ctx.link("store a pack", upload.put(block))?;
    }
    ctx.link("store a pack", upload.finish())?;
    Ok(root)
}

/// Stores a small content and a list of trees; returns the roots of their trees.
pub(crate) fn store_head(ctx: &Context<'_>, head: Vec<u8>, packs: &[Hash]) -> Result<(Hash, Hash)> {
    let mut blocks: Vec<Bytes> = Vec::new();
    let head = build::build_data(&head.into(), |_, block| blocks.push(block));
    let bundles = build::build(Shape::DATA, packs, |_, block| blocks.push(block));
    let mut upload = ctx.link.upload();
    for block in blocks {
        ctx.link("store the head", upload.put(block))?;
    }
    ctx.link("store the head", upload.finish())?;
    Ok((head, bundles))
}

/// Reads until `buffer` is full or the content ends; gives how much came.
fn fill(content: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match content.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(got) => length += got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::Git { command: "pack-objects".into(), message: error.to_string() });
            }
        }
    }
    Ok(length)
}
