//! `hbs2 man-pages DIR`: the manual pages of all programs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use roff::{Roff, bold, roman};

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
    let mut count = 0;
    for name in names() {
        count += write(name, &words.dir)?;
    }
    Ok(voice.line(format_args!("{count} manual pages in {}", words.dir.display()))?)
}

fn write(name: &'static str, dir: &Path) -> Result<usize, Failure> {
    let page = dir.join(format!("{name}.1"));
    let failed = |source| Failure::Write { path: page.clone(), source };
    // Another name of a program that has its page already.
    if let Some(first) = first_name(name).filter(|first| *first != name) {
        fs::write(&page, format!(".so man1/{first}.1\n")).map_err(failed)?;
        return Ok(1);
    }
    match explained(name) {
        Some(Explained::Clap(command)) => {
            let mut command = command.name(name).disable_help_subcommand(true);
            command.build();
            pages(&command, name, dir)
        }
        Some(Explained::Table(table)) => {
            fs::write(&page, table_page(name, &table)).map_err(failed)?;
            Ok(1)
        }
        None => Ok(0),
    }
}

/// The page of a command and those of the commands in it.
fn pages(command: &Command, name: &str, dir: &Path) -> Result<usize, Failure> {
    let page = dir.join(format!("{name}.1"));
    let bytes = command_page(command, name).map_err(Failure::Output)?;
    fs::write(&page, bytes).map_err(|source| Failure::Write { path: page, source })?;
    let mut count = 1;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        count += pages(inner, &format!("{name}-{}", inner.get_name()), dir)?;
    }
    Ok(count)
}

/// The page of a command; what its help says after the options stays as it is laid out.
fn command_page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let has_commands = command.get_subcommands().any(|inner| !inner.is_hide_set());
    let man = clap_mangen::Man::new(command.clone().name(name.to_owned())).title(name.to_uppercase());
    let mut bytes = Vec::new();
    man.render_title(&mut bytes)?;
    man.render_name_section(&mut bytes)?;
    man.render_synopsis_section(&mut bytes)?;
    man.render_description_section(&mut bytes)?;
    man.render_options_section(&mut bytes)?;
    if has_commands {
        man.render_subcommands_section(&mut bytes)?;
    }
    let mut notes = Roff::new();
    notes.control("SH", ["NOTES"]);
    verbatim(&mut notes, &usage::notes(command));
    bytes.extend(notes.to_roff().into_bytes());
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
        page.text([bold(entry.brief)]);
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
