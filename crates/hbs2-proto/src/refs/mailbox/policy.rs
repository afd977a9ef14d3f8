//! Who may write into a mailbox: the owner's choice, and the policy it names.

use hbs2_core::mailbox::{Policy, PolicySetting};
use hbs2_core::{Hash, SignPublicKey, Signed};

use super::super::scene::Scene;
use super::{Fetch, Mailboxes, Task};
use crate::moment::Moment;
use crate::{Answer, CommandId, Keep, Output, Refusal, Ticket};

/// The policy of a mailbox.
#[derive(Debug)]
pub(super) enum Rules {
    /// None is set: nobody may.
    Nobody,
    /// It is being fetched or read.
    Coming,
    /// It could not be read: nobody may.
    Unreadable,
    /// This is it.
    Known(Policy),
}

impl Rules {
    pub(super) fn known(&self) -> Option<&Policy> {
        match self {
            Self::Known(policy) => Some(policy),
            Self::Nobody | Self::Coming | Self::Unreadable => None,
        }
    }
}

impl Mailboxes {
    /// The owner chooses a policy.
    pub(crate) fn post_policy(
        &mut self,
        w: &mut Scene<'_, '_>,
        command: CommandId,
        signed: Signed<PolicySetting>,
    ) {
        let key = signed.claimed_signer();
        let refusal = match (check_setting(&key, signed), self.boxes.get(&key)) {
            (None, _) => Refusal::Signature,
            (_, None) => Refusal::Unknown,
            (Some((signed, setting)), Some(mailbox)) => match mailbox.version() {
                Some(known) if setting.version <= known => Refusal::Stale { known: known.into() },
                _ => {
                    self.set_policy(w, key, (signed, setting));
                    let answer = Answer::Posted { value: setting.policy };
                    return self.save(w.m, Some((command, answer)));
                }
            },
        };
        w.m.out.answer(command, Answer::Refused(refusal));
    }

    /// Takes a choice of the owner into use; its policy is fetched if it is not here.
    pub(super) fn set_policy(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        (signed, setting): (Signed<PolicySetting>, PolicySetting),
    ) {
        let Some(mailbox) = self.boxes.get_mut(&key) else { return };
        mailbox.setting = Some((signed, setting));
        mailbox.rules = Rules::Coming;
        self.fetches.expect(setting.policy, (key, Fetch::Policy));
        w.brain.want(w.m, setting.policy, Keep::UntilDone, None);
    }

    pub(super) fn read_policy(&mut self, m: &mut Moment<'_>, key: SignPublicKey, tree: Hash) {
        let ticket = m.out.ticket();
        self.tasks.insert(ticket, (key, Task::ReadPolicy(tree)));
        m.out.push(Output::ReadPolicy { ticket, tree });
    }

    /// The driver has read a policy.
    pub(crate) fn policy_read(&mut self, w: &mut Scene<'_, '_>, ticket: Ticket, policy: Option<Policy>) {
        if let Some((key, Task::ReadPolicy(tree))) = self.tasks.remove(&ticket) {
            self.policy_known(w, key, tree, policy);
        }
    }

    /// A policy has been read, or cannot be.
    pub(super) fn policy_known(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        tree: Hash,
        policy: Option<Policy>,
    ) {
        let Some(mailbox) = self.boxes.get_mut(&key) else { return };
        let is_offer = mailbox.offered.as_ref().is_some_and(|(_, setting)| setting.policy == tree);
        if is_offer {
            let offered = mailbox.offered.take();
            if policy.is_none() {
                w.m.out.counters.values_bad += 1;
                return;
            }
            mailbox.setting = offered;
        } else if mailbox.setting.as_ref().is_none_or(|(_, setting)| setting.policy != tree) {
            return;
        }
        mailbox.rules = policy.map_or(Rules::Unreadable, Rules::Known);
        // What was refused under the old policy may be good now.
        mailbox.inquiries.forget_merged();
        let held = std::mem::take(&mut mailbox.held);
        if is_offer {
            self.save(w.m, None);
        }
        for held in held {
            self.held_bytes -= held.letter.block.len();
            self.deliver(w, key, held);
        }
        self.ask_all(w, key);
    }
}

/// A choice of the owner of `key`, if it is his and about this mailbox.
pub(super) fn check_setting(
    key: &SignPublicKey,
    signed: Signed<PolicySetting>,
) -> Option<(Signed<PolicySetting>, PolicySetting)> {
    let opened = signed.verify().ok()?;
    (opened.signer == *key && opened.value.mailbox == *key).then_some((signed, opened.value))
}
