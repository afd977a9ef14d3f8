//! Trees with metadata: what their content is called and who may read it.

use std::path::{Path, PathBuf};

use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::sealed::NonceHasher;
use hbs2_core::tree::meta;
use hbs2_core::tree::sealed::BlockCipher;
use hbs2_core::{Crypt, Encode, GroupSecret, Hash, Meta, SealedBlock, order};
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::error::WordError;
use super::tree::annotated_tree;
use super::{block, groupkey, hash_at};
use crate::cli::world::Cli;
use crate::error::Failure;
use crate::groupkey::access::Opening;
use crate::input::Input;
use crate::metadata::{dump, mime};
use crate::script::around::{path_at, read_stdin};
use crate::store::blocks::Purpose;
use crate::store::chunks::{put_annotated, put_chunks};
use crate::voice::Voice;

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    const KW: &str = "KW is a list of pairs, as kw makes it. The pair (gk HASH) names a stored group key: content and metadata \
                      are sealed for its members. The other pairs become lines of the metadata.";
    vec![
        Word::call("hbs2:tree:metadata:string", "KW S", |m: &mut Machine<Cli<'v>>, a| {
            m.walk(a.at(1))?;
            let content = match a.at(1) {
                Datum::Bytes(bytes) => bytes.to_vec(),
                other => other.display().into_bytes(),
            };
            store(m, a, &Content::Bytes(content), Vec::new())
        })
        .brief("store a text or bytes with metadata")
        .text(KW)
        .returns("the hash of the tree")
        .example("hbs2:tree:metadata:string [kw file-name a.txt] \"text\"", "HBmXAqw8TTnWdRWrNYS3qeSpYk3qth2eYRHWAYiyjH1C"),
        Word::call("hbs2:tree:metadata:stdin", "KW", |m: &mut Machine<Cli<'v>>, a| {
            let content = read_stdin(m)?;
            store(m, a, &Content::Bytes(content), Vec::new())
        })
        .brief("store stdin with metadata")
        .text(KW)
        .returns("the hash of the tree"),
        Word::call("hbs2:tree:metadata:file", "KW FILE", |m: &mut Machine<Cli<'v>>, a| {
            let path = path_at(m, a, 1)?;
            let own = of_file(&path, m.world().voice)?;
            store(m, a, &Content::File(path), own)
        })
        .brief("store a file with metadata: its name, its kind and what is said")
        .text(KW)
        .returns("the hash of the tree"),
        Word::call("hbs2:tree:metadata:get", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let hash = hash_at(a, 0)?;
            let blocks = m.world().blocks(Purpose::Read)?;
            let text = dump::text(hash, &Opening::new(None), &blocks, m.world().voice)?;
            let text = text.unwrap_or_default();
            let forms: Vec<_> = text.lines().map(|line| pair(m, line)).collect::<Result<_, Raised>>()?;
            m.list(forms)
        })
        .brief("the metadata of a tree, opened if it is sealed")
        .returns("a list of pairs")
        .example("hbs2:tree:metadata:get HASH", "((mime-type: \"text/plain\") (file-name: \"q.txt\"))"),
        Word::call("hbs2:tree:metadata:get-gk", "HASH", |m: &mut Machine<Cli<'v>>, a| {
            let hash = hash_at(a, 0)?;
            let tree = annotated_tree(hash, &block(m, hash)?)?;
            match tree.crypt {
                Crypt::None => Ok(Datum::Nil),
                crypt => {
                    let key = crypt.group_key().map_err(|source| WordError::Crypt { hash, source })?;
                    m.text(key.to_string())
                }
            }
        })
        .brief("the group key for which a tree is sealed")
        .returns("its hash, or nil"),
        Word::call("hbs2:tree:metadata:update-gk", "HASH CHANGES", update_gk)
            .brief("the same tree for other members of its group")
            .text(
                "CHANGES is as for hbs2:groupkey:update. The content stays as it is; a new head names the new group \
                 key. Who has the old head and the old key can read on.",
            )
            .returns("the hash of the new head"),
    ]
}

/// What is stored. It may have to be read twice: what seals it depends on all of it.
enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Gives content from its start, as much as the room takes at a time; 0 at the end.
type Reader<'c> = Box<dyn FnMut(&mut [u8]) -> Result<usize, Failure> + 'c>;

