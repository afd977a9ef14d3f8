//! The one place where sockets, timers, disk and clients become facts for the machine, and its outputs effects.
//!
//! One task owns the machine. It takes facts from three channels (network, workers, clients) and from the clock,
//! hands each to the machine, and carries out what comes back. It never waits for anything else: sending is
//! queueing on a link with a limit, reading and writing blocks is a job for the [`Workers`], and an answer to a
//! client goes into its own slot.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::addr::PeerAddr;
use hbs2_core::refkey::RefKind;
use hbs2_net::{Direction, Lane, Limits, Net, Outgoing, bootstrap};
use hbs2_proto::wire::Packet;
use hbs2_proto::{
    Answer, Command, CommandId, Config, DialFailure, Event, Input, LinkId, Node, Origin, Output,
};
use hbs2_rpc::api::node as api;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::companions::Companions;
use crate::events::Hub;
use crate::workers::Workers;

/// Facts taken from one channel before the others get their turn, in count.
const BATCH_FACTS_MAX: usize = 64;

/// Requests of clients that wait for the decision task, in count. A client whose request finds the queue full
/// waits; each request takes microseconds.
const REQUESTS_MAX: usize = 256;

/// After this long without a block to store, unused buffers are given back to the system, in seconds.
const QUIET_SECONDS: u64 = 5;

/// The decision task has ended, so the daemon is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer is stopping")]
pub(crate) struct Stopping;

type Look = Box<dyn FnOnce(&Node) + Send>;

enum Request {
    Command(Command, oneshot::Sender<Answer>),
    Reconfigure(Box<Config>),
    Limit(Limits),
    Look(Look),
    Post(Post),
    Shrink,
}

/// Entries of one reflog that are posted together.
struct Post {
    name: api::RefName,
    updates: Vec<Bytes>,
    unchanged_since: Option<u64>,
    slot: oneshot::Sender<Posting>,
}

/// What becomes of entries that are posted together.
pub(crate) enum Posting {
    /// Nothing: the reference has this value now.
    Moved(Hash),
    /// The machine has them all; the answers will come.
    Answers(Vec<oneshot::Receiver<Answer>>),
}

/// The way of the clients to the machine.
#[derive(Clone)]
pub(crate) struct Desk {
    requests: mpsc::Sender<Request>,
}

impl Desk {
    /// Carries out a command and waits for its answer, which comes soon for all commands.
    pub(crate) async fn command(&self, command: Command) -> Result<Answer, Stopping> {
        let (slot, answer) = oneshot::channel();
        self.requests.send(Request::Command(command, slot)).await.map_err(|_| Stopping)?;
        answer.await.map_err(|_| Stopping)
    }

    /// Lets the machine work by another configuration.
    pub(crate) async fn reconfigure(&self, config: Config) -> Result<(), Stopping> {
        self.requests.send(Request::Reconfigure(Box::new(config))).await.map_err(|_| Stopping)
    }

    /// Lets the network work within other limits.
    pub(crate) async fn limit(&self, limits: Limits) -> Result<(), Stopping> {
        self.requests.send(Request::Limit(limits)).await.map_err(|_| Stopping)
    }

    /// Lets buffers go that are not in use.
    pub(crate) async fn shrink(&self) -> Result<(), Stopping> {
        self.requests.send(Request::Shrink).await.map_err(|_| Stopping)
    }

    /// Posts entries to one reflog, with nothing in between. When `unchanged_since` is a cursor of the events, only
    /// if the reference has not changed after it.
    pub(crate) async fn post(
        &self,
        name: api::RefName,
        updates: Vec<Bytes>,
        unchanged_since: Option<u64>,
    ) -> Result<Posting, Stopping> {
        let (slot, posting) = oneshot::channel();
        let post = Post { name, updates, unchanged_since, slot };
        self.requests.send(Request::Post(post)).await.map_err(|_| Stopping)?;
        posting.await.map_err(|_| Stopping)
    }

