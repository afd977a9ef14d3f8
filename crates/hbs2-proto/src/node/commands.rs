//! What the owner asks.

use std::time::{Duration, Instant};

use hbs2_core::addr::PeerAddr;

use super::questions::QUESTIONS_MAX;
use super::{Node, moment};
use crate::brain::{WANTS_MAX, Wanted};
use crate::outbox::Outbox;
use crate::session::PING_ANSWER_MILLIS;
use crate::wire::{AnnounceMeta, BlockAnnounce, BlockInfo, Message};
use crate::{Answer, CloseReason, Command, CommandId, LinkId, Output, Refusal};

/// Pings of the owner under way, at most.
const PINGS_MAX: usize = 64;

impl Node {
    pub(super) fn command(&mut self, id: CommandId, command: Command) {
        let m = moment!(self);
        match command {
            Command::Want { root, keep } => {
                let answer = match self.brain.want(m, root, keep, None) {
                    Wanted::Started | Wanted::Joined => Answer::Done,
                    Wanted::Full => Answer::Refused(Refusal::Full { entries: WANTS_MAX }),
                };
                m.out.answer(id, answer);
            }
            Command::WantFrom { root, link, limit } => {
                let until = m.now + limit;
                let answer = match self.brain.want_from(m, root, link, until) {
                    Some(Wanted::Started | Wanted::Joined) => Answer::Done,
                    Some(Wanted::Full) => Answer::Refused(Refusal::Full { entries: WANTS_MAX }),
                    None => Answer::Refused(Refusal::Silent),
                };
                m.out.answer(id, answer);
            }
            Command::UnwantFrom { root } => {
                self.brain.unwant_from(m, &root);
                m.out.answer(id, Answer::Done);
            }
            Command::AskSize { link, hash } => {
                if !self.sessions.is_trusted(link) {
                    m.out.answer(id, Answer::Refused(Refusal::Silent));
                } else if !self.questions.add(m.now, id, link, hash) {
                    m.out.answer(id, Answer::Refused(Refusal::Full { entries: QUESTIONS_MAX }));
                } else {
                    m.send(link, &Message::BlockInfo(BlockInfo::GetBlockSize(hash)));
                }
            }
            Command::Unwant { root } => {
                self.brain.unwant(m, &root);
                m.out.answer(id, Answer::Done);
            }
            Command::PollAdd(poll) => self.refs.poll_add(m, &self.sessions, id, poll),
            Command::PollDel { key, kind } => self.refs.poll_del(m, id, &key, kind),
            Command::PostReflog { update } => {
                self.refs.post_reflog(m, &self.sessions, &mut self.brain, id, &update);
            }
            Command::PostLwwref { signed } => {
                self.refs.post_lwwref(m, &self.sessions, &mut self.brain, id, &signed);
            }
            Command::PostChanHead { root } => self.refs.post_chan_head(m, id, root),
            Command::Propose { chan, payload } => {
                self.refs.propose(m, &self.sessions, &mut self.brain, id, (chan, &payload));
            }
            Command::Notify { chan, signed } => {
                self.refs.notify(m, &self.sessions, &mut self.brain, id, (chan, &signed));
            }
            Command::MailboxCreate { .. }
            | Command::MailboxDelete { .. }
            | Command::MailboxPolicy { .. }
            | Command::MailboxFetch { .. }
            | Command::MailboxSend { .. }
            | Command::MailboxErase { .. } => {
                self.refs.mailbox_command(m, &self.sessions, &mut self.brain, id, command);
            }
            Command::FetchRef { key, kind } => {
                self.refs.fetch(m, &self.sessions, key, kind);
                m.out.answer(id, Answer::Done);
            }
            Command::AskNews { chan, wait } => {
                self.refs.ask_news(m, &self.sessions, &mut self.brain, id, (chan, wait));
            }
            Command::Announce { root, bytes } => {
                let announce = Message::BlockAnnounce(BlockAnnounce {
                    process: self.sessions.process().to_vec(),
                    number: 0,
                    meta: AnnounceMeta::None,
                    bytes,
                    hash: root,
                });
                self.sessions.active().for_each(|(link, _)| m.send(link, &announce));
                if m.config.multicast {
                    m.out.push(Output::Multicast { packet: announce.encode() });
                }
                m.out.answer(id, Answer::Done);
            }
            Command::Ping { address } => self.ping(id, address),
            Command::Ban { peer, seconds } => self.ban(id, peer, seconds),
            Command::Unban { peer } => self.unban(id, &peer),
            Command::Kick { peer } => {
                self.cut_off(&peer, CloseReason::Asked);
                self.out.answer(id, Answer::Done);
            }
        }
    }

    fn ping(&mut self, command: CommandId, address: PeerAddr) {
        let remote = self.sessions.iter().find(|(_, link)| link.remote == address).map(|(id, _)| id);
        let link =
            remote.or_else(|| self.dialler.link_of(&address)).filter(|id| self.sessions.is_trusted(*id));
        let until = self.now + Duration::from_millis(PING_ANSWER_MILLIS);
        if !self.pings.add(Ping { command, address, link, until }) {
            return self.out.answer(command, Answer::Pinged { answered: false });
        }
        match link {
            Some(link) => self.sessions.send_ping(moment!(self), link),
            None => self.dialler.hurry(self.now, address),
        }
    }
}

#[derive(Debug)]
struct Ping {
    command: CommandId,
    address: PeerAddr,
    /// The link whose pong is waited for; none while it is dialled.
    link: Option<LinkId>,
    until: Instant,
}

/// Pings of the owner that wait for their answer.
#[derive(Debug, Default)]
pub(super) struct Pings {
    waiting: Vec<Ping>,
}

impl Pings {
    fn add(&mut self, ping: Ping) -> bool {
        let fits = self.waiting.len() < PINGS_MAX;
        if fits {
            self.waiting.push(ping);
        }
        fits
    }

    /// An address is linked; whether somebody waits for it.
    pub(super) fn dialled(&mut self, address: &PeerAddr, link: LinkId) -> bool {
        let mut waited = false;
        for ping in self.waiting.iter_mut().filter(|ping| ping.address == *address && ping.link.is_none()) {
            ping.link = Some(link);
            waited = true;
        }
        waited
    }

    /// A pong has come.
    pub(super) fn answered(&mut self, link: LinkId, out: &mut Outbox) {
        self.end(out, true, |ping| ping.link == Some(link));
    }

    pub(super) fn dial_failed(&mut self, address: &PeerAddr, out: &mut Outbox) {
        self.end(out, false, |ping| ping.address == *address && ping.link.is_none());
    }

    pub(super) fn wake(&mut self, now: Instant, out: &mut Outbox) {
        self.end(out, false, |ping| ping.until <= now);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.iter().map(|ping| ping.until).min()
    }

    fn end(&mut self, out: &mut Outbox, answered: bool, ends: impl Fn(&Ping) -> bool) {
        for ping in self.waiting.extract_if(.., |ping| ends(ping)) {
            out.answer(ping.command, Answer::Pinged { answered });
        }
    }
}
