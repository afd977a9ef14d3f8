//! Words about single entries: `tomb`, `revert`, `cat`.

use hbs2_core::{Hash, SignPublicKey};
use hbs2_script::{Datum, Machine, Raised, Word};
use hbs2_sync::SyncError;

use super::start::failed;
use super::world::{Sync, rel_path};
use crate::error::Failure;

pub(super) fn words<'v>() -> Vec<Word<Sync<'v>>> {
    vec![
        Word::call("tomb", "PATH", |m: &mut Machine<Sync<'v>>, a| {
            let path = rel_path(a, 0)?;
            let mut folder = m.world().folder().map_err(Raised::host)?;
            m.world().with(|context| folder.tomb(context, &path)).map_err(Raised::host)?;
            m.world().voice().line(format_args!("deleted {path}")).map_err(failed)?;
            Ok(Datum::Nil)
        })
        .brief("deletes a file everywhere")
        .text("Posts a deletion; the next synchronisation of each folder deletes the file there, of this one too.")
        .returns("nil; prints deleted PATH"),
        Word::call("revert", "HASH", |m: &mut Machine<Sync<'v>>, a| {
            let hash = a.word_at(0)?.parse::<Hash>().map_err(|_| a.wrong(0, "the hash of an entry"))?;
            let mut folder = m.world().folder().map_err(Raised::host)?;
            m.world().with(|context| folder.revert(context, &hash)).map_err(Raised::host)?;
            m.world().voice().line("entry reverted").map_err(failed)?;
            Ok(Datum::Nil)
        })
        .brief("posts an old version again")
        .text("HASH is the one that history shows. The next synchronisation writes the file.")
        .returns("nil; prints entry reverted"),
        Word::call("cat", "CHAN PATH", |m: &mut Machine<Sync<'v>>, a| {
            let wrong = |_| a.wrong(0, "the public key of a channel");
            let chan = a.word_at(0)?.parse::<SignPublicKey>().map_err(wrong)?;
            let path = rel_path(a, 1)?;
            let mut content = Vec::new();
            m.world()
                .with(|context| {
                    hbs2_sync::cat(context, chan, &path, &mut |chunk| {
                        if content.len() + chunk.len() > SHOWN_BYTES_MAX {
                            let reason = format!("it is longer than {SHOWN_BYTES_MAX} bytes");
                            return Err(SyncError::Tree { root: Hash::of(b""), reason });
                        }
                        content.extend_from_slice(chunk);
                        Ok(())
                    })
                })
                .map_err(Raised::host)?;
            m.world().voice().out().write_all(&content).map_err(|error| Raised::host(Failure::Output(error)))?;
            Ok(Datum::Nil)
        })
        .brief("prints what a channel has at a path")
        .returns("nil; writes the content to stdout"),
    ]
}

/// Longest content that `cat` holds before it writes, in bytes.
const SHOWN_BYTES_MAX: usize = 1024 * 1024 * 1024;
