//! Questions of the owner to single peers: how long is this block, if you have it?

use std::time::{Duration, Instant};

use hbs2_core::Hash;

use crate::outbox::Outbox;
use crate::{Answer, CommandId, LinkId, Refusal};

/// How long a peer may take to answer, in seconds. The original waits as long.
const ANSWER_SECONDS: u64 = 5;

/// Questions under way, at most.
pub(super) const QUESTIONS_MAX: usize = 256;

#[derive(Debug)]
struct Question {
    command: CommandId,
    link: LinkId,
    hash: Hash,
    until: Instant,
}

/// Questions that wait for their answer.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: Vec<Question>,
}

impl Questions {
    /// Notes a question; whether there is a place for it.
    pub(super) fn add(&mut self, now: Instant, command: CommandId, link: LinkId, hash: Hash) -> bool {
        let fits = self.waiting.len() < QUESTIONS_MAX;
        if fits {
            let until = now + Duration::from_secs(ANSWER_SECONDS);
            self.waiting.push(Question { command, link, hash, until });
        }
        fits
    }

    /// A peer has said how long a block is, or that it does not have it.
    pub(super) fn answered(&mut self, link: LinkId, hash: Hash, bytes: Option<u64>, out: &mut Outbox) {
        self.end(out, Answer::Size { bytes }, |question| question.link == link && question.hash == hash);
    }

    /// A link has ended.
    pub(super) fn down(&mut self, link: LinkId, out: &mut Outbox) {
        self.end(out, Answer::Refused(Refusal::Silent), |question| question.link == link);
    }

    pub(super) fn wake(&mut self, now: Instant, out: &mut Outbox) {
        self.end(out, Answer::Refused(Refusal::Silent), |question| question.until <= now);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.iter().map(|question| question.until).min()
    }

    fn end(&mut self, out: &mut Outbox, answer: Answer, ends: impl Fn(&Question) -> bool) {
        for question in self.waiting.extract_if(.., |question| ends(question)) {
            out.answer(question.command, answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Output};

    const SECOND: Duration = Duration::from_secs(1);

    fn hash(byte: u8) -> Hash {
        Hash::from_bytes([byte; 32])
    }

    /// The commands that are answered, and how.
    fn answers(out: &mut Outbox) -> Vec<(u64, Answer)> {
        std::iter::from_fn(|| out.poll())
            .map(|output| match output {
                Output::Event(Event::Answer { command, answer }) => (command.0, answer),
                other => panic!("not an answer: {other:?}"),
            })
            .collect()
    }

    #[test]
    fn an_answer_ends_the_questions_of_its_peer_for_its_block_only() {
        let (mut questions, mut out, now) = (Questions::default(), Outbox::default(), Instant::now());
        for (id, link, byte) in [(1, 1, 7), (2, 1, 7), (3, 1, 8), (4, 2, 7)] {
            assert!(questions.add(now, CommandId(id), LinkId(link), hash(byte)));
        }
        questions.answered(LinkId(1), hash(7), Some(42), &mut out);
        let size = Answer::Size { bytes: Some(42) };
        assert_eq!(answers(&mut out), [(1, size), (2, size)]);
        questions.answered(LinkId(1), hash(7), None, &mut out);
        assert_eq!(answers(&mut out), []);
        questions.answered(LinkId(1), hash(8), None, &mut out);
        assert_eq!(answers(&mut out), [(3, Answer::Size { bytes: None })]);
    }

    #[test]
    fn silence_and_the_end_of_the_link_are_answers_too() {
        let (mut questions, mut out, now) = (Questions::default(), Outbox::default(), Instant::now());
        assert!(questions.add(now, CommandId(1), LinkId(1), hash(7)));
        assert!(questions.add(now + SECOND, CommandId(2), LinkId(1), hash(8)));
        assert!(questions.add(now + SECOND, CommandId(3), LinkId(2), hash(8)));
        assert_eq!(questions.next(), Some(now + 5 * SECOND));
        let silent = Answer::Refused(Refusal::Silent);
        questions.wake(now + 5 * SECOND, &mut out);
        assert_eq!(answers(&mut out), [(1, silent)]);
        questions.down(LinkId(1), &mut out);
        assert_eq!(answers(&mut out), [(2, silent)]);
        questions.wake(now + 6 * SECOND, &mut out);
        assert_eq!((answers(&mut out), questions.next()), (vec![(3, silent)], None));
    }

    #[test]
    fn there_is_a_limit_of_questions_under_way() {
        let (mut questions, now) = (Questions::default(), Instant::now());
        for id in 0..QUESTIONS_MAX as u64 {
            assert!(questions.add(now, CommandId(id), LinkId(1), hash(7)));
        }
        assert!(!questions.add(now, CommandId(999), LinkId(1), hash(7)));
    }
}
