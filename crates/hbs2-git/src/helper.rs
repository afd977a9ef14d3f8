//! The remote helper: what git runs for `hbs23://` and `hbs2://` URLs (spec: git3 9, 14.7; gitremote-helpers(7)).
//!
//! git writes commands to our stdin, one a line, and reads answers from our stdout. `list` imports what is new,
//! so a batch of `fetch` lines has nothing left to move. A batch of `push` lines is one export with one
//! checkpoint, or in a repository of version 2 one transaction.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use hbs2_script::calendar::Moment;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::export::{ExportRequest, RefUpdate};
use crate::generation::Generation;
use crate::gitdir::{GitConfig, GitDir};
use crate::object::{ObjectId, RefName};
use crate::odb::Odb;
use crate::refs::{Head, RefTable};
use crate::transaction::{Payload, Transaction};
use crate::url::RepoUrl;
use crate::voice::Voice;

/// Longest line we take from git, in bytes: a push of two names of the largest length, and to spare.
const LINE_BYTES_MAX: u64 = 16 * 1024;

/// References in one batch, at most. git sends what the user asks for; a million lines would be a mistake.
const BATCH_LINES_MAX: usize = 1_000_000;

/// What git told us about how to work.
#[derive(Debug, Default)]
struct Options {
    dry_run: bool,
    force: bool,
    atomic: bool,
    quiet: bool,
    leases: Vec<(RefName, Option<ObjectId>)>,
}

/// Talks with git until it has no more to say. `url` is the second argument of the helper; the first, the name
/// of the remote, makes no difference. `git` is the repository git works in, if it does.
///
/// # Errors
/// Anything that keeps us from answering; git shows the message and fails.
pub fn run(
    url: &str,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    ctx: &Context<'_>,
    git: Option<GitDir>,
    config: &GitConfig,
) -> Result<()> {
    let url: RepoUrl = url.parse().map_err(|_| Error::Unresolved { name: url.to_owned() })?;
    let voice = HelperVoice { inner: ctx.voice, progress: AtomicBool::new(true) };
    let ctx = Context {
        link: ctx.link,
        keys: ctx.keys,
        voice: &voice,
        settings: ctx.settings.clone(),
        now: ctx.now,
    };
    let repo = Generation::open(&ctx, url.key, git.clone())?;
    let (options, listed, chosen, published) = (Options::default(), None, None, None);
    let mut helper = Helper { repo, git, config, voice: &voice, options, listed, chosen, published };
    helper.serve(input, output)?;
    helper.farewell();
    Ok(())
}

/// One conversation with git.
struct Helper<'a> {
    repo: Generation<'a>,
    git: Option<GitDir>,
    config: &'a GitConfig,
    voice: &'a HelperVoice<'a>,
    options: Options,
    /// The references as we told them.
    listed: Option<RefTable>,
    /// The checkpoint they are from.
    chosen: Option<Transaction>,
    /// The checkpoint that was pushed.
    published: Option<Transaction>,
}

