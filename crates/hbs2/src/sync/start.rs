//! Words that begin: `init`, `dir`.

use hbs2_core::{EncryptPublicKey, SignPublicKey};
use hbs2_script::{Args, Datum, Machine, Outcome, Word};
use hbs2_sync::{Start, init};

use super::world::Sync;
use crate::error::Failure;

pub(super) fn words<'v>() -> Vec<Word<Sync<'v>>> {
    vec![
        Word::call("init", "[AUTHOR] [READER]", start)
            .brief("makes a channel, keys and a config for the chosen folder")
            .text(
                "Without arguments: a new author key with a reader key, a new channel in which this peer accepts, this \
                 author writes and this reader reads, and the config. With AUTHOR READER, the same with keys that you \
                 have. With --refchan CHAN, only the config, for a channel that there is; the author is the first one of \
                 its head whose key you have. The keys are kept in the default key path of hbs2-keyman: keep a copy. \
                 Nothing is made when this directory, or one above it, has a config.",
            )
            .returns("nil; prints what was made"),
        Word::call("dir", "DIR", |m: &mut Machine<Sync<'v>>, a| {
            let dir = m.world().path(a.word_at(0)?);
            m.world().choose(dir);
            m.world().folder()?;
            Ok(Datum::Nil)
        })
        .brief("chooses the folder for the forms that follow")
        .returns("nil"),
        Word::call("dir:config:show", "", |m: &mut Machine<Sync<'v>>, _| {
            let folder = m.world().folder()?;
            let text = folder.config().text();
            m.world().voice().out().write_all(text.as_bytes()).map_err(Failure::Output)?;
            Ok(Datum::Nil)
        })
        .brief("prints the config in force")
        .returns("nil; prints its forms, one a line"),
    ]
}

fn start(m: &mut Machine<Sync<'_>>, args: Args<'_>) -> Outcome {
    let usage = "init, init AUTHOR READER, or init --refchan CHAN";
    let sign =
        |at| args.word_at(at)?.parse::<SignPublicKey>().map_err(|_| args.wrong(at, "a public signing key"));
    let start = match args.count() {
        0 => Start::New,
        2 if args.word_at(0)? == "--refchan" => Start::Join(sign(1)?),
        2 => {
            let reader = args.word_at(1)?.parse::<EncryptPublicKey>();
            Start::With(sign(0)?, reader.map_err(|_| args.wrong(1, "a public encryption key"))?)
        }
        _ => return Err(args.bad(usage)),
    };
    let world = m.world();
    let dir = world.dir();
    let made = world.with(|context| init(context, &dir, start))?;
    let lines = [
        made.author.map(|key| format!("author key created: {key}")),
        made.reader.map(|key| format!("reader key created: {key}")),
        made.refchan.map(|key| format!("refchan created: {key}")),
        Some(format!("{} created", made.config.display())),
    ];
    for line in lines.into_iter().flatten() {
        world.voice().line(line).map_err(Failure::Output)?;
    }
    world.choose(dir);
    Ok(Datum::Nil)
}
