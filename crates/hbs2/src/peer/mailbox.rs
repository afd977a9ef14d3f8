//! `hbs2-peer mailbox`: messages kept for a key.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Subcommand;
use hbs2_core::limits::POLICY_BYTES_MAX;
use hbs2_core::mailbox::{Deletion, MailboxStatus, MessageContent, MessageKey, Policy, PolicySetting};
use hbs2_core::tree::build::build_data;
use hbs2_core::{Decode, Encode, Hash, Message, SignPublicKey, Signed, Verified};
use hbs2_rpc::api::mailbox::{
    Create, Delete, DeleteMessages, Fetch, Get, GetStatus, List, MailboxKey, Poke, Send, SetPolicy,
};
use zeroize::Zeroizing;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::input::{Input, STDIN};
use crate::keys;
use crate::store::blocks::Blocks;
use crate::voice::Voice;

mod messages;

/// Longest message, in bytes: it travels as one packet. Attachments are trees of their own.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024 - 1024;

/// Sealed messages that peers keep for a key until its owner reads them
///
/// A mailbox is named by the public key of its owner. Peers that keep it take messages that its policy allows; without
/// a policy they take none.
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Create(CreateWords),
    /// Keep a mailbox here no more; its entries are forgotten
    Delete(Key),
    List(ListWords),
    /// Print the root hash of the entries of a mailbox
    #[command(after_long_help = "Exit status: 0 printed; 1 the mailbox is empty or not kept here.")]
    Get(Key),
    /// Show how a mailbox is: its type, its entries, its policy
    Status(Key),
    /// Ask other peers for a mailbox now; returns at once
    Fetch(Key),
    Send(SendWords),
    /// List the messages of a mailbox that are not deleted, one hash a line
    #[command(name = "list:messages")]
    ListMessages(Key),
    Read(ReadWords),
    #[command(name = "delete:message")]
    DeleteMessage(DeleteMessageWords),
    SetPolicy(SetPolicyWords),
    Poke(PokeWords),
    Hey(HeyWords),
}

/// Keep a mailbox here from now on
#[derive(Debug, clap::Args)]
pub(crate) struct CreateWords {
    /// Public key of the mailbox
    #[arg(short, long)]
    key: SignPublicKey,
    /// hub keeps messages for the owner, relay passes them on
    #[arg(value_parser = ["hub", "relay"], value_name = "hub|relay")]
    kind: String,
    #[command(flatten)]
    reach: Reach,
}

// Without a doc comment: it would replace the help of the commands that take it.
#[derive(Debug, clap::Args)]
pub(crate) struct Key {
    /// Public key of the mailbox
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// List the mailboxes that are kept here: key and type
#[derive(Debug, clap::Args)]
pub(crate) struct ListWords {
    #[command(flatten)]
    reach: Reach,
}

/// Send a message that is ready: from stdin, a file or the storage
#[derive(Debug, clap::Args)]
pub(crate) struct SendWords {
    /// Hash of a stored message
    #[arg(required_unless_present_any = ["stdin", "file"], conflicts_with_all = ["stdin", "file"])]
    hash: Option<Hash>,
    /// Read the message from stdin
    #[arg(long, conflicts_with = "file")]
    stdin: bool,
    /// Read the message from a file
    #[arg(long)]
    file: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// Print the text of a message
///
/// The keys that may open it are read from the keyring files that hbs2-keyman knows.
#[derive(Debug, clap::Args)]
pub(crate) struct ReadWords {
    /// Hash of the message
    hash: Hash,
    #[command(flatten)]
    reach: Reach,
}

/// Delete a message, at all peers that keep the mailbox
///
/// The secret key is read from the keyring file that hbs2-keyman knows for KEY.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteMessageWords {
    /// Public key of the mailbox
    key: SignPublicKey,
    /// Hash of the message
    hash: Hash,
    #[command(flatten)]
    reach: Reach,
}

/// Say whose messages a mailbox takes; prints the hash of the policy
///
/// The secret key is read from the keyring file that hbs2-keyman knows for KEY.
#[derive(Debug, clap::Args)]
#[command(
    name = "set-policy",
    after_long_help = "\
The file has one rule a line; what no rule names is denied, and a rule for a key goes before one for all:
  peer allow all         peers that may bring messages
  sender allow KEY       people who may write
  sender deny KEY

Example:
  hbs2-peer mailbox set-policy KEY 1 policy.txt"
)]
pub(crate) struct SetPolicyWords {
    /// Public key of the mailbox
    key: SignPublicKey,
    /// Number of the policy, higher than that of the one before
    version: u32,
    /// File with the rules
    file: PathBuf,
    #[command(flatten)]
    reach: Reach,
}

/// Is the service there?
#[derive(Debug, clap::Args)]
pub(crate) struct PokeWords {
    #[command(flatten)]
    reach: Reach,
}

