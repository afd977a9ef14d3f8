//! Words that work: `sync`, `run`, `watch`, `run-config`, `prune`.

use std::io;
use std::thread;
use std::time::Duration;

use hbs2_script::config::CONFIG_BYTES_MAX;
use hbs2_script::{Args, Datum, Machine, Outcome, Word};
use hbs2_sync::{News, SyncError};

use super::world::Sync;
use crate::config::places;
use crate::error::Failure;
use crate::input::Input;

/// Pause before a lost peer is looked for again, in seconds.
const AGAIN_SECONDS: u64 = 5;

/// The option of `sync` and `run` that does not end.
const WATCH: &str = "--watch";

pub(super) fn words<'v>() -> Vec<Word<Sync<'v>>> {
    vec![
        Word::call("sync", "[--watch] [DIR]", sync)
            .brief("makes a folder equal to its channel")
            .text(
                "Other peers are asked for news first. What was changed here is posted, what was changed elsewhere is \
                 written, deletions go both ways. When both sides have changed a file, the newer version keeps the name \
                 and the other one lies beside it as NAME.conflict-XXXXXXXX. With --watch it goes on from then, as the \
                 word watch does.",
            )
            .returns("nil; prints what was done"),
        Word::call("run", "[--watch]", sync)
            .brief("synchronises the chosen folder")
            .returns("nil; prints what was done"),
        Word::call("watch", "[DIR]", |m: &mut Machine<Sync<'v>>, a| {
            choose(m, a.get(0).map(|_| a.word_at(0)).transpose()?);
            watch(m.world())?;
            Ok(Datum::Nil)
        })
        .brief("keeps a folder equal from now on")
        .text(
            "A run is made at once, then whenever something changes in the folder or in the channel, and every ten \
             minutes. When the peer goes away it is waited for. Ends with the process.",
        )
        .returns("nothing; prints what is done"),
        Word::call("run-config", "", run_config)
            .brief("runs the forms of ~/.config/hbs2-sync/config")
            .text("Usually a list of lines such as: sync \"/home/me/notes\". For cron.")
            .returns("nil"),
        Word::call("prune", "", |m: &mut Machine<Sync<'v>>, _| {
            let removed = m.world().folder().and_then(|folder| Ok(folder.prune()?))?;
            for dir in removed {
                m.world().voice().line(dir).map_err(Failure::Output)?;
            }
            Ok(Datum::Nil)
        })
        .brief("removes empty directories of the chosen folder")
        .returns("nil; prints their names"),
        Word::call("--debug", "[off]", |m: &mut Machine<Sync<'v>>, a| {
            use crate::voice::Tone;
            let is_off = a.get(0).map(|_| a.word_at(0)).transpose()? == Some("off");
            m.world().voice().set_tone(if is_off { Tone::Normal } else { Tone::Verbose });
            Ok(Datum::Nil)
        })
        .brief("says more on stderr from here on, or less again")
        .returns("nil"),
    ]
}

fn choose(m: &mut Machine<Sync<'_>>, dir: Option<&str>) {
    if let Some(dir) = dir {
        let dir = m.world().path(dir);
        m.world().choose(dir);
    }
}

fn sync(m: &mut Machine<Sync<'_>>, args: Args<'_>) -> Outcome {
    let words: Vec<&str> = (0..args.count()).map(|at| args.word_at(at)).collect::<Result<_, _>>()?;
    let (watches, dirs): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|word| *word == WATCH);
    match dirs.as_slice() {
        [] => {}
        [dir] if !dir.starts_with("--") => choose(m, Some(dir)),
        _ => return Err(args.bad("sync [--watch] [DIR]")),
    }
    let world = m.world();
    let done = match watches.is_empty() {
        true => once(world),
        false => watch(world),
    };
    done?;
    Ok(Datum::Nil)
}

fn once(world: &mut Sync<'_>) -> Result<(), Failure> {
    let mut folder = world.folder()?;
    let report = world.with(|context| folder.sync(context, News::Ask))?;
    world.voice().talk().detail(format_args!(
        "posted {}, wrote {}, deleted {}, left alone {}",
        report.posted, report.written, report.deleted, report.left
    ));
    Ok(())
}

fn watch(world: &mut Sync<'_>) -> Result<(), Failure> {
    let mut was_here = false;
    loop {
        let mut folder = world.folder()?;
        let gone = match world.with(|context| folder.watch(context)) {
            Ok(()) => return Ok(()),
            Err(Failure::Sync(error)) => match *error {
                SyncError::Peer(error) => error,
                other => return Err(other.into()),
            },
            Err(Failure::Peer(error)) if was_here => error,
            Err(other) => return Err(other),
        };
        if !was_here
            || !matches!(gone, hbs2_rpc::ClientError::NoDaemon { .. } | hbs2_rpc::ClientError::Connect { .. })
        {
            world.voice().talk().note(format_args!("{gone}; trying again every {AGAIN_SECONDS} s"));
        }
        was_here = true;
        world.disconnect();
        thread::sleep(Duration::from_secs(AGAIN_SECONDS));
    }
}

fn run_config(m: &mut Machine<Sync<'_>>, _: Args<'_>) -> Outcome {
    let path = places().config_home.ok_or(Failure::NoHome)?.join("hbs2-sync/config");
    let text = match Input::open(Some(&path), m.world().voice()) {
        Err(Failure::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let hint = "write lines such as: sync \"/home/me/notes\"; or name a folder: hbs2-sync sync DIR";
            return Err(Failure::told(format!("there is no {}", path.display())).hinted(hint).into());
        }
        input => input?.text(CONFIG_BYTES_MAX)?,
    };
    m.load(&path.display().to_string(), &text)?;
    Ok(Datum::Nil)
}
