//! Which program the binary is: the name it was called by, or the first word after `hbs2`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A program behind one or more names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `hbs2`: storage and keys.
    Hbs2,
    /// `hbs2-peer`: the daemon and its client commands.
    Peer,
    /// `hbs2-keyman`: the index of key files.
    Keyman,
    /// `hbs2-cli`: scripts.
    Cli,
    /// `hbs2-fixer`: runs code when references change.
    Fixer,
    /// `hbs2-sync`: folders.
    Sync,
    /// `hbs2-git3`: repositories.
    Git3,
    /// `git-remote-hbs23`: what git calls for `hbs23://` addresses.
    RemoteHelper,
    /// `hbs2-git-subscribe`: keep and spread a repository.
    GitSubscribe,
}

/// Every name a link to the binary may have, with the program it becomes.
pub const LINKS: &[(&str, Program)] = &[
    ("hbs2", Program::Hbs2),
    ("hbs2-peer", Program::Peer),
    ("hbs2-keyman", Program::Keyman),
    ("hbs2-cli", Program::Cli),
    ("hbs2-fixer", Program::Fixer),
    ("hbs2-sync", Program::Sync),
    ("hbs2-git3", Program::Git3),
    ("hbs2-git", Program::Git3),
    ("git-hbs2", Program::Git3),
    ("git-remote-hbs23", Program::RemoteHelper),
    ("git-remote-hbs2", Program::RemoteHelper),
    ("git-remote-hbs21", Program::RemoteHelper),
    ("hbs2-git-subscribe", Program::GitSubscribe),
];

/// Short forms, understood only as the first word after `hbs2`.
const WORDS: &[(&str, Program)] = &[
    ("peer", Program::Peer),
    ("keyman", Program::Keyman),
    ("cli", Program::Cli),
    ("fixer", Program::Fixer),
    ("sync", Program::Sync),
    ("git3", Program::Git3),
    ("git", Program::Git3),
];

/// One call of the binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What to become.
    pub program: Program,
    /// The name to show in messages and help, such as `hbs2-peer`.
    pub shown: &'static str,
    /// The words after the name.
    pub words: Vec<OsString>,
}

/// Reads the call from all arguments, the first of which is the name the binary was called by. An unknown
/// name, such as that of a renamed binary, is `hbs2`.
#[must_use]
pub fn call(args: &[OsString]) -> Call {
    let (name, words) = args.split_first().map_or((OsStr::new("hbs2"), &[][..]), |(n, w)| (n.as_os_str(), w));
    let name = Path::new(name).file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let (shown, program) = LINKS.iter().find(|(link, _)| *link == name).unwrap_or(&LINKS[0]);
    if *program != Program::Hbs2 {
        return Call { program: *program, shown, words: words.to_vec() };
    }
    let first = words.first().and_then(|word| word.to_str());
    let inner = first.and_then(|word| LINKS.iter().chain(WORDS).find(|(known, _)| *known == word));
    match inner {
        Some((word, program)) => {
            Call { program: *program, shown: full_name(word, *program), words: words[1..].to_vec() }
        }
        None => Call { program: *program, shown, words: words.to_vec() },
    }
}

fn full_name(word: &'static str, program: Program) -> &'static str {
    if word.contains('-') {
        return word;
    }
    // A short form is shown as the first name of its program.
    LINKS.iter().find(|(_, known)| *known == program).map_or(word, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], program: Program, shown: &'static str, words: &[&str]) {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let words = words.iter().map(OsString::from).collect();
        assert_eq!(call(&args), Call { program, shown, words });
    }

    #[test]
    fn the_name_of_the_call_is_the_program() {
        check(&["/usr/bin/hbs2-peer", "poke"], Program::Peer, "hbs2-peer", &["poke"]);
        check(&["hbs2", "hash"], Program::Hbs2, "hbs2", &["hash"]);
        check(&["git-hbs2", "init"], Program::Git3, "git-hbs2", &["init"]);
        check(&["git-remote-hbs21", "o", "u"], Program::RemoteHelper, "git-remote-hbs21", &["o", "u"]);
    }

    #[test]
    fn the_first_word_after_hbs2_may_be_a_program() {
        check(&["hbs2", "hbs2-peer", "run"], Program::Peer, "hbs2-peer", &["run"]);
        check(&["hbs2", "peer", "run"], Program::Peer, "hbs2-peer", &["run"]);
        check(&["hbs2", "git-hbs2"], Program::Git3, "git-hbs2", &[]);
        check(&["hbs2", "git3"], Program::Git3, "hbs2-git3", &[]);
        check(&["hbs2", "hbs2", "hash"], Program::Hbs2, "hbs2", &["hash"]);
    }

    #[test]
    fn an_unknown_name_is_hbs2() {
        check(&["my-copy", "hash"], Program::Hbs2, "hbs2", &["hash"]);
        check(&["my-copy", "peer"], Program::Peer, "hbs2-peer", &[]);
        check(&[], Program::Hbs2, "hbs2", &[]);
    }
}
