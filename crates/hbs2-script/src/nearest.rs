//! The name that somebody may have meant.

/// The name of `known` that is closest to `name`, when it is close enough to be a slip of the finger: letters added,
/// dropped, replaced or swapped, a third of the longer name at most, and one in a name of one or two letters.
#[must_use]
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().filter_map(|candidate| {
        let distance = distance(name, candidate, allowed(name, candidate))?;
        Some((distance, candidate))
    });
    near.min().map(|(_, candidate)| candidate)
}

/// How many slips may lie between two names. Beyond a third of the letters nearly every short word is near every other
/// one, and the advice is a joke.
fn allowed(a: &str, b: &str) -> usize {
    match (a.chars().count(), b.chars().count()) {
        (0, _) | (_, 0) => 0,
        // One letter instead of another is another name, not a slip.
        (1, 1) => 0,
        (1 | 2, _) => 1,
        (a, b) => (a.max(b) / 3).max(1),
    }
}

/// Letters to add, drop, replace or swap with their neighbour until one word is the other, when they are at most
/// `allowed`.
fn distance(a: &str, b: &str, allowed: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > allowed {
        return None;
    }
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    Some(above[b.len()]).filter(|distance| *distance <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, found: Option<&str>) {
        let known =
            ["repo:manifest", "repo:refs", "init", "has", "hash", "ls", "die", "status", "config", "gc", "+"];
        assert_eq!(closest(name, known), found, "{name}");
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        check("repo:manifets", Some("repo:manifest"));
        check("inti", Some("init"));
        check("hsah", Some("hash"));
        check("stauts", Some("status"));
        check("stat", Some("status"));
        check("conf", Some("config"));
        check("dei", Some("die"));
        check("lss", Some("ls"));
        check("sl", Some("ls"));
        check("l", Some("ls"));
    }

    #[test]
    fn another_word_is_no_slip() {
        for name in [
            "size",
            "clone",
            "dig-up",
            "wait",
            "sync",
            "tie-in",
            "xy",
            "-",
            "",
            "die-hard",
            "config:show:all",
        ] {
            check(name, None);
        }
    }
}