/// Print hey, if the service is there
#[derive(Debug, clap::Args)]
pub(crate) struct HeyWords {
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; those of the command.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Create(words) => {
            let kind = words.kind.parse().expect("the usage takes the names of kinds only");
            Daemon::reach(&words.reach)?.ask::<Create>(&(MailboxKey(words.key), kind))
        }
        Words::Delete(words) => delete(words),
        Words::List(words) => list(words, voice),
        Words::Get(words) => get(words, voice),
        Words::Status(words) => show_status(words, voice),
        Words::Fetch(words) => {
            let daemon = Daemon::reach(&words.reach)?;
            status(&daemon, words.key)?;
            daemon.ask::<Fetch>(&MailboxKey(words.key))
        }
        Words::Send(words) => send(words, voice),
        Words::ListMessages(words) => messages::list(&Daemon::reach(&words.reach)?, words.key, voice),
        Words::Read(words) => read(words, voice),
        Words::DeleteMessage(words) => delete_message(words, voice),
        Words::SetPolicy(words) => set_policy(words, voice),
        Words::Poke(words) => Daemon::reach(&words.reach)?.ask::<Poke>(&()),
        Words::Hey(words) => {
            Daemon::reach(&words.reach)?.ask::<Poke>(&())?;
            Ok(voice.line("hey")?)
        }
    }
}

/// How a mailbox is; an error when it is not kept here.
fn status(daemon: &Daemon, key: SignPublicKey) -> Result<MailboxStatus, Failure> {
    let status = daemon.ask::<GetStatus>(&MailboxKey(key))?.0;
    let status =
        status.map_err(|fault| Failure::told(format!("cannot look at mailbox {key}")).because(fault))?;
    status.ok_or_else(|| {
        let hint = format!("keep it with: hbs2-peer mailbox create --key {key} hub");
        Failure::told(format!("mailbox {key} is not kept here")).hinted(hint)
    })
}

fn delete(words: &Key) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    status(&daemon, words.key)?;
    daemon.ask::<Delete>(&MailboxKey(words.key))
}

fn list(words: &ListWords, voice: &mut Voice) -> Result<(), Failure> {
    for (MailboxKey(key), kind) in Daemon::reach(&words.reach)?.ask::<List>(&())? {
        voice.line(format_args!("{key:<44} {kind}"))?;
    }
    Ok(())
}

fn get(words: &Key, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let Some(root) = daemon.ask::<Get>(&MailboxKey(words.key))? else {
        status(&daemon, words.key)?;
        return Err(Failure::told(format!("mailbox {} is empty", words.key)));
    };
    voice.line(root)?;
    Ok(())
}

fn show_status(words: &Key, voice: &mut Voice) -> Result<(), Failure> {
    voice.line(shape(&status(&Daemon::reach(&words.reach)?, words.key)?))?;
    Ok(())
}

/// The printed form of a status (spec: cli 4.7).
fn shape(status: &MailboxStatus) -> String {
    let mut lines = vec![
        format!("(nonce {})", status.seconds),
        format!("(key {})", status.mailbox),
        format!("(type {})", status.kind),
    ];
    lines.extend(status.tree.map(|tree| format!("(mailbox-tree {tree})")));
    if let Some(signed) = &status.policy {
        lines.push(format!("(set-policy-payload-hash {})", Hash::of(&signed.to_bytes())));
        if let Ok(opened) = signed.verify() {
            let PolicySetting { version, policy, .. } = opened.value;
            lines.push(format!("(set-policy-payload\n     [(version {version})\n      (ref {policy})])"));
        }
    }
    format!("(mailbox-status\n  [{}])", lines.join("\n   "))
}

fn send(words: &SendWords, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let (bytes, what) = match (words.hash, &words.file) {
        (Some(hash), _) => {
            let block = Blocks::behind(daemon.clone()).get(&hash)?.ok_or(Failure::MissedBlock { hash })?;
            (block, hash.to_string())
        }
        (None, file) => {
            let what = file.as_ref().map_or_else(|| STDIN.to_owned(), |file| file.display().to_string());
            (Input::open(file.as_deref(), voice)?.all(MESSAGE_BYTES_MAX)?.into(), what)
        }
    };
    let message = open(&bytes, &what)?;
    daemon.ask::<Send>(&message)?;
    voice.talk().detail(format_args!("sent message {}", message.id()));
    Ok(())
}

/// A message whose signature is good.
fn open(bytes: &Bytes, what: &str) -> Result<Message, Failure> {
    let message = Message::from_bytes(bytes)
        .map_err(|error| Failure::told(format!("{what} is no message")).because(error))?;
    message
        .verify()
        .map_err(|error| Failure::told(format!("cannot believe the message in {what}")).because(error))?;
    Ok(message)
}

