//! What happened, for those who wait.
//!
//! The decision task writes each event once; any number of clients read on from where they were. A wait takes the
//! cursor first, then looks at the state, then waits for events after the cursor: nothing that happens in between
//! is lost. Who comes back too late is told that events were forgotten and looks at the state again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hbs2_core::Hash;
use hbs2_rpc::api::node::{Event, Events, RefName};
use tokio::sync::watch;

/// Events that are kept, in count: a burst of a large download and a client that was busy for a while.
const EVENTS_KEPT_MAX: usize = 4096;

/// Events in one answer, at most: far below what an answer may hold.
const EVENTS_READ_MAX: usize = 1024;

/// The events of a node.
#[derive(Debug)]
pub(crate) struct Hub {
    kept: Mutex<VecDeque<Event>>,
    /// Number of events so far: the cursor of who has seen all.
    count: watch::Sender<u64>,
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
        if kept.len() == EVENTS_KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(event);
        // Changed under the lock, so that count and list belong together.
        self.count.send_modify(|count| *count += 1);
    }

    /// The cursor of who has seen everything up to now.
    pub(crate) fn cursor(&self) -> u64 {
        *self.count.borrow()
    }

    /// The events after `cursor`.
    pub(crate) fn after(&self, cursor: u64) -> Events {
        let kept = self.kept();
        let count = self.cursor();
        let first = count - kept.len() as u64;
        // A cursor of another life of the daemon may be ahead of us.
        let lost = cursor < first || cursor > count;
        let from = if lost { first } else { cursor };
        let skip = usize::try_from(from - first).expect("no more is skipped than is kept");
        let events: Vec<Event> = kept.iter().skip(skip).take(EVENTS_READ_MAX).cloned().collect();
        Events { cursor: from + events.len() as u64, lost, events }
    }

    /// The last value of a reference that was noted after `cursor`.
    pub(crate) fn value_after(&self, cursor: u64, name: &RefName) -> Option<Hash> {
        let kept = self.kept();
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

    fn kept(&self) -> MutexGuard<'_, VecDeque<Event>> {
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

    #[tokio::test]
    async fn a_wait_ends_with_the_next_event_also_when_it_came_before_the_wait() {
        let hub = Hub::default();
        let cursor = hub.cursor();
        let (waited, ()) = tokio::join!(hub.wait(cursor), async { hub.note(tree(1)) });
        assert_eq!(waited, ());
        hub.wait(cursor).await;
    }
}
