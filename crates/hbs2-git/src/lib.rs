//! Git repositories on HBS2: version 3 (spec: git3), and version 2 in [`v2`].
//!
//! A repository is an lwwref whose value names a manifest; the manifest names a reflog; the reflog holds
//! *segments* (git objects and reference records, compressed) and *checkpoints* (which transactions count).
//! This crate turns pushes into transactions and transactions into packs. It never talks to a terminal and
//! never opens a socket by itself.
//!
//! What the programs call:
//!
//! * [`Context`]: the daemon ([`link::Link`]), the keys ([`keys::Keys`]), the [`voice::Voice`], the
//!   [`Settings`], the clock;
//! * [`Repository::open`] and its methods, one for each `repo:…` command: `head`, `manifest`, `reflog`, `wait`,
//!   `transactions`, `refs`, `refs_raw`, `import`, `imported`, `relay_only`, `credentials`, `export`, `group`,
//!   `group_journal`, `add_group_keys`, `update_group`;
//! * [`init::init`] for `init`, [`remotes::list`] for `repo:remotes`, [`remotes::resolve`] for the argument REPO;
//! * [`GitDir::discover`] for the local git repository;
//! * [`Generation::open`] where either version will do;
//! * [`helper::run`] for `git-remote-hbs23` and its relatives.

pub mod adopt;
pub mod announcement;
pub mod choose;
pub mod content;
pub mod context;
pub mod error;
pub mod export;
pub mod generation;
pub mod gitdir;
pub mod graph;
pub mod groupkey;
mod head;
pub mod helper;
pub mod ids;
pub mod import;
pub mod init;
pub mod keys;
pub mod ledger;
pub mod link;
pub mod manifest;
pub mod object;
pub mod odb;
pub mod pack;
pub mod petname;
pub mod refs;
pub mod remotes;
pub mod repo;
pub mod segment;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transaction;
mod upload;
pub mod url;
pub mod v2;
pub mod voice;
mod wait;

pub use context::{Context, Settings};
pub use error::Error;
pub use generation::Generation;
pub use gitdir::{GitConfig, GitDir};
pub use link::Link;
pub use manifest::Manifest;
pub use object::{ObjectId, ObjectKind, RefName};
pub use repo::Repository;
pub use url::RepoUrl;
pub use voice::Voice;
