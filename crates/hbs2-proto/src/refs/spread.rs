//! Messages and commands of refchans and mailboxes: who is heard, how often, and what is new.

use std::time::Duration;

use bytes::Bytes;
use hbs2_core::addr::Transport;
use hbs2_core::cbor::{Decode, Encode};
use hbs2_core::mailbox::Policy;
use hbs2_core::refchan::ChanNotice;
use hbs2_core::{ChanUpdate, Hash, Message as Letter, SignPublicKey, Signed};

use super::{Refs, Scene};
use crate::brain::Brain;
use crate::io::{ChanHeadStatus, MailboxInfo};
use crate::moment::Moment;
use crate::session::Sessions;
use crate::wire::{ChanHeadMessage, ChanRequest, MailboxMessage};
use crate::{Answer, Command, CommandId, Found, LinkId, Offence, PollKind, Refusal, Ticket};

/// A scene of these parts.
macro_rules! scene {
    ($refs:expr, $m:expr, $sessions:expr, $brain:expr) => {
        &mut Scene { m: $m, sessions: $sessions, brain: $brain, seen: &mut $refs.seen }
    };
}

impl Refs {
    pub(crate) fn chan_head(&self, chan: &SignPublicKey) -> Option<ChanHeadStatus> {
        self.refchans.head(chan)
    }

    pub(crate) fn mailboxes(&self) -> Vec<MailboxInfo> {
        self.mailboxes.list()
    }

    pub(crate) fn restore_mailboxes(&mut self, m: &mut Moment<'_>, record: &[u8]) {
        self.mailboxes.restore(m, record);
    }

    /// A head of a channel, or a question for it, has come.
    pub(crate) fn chan_head_message(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        link: LinkId,
        message: ChanHeadMessage,
    ) {
        match message {
            // The head of a channel that we do not follow is told if we have it, as the original does.
            ChanHeadMessage::Get(chan) => {
                if self.is_followed(m, &chan) || self.may_inquire(m, link) {
                    self.forget_idle();
                    self.refchans.head_request(m, sessions.process(), chan, link);
                }
            }
            ChanHeadMessage::Head { chan, root } => {
                let from = sessions.get(link);
                let in_order =
                    from.is_some_and(|from| from.native && from.remote.transport == Transport::Tcp);
                self.refchans.head_told(&chan, link, in_order);
                let news = self.is_followed(m, &chan) && self.refchans.is_head_news(&chan, &root);
                if news && self.may_inquire(m, link) {
                    self.refchans.head_offered(scene!(self, m, sessions, brain), chan, root, link);
                }
            }
        }
    }

    /// An update of a channel has come as gossip.
    pub(crate) fn chan_update(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        link: LinkId,
        update: ChanUpdate,
    ) {
        let id = update.id();
        m.conduct.passes(m.now, link, id);
        if !self.polls.contains(update.chan(), PollKind::Refchan)
            || self.seen.contains(&id)
            || self.refchans.contains(update.chan(), &id)
            || !self.may_check(m, link)
        {
            return;
        }
        self.seen.note(id);
        match update.verify() {
            Ok(verified) => {
                let w = scene!(self, m, sessions, brain);
                if self.refchans.update(w, update, verified, Some(link), None) {
                    self.was_useful(link);
                }
            }
            Err(_) => {
                m.out.counters.updates_bad += 1;
                m.offend(link, Offence::BadSignature);
            }
        }
    }

    /// A log of a channel, or a question for it, has come.
    pub(crate) fn chan_request(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        link: LinkId,
        message: ChanRequest,
    ) {
        match message {
            ChanRequest::Request(chan) if self.polls.contains(&chan, PollKind::Refchan) => {
                self.refchans.request(m, chan, link);
            }
            ChanRequest::Request(_) => {}
            ChanRequest::Response { chan, root } => {
                let peer = sessions.get(link).and_then(|link| link.peer()).map(|peer| peer.key);
                let news = peer.is_some_and(|peer| self.refchans.is_news(&chan, &root, &peer));
                if news && self.is_followed(m, &chan) && self.may_inquire(m, link) {
                    self.refchans.response(scene!(self, m, sessions, brain), chan, root, link);
                }
                self.refchans.log_told(&chan, link);
            }
        }
    }

    /// A notice of a channel has come as gossip. What it asks of a peer is for local programs to ask.
    pub(crate) fn chan_notice(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        link: LinkId,
        notice: ChanNotice,
    ) {
        let id = Hash::of(&notice.to_bytes());
        let ChanNotice::Notify { chan, signed } = notice else { return };
        m.conduct.passes(m.now, link, id);
        if self.polls.contains(&chan, PollKind::Refchan)
            && !self.seen.contains(&id)
            && self.may_check(m, link)
        {
            self.seen.note(id);
            self.refchans.notice(scene!(self, m, sessions, brain), chan, signed, Some(link), None);
        }
    }

    /// Asks all peers for a channel, and answers when those that the head names have told what they have.
    pub(crate) fn ask_news(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        command: CommandId,
        (chan, wait): (SignPublicKey, Duration),
    ) {
        self.fetch(m, sessions, chan, PollKind::Refchan);
        self.refchans.await_news(scene!(self, m, sessions, brain), chan, wait, command);
    }

    /// The owner publishes a head.
    pub(crate) fn post_chan_head(&mut self, m: &mut Moment<'_>, command: CommandId, root: Hash) {
        self.forget_idle();
        self.refchans.post_head(m, command, root);
    }

