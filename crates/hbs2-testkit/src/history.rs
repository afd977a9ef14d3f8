//! A git history that looks like a real project: for benches and for tests that need much data.
//!
//! The history is a stream for `git fast-import`, the same bytes for the same numbers on every machine. Text
//! files of many directories grow by small edits, files come, move and go, some binary files change now and
//! then, branches are merged and releases tagged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use crate::Random;

/// What the history is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Commits on all branches together.
    pub commits: u32,
    /// Files at the start.
    pub files: u32,
    /// Makes another history of the same kind.
    pub seed: u64,
}

impl History {
    /// A small project: a second to make, some hundred kilobytes packed.
    pub const SMALL: Self = Self { commits: 300, files: 60, seed: 1 };

    /// The project of the speed goals: over 5,000 commits and over 40 MB when git has packed it well.
    pub const LARGE: Self = Self { commits: 8000, files: 700, seed: 1 };

    /// Writes the stream for `git fast-import`. The branch is `refs/heads/master`; releases are tagged, every
    /// second one with an annotated tag.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut project = Project::new(self.seed);
        let mut stream = Stream { out, mark: 0, time: 1_500_000_000 };
        for _ in 0..self.files {
            project.add_text();
        }
        let mut master = stream.commit(&mut project, "master", "start the project", &[])?;
        let (mut side, mut touched): (Option<(u64, u32)>, BTreeSet<String>) = (None, BTreeSet::new());
        for number in 1..self.commits {
            let message = project.sentence(6);
            project.change(number);
            match &mut side {
                Some((tip, left)) if *left > 0 => {
                    *left -= 1;
                    touched.extend(project.changes.iter().cloned());
                    *tip = stream.commit(&mut project, "side", &message, &[*tip])?;
                }
                Some((tip, _)) => {
                    // Master waited while the side branch grew, so the merge takes over all that was touched.
                    project.changes.append(&mut touched);
                    master =
                        stream.commit(&mut project, "master", "merge the side branch", &[master, *tip])?;
                    side = None;
                }
                None => {
                    master = stream.commit(&mut project, "master", &message, &[master])?;
                    if number % SIDE_EVERY_COMMITS == 0 {
                        side = Some((master, SIDE_COMMITS));
                    }
                    if number % RELEASE_EVERY_COMMITS == RELEASE_EVERY_COMMITS - 1 {
                        stream.tag(number / RELEASE_EVERY_COMMITS, master)?;
                    }
                }
            }
        }
        writeln!(stream.out, "done")
    }
}

/// How often a side branch begins, and how many commits it has.
const SIDE_EVERY_COMMITS: u32 = 41;
const SIDE_COMMITS: u32 = 7;

/// How often a release is tagged.
const RELEASE_EVERY_COMMITS: u32 = 397;

/// Words of the project's vocabulary.
const WORDS: usize = 4000;

/// The working tree, and what changed since the last commit.
struct Project {
    random: Random,
    words: Vec<String>,
    texts: BTreeMap<String, Vec<String>>,
    binaries: BTreeMap<String, Vec<u8>>,
    /// Paths that are not as they were. A file that is not there any more was deleted.
    changes: BTreeSet<String>,
    created: u32,
}

