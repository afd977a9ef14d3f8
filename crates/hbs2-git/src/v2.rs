//! Repositories of the second generation, `hbs2://` and `hbs21://` (docs/spec/git2.md).
//!
//! The lwwref names one block, [`LwwBlock`], and that names the reflog. Each transaction of the reflog is a
//! snapshot of the whole repository: a [`RepoHead`] with the references, and the list of all packs. A pack is an
//! index of object ids followed by what `git pack-objects` made; in an encrypted repository its tree is sealed.
//!
//! | part | what it is |
//! |---|---|
//! | [`lww`], [`head`], [`snapshot`], [`container`], [`seal`] | the bytes |
//! | [`Repository`] | what the commands and the remote helper ask |
//! | [`files`], [`rules`], `state` | the directory `.hbs2-git` |
//! | `read`, `write`, `packing`, `work` | import and export, and the `git` program they use |
//! | [`migrate`] | a repository of version 3 from one of version 2 |

pub mod container;
mod error;
pub mod files;
pub mod head;
pub mod lww;
pub mod migrate;
mod packing;
mod read;
mod repo;
pub mod rules;
pub mod seal;
pub mod snapshot;
mod state;
mod work;
mod write;

pub use error::SecondError;
pub use head::{HeadRef, RepoHead};
pub use lww::LwwBlock;
pub use read::read_head;
pub(crate) use repo::find_value;
pub use repo::{LWWREF_POLL_MINUTES, Located, REFLOG_POLL_MINUTES, Repository, Snapshot};
pub use snapshot::SnapshotRef;
pub(crate) use work::{current_branch, is_bare, local_refs, set_head, set_refs};
pub use write::{Privacy, Wish};
