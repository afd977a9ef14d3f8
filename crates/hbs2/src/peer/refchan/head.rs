//! `hbs2-peer refchan head`: the rules of a channel.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use hbs2_core::limits::CHAN_HEAD_BYTES_MAX;
use hbs2_core::tree::build::build_data;
use hbs2_core::{ChanHead, Encode, Hash, SignPublicKey, SignSecretKey, Signed};
use hbs2_rpc::api::refchan::{HeadFetch, HeadGet, HeadPost};

use super::{Chan, head_box, head_root, open_head, read_head};
use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::input::Input;
use crate::keys;
use crate::store::blocks::Blocks;
use crate::voice::Voice;

mod edit;

/// The rules of a channel: change, write, sign, publish and show them
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Edit(edit::Words),
    Gen(GenWords),
    Dump(DumpWords),
    Post(PostWords),
    /// Ask other peers for the head now; returns at once
    Fetch(Chan),
    /// Print the hash of the tree of the head
    #[command(after_long_help = "Exit status: 0 printed; 1 no head is known.")]
    Get(Chan),
}

/// Sign a head; prints the signed box as raw bytes
///
/// The text is read from FILE or stdin, the secret key from the keyring file that hbs2-keyman knows for CHAN.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The text has one line for each rule:
  (version 1)            must grow with each new head
  (quorum 1)             peers that must accept a proposal
  (wait 10)              how long peers wait for that, in seconds
  (peer \"KEY\" 1)         may bring and accept proposals; the number has no meaning
  (author \"KEY\")         may write
  (reader \"KEY\")         encryption key for which programs encrypt
  (notifier \"KEY\")       may send notices; authors may too
  (disclosed \"HASH\")     published credentials

Example:
  hbs2-peer refchan head gen head.txt CHAN | hbs2 store      prints HASH
  hbs2-peer refchan head post HASH

To change the head of a channel there is 'hbs2-peer refchan head edit'.")]
pub(crate) struct GenWords {
    /// File with the text [default: stdin], and the public key of the channel
    #[arg(value_names = ["FILE] [CHAN"], num_args = 1..=2, required = true)]
    words: Vec<OsString>,
}

/// Show a head as text: of a channel, in a file or from stdin
///
/// For a channel the first line is the hash of the tree of its head.
#[derive(Debug, clap::Args)]
pub(crate) struct DumpWords {
    /// Public key of the channel
    #[arg(conflicts_with = "file")]
    chan: Option<SignPublicKey>,
    /// File with the signed box
    #[arg(short, long)]
    file: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// Publish a signed head that was stored with 'hbs2 store'
#[derive(Debug, clap::Args)]
pub(crate) struct PostWords {
    /// Hash of the tree of the signed box
    hash: Hash,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; the text, the box or the version is wrong; no secret key.
pub(super) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Edit(words) => edit::run(words, voice),
        Words::Gen(words) => sign(words, voice),
        Words::Dump(words) => dump(words, voice),
        Words::Post(words) => post(words, voice),
        Words::Fetch(words) => Daemon::reach(&words.reach)?.ask::<HeadFetch>(&words.chan),
        Words::Get(words) => {
            voice.line(head_root(&Daemon::reach(&words.reach)?, words.chan)?)?;
            Ok(())
        }
    }
}

fn sign(words: &GenWords, voice: &mut Voice) -> Result<(), Failure> {
    let (chan, file) = words.words.split_last().expect("the usage asks for one word");
    let chan: SignPublicKey = chan
        .to_str()
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| Failure::told(format!("{} is no public key of a channel", chan.display())))?;
    let input = Input::open(file.first().map(Path::new), voice)?;
    let what = input.name();
    let head = parse(&input.all(CHAN_HEAD_BYTES_MAX)?, &what)?;
    let signed = Signed::sign(&keys::secret(&chan, voice.talk())?, &head);
    voice.out().write_all(&signed.to_bytes())?;
    Ok(())
}

/// Reads the text of a head. `what` names it in errors.
///
/// # Errors
/// It is no head.
pub(crate) fn parse(text: &[u8], what: &str) -> Result<ChanHead, Failure> {
    let wrong = || Failure::told(format!("cannot read the head in {what}"));
    let text = std::str::from_utf8(text).map_err(|error| wrong().because(error))?;
    let lines = hbs2_script::lines(text).map_err(|error| wrong().because(error))?;
    ChanHead::from_lines(&lines).map_err(|error| wrong().because(error))
}

fn dump(words: &DumpWords, voice: &mut Voice) -> Result<(), Failure> {
    let (signer, head) = match words.chan {
        Some(chan) => {
            let (root, head) = read_head(&Daemon::reach(&words.reach)?, chan)?;
            voice.line(root)?;
            (chan, head)
        }
        None => {
            let input = Input::open(words.file.as_deref(), voice)?;
            let what = input.name();
            open_head(&input.all(CHAN_HEAD_BYTES_MAX)?, &what)?
        }
    };
    voice.line(format_args!("; refchan {signer}\n{head}"))?;
    Ok(())
}

fn post(words: &PostWords, voice: &mut Voice) -> Result<(), Failure> {
    let (chan, version) = publish(&Daemon::reach(&words.reach)?, words.hash)?;
    voice.talk().detail(format_args!("published version {version} of the head of refchan {chan}"));
    Ok(())
}

/// Signs a head as its channel, stores it as a tree and publishes it; answers the root of the tree.
///
/// # Errors
/// The peer does not answer, or knows a head that is as new.
pub(crate) fn issue(daemon: &Daemon, secret: &SignSecretKey, head: &ChanHead) -> Result<Hash, Failure> {
    let mut built = Vec::new();
    let root = build_data(&Signed::sign(secret, head).to_bytes().into(), |_, block| built.push(block));
    let blocks = Blocks::behind(daemon.clone());
    blocks.put(built)?;
    blocks.sync()?;
    publish(daemon, root)?;
    Ok(root)
}

/// Publishes a head that is stored as a tree; answers its channel and its version. The daemon of the original answers
/// whatever becomes of the head, ours cannot say why not: so look first.
///
/// # Errors
/// It is no head, or not newer than the one that counts.
pub(crate) fn publish(daemon: &Daemon, root: Hash) -> Result<(SignPublicKey, u64), Failure> {
    let bytes = head_box(&Blocks::behind(daemon.clone()), root)?;
    let (chan, head) = open_head(&bytes, &root.to_string())?;
    let known = match daemon.ask::<HeadGet>(&chan)? {
        Some(_) => read_head(daemon, chan).map_or(0, |(_, head)| head.version),
        None => 0,
    };
    if head.version <= known {
        let message = format!(
            "version {} does not replace the head of refchan {chan} which has version {known}",
            head.version
        );
        return Err(Failure::told(message)
            .hinted(format!("take (version {}) or a higher one", known.saturating_add(1))));
    }
    daemon.ask::<HeadPost>(&root)?;
    Ok((chan, head.version))
}