impl Project {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let words = (0..WORDS).map(|_| word(&mut random)).collect();
        let (texts, binaries) = (BTreeMap::new(), BTreeMap::new());
        Self { random, words, texts, binaries, changes: BTreeSet::new(), created: 0 }
    }

    /// The work of one commit.
    fn change(&mut self, number: u32) {
        for _ in 0..1 + self.random.below(5) {
            self.edit();
        }
        if self.random.below(4) == 0 {
            self.add_text();
        }
        if self.random.below(60) == 0 {
            self.rename();
        }
        if self.random.below(30) == 0 {
            self.delete();
        }
        if number.is_multiple_of(50) {
            self.write_binary();
        }
    }

    fn add_text(&mut self) {
        self.created += 1;
        let area = self.random.below(12);
        let dir = self.random.below(6);
        let word = self.pick_word();
        let ending = ["rs", "rs", "rs", "c", "h", "py", "md"][self.random.below(7)];
        let path = format!("src/area{area}/part{dir}/{word}_{}.{ending}", self.created);
        let lines = 40 + self.random.below(60) * (1 + self.random.below(12));
        let text = (0..lines).map(|_| self.line()).collect();
        self.texts.insert(path.clone(), text);
        self.changes.insert(path);
    }

    /// A few hunks in one file; some files are edited far more often than others.
    fn edit(&mut self) {
        let Some(path) = self.pick_text() else { return };
        for _ in 0..1 + self.random.below(3) {
            let new: Vec<String> = (0..1 + self.random.below(12)).map(|_| self.line()).collect();
            let text = self.texts.get_mut(&path).expect("a file that was picked");
            let at = self.random.below(text.len().max(1));
            let gone = self.random.below(8).min(text.len() - at.min(text.len()));
            text.splice(at..at + gone, new);
        }
        self.changes.insert(path);
    }

    fn rename(&mut self) {
        let Some(path) = self.pick_text() else { return };
        let Some(text) = self.texts.remove(&path) else { return };
        let new = path.replacen("part", "moved", 1) + ".old";
        self.texts.insert(new.clone(), text);
        self.changes.extend([path, new]);
    }

    fn delete(&mut self) {
        if self.texts.len() > 20
            && let Some(path) = self.pick_text()
        {
            self.texts.remove(&path);
            self.changes.insert(path);
        }
    }

    /// A new image, or a new version of one: half of its bytes stay.
    fn write_binary(&mut self) {
        let name = format!("assets/image{}.bin", self.random.below(60));
        let size = 20_000 + self.random.below(160_000);
        let fresh: Vec<u8> = (0..size).map(|_| self.random.number() as u8).collect();
        let old = self.binaries.remove(&name).unwrap_or_default();
        let kept = old.len() / 2;
        self.binaries.insert(name.clone(), [&old[..kept], &fresh[kept.min(size)..]].concat());
        self.changes.insert(name);
    }

    fn pick_text(&mut self) -> Option<String> {
        let count = self.texts.len();
        // The smaller of two picks: the first names in the list are the busy files.
        let pick = self.random.below(count.max(1)).min(self.random.below(count.max(1)));
        self.texts.keys().nth(pick).cloned()
    }

    fn pick_word(&mut self) -> String {
        // The smallest of three: few words are used often, many seldom.
        let pick = (0..3).map(|_| self.random.below(WORDS)).min().unwrap_or(0);
        self.words[pick].clone()
    }

    fn sentence(&mut self, words: usize) -> String {
        (0..words).map(|_| self.pick_word()).collect::<Vec<_>>().join(" ")
    }

    /// A line that looks like code.
    fn line(&mut self) -> String {
        let indent = "    ".repeat(self.random.below(4));
        let (a, b, c) = (self.pick_word(), self.pick_word(), self.pick_word());
        let number = self.random.below(10_000);
        match self.random.below(9) {
            0 => String::new(),
            1 => format!("{indent}}}"),
            2 => format!("{indent}let {a} = {b}.{c}({number});"),
            3 => format!("{indent}if {a}.{b}() == {number} {{"),
            4 => format!("{indent}// {}", self.sentence(8)),
            5 => format!("{indent}return {a}({b}, {c})?;"),
            6 => format!("{indent}self.{a}.{b}({c}, &{a}_{b}, {number});"),
            7 => format!("{indent}pub fn {a}_{b}(&mut self, {c}: &{a}) -> Result<{b}> {{"),
            _ => format!("{indent}{a}: {b}, {c}_{number}: \"{}\",", self.sentence(3)),
        }
    }
}

/// The stream for `git fast-import`.
struct Stream<'a, W> {
    out: &'a mut W,
    mark: u64,
    time: u64,
}

impl<W: Write> Stream<'_, W> {
    /// Writes a commit with the project's changes; gives its mark.
    fn commit(
        &mut self,
        project: &mut Project,
        branch: &str,
        message: &str,
        parents: &[u64],
    ) -> io::Result<u64> {
        self.mark += 1;
        self.time += 600 + project.random.below(7200) as u64;
        let who = ["Alice", "Bob", "Carol", "Dave"][project.random.below(4)];
        writeln!(self.out, "commit refs/heads/{branch}\nmark :{}", self.mark)?;
        for role in ["author", "committer"] {
            writeln!(self.out, "{role} {who} <{}@example.com> {} +0100", who.to_lowercase(), self.time)?;
        }
        self.data(message.as_bytes())?;
        for (number, parent) in parents.iter().enumerate() {
            writeln!(self.out, "{} :{parent}", if number == 0 { "from" } else { "merge" })?;
        }
        for change in std::mem::take(&mut project.changes) {
            self.change(project, &change)?;
        }
        writeln!(self.out)?;
        Ok(self.mark)
    }

    fn change(&mut self, project: &Project, path: &str) -> io::Result<()> {
        let text = project.texts.get(path).map(|lines| (lines.join("\n") + "\n").into_bytes());
        match text.or_else(|| project.binaries.get(path).cloned()) {
            Some(content) => {
                writeln!(self.out, "M 100644 inline {path}")?;
                self.data(&content)
            }
            None => writeln!(self.out, "D {path}"),
        }
    }

    fn tag(&mut self, number: u32, commit: u64) -> io::Result<()> {
        if number.is_multiple_of(2) {
            return writeln!(self.out, "reset refs/tags/v0.{number}\nfrom :{commit}\n");
        }
        writeln!(self.out, "tag v0.{number}\nfrom :{commit}")?;
        writeln!(self.out, "tagger Alice <alice@example.com> {} +0100", self.time)?;
        self.data(format!("release 0.{number}\n").as_bytes())
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        writeln!(self.out, "data {}", bytes.len())?;
        self.out.write_all(bytes)?;
        writeln!(self.out)
    }
}

/// A word of two to four syllables.
fn word(random: &mut Random) -> String {
    let consonants = b"bcdfghjklmnprstvwz";
    let vowels = b"aeiou";
    let syllable = |random: &mut Random| {
        let consonant = consonants[random.below(consonants.len())];
        [char::from(consonant), char::from(vowels[random.below(vowels.len())])]
    };
    (0..2 + random.below(3)).flat_map(|_| syllable(random)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_make_the_same_history() {
        let write = |history: History| {
            let mut out = Vec::new();
            history.write(&mut out).unwrap();
            out
        };
        let history = History { commits: 60, files: 10, seed: 7 };
        assert_eq!(write(history), write(history));
        assert_ne!(write(history), write(History { seed: 8, ..history }));
    }
}
