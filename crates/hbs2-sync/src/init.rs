//! A new folder: its channel, its keys and its config (spec: cli 8.1).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use hbs2_core::tree::build::build_data;
use hbs2_core::{ChanHead, Encode, EncryptPublicKey, Keyring, SignPublicKey, Signed};
use hbs2_rpc::api::refchan::HeadPost;
use hbs2_rpc::bulk::Upload;

use crate::config::{find_above, first_text, place};
use crate::context::{Context, random};
use crate::error::{Result, SyncError};
use crate::folder::{await_head, own_author};
use crate::link;
use crate::path::OWN;
use crate::state::{self, FolderState};

/// How long peers wait for a quorum, in seconds; that of the channels the original makes.
const WAIT_SECONDS: u64 = 10;

/// Suffixes of the key files that are made here, as in the original.
const CHAN_SUFFIX: &str = "refchan";
const AUTHOR_SUFFIX: &str = "sync";

/// What a new folder is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A new channel with new keys.
    New,
    /// A new channel with these keys of an author and of a reader.
    With(SignPublicKey, EncryptPublicKey),
    /// A channel that there is.
    Join(SignPublicKey),
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The author, if his key was made.
    pub author: Option<SignPublicKey>,
    /// The reader, if his key was made.
    pub reader: Option<EncryptPublicKey>,
    /// The channel, if it was made.
    pub refchan: Option<SignPublicKey>,
    /// The config.
    pub config: PathBuf,
}

/// Makes a folder.
///
/// # Errors
/// It, or one above it, has a config; a key cannot be made or kept; the daemon refuses the head.
pub fn init(ctx: &Context<'_>, dir: &Path, start: Start) -> Result<Made> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| SyncError::File { doing, path, source }
    };
    let dir = fs::canonicalize(dir).map_err(failed("open", dir))?;
    if let Some(config) = find_above(&dir) {
        return Err(SyncError::Exists { config });
    }
    let config = place(&dir);
    let mut made = Made { author: None, reader: None, refchan: None, config: config.clone() };
    let (refchan, sign) = match start {
        Start::Join(chan) => (chan, join(ctx, chan)?),
        Start::With(author, reader) => {
            let chan = new_channel(ctx, author, reader)?;
            made.refchan = Some(chan);
            (chan, Some(author))
        }
        Start::New => {
            let keyring = Keyring::new(&*random()?, &[*random()?]);
            let reader = keyring.encrypt.first().expect("it was made with one").public();
            ctx.keys.add_keyring(&keyring, AUTHOR_SUFFIX)?;
            (made.author, made.reader) = (Some(keyring.public()), Some(reader));
            let chan = new_channel(ctx, keyring.public(), reader)?;
            made.refchan = Some(chan);
            (chan, Some(keyring.public()))
        }
    };
    let own = dir.join(OWN);
    fs::create_dir_all(&own).map_err(failed("make", &own))?;
    let write = || {
        let mut file = fs::File::options().write(true).create_new(true).open(&config)?;
        file.write_all(first_text(&refchan, sign.as_ref()).as_bytes())?;
        file.sync_all()
    };
    write().map_err(failed("write", &config))?;
    if made.refchan.is_some() {
        // Nobody else can have anything of a channel that was made here.
        let state = state::place(&dir);
        fs::create_dir_all(&state).map_err(failed("make", &state))?;
        FolderState::default().save(&dir, &refchan)?;
    }
    Ok(made)
}

/// Makes a channel in which our peer accepts, one author writes and one reader reads.
fn new_channel(ctx: &Context<'_>, author: SignPublicKey, reader: EncryptPublicKey) -> Result<SignPublicKey> {
    let keyring = Keyring::new(&*random()?, &[]);
    let chan = keyring.public();
    let peer = link::own_key(ctx.client)?;
    let head = ChanHead {
        version: 1,
        quorum: 1,
        wait: WAIT_SECONDS,
        peers: peer.map(|peer| BTreeMap::from([(peer, 1)])).unwrap_or_default(),
        authors: BTreeSet::from([author]),
        readers: BTreeSet::from([reader]),
        ..ChanHead::default()
    };
    ctx.keys.add_keyring(&keyring, CHAN_SUFFIX)?;
    link::subscribe(ctx.client, chan)?;
    let mut upload = Upload::new(ctx.client, link::WRITE_TIMEOUT);
    let mut blocks = Vec::new();
    let root =
        build_data(&Signed::sign(&keyring.sign, &head).to_bytes().into(), |_, block| blocks.push(block));
    for block in blocks {
        upload.put(block)?;
    }
    upload.finish()?;
    ctx.client.call::<HeadPost>(&root, link::WRITE_TIMEOUT)?;
    Ok(chan)
}

/// Subscribes to a channel; the author as whom we write there, if its head names one whose key we have.
fn join(ctx: &Context<'_>, chan: SignPublicKey) -> Result<Option<SignPublicKey>> {
    let author = match await_head(ctx, chan)? {
        Some(head) => own_author(ctx, &head)?,
        None => {
            ctx.voice.note(&format!("the head of refchan {chan} has not come yet"));
            return Ok(None);
        }
    };
    if author.is_none() {
        let wrong = SyncError::NoAuthor { chan };
        ctx.voice.note(&format!("{wrong}: what is changed here will not be posted"));
        ctx.voice.note(&format!("hint: {}", wrong.hint().unwrap_or_default()));
    }
    Ok(author)
}
