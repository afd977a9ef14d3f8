//! Group keys: secrets sealed for their members.

use std::collections::BTreeSet;

use hbs2_core::groupkey::Change;
use hbs2_core::{
    AnnotatedRef, Blob, Decode, Encode, EncryptPublicKey, GroupKey, GroupSecret, Hash, SealedBlock, Signed,
};
use hbs2_keyman::GroupSecretError;
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::error::WordError;
use super::{encrypt_key, hash_at, sign_key_at};
use crate::cli::world::Cli;
use crate::error::Failure;
use crate::groupkey;
use crate::groupkey::access::{self, Opening};
use crate::peer::refchan::{propose, read_head};
use crate::store::blocks::Purpose;

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:groupkey:create", "KEY…", create)
            .brief("make a group key for these encryption keys")
            .text("The keys may also be given as one list. The secret is new.")
            .returns("the text of a group key file")
            .example("hbs2:groupkey:store [hbs2:groupkey:create KEY1 KEY2]", ""),
        Word::call("hbs2:groupkey:store", "TEXT", store)
            .brief("store a group key")
            .returns("the hash by which trees and repositories name it")
            .example("hbs2:groupkey:store [hbs2:groupkey:create [list KEY1 KEY2]]", ""),
        Word::call("hbs2:groupkey:load", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let group = load(m, hash_at(a, 0)?)?;
            m.text(group.to_text())
        })
        .brief("a stored group key")
        .returns("the text of a group key file"),
        Word::call("hbs2:groupkey:dump", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let group = load(m, hash_at(a, 0)?)?;
            m.world().voice.out().write_all(group.dump().as_bytes()).map_err(Failure::Output)?;
            Ok(Datum::Nil)
        })
        .brief("print the id, the time and the members of a stored group key")
        .returns("nil"),
        Word::call("hbs2:groupkey:list-public-keys", "TEXT", |m, a| {
            let group = parse(a, 0)?;
            m.texts(group.members().iter().map(EncryptPublicKey::to_string))
        })
        .brief("the members of a group key")
        .text("TEXT is that of a group key file.")
        .returns("a list of encryption keys"),
        Word::call("hbs2:groupkey:update", "TEXT CHANGES", update)
            .brief("the same secret for other members")
            .text(
                "CHANGES is a list of pairs (add KEY) and (remove KEY), which may be written with a dot, as \
                 '((add . KEY)). Somebody who was removed knows the secret still: what is sealed with it stays \
                 readable for them.",
            )
            .returns("the text of a group key file")
            .example("hbs2:groupkey:update [hbs2:groupkey:load HASH] [list [add . KEY]]", ""),
        Word::call("hbs2:groupkey:publish", "REFCHAN KEY", publish)
            .brief("tell the readers of a channel of a group key")
            .text(
                "KEY is the text of a group key file, or the hash of a stored group key. An author of the channel \
                 whose key hbs2-keyman knows signs; members whose hbs2-keyman has the channel in its config find the \
                 group key with hbs2-keyman update.",
            )
            .returns("the hash of the group key"),
        Word::call("hbs2:groupkey:find-secret", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let secret = m.world().group_secret(&hash_at(a, 0)?)?;
            m.text(secret.id().to_string())
        })
        .brief("whether a key of ours opens a stored group key")
        .text("The secret itself is never shown.")
        .returns("the id of the secret; no access is an error"),
        Word::call("hbs2:groupkey:encrypt-block", "HASH B", |m: &mut Machine<Cli<'v>>, a| {
            let key = hash_at(a, 0)?;
            let secret = m.world().group_secret(&key)?;
            m.bytes(SealedBlock::seal_bytes(&secret, key, a.bytes_at(1)?).to_bytes())
        })
        .brief("bytes sealed with a stored group key, as one small block")
        .returns("a byte string"),
        Word::call("hbs2:groupkey:decrypt-block", "B", |m: &mut Machine<Cli<'v>>, a| {
            let sealed = SealedBlock::from_bytes(a.bytes_at(0)?)
                .map_err(|source| WordError::Bytes { expected: "a sealed block", source })?;
            let secret = m.world().group_secret(&sealed.key)?;
            let opened = sealed.open_bytes(&secret).map_err(WordError::from)?;
            m.bytes(opened.to_vec())
        })
        .brief("the content of a sealed block")
        .returns("a byte string"),
    ]
}

