//! Every command of `hbs2-git3`: its names, its help and its function. Help pages and lists are made from here.

use super::{export, follow, group, help, init, peer, settings, show, v2};
use crate::error::Failure;

use super::session::Session;

/// What a command does with its arguments.
pub type Run = fn(&mut Session<'_>, &[String]) -> Result<(), Failure>;

/// One command.
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Names that mean the same: those of version 0.25.1 and short forms.
    pub aliases: &'static [&'static str],
    /// Its arguments, as a pattern.
    pub args: &'static str,
    /// What it does, in a few words.
    pub brief: &'static str,
    /// What it does, in full; lines of the manual page.
    pub text: &'static str,
    /// What it prints to stdout.
    pub prints: &'static str,
    /// Lines to try.
    pub examples: &'static str,
    /// Its function.
    pub run: Run,
}

/// What REPO may be, for the pages of all commands that take one.
const REPO: &str = "REPO is a repository key, hbs23://KEY, hbs2://KEY, or the name of a git remote.";

/// All commands, by name.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "--help",
        aliases: &["-h"],
        args: "[PREFIX | COMMAND]",
        brief: "list commands, or show the page of one",
        text: "Without an argument, the names of all commands, one a line; with a PREFIX, those that\n\
               begin so; with a COMMAND, its page. 'help' shows an overview, '--help-all' lists\n\
               older names too.",
        prints: "names, or a page",
        examples: "hbs2-git3 --help repo\nhbs2-git3 --help repo:tx:list",
        run: help::list,
    },
    Command {
        name: "--help-all",
        aliases: &[],
        args: "[PREFIX]",
        brief: "list commands under all their names",
        text: "As --help, with the names that older versions use.",
        prints: "names",
        examples: "hbs2-git3 --help-all reflog",
        run: help::list_all,
    },
    Command {
        name: "compression",
        aliases: &[],
        args: "[N | best]",
        brief: "set the zstd level of new segments, or print it",
        text: "Levels are 1 (fast) to 22 (small, slow, much memory); 'best' is 22. The default is 3.\n\
               The setting holds for the commands after it in the same call. To keep it:\n\
               git config hbs2.compression N",
        prints: "without an argument, the level",
        examples: "git hbs2 compression 9 and reflog:export",
        run: settings::compression,
    },
    Command {
        name: "debug",
        aliases: &[],
        args: "",
        brief: "say more on stderr, from here on",
        text: "The same as the option --verbose.",
        prints: "nothing",
        examples: "git hbs2 debug and repo:import origin",
        run: settings::debug,
    },
    Command {
        name: "export",
        aliases: &[],
        args: "[--new] [--public | --encrypted GK-FILE] LWWREF",
        brief: "publish this repository in version 2",
        text: "For hbs2:// repositories. Publishes the references that .hbs2-git/config names, the branch that\n\
               is checked out, and what they need. LWWREF is the key of a signing key of yours, or a remote.\n\
               --new makes the repository; it needs --public, or --encrypted with the file of a group key (hbs2\n\
               groupkey from-keys). With another group key later, its members read everything from then on.\n\
               An encrypted repository is never exported in the clear.",
        prints: "nothing",
        examples: "git hbs2 export --new --public KEY\n\
                   git remote add origin hbs2://KEY\n\
                   git hbs2 export --encrypted ./gk-new.key KEY",
        run: v2::export::export,
    },
    Command {
        name: "fsck",
        aliases: &[],
        args: "LWWREF",
        brief: "check the last transaction of a version 2 repository",
        text: "Fetches what is missing, opens every pack, and says what is whole.",
        prints: "transaction HASH ok, head HASH ok, pack HASH ok, one a line",
        examples: "git hbs2 fsck origin",
        run: v2::export::fsck,
    },
    Command {
        name: "hbs2:peer:poke",
        aliases: &["test:hbs2:peer:poke"],
        args: "",
        brief: "print what the running peer says about itself",
        text: "If this prints something, hbs2-git3 is ready to work.",
        prints: "one attribute a line: peer-key, tcp, rpc, …",
        examples: "git hbs2 hbs2:peer:poke",
        run: peer::poke,
    },
    Command {
        name: "help",
        aliases: &[],
        args: "[PREFIX | COMMAND]",
        brief: "an overview of the program",
        text: "All commands with what they do, settings, files, environment and exit codes. With an\n\
               argument, the same as --help.",
        prints: "the overview",
        examples: "git hbs2 help",
        run: help::overview,
    },
    Command {
        name: "import",
        aliases: &[],
        args: "LWWREF",
        brief: "bring a repository in and set the branches",
        text: "What 'git fetch' does, and sets the local branches and tags to the published ones: for mirrors,\n\
               which any web server can show. In a repository with files, the branch that is checked out and\n\
               branches with commits of their own stay.",
        prints: "nothing",
        examples: "git init --bare mirror.git && cd mirror.git && git hbs2 import KEY",
        run: v2::export::import,
    },
    Command {
        name: "init",
        aliases: &["repo:init"],
        args: "[--new] [--encrypted GK]",
        brief: "make a repository and add it as a remote",
        text: "Runs 'git init' here if need be, makes a key, publishes an empty repository under it,\n\
               and adds a git remote for it with a name of two words. The key is saved in the default\n\
               key path of hbs2-keyman; whoever has it can write to the repository. Keep a copy.\n\
               Each call makes a new repository; --new says so, as older versions want it.\n\
               With --encrypted only the members of a group key can read what is pushed; every peer\n\
               may carry it. GK is the hash of a group key that this peer has, or the file of one. You\n\
               must be a member yourself.",
        prints: "added git remote NAME hbs23://KEY",
        examples: "git hbs2 init --new\ngit hbs2 init --new --encrypted team.gk\ngit push crater-stamp main",
        run: init::init,
    },
    Command {
        name: "key",
        aliases: &[],
        args: "[show] [--full] [REPO] | update LWWREF GK-FILE",
        brief: "print the group key of a version 2 repository",
        text: "With --full, its members too. 'update' makes a group key the one of the next export or push.\n\
               Without REPO, the only remote, or the only one of version 2.",
        prints: "the hash of the group key; with --full, its text",
        examples: "git hbs2 key --full\ngit hbs2 key update KEY ./gk-new.key",
        run: v2::key::key,
    },
    Command {
        name: "manifest",
        aliases: &[],
        args: "list LWWREF | show HASH | update (-f FILE | --stdin) [--new [--encrypted GK-FILE]] LWWREF | REPO",
        brief: "print or set what a project says about itself",
        text: "For version 2. 'list' shows the heads in which the manifest changed, 'show' the text of one,\n\
               'update' publishes another text of up to 256 KiB; with --new it makes the repository, in the\n\
               clear unless a group key is given. The file .hbs2-git/manifest, if there is one, is published\n\
               with every push. With only REPO, the same as repo:manifest.",
        prints: "TIME HASH (manifest length N), or the text",
        examples: "git hbs2 manifest list origin\ngit hbs2 manifest update -f about.txt origin",
        run: v2::manifest::manifest,
    },
    Command {
        name: "migrate",
        aliases: &[],
        args: "LWWREF [--in-place]",
        brief: "make a version 3 repository of one of version 2",
        text: "Takes over history, branches, tags and encryption under a new key, which is saved in the default\n\
               key path of hbs2-keyman and becomes a remote; the old repository stays as it is. With --in-place\n\
               the key stays: every clone goes on working, but programs that know only version 2 cannot read it\n\
               any more. The copy is fetched again and compared before anything is switched.",
        prints: "added git remote NAME hbs23://KEY, or the address",
        examples: "git hbs2 migrate origin\ngit hbs2 migrate KEY --in-place",
        run: v2::export::migrate,
    },
    Command {
        name: "quiet",
        aliases: &[],
        args: "",
        brief: "say errors only, from here on",
        text: "The same as the option --quiet.",
        prints: "nothing",
        examples: "git hbs2 quiet and repo:import origin",
        run: settings::quiet,
    },
    Command {
        name: "reflog:export",
        aliases: &[],
        args: "[REV] [--to REPO] [--ref NAME]… [--set NAME REV2]… [--del NAME]…",
        brief: "publish a revision under any names",
        text: "What 'git push' does, without its checks. REV (default HEAD) and what it needs is\n\
               published; --ref gives it a name, --set gives NAME to another revision, --del removes\n\
               NAME. A short name means refs/heads/NAME; refs/… and HEAD stay as they are. With no\n\
               name at all, the present branch is published.\n\
               The repository is that of the only hbs23 remote; with several, name one by --to REPO.",
        prints: "nothing",
        examples: "git hbs2 reflog:export --ref main\ngit hbs2 reflog:export v1.0 --ref refs/tags/v1.0",
        run: export::export,
    },
    Command {
        name: "repo:credentials",
        aliases: &[],
        args: "REPO",
        brief: "check that we can write to a repository",
        text: REPO,
        prints: "(matched REFLOG-KEY)",
        examples: "git hbs2 repo:credentials origin",
        run: show::credentials,
    },
    Command {
        name: "repo:gk",
        aliases: &[],
        args: "REPO",
        brief: "print the group key that seals what is pushed next",
        text: REPO,
        prints: "(gk HASH), if the repository is encrypted and its group key is here",
        examples: "git hbs2 repo:gk origin",
        run: group::show,
    },
    Command {
        name: "repo:gk:add:extra:keys",
        aliases: &[],
        args: "REPO GK…",
        brief: "publish more group keys, for readers of what was pushed before",
        text: "Adds group keys to the journal of the repository. What is pushed next is sealed as\n\
               before. Each GK is the hash of a group key that this peer has, or the file of one.",
        prints: "nothing",
        examples: "git hbs2 repo:gk:add:extra:keys origin auditors.gk",
        run: group::add,
    },
    Command {
        name: "repo:gk:journal",
        aliases: &[],
        args: "REPO",
        brief: "list all group keys of a repository",
        text: "A new member finds the secrets of older pushes here, sealed once more for him.",
        prints: "hashes, one a line; nothing if the repository was never encrypted",
        examples: "git hbs2 repo:gk:journal origin",
        run: group::journal,
    },
    Command {
        name: "repo:gk:journal:import",
        aliases: &[],
        args: "REPO",
        brief: "make the group keys of a repository known to hbs2-keyman",
        text: "Fetch and push do this by themselves when the list has changed.",
        prints: "nothing",
        examples: "git hbs2 repo:gk:journal:import origin",
        run: group::journal_import,
    },
    Command {
        name: "repo:gk:journal:imported",
        aliases: &[],
        args: "REPO",
        brief: "print the list of group keys that was imported last",
        text: REPO,
        prints: "the hash of its tree; () if there is none",
        examples: "git hbs2 repo:gk:journal:imported origin",
        run: group::journal_imported,
    },
    Command {
        name: "repo:gk:update",
        aliases: &[],
        args: "REPO GK",
        brief: "add and remove readers: seal what is pushed next with another group key",
        text: "Members of GK who are new can read everything pushed so far: each older secret is\n\
               sealed once more for them and published in the journal. Members of older group keys who\n\
               are not in GK can read what was pushed before, and nothing pushed after. So to remove\n\
               somebody, GK must be made with a new secret; one with the same secret is refused.\n\
               GK is the hash of a group key that this peer has, or the file of one. Only the owner\n\
               can do this, and he must be a member.",
        prints: "gk HASH ID for each group key that was there, new gk HASH for each that was added",
        examples: "git hbs2 repo:gk:update origin team-of-may.gk",
        run: group::update,
    },
    Command {
        name: "repo:head",
        aliases: &[],
        args: "REPO",
        brief: "print the lwwref of a repository",
        text: REPO,
        prints: "(lwwref (seq N) (value \"HASH\")), over four lines; an empty line if there is none",
        examples: "git hbs2 repo:head origin",
        run: show::head,
    },
    Command {
        name: "repo:import",
        aliases: &["reflog:import"],
        args: "REPO",
        brief: "bring the objects of a repository into this one",
        text: "What 'git fetch' does before it sets references: waits for the data, writes packs into\n\
               the object database, remembers the checkpoint.",
        prints: "nothing",
        examples: "git hbs2 repo:import origin",
        run: follow::import,
    },
    Command {
        name: "repo:imported",
        aliases: &["reflog:imported"],
        args: "REPO",
        brief: "print the checkpoint that was imported last",
        text: REPO,
        prints: "the hash of its tree; an empty line if there is none",
        examples: "git hbs2 repo:imported origin",
        run: show::imported,
    },
    Command {
        name: "repo:manifest",
        aliases: &[],
        args: "REPO",
        brief: "print what a repository says about itself",
        text: REPO,
        prints: "(manifest (hbs2-git 3) (seed N) (public) (reflog KEY)), one clause a line",
        examples: "git hbs2 repo:manifest origin",
        run: show::manifest,
    },
    Command {
        name: "repo:reflog",
        aliases: &[],
        args: "REPO",
        brief: "print the key of the log of a repository",
        text: REPO,
        prints: "a public key",
        examples: "hbs2-peer reflog get $(git hbs2 repo:reflog origin)",
        run: show::reflog,
    },
    Command {
        name: "repo:refs",
        aliases: &["reflog:refs"],
        args: "REPO",
        brief: "list the references of a repository",
        text: REPO,
        prints: "SHA1 REF, one a line",
        examples: "git hbs2 repo:refs origin",
        run: show::refs,
    },
    Command {
        name: "repo:refs:raw",
        aliases: &["reflog:refs:raw"],
        args: "REPO",
        brief: "list every record of a reference, older ones too",
        text: "A SHA1 of 40 zeros says that the reference was deleted.",
        prints: "(R TRANSACTION TIME SHA1 REF), TIME in seconds since 1970",
        examples: "git hbs2 repo:refs:raw origin",
        run: show::refs_raw,
    },
    Command {
        name: "repo:relay-only",
        aliases: &[],
        args: "KEY",
        brief: "keep and spread a repository without reading it",
        text: "Subscribes the peer to both references of the repository and waits up to 10 seconds for\n\
               them. No git repository is needed or touched.",
        prints: "nothing",
        examples: "hbs2-git3 repo:relay-only 95EKVZ5wuZjZnc4FdytjhytdnDyApnrXpqetE7yG9bfr",
        run: follow::relay_only,
    },
    Command {
        name: "repo:remotes",
        aliases: &["remotes"],
        args: "",
        brief: "list the git remotes that are repositories of this kind",
        text: "",
        prints: "KEY NAME, one a line",
        examples: "git hbs2 repo:remotes",
        run: show::remotes,
    },
    Command {
        name: "repo:tx:list",
        aliases: &["reflog:tx:list"],
        args: "REPO [--checkpoints] [--segments]",
        brief: "list the transactions of a repository",
        text: "S is a segment: git objects. C is a checkpoint: the set of transactions that make up a\n\
               consistent state. The order is that of the log, not of time.",
        prints: "S TRANSACTION TREE, or C TRANSACTION TREE RANK; RANK in seconds since 1970",
        examples: "git hbs2 repo:tx:list origin --checkpoints",
        run: show::tx_list,
    },
    Command {
        name: "repo:wait",
        aliases: &[],
        args: "REPO",
        brief: "wait until a repository is here, then print its manifest",
        text: "Subscribes the peer to the repository and waits until all of it has arrived. The wait\n\
               ends with an error when nothing new has come for a minute; another limit:\n\
               git config hbs2.timeout SECONDS",
        prints: "the manifest, as repo:manifest does",
        examples: "git hbs2 repo:wait hbs23://95EKVZ5wuZjZnc4FdytjhytdnDyApnrXpqetE7yG9bfr",
        run: follow::wait,
    },
    Command {
        name: "run",
        aliases: &[],
        args: "help | lww:fsck LWWREF | remote:hbs2:show | remote:refs:show [REMOTE]",
        brief: "other names of fsck, repo:remotes and tools show-ref",
        text: "What older versions call so; 'run help' lists the words.",
        prints: "what the command prints",
        examples: "git hbs2 run remote:hbs2:show",
        run: v2::run::run,
    },
    Command {
        name: "segment",
        aliases: &[],
        args: "[BYTES]",
        brief: "set the size at which a segment is closed, or print it",
        text: "Compressed bytes; the default is 52428800 (50 MiB). Larger segments compress better and\n\
               travel in larger steps. To keep the setting: git config hbs2.segment BYTES",
        prints: "without an argument, the size",
        examples: "git hbs2 segment 10000000 and reflog:export",
        run: settings::segment,
    },
    Command {
        name: "tools",
        aliases: &[],
        args: "show-ref [REMOTE] | show-remotes | dump-pack [--info-only | --objects | --pack]",
        brief: "look at references, remotes and packs",
        text: "'show-ref' lists the published references, 'show-remotes' the remotes that are repositories.\n\
               'dump-pack' reads a pack of a version 2 repository from stdin and prints what it has: figures,\n\
               object ids, or the git pack.",
        prints: "SHA1 REF; or SEQ LWWREF REFLOG; one a line",
        examples: "git hbs2 tools show-ref\nhbs2 cat HASH | git hbs2 tools dump-pack --objects",
        run: v2::tools::tools,
    },
    Command {
        name: "track",
        aliases: &[],
        args: "send-repo-notify [-n] CHAN [REPO] | show-repo-notify HASH | gen-repo-index REPO",
        brief: "announce repositories in a channel",
        text: "'send-repo-notify' tells a refchan of which you are an author that REPO is there: its key, its log,\n\
               its group key, name and brief, signed with the key of the repository, which must be an author\n\
               of the channel. With -n the announcement is printed and not sent. 'show-repo-notify' checks\n\
               and prints the one in an update of a channel (hbs2 cat -H of hbs2-peer refchan get CHAN).\n\
               'gen-repo-index' prints what would be announced of any repository.",
        prints: "(hbs2-git-announcement 1), (repository KEY), (reflog KEY), …; one clause a line",
        examples: "git hbs2 track send-repo-notify -n CHAN origin\ngit hbs2 track gen-repo-index KEY",
        run: v2::track::track,
    },
];

