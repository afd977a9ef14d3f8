//! Threads for everything that may wait for the disk or hash for long.
//!
//! The decision task never touches the store. What the machine asks of it goes to one of six lanes, each a queue
//! with a thread, and comes back as facts:
//!
//! | lane | jobs |
//! |---|---|
//! | looks | lengths for peers, blocks of references |
//! | reads | blocks for peers |
//! | stores | completed blocks: hash, store, look for absent children |
//! | walks | what is absent of a whole tree |
//! | logs | lists of updates, checks of their signatures; heads of refchans, policies of mailboxes |
//! | commits | what must be durable, in order |
//!
//! A thread takes as many jobs as wait, up to a batch, so that hashing and syncing are shared when much is to be
//! done and nothing waits when little is. The queues have no limit of their own: each job answers one question of
//! the machine, which limits what it asks.

mod commits;
mod logs;
mod reads;
mod stores;
mod walks;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hbs2_proto::{Input, Output};
use hbs2_store::{Store, StoreError};
use tokio::sync::mpsc::UnboundedSender;

use crate::queue::Queue;

/// How long the end waits for jobs that are under way, in milliseconds. Only a walk through a huge tree takes
/// longer, and it changes nothing.
const END_MS: u64 = 700;

/// How often the end looks whether they are done, in milliseconds: joining has no deadline.
const END_LOOK_MS: u64 = 1;

/// Stack of a worker thread, in bytes. The walk keeps its own stack; nothing here recurses.
const STACK_BYTES: usize = 512 * 1024;

/// What all lanes have in hand.
pub(crate) struct Context {
    pub(crate) store: Arc<dyn Store>,
    facts: UnboundedSender<Vec<Input>>,
}

impl Context {
    /// Passes facts on. When nobody takes them any more the process is ending.
    fn tell(&self, facts: Vec<Input>) {
        let _ = self.facts.send(facts);
    }
}

/// The worker threads of a node. Dropping it lets them finish what they are at and all commits, and waits for them.
pub(crate) struct Workers {
    looks: Arc<Queue<reads::Look>>,
    reads: Arc<Queue<reads::Read>>,
    stores: Arc<Queue<stores::Job>>,
    walks: Arc<Queue<walks::Job>>,
    logs: Arc<Queue<logs::Job>>,
    commits: Arc<Queue<commits::Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the threads. Their facts go to `facts`.
    pub(crate) fn start(store: Arc<dyn Store>, facts: UnboundedSender<Vec<Input>>) -> std::io::Result<Self> {
        let context = Arc::new(Context { store, facts });
        let mut workers = Self {
            looks: Arc::default(),
            reads: Arc::default(),
            stores: Arc::default(),
            walks: Arc::default(),
            logs: Arc::default(),
            commits: Arc::default(),
            threads: Vec::new(),
        };
        workers.spawn("hbs2-look", &workers.looks.clone(), &context, reads::look)?;
        workers.spawn("hbs2-read", &workers.reads.clone(), &context, reads::read)?;
        workers.spawn("hbs2-keep", &workers.stores.clone(), &context, stores::run)?;
        workers.spawn("hbs2-walk", &workers.walks.clone(), &context, walks::run)?;
        workers.spawn("hbs2-log", &workers.logs.clone(), &context, logs::run)?;
        workers.spawn("hbs2-commit", &workers.commits.clone(), &context, commits::run)?;
        Ok(workers)
    }

    /// Takes a job of the machine; gives back what is no job for a worker.
    pub(crate) fn take(&self, output: Output) -> Option<Output> {
        match output {
            Output::StatBlock { ticket, hash } => self.looks.push(reads::Look::Stat { ticket, hash }),
            Output::ReadReference { ticket, key } => self.looks.push(reads::Look::Reference { ticket, key }),
            Output::ReadBlock { ticket, hash } => self.reads.push(reads::Read { ticket, hash }),
            Output::StoreBlock { hash, parts, from } => self.stores.push(stores::Job { hash, parts, from }),
            Output::Walk { ticket, root } => self.walks.push(walks::Job { ticket, root }),
            Output::ReadLog { ticket, source } => self.logs.push(logs::Job::Read { ticket, source }),
            Output::ExamineUpdates { ticket, key, hashes } => {
                self.logs.push(logs::Job::Examine { ticket, key, hashes });
            }
            Output::Examine { ticket, expected, hashes } => {
                self.logs.push(logs::Job::Blocks { ticket, expected, hashes });
            }
            Output::ReadContent { ticket, source, bytes_max } => {
                self.logs.push(logs::Job::Content { ticket, source, bytes_max });
            }
            Output::ReadPolicy { ticket, tree } => self.logs.push(logs::Job::Policy { ticket, tree }),
            Output::Commit { ticket, commit } => self.commits.push(commits::Job { ticket, commit }),
            other => return Some(other),
        }
        None
    }

    fn spawn<J: Send + 'static>(
        &mut self,
        name: &str,
        queue: &Arc<Queue<J>>,
        context: &Arc<Context>,
        run: fn(&Queue<J>, &Context),
    ) -> std::io::Result<()> {
        let (queue, context) = (Arc::clone(queue), Arc::clone(context));
        let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
        self.threads.push(builder.spawn(move || run(&queue, &context))?);
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.looks.abandon();
        self.reads.abandon();
        self.stores.abandon();
        self.walks.abandon();
        self.logs.abandon();
        self.commits.finish();
        let begin = Instant::now();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if begin.elapsed() > Duration::from_millis(END_MS) {
                tracing::info!("left a worker at its job, which can be done again");
                return;
            }
            std::thread::sleep(Duration::from_millis(END_LOOK_MS));
        }
    }
}

/// A failure of the store, for the log: what we were at and the whole chain of causes.
pub(crate) fn report(doing: &str, error: &StoreError) {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    tracing::error!("cannot {doing}: {text}");
}
