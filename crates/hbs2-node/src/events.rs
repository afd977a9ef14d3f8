//! What happened, for those who wait.
//!
//! The decision task writes each event once; any number of clients read on from where they were. A wait takes the
//! cursor first, then looks at the state, then waits for events after the cursor: nothing that happens in between
//! is lost. Who comes back too late is told that events were forgotten and looks at the state again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hbs2_core::Hash;
use hbs2_rpc::api::node::{EVENTS_BYTES_MAX, Event, Events, RefName};
use tokio::sync::watch;

/// Events that are kept, in count: a burst of a large download and a client that was busy for a while.
const EVENTS_KEPT_MAX: usize = 4096;

/// Bytes of notices among them, at most: some of the longest, thousands of usual ones.
const NOTICE_BYTES_KEPT_MAX: usize = 4 * 1024 * 1024;

/// Events in one answer, at most: far below what an answer may hold.
const EVENTS_READ_MAX: usize = 1024;

/// Bytes of notices in one answer after which no other event follows: with one more of the longest it is below what an
/// answer may hold.
const NOTICE_BYTES_READ: usize = EVENTS_BYTES_MAX / 4;

/// The events of a node.
#[derive(Debug)]
pub(crate) struct Hub {
    kept: Mutex<Kept>,
    /// Number of events so far: the cursor of who has seen all.
    count: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Event>,
    /// Bytes of the notices among them.
    bytes: usize,
}

impl Kept {
    fn add(&mut self, event: Event) {
        self.bytes += bytes(&event);
        self.events.push_back(event);
        while self.events.len() > EVENTS_KEPT_MAX || self.bytes > NOTICE_BYTES_KEPT_MAX {
            self.bytes -= self.events.pop_front().map_or(0, |event| bytes(&event));
        }
    }
}

/// What an event takes beyond its own size.
fn bytes(event: &Event) -> usize {
    if let Event::Notice(_, notice) = event { notice.len() } else { 0 }
}

impl Default for Hub {
    fn default() -> Self {
        Self { kept: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Hub {
    /// Notes an event and wakes whoever waits.
    pub(crate) fn note(&self, event: Event) {
        let mut kept = self.kept();
        kept.add(event);
        // Changed under the lock, so that count and list belong together.
        self.count.send_modify(|count| *count += 1);
    }

    /// The cursor of who has seen everything up to now.
    pub(crate) fn cursor(&self) -> u64 {
        *self.count.borrow()
    }

    /// The events after `cursor`.
    pub(crate) fn after(&self, cursor: u64) -> Events {
        let kept = &self.kept().events;
        let count = self.cursor();
        let first = count - kept.len() as u64;
        // A cursor of another life of the daemon may be ahead of us.
        let lost = cursor < first || cursor > count;
        let from = if lost { first } else { cursor };
        let skip = usize::try_from(from - first).expect("no more is skipped than is kept");
        let mut read = 0;
        let fits = |event: &&Event| {
            let before = read;
            read += bytes(event);
            before < NOTICE_BYTES_READ
        };
        let events: Vec<Event> =
            kept.iter().skip(skip).take(EVENTS_READ_MAX).take_while(fits).cloned().collect();
        Events { cursor: from + events.len() as u64, lost, events }
    }

    /// The last value of a reference that was noted after `cursor`.
    pub(crate) fn value_after(&self, cursor: u64, name: &RefName) -> Option<Hash> {
        let kept = &self.kept().events;
        let new = usize::try_from(self.cursor().saturating_sub(cursor)).unwrap_or(usize::MAX);
        kept.iter().rev().take(new).find_map(|event| match event {
            Event::Ref(changed, value) if changed == name => Some(*value),
            _ => None,
        })
    }

    /// Waits until there is an event after `cursor`.
    pub(crate) async fn wait(&self, cursor: u64) {
        // The sender lives as long as the hub, so this cannot fail while somebody waits.
        let _ = self.count.subscribe().wait_for(|count| *count != cursor).await;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hbs2_core::Hash;

    fn tree(number: u64) -> Event {
        Event::Tree(Hash::of(&number.to_be_bytes()))
    }

    #[test]
    fn a_reader_sees_each_event_once_and_in_order() {
        let hub = Hub::default();
        let start = hub.cursor();
        (0..3).for_each(|number| hub.note(tree(number)));
        let read = hub.after(start);
        assert_eq!((read.lost, read.events), (false, vec![tree(0), tree(1), tree(2)]));
        assert_eq!(hub.after(read.cursor).events, []);
        hub.note(tree(3));
        assert_eq!(hub.after(read.cursor).events, [tree(3)]);
    }

    #[test]
    fn a_reader_that_comes_too_late_is_told_so() {
        let hub = Hub::default();
        (0..EVENTS_KEPT_MAX as u64 + 1).for_each(|number| hub.note(tree(number)));
        let read = hub.after(0);
        assert!(read.lost);
        assert_eq!(read.events[0], tree(1));
        assert!(hub.after(u64::MAX).lost);
    }

    #[test]
    fn notices_are_kept_and_answered_within_their_bytes() {
        let hub = Hub::default();
        let chan = hbs2_core::SignPublicKey::from_bytes([1; 32]);
        for _ in 0..6 {
            hub.note(Event::Notice(chan, vec![0; 1024 * 1024].into()));
        }
        let first = hub.after(2);
        assert_eq!((first.lost, first.events.len(), first.cursor), (false, 1, 3));
        assert!(hub.after(1).lost, "four of them are kept");
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_next_event_also_when_it_came_before_the_wait() {
        let hub = Hub::default();
        let cursor = hub.cursor();
        let (waited, ()) = tokio::join!(hub.wait(cursor), async { hub.note(tree(1)) });
        assert_eq!(waited, ());
        hub.wait(cursor).await;
    }
}
