//! Sigils: cards with which people tell their keys.

use hbs2_core::sigil::Card;
use hbs2_core::{Encode, Hash, Sigil, SigilData};
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::error::WordError;
use crate::cli::world::Cli;
use crate::keys;
use crate::script::around::{path_at, read};

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:sigil:create:from-keyring", "FILE [KEY]", create)
            .brief("make the card of the owner of a keyring")
            .text("KEY says which encryption key is on it: a number from 1, or how the key begins. Without it, the first.")
            .returns("the text of a sigil file"),
        Word::call("hbs2:sigil:parse", "TEXT", |m, a| {
            let card = verify(a.word_at(0)?.as_bytes())?;
            form(m, &card)
        })
        .brief("what a card says; its signature is checked")
        .returns("a form (sigil (sign-pubkey KEY) (encrypt-pubkey KEY) …)"),
        Word::call("hbs2:sigil:sign-pubkey", "SIGIL", |m, a| field(m, a, "sign-pubkey"))
            .brief("the signing key on a card")
            .text("SIGIL is what hbs2:sigil:parse gives, or the text of a sigil file.")
            .returns("a key"),
        Word::call("hbs2:sigil:encrypt-pubkey", "SIGIL", |m, a| field(m, a, "encrypt-pubkey"))
            .brief("the encryption key on a card")
            .text("SIGIL is what hbs2:sigil:parse gives, or the text of a sigil file.")
            .returns("a key"),
        Word::call("hbs2:sigil:store:file", "FILE", |m: &mut Machine<Cli<'v>>, a| {
            let path = path_at(m, a, 0)?;
            let sigil = Sigil::parse(&read(m, &path)?).map_err(WordError::Sigil)?;
            sigil.verify().map_err(WordError::Sigil)?;
            let block = sigil.to_bytes();
            let hash = Hash::of(&block);
            m.world().put(vec![block.into()])?;
            m.text(hash.to_string())
        })
        .brief("store the card in a file, as one block")
        .returns("its hash"),
        Word::call("hbs2:sigil:load:base58", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let hash = super::hash_at(a, 0)?;
            let sigil = load(m, hash)?;
            m.text(sigil.to_text())
        })
        .brief("a stored card")
        .returns("the text of a sigil file"),
    ]
}

/// A stored card: one block, or a tree with the text of its file.
pub(super) fn load(m: &mut Machine<Cli<'_>>, hash: Hash) -> Result<Sigil, Raised> {
    match Sigil::parse(&super::block(m, hash)?) {
        Ok(sigil) => Ok(sigil),
        Err(_) => Ok(Sigil::parse(&super::tree::content(m, hash)?).map_err(WordError::Sigil)?),
    }
}

fn create(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let path = path_at(m, a, 0)?;
    let keyring = keys::read(Some(&path), m.world().voice)?;
    let wanted = a.get(1).map_or_else(|| "1".to_owned(), Datum::display);
    let number = wanted.parse::<usize>().ok();
    let found = keyring.encrypt.iter().enumerate().find(|(at, entry)| match number {
        Some(number) => at + 1 == number,
        None => entry.public().to_string().starts_with(&wanted),
    });
    let (_, entry) = found.ok_or(WordError::NoEncryptKey { wanted })?;
    let data = SigilData { encrypt: entry.public(), info: None, ext: None };
    m.text(Sigil::sign(&keyring.sign, &data).to_text())
}

fn verify(file: &[u8]) -> Result<Card, WordError> {
    Sigil::parse(file).and_then(|sigil| sigil.verify()).map_err(WordError::Sigil)
}

fn form(m: &mut Machine<Cli<'_>>, card: &Card) -> Outcome {
    let mut fields =
        vec![("sign-pubkey", card.sign.to_string()), ("encrypt-pubkey", card.data.encrypt.to_string())];
    fields.extend(card.data.info.clone().map(|info| ("info", info)));
    fields.extend(card.data.ext.map(|ext| ("ext", ext.to_string())));
    let mut values = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let value = m.text(value)?;
        values.push(m.tagged(name, vec![value])?);
    }
    m.tagged("sigil", values)
}

fn field(m: &mut Machine<Cli<'_>>, a: Args<'_>, name: &str) -> Outcome {
    let parsed;
    let card = match a.at(0).as_word() {
        Some(text) => {
            let card = verify(text.as_bytes())?;
            parsed = form(m, &card)?;
            &parsed
        }
        None => a.at(0),
    };
    let wrong = || -> Raised { a.wrong(0, "a form (sigil …)") };
    let fields = card.as_list().ok_or_else(wrong)?;
    let value = fields.iter().find_map(|field| match field.as_list() {
        Some([key, value]) if key.as_symbol() == Some(name) => Some(value.clone()),
        _ => None,
    });
    value.ok_or_else(wrong)
}
