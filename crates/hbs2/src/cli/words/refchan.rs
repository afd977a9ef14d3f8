//! Channels that many write.

use hbs2_core::limits::CHAN_HEAD_BYTES_MAX;
use hbs2_core::refchan::VerifiedUpdate;
use hbs2_core::{AnnotatedRef, Blob, ChanHead, Decode, Encode, Hash, SequentialRef, SignPublicKey, Signed};
use hbs2_rpc::api::refchan::{Get, HeadGet};
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::error::WordError;
use super::lwwref::polled;
use super::{data_at, hash_at, lines_of, sign_key_at};
use crate::cli::world::Cli;
use crate::error::Failure;
use crate::peer::refchan::{PAYLOAD_BYTES_MAX, cat, head, propose, read_head};
use crate::script::around::{path_at, text_of};
use crate::store::blocks::Purpose;

/// Minutes between two polls of a new channel; the number the original takes.
const POLL_MINUTES: u64 = 17;

/// A head to begin with.
const EXAMPLE: &str = r#"; The rules of a channel. Who owns its key signs them.
(version 1)            ; must grow with each new head
(quorum 1)             ; peers that must accept what is written
(wait 10)              ; how long they wait for each other, in seconds
(peer "CRtvhdEVRwkQhQB3pmQzsXQrP8tAgiTejwTpCRh15PCX" 1)      ; may bring and accept; the number has no meaning
(author "7KFPuAGzN9QFvvQuaGGSEqMBrukGR2jyybxZDAxJGsLf")      ; may write
(reader "4YSEUEGEmmdgNmACAmVidWTEyFRWp2kLrhex1oPZ1Mhc")      ; encryption key for which programs seal
(notifier "A7G1MHW2BW6EpnFk1KNAqQb9EgX6Q7hGq2GaUNonbQc8")    ; may send notices, as authors may
; (disclosed "HASH")   ; published credentials
"#;

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:refchan:create", "[HEAD]", create)
            .brief("make a channel: a new key in the default directory, a head, and the peer subscribed to it")
            .text(
                "HEAD is a file with the text of a head, or its lines as a list. Without it the running peer alone \
                 accepts, and alone may write.",
            )
            .returns("the key as a remark, and the head as text"),
        Word::call("hbs2:refchan:list", "", |m: &mut Machine<Cli<'v>>, _| polled(m, "refchan"))
            .brief("the channels that the peer polls")
            .returns("a list of keys"),
        Word::call("hbs2:refchan:get", "CHAN", |m: &mut Machine<Cli<'v>>, a| {
            let chan = sign_key_at(a, 0)?;
            let root = m.world().daemon()?.ask::<Get>(&chan)?;
            maybe(m, root)
        })
        .brief("the root of the log of a channel")
        .returns("a hash, or nil when nothing was admitted yet"),
        Word::call("hbs2:refchan:head:get", "WHAT CHAN", |m: &mut Machine<Cli<'v>>, a| {
            let chan = sign_key_at(a, 1)?;
            let daemon = m.world().daemon()?;
            let root = daemon.ask::<HeadGet>(&chan)?;
            match (a.word_at(0)?, root) {
                (":parsed" | "parsed", Some(_)) => {
                    let (_, head) = read_head(&daemon, chan)?;
                    m.text(head.to_string())
                }
                (_, root) => maybe(m, root),
            }
        })
        .brief("the head of a channel")
        .text("With :parsed as WHAT it is its text, with any other word the hash of its tree.")
        .returns("a string, or nil when no head is known"),
        Word::call("hbs2:refchan:head:update", "CHAN HEAD", |m: &mut Machine<Cli<'v>>, a| {
            let chan = sign_key_at(a, 0)?;
            let head = head_at(m, a, 1)?;
            publish(m, &chan, &head)?;
            Ok(Datum::Nil)
        })
        .brief("sign a new head of a channel and publish it")
        .text("HEAD is a file with the text of a head, or its lines as a list. Its version must be a higher one.")
        .returns("nil"),
        Word::call("hbs2:refchan:head:example", "", |m: &mut Machine<Cli<'v>>, _| {
            m.world().voice.out().write_all(EXAMPLE.as_bytes()).map_err(Failure::Output)?;
            Ok(Datum::Nil)
        })
        .brief("print a head with remarks")
        .returns("nil"),
        Word::call("hbs2:refchan:tx:annref:create", "AUTHOR HASH", |m, a| {
            let payload = AnnotatedRef::to(hash_at(a, 1)?).to_bytes();
            sign(m, sign_key_at(a, 0)?, payload)
        })
        .brief("a payload that names a tree or block")
        .text("The secret key of the author is found through hbs2-keyman.")
        .returns("the signed payload, a byte string")
        .example("hbs2:refchan:tx:propose CHAN [hbs2:refchan:tx:annref:create AUTHOR HASH]", ""),
        Word::call("hbs2:refchan:tx:seqref:create", "AUTHOR N HASH", |m, a| {
            let payload = SequentialRef { rank: a.int_at(1)?, target: AnnotatedRef::to(hash_at(a, 2)?) };
            sign(m, sign_key_at(a, 0)?, payload.to_bytes())
        })
        .brief("a payload that names a tree or block, with a number")
        .returns("the signed payload, a byte string"),
        Word::call("hbs2:refchan:tx:raw:create", "AUTHOR DATA", |m: &mut Machine<Cli<'v>>, a| {
            let data = data_at(m, a, 1)?;
            sign(m, sign_key_at(a, 0)?, data)
        })
        .brief("a payload with any data, at most 512 KiB")
        .text("DATA is a string, bytes, or the symbol stdin.")
        .returns("the signed payload, a byte string"),
        Word::call("hbs2:refchan:tx:propose", "CHAN B", |m: &mut Machine<Cli<'v>>, a| {
            let chan = sign_key_at(a, 0)?;
            let payload = Signed::<Blob>::from_bytes(a.bytes_at(1)?)
                .map_err(|source| WordError::Bytes { expected: "a signed payload", source })?;
            propose::send(&m.world().daemon()?, chan, payload)?;
            Ok(Datum::Nil)
        })
        .brief("bring a signed payload to a channel")
        .text("It is in the log when a quorum of the peers of the channel has accepted it.")
        .returns("nil"),
        Word::call("hbs2:refchan:tx:raw:list", "CHAN", raw_list)
            .brief("what is in the log of a channel, in its order")
            .returns("a list of (propose HASH PEER AUTHOR BYTES) and (accept HASH TIME PROPOSAL)"),
    ]
}

