//! Grow-only logs of signed entries.

use bytes::Bytes;
use hbs2_core::{AnnotatedRef, Decode, Encode, ReflogUpdate, SequentialRef, SignPublicKey};
use hbs2_rpc::api::peer::PollAdd;
use hbs2_rpc::api::reflog::{Fetch, Get, Post};
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::error::WordError;
use super::lwwref::polled;
use super::{data_at, hash_at, sign_key_at};
use crate::cli::world::Cli;
use crate::error::Failure;
use crate::peer::reflog::{self, PAYLOAD_BYTES_MAX};
use crate::store::blocks::Purpose;

/// Minutes between two polls of a new log. The original takes 31 too.
const POLL_MINUTES: u64 = 31;

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:reflog:create", "", |m: &mut Machine<Cli<'v>>, _| {
            let key = m.world().create_reference("reflog", POLL_MINUTES)?;
            m.text(key.to_string())
        })
        .brief("make a log: a new key in the default directory, and the peer subscribed to it")
        .returns("its key"),
        Word::call("hbs2:reflog:add", "KEY", |m: &mut Machine<Cli<'v>>, a| {
            let poll = (sign_key_at(a, 0)?, "reflog".to_owned(), POLL_MINUTES);
            m.world().daemon()?.ask::<PollAdd>(&poll)?;
            Ok(Datum::Nil)
        })
        .brief("subscribe the peer to a log")
        .returns("nil"),
        Word::call("hbs2:reflog:get", "KEY", |m: &mut Machine<Cli<'v>>, a| {
            let key = sign_key_at(a, 0)?;
            match m.world().daemon()?.ask::<Get>(&key)? {
                Some(root) => m.text(root.to_string()),
                None => Ok(Datum::Nil),
            }
        })
        .brief("the root of a log, whose leaves are its entries")
        .returns("a hash, or nil when the peer knows no entry"),
        Word::call("hbs2:reflog:fetch", "KEY", |m: &mut Machine<Cli<'v>>, a| {
            let key = sign_key_at(a, 0)?;
            m.world().daemon()?.ask::<Fetch>(&key)?;
            m.symbol("okay")
        })
        .brief("ask other peers for a log now; returns at once")
        .returns("the symbol okay"),
        Word::call("hbs2:reflog:list", "", |m: &mut Machine<Cli<'v>>, _| polled(m, "reflog"))
            .brief("the logs that the peer polls")
            .returns("a list of keys"),
        Word::call("hbs2:reflog:tx:annhashref:create", "KEY HASH", |m, a| {
            let payload = AnnotatedRef::to(hash_at(a, 1)?).to_bytes();
            sign(m, sign_key_at(a, 0)?, payload)
        })
        .brief("an entry that names a tree or block")
        .text("Peers that poll the log download what it names. The secret key is found through hbs2-keyman.")
        .returns("the signed entry, a byte string"),
        Word::call("hbs2:reflog:tx:seqref:create", "KEY N HASH", |m, a| {
            let payload = SequentialRef { rank: a.int_at(1)?, target: AnnotatedRef::to(hash_at(a, 2)?) };
            sign(m, sign_key_at(a, 0)?, payload.to_bytes())
        })
        .brief("an entry that names a tree or block, with a number")
        .returns("the signed entry, a byte string"),
        Word::call("hbs2:reflog:tx:raw:create", "DATA KEY", |m: &mut Machine<Cli<'v>>, a| {
            let data = data_at(m, a, 0)?;
            sign(m, sign_key_at(a, 1)?, data)
        })
        .brief("an entry with any data")
        .text("DATA is a string, bytes, or the symbol stdin.")
        .returns("the signed entry, a byte string"),
        Word::call("hbs2:reflog:tx:post", "B", |m: &mut Machine<Cli<'v>>, a| {
            let entry = entry(a, 0)?;
            m.world().daemon()?.ask::<Post>(&entry)?;
            Ok(Datum::Nil)
        })
        .brief("publish a signed entry")
        .returns("nil"),
        Word::call("hbs2:reflog:tx:decode", "B", |m: &mut Machine<Cli<'v>>, a| {
            let entry = entry(a, 0)?;
            m.bytes(entry.data().to_vec())
        })
        .brief("the data of a signed entry; its signature is checked")
        .returns("a byte string"),
        Word::call("hbs2:reflog:tx:seqref:decode", "B", |m: &mut Machine<Cli<'v>>, a| {
            let bytes = a.bytes_at(0)?;
            // Of a whole entry its payload is meant.
            let payload = ReflogUpdate::from_bytes(bytes).map(|entry| entry.data().clone());
            let payload = payload.unwrap_or_else(|_| Bytes::copy_from_slice(bytes));
            let seqref = SequentialRef::from_bytes(&payload)
                .map_err(|source| WordError::Bytes { expected: "a reference with a number", source })?;
            let hash = m.text(seqref.target.target.to_string())?;
            m.tagged("seqref", vec![Datum::Int(seqref.rank), hash])
        })
        .brief("the number and the hash in an entry or in its data")
        .returns("a form (seqref N \"HASH\")"),
        Word::call("hbs2:reflog:tx:list", "F KEY", |m, a| {
            let mut results = Vec::new();
            for entry in entries(m, sign_key_at(a, 1)?)? {
                let data = m.bytes(entry.data().to_vec())?;
                results.push(m.apply(a.at(0), &[data])?);
            }
            m.list(results)
        })
        .brief("what a function gives for the data of each entry of a log")
        .returns("a list")
        .example("hbs2:reflog:tx:list bytes:decode KEY", ""),
        Word::call("hbs2:reflog:tx:copy:all", "A B", |m, a| {
            let (from, to) = (sign_key_at(a, 0)?, sign_key_at(a, 1)?);
            for entry in entries(m, from)? {
                let signed = signed(m, to, entry.data().to_vec())?;
                m.world().daemon()?.ask::<Post>(&signed)?;
            }
            Ok(Datum::Nil)
        })
        .brief("sign the data of all entries of log A as entries of log B, and publish them")
        .returns("nil"),
    ]
}