/// What is in a message whose signature is good, and who wrote it. `what` names it in errors.
///
/// # Errors
/// It is no message, or a false one.
pub(crate) fn verified(bytes: &[u8], what: &str) -> Result<Verified<MessageContent>, Failure> {
    let bytes = Bytes::copy_from_slice(bytes);
    open(&bytes, what)?
        .verify()
        .map_err(|error| Failure::told(format!("cannot read the message in {what}")).because(error))
}

/// The text of a message, opened with the keys that hbs2-keyman knows.
///
/// # Errors
/// None of them opens it.
pub(crate) fn opened(
    message: &Verified<MessageContent>,
    what: &str,
    voice: &Voice,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let MessageKey::Inline(key) = &message.value.key else {
        return Err(Failure::told(format!("the group key of message {what} is not within it")));
    };
    let secret = crate::keyman::index_with(voice.talk())?.open_group_key(key)?.ok_or_else(|| {
        Failure::told(format!("no key that opens message {what} is known"))
            .hinted(hbs2_keyman::NOT_FOUND_HINT)
    })?;
    let body = message.value.body.open_bytes(&secret.secret);
    body.map_err(|error| Failure::told(format!("cannot read message {what}")).because(error))
}

fn read(words: &ReadWords, voice: &mut Voice) -> Result<(), Failure> {
    let hash = words.hash;
    let block =
        Blocks::behind(Daemon::reach(&words.reach)?).get(&hash)?.ok_or(Failure::MissedBlock { hash })?;
    let what = hash.to_string();
    let text = opened(&verified(&block, &what)?, &what, voice)?;
    voice.out().write_all(&text)?;
    Ok(())
}

fn delete_message(words: &DeleteMessageWords, voice: &Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let signed = Signed::sign(&keys::secret(&words.key, voice.talk())?, &Deletion::of(words.hash));
    let deleted = daemon.ask::<DeleteMessages>(&signed)?.0;
    deleted.map_err(|fault| Failure::told(format!("cannot delete message {}", words.hash)).because(fault))
}

fn set_policy(words: &SetPolicyWords, voice: &mut Voice) -> Result<(), Failure> {
    let (key, daemon) = (words.key, Daemon::reach(&words.reach)?);
    let wrong = || Failure::told(format!("cannot read the policy in {}", words.file.display()));
    let bytes = Input::open(Some(&words.file), voice)?.all(POLICY_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|error| wrong().because(error))?;
    let lines = hbs2_script::lines(&text).map_err(|error| wrong().because(error))?;
    Policy::from_lines(&lines).map_err(|error| wrong().because(error))?;
    let secret = keys::secret(&key, voice.talk())?;
    let known = status(&daemon, key)?.policy.and_then(|signed| signed.verify().ok());
    if let Some(known) = known.map(|opened| opened.value.version).filter(|known| words.version <= *known) {
        let message = format!(
            "version {} does not replace the policy of mailbox {key} which has version {known}",
            words.version
        );
        return Err(
            Failure::told(message).hinted(format!("take {} or a higher number", known.saturating_add(1)))
        );
    }
    let normal: String = lines.iter().map(|line| format!("({})\n", line.join(" "))).collect();
    let mut built = Vec::new();
    let policy = build_data(&Bytes::from(normal), |_, block| built.push(block));
    let blocks = Blocks::behind(daemon.clone());
    blocks.put(built)?;
    blocks.sync()?;
    let setting = PolicySetting { mailbox: key, version: words.version, policy };
    let set = daemon.ask::<SetPolicy>(&(MailboxKey(key), Signed::sign(&secret, &setting)))?.0;
    let hash =
        set.map_err(|fault| Failure::told(format!("cannot set the policy of mailbox {key}")).because(fault))?;
    voice.line(hash)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use hbs2_core::mailbox::MailboxKind;

    use super::*;

    #[test]
    fn a_status_is_printed_in_the_shape_of_the_spec() {
        let secret = hbs2_core::SignSecretKey::from_seed(&[1; 32]);
        let (mailbox, tree) = (secret.public(), Hash::of(b"tree"));
        let setting = PolicySetting { mailbox, version: 1, policy: tree };
        let signed = Signed::sign(&secret, &setting);
        let boxed = Hash::of(&signed.to_bytes());
        let mut status = MailboxStatus {
            seconds: 123,
            mailbox,
            kind: MailboxKind::Hub,
            tree: Some(tree),
            policy: Some(signed),
        };
        let expected = format!(
            "(mailbox-status\n  [(nonce 123)\n   (key {mailbox})\n   (type hub)\n   (mailbox-tree {tree})\n   \
             (set-policy-payload-hash {boxed})\n   (set-policy-payload\n     [(version 1)\n      (ref {tree})])])"
        );
        assert_eq!(shape(&status), expected);
        (status.tree, status.policy) = (None, None);
        assert_eq!(
            shape(&status),
            format!("(mailbox-status\n  [(nonce 123)\n   (key {mailbox})\n   (type hub)])")
        );
    }
}
