//! Group commit: one thread writes for everybody, and callers that wait at the same time share one sync.
//!
//! Requests are applied in the order of their arrival. That makes the promise simple to see: whatever a caller
//! saw in the store was applied before the caller's own request, so a sync after that request covers it too. A
//! request without changes is therefore a way to wait for the durability of what is there already.
//!
//! A full disk refuses the batch it has no room for, and takes the next one that fits. Any other failure ends the
//! thread's writing for good. What the disk holds after a failed sync is unknown, so every request that waits or
//! comes later receives that failure, until the store is opened again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::Hash;

use crate::{Cause, Durability};

/// Bytes of changes that go into the engine at once, unless one request is larger. Batches bound the memory that
/// is written but not yet flushed; below a mebibyte the cost per batch begins to show.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of changes after which those who wait get their sync, even when more requests are queued.
const GROUP_BYTES: usize = 4 * BATCH_BYTES;

/// How long a change of [`Durability::Grouped`] waits for a sync, in milliseconds: half of the promised second
/// leaves the other half for the sync itself.
const GROUPED_DELAY_MS: u64 = 500;

/// How long a caller waits for its answer, in seconds. A sync on a busy disk may take some seconds; after a
/// minute the disk is considered gone.
const ANSWER_SECONDS: u64 = 60;

/// One change of the store.
#[derive(Clone, Debug)]
pub(super) enum Change {
    PutBlock { hash: Hash, bytes: Bytes },
    DeleteBlock { hash: Hash },
    Reference { key: Hash, value: Option<Hash> },
    Record { name: String, value: Option<Bytes> },
}

/// What a change concerns.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Block(Hash),
    Reference(Hash),
    Record(String),
}

impl Change {
    /// The block that this change stores.
    pub(super) fn block(&self) -> Option<Hash> {
        match self {
            Self::PutBlock { hash, .. } => Some(*hash),
            _ => None,
        }
    }

    fn target(&self) -> Target {
        match self {
            Self::PutBlock { hash, .. } | Self::DeleteBlock { hash } => Target::Block(*hash),
            Self::Reference { key, .. } => Target::Reference(*key),
            Self::Record { name, .. } => Target::Record(name.clone()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::PutBlock { bytes, .. } => bytes.len(),
            Self::DeleteBlock { .. } | Self::Reference { .. } => 2 * Hash::BYTES,
            Self::Record { name, value } => name.len() + value.as_ref().map_or(0, Bytes::len),
        }
    }
}

/// Why changes were not applied.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// There is no room for them. Everything is as it was before.
    NoRoom(Cause),
    /// The state on disk is unknown.
    Broken(Cause),
}

/// Where changes go. The disk engine is one; tests have another that fails on purpose.
pub(super) trait Sink: Send + 'static {
    /// Makes `changes` readable, all or none. No two of them concern the same thing.
    fn apply(&mut self, changes: Vec<Change>) -> Result<(), Failure>;
    /// Brings everything applied so far to stable storage.
    fn sync(&mut self) -> Result<(), Cause>;
    /// Does one step of the work that nobody waits for. Whether there may be more.
    fn upkeep(&mut self) -> Result<bool, Cause>;
}

