//! Real git with repositories in storage folders: no daemon, no network, no configuration of the machine.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use hbs2_core::tree::{build, walk};
use hbs2_core::{Encode, Hash, Keyring, LwwRef, ReflogUpdate, Shape, SignPublicKey, SignSecretKey, Signed};
use hbs2_git::keys::Keys;
use hbs2_git::link::{Guard, Link, LinkError, Posted};
use hbs2_git::manifest::annotated;
use hbs2_git::object::{ObjectId, ObjectKind};
use hbs2_git::refs::{self, RefLine};
use hbs2_git::segment::{RecordKind, RecordReader, write_record};
use hbs2_git::testing::{Folder, KeyFolder};
use hbs2_git::transaction::{Payload, Transaction};
use hbs2_git::voice::Silent;
use hbs2_git::{Context, GitDir, Repository, Settings, context, init, v2};
use hbs2_testkit::vectors;
use serde_json::Value;

/// Checkpoints posted by hand so far.
static CHECKPOINTS: AtomicU32 = AtomicU32::new(0);

/// A directory that goes away, with a home, a `bin` that holds the remote helper, and any number of sites.
pub(crate) struct World {
    pub(crate) root: tempfile::TempDir,
    /// The clock of the helper; the system's when none.
    pub(crate) now: RefCell<Option<u64>>,
}

