//! What is watched: references, and the code that runs when they change (spec: cli 9.3).
//!
//! The program registers wishes; those of one run replace those of the run before. A wish that is written as before
//! keeps what it has seen and what its code has registered, so that a changed file does not make everything run again.
//! Code that runs registers rules of its own below its rule: they go when it goes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hbs2_core::{Hash, SignPublicKey};
use hbs2_script::Datum;

/// Equal events within this time are one.
const SAME_EVENT: Duration = Duration::from_secs(10);

/// A reference of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// The last writer wins.
    Lwwref(SignPublicKey),
    /// A log.
    Reflog(SignPublicKey),
}

/// When code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The value differs from the last one that was seen, the first one included. It is read every so often.
    Watch(Duration),
    /// The peer tells of a change.
    Listen,
}

/// What the program asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// When.
    pub when: When,
    /// Of which reference.
    pub reference: Reference,
    /// What runs then.
    pub code: Vec<Datum>,
    /// The form as it is written: equal ones are one wish.
    pub text: String,
}

/// Names a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(u64);

/// A wish that is followed.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub id: RuleId,
    /// What it is.
    pub wish: Wish,
    parent: Option<RuleId>,
    seen: Option<Hash>,
    due: Option<Instant>,
    heard: Option<(Hash, Instant)>,
}

/// All rules in force.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    next_id: u64,
}

