//! Moments at which something is due, one for each key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A set of timers. Setting, clearing and firing cost the logarithm of how many there are.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    due: BTreeSet<(Instant, K)>,
    keys: BTreeMap<K, Instant>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), keys: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets the timer of `key`, in place of an earlier one.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        if let Some(old) = self.keys.insert(key, at) {
            self.due.remove(&(old, key));
        }
        self.due.insert((at, key));
    }

    /// Sets the timer of `key` unless it is due earlier already.
    pub(crate) fn set_earlier(&mut self, key: K, at: Instant) {
        if self.keys.get(&key).is_none_or(|old| at < *old) {
            self.set(key, at);
        }
    }

    /// Forgets the timer of `key`.
    pub(crate) fn clear(&mut self, key: &K) {
        if let Some(at) = self.keys.remove(key) {
            self.due.remove(&(at, *key));
        }
    }

    /// Takes one key that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.clear(&key);
        Some(key)
    }

    /// All keys with a timer, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.keys.keys()
    }

    /// When the next key is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_fires_once_at_its_latest_setting() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::default();
        timers.set('a', after(1));
        timers.set('b', after(2));
        timers.set('a', after(3));
        timers.set_earlier('b', after(9));
        assert_eq!(timers.next(), Some(after(2)));
        assert_eq!(timers.pop_due(after(1)), None);
        assert_eq!(timers.pop_due(after(5)), Some('b'));
        assert_eq!(timers.pop_due(after(5)), Some('a'));
        assert_eq!((timers.pop_due(after(5)), timers.next()), (None, None));
    }
}