/// One user: a storage folder and keys.
pub(crate) struct Site<'w> {
    pub(crate) world: &'w World,
    pub(crate) name: &'static str,
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("home")).unwrap();
        let bin = root.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let helper = env!("CARGO_BIN_EXE_git-remote-folder");
        for name in ["git-remote-hbs23", "git-remote-hbs2", "git-remote-hbs21"] {
            std::os::unix::fs::symlink(helper, bin.join(name)).unwrap();
        }
        Self { root, now: RefCell::new(None) }
    }

    pub(crate) fn site(&self, name: &'static str) -> Site<'_> {
        Site { world: self, name }
    }

    /// A site that has the storage of a folder of vectors.
    pub(crate) fn site_of(&self, name: &'static str, folder: &str) -> Site<'_> {
        let site = self.site(name);
        vectors::copy(&format!("{folder}/storage"), &site.path("storage")).unwrap();
        site
    }
}

impl Site<'_> {
    pub(crate) fn dir(&self) -> PathBuf {
        self.world.root.path().join(self.name)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub(crate) fn folder(&self) -> Folder {
        Folder::open(&self.path("storage")).unwrap()
    }

    pub(crate) fn keys(&self) -> KeyFolder {
        KeyFolder(self.path("keys"))
    }

    pub(crate) fn add_key(&self, secret: &SignSecretKey) {
        hbs2_git::keys::Keys::add_lwwref(&self.keys(), secret).unwrap();
    }

    /// Runs git in `dir`, relative to the site.
    pub(crate) fn try_git<S: AsRef<OsStr>>(&self, dir: &str, args: &[S]) -> Said {
        said(self.command("git", dir).args(args).output().unwrap())
    }

    pub(crate) fn command(&self, program: &str, dir: &str) -> Command {
        let world = self.world.root.path();
        fs::create_dir_all(self.dir()).unwrap();
        let dir = self.path(dir);
        fs::create_dir_all(&dir).unwrap();
        let path = std::env::join_paths(
            std::iter::once(world.join("bin"))
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        let mut command = Command::new(program);
        command.current_dir(dir).env_clear().env("PATH", path.unwrap()).env("HOME", world.join("home"));
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("LC_ALL", "C");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CEILING_DIRECTORIES", world);
        for (name, value) in [("NAME", "Alice"), ("EMAIL", "alice@example.com"), ("DATE", "1700000000 +0000")]
        {
            command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        let defaults =
            [("init.defaultBranch", "master"), ("hbs2.timeout", "1"), ("protocol.file.allow", "always")];
        command.env("GIT_CONFIG_COUNT", defaults.len().to_string());
        for (number, (key, value)) in defaults.iter().enumerate() {
            command
                .env(format!("GIT_CONFIG_KEY_{number}"), key)
                .env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.env("HBS2_FOLDER", self.path("storage")).env("HBS2_FOLDER_KEYS", self.path("keys"));
        if let Some(now) = *self.world.now.borrow() {
            command.env("HBS2_FOLDER_NOW", now.to_string());
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs git, which must succeed; gives its stdout.
    pub(crate) fn git<S: AsRef<OsStr>>(&self, dir: &str, args: &[S]) -> String {
        let said = self.try_git(dir, args);
        let args: Vec<_> = args.iter().map(|arg| String::from_utf8_lossy(arg.as_ref().as_bytes())).collect();
        assert!(said.ok, "git {args:?} in {dir}: {}{}", said.out, said.err);
        said.out
    }

    /// A new git repository with a new remote `hbs`; gives the key.
    pub(crate) fn new_repo(&self, dir: &str) -> SignPublicKey {
        self.new_repo_for(dir, None)
    }

    /// The same, for the members of a group key.
    pub(crate) fn new_repo_for(&self, dir: &str, group: Option<Hash>) -> SignPublicKey {
        self.git(dir, &["init", "-q"]);
        let key = self.new_remote(group);
        self.git(dir, &["remote", "add", "hbs", &format!("hbs23://{key}")]);
        key
    }

    /// A new hbs2 repository in the folder; gives the key.
    pub(crate) fn new_remote(&self, group: Option<Hash>) -> SignPublicKey {
        let mut seed = [0; 32];
        seed[0] = fs::read_dir(self.path("keys")).map_or(0, |keys| keys.count() as u8);
        let secret = SignSecretKey::from_seed(&seed);
        self.add_key(&secret);
        let (link, keys) = (self.folder(), self.keys());
        let ctx = Context {
            link: &link,
            keys: &keys,
            voice: &Silent,
            settings: Settings::default(),
            now: context::system_now,
        };
        init::publish(&ctx, &secret, group).unwrap();
        secret.public()
    }

    /// Gives this user the encryption key number `number`.
    pub(crate) fn add_member_key(&self, number: u8) {
        fs::create_dir_all(self.path("keys")).unwrap();
        let keyring = Keyring::new(&[number; 32], &[[number; 32]]);
        fs::write(self.path("keys").join(format!("{number}.key")), keyring.to_text()).unwrap();
    }

    /// Writes a file and commits it; gives the commit.
    pub(crate) fn commit(&self, dir: &str, file: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(dir).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self.git(dir, &["add", "-A"]);
        self.git(dir, &["commit", "-q", "--allow-empty", "-m", file]);
        self.rev(dir, "HEAD")
    }

    pub(crate) fn rev(&self, dir: &str, name: &str) -> String {
        self.git(dir, &["rev-parse", name]).trim().to_owned()
    }

    /// What `git ls-remote` says, sorted as it comes.
    pub(crate) fn ls_remote(&self, dir: &str, remote: &str) -> Vec<(String, String)> {
        let out = self.git(dir, &["ls-remote", remote]);
        out.lines()
            .map(|line| line.split_once('\t').unwrap())
            .map(|(id, name)| (name.into(), id.into()))
            .collect()
    }

    /// Looks into the repository without git.
    pub(crate) fn with_repo<T>(
        &self,
        key: SignPublicKey,
        dir: Option<&str>,
        look: impl FnOnce(&Repository<'_>) -> T,
    ) -> T {
        let (link, keys) = (self.folder(), self.keys());
        let settings = Settings { timeout: std::time::Duration::from_secs(1), ..Settings::default() };
        let ctx = Context { link: &link, keys: &keys, voice: &Silent, settings, now: context::system_now };
        let git = dir.map(|dir| GitDir::open(&self.path(dir)).unwrap());
        look(&Repository::open(&ctx, key, git))
    }

    /// Works with a repository of version 2.
    pub(crate) fn with_second<T>(
        &self,
        key: SignPublicKey,
        dir: Option<&str>,
        work: impl FnOnce(&v2::Repository<'_>) -> T,
    ) -> T {
        let git = dir.map(|dir| GitDir::open(&self.path(dir)).unwrap());
        self.with_context(|ctx| work(&v2::Repository::open(ctx, key, git)))
    }

    /// Works with the storage, the keys and a patience of one second.
    pub(crate) fn with_context<T>(&self, work: impl FnOnce(&Context<'_>) -> T) -> T {
        let (link, keys) = (self.folder(), self.keys());
        let settings = Settings { timeout: std::time::Duration::from_secs(1), ..Settings::default() };
        work(&Context { link: &link, keys: &keys, voice: &Silent, settings, now: context::system_now })
    }

    /// The secret key of a repository of this site.
    pub(crate) fn secret(&self, key: SignPublicKey) -> SignSecretKey {
        Keys::find_sign(&self.keys(), &key).unwrap().unwrap()
    }

    /// The letters of the records of each segment, sorted, in the order of the last use of their references;
    /// the null transaction is left out.
    pub(crate) fn new_segments(&self, key: SignPublicKey) -> Vec<Vec<char>> {
        let mut segments: Vec<(u64, Vec<char>)> =
            self.segments(key).iter().map(|tree| self.letters(tree)).collect();
        segments.sort();
        segments.into_iter().map(|(_, letters)| letters).filter(|letters| !letters.is_empty()).collect()
    }

    /// The trees of all segments.
    pub(crate) fn segments(&self, key: SignPublicKey) -> Vec<Hash> {
        let all = self.with_repo(key, None, |repo| repo.transactions().unwrap());
        let tree = |tx: &Transaction| match tx.payload {
            Payload::Segment { tree } => Some(tree),
            Payload::Checkpoint { .. } => None,
        };
        all.iter().filter_map(tree).collect()
    }

    /// The decompressed content of a segment.
    pub(crate) fn content(&self, tree: &Hash) -> Vec<u8> {
        let get = |hash: &Hash| Ok::<_, LinkError>(self.folder().get(&[*hash])?.remove(0));
        zstd::decode_all(&walk::content(*tree, usize::MAX, get).unwrap()[..]).unwrap()
    }

    /// The time of a segment's references and the letters of its records.
    fn letters(&self, tree: &Hash) -> (u64, Vec<char>) {
        let (mut time, mut letters) = (0, Vec::new());
        let content = self.content(tree);
        let mut records = RecordReader::new(&content[..]);
        while let Some(head) = records.head().unwrap() {
            let mut value = Vec::new();
            records.value(&head, &mut value).unwrap();
            letters.push(char::from(head.kind.letter()));
            if head.kind == RecordKind::Refs {
                time = refs::parse(&value, head.id).unwrap()[0].time;
            }
        }
        letters.sort_unstable();
        (time, letters)
    }

    /// The tree of the segment with the newest references.
    pub(crate) fn last_segment(&self, key: SignPublicKey) -> Hash {
        self.segments(key).into_iter().max_by_key(|tree| self.letters(tree).0).unwrap()
    }

    fn reflog_secret(&self, key: SignPublicKey) -> SignSecretKey {
        let seed = self.with_repo(key, None, |repo| repo.manifest().unwrap().seed().unwrap());
        self.secret(key).derive(seed)
    }

    fn post(&self, secret: &SignSecretKey, payload: Payload) -> (Hash, Hash) {
        let nonce = [self.folder().blocks().unwrap().len() as u8; 24];
        let update = ReflogUpdate::sign(secret, nonce, payload.to_data());
        match self.folder().post(std::slice::from_ref(&update), Guard::Any).unwrap() {
            Posted::Done(root) => (update.id(), root),
            Posted::Moved(_) => unreachable!("there is no guard"),
        }
    }

    /// Posts a segment with this content and a checkpoint that lists it; gives the transaction and the tree.
    pub(crate) fn post_content(&self, key: SignPublicKey, content: &[u8]) -> (Hash, Hash) {
        let secret = self.reflog_secret(key);
        let blocks = annotated(content);
        let tree = blocks.last().unwrap().0;
        self.folder().put(&blocks.into_iter().map(|(_, block)| block).collect::<Vec<_>>()).unwrap();
        let (transaction, root) = self.post(&secret, Payload::Segment { tree });
        // Later checkpoints count more, whatever their hashes are.
        let rank = 4_000_000_000 + i128::from(CHECKPOINTS.fetch_add(1, Ordering::Relaxed));
        self.post(&secret, Payload::Checkpoint { tree: root, rank });
        (transaction, tree)
    }

    /// Gives a repository another value: a block of any bytes.
    pub(crate) fn set_value(&self, key: SignPublicKey, block: Vec<u8>) {
        let (folder, value) = (self.folder(), Hash::of(&block));
        folder.put(&[block.into()]).unwrap();
        let seq = folder.lwwref(&key).unwrap().map_or(0, |lww| lww.seq) + 1;
        folder.set_lwwref(&Signed::sign(&self.secret(key), &LwwRef { seq, value, proof: None })).unwrap();
    }

    /// Posts a segment that sets a reference, and no checkpoint.
    pub(crate) fn post_segment_only(&self, key: SignPublicKey, id: &str, name: &str) {
        let line = RefLine { time: 1_800_000_000, id: id.parse().unwrap(), name: name.parse().unwrap() };
        let value = refs::write(&[line]);
        let mut records = Vec::new();
        write_record(&mut records, ObjectId::of(ObjectKind::Blob, &value), RecordKind::Refs, &value);
        let blocks = annotated(&zstd::encode_all(&records[..], 3).unwrap());
        let tree = blocks.last().unwrap().0;
        self.folder().put(&blocks.into_iter().map(|(_, block)| block).collect::<Vec<_>>()).unwrap();
        self.post(&self.reflog_secret(key), Payload::Segment { tree });
    }

    /// Puts into the reflog what does not belong there: an update of another reflog, one with a bad signature,
    /// one of another application; and a checkpoint over all.
    pub(crate) fn insert_forged(&self, key: SignPublicKey) {
        let folder = self.folder();
        let secret = self.reflog_secret(key);
        let root = folder.reflog(&secret.public()).unwrap().unwrap();
        let mut listed = folder.leaves(&root).unwrap().hashes;
        let eve = SignSecretKey::from_seed(&[66; 32]);
        let payload = Payload::Checkpoint { tree: root, rank: 9_000_000_000 };
        let foreign = ReflogUpdate::sign(&eve, [1; 24], payload.to_data()).to_bytes();
        let mut forged = ReflogUpdate::sign(&secret, [2; 24], payload.to_data()).to_bytes();
        *forged.last_mut().unwrap() ^= 1;
        let other = ReflogUpdate::sign(&secret, [3; 24], Bytes::from_static(b"hello")).to_bytes();
        for block in [foreign, forged, other] {
            listed.push(Hash::of(&block));
            folder.put(&[block.into()]).unwrap();
        }
        let mut blocks = Vec::new();
        let root = build::build(Shape::LOG, &listed, |_, block| blocks.push(block));
        folder.put(&blocks).unwrap();
        self.post(&secret, Payload::Checkpoint { tree: root, rank: 5_000_000_000 });
    }

    /// How many checkpoints the repository has.
    pub(crate) fn checkpoints(&self, key: SignPublicKey) -> usize {
        let all = self.with_repo(key, None, |repo| repo.transactions().unwrap());
        all.iter().filter(|tx| matches!(tx.payload, Payload::Checkpoint { .. })).count()
    }
}

pub(crate) fn said(output: Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { ok: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

/// What the manifest of a folder of vectors tells.
pub(crate) fn facts(folder: &str) -> Value {
    vectors::manifest(folder).unwrap()
}
