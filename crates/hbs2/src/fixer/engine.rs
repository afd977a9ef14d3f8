//! The loop of `hbs2-fixer`: loads the program, waits for news, runs what is due.
//!
//! All code is evaluated here, one piece after another. Two threads bring news: one holds a question for events at the
//! peer, the other runs the commands. A daemon that has no events, such as an original one, is read from time to time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use hbs2_core::cbor::Encode;
use hbs2_core::{Hash, RefKind};
use hbs2_rpc::ClientError;
use hbs2_rpc::api::node::{Event, EventsWait, WaitEvents};
use hbs2_rpc::api::peer::{PollAdd, PollList};
use hbs2_rpc::api::{lwwref, reflog};
use hbs2_script::{Fault, Limits, Machine, ScriptError, Unbound, parse};

use super::jobs::{JobNews, Jobs};
use super::log::Log;
use super::rules::{Reference, RuleId, Rules, When};
use super::words;
use super::world::Fixer;
use crate::daemon::{Daemon, Reach};
use crate::error::{Failure, chain};
use crate::script::{Around, around, program};
use crate::voice::Voice;

/// Time between two readings of the file unless the program sets it.
const REREAD: Duration = Duration::from_secs(30);

/// How long the peer holds a question for events.
const EVENTS_WAIT: Duration = Duration::from_secs(20);

/// Time between two readings of listened logs at a peer without events.
const WITHOUT_EVENTS: Duration = Duration::from_secs(10);

/// Minutes between two polls of a log that is listened to.
const LISTEN_POLL_MINUTES: u64 = 1;

/// A command that runs for so long is told about, again and again.
const LONG_JOB: Duration = Duration::from_secs(10 * 60);

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    /// The program ended itself with this code.
    Exit(u8),
    /// The peer does not answer any more.
    PeerGone(Failure),
}

enum News {
    Job(JobNews),
    Events {
        events: Vec<Event>,
        lost: bool,
    },
    /// The peer has no events.
    NoEvents,
    Gone(Failure),
}

/// Why the loop stops.
enum Stop {
    Ended(Ended),
    Failed(Failure),
}

type Step = Result<(), Stop>;

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Peer(
                ClientError::Lost { .. } | ClientError::NoDaemon { .. } | ClientError::Connect { .. },
            ) => Self::Ended(Ended::PeerGone(failure)),
            other => Self::Failed(other),
        }
    }
}

/// Follows the program in `file` until it ends itself or the peer goes away.
///
/// # Errors
/// The program cannot be read, or fails when it is first loaded; stdout cannot be written.
pub fn run(
    file: &Path,
    daemon: &Daemon,
    reach: &Reach,
    log: &Log,
    voice: &mut Voice,
) -> Result<Ended, Failure> {
    let (tell, news) = channel();
    let tell_job = tell.clone();
    log.set_debug(true);
    let jobs = Jobs::start(log.clone(), move |news| drop(tell_job.send(News::Job(news))));
    let jobs = jobs.map_err(Failure::Thread)?;
    // Before the values are read, so that no change is missed between the two.
    let cursor = present(daemon).map(|cursor| (cursor, daemon.clone()));
    match cursor {
        Ok((cursor, daemon)) => {
            let work = move || hear(&daemon, cursor, &tell);
            thread::Builder::new().name("events".to_owned()).spawn(work).map_err(Failure::Thread)?;
        }
        Err(Failure::Peer(ClientError::Refused { .. })) => drop(tell.send(News::NoEvents)),
        Err(failure) => return Ok(Ended::PeerGone(failure)),
    }
    let around = Around::of_process().map_err(Failure::NoDirectory)?;
    let world = Fixer::new(voice, around, jobs, log.clone(), reach.clone(), REREAD);
    let machine = Machine::new(world, words::all(), Limits::default()).with_unbound(Unbound::Nil);
    let mut engine = Engine {
        machine,
        rules: Rules::default(),
        file: file.to_owned(),
        loaded: String::new(),
        daemon: daemon.clone(),
        subscribed: BTreeSet::new(),
        known: BTreeMap::new(),
        reread_at: Instant::now(),
        listened_at: None,
        running: None,
    };
    let stop = match engine.follow(&news) {
        Ok(never) => match never {},
        Err(stop) => stop,
    };
    let world = engine.machine.into_world();
    if !matches!(stop, Stop::Ended(Ended::Exit(_))) {
        world.jobs.abandon();
    }
    world.jobs.finish();
    match stop {
        Stop::Ended(ended) => Ok(ended),
        Stop::Failed(failure) => Err(failure),
    }
}

