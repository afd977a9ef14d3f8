//! `git-remote-hbs23 NAME URL`: what git runs for `hbs23://`, `hbs2://` and `hbs21://` (spec: git3 9).

use std::io::BufReader;

use hbs2_git::Context;
use hbs2_git::context::system_now;

use super::session::{LazyIndex, Session, Teller};
use super::traced;
use crate::daemon::Reach;
use crate::error::{self, DONE, FAILED, Failure};
use crate::names::Call;
use crate::voice::{Tone, Voice};

const HELP: &str = "\
Lets git push to and fetch from HBS2 repositories; git calls it, you need not

Usage: PROGRAM NAME URL

  NAME                  name of the git remote
  URL                   hbs23://KEY, hbs2://KEY or hbs21://KEY

Examples of what calls it:
  git clone hbs23://KEY
  git push crater-stamp main
  git ls-remote hbs23://KEY

Settings, kept in the git configuration:
  git config hbs2.compression N        zstd level of new segments, 1 to 22 [default: 3]
  git config hbs2.segment BYTES        compressed size of a segment [default: 52428800]
  git config hbs2.timeout SECONDS      longest wait without progress [default: 60]

Files:
  .git/hbs2                            index; may be deleted at any time

Environment:
  GIT_DIR                              the git repository, set by git
  HBS2_RPC_SOCKET                      socket of the peer to talk to
  HBS2TRACE                            if set, say everything

Exit status: 0 done; 1 failed.
";

/// Runs the program.
pub fn run(call: &Call, voice: &mut Voice) -> u8 {
    voice.set_tone(traced(Tone::Normal));
    let words: Vec<_> = call.words.iter().map(|word| word.to_string_lossy()).collect();
    let help = HELP.replace("PROGRAM", voice.program());
    match words.iter().map(AsRef::as_ref).collect::<Vec<&str>>().as_slice() {
        ["-h" | "--help"] => {
            // Help that nobody reads to its end is no failure.
            let _ = voice.out().write_all(help.as_bytes());
            let _ = voice.flush();
            DONE
        }
        [_, url] => {
            let outcome = serve(url, voice);
            error::finish(outcome, voice)
        }
        _ => {
            voice.talk().error("a remote name and a URL are expected; git gives them");
            voice.talk().raw(format_args!("\n{help}"));
            FAILED
        }
    }
}

fn serve(url: &str, voice: &mut Voice) -> Result<(), Failure> {
    let mut session = Session::new(voice, Reach::new(None, None));
    let client = session.daemon()?.client().clone();
    let (git, config, settings) = session.into_local()?;
    let (keys, teller) = (LazyIndex(voice.talk().clone()), Teller::new(voice.talk().clone()));
    let context = Context { link: &client, keys: &keys, voice: &teller, settings, now: system_now };
    let mut input = BufReader::new(voice.take_input());
    Ok(hbs2_git::helper::run(url, &mut input, voice.out(), &context, git, &config)?)
}