impl Helper<'_> {
    fn serve(&mut self, input: &mut dyn BufRead, output: &mut dyn Write) -> Result<()> {
        while let Some(line) = read_line(input)? {
            let (word, rest) = split_word(&line);
            match word {
                b"" => break,
                b"capabilities" => write(output, b"option\nfetch\npush\n\n")?,
                b"option" => {
                    let answer = self.option(rest);
                    write(output, answer.as_bytes())?;
                    write(output, b"\n")?;
                }
                b"list" => self.list(output)?,
                b"fetch" => {
                    let batch = read_batch(input, &line, b"fetch")?;
                    self.fetch(&batch)?;
                    write(output, b"\n")?;
                }
                b"push" => {
                    let batch = read_batch(input, &line, b"push")?;
                    self.push(&batch, output)?;
                }
                _ => return Err(protocol(&line)),
            }
            output.flush().map_err(|source| Error::Pipe { source })?;
        }
        Ok(())
    }

    /// Takes an option; gives the answer.
    fn option(&mut self, text: &[u8]) -> &'static str {
        let (name, value) = split_word(text);
        let on = value == b"true";
        match name {
            b"verbosity" => self.options.quiet = value.starts_with(b"0") || value.starts_with(b"-"),
            b"progress" => self.voice.progress.store(on, Ordering::Relaxed),
            b"dry-run" => self.options.dry_run = on,
            b"force" => self.options.force = on,
            b"atomic" => self.options.atomic = on,
            b"cas" => return self.lease(value),
            b"cloning" | b"followtags" | b"update-shallow" | b"no-dependents" => {}
            b"depth" | b"deepen-since" | b"deepen-not" | b"filter" => {
                self.voice
                    .say("warning: a repository always travels whole: depth and filter make no difference");
                return "unsupported";
            }
            _ => return "unsupported",
        }
        "ok"
    }

    /// `--force-with-lease`: `<name>:<id>`, the id all zeros for a reference that must not exist.
    fn lease(&mut self, value: &[u8]) -> &'static str {
        let Some(colon) = value.iter().rposition(|b| *b == b':') else {
            return "error a lease needs a colon";
        };
        let id = std::str::from_utf8(&value[colon + 1..]).ok().and_then(|id| id.parse::<ObjectId>().ok());
        match (RefName::new(&value[..colon]), id) {
            (Ok(name), Some(id)) => {
                self.options.leases.push((name, Some(id).filter(|id| !id.is_null())));
                "ok"
            }
            _ => "error a lease needs a reference and an object id",
        }
    }

    fn list(&mut self, output: &mut dyn Write) -> Result<()> {
        if let Some(git) = &self.git {
            git.check_supported(self.config, "work with")?;
        }
        let view = self.repo.refresh()?;
        let mut text = Vec::new();
        for (name, id) in view.refs.existing().filter(|(name, _)| **name != RefName::head()) {
            text.extend_from_slice(format!("{id} ").as_bytes());
            text.extend_from_slice(name.as_bytes());
            text.push(b'\n');
        }
        let head = match view.refs.head() {
            Some(Head::Branch(name)) => [b"@", name.as_bytes(), b" HEAD\n"].concat(),
            Some(Head::Detached(id)) => format!("{id} HEAD\n").into_bytes(),
            None => Vec::new(),
        };
        // Each as the original of its time lists it.
        let mut text = match self.repo {
            Generation::Second(_) => [head, text].concat(),
            Generation::Third(_) => [text, head].concat(),
        };
        text.push(b'\n');
        self.chosen = view.checkpoint;
        self.listed = Some(view.refs);
        write(output, &text)
    }

    /// The objects came with `list`. If git has removed them since, as unreachable, they are imported again.
    fn fetch(&mut self, batch: &[Vec<u8>]) -> Result<()> {
        let Some(git) = &self.git else { return Err(Error::NoGitDir { path: ".".into() }) };
        let wanted: Vec<(ObjectId, RefName)> = batch
            .iter()
            .map(|line| parse_fetch(line))
            .collect::<Option<_>>()
            .ok_or_else(|| protocol(&batch[0]))?;
        let odb = Odb::open(git)?;
        if wanted.iter().all(|(id, _)| odb.contains(id)) {
            return Ok(());
        }
        self.repo.forget()?;
        self.repo.refresh()?;
        let odb = Odb::open(git)?;
        match wanted.into_iter().find(|(id, _)| !odb.contains(id)) {
            Some((id, name)) => Err(Error::MissingObject { id, name }),
            None => Ok(()),
        }
    }

    fn push(&mut self, batch: &[Vec<u8>], output: &mut dyn Write) -> Result<()> {
        let Some(git) = &self.git else { return Err(Error::NoGitDir { path: ".".into() }) };
        git.check_supported(self.config, "push from")?;
        let specs: Vec<PushSpec> = batch
            .iter()
            .map(|line| PushSpec::parse(line).ok_or_else(|| protocol(line)))
            .collect::<Result<_>>()?;
        let sources: Vec<&str> = specs.iter().filter_map(|spec| spec.source.as_deref()).collect();
        let mut revisions = git.revisions(&sources)?.into_iter();
        let (mut updates, mut answers) = (Vec::new(), Vec::new());
        for spec in &specs {
            let to = spec.source.as_ref().map(|_| revisions.next().flatten());
            match (RefName::new(spec.target.as_slice()), to) {
                (Err(_), _) => answers.push(answer(&spec.target, Some("invalid reference name"))),
                (Ok(_), Some(None)) => answers.push(answer(&spec.target, Some("no match"))),
                (Ok(name), to) => updates.push(RefUpdate {
                    to: to.flatten(),
                    force: spec.force || self.options.force,
                    lease: self.options.leases.iter().find(|(leased, _)| *leased == name).map(|(_, id)| *id),
                    name,
                }),
            }
        }
        let request = ExportRequest { updates, seen: self.listed.clone(), atomic: self.options.atomic };
        if self.options.dry_run {
            self.repo.credentials()?;
            answers.extend(request.updates.iter().map(|update| answer(update.name.as_bytes(), None)));
        } else if !request.updates.is_empty() {
            let exported = self.repo.export(&request)?;
            self.published = exported.checkpoint.or(self.published);
            for (name, refusal) in exported.results {
                let why = refusal.map(|refusal| refusal.to_string());
                answers.push(answer(name.as_bytes(), why.as_deref()));
            }
        }
        write(output, &answers.concat())?;
        write(output, b"\n")
    }

    /// The last words, as in the original; what was pushed is not called fetched.
    fn farewell(&self) {
        if self.options.quiet {
            return;
        }
        let (verb, checkpoint) = match self.published {
            Some(published) => ("published", Some(published)),
            None => ("fetched from", self.chosen),
        };
        if self.listed.as_ref().is_some_and(|refs| refs.existing().next().is_none()) && checkpoint.is_none() {
            self.voice.say("use git fetch to get the latest versions");
        }
        if let Some(Transaction { id, payload: Payload::Checkpoint { rank, .. } }) = checkpoint {
            self.voice.say(&format!("{verb} checkpoint {} {id}", date(rank)));
        }
    }
}