fn sign(m: &mut Machine<Cli<'_>>, key: SignPublicKey, data: Vec<u8>) -> Outcome {
    let entry = signed(m, key, data)?;
    m.bytes(entry.to_bytes())
}

fn signed(m: &mut Machine<Cli<'_>>, key: SignPublicKey, data: Vec<u8>) -> Result<ReflogUpdate, Failure> {
    if data.len() > PAYLOAD_BYTES_MAX {
        return Err(Failure::TooLong {
            what: "the data of the entry".to_owned(),
            bytes_max: PAYLOAD_BYTES_MAX,
        });
    }
    let secret = m.world().sign_secret(&key)?;
    reflog::sign(&secret, data)
}

/// The entry that argument `index` is, its signature checked.
fn entry(a: Args<'_>, index: usize) -> Result<ReflogUpdate, Raised> {
    let entry = ReflogUpdate::from_bytes(a.bytes_at(index)?)
        .map_err(|source| WordError::Bytes { expected: "a signed entry of a log", source })?;
    entry.verify().map_err(WordError::from)?;
    Ok(entry)
}

/// The entries of a log that are of this log and signed well: a tree may list anything.
fn entries(m: &mut Machine<Cli<'_>>, key: SignPublicKey) -> Result<Vec<ReflogUpdate>, Raised> {
    let root = m.world().daemon()?.ask::<Get>(&key)?.ok_or(Failure::NoReflog { key })?;
    let blocks = m.world().blocks(Purpose::Read)?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    reflog::entries(&blocks, root, &key, |entry| {
        bytes += entry.data().len();
        m.room(bytes)?;
        entries.push(entry);
        Ok::<_, Raised>(())
    })?;
    Ok(entries)
}
