//! Cutting off whoever is banned, by the owner or for what it did.

use hbs2_core::SignPublicKey;

use super::Node;
use crate::conduct::OWNER_BANS_MAX;
use crate::io::BANS_RECORD;
use crate::session::Turn;
use crate::{Answer, CloseReason, CommandId, Commit, Event, LinkId, Output, Refusal};

impl Node {
    /// The owner bans a peer.
    pub(super) fn ban(&mut self, command: CommandId, peer: SignPublicKey, seconds: Option<u64>) {
        let unix_seconds = self.unix_seconds();
        let until = match (seconds, unix_seconds) {
            (None, _) => None,
            (Some(seconds), Some(now)) => Some(now.saturating_add(seconds)),
            (Some(_), None) => return self.out.answer(command, Answer::Refused(Refusal::NoClock)),
        };
        if !self.conduct.owner.add(unix_seconds, peer, until) {
            let full = Refusal::Full { entries: OWNER_BANS_MAX };
            return self.out.answer(command, Answer::Refused(full));
        }
        self.save_bans(command);
        self.cut_off(&peer, CloseReason::Banned);
    }

    /// The owner lifts a ban.
    pub(super) fn unban(&mut self, command: CommandId, peer: &SignPublicKey) {
        let of_owner = self.conduct.owner.remove(peer);
        let of_conduct = self.conduct.pardon(self.now, peer);
        match (of_owner, of_conduct) {
            (true, _) => self.save_bans(command),
            (false, true) => self.out.answer(command, Answer::Done),
            (false, false) => self.out.answer(command, Answer::Refused(Refusal::NotBanned)),
        }
    }

    fn save_bans(&mut self, command: CommandId) {
        let ticket = self.out.ticket();
        self.bans_saving.insert(ticket, command);
        let commit =
            Commit { records: vec![(BANS_RECORD, self.conduct.owner.to_record())], ..Commit::default() };
        self.out.push(Output::Commit { ticket, commit });
    }

    /// Whether a peer is banned by the owner or for what it did.
    pub(super) fn is_banned(&self, peer: &SignPublicKey) -> bool {
        self.conduct.is_banned(self.now, self.unix_seconds(), peer)
    }

    /// Ends the links of those who have just done too much.
    pub(super) fn judge(&mut self) {
        for (peer, offence, span) in self.conduct.take_sentenced() {
            self.out.counters.bans += 1;
            self.out.event(Event::Banned { peer, offence, seconds: span.as_secs() });
            self.cut_off(&peer, CloseReason::Misconduct(offence));
        }
        for (link, offence) in self.conduct.take_expelled() {
            self.out.counters.strangers_expelled += 1;
            self.close(link, CloseReason::Misconduct(offence));
        }
    }

    pub(super) fn cut_off(&mut self, peer: &SignPublicKey, reason: CloseReason) {
        for link in self.sessions.of_peer(peer) {
            self.close(link, reason);
        }
    }

    fn close(&mut self, link: LinkId, reason: CloseReason) {
        if self.sessions.get(link).is_some() {
            self.turn(link, Turn::Close(reason));
        }
    }
}
