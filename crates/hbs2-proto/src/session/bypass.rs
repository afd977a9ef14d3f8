//! Optional encryption between neighbours (spec: wire 1.4).
//!
//! Each process has a key pair for the time it runs. A greeting ([`Hey`]) tells the public half, signed by the peer key;
//! from both halves grows the key of a [`Flow`]. What cannot be opened is taken as clear text, so a peer without this
//! layer is spoken to in clear.
//!
//! A link is sealed only when the other side has proved that it can open what we seal: by sealing something itself.
//! Nobody proves anything by waiting, so a greeting is answered with a sealed ping beside our own greeting. If that
//! cannot be opened, nothing is lost but a ping; the other side greets again, and so do we.
//!
//! This is no confidentiality: the layer of the original has no replay window and nobody refuses clear text. The docs
//! say so.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::nacl::{BoxKey, MAC_BYTES, Nonce};
use hbs2_core::{EncryptPublicKey, EncryptSecretKey, SignPublicKey};

use crate::LinkId;
use crate::limiter::Bucket;
use crate::moment::Moment;
use crate::random::Random;
use crate::wire::{self, Greeting, Hey};

/// Bytes that a sealed packet is longer than the clear one: flow, number and authentication.
pub const SEAL_BYTES: usize = 8 + MAC_BYTES;

/// Time between greetings to a peer that does not greet, in seconds. The original's.
const GREET_SECONDS: u64 = 30;

/// Time between greetings to a peer that greets but does not prove that it has our key, in seconds: our greeting may be
/// lost.
const UNPROVEN_SECONDS: u64 = 5;

/// Shortest time between greetings on a link, whatever asks for one.
const ANSWER: Duration = Duration::from_secs(3);

/// Greetings of one link read at once, at most; each costs a signature and maybe a key agreement, some 100 µs.
const HEYS_BURST: u32 = 8;

/// Time for one more.
const HEY_REFILL: Duration = Duration::from_secs(1);

/// Pings in clear after which a link is not sealed any more. One or two may be late, or said before our greeting came.
const CLEAR_PINGS_MAX: u32 = 3;

/// Flows held, at most: several for each link there may be.
const FLOWS_MAX: usize = 1024;

/// The key of two processes, and the numbers of the packets that are sealed with it.
pub struct Flow {
    id: u32,
    peer: EncryptPublicKey,
    key: BoxKey,
    numbers: Numbers,
}

/// Numbers of 32 bits that two sides count up without meeting: each packet of one key needs its own. They are scrambled,
/// so that they look as random as the original's; those really repeat, after some 2^16 packets.
#[derive(Debug)]
struct Numbers {
    next: AtomicU32,
    factor: u32,
    side: u32,
}

impl Numbers {
    fn next(&self) -> u32 {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        // Multiplying by an odd number permutes; the last bit is the side's.
        (count.wrapping_mul(self.factor) << 1) | self.side
    }
}

impl Flow {
    /// The flow between our secret key and the peer's public one; nothing when the peer's is a weak key.
    #[must_use]
    pub fn new(id: u32, secret: &EncryptSecretKey, peer: EncryptPublicKey, seed: [u8; 8]) -> Option<Self> {
        let key = BoxKey::between(&peer, secret).ok()?;
        let (first, factor) = seed.split_at(4);
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("a half of eight bytes"));
        let side = u32::from(secret.public().as_bytes() > peer.as_bytes());
        let numbers = Numbers { next: AtomicU32::new(word(first)), factor: word(factor) | 1, side };
        Some(Self { id, peer, key, numbers })
    }

    /// The packet that hides the `parts` of a clear one.
    #[must_use]
    pub fn seal(&self, parts: &[Bytes]) -> Bytes {
        self.seal_numbered(self.numbers.next(), &parts.concat())
    }

    /// As [`seal`](Self::seal), with a given number, which must not come twice.
    #[must_use]
    pub fn seal_numbered(&self, number: u32, clear: &[u8]) -> Bytes {
        let mut packet = Vec::with_capacity(SEAL_BYTES + clear.len());
        packet.extend_from_slice(&self.id.to_be_bytes());
        packet.extend_from_slice(&number.to_be_bytes());
        self.key.seal_onto(&Nonce::of_string(&number.to_be_bytes()), clear, &mut packet);
        packet.into()
    }

    /// The clear packet, if this one is of this flow.
    #[must_use]
    pub fn open(&self, packet: &[u8]) -> Option<Bytes> {
        let (head, boxed) = packet.split_at_checked(8)?;
        let (id, number) = head.split_at(4);
        if id != self.id.to_be_bytes() {
            return None;
        }
        self.key.open(&Nonce::of_string(number), boxed).ok().map(Bytes::from)
    }
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.peer == other.peer
    }
}

