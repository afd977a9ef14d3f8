//! `--help`, `--help-all` and `help` of `hbs2-git3` (spec: cli 2.8, git3 11.2).
//!
//! `--help` prints names, one a line, so that scripts and completions can read it; the page of one command has
//! the headings of a manual page; `help` is for people who want to see everything.

use hbs2_script::nearest::closest;

use super::session::Session;
use super::table::{COMMANDS, Command, find};
use crate::error::Failure;

/// Words that ask for help where a command is expected.
pub const WORDS: [&str; 3] = ["--help", "-h", "--help-all"];

/// What the overview says around the list of commands.
const USAGE: &str = "\
Decentralised git: publish and fetch repositories over HBS2

Usage: PROGRAM [OPTIONS] COMMAND [ARGUMENTS] [and COMMAND [ARGUMENTS]]…

Options, before the first command:
  -c, --config DIR      directory of the peer's config [default: ~/.config/hbs2-peer]
  -r, --socket PATH     socket of the running peer [default: as its config says]
      --timeout SECONDS longest wait without progress [default: as git's hbs2.timeout says]
  -q, --quiet           say errors only
      --verbose         say more on stderr

Commands:
";

const AFTER: &str = "
REPO is a repository key, hbs23://KEY, hbs2://KEY, or the name of a git remote. Several commands
in one call are joined by 'and' or 'then'. A word of the shell is one argument, blanks included.

With git itself:
  git hbs2 init --new                  make a repository; adds a remote such as crater-stamp
  git push crater-stamp main           publish
  git clone hbs23://KEY                fetch from any connected peer, everything verified

Settings, kept in the git configuration:
  git config hbs2.compression N        zstd level of new segments, 1 to 22 [default: 3]
  git config hbs2.segment BYTES        compressed size of a segment [default: 52428800]
  git config hbs2.timeout SECONDS      longest wait without progress [default: 60]

Files:
  .git/hbs2                            index; may be deleted at any time
  .hbs2-git                            version 2: config, manifest; its state may be deleted
  ~/.hbs2-keyman/keys                  keys of repositories made here; keep a copy

Environment:
  GIT_DIR                              the git repository
  HBS2_RPC_SOCKET                      socket of the peer
  HBS2TRACE                            if set, say everything

Exit status: 0 done; 1 failed or wrongly used.

'PROGRAM --help COMMAND' tells more about a command.
";

/// `--help [PREFIX | COMMAND]`: a list of names, or the page of one command.
///
/// # Errors
/// Nothing is named so; stdout cannot be written.
pub fn list(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    match args.first().map(String::as_str) {
        None => {
            names(session, "", false)?;
            let program = session.voice.program();
            session.voice.talk().note(format_args!("'{program} help' tells what they do"));
            Ok(())
        }
        Some(name) => match find(name) {
            Some(command) => Ok(session.voice.line(page(command, session.voice.program()).trim_end())?),
            None => names(session, name, false),
        },
    }
}

/// `--help-all [PREFIX]`: the names of older versions too.
///
/// # Errors
/// Nothing is named so; stdout cannot be written.
pub fn list_all(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    names(session, args.first().map_or("", String::as_str), true)
}

/// `help [PREFIX | COMMAND]`: the overview, or the same as `--help`.
///
/// # Errors
/// As [`list`].
pub fn overview(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    if !args.is_empty() {
        return list(session, args);
    }
    let text = overview_text(session.voice.program());
    session.voice.out().write_all(text.as_bytes())?;
    Ok(())
}

fn names(session: &mut Session<'_>, prefix: &str, old: bool) -> Result<(), Failure> {
    let aliases = |command: &'static Command| command.aliases.iter().filter(move |_| old);
    let mut names: Vec<&str> = COMMANDS.iter().flat_map(|c| aliases(c).chain([&c.name])).copied().collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort_unstable();
    if names.is_empty() {
        return Err(unknown(prefix));
    }
    for name in names {
        session.voice.line(name)?;
    }
    Ok(())
}

/// The error about a command that does not exist.
#[must_use]
pub fn unknown(name: &str) -> Failure {
    let known = COMMANDS.iter().flat_map(|command| command.aliases.iter().chain([&command.name])).copied();
    Failure::UnknownCommand { name: name.to_owned(), closest: closest(name, known).map(str::to_owned) }
}

/// The overview as shown by `program`.
#[must_use]
pub fn overview_text(program: &str) -> String {
    let mut text = USAGE.replace("PROGRAM", program);
    for command in COMMANDS {
        text.push_str(&format!("  {:<24}  {}\n", command.name, command.brief));
    }
    text + &AFTER.replace("PROGRAM", program)
}

/// The manual page of a command as shown by `program`.
#[must_use]
pub fn page(command: &Command, program: &str) -> String {
    let synopsis = format!("{program} {} {}", command.name, command.args);
    let mut sections = vec![
        ("NAME", format!("{} - {}", command.name, command.brief)),
        ("SYNOPSIS", synopsis.trim_end().to_owned()),
    ];
    let mut text = command.text.to_owned();
    if !command.aliases.is_empty() {
        let gap = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{gap}Other names: {}", command.aliases.join(", ")));
    }
    if !text.is_empty() {
        sections.push(("DESCRIPTION", text));
    }
    sections.push(("RETURN VALUE", command.prints.to_owned()));
    sections.push(("EXAMPLES", command.examples.to_owned()));
    let indented = |body: &str| body.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let section = |(head, body): &(&str, String)| format!("{head}\n{}", indented(body));
    sections.iter().map(section).collect::<Vec<_>>().join("\n")
}
