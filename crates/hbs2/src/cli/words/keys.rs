//! Keyrings and the index of key files.

use hbs2_core::Keyring;
use hbs2_keyman::Vanished;
use hbs2_script::{Args, Datum, Machine, Raised, Word};

use super::error::WordError;
use crate::cli::world::Cli;
use crate::error::Failure;
use crate::keyman::list::line;
use crate::keys;
use crate::script::around::path_at;

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:keyring:new", "[N]", |m, a| {
            let count = match a.get(0) {
                None => 1,
                Some(_) => a.size_at(0)?,
            };
            if count > ENCRYPT_KEYS_MAX {
                return Err(a.wrong(0, "a number up to 500"));
            }
            m.text(keys::new::generate(count)?.to_text().as_str())
        })
        .brief("make a keyring: a signing key and N encryption keys, or one")
        .text(
            "It is a secret. What a program displays may be seen by others: give it to hbs2:keyman:keys:add.",
        )
        .returns("the text of a keyring file")
        .example("hbs2:keyman:keys:add [hbs2:keyring:new 1]", ""),
        Word::call("hbs2:keyring:show", "FILE", |m: &mut Machine<Cli<'v>>, a| {
            let path = path_at(m, a, 0)?;
            let keyring = keys::read(Some(&path), m.world().voice)?;
            m.text(keyring.listing().trim_end())
        })
        .brief("the public keys of a keyring file, as hbs2 keyring-list prints them")
        .returns("a string"),
        Word::call("hbs2:keyring:list-encryption", "KEYRING", |m, a| {
            let keyring = keyring_at(m, a, 0)?;
            m.texts(keyring.encrypt.iter().map(|entry| entry.public().to_string()))
        })
        .brief("the public encryption keys of a keyring")
        .text("KEYRING is the text of a keyring file, or '(file FILE).")
        .returns("a list of keys"),
        Word::call("hbs2:keyman:keys:add", "KEYRING", |m: &mut Machine<Cli<'v>>, a| {
            let text = a.word_at(0)?;
            let file = m.world().keys()?.add_keyring_text(text).map_err(Failure::from)?;
            m.text(file.display().to_string())
        })
        .brief("keep a keyring in the default directory, where all programs find it")
        .text("KEYRING is the text of a keyring file.")
        .returns("the path of the new file")
        .example("hbs2:keyman:keys:add [hbs2:keyring:new 1]", ""),
        Word::call("hbs2:keyman:list", "", |m: &mut Machine<Cli<'v>>, _| {
            let rows = m.world().keys()?.list().map_err(Failure::from)?;
            m.text(rows.iter().map(|row| line(row) + "\n").collect::<String>())
        })
        .brief("the keys that are known, as hbs2-keyman list prints them")
        .returns("a string"),
        Word::call("hbs2:keyman:update", "", |m: &mut Machine<Cli<'v>>, _| {
            m.world().keys()?.update(Vanished::Keep).map_err(Failure::from)?;
            Ok(Datum::Nil)
        })
        .brief("look at all key files, as hbs2-keyman update does")
        .returns("nil"),
        Word::call("hbs2:keyman:config", "", |m: &mut Machine<Cli<'v>>, _| {
            let settings = m.world().keys()?.settings().map_err(Failure::from)?;
            let forms: Vec<_> =
                settings.config.forms().iter().map(|form| m.datum(form)).collect::<Result<_, _>>()?;
            m.tagged("dict", forms)
        })
        .brief("the settings of hbs2-keyman")
        .returns("a form (dict FORM…)"),
    ]
}

/// Encryption keys of a new keyring, at most: its text stays readable for every program.
const ENCRYPT_KEYS_MAX: usize = 500;

fn keyring_at(m: &mut Machine<Cli<'_>>, a: Args<'_>, index: usize) -> Result<Keyring, Raised> {
    match a.at(index).as_list() {
        Some([file, path]) if file.as_symbol() == Some("file") => {
            let path = path.as_word().ok_or_else(|| a.wrong(index, "(file FILE)"))?;
            let path = m.world().around.path(path);
            Ok(keys::read(Some(&path), m.world().voice)?)
        }
        _ => Ok(Keyring::parse(a.word_at(index)?.as_bytes()).map_err(WordError::Keyring)?),
    }
}