impl Eq for Flow {}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flow({:08x})", self.id)
    }
}

/// The name of the flow between two processes.
#[must_use]
pub fn flow_id(one: u16, other: u16) -> u32 {
    u32::from(one.min(other)) << 16 | u32::from(one.max(other))
}

/// What is known of one link.
#[derive(Debug)]
struct Line {
    flow: Option<Arc<Flow>>,
    /// The number we go by here.
    nonce: u16,
    /// Whether the other side can open what we seal.
    proven: bool,
    /// Pings in clear since something sealed came.
    clear_pings: u32,
    /// When we last greeted.
    greeted: Option<Instant>,
    heys: Bucket,
}

/// What a packet was outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Sealed; this was inside.
    Sealed(Bytes),
    /// Not sealed, or with a key we do not have.
    Clear,
}

/// The encryption of all links.
#[derive(Debug)]
pub(crate) struct Bypass {
    secret: EncryptSecretKey,
    nonce: u16,
    lines: BTreeMap<LinkId, Line>,
    /// By name; several processes may have one name.
    flows: BTreeMap<u32, Vec<Arc<Flow>>>,
    /// The oldest first.
    ages: VecDeque<Arc<Flow>>,
}

impl Bypass {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            secret: EncryptSecretKey::from_bytes(random.bytes()),
            nonce: u16::from_le_bytes(random.bytes()),
            lines: BTreeMap::new(),
            flows: BTreeMap::new(),
            ages: VecDeque::new(),
        }
    }

    /// How many flows are known.
    pub(crate) fn flows(&self) -> usize {
        self.ages.len()
    }

    /// Whether what we send on a link is sealed.
    pub(crate) fn is_sealed(&self, link: LinkId) -> bool {
        self.lines.get(&link).is_some_and(|line| line.proven)
    }

    pub(crate) fn up(&mut self, m: &Moment<'_>, link: LinkId) {
        let heys = Bucket::new(m.now, HEYS_BURST, HEY_REFILL);
        let line = Line { flow: None, nonce: self.nonce, proven: false, clear_pings: 0, greeted: None, heys };
        self.lines.insert(link, line);
    }

    pub(crate) fn down(&mut self, link: LinkId) {
        self.lines.remove(&link);
    }

    /// Greets from time to time as long as a link is not sealed.
    pub(crate) fn remind(&mut self, m: &mut Moment<'_>, link: LinkId) {
        let heard = self.lines.get(&link).is_some_and(|line| line.flow.is_some());
        let pause = if heard { UNPROVEN_SECONDS } else { GREET_SECONDS };
        self.greet_after(m, link, Duration::from_secs(pause));
    }

    /// Speaks in clear from now on.
    pub(crate) fn unseal(&mut self, m: &mut Moment<'_>, link: LinkId) {
        if let Some(line) = self.lines.get_mut(&link) {
            line.proven = false;
            m.out.seal(link, None);
        }
    }

    /// A ping in clear has come on a sealed link: who goes on like this cannot open what we seal, and may not even
    /// greet, because it was started again without this layer.
    pub(crate) fn clear_ping(&mut self, m: &mut Moment<'_>, link: LinkId) {
        let Some(line) = self.lines.get_mut(&link) else { return };
        line.clear_pings += 1;
        if line.clear_pings >= CLEAR_PINGS_MAX {
            self.unseal(m, link);
        }
    }

    /// Opens a packet that may be sealed.
    pub(crate) fn open(&mut self, m: &mut Moment<'_>, link: LinkId, packet: &Bytes) -> Opened {
        let Some(line) = self.lines.get_mut(&link) else { return Opened::Clear };
        let Some(id) = packet.first_chunk().map(|id| u32::from_be_bytes(*id)) else { return Opened::Clear };
        let known = self.flows.get(&id).into_iter().flatten();
        let Some((flow, clear)) =
            line.flow.iter().chain(known).find_map(|flow| Some((flow, flow.open(packet)?)))
        else {
            return Opened::Clear;
        };
        m.out.came_sealed(packet.len());
        let flow = Arc::clone(flow);
        line.clear_pings = 0;
        if m.config.bypass && (!line.proven || line.flow.as_ref() != Some(&flow)) {
            line.proven = true;
            m.out.seal(link, Some(Arc::clone(&flow)));
            line.flow = Some(flow);
        }
        Opened::Sealed(clear)
    }

    /// Something came that is neither sealed with a key we have nor a message: maybe the other side does not know that
    /// we do not have its key.
    pub(crate) fn unreadable(&mut self, m: &mut Moment<'_>, link: LinkId) {
        m.out.counters.packets_unreadable += 1;
        self.greet_after(m, link, ANSWER);
    }

    /// A greeting has come; `peer` is who is known to be there. The flow with which to send a ping that proves that the
    /// other side can open it.
    pub(crate) fn hey(
        &mut self,
        m: &mut Moment<'_>,
        link: LinkId,
        peer: Option<SignPublicKey>,
        hey: &Hey,
    ) -> Option<Arc<Flow>> {
        let line = self.lines.get_mut(&link)?;
        if !m.config.bypass {
            return None;
        }
        if !line.heys.take(m.now) {
            m.limited(link);
            return None;
        }
        let Ok(greeting) = hey.greeting.verify() else {
            m.out.counters.heys_bad += 1;
            return None;
        };
        // On datagrams anybody can greet in another's name; the key of a trusted peer is not taken from somebody else.
        if peer.is_some_and(|peer| peer != greeting.signer) || !m.admits(&greeting.signer) {
            m.out.counters.heys_bad += 1;
            return None;
        }
        let public = greeting.value.key;
        if public == self.secret.public() {
            return None;
        }
        let flow = self.flow(m, hey.nonce, public)?;
        let nonce = self.nonce_for(hey.nonce);
        let line = self.lines.get_mut(&link)?;
        line.nonce = nonce;
        line.flow = Some(Arc::clone(&flow));
        line.proven = false;
        m.out.seal(link, None);
        self.greet_after(m, link, ANSWER);
        Some(flow)
    }

    /// The flow with a process, made if there is none.
    fn flow(&mut self, m: &mut Moment<'_>, nonce: u16, public: EncryptPublicKey) -> Option<Arc<Flow>> {
        let id = flow_id(self.nonce_for(nonce), nonce);
        let known = self.flows.get(&id).into_iter().flatten().find(|flow| flow.peer == public);
        if let Some(flow) = known {
            return Some(Arc::clone(flow));
        }
        let flow = Arc::new(Flow::new(id, &self.secret, public, m.random.bytes())?);
        if self.ages.len() >= FLOWS_MAX
            && let Some(old) = self.ages.pop_front()
            && let Some(flows) = self.flows.get_mut(&old.id)
        {
            flows.retain(|flow| *flow != old);
            if flows.is_empty() {
                self.flows.remove(&old.id);
            }
        }
        self.flows.entry(id).or_default().push(Arc::clone(&flow));
        self.ages.push_back(Arc::clone(&flow));
        Some(flow)
    }

    /// The number we go by towards a process. The original bans whoever has its own number.
    fn nonce_for(&self, theirs: u16) -> u16 {
        if theirs == self.nonce { self.nonce ^ 1 } else { self.nonce }
    }

    /// Greets unless we did within `pause` or the link is sealed.
    fn greet_after(&mut self, m: &mut Moment<'_>, link: LinkId, pause: Duration) {
        let Some(line) = self.lines.get_mut(&link) else { return };
        let lately = line.greeted.is_some_and(|at| m.now < at + pause);
        if !m.config.bypass || lately || (line.proven && pause != ANSWER) {
            return;
        }
        line.greeted = Some(m.now);
        let greeting = Greeting { seconds: m.seconds(), key: self.secret.public() };
        let hey = Hey::new(line.nonce, &m.config.key, &greeting);
        let program = wire::program(m.random);
        m.out.counters.heys_sent += 1;
        m.out.send_raw(link, hey.to_packet(&program));
    }
}