impl Content {
    fn reader<'c>(&'c self, voice: &mut Voice) -> Result<Reader<'c>, Failure> {
        Ok(match self {
            Self::Bytes(bytes) => {
                let mut rest = bytes.as_slice();
                Box::new(move |room| {
                    let (now, later) = rest.split_at(rest.len().min(room.len()));
                    room[..now.len()].copy_from_slice(now);
                    rest = later;
                    Ok(now.len())
                })
            }
            Self::File(path) => {
                let mut input = Input::open(Some(path), voice)?;
                Box::new(move |room| input.fill(room))
            }
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Bytes(_) => "the content".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// What a file says of itself: its name, and its kind by its first bytes.
fn of_file(path: &Path, voice: &mut Voice) -> Result<Vec<(String, String)>, Failure> {
    let mut start = vec![0; CHUNK_BYTES];
    let count = Input::open(Some(path), voice)?.fill(&mut start)?;
    let kind = mime::of(&start[..count], count < CHUNK_BYTES);
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(vec![("file-name".to_owned(), name), ("mime-type".to_owned(), kind.to_owned())])
}

/// Stores `content` with the pairs of the first argument; those of `own` give way to them.
fn store(m: &mut Machine<Cli<'_>>, a: Args<'_>, content: &Content, own: Vec<(String, String)>) -> Outcome {
    let mut group = None;
    let mut pairs = own;
    for row in a.list_at(0)? {
        m.walk(row)?;
        // A leading word 'dict' is what older programs write.
        if row.as_symbol() == Some("dict") {
            continue;
        }
        let Some([key, value]) = row.as_list() else { return Err(a.wrong(0, "a list of pairs")) };
        let (key, value) = (key.display().trim_end_matches(':').to_owned(), value.display());
        if key == "gk" {
            let hash: Result<Hash, _> = value.parse();
            group =
                Some(hash.map_err(|_| a.wrong(0, "a list of pairs whose gk is the hash of a group key"))?);
            continue;
        }
        let is_line = |text: &str| !text.contains(['\n', '\r']);
        if !is_name(&key) || !is_line(&key) || !is_line(&value) {
            return Err(a.wrong(0, "a list of pairs that make one line each"));
        }
        pairs.retain(|(known, _)| *known != key);
        pairs.push((key, value));
    }
    // The bytes of the text are the name of the tree: they are in the order of the original.
    order::sort_by_table(&mut pairs, |(key, _)| key.as_bytes());
    let text = meta::text(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let root = match group {
        None => plain(m, content, text)?,
        Some(key) => seal(m, key, content, &text)?,
    };
    m.text(root.to_string())
}

/// Names may have colons within, as `web:root` has.
fn is_name(key: &str) -> bool {
    !key.is_empty() && !key.contains(' ') && !key.starts_with(':')
}

fn plain(m: &mut Machine<Cli<'_>>, content: &Content, text: String) -> Result<Hash, Failure> {
    let blocks = m.world().blocks(Purpose::Write)?;
    let voice = &mut *m.world().voice;
    let put = |batch| blocks.put(batch);
    let progress = voice.talk().progress("storing", None);
    let hashes = put_chunks(&mut *content.reader(voice)?, None, &put, &progress)?;
    let root = put_annotated(&hashes, Meta::Short(text), Crypt::None, &put)?;
    blocks.sync()?;
    Ok(root)
}

fn seal(m: &mut Machine<Cli<'_>>, key: Hash, content: &Content, text: &str) -> Result<Hash, Failure> {
    let secret = m.world().group_secret(&key)?;
    seal_under(m, (key, &secret), content, text)
}

/// Stores a file sealed under the secret of a stored group key, with its name and its kind.
pub(super) fn seal_file(
    m: &mut Machine<Cli<'_>>,
    group: (Hash, &GroupSecret),
    path: &Path,
) -> Result<Hash, Failure> {
    let mut pairs = of_file(path, m.world().voice)?;
    order::sort_by_table(&mut pairs, |(key, _)| key.as_bytes());
    let text = meta::text(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    seal_under(m, group, &Content::File(path.to_owned()), &text)
}

fn seal_under(
    m: &mut Machine<Cli<'_>>,
    (key, secret): (Hash, &GroupSecret),
    content: &Content,
    text: &str,
) -> Result<Hash, Failure> {
    let blocks = m.world().blocks(Purpose::Write)?;
    let voice = &mut *m.world().voice;
    let nonce = nonce(content, secret, voice)?;
    let crypt = Crypt::Group1 { key, nonce: nonce.clone() };
    let cipher = BlockCipher::new(secret, &crypt).expect("this crypt is for a group");
    let put = |batch| blocks.put(batch);
    let progress = voice.talk().progress("sealing", None);
    let mut reader = content.reader(voice)?;
    let mut again = NonceHasher::begin(secret);
    let mut fill = |room: &mut [u8]| {
        let count = reader(room)?;
        again.update(&room[..count]);
        Ok(count)
    };
    let hashes = put_chunks(&mut fill, Some(&cipher), &put, &progress)?;
    if again.finish() != nonce {
        // The string would not be for this content alone. The blocks stay without a tree: nobody learns their names.
        return Err(Failure::Changed { file: content.name() });
    }
    let sealed = SealedBlock::seal_meta(secret, key, text).to_bytes();
    let meta = Meta::Block(blocks.put(vec![sealed.into()])?[0]);
    let root = put_annotated(&hashes, meta, crypt, &put)?;
    blocks.sync()?;
    Ok(root)
}

/// The string from which the keys of a sealed tree grow.
fn nonce(content: &Content, secret: &GroupSecret, voice: &mut Voice) -> Result<Vec<u8>, Failure> {
    let mut hasher = NonceHasher::begin(secret);
    let mut reader = content.reader(voice)?;
    let mut room = vec![0; CHUNK_BYTES];
    loop {
        match reader(&mut room)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&room[..count]),
        }
    }
}

/// A line of metadata as a pair, such as `(file-name: "x")`.
fn pair(m: &mut Machine<Cli<'_>>, line: &str) -> Outcome {
    let (key, rest) = line.split_once(": ").unwrap_or((line, ""));
    let value = rest.trim();
    let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
    let pair = vec![m.symbol(format!("{}:", key.trim_end_matches(':')))?, m.text(value)?];
    m.list(pair)
}

fn update_gk(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    let hash = hash_at(a, 0)?;
    let change = groupkey::changes(a, 1)?;
    let mut tree = annotated_tree(hash, &block(m, hash)?)?;
    if tree.crypt == Crypt::None {
        return Err(WordError::NotSealed { hash }.into());
    }
    let failed = |source| WordError::Crypt { hash, source };
    let key = tree.crypt.group_key().map_err(failed)?;
    let secret = m.world().group_secret(&key)?;
    let group = groupkey::load(m, key)?;
    let group = groupkey::changed(&group, &secret, &change)?;
    let key = groupkey::put(m, &group)?;
    tree.crypt.rekey(key).map_err(failed)?;
    let head = tree.to_bytes();
    let hash = Hash::of(&head);
    m.world().put(vec![head.into()])?;
    m.text(hash.to_string())
}
