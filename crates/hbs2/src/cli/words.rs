//! The words of HBS2: thin, over the libraries that the other programs use (spec: cli 6).

use bytes::Bytes;
use hbs2_core::{EncryptPublicKey, Hash, SignPublicKey};
use hbs2_script::word::{Word, group};
use hbs2_script::{Args, Datum, Machine, Raised};

use super::world::Cli;
use crate::error::Failure;
use crate::script::around::read_stdin;
use crate::store::blocks::Purpose;

pub mod base58;
pub mod error;
pub mod groupkey;
pub mod keys;
pub mod lwwref;
pub mod mailbox;
pub mod metadata;
pub mod peer;
pub mod refchan;
pub mod reflog;
pub mod sigil;
pub mod tree;

/// All of them.
#[must_use]
pub fn all<'v>() -> Vec<Word<Cli<'v>>> {
    [
        group("Hashes and base58", base58::words()),
        group("Keys", keys::words()),
        group("Group keys", groupkey::words()),
        group("Sigils", sigil::words()),
        group("Trees", tree::words()),
        group("Trees with metadata", metadata::words()),
        group("The peer", peer::words()),
        group("Lwwrefs", lwwref::words()),
        group("Reflogs", reflog::words()),
        group("Refchans", refchan::words()),
        group("Mailboxes", mailbox::words()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The hash that argument `index` is.
///
/// # Errors
/// It is none.
pub fn hash_at(a: Args<'_>, index: usize) -> Result<Hash, Raised> {
    a.word_at(index)?.parse().map_err(|_| a.wrong(index, "a hash in base58"))
}

/// The data that argument `index` is: those of a string or of bytes, or all of stdin when it is the symbol `stdin`.
///
/// # Errors
/// It is something else, or stdin cannot be read.
pub fn data_at(m: &mut Machine<Cli<'_>>, a: Args<'_>, index: usize) -> Result<Vec<u8>, Raised> {
    match a.at(index).as_symbol() {
        Some("stdin") => read_stdin(m),
        _ => Ok(a.bytes_at(index)?.to_vec()),
    }
}

/// The signing key that argument `index` is.
///
/// # Errors
/// It is none.
pub fn sign_key_at(a: Args<'_>, index: usize) -> Result<SignPublicKey, Raised> {
    a.word_at(index)?.parse().map_err(|_| a.wrong(index, "a public signing key in base58"))
}

/// The encryption key that a text of argument `index` is.
///
/// # Errors
/// It is none.
pub fn encrypt_key(a: Args<'_>, index: usize, value: &Datum) -> Result<EncryptPublicKey, Raised> {
    let key = value.as_word().and_then(|text| text.parse().ok());
    key.ok_or_else(|| a.wrong(index, "a public encryption key in base58"))
}

/// Lines of words out of a list of lists; none when it is something else.
#[must_use]
pub fn lines_of(lines: &[Datum]) -> Option<Vec<Vec<String>>> {
    let word = |word: &Datum| match word {
        Datum::Int(number) => Some(number.to_string()),
        other => other.as_word().map(str::to_owned),
    };
    lines.iter().map(|line| line.as_list()?.iter().map(word).collect()).collect()
}

/// A block that must be here.
///
/// # Errors
/// It is missing, or the storage fails.
pub fn block(m: &mut Machine<Cli<'_>>, hash: Hash) -> Result<Bytes, Failure> {
    m.world().blocks(Purpose::Read)?.get(&hash)?.ok_or(Failure::MissedBlock { hash })
}
