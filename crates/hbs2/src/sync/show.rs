//! Words that show: `ls`, `history`, `deleted`, `dir:state:…`, `timestamp`.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use hbs2_core::Hash;
use hbs2_script::calendar::Moment;
use hbs2_script::print::quoted;
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};
use hbs2_sync::folder::Prospect;
use hbs2_sync::history::{Entry, History};
use hbs2_sync::plan::{Action, Snapshot};
use hbs2_sync::{Folder, RelPath};

use super::world::Sync;
use crate::error::Failure;

pub(super) fn words<'v>() -> Vec<Word<Sync<'v>>> {
    vec![
        Word::call("ls", "", ls)
            .brief("lists the files and directories that are kept equal")
            .returns("nil; prints paths, one a line"),
        Word::call("history", "", history)
            .brief("lists all entries of the channel, oldest first")
            .text("T is a deletion, F a file. HASH is what revert takes, and hbs2 cat.")
            .returns("nil; prints T|F TIME HASH PATH, one entry a line, TIME in UTC"),
        Word::call("deleted", "", deleted)
            .brief("lists the paths that were deleted")
            .returns("nil; prints paths, one a line"),
        Word::call("dir:state:local:show", "[KIND]", local)
            .brief("prints what is in the folder")
            .text("KIND is F for files or D for directories; without it both. HASH is that of the content.")
            .returns("nil; prints (entry (F SECONDS \"HASH\") \"path\"), one a line"),
        Word::call("dir:state:remote:show", "[KIND]", remote)
            .brief("prints what is in the channel")
            .text("KIND is F for files, D for directories or T for deletions; without it all. HASH is that of the tree.")
            .returns("nil; prints (entry (F SECONDS \"HASH\") \"path\"), one a line"),
        Word::call("dir:state:merged:show", "", merged)
            .brief("prints what a synchronisation would do")
            .text(
                "(N (F SECONDS \"HASH\") \"path\") a file is posted; (E (F SECONDS \"HASH\") \"path\") an entry is written; \
                 (D \"path\" 0) a file is deleted here, (D \"path\" 1) everywhere; (M \"path\" \"from\" \"to\") a file is renamed.",
            )
            .returns("nil; prints planned actions, one a line"),
        Word::call("timestamp", "[FILE]", timestamp)
            .brief("prints the time, or the time at which a file was changed, in seconds since 1970")
            .returns("nil; prints a number"),
    ]
}

fn out(m: &mut Machine<Sync<'_>>, lines: Vec<String>) -> Outcome {
    for line in lines {
        m.world().voice().line(line).map_err(Failure::Output)?;
    }
    Ok(Datum::Nil)
}

fn ls(m: &mut Machine<Sync<'_>>, _: Args<'_>) -> Outcome {
    let seen = seen(&m.world().folder()?)?;
    let mut all: Vec<&RelPath> = seen.files.keys().chain(&seen.dirs).collect();
    all.sort();
    out(m, all.into_iter().map(RelPath::to_string).collect())
}

fn seen(folder: &Folder) -> Result<Snapshot, Raised> {
    Ok(folder.look().map_err(Failure::from)?.snapshot)
}

fn history(m: &mut Machine<Sync<'_>>, _: Args<'_>) -> Outcome {
    let mut folder = m.world().folder()?;
    let entries = m.world().with(|context| folder.entries(context))?;
    let line = |entry: Entry| {
        let kind = if entry.is_file() { 'F' } else { 'T' };
        format!("{kind} {} {:44} {}", utc(entry.time), entry.tree, entry.facts.path)
    };
    out(m, entries.into_iter().map(line).collect())
}

fn channel(m: &mut Machine<Sync<'_>>) -> Result<History, Raised> {
    let mut folder = m.world().folder()?;
    Ok(m.world().with(|context| folder.history(context))?)
}

fn deleted(m: &mut Machine<Sync<'_>>, _: Args<'_>) -> Outcome {
    let history = channel(m)?;
    let gone = history.lines().filter(|(_, line)| !line.winner().is_file());
    out(m, gone.map(|(path, _)| path.to_string()).collect())
}

/// The kinds that an argument asks for.
fn kinds(args: Args<'_>, known: &'static str) -> Result<String, Raised> {
    match args.get(0).map(|_| args.word_at(0)).transpose()? {
        None => Ok(known.to_owned()),
        Some(kind) if kind.len() == 1 && known.contains(kind) => Ok(kind.to_owned()),
        Some(_) => Err(args.wrong(0, "F or D")),
    }
}

/// What is said of a file, a directory or a deletion: `(F 1722510000 "HASH")`.
fn facts(kind: char, seconds: u64, hash: Option<Hash>) -> String {
    let hash = hash.map(|hash| format!(" \"{hash}\"")).unwrap_or_default();
    format!("({kind} {seconds}{hash})")
}