/// A line `push [+]<source>:<target>`; no source deletes the target.
struct PushSpec {
    force: bool,
    source: Option<String>,
    target: Vec<u8>,
}

impl PushSpec {
    fn parse(line: &[u8]) -> Option<Self> {
        let (_, spec) = split_word(line);
        let (force, spec) = spec.strip_prefix(b"+").map_or((false, spec), |spec| (true, spec));
        // A reference name has no colon, the source may: `HEAD:path`.
        let colon = spec.iter().rposition(|b| *b == b':')?;
        let source = (colon > 0).then(|| String::from_utf8(spec[..colon].to_vec())).transpose().ok()?;
        Some(Self { force, source, target: spec[colon + 1..].to_vec() })
    }
}

fn parse_fetch(line: &[u8]) -> Option<(ObjectId, RefName)> {
    let (id, name) = split_word(split_word(line).1);
    let name = RefName::new(name).ok()?;
    Some((std::str::from_utf8(id).ok()?.parse().ok()?, name))
}

fn answer(target: &[u8], why_not: Option<&str>) -> Vec<u8> {
    match why_not {
        None => [b"ok ", target, b"\n"].concat(),
        Some(why) => [b"error ", target, b" ", why.as_bytes(), b"\n"].concat(),
    }
}

/// The first word and the rest behind one space.
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|b| *b == b' ') {
        Some(space) => (&line[..space], &line[space + 1..]),
        None => (line, &[]),
    }
}

/// The next line without its end; none when git has closed the pipe.
fn read_line(input: &mut dyn BufRead) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = std::io::Read::take(input, LINE_BYTES_MAX);
    let got = limited.read_until(b'\n', &mut line).map_err(|source| Error::Pipe { source })?;
    if got == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(protocol(&line));
    }
    Ok(Some(line))
}

/// The lines of a batch, up to the blank line that ends it.
fn read_batch(input: &mut dyn BufRead, first: &[u8], word: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut batch = vec![first.to_vec()];
    while let Some(line) = read_line(input)?.filter(|line| !line.is_empty()) {
        if split_word(&line).0 != word || batch.len() == BATCH_LINES_MAX {
            return Err(protocol(&line));
        }
        batch.push(line);
    }
    Ok(batch)
}

fn protocol(line: &[u8]) -> Error {
    Error::Protocol { line: String::from_utf8_lossy(line).chars().take(200).collect() }
}

fn write(output: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    output.write_all(bytes).map_err(|source| Error::Pipe { source })
}

/// `YYYY-MM-DD HH:MM` of seconds since 1970, in UTC; the number itself where no calendar goes.
fn date(seconds: i128) -> String {
    let moment = i64::try_from(seconds).ok().and_then(Moment::of);
    let text = moment.and_then(|moment| moment.format("%F %R"));
    text.unwrap_or_else(|| seconds.to_string())
}

/// Leaves the status out when git says that nobody looks at it.
struct HelperVoice<'a> {
    inner: &'a dyn Voice,
    progress: AtomicBool,
}

impl Voice for HelperVoice<'_> {
    fn say(&self, line: &str) {
        self.inner.say(line);
    }

    fn status(&self, text: &str) {
        if self.progress.load(Ordering::Relaxed) {
            self.inner.status(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_shown_as_a_date_where_it_can_be_one() {
        assert_eq!(date(1_795_313_685), "2026-11-22 02:14");
        assert_eq!(date(i128::MAX), i128::MAX.to_string());
    }

    #[test]
    fn push_lines_are_read() {
        let spec = |line: &[u8]| {
            PushSpec::parse(line).map(|s| (s.force, s.source, String::from_utf8(s.target).unwrap()))
        };
        let text = |t: &str| t.to_owned();
        assert_eq!(spec(b"push a:refs/heads/a"), Some((false, Some(text("a")), text("refs/heads/a"))));
        assert_eq!(spec(b"push +HEAD:x:refs/b"), Some((true, Some(text("HEAD:x")), text("refs/b"))));
        assert_eq!(spec(b"push :refs/heads/a"), Some((false, None, text("refs/heads/a"))));
        assert_eq!(spec(b"push a"), None);
    }
}
