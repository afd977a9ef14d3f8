//! The end of a command: its exit code, and what the user is told.

use std::error::Error;

use hbs2_script::Fault;

use super::{DONE, FAILED, Failure};
use crate::voice::Voice;

/// Ends a command: writes out its data, tells what failed, returns the exit code.
pub fn finish(outcome: Result<(), Failure>, voice: &mut Voice) -> u8 {
    let (code, outcome) = match outcome {
        Err(Failure::Quit { code }) => (code, Ok(())),
        Err(Failure::Script(script)) => match *script.fault {
            Fault::Quit(code) => (code, Ok(())),
            _ => (DONE, Err(Failure::Script(script))),
        },
        outcome => (DONE, outcome),
    };
    let flushed = voice.flush().map_err(Failure::Output);
    let Err(failure) = outcome.and(flushed) else { return code };
    if failure.is_broken_pipe() {
        return code;
    }
    if !matches!(failure, Failure::No) {
        tell(&failure, voice);
    }
    FAILED
}

fn tell(failure: &Failure, voice: &mut Voice) {
    if let Failure::Script(script) = failure
        && let Fault::Died(text) = &*script.fault
    {
        return voice.talk().raw(format_args!("{text}\n"));
    }
    let chain = chain(failure);
    voice.talk().error(&chain[0]);
    for cause in &chain[1..] {
        voice.talk().cause(cause);
    }
    if let Some(hint) = failure.hint() {
        voice.talk().hint(hint);
    }
}

/// What an error says, and after it its causes as far as they say more.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut said = error.to_string();
    let mut chain = vec![said.clone()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            chain.push(text.clone());
        }
        said = text;
        cause = error.source();
    }
    chain
}
