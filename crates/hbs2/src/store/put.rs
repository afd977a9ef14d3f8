//! `hbs2 store`: a file or stdin becomes a tree of blocks.

use std::path::{Path, PathBuf};

use hbs2_core::sealed::NonceHasher;
use hbs2_core::tree::meta;
use hbs2_core::tree::sealed::BlockCipher;
use hbs2_core::{Crypt, Encode, EncryptPublicKey, Hash, Meta, SealedBlock, base58};

use super::blocks::{Blocks, Place, Purpose};
use super::chunks::{put_annotated, put_chunks, put_tree};
use super::spool::Twice;
use crate::error::Failure;
use crate::groupkey;
use crate::groupkey::access::{self, Opening};
use crate::input::Input;
use crate::voice::Voice;

/// Store a file or stdin, and print the hash that names it
///
/// The data is cut into blocks of 256 KiB under a Merkle tree; the hash is that of the tree. Equal data has an
/// equal hash and is stored once. Everything is on stable storage when the hash is printed.
/// With --groupkey the blocks are sealed: everybody can carry them, the members of the group alone read them. The
/// group key is stored with them. The data is read twice; what comes through a pipe is kept meanwhile, sealed, in a
/// file without a name under $TMPDIR.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2 store notes.txt
  tar c src | hbs2 store
  hbs2 cat $(hbs2 store notes.txt)     read it back
  hbs2 store --groupkey group.gk f     seal it for a group, see: hbs2 groupkey --help
  hbs2-peer announce HASH              tell other peers about it

Where data goes:
  With -p, into that directory. Otherwise to the running peer; when none answers, into the
  storage that the peer's config names, or ~/.local/share/hbs2.

Exit status: 0 stored; 1 not.")]
pub struct Words {
    /// File to store; stdin if absent
    file: Option<PathBuf>,
    /// Seal the data with this group key
    #[arg(short, long, value_name = "FILE")]
    groupkey: Option<PathBuf>,
    /// Keyring of a member of the group [default: what hbs2-keyman knows]
    #[arg(short, long, value_name = "FILE", requires = "groupkey")]
    keyring: Option<PathBuf>,
    /// Public key of the member as whom the group key is opened [default: any]
    #[arg(short = 'P', long, value_name = "KEY", requires = "groupkey")]
    public_key: Option<EncryptPublicKey>,
    /// Metadata text of the tree, in base58; sealed if the data is
    #[arg(long, value_name = "TEXT", value_parser = meta_text)]
    short_meta_base58: Option<MetaText>,
    /// Make the storage if there is none, and store nothing
    #[arg(long, conflicts_with_all = ["file", "groupkey", "short_meta_base58"])]
    init: bool,
    #[command(flatten)]
    place: Place,
}

/// The text behind `--short-meta-base58`.
#[derive(Debug, Clone)]
struct MetaText(String);

fn meta_text(word: &str) -> Result<MetaText, base58::Base58Error> {
    base58::decode(word).map(|bytes| MetaText(meta::from_latin1(&bytes)))
}

/// Runs the command.
///
/// # Errors
/// The input cannot be read, the group key cannot be opened, the storage cannot be opened or written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    if words.init {
        Blocks::open(&words.place, Purpose::Write, voice)?.sync()?;
        voice.line("initialized")?;
        return Ok(());
    }
    let root = match &words.groupkey {
        None => plain(words, voice)?,
        Some(file) => sealed(words, file, voice)?,
    };
    voice.line(root)?;
    Ok(())
}

fn plain(words: &Words, voice: &mut Voice) -> Result<Hash, Failure> {
    let mut input = Input::open(words.file.as_deref(), voice)?;
    let blocks = Blocks::open(&words.place, Purpose::Write, voice)?;
    let put = |batch| blocks.put(batch);
    let progress = voice.talk().progress("storing", input.bytes());
    let hashes = put_chunks(&mut |room| input.fill(room), None, &put, &progress)?;
    let root = match &words.short_meta_base58 {
        None => put_tree(&hashes, &put)?,
        Some(MetaText(text)) => put_annotated(&hashes, Meta::Short(text.clone()), Crypt::None, &put)?,
    };
    blocks.sync()?;
    Ok(root)
}

fn sealed(words: &Words, group_file: &Path, voice: &mut Voice) -> Result<Hash, Failure> {
    let group = groupkey::read(Some(group_file), voice)?;
    let opening = Opening::new(words.keyring.as_deref()).only(words.public_key);
    let secret = opening.secret(&group, voice)?;

    let input = Input::open(words.file.as_deref(), voice)?;
    let (name, bytes) = (input.name(), input.bytes());
    let mut content = Twice::new(input);
    let progress = voice.talk().progress("reading", bytes);
    let mut hasher = NonceHasher::begin(&secret);
    content.first(|chunk| {
        hasher.update(chunk);
        progress.add(chunk.len() as u64);
    })?;
    let nonce = hasher.finish();
    drop(progress);

    let blocks = Blocks::open(&words.place, Purpose::Write, voice)?;
    let put = |batch| blocks.put(batch);
    let key = access::put(&group, &blocks)?;
    let crypt = Crypt::Group1 { key, nonce: nonce.clone() };
    let cipher = BlockCipher::new(&secret, &crypt).expect("this crypt is for a group");
    let progress = voice.talk().progress("sealing", bytes);
    let mut again = NonceHasher::begin(&secret);
    let mut fill = |room: &mut [u8]| {
        let count = content.fill(room)?;
        again.update(&room[..count]);
        Ok(count)
    };
    let hashes = put_chunks(&mut fill, Some(&cipher), &put, &progress)?;
    if again.finish() != nonce {
        // The string would not be for this content alone. The blocks stay without a tree: nobody learns their names.
        return Err(Failure::Changed { file: name });
    }
    let meta = match &words.short_meta_base58 {
        None => Meta::None,
        Some(MetaText(text)) => {
            let block = SealedBlock::seal_meta(&secret, key, text).to_bytes();
            Meta::Block(blocks.put(vec![block.into()])?[0])
        }
    };
    let root = put_annotated(&hashes, meta, crypt, &put)?;
    blocks.sync()?;
    Ok(root)
}
