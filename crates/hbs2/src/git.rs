//! `hbs2-git3` and the remote helper: repositories.

use crate::daemon::Reach;
use crate::error::{self, FAILED, Failure};
use crate::names::Call;
use crate::voice::{Tone, Voice};

pub mod export;
pub mod follow;
pub mod group;
pub mod help;
pub mod helper;
pub mod init;
pub mod peer;
pub mod session;
pub mod settings;
pub mod show;
pub mod table;
pub mod v2;
pub mod words;

use session::Session;

/// Environment variable that makes the programs say everything, as the original's does.
const TRACE_VARIABLE: &str = "HBS2TRACE";

/// Runs `hbs2-git3`.
pub fn run(call: &Call, voice: &mut Voice) -> u8 {
    let outcome = obey(call, voice);
    if let Err(Failure::Usage { message, command }) = &outcome {
        voice.talk().error(message);
        let page = command.and_then(table::find);
        let text = match page {
            Some(command) => help::page(command, voice.program()),
            None => help::overview_text(voice.program()),
        };
        voice.talk().raw(format_args!("\n{text}"));
        return FAILED;
    }
    error::finish(outcome, voice)
}

fn obey(call: &Call, voice: &mut Voice) -> Result<(), Failure> {
    let (options, steps) = words::read(&call.words)?;
    voice.set_tone(traced(options.tone));
    if steps.is_empty() {
        return Err(Failure::Usage { message: "a command is missing".to_owned(), command: None });
    }
    // All names are checked before anything is done.
    let steps: Vec<_> = steps
        .into_iter()
        .map(|step| match table::find(&step.name) {
            Some(command) => Ok((command, step.args)),
            None => Err(help::unknown(&step.name)),
        })
        .collect::<Result<_, _>>()?;
    let mut session = Session::new(voice, Reach::new(options.config, options.socket));
    if let Some(timeout) = options.timeout {
        session.settings()?.timeout = timeout;
    }
    steps.into_iter().try_for_each(|(command, args)| (command.run)(&mut session, &args))
}

/// What is said in this tone, or everything if the environment wants that.
fn traced(tone: Tone) -> Tone {
    match tone {
        Tone::Normal if std::env::var_os(TRACE_VARIABLE).is_some() => Tone::Verbose,
        tone => tone,
    }
}