fn maybe(m: &mut Machine<Cli<'_>>, hash: Option<Hash>) -> Outcome {
    match hash {
        Some(hash) => m.text(hash.to_string()),
        None => Ok(Datum::Nil),
    }
}

fn create(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    // Everything that may be wrong comes before the key.
    let daemon = m.world().daemon()?;
    let head = match a.get(0) {
        Some(_) => head_at(m, a, 0)?,
        None => default_head(propose::own_key(&daemon)?)?,
    };
    let chan = m.world().create_reference("refchan", POLL_MINUTES)?;
    publish(m, &chan, &head)?;
    m.text(format!("; refchan  {chan}\n{head}"))
}

/// A head in which one peer does everything.
fn default_head(peer: Option<SignPublicKey>) -> Result<ChanHead, Failure> {
    let peer = peer.ok_or_else(|| Failure::told("the peer does not say what its key is".to_owned()))?;
    let text = format!("version 1\nquorum 1\nwait 10\npeer \"{peer}\" 1\nauthor \"{peer}\"\n");
    head::parse(text.as_bytes(), "the first head")
}

/// The head that argument `index` is: the name of a file, or a list of lines.
fn head_at(m: &mut Machine<Cli<'_>>, a: Args<'_>, index: usize) -> Result<ChanHead, Raised> {
    if let Some(lines) = a.at(index).as_list() {
        m.walk(a.at(index))?;
        let lines = lines_of(lines).ok_or_else(|| a.wrong(index, "a file, or lines of words"))?;
        let wrong = || Failure::told("cannot read the head".to_owned());
        return Ok(ChanHead::from_lines(&lines).map_err(|error| wrong().because(error))?);
    }
    let path = path_at(m, a, index)?;
    let text = text_of(m, Some(&path))?;
    if text.len() > CHAN_HEAD_BYTES_MAX {
        let what = path.display().to_string();
        return Err(Failure::TooLong { what, bytes_max: CHAN_HEAD_BYTES_MAX }.into());
    }
    Ok(head::parse(text.as_bytes(), &path.display().to_string())?)
}

/// Signs a head as its channel, stores and publishes it.
fn publish(m: &mut Machine<Cli<'_>>, chan: &SignPublicKey, head: &ChanHead) -> Result<(), Failure> {
    let daemon = m.world().daemon()?;
    let secret = m.world().sign_secret(chan)?;
    head::issue(&daemon, &secret, head).map(drop)
}

fn sign(m: &mut Machine<Cli<'_>>, author: SignPublicKey, payload: Vec<u8>) -> Outcome {
    if payload.len() > PAYLOAD_BYTES_MAX {
        let what = "the payload".to_owned();
        return Err(Failure::TooLong { what, bytes_max: PAYLOAD_BYTES_MAX }.into());
    }
    let secret = m.world().sign_secret(&author)?;
    m.bytes(Signed::sign(&secret, &Blob(payload.into())).to_bytes())
}

fn raw_list(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let chan = sign_key_at(a, 0)?;
    let root = m.world().daemon()?.ask::<Get>(&chan)?;
    let Some(root) = root else { return Ok(Datum::Nil) };
    let blocks = m.world().blocks(Purpose::Read)?;
    let (mut updates, mut bytes, room) = (Vec::new(), 0, m.room_left());
    cat::updates(&blocks, root, &chan, &mut |hash, update| {
        if let VerifiedUpdate::Propose { payload, .. } = &update {
            bytes += payload.len();
        }
        if bytes > room {
            return Err(Failure::TooLong { what: format!("the log of refchan {chan}"), bytes_max: room });
        }
        updates.push((hash, update));
        Ok(())
    })?;
    m.pay(updates.len() as u64)?;
    m.room_for_items(updates.len())?;
    let mut items = Vec::with_capacity(updates.len());
    for (hash, update) in updates {
        let hash = m.text(hash.to_string())?;
        items.push(match update {
            VerifiedUpdate::Propose { peer, author, payload, .. } => {
                let (peer, author) = (m.text(peer.to_string())?, m.text(author.to_string())?);
                let payload = m.bytes(payload.to_vec())?;
                m.tagged("propose", vec![hash, peer, author, payload])?
            }
            VerifiedUpdate::Accept { acceptance, .. } => {
                let time = acceptance.seconds.map_or(Datum::Nil, |seconds| Datum::Int(i128::from(seconds)));
                let proposal = m.text(acceptance.proposal.to_string())?;
                m.tagged("accept", vec![hash, time, proposal])?
            }
        });
    }
    m.list(items)
}
