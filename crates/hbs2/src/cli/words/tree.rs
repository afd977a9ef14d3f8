//! Trees: reading, looking, collecting, deleting; groves are trees of hashes.

use hbs2_core::inspect::{self, Kind};
use hbs2_core::{AnnotatedTree, Crypt, Decode, Hash, Meta, Tree};
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::{block, hash_at};
use crate::cli::world::Cli;
use crate::error::Failure;
use crate::groupkey::access::Opening;
use crate::store::blocks::Purpose;
use crate::store::cat::follow;
use crate::store::reach::{GroupKeys, Reach};
use crate::store::{chunks, content};
use crate::voice::Voice;

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:tree:read", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let content = content(m, hash_at(a, 0)?)?;
            m.bytes(content)
        })
        .brief("the content of a tree, opened if it is sealed")
        .returns("a byte string")
        .example("bytes:decode [hbs2:tree:read HASH]", ""),
        Word::call("hbs2:tree:read:stdout", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let mut write = |voice: &mut Voice, bytes: &[u8]| Ok(voice.out().write_all(bytes)?);
            give(m, hash_at(a, 0)?, &mut write)?;
            Ok(Datum::Nil)
        })
        .brief("write the content of a tree to stdout, opened if it is sealed")
        .returns("nil"),
        Word::call("hbs2:tree:refs", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let hash = hash_at(a, 0)?;
            let found = refs(&block(m, hash)?);
            m.texts(found.iter().map(Hash::to_string))
        })
        .brief("the hashes of trees, keys and metadata in a block; not those of data")
        .returns("a list of hashes"),
        Word::call("hbs2:tree:missed", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let (_, missing) = reach(m, hash_at(a, 0)?)?;
            m.texts(missing.iter().map(Hash::to_string))
        })
        .brief("the blocks below a block that are not here")
        .returns("a list of hashes"),
        Word::call("hbs2:tree:scan", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let (found, _) = reach(m, hash_at(a, 0)?)?;
            m.texts(found.iter().map(Hash::to_string))
        })
        .also(&["hbs2:tree:scan:deep"])
        .brief("the blocks that can be reached from a block and are here, itself first")
        .returns("a list of hashes"),
        Word::call("hbs2:tree:scan:deep:stdout", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let (found, _) = reach(m, hash_at(a, 0)?)?;
            for hash in found {
                m.world().voice.line(hash).map_err(Failure::Output)?;
            }
            Ok(Datum::Nil)
        })
        .brief("print the blocks that can be reached from a block and are here, itself first")
        .returns("nil"),
        Word::call("hbs2:grove", "HASH…", |m: &mut Machine<Cli<'v>>, a| {
            let hashes = hashes(a, a.all())?;
            let blocks = m.world().blocks(Purpose::Write)?;
            let root = chunks::put_tree(&hashes, &|batch| blocks.put(batch))?;
            blocks.sync()?;
            m.text(root.to_string())
        })
        .brief("store a tree whose leaves are these hashes")
        .text("They may also be given as one list. See what is in it with: hbs2 cat -H HASH")
        .returns("its hash"),
        Word::call("hbs2:grove:annotated", "ANN HASHES", annotated)
            .brief("store a tree whose leaves are these hashes, with metadata")
            .text("ANN is a list of forms, which become the lines of the metadata.")
            .returns("its hash"),
    ]
}

/// The content behind a hash, as far as there is room: of a tree, or of the block itself.
pub(super) fn content(m: &mut Machine<Cli<'_>>, hash: Hash) -> Result<Vec<u8>, Raised> {
    let room = m.room_left();
    let mut whole = Vec::new();
    give(m, hash, &mut |_, bytes| {
        if whole.len() + bytes.len() > room {
            return Err(Failure::TooLong { what: format!("the content of {hash}"), bytes_max: room });
        }
        whole.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(whole)
}

/// Takes a piece of content.
type Take<'t> = &'t mut dyn FnMut(&mut Voice, &[u8]) -> Result<(), Failure>;

/// Gives the content behind a hash to `take`, together with the voice.
fn give(m: &mut Machine<Cli<'_>>, hash: Hash, take: Take<'_>) -> Result<(), Failure> {
    let block = block(m, hash)?;
    let blocks = m.world().blocks(Purpose::Read)?;
    let voice = &mut *m.world().voice;
    let (root, block) = follow(hash, block, &blocks)?;
    let cipher = match inspect::kind(&block) {
        Kind::AnnotatedTree => {
            Opening::new(None).cipher(root, &annotated_tree(root, &block)?, &blocks, voice)?
        }
        Kind::Tree => None,
        _ => return take(voice, &block),
    };
    content::read(root, cipher.as_ref(), &blocks, &mut |bytes| take(voice, bytes))
}

/// An annotated tree, or an error that names its block.
pub(super) fn annotated_tree(hash: Hash, block: &[u8]) -> Result<AnnotatedTree, Failure> {
    AnnotatedTree::from_bytes(block).map_err(|source| Failure::Malformed { hash, source })
}

/// What a block names besides data: leaves of a tree are data.
fn refs(block: &[u8]) -> Vec<Hash> {
    let leaf = match inspect::kind(block) {
        Kind::Tree => Tree::from_bytes(block).ok(),
        Kind::AnnotatedTree => AnnotatedTree::from_bytes(block).ok().map(|tree| tree.tree),
        _ => None,
    };
    let mut links = inspect::links(block);
    if let Some(Tree::Leaf(data)) = leaf {
        // They stand last; the same hash may also name the key or the metadata.
        links.truncate(links.len().saturating_sub(data.len()));
    }
    links
}

/// The blocks that can be reached: those that are here, in order, and those that are not.
fn reach(m: &mut Machine<Cli<'_>>, root: Hash) -> Result<(Vec<Hash>, Vec<Hash>), Raised> {
    let blocks = m.world().blocks(Purpose::Read)?;
    let mut reach = Reach::new(root, GroupKeys::Reach, &blocks);
    let mut found = Vec::new();
    while let Some((hash, _)) = reach.step()? {
        m.pay(1)?;
        m.room_for_items(found.len())?;
        found.push(hash);
    }
    Ok((found, reach.missing().to_vec()))
}

fn hashes(a: Args<'_>, all: &[Datum]) -> Result<Vec<Hash>, Raised> {
    let all = match all {
        [only] => only.as_list().unwrap_or(all),
        all => all,
    };
    let hash = |value: &Datum| value.as_word()?.parse().ok();
    all.iter().map(|value| hash(value).ok_or_else(|| a.wrong(a.count() - 1, "hashes in base58"))).collect()
}

fn annotated(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let hashes = hashes(a, a.list_at(1)?)?;
    m.walk(a.at(0))?;
    let lines: Vec<_> = a.list_at(0)?.iter().map(line).collect();
    let root = put_annotated(m, &hashes, Meta::Short(lines.join("\n")))?;
    m.text(root.to_string())
}

/// A form as a line: without its brackets when it is a list.
fn line(form: &Datum) -> String {
    match form.as_list() {
        Some(items) => items.iter().map(|item| item.to_form().to_string()).collect::<Vec<_>>().join(" "),
        None => form.display(),
    }
}

/// Stores an annotated tree that is not sealed over blocks that are here; its hash.
pub(super) fn put_annotated(m: &mut Machine<Cli<'_>>, hashes: &[Hash], meta: Meta) -> Result<Hash, Failure> {
    let blocks = m.world().blocks(Purpose::Write)?;
    let root = chunks::put_annotated(hashes, meta, Crypt::None, &|batch| blocks.put(batch))?;
    blocks.sync()?;
    Ok(root)
}
