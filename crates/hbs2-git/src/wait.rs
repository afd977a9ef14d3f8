//! Waiting for the network: every wait says what it waits for and ends.
//!
//! A wait goes on while there is progress; when nothing new arrives for the time of the setting, it ends in an
//! error that names what is missing.

use std::time::{Duration, Instant};

use hbs2_core::{Hash, RefKind, SignPublicKey};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::link::TreeStatus;

/// Longest single call to the daemon within a wait: how often the status on the screen is renewed.
const SLICE: Duration = Duration::from_secs(1);

/// Waits until `look` finds what it needs. While it names a missing block instead, the daemon is asked for that
/// block and everything below. Gives up after `patience` without progress.
pub(crate) fn until_present<T>(
    ctx: &Context<'_>,
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<std::result::Result<T, Hash>>,
) -> Result<T> {
    let mut progress = Progress::new(patience);
    let mut seen = None;
    loop {
        let block = match look()? {
            Ok(found) => {
                if seen.is_some() {
                    ctx.voice.status("");
                }
                return Ok(found);
            }
            Err(block) => block,
        };
        let status =
            ctx.link(&format!("wait for {what}"), ctx.link.wait_trees(&[block], progress.slice(), seen))?;
        seen = Some(status.mark);
        progress.note(&status);
        if progress.is_over() {
            let block = *status.sample.first().unwrap_or(&block);
            return Err(Error::MissingBlock { block, what: what.to_owned(), limit: patience });
        }
        progress.tell(ctx, what, &status);
    }
}

/// Waits until everything reachable from the roots is here.
pub(crate) fn for_trees(ctx: &Context<'_>, what: &str, patience: Duration, roots: &[Hash]) -> Result<()> {
    let mut progress = Progress::new(patience);
    let mut seen = None;
    while !roots.is_empty() {
        let wait = if seen.is_none() { Duration::ZERO } else { progress.slice() };
        let status = ctx.link(&format!("wait for {what}"), ctx.link.wait_trees(roots, wait, seen))?;
        if status.complete {
            break;
        }
        seen = Some(status.mark);
        progress.note(&status);
        if progress.is_over() {
            let block = *status.sample.first().unwrap_or(&roots[0]);
            return Err(Error::MissingBlock { block, what: what.to_owned(), limit: patience });
        }
        progress.tell(ctx, what, &status);
    }
    if seen.is_some() {
        ctx.voice.status("");
    }
    Ok(())
}

/// Waits until a reference has a value.
pub(crate) fn for_reference(
    ctx: &Context<'_>,
    kind: RefKind,
    key: &SignPublicKey,
    patience: Duration,
) -> Result<Option<Hash>> {
    let what = if kind == RefKind::Reflog { "reflog" } else { "repository" };
    let mut progress = Progress::new(patience);
    loop {
        let found = ctx.link.wait_ref(kind, key, None, progress.slice());
        let found = ctx.link(&format!("wait for {what} {key}"), found)?;
        if found.is_some() || progress.is_over() {
            ctx.voice.status("");
            return Ok(found);
        }
        progress.say(ctx, &format!("{what} {key}"));
        ctx.voice.status(&format!("waiting for {what} {key}: no peer has sent it yet"));
    }
}

/// A wait shorter than this is not worth a line that stays.
const UNSAID: Duration = Duration::from_secs(2);

/// How long ago something happened.
struct Progress {
    start: Instant,
    since: Instant,
    patience: Duration,
    said: bool,
    bytes: u64,
}

impl Progress {
    fn new(patience: Duration) -> Self {
        let now = Instant::now();
        Self { start: now, since: now, patience, said: false, bytes: 0 }
    }

    /// Bytes that arrive are progress; that more peers were asked is not.
    fn note(&mut self, status: &TreeStatus) {
        if self.bytes != status.bytes {
            self.bytes = status.bytes;
            self.since = Instant::now();
        }
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= self.patience
    }

    /// Says once what is waited for, when it takes its time: not everybody sees the status.
    fn say(&mut self, ctx: &Context<'_>, what: &str) {
        if !self.said && self.start.elapsed() >= UNSAID {
            self.said = true;
            ctx.voice.say(&format!("waiting for {what}"));
        }
    }

    fn tell(&mut self, ctx: &Context<'_>, what: &str, status: &TreeStatus) {
        self.say(ctx, what);
        let TreeStatus { missing, bytes, peers, .. } = status;
        ctx.voice.status(&format!(
            "waiting for {what}: {missing} blocks missing, {bytes} bytes here, {peers} peers asked"
        ));
    }

    /// The time of the next call.
    fn slice(&self) -> Duration {
        self.patience.saturating_sub(self.since.elapsed()).min(SLICE)
    }
}
