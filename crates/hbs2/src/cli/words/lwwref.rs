//! References whose last writer wins.

use hbs2_core::{LwwRef, Signed};
use hbs2_rpc::api::lwwref::{Fetch, Get, LwwKey, Update};
use hbs2_rpc::api::peer::PollList;
use hbs2_script::{Args, Datum, Machine, Outcome, Word};

use super::{hash_at, sign_key_at};
use crate::cli::world::Cli;
use crate::error::Failure;
use crate::peer::lwwref::shape;

/// Minutes between two polls of a new reference; the number the original takes.
const POLL_MINUTES: u64 = 31;

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:lwwref:create", "", |m: &mut Machine<Cli<'v>>, _| {
            let key = m.world().create_reference("lwwref", POLL_MINUTES)?;
            let key = m.text(key.to_string())?;
            m.tagged("pk", vec![key])
        })
        .brief("make a reference: a new key in the default directory, and the peer subscribed to it")
        .returns("a form (pk \"KEY\")"),
        Word::call("hbs2:lwwref:get", "KEY", |m: &mut Machine<Cli<'v>>, a| {
            let key = sign_key_at(a, 0)?;
            let value = m.world().daemon()?.ask::<Get>(&LwwKey(key))?;
            m.text(value.as_ref().map(shape).unwrap_or_default())
        })
        .brief("the value of a reference")
        .returns("a string, empty when the peer knows no value")
        .example(
            "hbs2:lwwref:get BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP",
            "(lwwref\n  (seq 4)\n  (value \"74vDGwBYebH3oM6xPXC7kqpgu6deqi7E549QpvHvvQKf\")\n  )",
        ),
        Word::call("hbs2:lwwref:list", "", |m: &mut Machine<Cli<'v>>, _| polled(m, "lwwref"))
            .brief("the references that the peer polls")
            .returns("a list of keys"),
        Word::call("hbs2:lwwref:fetch", "KEY", |m: &mut Machine<Cli<'v>>, a| {
            let key = sign_key_at(a, 0)?;
            m.world().daemon()?.ask::<Fetch>(&LwwKey(key))?;
            m.symbol("okay")
        })
        .brief("ask other peers for a reference now; returns at once")
        .returns("the symbol okay"),
        Word::call("hbs2:lwwref:update", "KEY HASH", update)
            .brief("sign a new value of a reference and publish it")
            .text("Its number is one higher than that of the present value, the first one is 1.")
            .returns("nil"),
    ]
}

fn update(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let (key, value) = (sign_key_at(a, 0)?, hash_at(a, 1)?);
    let daemon = m.world().daemon()?;
    let secret = m.world().sign_secret(&key)?;
    let current = daemon.ask::<Get>(&LwwKey(key))?;
    let seq = current.map_or(Some(1), |current| current.seq.checked_add(1));
    let seq = seq.ok_or(Failure::NoSequence { key })?;
    daemon.ask::<Update>(&Signed::sign(&secret, &LwwRef { seq, value, proof: None }))?;
    Ok(Datum::Nil)
}

/// The keys that the peer polls as references of this kind.
pub(super) fn polled(m: &mut Machine<Cli<'_>>, wanted: &str) -> Outcome {
    let polls = m.world().daemon()?.ask::<PollList>(&())?;
    m.texts(polls.into_iter().filter(|(_, kind, _)| kind == wanted).map(|(key, _, _)| key.to_string()))
}