/// The handle of the writing thread. Dropping it syncs and ends the thread.
pub(super) struct Committer {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    changes: Vec<Change>,
    durability: Durability,
    answer: SyncSender<Result<(), Cause>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the disk gave no answer within {ANSWER_SECONDS} s")]
struct NoAnswer;

#[derive(Debug, thiserror::Error)]
#[error("the writing thread has ended")]
struct Ended;

impl Committer {
    pub(super) fn start(sink: impl Sink) -> std::io::Result<Self> {
        // Unbounded in name only: a caller waits for its answer, so there is one request per calling thread.
        let (requests, queue) = channel();
        let thread = std::thread::Builder::new().name("hbs2-store".to_owned()).spawn(move || {
            Writer { queue, sink, unsynced_since: None, upkeep: false, failed: None }.run();
        })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Applies `changes` together and returns when they are as durable as asked.
    pub(super) fn commit(&self, changes: Vec<Change>, durability: Durability) -> Result<(), Cause> {
        let (answer, answered) = sync_channel(1);
        let requests = self.requests.as_ref().ok_or_else(|| cause(Ended))?;
        requests.send(Request { changes, durability, answer }).map_err(|_| cause(Ended))?;
        match answered.recv_timeout(Duration::from_secs(ANSWER_SECONDS)) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(cause(NoAnswer)),
            Err(RecvTimeoutError::Disconnected) => Err(cause(Ended)),
        }
    }
}

impl Committer {
    /// Syncs and ends the thread. Nothing can be committed after this.
    pub(super) fn stop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writing thread of the store panicked");
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn cause(error: impl std::error::Error + Send + Sync + 'static) -> Cause {
    Arc::new(error)
}

struct Writer<S> {
    queue: Receiver<Request>,
    sink: S,
    /// When the oldest change that is not yet synced was applied.
    unsynced_since: Option<Instant>,
    /// Whether a sync may have left work that nobody waits for.
    upkeep: bool,
    failed: Option<Cause>,
}

type Answers = Vec<SyncSender<Result<(), Cause>>>;

impl<S: Sink> Writer<S> {
    fn run(mut self) {
        loop {
            match self.next_request() {
                Ok(request) => self.commit_group(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.unsynced_since.is_some_and(|since| since.elapsed() >= grouped_delay()) {
                self.sync();
            }
            self.upkeep();
        }
        self.sync();
    }

    /// The next request; none in time when there is something else to do.
    fn next_request(&self) -> Result<Request, RecvTimeoutError> {
        match self.unsynced_since {
            _ if self.upkeep => self.queue.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            }),
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => self.queue.recv_timeout(grouped_delay().saturating_sub(since.elapsed())),
        }
    }

    /// Applies `first` and what else is queued, then syncs once for all who asked for it.
    fn commit_group(&mut self, first: Request) {
        let mut next = Some(first);
        let mut group_bytes = 0;
        let mut synced: Answers = Vec::new();
        while let Some(request) = next.take() {
            let (batch, follower) = self.gather(request);
            group_bytes += batch.bytes;
            match self.apply(batch.changes.into_values().collect()) {
                Ok(()) => {
                    // Those who asked for no more than this have their answer now.
                    answer(batch.grouped, &Ok(()));
                    synced.extend(batch.synced);
                }
                Err(cause) => {
                    let refused = Err(cause);
                    answer(batch.grouped, &refused);
                    answer(batch.synced, &refused);
                }
            }
            next = if group_bytes < GROUP_BYTES { follower.or_else(|| self.queued()) } else { follower };
        }
        if !synced.is_empty() {
            self.sync();
            answer(synced, &self.failed.clone().map_or(Ok(()), Err));
        }
    }

    /// Collects requests into one batch, as long as they are queued and the batch is small. The request that did
    /// not fit any more comes back.
    fn gather(&self, first: Request) -> (Batch, Option<Request>) {
        let mut batch = Batch::default();
        batch.add(first);
        while batch.bytes < BATCH_BYTES {
            match self.queued() {
                Some(request) if batch.bytes + request_bytes(&request) > BATCH_BYTES => {
                    return (batch, Some(request));
                }
                Some(request) => batch.add(request),
                None => break,
            }
        }
        (batch, None)
    }

