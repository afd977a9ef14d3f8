//! The running peer and its storage.

use hbs2_core::Hash;
use hbs2_core::limits::BLOCK_BYTES_MAX;
use hbs2_rpc::api::peer::{Fetch, Poke};
use hbs2_rpc::api::storage::DelBlock;
use hbs2_script::{Datum, Machine, Raised, Word};

use super::hash_at;
use crate::cli::world::Cli;
use crate::store::blocks::Purpose;

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:peer:detect", "", |m: &mut Machine<Cli<'v>>, _| {
            let Some(daemon) = m.world().detect()? else { return Ok(Datum::Nil) };
            let told = daemon.ask::<Poke>(&())?;
            let socket = told.lines().find_map(|line| line.strip_prefix("rpc:"));
            match socket {
                Some(socket) => m.text(socket.trim().trim_matches('"')),
                None => Ok(Datum::Nil),
            }
        })
        .brief("the socket of the running peer")
        .returns("its path, or nil when no peer runs"),
        Word::call("hbs2:peer:poke", "", |m: &mut Machine<Cli<'v>>, _| {
            let told = m.world().daemon()?.ask::<Poke>(&())?;
            let forms = m.read_data("the answer of the peer", &told)?;
            m.list(forms)
        })
        .brief("what the running peer says about itself")
        .returns("a list of forms, such as (peer-key: \"KEY\")"),
        Word::call("hbs2:peer:fetch", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let hash = hash_at(a, 0)?;
            m.world().daemon()?.ask::<Fetch>(&hash)?;
            Ok(Datum::Nil)
        })
        .brief("download a block and all it refers to; returns at once")
        .returns("nil"),
        Word::call("hbs2:peer:storage:block:get", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let block = super::block(m, hash_at(a, 0)?)?;
            m.bytes(block.to_vec())
        })
        .brief("the bytes of a block")
        .returns("a byte string; a missing block is an error"),
        Word::call("hbs2:peer:storage:block:size", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let hash = hash_at(a, 0)?;
            match m.world().blocks(Purpose::Read)?.size(&hash)? {
                Some(size) => Ok(Datum::Int(i128::from(size))),
                None => m.symbol("no-block"),
            }
        })
        .brief("the length of a block in bytes")
        .returns("a whole number, or the symbol no-block"),
        Word::call("hbs2:peer:storage:block:put", "B", |m: &mut Machine<Cli<'v>>, a| {
            let bytes = a.bytes_at(0)?;
            if bytes.len() > BLOCK_BYTES_MAX {
                return Err(a.wrong(0, "at most 16 MiB; store more as a tree"));
            }
            let hash = Hash::of(bytes);
            m.world().put(vec![bytes.to_vec().into()])?;
            m.text(hash.to_string())
        })
        .brief("store bytes as one block")
        .returns("its hash"),
        Word::call("hbs2:peer:storage:block:del", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let hash = hash_at(a, 0)?;
            m.world().daemon()?.ask::<DelBlock>(&hash).map_err(Raised::from)?;
            Ok(Datum::Nil)
        })
        .brief("delete one block of the running peer")
        .returns("nil"),
    ]
}
