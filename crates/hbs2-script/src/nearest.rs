//! The name that somebody may have meant.

/// The name of `known` that is closest to `name`, when it is close enough to be a slip of the finger: letters added,
/// dropped, replaced or swapped, one and a quarter of them at most.
#[must_use]
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = name.chars().count() / 4 + 1;
    let near =
        known.into_iter().filter_map(|candidate| Some((distance(name, candidate, allowed)?, candidate)));
    near.min().map(|(_, candidate)| candidate)
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

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let known = ["repo:manifest", "repo:refs", "init", "has", "hash"];
        let check = |name, found| assert_eq!(closest(name, known), found, "{name}");
        check("repo:manifets", Some("repo:manifest"));
        check("inti", Some("init"));
        check("hsah", Some("hash"));
        check("clone", None);
        check("", None);
    }
}
