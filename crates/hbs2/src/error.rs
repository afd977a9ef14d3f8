//! What a failed command tells the user: message, causes, hint and exit code.
//!
//! Libraries return typed errors that say what they did to what. [`Failure`] gathers them with the few errors
//! of the door itself; [`hints`] is the one place that knows what to advise, [`tell`] says it. Exit codes:
//! 0 done, 1 failed or wrongly used.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use hbs2_core::base58::Base58Error;
use hbs2_core::bundle::BundleError;
use hbs2_core::groupkey::GroupKeyError;
use hbs2_core::keyring::KeyringError;
use hbs2_core::nacl::CheckError;
use hbs2_core::reflog::ReflogError;
use hbs2_core::sealed::SealedBlockError;
use hbs2_core::sigil::SigilError;
use hbs2_core::tree::sealed::{BlockError, CryptError};
use hbs2_core::tree::walk::WalkError;
use hbs2_core::{DecodeError, EncryptPublicKey, Hash, SignPublicKey};
use hbs2_git::export::Refusal;
use hbs2_keyman::{GroupSecretError, KeymanError};
use hbs2_node::RunError;
use hbs2_node::config::{InitError, SettingsError};
use hbs2_rpc::ClientError;
use hbs2_rpc::api::node::TreeStatus;
use hbs2_script::{Fault, ScriptError};
use hbs2_store::StoreError;

mod from;
mod hints;
mod tell;

pub use tell::{chain, finish};

/// Exit code of a command that did its work.
pub const DONE: u8 = 0;

/// Exit code of a command that failed or was used wrongly (spec: cli 1.3).
pub const FAILED: u8 = 1;