fn entry_line(kind: char, seconds: u64, hash: Option<Hash>, path: &RelPath) -> String {
    format!("(entry {} {})", facts(kind, seconds, hash), quoted(path.as_str()))
}

fn local(m: &mut Machine<Sync<'_>>, args: Args<'_>) -> Outcome {
    let kinds = kinds(args, "FD")?;
    let folder = m.world().folder()?;
    let seen = seen(&folder)?;
    let mut lines = BTreeMap::new();
    if kinds.contains('F') {
        for (path, local) in &seen.files {
            lines.insert(path, entry_line('F', local.modified, Some(local.content), path));
        }
    }
    if kinds.contains('D') {
        for path in &seen.dirs {
            let changed =
                folder.dir().join(path.as_str()).symlink_metadata().and_then(|meta| meta.modified());
            let seconds = changed.map_or(0, seconds);
            lines.insert(path, entry_line('D', seconds, None, path));
        }
    }
    let lines = lines.into_values().collect();
    out(m, lines)
}

fn remote(m: &mut Machine<Sync<'_>>, args: Args<'_>) -> Outcome {
    let kinds = kinds(args, "FDT")?;
    let history = channel(m)?;
    let mut lines = BTreeMap::new();
    let mut dirs: BTreeMap<RelPath, u64> = BTreeMap::new();
    for (path, line) in history.lines() {
        let entry = line.winner();
        let kind = if entry.is_file() { 'F' } else { 'T' };
        if entry.is_file() {
            for dir in path.ancestors() {
                let time = dirs.entry(dir).or_default();
                *time = (*time).max(entry.time);
            }
        }
        if kinds.contains(kind) {
            lines.insert(path.clone(), entry_line(kind, entry.time, Some(entry.tree), path));
        }
    }
    if kinds.contains('D') {
        for (path, time) in dirs {
            let line = entry_line('D', time, None, &path);
            lines.entry(path).or_insert(line);
        }
    }
    out(m, lines.into_values().collect())
}

fn merged(m: &mut Machine<Sync<'_>>, _: Args<'_>) -> Outcome {
    let mut folder = m.world().folder()?;
    let Prospect { scan, history, plan } = m.world().with(|context| folder.prospect(context))?;
    let seen = scan.snapshot;
    let entry = |path: &RelPath, id: &Hash| {
        let entries = history.line(path).map(|line| line.entries()).unwrap_or_default();
        let entry = entries.iter().find(|entry| entry.id == *id);
        entry.map_or((0, None), |entry| (entry.time, Some(entry.tree)))
    };
    let item = |letter: char, (seconds, hash): (u64, Option<Hash>), path: &RelPath| {
        Some(format!("({letter} {} {})", facts('F', seconds, hash), quoted(path.as_str())))
    };
    let line = |action: &Action| match action {
        Action::Tomb { path, .. } => Some(format!("(D {} 1)", quoted(path.as_str()))),
        Action::Delete { path } => Some(format!("(D {} 0)", quoted(path.as_str()))),
        Action::Move { path, to } => {
            let (from, to) = (quoted(path.as_str()), quoted(to.as_str()));
            Some(format!("(M {from} {from} {to})"))
        }
        Action::Copy { to, path, id } => item('N', entry(path, id), to),
        Action::Write { path, id, .. } => item('E', entry(path, id), path),
        Action::Post { path, .. } => {
            let local = seen.files.get(path);
            let facts = local.map_or((0, None), |local| (local.modified, Some(local.content)));
            item('N', facts, path)
        }
        Action::Adopt { .. } | Action::Forget { .. } => None,
    };
    let lines = plan.actions.iter().filter_map(line).collect();
    out(m, lines)
}

fn timestamp(m: &mut Machine<Sync<'_>>, args: Args<'_>) -> Outcome {
    let time = match args.get(0).map(|_| args.word_at(0)).transpose()? {
        None => SystemTime::now(),
        Some(name) => {
            let path = m.world().path(name);
            let changed = path.metadata().and_then(|meta| meta.modified());
            changed.map_err(|source| Failure::File { path, source })?
        }
    };
    out(m, vec![seconds(time).to_string()])
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A time as `2024-08-01T12:00:00Z`; one that no calendar has, as seconds.
fn utc(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(Moment::of);
    moment.and_then(|moment| moment.format("%Y-%m-%dT%H:%M:%SZ")).unwrap_or_else(|| seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(utc(1_722_510_000), "2024-08-01T11:00:00Z");
        assert_eq!(utc(u64::MAX), u64::MAX.to_string());
    }
}