    fn queued(&self) -> Option<Request> {
        self.queue.try_recv().ok()
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<(), Cause> {
        if let Some(failed) = &self.failed {
            return Err(Arc::clone(failed));
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.unsynced_since.get_or_insert_with(Instant::now);
        match self.sink.apply(changes) {
            Ok(()) => Ok(()),
            Err(Failure::NoRoom(cause)) => {
                tracing::error!(error = %cause, "the disk has no room for what was to be stored");
                Err(cause)
            }
            Err(Failure::Broken(cause)) => {
                self.failed = Some(Arc::clone(&cause));
                self.report();
                Err(cause)
            }
        }
    }

    fn sync(&mut self) {
        if self.failed.is_none() && self.unsynced_since.is_some() {
            self.failed = self.sink.sync().err();
            self.upkeep = true;
            self.report();
        }
        self.unsynced_since = None;
    }

    /// One step between two requests, so that nobody waits for more than one.
    fn upkeep(&mut self) {
        if self.failed.is_none() && self.upkeep {
            match self.sink.upkeep() {
                Ok(more) => self.upkeep = more,
                Err(error) => {
                    self.failed = Some(error);
                    self.report();
                }
            }
        } else {
            self.upkeep = false;
        }
    }

    fn report(&self) {
        if let Some(failed) = &self.failed {
            tracing::error!(error = %failed, "the store failed to write and takes no more writes");
        }
    }
}

#[derive(Default)]
struct Batch {
    /// The last change of each thing: within a batch the engine knows no order.
    changes: BTreeMap<Target, Change>,
    bytes: usize,
    grouped: Answers,
    synced: Answers,
}

impl Batch {
    fn add(&mut self, request: Request) {
        self.bytes += request_bytes(&request);
        self.changes.extend(request.changes.into_iter().map(|change| (change.target(), change)));
        match request.durability {
            Durability::Synced => self.synced.push(request.answer),
            Durability::Grouped => self.grouped.push(request.answer),
        }
    }
}

fn request_bytes(request: &Request) -> usize {
    request.changes.iter().map(Change::bytes).sum()
}

fn answer(answers: Answers, result: &Result<(), Cause>) {
    for answer in answers {
        // A caller that no longer waits has returned its own error.
        let _ = answer.try_send(result.clone());
    }
}

fn grouped_delay() -> Duration {
    Duration::from_millis(GROUPED_DELAY_MS)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;

    /// Counts calls down to a failure, and tells a test what happened.
    struct Faulty {
        calls_until_failure: usize,
        /// Whether the next change finds no room.
        full: Arc<Mutex<bool>>,
        events: mpsc::Sender<&'static str>,
        applied: Arc<Mutex<usize>>,
        synced: Arc<Mutex<usize>>,
        /// Held by a test that wants a sync to take its time.
        gate: Arc<Mutex<()>>,
    }

    impl Faulty {
        fn step(&mut self) -> Result<(), Cause> {
            match self.calls_until_failure.checked_sub(1) {
                Some(left) => {
                    self.calls_until_failure = left;
                    Ok(())
                }
                None => Err(cause(std::io::Error::other("the disk is broken"))),
            }
        }
    }

    impl Sink for Faulty {
        fn apply(&mut self, changes: Vec<Change>) -> Result<(), Failure> {
            if std::mem::take(&mut *self.full.lock().unwrap()) {
                return Err(Failure::NoRoom(cause(std::io::Error::other("no room"))));
            }
            self.step().map_err(Failure::Broken)?;
            *self.applied.lock().unwrap() += changes.len();
            let _ = self.events.send("apply");
            Ok(())
        }

        fn sync(&mut self) -> Result<(), Cause> {
            let _ = self.events.send("at the gate");
            drop(self.gate.lock().unwrap());
            self.step()?;
            *self.synced.lock().unwrap() = *self.applied.lock().unwrap();
            let _ = self.events.send("sync");
            Ok(())
        }

        fn upkeep(&mut self) -> Result<bool, Cause> {
            Ok(false)
        }
    }

    struct Fixture {
        committer: Option<Committer>,
        events: mpsc::Receiver<&'static str>,
        synced: Arc<Mutex<usize>>,
        gate: Arc<Mutex<()>>,
        full: Arc<Mutex<bool>>,
    }

    fn fixture(calls_until_failure: usize) -> Fixture {
        let (sender, events) = mpsc::channel();
        let synced = Arc::new(Mutex::new(0));
        let (gate, full) = (Arc::default(), Arc::default());
        let sink = Faulty {
            calls_until_failure,
            full: Arc::clone(&full),
            events: sender,
            applied: Arc::default(),
            synced: Arc::clone(&synced),
            gate: Arc::clone(&gate),
        };
        Fixture { committer: Some(Committer::start(sink).unwrap()), events, synced, gate, full }
    }

    fn change() -> Vec<Change> {
        vec![Change::DeleteBlock { hash: Hash::of(b"x") }]
    }

    impl Fixture {
        fn commit(&self, durability: Durability) -> Result<(), Cause> {
            self.committer.as_ref().unwrap().commit(change(), durability)
        }
    }

    #[test]
    fn after_any_failure_nothing_is_acknowledged_that_is_not_synced() {
        for calls in 0..20 {
            let f = fixture(calls);
            let acknowledged = (0..12).filter(|_| f.commit(Durability::Synced).is_ok()).count();
            assert_eq!(acknowledged, calls / 2, "each commit takes two calls, {calls} succeed");
            assert!(*f.synced.lock().unwrap() >= acknowledged);
        }
    }

    #[test]
    fn the_last_change_of_a_thing_in_a_batch_holds() {
        let hash = Hash::of(b"x");
        let (answer, _answered) = sync_channel(1);
        let changes = vec![
            Change::PutBlock { hash, bytes: Bytes::new() },
            Change::Reference { key: hash, value: None },
            Change::DeleteBlock { hash },
        ];
        let mut batch = Batch::default();
        batch.add(Request { changes, durability: Durability::Synced, answer });
        let left: Vec<_> = batch.changes.into_values().collect();
        assert!(matches!(left[..], [Change::DeleteBlock { .. }, Change::Reference { .. }]));
    }

    #[test]
    fn what_finds_no_room_is_refused_and_the_next_that_fits_is_taken() {
        let f = fixture(usize::MAX);
        for durability in [Durability::Synced, Durability::Grouped] {
            *f.full.lock().unwrap() = true;
            assert_eq!(f.commit(durability).unwrap_err().to_string(), "no room");
            f.commit(durability).unwrap();
        }
    }

    #[test]
    fn a_failure_holds_for_grouped_and_empty_requests_too() {
        let f = fixture(1);
        assert!(f.commit(Durability::Synced).is_err());
        assert!(f.commit(Durability::Grouped).is_err());
        assert!(f.committer.as_ref().unwrap().commit(Vec::new(), Durability::Synced).is_err());
    }

    #[test]
    fn an_empty_request_waits_for_what_was_grouped_before() {
        let f = fixture(usize::MAX);
        f.commit(Durability::Grouped).unwrap();
        f.committer.as_ref().unwrap().commit(Vec::new(), Durability::Synced).unwrap();
        assert_eq!(*f.synced.lock().unwrap(), 1);
    }

    #[test]
    fn an_empty_request_on_a_clean_store_costs_no_sync() {
        let f = fixture(0);
        f.committer.as_ref().unwrap().commit(Vec::new(), Durability::Synced).unwrap();
    }

    #[test]
    fn grouped_changes_are_synced_within_a_second_without_further_calls() {
        let f = fixture(usize::MAX);
        f.commit(Durability::Grouped).unwrap();
        assert_eq!(f.events.recv_timeout(Duration::from_secs(10)), Ok("apply"));
        let applied = Instant::now();
        assert_eq!(f.events.recv_timeout(Duration::from_secs(10)), Ok("at the gate"));
        assert_eq!(f.events.recv_timeout(Duration::from_secs(10)), Ok("sync"));
        assert!(applied.elapsed() < Duration::from_secs(5), "half a second is planned");
    }

    #[test]
    fn closing_syncs_what_was_grouped() {
        let mut f = fixture(usize::MAX);
        f.commit(Durability::Grouped).unwrap();
        drop(f.committer.take());
        assert_eq!(*f.synced.lock().unwrap(), 1);
    }

    #[test]
    fn requests_that_arrive_during_a_sync_share_the_next_one() {
        let f = fixture(usize::MAX);
        let committer = f.committer.as_ref().unwrap();
        let gate = f.gate.lock().unwrap();
        let request = |answer| Request { changes: change(), durability: Durability::Synced, answer };
        let (first, first_answered) = sync_channel(1);
        committer.requests.as_ref().unwrap().send(request(first)).unwrap();
        assert_eq!(f.events.recv_timeout(Duration::from_secs(10)), Ok("apply"));
        assert_eq!(f.events.recv_timeout(Duration::from_secs(10)), Ok("at the gate"));
        let answers: Vec<_> = (0..5)
            .map(|_| {
                let (answer, answered) = sync_channel(1);
                committer.requests.as_ref().unwrap().send(request(answer)).unwrap();
                answered
            })
            .collect();
        drop(gate);
        first_answered.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
        for answered in answers {
            answered.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
        }
        assert_eq!(f.events.try_iter().collect::<Vec<_>>(), ["sync", "apply", "at the gate", "sync"]);
    }
}