/// Why a command ends without having done its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Stdout cannot be written.
    #[error("cannot write to stdout")]
    Output(#[source] io::Error),
    /// Stdin cannot be read.
    #[error("cannot read stdin")]
    Input(#[source] io::Error),
    /// A file the user named cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The input is longer than the command takes.
    #[error("{what} is longer than {bytes_max} bytes")]
    TooLong {
        /// The file, or stdin.
        what: String,
        /// The limit.
        bytes_max: usize,
    },
    /// A file the user named is no keyring.
    #[error("{file} is not a keyring")]
    Keyring {
        /// The file, or stdin.
        file: String,
        /// Where it went wrong.
        source: KeyringError,
    },
    /// A keyring does not have a key.
    #[error("public key not found in credentials file {}: {key}", file.display())]
    NotInKeyring {
        /// The keyring.
        file: PathBuf,
        /// The encryption key that was asked for.
        key: EncryptPublicKey,
    },
    /// A file that should be text is none.
    #[error("{file} is no UTF-8 text")]
    NoText {
        /// The file, or stdin.
        file: String,
    },
    /// A word in a file is no public key.
    #[error("invalid public key '{word}' in line {line} of {file}")]
    PublicKey {
        /// The word.
        word: String,
        /// Its line, from 1.
        line: usize,
        /// The file, or stdin.
        file: String,
        /// What is wrong with it.
        source: Base58Error,
    },
    /// A word in a list is no hash.
    #[error("'{word}' in {file} is no hash")]
    NoHash {
        /// The word.
        word: String,
        /// The file, or stdin.
        file: String,
    },
    /// A list of members has none.
    #[error("no encryption keys found in {from}")]
    NoMembers {
        /// The file, or stdin.
        from: String,
    },
    /// A file the user named is no group key.
    #[error("{file} is not a group key")]
    GroupKeyFile {
        /// The file, or stdin.
        file: String,
        /// Where it went wrong.
        source: GroupKeyError,
    },
    /// A group key cannot be made or opened.
    #[error("cannot use the group key")]
    GroupKey(#[from] GroupKeyError),
    /// No key of ours is a member's.
    #[error("no access to group key {key}")]
    NoAccess {
        /// Its id.
        key: String,
    },
    /// The blocks of a tree are sealed in a way that is not read.
    #[error("cannot read tree {hash}")]
    Unreadable {
        /// The tree.
        hash: Hash,
        /// How it is sealed.
        source: CryptError,
    },
    /// A block of a sealed tree does not open.
    #[error("cannot open sealed tree {hash}")]
    Closed {
        /// The tree.
        hash: Hash,
        /// What is wrong with the block.
        source: BlockError,
    },
    /// Sealed metadata does not open.
    #[error(transparent)]
    SealedBlock(#[from] SealedBlockError),
    /// A file the user named is no sigil.
    #[error("parse sigil failed: {file} is not a sigil")]
    NoSigil {
        /// The file, or stdin.
        file: String,
        /// Where it went wrong.
        source: Box<SigilError>,
    },
    /// A sigil is not signed by the key it states.
    #[error("signature check failed: {file} cannot be believed")]
    FalseSigil {
        /// The file, or stdin.
        file: String,
        /// What is wrong with it.
        source: Box<SigilError>,
    },
    /// A bundle is none, or is broken.
    #[error("cannot read bundle {hash}")]
    Bundle {
        /// The tree of the bundle.
        hash: Hash,
        /// What is wrong with it.
        source: BundleError,
    },
    /// What is to be sealed changed between its two readings.
    #[error("{file} changed while it was read")]
    Changed {
        /// The file.
        file: String,
    },
    /// What comes through a pipe cannot be kept for its second reading.
    #[error("cannot keep stdin in {} until it is sealed", dir.display())]
    Spool {
        /// Where temporary files go.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Some blocks do not have their hash.
    #[error("{count} of {of} blocks are broken")]
    Broken {
        /// How many.
        count: usize,
        /// How many were checked.
        of: usize,
    },
    /// Several blocks are not here.
    #[error("{count} missed blocks, the first is {first}")]
    MissedBlocks {
        /// How many.
        count: usize,
        /// One of them.
        first: Hash,
    },
    /// More blocks can be reached than a walk remembers.
    #[error("too many blocks below one hash: stopped at {hash}")]
    TooManyBlocks {
        /// Where we gave up.
        hash: Hash,
    },
    /// This build must not encrypt on this machine.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The system has no random bytes to give.
    #[error("cannot get random bytes for a new key")]
    Random(#[source] getrandom::Error),
    /// A block is not what its place needs.
    #[error("cannot read block {hash}")]
    Malformed {
        /// Its name.
        hash: Hash,
        /// Where it went wrong.
        source: DecodeError,
    },
    /// A reference block leads to another, and so on without end in sight.
    #[error("too many reference blocks in a row, the last is {hash}")]
    TooManyPointers {
        /// Where we gave up.
        hash: Hash,
    },
    /// This peer has no entry of a log.
    #[error("no value is known of reflog {key}")]
    NoReflog {
        /// The log.
        key: SignPublicKey,
    },
    /// The directory we are in is gone.
    #[error("cannot tell the current directory")]
    NoDirectory(#[source] io::Error),
    /// The key index failed.
    #[error(transparent)]
    Keyman(#[from] KeymanError),
    /// The secret of a group key is not to be had.
    #[error(transparent)]
    GroupSecret(Box<GroupSecretError<Failure>>),
    /// A program in the script language failed.
    #[error(transparent)]
    Script(ScriptError),
    /// Something with a repository failed.
    #[error(transparent)]
    Git(Box<hbs2_git::Error>),
    /// The folder of another storage cannot be read.
    #[error(transparent)]
    Legacy(#[from] hbs2_store::legacy::LegacyError),
    /// Some files of another storage were not taken.
    #[error("{count} files are corrupt and were not taken")]
    CorruptFiles {
        /// How many.
        count: usize,
    },
    /// Stdin is no pack of a version 2 repository.
    #[error("stdin is no pack of a repository")]
    Pack(#[source] Box<hbs2_git::v2::container::ContainerError>),
    /// Something with a folder that is kept equal failed.
    #[error(transparent)]
    Sync(Box<hbs2_sync::SyncError>),
    /// A reference was not moved.
    #[error("{name} was not moved: {refusal}")]
    Refused {
        /// The reference.
        name: String,
        /// Why.
        refusal: Refusal,
    },
    /// A name that git would not take.
    #[error("'{name}' is no name of a reference")]
    RefName {
        /// The name.
        name: String,
    },
    /// No repository was named, and there is not exactly one remote.
    #[error("{count} git remotes are hbs23 repositories, not exactly one")]
    WhichRemote {
        /// How many there are.
        count: usize,
    },
    /// No key file is known for a signing key.
    #[error("no secret key is known for {key}")]
    NoSecret {
        /// The key.
        key: SignPublicKey,
    },
    /// An lwwref has no value and no sequence number was given.
    #[error("lwwref {key} has no value from which to count on")]
    NoSequence {
        /// The reference.
        key: SignPublicKey,
    },
    /// A value that would lose against the present one.
    #[error("number {seq} does not replace the present value of lwwref {key} which has number {current}")]
    OldSequence {
        /// The reference.
        key: SignPublicKey,
        /// The number asked for.
        seq: u64,
        /// The present number.
        current: u64,
    },
    /// Stdin is no entry of a log.
    #[error("stdin is no signed reflog entry")]
    Entry(#[source] DecodeError),
    /// A block is not here.
    #[error("missed block: {hash}")]
    MissedBlock {
        /// Its name.
        hash: Hash,
    },
    /// The words make no command.
    #[error("{message}")]
    Usage {
        /// What is wrong with them.
        message: String,
        /// The command whose page helps, if it is known.
        command: Option<&'static str>,
    },
    /// The program has no such command.
    #[error("unknown command '{name}'")]
    UnknownCommand {
        /// The word.
        name: String,
        /// The closest command there is.
        closest: Option<String>,
    },
    /// A word is no text.
    #[error("the word {word:?} is no UTF-8 text")]
    NotText {
        /// The word.
        word: OsString,
    },
    /// There is no home directory and no directory was named.
    #[error("no directory for the config and the storage: $HOME is not set")]
    NoHome,
    /// The running peer failed, or there is none.
    #[error(transparent)]
    Peer(#[from] ClientError),
    /// The running peer answered with a block that has another hash.
    #[error("the peer answered with other bytes than those of block {hash}")]
    OtherBlocks {
        /// The block asked for.
        hash: Hash,
    },
    /// The running peer did not store what it was given.
    #[error("the peer did not store all blocks")]
    NotStored,
    /// A download does not get on.
    #[error("nothing new has arrived of tree {hash} for {seconds} s")]
    Stalled {
        /// Root of the tree.
        hash: Hash,
        /// How long we waited.
        seconds: u64,
        /// How far it came.
        status: Box<TreeStatus>,
    },
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tree cannot be walked.
    #[error(transparent)]
    Tree(Box<WalkError<Failure>>),
    /// A log entry is not signed by its log.
    #[error(transparent)]
    Reflog(#[from] ReflogError),
    /// The peer's config is wrong.
    #[error(transparent)]
    Config(#[from] SettingsError),
    /// The peer cannot run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The peer's config cannot be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// Something with a refchan or a mailbox failed, in words.
    #[error("{message}")]
    Told {
        /// What.
        message: String,
        /// What the user can do about it.
        hint: Option<String>,
        /// Why.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The language has no such word.
    #[error("no word is named '{name}', and none begins so")]
    UnknownWord {
        /// The name.
        name: String,
        /// The closest name there is.
        closest: Option<String>,
    },
    /// There is no thread for the script.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The terminal cannot be used for a conversation.
    #[error("cannot talk to the terminal")]
    Terminal(#[source] rustyline::error::ReadlineError),
    /// The answer is "no", and the exit code says so without a word.
    #[error("no")]
    No,
    /// A program ended itself with this exit code.
    #[error("the program ended itself")]
    Quit {
        /// The code.
        code: u8,
    },
}

impl Failure {
    /// A failure in words.
    pub(crate) fn told(message: String) -> Self {
        Self::Told { message, hint: None, source: None }
    }

    /// The same with advice, for one in words.
    pub(crate) fn hinted(mut self, advice: impl Into<String>) -> Self {
        if let Self::Told { hint, .. } = &mut self {
            *hint = Some(advice.into());
        }
        self
    }

    /// The same with its cause, for one in words.
    pub(crate) fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        if let Self::Told { source, .. } = &mut self {
            *source = Some(Box::new(cause));
        }
        self
    }

    /// Whether the peer is one that does not know the call, such as the original's.
    #[must_use]
    pub fn is_unknown_call(&self) -> bool {
        matches!(self, Self::Peer(ClientError::Refused { fault: hbs2_rpc::Fault::NotFound, .. }))
    }

    /// Whether the reader of our output has gone away, which is how pipelines end.
    fn is_broken_pipe(&self) -> bool {
        if let Self::Script(script) = self {
            return host_failure(script).is_some_and(Self::is_broken_pipe);
        }
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Our own failure behind that of a script, if it is one.
fn host_failure(script: &ScriptError) -> Option<&Failure> {
    match &*script.fault {
        Fault::Host(error) => error.downcast_ref(),
        _ => None,
    }
}
