//! What refchans and mailboxes need besides their own state.

use hbs2_core::SignPublicKey;

use super::Seen;
use crate::LinkId;
use crate::brain::Brain;
use crate::moment::Moment;
use crate::session::Sessions;
use crate::wire::Message;

/// One call: the moment, who is linked, what is wanted, what has passed by.
pub(crate) struct Scene<'a, 'm> {
    pub(crate) m: &'a mut Moment<'m>,
    pub(crate) sessions: &'a Sessions,
    pub(crate) brain: &'a mut Brain,
    pub(crate) seen: &'a mut Seen,
}

impl Scene<'_, '_> {
    /// Sends a message to all peers but the one it came from.
    pub(crate) fn pass_on(&mut self, from: Option<LinkId>, message: &Message) {
        super::pass_on(self.m, self.sessions, from, message);
    }

    /// The key of a trusted peer.
    pub(crate) fn peer(&self, link: LinkId) -> Option<SignPublicKey> {
        Some(self.sessions.get(link)?.peer()?.key)
    }
}