fn present(daemon: &Daemon) -> Result<u64, Failure> {
    Ok(daemon.ask::<WaitEvents>(&EventsWait { after: None, timeout_ms: 0 })?.cursor)
}

/// Tells what the peer tells, until nobody listens or the peer is gone.
fn hear(daemon: &Daemon, mut cursor: u64, tell: &Sender<News>) {
    loop {
        let wait = EventsWait { after: Some(cursor), timeout_ms: EVENTS_WAIT.as_millis() as u64 };
        let news = match daemon.ask_for::<WaitEvents>(&wait, EVENTS_WAIT) {
            Ok(heard) => {
                cursor = heard.cursor;
                News::Events { events: heard.events, lost: heard.lost }
            }
            Err(failure) => News::Gone(failure),
        };
        let is_last = matches!(news, News::Gone(_));
        if tell.send(news).is_err() || is_last {
            return;
        }
    }
}

struct Engine<'v> {
    machine: Machine<Fixer<'v>>,
    rules: Rules,
    file: PathBuf,
    /// The forms that are loaded, as they are printed.
    loaded: String,
    daemon: Daemon,
    subscribed: BTreeSet<Reference>,
    /// Values of logs that are listened to.
    known: BTreeMap<Reference, Hash>,
    reread_at: Instant,
    /// When listened logs are to be read, at a peer without events.
    listened_at: Option<Instant>,
    /// The command that runs, since when, and when it is told about.
    running: Option<(String, Instant, Instant)>,
}

enum Never {}

