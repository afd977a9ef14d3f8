//! The words of `hbs2-fixer` (spec: cli 9.3), beside those of the language and of [`crate::script`].

use std::time::Duration;

use hbs2_core::SignPublicKey;
use hbs2_script::word::group;
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::jobs::Job;
use super::rules::{Reference, When, Wish};
use super::world::Fixer;
use crate::error::chain;
use crate::script;

/// Shortest time between two readings of a value or of the file, in seconds.
const PERIOD_SECONDS_MIN: f64 = 1.0;

/// Longest, in seconds: a year.
const PERIOD_SECONDS_MAX: f64 = 366.0 * 24.0 * 3600.0;

/// Names of the language that mean something else here.
const OWN: [&str; 2] = ["display", "eval"];

/// All words a program may use.
#[must_use]
pub fn all<'v>() -> Vec<Word<Fixer<'v>>> {
    let common = hbs2_script::words::all().into_iter().chain(script::words());
    let common = common.filter(|word| !OWN.contains(&word.name)).map(|mut word| {
        // Of a word with several names the others stay.
        if word.aliases.iter().any(|alias| OWN.contains(alias)) {
            word.aliases = &[];
        }
        word
    });
    common.chain(group("References and commands", own())).collect()
}

/// The words that only `hbs2-fixer` has, or has in its own way.
#[must_use]
pub fn own<'v>() -> Vec<Word<Fixer<'v>>> {
    vec![
        Word::call("display", "X", |m: &mut Machine<Fixer<'v>>, a| {
            m.walk(a.at(0))?;
            let shown = a.at(0).display();
            m.world().say(shown)?;
            Ok(Datum::Nil)
        })
        .brief("write a value to stdout, a string as it is, and a line end")
        .returns("nil"),
        Word::call("eval", "X…", |m: &mut Machine<Fixer<'v>>, a| {
            let mut value = Datum::Nil;
            for forms in a.all() {
                value = match forms.as_list() {
                    Some(items) => m.eval_all(items)?,
                    None => m.eval(forms)?,
                };
            }
            Ok(value)
        })
        .brief("evaluate the items of a list as forms")
        .returns("the last value"),
        Word::call("getenv", "NAME", |m: &mut Machine<Fixer<'v>>, a| {
            let name = a.word_at(0)?;
            let value = m.world().around.environment.get(std::ffi::OsStr::new(name));
            let value = value.map(|value| value.to_string_lossy().into_owned());
            value.map_or(Ok(Datum::Nil), |value| m.text(value))
        })
        .brief("a variable of the environment")
        .returns("a string; nil when it is not set"),
        Word::call("string-append", "X…", |m: &mut Machine<Fixer<'v>>, a| {
            let text = joined(m, a.all(), "")?;
            m.text(text)
        })
        .brief("join strings; other values as they are printed")
        .returns("a string"),
        Word::form("debug", "SWITCH", |m: &mut Machine<Fixer<'v>>, a| {
            match a.at(0).as_word() {
                Some("on") => m.world().log.set_debug(true),
                Some("off") => m.world().log.set_debug(false),
                _ => return Err(a.bad("(debug on) or (debug off)")),
            }
            Ok(Datum::Nil)
        })
        .brief("say what is done, or do not")
        .text("SWITCH is on or off. Debugging is on until it is switched off.")
        .returns("nil"),
        Word::call("watch-config", "SECONDS", |m: &mut Machine<Fixer<'v>>, a| {
            m.world().reread = seconds(&a, 0)?;
            Ok(Datum::Nil)
        })
        .brief("set the time between two readings of this file")
        .text("When its forms differ it is loaded again. The time is 30 seconds unless it is set.")
        .returns("nil"),
        Word::form("on-start", "FORM…", |m: &mut Machine<Fixer<'v>>, a| {
            if m.world().starting {
                m.eval_all(a.all())?;
            }
            Ok(Datum::Nil)
        })
        .brief("evaluate at the first load only")
        .text("When the peer was away and is there again, all is loaded anew and this runs again.")
        .returns("nil"),
        Word::call("run", "[OPTIONS] CMD…", run)
            .brief("run a shell command after those that were given before")
            .text(
                "The strings of CMD are joined by blanks. Returns at once: commands run one after another, and a \
                 failure is logged and stops nothing. OPTIONS is a list such as (list opts (cwd DIR) (timeout 600)).",
            )
            .returns("nil")
            .example("(run (list opts (cwd repo)) \"git gc\")", ""),
        Word::constant("opts", |m: &mut Machine<Fixer<'v>>, _| m.symbol("opts"))
            .brief("begins the options of run")
            .returns("the symbol opts"),
        Word::call("cwd", "DIR", |m: &mut Machine<Fixer<'v>>, a| m.tagged("cwd", a.all().to_vec()))
            .brief("an option of run: the directory")
            .returns("a form (cwd DIR)"),
        Word::call("timeout", "SECONDS", |m: &mut Machine<Fixer<'v>>, a| m.tagged("timeout", a.all().to_vec()))
            .brief("an option of run: how long a command may take before it is ended")
            .returns("a form (timeout SECONDS)"),
        Word::call("lwwref", "KEY", |m: &mut Machine<Fixer<'v>>, a| m.tagged("lwwref", a.all().to_vec()))
            .brief("a reference whose last writer wins")
            .returns("a form (lwwref KEY)"),
        Word::call("reflog", "KEY", |m: &mut Machine<Fixer<'v>>, a| m.tagged("reflog", a.all().to_vec()))
            .brief("a log")
            .returns("a form (reflog KEY)"),
        Word::call("lwwref:get-hbs2-git-reflog", "", |m: &mut Machine<Fixer<'v>>, _| git_reflog(m))
            .brief("the log of the git repository whose reference is watched")
            .text("For code in (watch N (lwwref KEY) …). Repositories of either version are understood.")
            .returns("a form (reflog KEY); nil when it cannot be found now"),
        Word::form("watch", "SECONDS REF [FORM]…", |m: &mut Machine<Fixer<'v>>, a| {
            let period = m.eval(a.at(0))?;
            let period = seconds_of(&period).ok_or_else(|| a.wrong(0, SECONDS))?;
            register(m, &a, When::Watch(period), 1)
        })
        .brief("run code when a reference has another value")
        .text(
            "The peer is subscribed to the reference. Its value is read when the peer tells of a change, and every \
             SECONDS; the code runs when it differs from the last one, and for the first one. REF is (lwwref KEY) or \
             (reflog KEY).",
        )
        .returns("nil"),
        Word::form("listen", "REF [FORM]…", |m: &mut Machine<Fixer<'v>>, a| register(m, &a, When::Listen, 0))
            .brief("run code when the peer tells that a log has changed")
            .text("Equal events within ten seconds count once.")
            .returns("nil"),
        Word::form("run-config", "FORM…", |m: &mut Machine<Fixer<'v>>, a| m.eval_all(a.all()))
            .brief("evaluate; what code registers replaces what it registered before")
            .returns("the last value"),
        Word::form("unquoted", "X", |m: &mut Machine<Fixer<'v>>, a| m.eval(a.at(0)))
            .brief("within the code of watch and listen: a value of now, not of the time when the code runs")
            .returns("the value of X"),
    ]
}

const SECONDS: &str = "a number of seconds, from 1";

fn seconds_of(value: &Datum) -> Option<Duration> {
    let seconds = match value {
        Datum::Int(number) => *number as f64,
        Datum::Real(number) => *number,
        _ => return None,
    };
    (seconds >= PERIOD_SECONDS_MIN).then(|| Duration::from_secs_f64(seconds.min(PERIOD_SECONDS_MAX)))
}

fn seconds(a: &Args<'_>, index: usize) -> Result<Duration, Raised> {
    seconds_of(a.at(index)).ok_or_else(|| a.wrong(index, SECONDS))
}

fn joined(m: &mut Machine<Fixer<'_>>, values: &[Datum], between: &str) -> Result<String, Raised> {
    let mut text = String::new();
    for (at, value) in values.iter().enumerate() {
        m.walk(value)?;
        if at > 0 {
            text.push_str(between);
        }
        text.push_str(&value.display());
        m.room(text.len())?;
    }
    Ok(text)
}

fn run(m: &mut Machine<Fixer<'_>>, a: Args<'_>) -> Outcome {
    let (options, words) = match a.all() {
        [options, words @ ..] if options.as_list().is_some_and(|list| !list.is_empty()) => {
            (options.as_list().unwrap_or_default(), words)
        }
        words => (&[][..], words),
    };
    let command = joined(m, words, " ")?;
    if command.trim().is_empty() {
        return Err(a.bad("(run [OPTIONS] CMD…): there is no command"));
    }
    let around = &m.world().around;
    let mut job = Job {
        command,
        directory: around.directory.clone(),
        environment: around.environment.clone(),
        timeout: None,
    };
    for option in options {
        match option.as_list() {
            Some([name, value]) if name.as_symbol() == Some("cwd") => {
                let path =
                    value.as_word().ok_or_else(|| a.wrong(0, "options, of which (cwd DIR) has a path"))?;
                job.directory = m.world().around.path(path);
            }
            Some([name, value]) if name.as_symbol() == Some("timeout") => {
                let limit = seconds_of(value);
                job.timeout =
                    Some(limit.ok_or_else(|| a.wrong(0, "options, of which (timeout N) has seconds"))?);
            }
            _ => {}
        }
    }
    m.world().queue(job)?;
    Ok(Datum::Nil)
}

fn git_reflog(m: &mut Machine<Fixer<'_>>) -> Outcome {
    let world = m.world();
    let Some(Reference::Lwwref(repository)) = world.subject else {
        world.log("warn", "lwwref:get-hbs2-git-reflog is for code that watches an lwwref")?;
        return Ok(Datum::Nil);
    };
    match world.git_reflog(&repository) {
        Ok(reflog) => {
            let key = m.text(reflog.to_string())?;
            m.tagged("reflog", vec![key])
        }
        Err(failure) => {
            let why = chain(&failure).join(": ");
            world.log("error", format_args!("no log of the repository {repository} now: {why}"))?;
            world.again = true;
            Ok(Datum::Nil)
        }
    }
}

/// Registers code for the reference that argument `at` gives.
fn register(m: &mut Machine<Fixer<'_>>, a: &Args<'_>, when: When, at: usize) -> Outcome {
    let value = m.eval(a.at(at))?;
    let kind = value.as_list().and_then(<[Datum]>::first).and_then(Datum::as_symbol);
    let key = value.as_list().and_then(|list| list.get(1)).and_then(Datum::as_word);
    let key = key.and_then(|key| key.parse::<SignPublicKey>().ok());
    let reference = match (kind, key) {
        (Some("reflog"), Some(key)) => Reference::Reflog(key),
        (Some("lwwref"), Some(key)) if when != When::Listen => Reference::Lwwref(key),
        _ if matches!(value, Datum::Nil) => {
            let text = format_args!("nothing to {}: its reference is nil", a.word());
            m.world().log("warn", text)?;
            return Ok(Datum::Nil);
        }
        _ if when == When::Listen => return Err(a.bad("(listen (reflog KEY) FORM…)")),
        _ => return Err(a.bad("(watch SECONDS (lwwref KEY) FORM…) or (watch SECONDS (reflog KEY) FORM…)")),
    };
    let mut code = Vec::with_capacity(a.count());
    for form in &a.all()[at + 1..] {
        code.push(with_values(m, form)?);
    }
    let mut text = a.word().to_owned();
    for form in a.all() {
        m.walk(form)?;
        text.push(' ');
        text.push_str(&form.print());
    }
    m.world().wishes.push(Wish { when, reference, code, text });
    Ok(Datum::Nil)
}

/// The form with values in place of `(unquoted X)`.
fn with_values(m: &mut Machine<Fixer<'_>>, form: &Datum) -> Outcome {
    m.walk(form)?;
    // As it was written, with its place, where nothing is to be replaced.
    if !has_unquoted(form) {
        return Ok(form.clone());
    }
    match form.as_list() {
        Some([head, inner]) if head.as_symbol() == Some("unquoted") => {
            let value = m.eval(inner)?;
            let quote = m.symbol("quot")?;
            m.list(vec![quote, value])
        }
        Some(items) if !items.is_empty() => {
            let items = items.iter().map(|item| with_values(m, item)).collect::<Result<Vec<_>, _>>()?;
            m.list(items)
        }
        _ => Ok(form.clone()),
    }
}

fn has_unquoted(form: &Datum) -> bool {
    form.as_symbol() == Some("unquoted") || form.as_list().unwrap_or_default().iter().any(has_unquoted)
}