impl Rules {
    /// The rule with this name.
    #[must_use]
    pub fn get(&self, id: RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// All references that rules are about.
    #[must_use]
    pub fn references(&self) -> BTreeSet<Reference> {
        self.rules.iter().map(|rule| rule.wish.reference).collect()
    }

    /// When code runs for this reference, rule by rule.
    pub fn periods(&self, reference: Reference) -> impl Iterator<Item = When> {
        self.rules.iter().filter(move |rule| rule.wish.reference == reference).map(|rule| rule.wish.when)
    }

    /// Replaces what is registered below `parent`: the top of the program, or the code of a rule. Values of new wishes
    /// are due now.
    pub fn replace(&mut self, parent: Option<RuleId>, wishes: Vec<Wish>, now: Instant) {
        let mut kept = BTreeSet::new();
        for wish in wishes {
            let same = self.rules.iter_mut().find(|rule| {
                rule.parent == parent && rule.wish.reference == wish.reference && rule.wish.text == wish.text
            });
            let id = match same {
                // Names in its code may mean something else now.
                Some(rule) => {
                    rule.wish = wish;
                    rule.id
                }
                None => {
                    let id = RuleId(self.next_id);
                    self.next_id += 1;
                    let due = matches!(wish.when, When::Watch(_)).then_some(now);
                    self.rules.push(Rule { id, wish, parent, seen: None, due, heard: None });
                    id
                }
            };
            kept.insert(id);
        }
        let gone: Vec<RuleId> = self
            .rules
            .iter()
            .filter(|rule| rule.parent == parent && !kept.contains(&rule.id))
            .map(|rule| rule.id)
            .collect();
        for id in gone {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: RuleId) {
        self.rules.retain(|rule| rule.id != id);
        while let Some(child) = self.rules.iter().find(|rule| rule.parent == Some(id)).map(|rule| rule.id) {
            self.remove(child);
        }
    }

    /// When the next value is to be read.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.rules.iter().filter_map(|rule| rule.due).min()
    }

    /// Rules whose values are to be read now, in the order in which they were registered.
    #[must_use]
    pub fn due(&self, now: Instant) -> Vec<RuleId> {
        let due = self.rules.iter().filter(|rule| rule.due.is_some_and(|due| due <= now));
        due.map(|rule| rule.id).collect()
    }

    /// The value of a watched reference has been read. Whether its code runs.
    pub fn read(&mut self, id: RuleId, value: Option<Hash>, now: Instant) -> bool {
        let Some(rule) = self.rules.iter_mut().find(|rule| rule.id == id) else { return false };
        if let When::Watch(period) = rule.wish.when {
            rule.due = Some(now + period);
        }
        let news = value.is_some() && value != rule.seen;
        rule.seen = value.or(rule.seen);
        news
    }

    /// The code of a rule could not do its work: it runs again when the value is read next.
    pub fn unsee(&mut self, id: RuleId) {
        if let Some(rule) = self.rules.iter_mut().find(|rule| rule.id == id) {
            rule.seen = None;
        }
    }

    /// The peer tells a new value. Watched ones are read now; the rules whose code runs are returned.
    pub fn changed(&mut self, reference: Reference, value: Hash, now: Instant) -> Vec<RuleId> {
        let mut heard = Vec::new();
        for rule in self.rules.iter_mut().filter(|rule| rule.wish.reference == reference) {
            if matches!(rule.wish.when, When::Watch(_)) {
                rule.due = Some(now);
                continue;
            }
            let is_same =
                rule.heard.is_some_and(|(last, at)| last == value && now.duration_since(at) < SAME_EVENT);
            rule.heard = Some((value, now));
            if !is_same {
                heard.push(rule.id);
            }
        }
        heard
    }

    /// The peer may have told something that was not heard: all watched values are read now.
    pub fn missed_events(&mut self, now: Instant) {
        for rule in self.rules.iter_mut().filter(|rule| rule.due.is_some()) {
            rule.due = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use hbs2_core::SignSecretKey;

    use super::*;

    fn reference(byte: u8) -> Reference {
        Reference::Reflog(SignSecretKey::from_seed(&[byte; 32]).public())
    }

    fn watch(byte: u8, text: &str) -> Wish {
        let when = When::Watch(Duration::from_secs(60));
        Wish { when, reference: reference(byte), code: Vec::new(), text: text.to_owned() }
    }

    fn listen(byte: u8) -> Wish {
        Wish { when: When::Listen, ..watch(byte, "listen") }
    }

    fn value(byte: u8) -> Option<Hash> {
        Some(Hash::from_bytes([byte; 32]))
    }

    fn texts(rules: &Rules) -> Vec<&str> {
        rules.rules.iter().map(|rule| &*rule.wish.text).collect()
    }

    #[test]
    fn the_first_value_runs_the_code_and_then_each_other_one() {
        let now = Instant::now();
        let mut rules = Rules::default();
        rules.replace(None, vec![watch(1, "a")], now);
        let [id] = rules.due(now)[..] else { panic!("the value is due") };
        assert!(!rules.read(id, None, now), "there is no value yet");
        assert!(rules.due(now).is_empty());
        assert_eq!(rules.next(), Some(now + Duration::from_secs(60)));
        assert!(rules.read(id, value(1), now) && !rules.read(id, value(1), now));
        assert!(rules.read(id, value(2), now));
        rules.unsee(id);
        assert!(rules.read(id, value(2), now), "it runs again");
    }

    #[test]
    fn what_is_written_as_before_keeps_its_value_and_its_children() {
        let now = Instant::now();
        let mut rules = Rules::default();
        rules.replace(None, vec![watch(1, "a"), watch(1, "b")], now);
        let [a, b] = rules.due(now)[..] else { panic!("both are due") };
        rules.read(a, value(1), now);
        rules.replace(Some(a), vec![watch(2, "child")], now);
        rules.replace(Some(b), vec![watch(2, "lost")], now);
        rules.replace(None, vec![watch(1, "a"), watch(3, "new")], now);
        assert_eq!(texts(&rules), ["a", "child", "new"]);
        assert!(!rules.read(a, value(1), now), "its value is known");
        assert_eq!(rules.references().len(), 3);
    }

    #[test]
    fn an_event_reads_watched_values_and_equal_ones_are_heard_once() {
        let now = Instant::now();
        let mut rules = Rules::default();
        rules.replace(None, vec![watch(1, "a"), listen(1), listen(2)], now);
        let [a] = rules.due(now)[..] else { panic!("one value is read") };
        rules.read(a, value(1), now);
        let hash = value(2).unwrap();
        assert_eq!(rules.changed(reference(1), hash, now).len(), 1);
        assert_eq!(rules.due(now), [a]);
        assert!(rules.changed(reference(1), hash, now + Duration::from_secs(9)).is_empty());
        assert_eq!(rules.changed(reference(1), hash, now + Duration::from_secs(20)).len(), 1);
        assert!(rules.changed(reference(9), hash, now).is_empty());
    }

    #[test]
    fn one_wish_written_twice_is_one_rule() {
        let now = Instant::now();
        let mut rules = Rules::default();
        rules.replace(None, vec![watch(1, "a"), watch(1, "a"), watch(2, "a")], now);
        assert_eq!(texts(&rules), ["a", "a"]);
    }
}