impl Engine<'_> {
    fn follow(&mut self, news: &Receiver<News>) -> Result<Never, Stop> {
        let text = self.text()?;
        if let Err(error) = self.load(&text) {
            return Err(Stop::Failed(stop_of(error)?));
        }
        self.machine.world().starting = false;
        self.after_code()?;
        self.reread_at = Instant::now() + self.machine.world().reread;
        loop {
            let now = Instant::now();
            if now >= self.reread_at {
                self.reread()?;
            }
            for id in self.rules.due(now) {
                self.look(id)?;
            }
            if self.listened_at.is_some_and(|at| at <= now) {
                self.listened_at = Some(now + WITHOUT_EVENTS);
                self.read_listened()?;
            }
            self.tell_of_long_job()?;
            let times = [self.rules.next(), self.listened_at, self.running.as_ref().map(|(.., at)| *at)];
            let next = times.into_iter().flatten().fold(self.reread_at, Instant::min);
            match news.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(news) => self.take(news)?,
                Err(RecvTimeoutError::Timeout) => {}
                // The thread of the commands holds one end as long as we hold the queue.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(WITHOUT_EVENTS),
            }
        }
    }

    fn take(&mut self, news: News) -> Step {
        match news {
            News::Job(news) => self.job(news)?,
            News::NoEvents => {
                let text = "this peer tells no events: values are read from time to time";
                self.machine.world().log("warn", text)?;
                self.listened_at = Some(Instant::now() + WITHOUT_EVENTS);
            }
            News::Gone(failure) => return Err(Stop::Ended(Ended::PeerGone(failure))),
            News::Events { events, lost } => {
                if lost {
                    self.rules.missed_events(Instant::now());
                    self.read_listened()?;
                }
                for event in events {
                    let Event::Ref(name, value) = event else { continue };
                    let reference = match name.kind {
                        RefKind::Lww => Reference::Lwwref(name.key),
                        RefKind::Reflog => Reference::Reflog(name.key),
                        _ => continue,
                    };
                    self.changed(reference, value)?;
                }
            }
        }
        Ok(())
    }

    fn changed(&mut self, reference: Reference, value: Hash) -> Step {
        self.known.insert(reference, value);
        for id in self.rules.changed(reference, value, Instant::now()) {
            self.fire(id)?;
        }
        Ok(())
    }

    /// Reads the logs that are listened to: what was not told may have changed.
    fn read_listened(&mut self) -> Step {
        for reference in self.rules.references() {
            if let Some(value) = self.value(reference)?
                && self.known.get(&reference) != Some(&value)
            {
                self.changed(reference, value)?;
            }
        }
        Ok(())
    }

    // ---- the program ---------------------------------------------------------------------------------------

    fn text(&mut self) -> Result<String, Failure> {
        let file = self.file.clone();
        let read = around::text_of(&mut self.machine, Some(&file));
        read.map_err(|raised| Failure::from(self.machine.settle(raised)))
            .map(|text| program::without_hash_bang(&text))
    }

    /// Loads the program; what it registers replaces what was registered.
    fn load(&mut self, text: &str) -> Result<(), ScriptError> {
        let name = self.file.display().to_string();
        let world = self.machine.world();
        (world.subject, world.again) = (None, false);
        world.wishes.clear();
        self.loaded = forms_of(text);
        if self.loaded.is_empty() {
            let seconds = self.machine.world().reread.as_secs();
            let text =
                format!("there is nothing to do: no forms in {name} yet; it is read again every {seconds} s");
            self.machine.world().log("warn", text).map_err(|failure| self.machine.settle(failure.into()))?;
        }
        self.machine.run(&name, text)?;
        let wishes = std::mem::take(&mut self.machine.world().wishes);
        self.rules.replace(None, wishes, Instant::now());
        Ok(())
    }

    /// Reads the file again and loads it if its forms differ.
    fn reread(&mut self) -> Step {
        match self.text() {
            Ok(text) if forms_of(&text) != self.loaded => {
                self.machine.world().detail("the file has changed: it is loaded again")?;
                if let Err(error) = self.load(&text) {
                    let failure = stop_of(error)?;
                    self.complain("the program is not loaded, what was registered stays", &failure)?;
                }
            }
            Ok(_) => {}
            Err(failure) => {
                self.complain("the program cannot be read, what was registered stays", &failure)?
            }
        }
        self.after_code()?;
        self.reread_at = Instant::now() + self.machine.world().reread;
        Ok(())
    }

    /// Runs the code of a rule.
    fn fire(&mut self, id: RuleId) -> Step {
        let Some(rule) = self.rules.get(id) else { return Ok(()) };
        let (reference, code) = (rule.wish.reference, rule.wish.code.clone());
        let world = self.machine.world();
        (world.subject, world.again) = (Some(reference), false);
        world.wishes.clear();
        world.detail(format_args!("changed: {}", shown(reference)))?;
        let outcome = self.machine.run_forms(&code);
        let world = self.machine.world();
        world.subject = None;
        let (wishes, again) = (std::mem::take(&mut world.wishes), world.again);
        match outcome {
            Ok(_) if again => self.rules.unsee(id),
            Ok(_) => self.rules.replace(Some(id), wishes, Instant::now()),
            Err(error) => {
                let failure = stop_of(error)?;
                self.complain("the code failed", &failure)?;
            }
        }
        self.after_code()
    }

    /// What is to be done after each piece of code.
    fn after_code(&mut self) -> Step {
        for name in self.machine.take_unbound() {
            self.machine.world().detail(format_args!("nobody knows '{name}': it is nil"))?;
        }
        self.machine.world().voice.flush().map_err(Failure::Output)?;
        for reference in self.rules.references() {
            if self.subscribed.insert(reference) {
                self.subscribe(reference)?;
            }
        }
        Ok(())
    }

    // ---- the peer ------------------------------------------------------------------------------------------

    /// Reads a watched value, and runs the code if it is news.
    fn look(&mut self, id: RuleId) -> Step {
        let Some(reference) = self.rules.get(id).map(|rule| rule.wish.reference) else { return Ok(()) };
        let value = self.value(reference)?;
        if self.rules.read(id, value, Instant::now()) {
            self.fire(id)?;
        }
        Ok(())
    }

    /// The value of a reference; none when the peer knows none, or did not answer in time.
    fn value(&mut self, reference: Reference) -> Result<Option<Hash>, Stop> {
        let value = match reference {
            Reference::Lwwref(key) => {
                let value = self.daemon.ask::<lwwref::Get>(&lwwref::LwwKey(key));
                value.map(|value| value.map(|value| Hash::of(&value.to_bytes())))
            }
            Reference::Reflog(key) => self.daemon.ask::<reflog::Get>(&key),
        };
        match value.map_err(Stop::from) {
            Ok(value) => Ok(value),
            Err(Stop::Failed(failure)) => {
                self.complain(&format!("cannot read {}", shown(reference)), &failure)?;
                Ok(None)
            }
            Err(stop) => Err(stop),
        }
    }

    /// Subscribes the peer, unless it is subscribed already, and asks other peers now.
    fn subscribe(&mut self, reference: Reference) -> Step {
        let (key, kind) = match reference {
            Reference::Lwwref(key) => (key, "lwwref"),
            Reference::Reflog(key) => (key, "reflog"),
        };
        let minutes = self.rules.periods(reference).map(|when| match when {
            When::Watch(period) => (period.as_secs() / 60).max(1),
            When::Listen => LISTEN_POLL_MINUTES,
        });
        let minutes = minutes.min().unwrap_or(LISTEN_POLL_MINUTES);
        let polled = self.daemon.ask::<PollList>(&()).and_then(|polls| {
            if !polls.iter().any(|(polled, of, _)| *polled == key && of == kind) {
                self.daemon.ask::<PollAdd>(&(key, kind.to_owned(), minutes))?;
            }
            match reference {
                Reference::Lwwref(key) => self.daemon.ask::<lwwref::Fetch>(&lwwref::LwwKey(key)),
                Reference::Reflog(key) => self.daemon.ask::<reflog::Fetch>(&key),
            }
        });
        match polled.map_err(Stop::from) {
            Ok(()) => {
                self.machine.world().detail(format_args!("following {}", shown(reference)))?;
                if let Some(value) = self.value(reference)? {
                    self.known.insert(reference, value);
                }
                Ok(())
            }
            Err(Stop::Failed(failure)) => {
                // It is tried again after the next piece of code.
                self.subscribed.remove(&reference);
                self.complain(&format!("cannot follow {}", shown(reference)), &failure)
            }
            Err(stop) => Err(stop),
        }
    }

    // ---- commands ------------------------------------------------------------------------------------------

    fn job(&mut self, news: JobNews) -> Step {
        match news {
            JobNews::Began(command) => {
                let now = Instant::now();
                self.running = Some((command, now, now + LONG_JOB));
            }
            JobNews::Ended(logged) => {
                self.running = None;
                logged.map_err(Failure::Output)?;
            }
        }
        Ok(())
    }

    fn tell_of_long_job(&mut self) -> Step {
        let now = Instant::now();
        if let Some((command, since, at)) = self.running.as_mut().filter(|(.., at)| *at <= now) {
            *at = now + LONG_JOB;
            let minutes = since.elapsed().as_secs() / 60;
            let text = format!("running for {minutes} minutes, others wait: {command}");
            self.machine.world().log("warn", text)?;
        }
        Ok(())
    }

    fn complain(&mut self, what: &str, failure: &Failure) -> Step {
        let why = chain(failure).join(": ");
        Ok(self.machine.world().log("error", format_args!("{what}: {why}"))?)
    }
}

/// An error of the program: its own end, or a failure to tell about.
fn stop_of(error: ScriptError) -> Result<Failure, Stop> {
    match *error.fault {
        Fault::Quit(code) => Err(Stop::Ended(Ended::Exit(code))),
        _ => Ok(Failure::from(error)),
    }
}

/// The forms of a text: comments and layout do not count.
fn forms_of(text: &str) -> String {
    let parsed = parse(text);
    let forms: Vec<String> = parsed.forms.iter().map(ToString::to_string).collect();
    // Whoever repairs a mistake wants the file to be loaded.
    let errors: Vec<String> = parsed.errors.iter().map(ToString::to_string).collect();
    [forms, errors].concat().join("\n")
}

fn shown(reference: Reference) -> impl Display {
    match reference {
        Reference::Lwwref(key) => format!("lwwref {key}"),
        Reference::Reflog(key) => format!("reflog {key}"),
    }
}
