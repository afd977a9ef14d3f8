//! Reading the words of a command: help on stdout, a wrong use explained on stderr.
//!
//! The definitions of commands and their help are one (`clap`). A wrong use says what is wrong in the voice of
//! the house, names the closest right word, and shows the short help of the command concerned (spec: cli 1.3).

use std::error::Error;
use std::ffi::OsString;

use clap::Command;
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use hbs2_script::nearest::closest;

use crate::error::{self, DONE, FAILED, Failure};
use crate::names::Call;
use crate::voice::Voice;

/// Runs the program whose words are a `C`: `work` does what they say. Answers its exit code.
pub fn run<C: clap::Parser>(
    call: &Call,
    voice: &mut Voice,
    work: impl FnOnce(C, &mut Voice) -> Result<(), Failure>,
) -> u8 {
    match read(&call.words, voice) {
        Ok(words) => {
            let outcome = work(words, voice);
            error::finish(outcome, voice)
        }
        Err(code) => code,
    }
}

/// Reads `words` as the program `C` under the name in `voice`. `Err` is the exit code after help was shown: [`DONE`]
/// when help was asked for, [`FAILED`] when the words make no command.
fn read<C: clap::Parser>(words: &[OsString], voice: &mut Voice) -> Result<C, u8> {
    let name = voice.program();
    let mut command = lay_out(C::command().name(name).bin_name(name));
    command.build();
    let all = std::iter::once(OsString::from(name)).chain(words.iter().cloned());
    let matches = command.try_get_matches_from_mut(all).and_then(|mut matches| {
        C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    });
    matches.map_err(|error| explain(&error, concerned(&mut command, words), voice))
}

/// The innermost command that `words` name.
fn concerned<'a>(command: &'a mut Command, words: &[OsString]) -> &'a mut Command {
    let known = |command: &Command, word: &str| command.find_subcommand(word).is_some();
    let next = words.iter().enumerate().find_map(|(at, word)| {
        let word = word.to_str()?;
        known(command, word).then(|| (at, word.to_owned()))
    });
    match next {
        Some((at, word)) => {
            let inner = command.find_subcommand_mut(&word).expect("the command was found above");
            concerned(inner, &words[at + 1..])
        }
        None => command,
    }
}

/// Lays the help of a command and its inner ones out in one compact form for `-h` and `--help`: what it does,
/// its description, usage, arguments, options; then examples, files and whatever else was said after.
fn lay_out(command: Command) -> Command {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let description = long.strip_prefix(&about).unwrap_or_default().trim();
    let description: String = description.lines().map(|line| format!("{}\n", wrap(line))).collect();
    let gap = if description.is_empty() { "" } else { "\n" };
    let template = format!(
        "{{about-with-newline}}{gap}{description}\n{{usage-heading}} {{usage}}\n\n{{all-args}}{{after-help}}"
    );
    let after = notes(&command);
    command
        .after_help(after)
        .long_about(Resettable::Reset)
        .after_long_help(Resettable::Reset)
        .help_template(template)
        .max_term_width(LINE_COLUMNS)
        .mut_subcommands(lay_out)
}

/// What help says after the options: examples, files, the exit status.
pub(crate) fn notes(command: &Command) -> String {
    let mut notes = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    if !notes.contains("Exit status:") && !command.has_subcommands() {
        let gap = if notes.is_empty() { "" } else { "\n\n" };
        notes.push_str(&format!("{gap}Exit status: 0 done; 1 failed or wrongly used."));
    }
    notes
}

/// Longest line of a help text, in columns.
const LINE_COLUMNS: usize = 100;

fn wrap(paragraph: &str) -> String {
    let mut lines = vec![String::new()];
    for word in paragraph.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= LINE_COLUMNS {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

fn explain(error: &clap::Error, command: &mut Command, voice: &mut Voice) -> u8 {
    if !error.use_stderr() {
        // Help that nobody reads to its end is no failure.
        let _ = write!(voice.out(), "{error}");
        let _ = voice.flush();
        return DONE;
    }
    voice.talk().error(complaint(error));
    if let Some(hint) = suggestion(error, command) {
        voice.talk().hint(format_args!("did you mean '{hint}'?"));
    }
    let help = command.clone().after_help(Resettable::Reset).render_help();
    voice.talk().raw(format_args!("\n{}\n", help.to_string().trim_end()));
    FAILED
}

fn complaint(error: &clap::Error) -> String {
    let argument = text(error, ContextKind::InvalidArg).replace(['<', '>'], "");
    let value = text(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            format!("unknown command '{}'", text(error, ContextKind::InvalidSubcommand))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => format!("unknown option '{argument}'"),
        ErrorKind::UnknownArgument => format!("one word too many: '{argument}'"),
        ErrorKind::MissingRequiredArgument => format!("missing: {argument}"),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is missing".to_owned()
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{argument} needs a value"),
        ErrorKind::InvalidValue => {
            format!("{argument} is '{value}', not one of: {}", text(error, ContextKind::ValidValue))
        }
        ErrorKind::ValueValidation => match error.source() {
            Some(reason) => format!("{argument} is '{value}': {reason}"),
            None => format!("{argument} is '{value}'"),
        },
        ErrorKind::ArgumentConflict => {
            format!("{argument} and {} exclude each other", text(error, ContextKind::PriorArg))
        }
        _ => first_line(error),
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

/// The first line of clap's own text, without its prefix.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn suggestion(error: &clap::Error, command: &Command) -> Option<String> {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand);
            closest(&word, command.get_subcommands().map(Command::get_name)).map(str::to_owned)
        }
        ErrorKind::UnknownArgument => {
            let argument = text(error, ContextKind::InvalidArg);
            let options = command.get_arguments().filter(|option| !option.is_hide_set());
            let name = closest(argument.strip_prefix("--")?, options.filter_map(clap::Arg::get_long))?;
            Some(format!("--{name}"))
        }
        ErrorKind::InvalidValue => {
            let Some(ContextValue::Strings(known)) = error.get(ContextKind::ValidValue) else { return None };
            let value = text(error, ContextKind::InvalidValue);
            closest(&value, known.iter().map(String::as_str)).map(str::to_owned)
        }
        _ => None,
    }
}