    /// Looks at the machine.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node) -> T + Send + 'static,
    ) -> Result<T, Stopping> {
        let (slot, seen) = oneshot::channel();
        let look: Look = Box::new(move |node| {
            // Without a receiver the client has left.
            let _ = slot.send(look(node));
        });
        self.requests.send(Request::Look(look)).await.map_err(|_| Stopping)?;
        seen.await.map_err(|_| Stopping)
    }
}

/// What joins the machine with the world.
pub(crate) struct Driver {
    node: Node,
    net: Net,
    workers: Workers,
    companions: Companions,
    hub: Arc<Hub>,
    network: mpsc::Receiver<hbs2_net::Event>,
    facts: mpsc::UnboundedReceiver<Vec<Input>>,
    /// For what bootstrap domains answer.
    found: mpsc::UnboundedSender<Vec<Input>>,
    requests: mpsc::Receiver<Request>,
    /// Clients that wait for the answer to a command.
    answers: HashMap<CommandId, oneshot::Sender<Answer>>,
    next_command: u64,
    /// Addresses of the linked peers.
    peers: HashMap<LinkId, PeerAddr>,
    /// Facts that follow from carrying out an output.
    pending: VecDeque<Input>,
    /// When blocks last came, while buffers may be in use.
    busy: Option<Instant>,
    /// When the machine was last told what the clock on the wall says.
    clocked: Option<Instant>,
}

impl Driver {
    /// Joins the parts. The desk is for the clients.
    pub(crate) fn new(
        node: Node,
        net: Net,
        (workers, companions): (Workers, Companions),
        hub: Arc<Hub>,
        network: mpsc::Receiver<hbs2_net::Event>,
        (found, facts): (mpsc::UnboundedSender<Vec<Input>>, mpsc::UnboundedReceiver<Vec<Input>>),
    ) -> (Self, Desk) {
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let driver = Self {
            node,
            net,
            workers,
            companions,
            hub,
            network,
            facts,
            found,
            requests,
            answers: HashMap::new(),
            next_command: 1,
            peers: HashMap::new(),
            pending: VecDeque::new(),
            busy: None,
            clocked: None,
        };
        (driver, Desk { requests: sender })
    }

