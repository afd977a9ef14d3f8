//! `hbs2 sigil check`: whose card is this?

use std::fmt::Write;
use std::path::PathBuf;

use hbs2_core::sigil::Card;
use hbs2_script::print::quoted;

use crate::error::Failure;
use crate::voice::Voice;

/// Check a sigil and print what it says
///
/// The signature must be good and of the key that the sigil states.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit status: 0 the sigil is good; 1 it is not, or cannot be read.")]
pub struct Words {
    /// Sigil file; stdin if absent
    file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read, or holds no sigil that can be believed.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let card = super::read(words.file.as_deref(), voice)?;
    voice.line(form(&card))?;
    Ok(())
}

/// The card as one form.
fn form(card: &Card) -> String {
    let mut form =
        format!("(sigil\n  (sign-pubkey \"{}\")\n  (encrypt-pubkey \"{}\")", card.sign, card.data.encrypt);
    let mut line = |name: &str, value: String| {
        write!(form, "\n  ({name} {value})").expect("a string takes every text");
    };
    if let Some(info) = &card.data.info {
        line("info", quoted(info));
    }
    if let Some(ext) = &card.data.ext {
        line("ext", format!("\"{ext}\""));
    }
    form.push(')');
    form
}
