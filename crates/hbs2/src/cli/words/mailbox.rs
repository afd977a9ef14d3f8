//! Sealed messages, and the policies of mailboxes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hbs2_core::mailbox::{Draft, MessageKey, Policy};
use hbs2_core::sigil::Card;
use hbs2_core::{Encode, Hash, Sigil};
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::error::WordError;
use super::{lines_of, metadata, sigil, sign_key_at, tree};
use crate::cli::world::Cli;
use crate::error::Failure;
use crate::groupkey;
use crate::peer::mailbox::{opened, verified};
use crate::script::around::{path_at, read, text_of};

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:mailbox:message:create:short:file", "FILE", short)
            .brief("a sealed and signed message from a text with a head")
            .text(
                "The file begins with lines 'sender SIGIL' and 'recipient SIGIL', the hashes of stored cards; then an \
                 empty line, then the text. The sender's key is found through hbs2-keyman.",
            )
            .returns("the message, a byte string")
            .example("bytes:write message.bin [hbs2:mailbox:message:create:short:file letter.txt]", ""),
        Word::call("hbs2:mailbox:message:create:multipart", "KW", multipart)
            .brief("a sealed and signed message with attached files")
            .text(
                "KW is a list of pairs, as kw makes it: sender and recipient are hashes of stored cards, body is the \
                 text, each part is a file, which is stored as a tree that the recipients can open. There may be many \
                 recipients and parts.",
            )
            .returns("the message, a byte string")
            .example(
                "hbs2:mailbox:message:create:multipart [kw sender HASH recipient HASH body \"see below\" part a.png]",
                "",
            ),
        Word::call("hbs2:mailbox:message:dump", "HASH|FILE", dump)
            .brief("print who wrote a message, for whom, what is attached, and its text")
            .text("The message is a stored block or a file. The key that opens it is found through hbs2-keyman.")
            .returns("nil"),
        Word::call("hbs2:mailbox:message:read:file", "FILE", |m, a| {
            let path = path_at(m, a, 0)?;
            let bytes = read(m, &path)?;
            text(m, &bytes, &path.display().to_string())
        })
        .brief("the text of a message in a file")
        .returns("a string, or bytes if it is none"),
        Word::call("hbs2:mailbox:message:read:storage", "HASH", |m, a| {
            let hash = super::hash_at(a, 0)?;
            let block = super::block(m, hash)?;
            text(m, &block, &hash.to_string())
        })
        .brief("the text of a stored message")
        .returns("a string, or bytes if it is none"),
        Word::call("hbs2:mailbox:policy:basic:read:syntax", "LIST", |m, a| {
            let policy = policy_at(m, a, 0)?;
            value(m, &policy)
        })
        .brief("a policy from its lines as a list")
        .text("A line is (peer allow all), (sender deny KEY) and so on. What no line names is denied.")
        .returns("the policy: a list of lines, those for all first")
        .example(
            "hbs2:mailbox:policy:basic:dump [hbs2:mailbox:policy:basic:read:syntax '[[peer allow all]]]",
            "(peer allow all)\n(sender deny all)",
        ),
        Word::call("hbs2:mailbox:policy:basic:read:file", "FILE", |m, a| {
            let path = path_at(m, a, 0)?;
            let written = text_of(m, Some(&path))?;
            let policy = parse(&written, &path.display().to_string())?;
            value(m, &policy)
        })
        .brief("a policy from its lines in a file")
        .returns("the policy"),
        Word::call("hbs2:mailbox:policy:basic:read:storage", "HASH", |m, a| {
            let hash = super::hash_at(a, 0)?;
            let content = tree::content(m, hash)?;
            let policy = parse(&String::from_utf8_lossy(&content), &hash.to_string())?;
            value(m, &policy)
        })
        .brief("a policy from its lines in a stored tree")
        .returns("the policy"),
        Word::call("hbs2:mailbox:policy:basic:accept:peer", "KEY POLICY", |m, a| {
            Ok(Datum::Bool(policy_at(m, a, 1)?.allows_peer(&sign_key_at(a, 0)?)))
        })
        .brief("whether messages that this peer brings are taken")
        .returns("#t or #f"),
        Word::call("hbs2:mailbox:policy:basic:accept:sender", "KEY POLICY", |m, a| {
            Ok(Datum::Bool(policy_at(m, a, 1)?.allows_sender(&sign_key_at(a, 0)?)))
        })
        .brief("whether messages of this sender are taken")
        .returns("#t or #f"),
        Word::call("hbs2:mailbox:policy:basic:dump", "POLICY", |m, a| {
            let policy = policy_at(m, a, 0)?;
            m.text(policy.to_string().trim_end())
        })
        .brief("a policy as text, a line for each rule")
        .returns("a string"),
    ]
}

/// A message to be: who writes, for whom, and what.
#[derive(Default)]
struct Letter {
    sender: Option<Hash>,
    recipients: Vec<Hash>,
    body: Vec<u8>,
    parts: Vec<PathBuf>,
}

impl Letter {
    /// Takes in a sender or a recipient; whether the name is one of them.
    fn address(&mut self, name: &str, card: Hash) -> bool {
        match name {
            "sender" => self.sender = Some(card),
            "recipient" => self.recipients.push(card),
            _ => return false,
        }
        true
    }
}

