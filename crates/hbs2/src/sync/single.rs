//! Words about single entries: `tomb`, `revert`, `cat`.

use hbs2_core::{Hash, SignPublicKey};
use hbs2_script::{Datum, Machine, Word};

use super::world::{Sync, rel_path};
use crate::error::Failure;

pub(super) fn words<'v>() -> Vec<Word<Sync<'v>>> {
    vec![
        Word::call("tomb", "PATH", |m: &mut Machine<Sync<'v>>, a| {
            let path = rel_path(a, 0)?;
            let mut folder = m.world().folder()?;
            m.world().with(|context| folder.tomb(context, &path))?;
            m.world().voice().line(format_args!("deleted {path}")).map_err(Failure::Output)?;
            Ok(Datum::Nil)
        })
        .brief("deletes a file everywhere")
        .text("Posts a deletion; the next synchronisation of each folder deletes the file there, of this one too.")
        .returns("nil; prints deleted PATH"),
        Word::call("revert", "HASH", |m: &mut Machine<Sync<'v>>, a| {
            let hash = a.word_at(0)?.parse::<Hash>().map_err(|_| a.wrong(0, "the hash of an entry"))?;
            let mut folder = m.world().folder()?;
            m.world().with(|context| folder.revert(context, &hash))?;
            m.world().voice().line("entry reverted").map_err(Failure::Output)?;
            Ok(Datum::Nil)
        })
        .brief("posts an old version again")
        .text("HASH is the one that history shows. The next synchronisation writes the file.")
        .returns("nil; prints entry reverted"),
        Word::call("cat", "CHAN PATH", |m: &mut Machine<Sync<'v>>, a| {
            let wrong = |_| a.wrong(0, "the public key of a channel");
            let chan = a.word_at(0)?.parse::<SignPublicKey>().map_err(wrong)?;
            let path = rel_path(a, 1)?;
            m.world().print(|context, out| hbs2_sync::cat(context, chan, &path, out))?;
            Ok(Datum::Nil)
        })
        .brief("prints what a channel has at a path")
        .returns("nil; writes the content to stdout"),
    ]
}