fn create(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let keys = match a.all() {
        [only] => only.as_list().unwrap_or(a.all()),
        all => all,
    };
    let members: BTreeSet<_> =
        keys.iter().map(|key| encrypt_key(a, 0, key)).collect::<Result<_, Raised>>()?;
    m.text(groupkey::generate(&members)?.0.to_text())
}

fn parse(a: Args<'_>, index: usize) -> Result<GroupKey, Raised> {
    Ok(GroupKey::parse(a.word_at(index)?).map_err(WordError::GroupKey)?)
}

fn store(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let root = put(m, &parse(a, 0)?)?;
    m.text(root.to_string())
}

/// Stores a group key; its root.
pub(super) fn put(m: &mut Machine<Cli<'_>>, group: &GroupKey) -> Result<Hash, Failure> {
    let blocks = m.world().blocks(Purpose::Write)?;
    let root = access::put(group, &blocks)?;
    blocks.sync()?;
    Ok(root)
}

fn publish(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let chan = sign_key_at(a, 0)?;
    let daemon = m.world().daemon()?;
    let root = match a.word_at(1)?.parse::<Hash>() {
        Ok(root) => load(m, root).map(|_| root)?,
        Err(_) => put(m, &parse(a, 1)?)?,
    };
    let (_, head) = read_head(&daemon, chan)?;
    let keys = m.world().keys()?;
    let mut authors = head.authors.iter().map(|author| keys.find_sign(author));
    let author = authors.find_map(Result::transpose).transpose().map_err(Failure::from)?;
    let author = author.ok_or(WordError::NoAuthor { chan })?;
    let payload = Blob(AnnotatedRef::to(root).to_bytes().into());
    propose::send(&daemon, chan, Signed::sign(&author.secret, &payload))?;
    m.text(root.to_string())
}

/// A stored group key.
pub(super) fn load(m: &mut Machine<Cli<'_>>, root: Hash) -> Result<GroupKey, Failure> {
    let blocks = m.world().blocks(Purpose::Read)?;
    GroupKey::load(root, |hash| blocks.get(hash)).map_err(|error| GroupSecretError::Load(error).into())
}

fn update(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let group = parse(a, 0)?;
    let change = changes(a, 1)?;
    let secret = Opening::new(None).secret(&group, m.world().voice)?;
    m.text(changed(&group, &secret, &change)?.to_text())
}

/// The group key after a change of its members.
pub(super) fn changed(group: &GroupKey, secret: &GroupSecret, change: &Change) -> Result<GroupKey, Raised> {
    let once = groupkey::once(group.members().len() + change.add.len())?;
    Ok(group.update(secret, change, groupkey::seconds(), once).map_err(WordError::GroupKey)?)
}

/// A list of (add KEY) and (remove KEY), with or without a dot.
pub(super) fn changes(a: Args<'_>, index: usize) -> Result<Change, Raised> {
    const SHAPE: &str = "a list of (add KEY) and (remove KEY)";
    let mut change = Change { add: BTreeSet::new(), remove: BTreeSet::new() };
    for pair in a.list_at(index)? {
        let (what, key) = match pair.as_list() {
            Some([what, key]) => (what, key),
            Some([what, dot, key]) if dot.as_symbol() == Some(".") => (what, key),
            _ => return Err(a.wrong(index, SHAPE)),
        };
        let key = encrypt_key(a, index, key)?;
        match what {
            Datum::Symbol(name) if &**name == "add" => change.add.insert(key),
            Datum::Symbol(name) if &**name == "remove" => change.remove.insert(key),
            _ => return Err(a.wrong(index, SHAPE)),
        };
    }
    Ok(change)
}