fn short(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let path = path_at(m, a, 0)?;
    let written = text_of(m, Some(&path))?;
    let (head, body) = written.split_once("\n\n").unwrap_or((&written, ""));
    let mut letter = Letter { body: body.as_bytes().to_vec(), ..Letter::default() };
    for line in head.lines() {
        let mut words = line.split_whitespace();
        let pair = words.next().zip(words.next().and_then(|hash| hash.parse().ok()));
        if !pair.is_some_and(|(name, card)| letter.address(name, card)) {
            return Err(WordError::Letter { file: path.display().to_string(), line: line.to_owned() }.into());
        }
    }
    seal(m, &letter)
}

fn multipart(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    const SHAPE: &str = "a list of pairs sender, recipient, body, part";
    let mut letter = Letter::default();
    for row in a.list_at(0)? {
        // A leading word 'dict' is what older programs write.
        if row.as_symbol() == Some("dict") {
            continue;
        }
        let Some([name, value]) = row.as_list() else { return Err(a.wrong(0, SHAPE)) };
        let (Some(name), Some(value)) = (name.as_word(), value.as_word()) else {
            return Err(a.wrong(0, SHAPE));
        };
        match (name.trim_end_matches(':'), value.parse()) {
            ("body", _) => letter.body = value.as_bytes().to_vec(),
            ("part", _) => letter.parts.push(m.world().around.path(value)),
            (name, Ok(card)) if letter.address(name, card) => {}
            _ => return Err(a.wrong(0, SHAPE)),
        }
    }
    seal(m, &letter)
}

/// Seals a letter for its recipients and its sender, with what is attached, and signs it.
fn seal(m: &mut Machine<Cli<'_>>, letter: &Letter) -> Outcome {
    let sender = card(m, letter.sender.ok_or(WordError::NoSender)?)?;
    let recipients =
        letter.recipients.iter().map(|hash| card(m, *hash)).collect::<Result<Vec<_>, Raised>>()?;
    let key = m.world().sign_secret(&sender.sign)?;
    let readers: BTreeSet<_> = recipients.iter().chain([&sender]).map(|card| card.data.encrypt).collect();
    let (group, secret) = groupkey::generate(&readers)?;
    let root = super::groupkey::put(m, &group)?;
    let mut parts = BTreeSet::new();
    for file in &letter.parts {
        parts.insert(metadata::seal_file(m, (root, &secret), file)?);
    }
    let draft = Draft {
        seconds: groupkey::seconds(),
        recipients: recipients.iter().map(|card| card.sign).collect(),
        readers,
        parts,
        body: &letter.body,
    };
    let message = draft.seal_under(&key, &secret, group, |_, _| {}).map_err(WordError::Message)?;
    m.bytes(message.to_bytes())
}

/// A stored card, its signature checked.
fn card(m: &mut Machine<Cli<'_>>, hash: Hash) -> Result<Card, Raised> {
    let stored: Sigil = sigil::load(m, hash)?;
    Ok(stored.verify().map_err(WordError::Sigil)?)
}

/// The text of a message.
fn text(m: &mut Machine<Cli<'_>>, bytes: &[u8], what: &str) -> Outcome {
    let message = verified(bytes, what)?;
    let body = opened(&message, what, m.world().voice)?;
    match std::str::from_utf8(&body) {
        Ok(text) => m.text(text),
        Err(_) => m.bytes(body.to_vec()),
    }
}

fn dump(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let path = path_at(m, a, 0)?;
    let (bytes, what) = match a.word_at(0)?.parse::<Hash>() {
        Ok(hash) if !path.exists() => (super::block(m, hash)?.to_vec(), hash.to_string()),
        _ => (read(m, &path)?, path.display().to_string()),
    };
    let message = verified(&bytes, &what)?;
    let body = opened(&message, &what, m.world().voice)?;
    let content = &message.value;
    let mut head = format!("sender {}\n", message.signer);
    head.extend(content.recipients.iter().map(|key| format!("recipient {key}\n")));
    head.extend(content.parts.iter().map(|hash| format!("attachment {hash}\n")));
    if let MessageKey::Tree(key) = &content.key {
        head += &format!("group-key {key}\n");
    }
    head.push('\n');
    let out = m.world().voice.out();
    out.write_all(head.as_bytes()).and_then(|()| out.write_all(&body)).map_err(Failure::Output)?;
    Ok(Datum::Nil)
}

/// A policy out of its text.
fn parse(written: &str, what: &str) -> Result<Policy, Failure> {
    let wrong = || Failure::told(format!("cannot read the policy in {what}"));
    let lines = hbs2_script::lines(written).map_err(|error| wrong().because(error))?;
    Policy::from_lines(&lines).map_err(|error| wrong().because(error))
}

/// The policy that argument `index` is: a list of lines.
fn policy_at(m: &mut Machine<Cli<'_>>, a: Args<'_>, index: usize) -> Result<Policy, Raised> {
    m.walk(a.at(index))?;
    let lines = lines_of(a.list_at(index)?).ok_or_else(|| a.wrong(index, "a list of lines of a policy"))?;
    let wrong = || Failure::told("cannot read the policy".to_owned());
    Ok(Policy::from_lines(&lines).map_err(|error| wrong().because(error))?)
}

/// A policy as a list of lines.
fn value(m: &mut Machine<Cli<'_>>, policy: &Policy) -> Outcome {
    let forms = m.read_data("the policy", &policy.to_string())?;
    m.list(forms)
}