/// The command of this name, old names included.
#[must_use]
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name || command.aliases.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sorted_and_each_name_has_one_meaning() {
        let names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
        let mut all: Vec<_> = COMMANDS.iter().flat_map(|c| c.aliases.iter().chain([&c.name])).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn help_tells_the_true_defaults() {
        use hbs2_git::context::{COMPRESSION_LEVEL, COMPRESSION_LEVEL_BEST, SEGMENT_BYTES, WAIT_SECONDS};
        let level = format!("Levels are 1 (fast) to {COMPRESSION_LEVEL_BEST} ");
        assert!(find("compression").unwrap().text.starts_with(&level));
        assert!(find("compression").unwrap().text.contains(&format!("The default is {COMPRESSION_LEVEL}.")));
        assert!(find("segment").unwrap().text.contains(&format!("the default is {SEGMENT_BYTES} ")));
        let overview = help::overview_text("hbs2-git3");
        for default in [COMPRESSION_LEVEL.to_string(), SEGMENT_BYTES.to_string(), WAIT_SECONDS.to_string()] {
            assert!(overview.contains(&format!("[default: {default}]")), "{default}");
        }
    }

    #[test]
    fn names_of_version_0_25_1_are_understood() {
        for (old, new) in [
            ("repo:init", "init"),
            ("test:hbs2:peer:poke", "hbs2:peer:poke"),
            ("reflog:tx:list", "repo:tx:list"),
            ("reflog:refs", "repo:refs"),
            ("reflog:refs:raw", "repo:refs:raw"),
            ("reflog:imported", "repo:imported"),
            ("reflog:import", "repo:import"),
        ] {
            assert_eq!(find(old).map(|command| command.name), Some(new));
        }
    }
}
