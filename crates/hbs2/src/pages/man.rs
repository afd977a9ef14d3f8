//! `hbs2 man-pages DIR`: the manual pages of all programs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Command;
use roff::{Roff, roman};

use super::{Explained, Table, explained, names};
use crate::error::Failure;
use crate::names::{LINKS, Program};
use crate::usage;
use crate::voice::Voice;

/// Write the manual pages of all programs
///
/// One page a program and one a command, in section 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2 man-pages ~/.local/share/man/man1   then: man hbs2-peer-poll-add")]
pub struct Words {
    /// Where they go; made when it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The directory cannot be made or written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let failed = |source| Failure::Write { path: words.dir.clone(), source };
    fs::create_dir_all(&words.dir).map_err(failed)?;
    let mut pages = BTreeMap::new();
    for name in names() {
        add(name, &mut pages).map_err(Failure::Output)?;
    }
    for (name, page) in &pages {
        let path = words.dir.join(format!("{name}.1"));
        fs::write(&path, page).map_err(|source| Failure::Write { path, source })?;
    }
    Ok(voice.line(format_args!("{} manual pages in {}", pages.len(), words.dir.display()))?)
}

/// Pages by their names.
type Pages = BTreeMap<String, Vec<u8>>;

fn add(name: &'static str, pages: &mut Pages) -> io::Result<()> {
    // Another name of a program that has its page already.
    if let Some(first) = first_name(name).filter(|first| *first != name) {
        pages.insert(name.to_owned(), format!(".so man1/{first}.1\n").into());
        return Ok(());
    }
    match explained(name) {
        Some(Explained::Clap(command)) => {
            let mut command = command.name(name).disable_help_subcommand(true);
            command.build();
            add_command(command, name.to_owned(), pages)
        }
        Some(Explained::Table(table)) => {
            pages.insert(name.to_owned(), table_page(name, &table).into());
            Ok(())
        }
        None => Ok(()),
    }
}

/// The page of a command and those of the commands in it. A command of two names, such as `keyring-new` and
/// `keyring new`, has the page of the first.
fn add_command(command: Command, name: String, pages: &mut Pages) -> io::Result<()> {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        add_command(inner.clone(), format!("{name}-{}", inner.get_name()), pages)?;
    }
    if let Entry::Vacant(place) = pages.entry(name) {
        let page = command_page(command, place.key())?;
        place.insert(page);
    }
    Ok(())
}

/// The page of a command; what its help says after the options stays as it is laid out.
fn command_page(command: Command, name: &str) -> io::Result<Vec<u8>> {
    let has_commands = command.get_subcommands().any(|inner| !inner.is_hide_set());
    let notes = usage::notes(&command);
    // There is one help, not a short one and a long one.
    let command = command.mut_args(|arg| match arg.get_id().as_str() {
        "help" => arg.help("Print help").long_help("Print help"),
        _ => arg,
    });
    let man = clap_mangen::Man::new(command.name(name.to_owned())).title(name.to_uppercase());
    let mut bytes = Vec::new();
    man.render_title(&mut bytes)?;
    man.render_name_section(&mut bytes)?;
    man.render_synopsis_section(&mut bytes)?;
    man.render_description_section(&mut bytes)?;
    man.render_options_section(&mut bytes)?;
    if has_commands {
        man.render_subcommands_section(&mut bytes)?;
    }
    let mut section = Roff::new();
    section.control("SH", ["NOTES"]);
    verbatim(&mut section, &notes);
    bytes.extend(section.to_roff().into_bytes());
    Ok(bytes)
}

fn first_name(name: &str) -> Option<&'static str> {
    let program: Program = LINKS.iter().find(|(link, _)| *link == name)?.1;
    LINKS.iter().find(|(_, of)| *of == program).map(|(first, _)| *first)
}

fn table_page(name: &str, table: &Table) -> String {
    let mut page = Roff::new();
    let title = name.to_uppercase();
    page.control("TH", [title.as_str(), "1"]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {}", table.brief))]);
    page.control("SH", ["DESCRIPTION"]);
    verbatim(&mut page, &table.usage);
    page.control("SH", ["NAMES"]);
    for entry in &table.entries {
        page.control("SS", [entry.name]);
        verbatim(&mut page, &entry.page);
    }
    page.to_roff()
}

/// Text whose lines stay as they are.
fn verbatim(page: &mut Roff, text: &str) {
    page.control("PP", []);
    page.control("nf", []);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}
