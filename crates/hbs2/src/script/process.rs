//! Words that run processes. A process gets the directory and the environment of the script.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::around::{read_all, too_large};
use super::{World, WorldError};
use crate::error::Failure;

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    vec![
        Word::call("call:proc", "CMD ARG…", |m: &mut Machine<W>, a| {
            let output = output_of(m, a.all(), None)?;
            let forms = m.read_data(&a.at(0).display(), &output)?;
            m.list(forms)
        })
        .brief("run a program and read what it prints, as forms")
        .text("The program is run without a shell. A failure of it is an error.")
        .returns("a list of forms"),
        Word::call("call:proc:raw", "CMD ARG…", |m: &mut Machine<W>, a| {
            let output = output_of(m, a.all(), None)?;
            m.text(output)
        })
        .brief("run a program and take what it prints")
        .returns("a string"),
        Word::call("proc:pipe", "CMD ARGS S", |m: &mut Machine<W>, a| {
            let mut words = vec![a.at(0).clone()];
            words.extend_from_slice(a.list_at(1)?);
            m.walk(a.at(2))?;
            let output = output_of(m, &words, Some(a.at(2).display()))?;
            m.text(output)
        })
        .brief("run a program with a text for its stdin, and take what it prints")
        .text("ARGS is a list.")
        .returns("a string"),
        Word::call("run:proc:attached", "CMD ARG…", |m: &mut Machine<W>, a| {
            let (name, mut command) = command(m, a.all())?;
            m.world().voice().flush().map_err(Failure::Output)?;
            let status = command.status().map_err(|source| failed(&name, source))?;
            check(&name, status)?;
            Ok(Datum::Nil)
        })
        .brief("run a program that reads and writes where we do")
        .text("A failure of it is an error.")
        .returns("nil"),
        Word::call("run:proc:quiet", "CMD ARG…", |m: &mut Machine<W>, a| {
            let (name, mut command) = command(m, a.all())?;
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let status = command.status().map_err(|source| failed(&name, source))?;
            Ok(Datum::Int(i128::from(status.code().unwrap_or(SIGNAL_CODE))))
        })
        .brief("run a program without input and output")
        .returns("its exit code; 128 when a signal ended it"),
        Word::call("env", "[NAME]", env)
            .brief("the environment, or one variable of it")
            .returns("a list of (NAME VALUE); with NAME its value, or nil"),
        Word::call("setenv", "NAME VALUE", |m: &mut Machine<W>, a| {
            m.walk(a.at(1))?;
            let (name, value) = (a.word_at(0)?, a.at(1).display());
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(a.wrong(0, "a name that a variable may have"));
            }
            m.room(value.len())?;
            m.world().around().environment.insert(name.into(), value.into());
            Ok(Datum::Nil)
        })
        .brief("set a variable of the environment, for the program and its processes")
        .returns("nil"),
        Word::form("forked", "FORM", |m: &mut Machine<W>, a| {
            let before = m.world().around().clone();
            // A quoted form is evaluated, as in the original; any other form is evaluated once.
            let outcome = m.eval(a.at(0)).and_then(|value| match a.at(0).as_list() {
                Some([quote, _]) if matches!(quote.as_symbol(), Some("'" | "`" | "quot")) => m.eval(&value),
                _ => Ok(value),
            });
            *m.world().around() = before;
            outcome
        })
        .brief("evaluate, and go back to the directory and the environment of before")
        .returns("the value"),
    ]
}

/// What a shell gives for a process that a signal ended, without the number of the signal.
const SIGNAL_CODE: i32 = 128;

fn failed(name: &str, source: std::io::Error) -> WorldError {
    WorldError::Process { command: name.to_owned(), source }
}

fn command<W: World>(m: &mut Machine<W>, words: &[Datum]) -> Result<(String, Command), Raised> {
    let mut texts = Vec::with_capacity(words.len());
    for word in words {
        m.walk(word)?;
        texts.push(word.display());
    }
    let name = texts.remove(0);
    let around = m.world().around();
    // The search path is that of the script.
    let mut command = Command::new(&name);
    command.args(texts).env_clear().envs(&around.environment).current_dir(&around.directory);
    Ok((name, command))
}

fn check(name: &str, status: ExitStatus) -> Result<(), WorldError> {
    match status.success() {
        true => Ok(()),
        false => Err(WorldError::Status { command: name.to_owned(), status: status.to_string() }),
    }
}

/// What a process prints; its stderr is ours.
fn output_of<W: World>(m: &mut Machine<W>, words: &[Datum], input: Option<String>) -> Result<String, Raised> {
    let (name, mut command) = command(m, words)?;
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|source| failed(&name, source))?;
    let read = exchange(m, &mut child, input);
    if !matches!(read, Ok(Some(_))) {
        // Nobody reads what it prints any more.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|source| failed(&name, source))?;
    let bytes = read.map_err(|source| failed(&name, source))?.ok_or_else(|| too_large(m))?;
    check(&name, status)?;
    String::from_utf8(bytes).map_err(|_| WorldError::NotText { name: format!("the output of {name}") }.into())
}

fn exchange<W>(m: &Machine<W>, child: &mut Child, input: Option<String>) -> std::io::Result<Option<Vec<u8>>> {
    let mut stdin = child.stdin.take();
    let mut stdout = child.stdout.take().expect("it was asked for");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if let (Some(mut stdin), Some(input)) = (stdin.take(), input) {
                // A process need not read all that it could.
                let _ = stdin.write_all(input.as_bytes());
            }
        });
        read_all(m, stdout.by_ref())
    })
}

fn env<W: World>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    if a.count() == 1 {
        let name = a.word_at(0)?;
        let value = m.world().around().environment.get(std::ffi::OsStr::new(name));
        let value = value.map(|value| value.to_string_lossy().into_owned());
        return value.map_or(Ok(Datum::Nil), |value| m.text(value));
    }
    let text = |value: &std::ffi::OsString| value.to_string_lossy().into_owned();
    let all: Vec<_> =
        m.world().around().environment.iter().map(|(name, value)| (text(name), text(value))).collect();
    let mut rows = Vec::with_capacity(all.len());
    for (name, value) in all {
        let row = vec![m.text(name)?, m.text(value)?];
        rows.push(m.list(row)?);
    }
    m.list(rows)
}