    /// Runs until `stop`; then closes all links.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        self.take(Input::Start);
        let mut arrived = Vec::with_capacity(BATCH_FACTS_MAX);
        loop {
            let wakeup = self.next_wakeup();
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(wakeup.unwrap_or_else(Instant::now).into()), if wakeup.is_some() => self.wake(),
                Some(facts) = self.facts.recv() => facts.into_iter().for_each(|fact| self.take(fact)),
                Some(request) = self.requests.recv() => self.serve(request),
                // Always some: the carrier, which holds the other end, is ours.
                _ = self.network.recv_many(&mut arrived, BATCH_FACTS_MAX) => {
                    arrived.drain(..).for_each(|event| self.network_event(event));
                }
            }
        }
        self.save();
        self.net.shutdown().await;
    }

    /// Lets the machine save what is to outlive it. The commits are written before the workers end.
    fn save(&mut self) {
        self.node.handle(Instant::now(), Input::Stop);
        while let Some(output) = self.node.poll() {
            if matches!(output, Output::Commit { .. }) {
                self.carry_out(output);
            }
        }
    }

    fn next_wakeup(&self) -> Option<Instant> {
        let quiet = self.busy.map(|since| since + Duration::from_secs(QUIET_SECONDS));
        [self.node.next_wakeup(), quiet].into_iter().flatten().min()
    }

    fn wake(&mut self) {
        if self.busy.is_some_and(|since| since.elapsed() >= Duration::from_secs(QUIET_SECONDS)) {
            self.busy = None;
            self.net.shrink();
        }
        self.take(Input::Wake);
    }

    /// Hands a fact to the machine and carries out what follows from it.
    fn take(&mut self, fact: Input) {
        self.tell_clock();
        let mut next = Some(fact);
        while let Some(fact) = next {
            self.node.handle(Instant::now(), fact);
            while let Some(output) = self.node.poll() {
                self.carry_out(output);
            }
            next = self.pending.pop_front();
        }
    }

    /// Tells the machine what the clock on the wall says, once a second at most.
    fn tell_clock(&mut self) {
        if self.clocked.is_some_and(|at| at.elapsed() < Duration::from_secs(1)) {
            return;
        }
        let now = Instant::now();
        self.clocked = Some(now);
        if let Ok(since) = SystemTime::now().duration_since(UNIX_EPOCH) {
            self.node.handle(now, Input::Clock { unix_seconds: since.as_secs() });
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Look(look) => look(&self.node),
            Request::Command(command, slot) => self.command(command, slot),
            Request::Post(post) => self.post(post),
            Request::Limit(limits) => self.net.limit(&limits),
            Request::Reconfigure(config) => self.take(Input::Reconfigure(config)),
            Request::Shrink => self.net.shrink(),
        }
    }

    fn command(&mut self, command: Command, slot: oneshot::Sender<Answer>) {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.answers.insert(id, slot);
        self.take(Input::Command(id, command));
    }

    fn post(&mut self, post: Post) {
        let moved = post.unchanged_since.and_then(|cursor| self.hub.value_after(cursor, &post.name));
        let posting = match moved {
            Some(value) => Posting::Moved(value),
            None => {
                let post_one = |update| {
                    let (slot, answer) = oneshot::channel();
                    self.command(Command::PostReflog { update }, slot);
                    answer
                };
                Posting::Answers(post.updates.into_iter().map(post_one).collect())
            }
        };
        // Without a receiver the client has left.
        let _ = post.slot.send(posting);
    }

    fn network_event(&mut self, event: hbs2_net::Event) {
        use hbs2_net::Event::{Closed, DialFailed, Heard, Opened, Received, Written};
        match event {
            Received { link, frame } => {
                self.take(Input::Received { link: LinkId(link.0), packet: frame.bytes().clone() });
            }
            Heard { from, packet } => self.take(Input::Heard { from, packet }),
            Written { link, bytes } => self.take(Input::Sent { link: LinkId(link.0), bytes }),
            Opened { link, remote, direction } => {
                tracing::debug!(%remote, ?direction, "link {} is open", link.0);
                let origin = match direction {
                    Direction::Outbound => Origin::Dialled(remote),
                    Direction::Inbound => Origin::Accepted,
                };
                self.take(Input::LinkUp { link: LinkId(link.0), remote, origin });
            }
            Closed { link, reason } => {
                tracing::debug!(%reason, "link {} is closed", link.0);
                self.take(Input::LinkDown { link: LinkId(link.0) });
            }
            DialFailed { address, failure } => {
                tracing::debug!(%address, %failure, "cannot link");
                let failure = match failure {
                    hbs2_net::DialFailure::Myself => DialFailure::Myself,
                    hbs2_net::DialFailure::Duplicate { link } => DialFailure::Duplicate(Some(LinkId(link.0))),
                    hbs2_net::DialFailure::TimedOut
                    | hbs2_net::DialFailure::Socket(_)
                    | hbs2_net::DialFailure::TooMany => DialFailure::Unreachable,
                };
                self.take(Input::DialFailed { address, failure });
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        if matches!(output, Output::StoreBlock { .. } | Output::ReadBlock { .. }) {
            self.busy = Some(Instant::now());
        }
        let Some(output) = self.workers.take(output) else { return };
        match output {
            Output::Send { link, packet } => self.send(link, packet),
            Output::Dial { address } => self.net.dial(address),
            Output::Multicast { packet } => self.net.announce(&packet.to_bytes()),
            Output::Lookup { domain } => self.look_up(domain),
            Output::Close { link, reason } => {
                tracing::debug!(?reason, "closing link {}", link.0);
                self.net.close(hbs2_net::LinkId(link.0));
            }
            Output::Validate { ticket, chan, proposal } => self.companions.validate(ticket, chan, proposal),
            Output::Event(event) => self.event(event),
            other => unreachable!("the workers take {other:?}"),
        }
    }

    /// Chunks take the lane that everything else overtakes.
    fn send(&mut self, link: LinkId, packet: Packet) {
        let bytes = packet.len();
        let lane = if packet.is_data() { Lane::Bulk } else { Lane::Control };
        let parts =
            |packet: Packet| packet.into_parts().into_iter().filter(|part| !part.is_empty()).collect();
        // Sealing costs more than sending: it is the work of the link's writer.
        let message = match packet.is_sealed() {
            true => Outgoing::later(bytes, move || parts(packet)),
            false => Outgoing::from(parts(packet)),
        };
        if let Err(refused) = self.net.send(hbs2_net::LinkId(link.0), lane, message) {
            tracing::debug!(%refused, "cannot send {bytes} bytes on link {}", link.0);
            // They wait no longer; that they never left is for the deadlines of the messages to find out.
            self.pending.push_back(Input::Sent { link, bytes });
        }
    }

    /// Asks a bootstrap domain; the answer comes as a fact.
    fn look_up(&self, domain: String) {
        let facts = self.found.clone();
        tokio::spawn(async move {
            match bootstrap::lookup(&domain, None).await {
                Ok(addresses) => {
                    tracing::debug!("the bootstrap domain {domain} lists {} addresses", addresses.len());
                    // Without a receiver the daemon is ending.
                    let _ = facts.send(vec![Input::Found { addresses }]);
                }
                Err(error) => {
                    let cause =
                        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::debug!(cause, "{error}");
                }
            }
        });
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Answer { command, answer } => {
                if let Some(slot) = self.answers.remove(&command) {
                    // Without a receiver the client has left.
                    let _ = slot.send(answer);
                }
            }
            Event::TreeDone { root } => {
                tracing::debug!("tree {root} is complete");
                self.hub.note(api::Event::Tree(root));
            }
            Event::RefChanged { key, kind, value } => {
                tracing::debug!("{kind} {key} is now {value}");
                let name = api::RefName { kind: kind.ref_kind(), key };
                self.hub.note(api::Event::Ref(name, value));
            }
            Event::ChanHeadChanged { chan, root } => {
                tracing::debug!("the head of refchan {chan} is now {root}");
                self.hub.note(api::Event::Ref(api::RefName { kind: RefKind::ChanHead, key: chan }, root));
            }
            Event::ChanNotice { chan, notice } => {
                self.companions.notice(&chan, &notice);
                self.hub.note(api::Event::Notice(chan, notice));
            }
            Event::MailboxChanged { mailbox, root } => {
                tracing::debug!("mailbox {mailbox} is now {root}");
                self.hub.note(api::Event::Ref(api::RefName { kind: RefKind::Mailbox, key: mailbox }, root));
            }
            Event::PeerUp { peer, address, link } => {
                tracing::info!("linked with {peer} at {address}");
                self.hub.note(api::Event::Linked(peer, address));
                self.peers.insert(link, address);
            }
            Event::PeerDown { link, peer, reason } => {
                let address = self.peers.remove(&link);
                match reason {
                    Some(reason) => tracing::info!("no longer linked with {peer}: {reason}"),
                    None => tracing::info!("no longer linked with {peer}: the connection ended"),
                }
                if let Some(address) = address {
                    self.hub.note(api::Event::Lost(peer, address));
                }
            }
            Event::Corrupt { peer, hash } => {
                tracing::warn!("{peer} sent wrong bytes for block {hash}");
            }
            Event::Banned { peer, offence, seconds } => {
                tracing::warn!("{peer} is banned for {seconds} s: {offence}");
            }
        }
    }
}
