//! The head of a repository: the value of its lwwref, written as a whole (spec: git3 1.1, 1.2).

use std::collections::BTreeSet;

use bytes::Bytes;
use hbs2_core::tree::build;
use hbs2_core::{Hash, LwwRef, Shape, SignSecretKey, Signed};

use crate::context::Context;
use crate::error::Result;
use crate::manifest::{Manifest, value_block};

/// Stores a manifest and a journal of group keys, and makes them the value of the lwwref of this key. A
/// repository that was never encrypted has no journal.
///
/// # Errors
/// The daemon fails.
pub(crate) fn publish(
    ctx: &Context<'_>,
    secret: &SignSecretKey,
    manifest: &Manifest,
    journal: &BTreeSet<Hash>,
) -> Result<()> {
    let manifest = manifest.to_blocks();
    let root = manifest.last().expect("a tree has a root").0;
    let mut blocks: Vec<Bytes> = manifest.into_iter().map(|(_, block)| block).collect();
    let journal = (!journal.is_empty()).then(|| {
        let keys: Vec<Hash> = journal.iter().copied().collect();
        build::build(Shape::DATA, &keys, |_, block| blocks.push(block))
    });
    let (value, block) = value_block(&root, journal.as_ref());
    blocks.push(block);
    ctx.link("store the manifest", ctx.link.put(&blocks))?;
    ctx.link("store the manifest", ctx.link.sync())?;
    let current = ctx.link("read the lwwref", ctx.link.lwwref(&secret.public()))?;
    let seq = LwwRef::next_seq(current.as_ref(), (ctx.now)());
    let signed = Signed::sign(secret, &LwwRef { seq, value, proof: None });
    ctx.link("publish the lwwref", ctx.link.set_lwwref(&signed))
}