    /// The owner proposes.
    pub(crate) fn propose(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        command: CommandId,
        (chan, payload): (SignPublicKey, &Bytes),
    ) {
        match Signed::from_bytes(payload) {
            Ok(payload) => {
                self.forget_idle();
                self.refchans.propose(scene!(self, m, sessions, brain), chan, payload, command);
            }
            Err(_) => m.out.answer(command, Answer::Refused(Refusal::Malformed)),
        }
    }

    /// The owner notifies.
    pub(crate) fn notify(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        command: CommandId,
        (chan, signed): (SignPublicKey, &Bytes),
    ) {
        let Ok(signed) = Signed::from_bytes(signed) else {
            return m.out.answer(command, Answer::Refused(Refusal::Malformed));
        };
        let notice = ChanNotice::Notify { chan, signed };
        self.seen.note(Hash::of(&notice.to_bytes()));
        let ChanNotice::Notify { signed, .. } = notice else { return };
        self.refchans.notice(scene!(self, m, sessions, brain), chan, signed, None, Some(command));
    }

    /// A message about mailboxes has come.
    pub(crate) fn mailbox(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        link: LinkId,
        message: MailboxMessage,
    ) {
        let id = Hash::of(&message.to_bytes());
        let passes_once = matches!(message, MailboxMessage::Send(_) | MailboxMessage::Delete(_));
        if passes_once {
            m.conduct.passes(m.now, link, id);
        }
        if (passes_once && self.seen.contains(&id)) || !self.may_check(m, link) {
            return;
        }
        if passes_once {
            self.seen.note(id);
        }
        let w = scene!(self, m, sessions, brain);
        match message {
            MailboxMessage::Send(letter) => match letter.verify() {
                Ok(opened) => self.mailboxes.letter(w, letter, opened, Some(link), None),
                Err(_) => {
                    w.m.out.counters.letters_bad += 1;
                    w.m.offend(link, Offence::BadSignature);
                }
            },
            MailboxMessage::Delete(signed) => self.mailboxes.deletion(w, signed, Some(link), None),
            MailboxMessage::Check { mailbox, .. } => self.mailboxes.checked(w.m, link, mailbox),
            MailboxMessage::Status(signed) => self.mailboxes.status(w, &signed, link),
        }
    }

    /// The owner asks something of mailboxes.
    pub(crate) fn mailbox_command(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        id: CommandId,
        command: Command,
    ) {
        let w = scene!(self, m, sessions, brain);
        let malformed = Answer::Refused(Refusal::Malformed);
        match command {
            Command::MailboxCreate { key, kind } => self.mailboxes.create(w, id, key, kind),
            Command::MailboxDelete { key } => self.mailboxes.delete(w.m, id, &key),
            Command::MailboxFetch { key } => self.mailboxes.fetch(w, id, key),
            Command::MailboxPolicy { signed } => match Signed::from_bytes(&signed) {
                Ok(signed) => self.mailboxes.post_policy(w, id, signed),
                Err(_) => w.m.out.answer(id, malformed),
            },
            Command::MailboxSend { message } => match Letter::from_bytes(&message) {
                Ok(letter) => match letter.verify() {
                    Ok(opened) => {
                        w.seen.note(Hash::of(&MailboxMessage::Send(letter.clone()).to_bytes()));
                        self.mailboxes.letter(w, letter, opened, None, Some(id));
                    }
                    Err(_) => w.m.out.answer(id, Answer::Refused(Refusal::Signature)),
                },
                Err(_) => w.m.out.answer(id, malformed),
            },
            Command::MailboxErase { signed } => match Signed::from_bytes(&signed) {
                Ok(signed) => {
                    let message = MailboxMessage::Delete(signed);
                    w.seen.note(Hash::of(&message.to_bytes()));
                    let MailboxMessage::Delete(signed) = message else { return };
                    self.mailboxes.deletion(w, signed, None, Some(id));
                }
                Err(_) => w.m.out.answer(id, malformed),
            },
            other => unreachable!("{other:?} is not about mailboxes"),
        }
    }

    /// The driver has examined blocks.
    pub(crate) fn blocks_examined(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        ticket: Ticket,
        mut blocks: Vec<(Hash, Found)>,
    ) {
        let w = scene!(self, m, sessions, brain);
        if !self.refchans.found(w, ticket, &mut blocks) {
            self.mailboxes.found(w, ticket, &mut blocks);
        }
    }

    /// The driver has read the content of a tree.
    pub(crate) fn content_read(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        ticket: Ticket,
        read: Option<(Hash, u64, Bytes)>,
    ) {
        self.refchans.content_read(scene!(self, m, sessions, brain), ticket, read);
    }

    /// The driver has read a policy.
    pub(crate) fn policy_read(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        ticket: Ticket,
        policy: Option<Policy>,
    ) {
        self.mailboxes.policy_read(scene!(self, m, sessions, brain), ticket, policy);
    }

    /// The driver has a verdict about a proposal.
    pub(crate) fn validated(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        ticket: Ticket,
        accepted: bool,
    ) {
        self.refchans.validated(scene!(self, m, sessions, brain), ticket, accepted);
    }

    /// Whether what peers tell about a channel is heard: it is polled, or was asked for a moment ago.
    fn is_followed(&self, m: &Moment<'_>, chan: &SignPublicKey) -> bool {
        self.polls.contains(chan, PollKind::Refchan) || self.refchans.is_welcome(m.now, chan)
    }
}
