//! Repositories of the second generation, `hbs2://` and `hbs21://` (docs/spec/git2.md).
//!
//! The lwwref names one block, [`LwwBlock`], and that names the reflog. Each transaction of the reflog is a
//! snapshot of the whole repository: a [`RepoHead`] with the references, and the list of all packs. A pack is an
//! index of object ids followed by what `git pack-objects` made; in an encrypted repository its tree is sealed.
//!
//! | part | what it is |
//! |---|---|
//! | [`lww`], [`head`], [`snapshot`], [`container`], [`seal`] | the bytes |

pub mod container;
pub mod head;
pub mod lww;
pub mod seal;
pub mod snapshot;

pub use head::{HeadRef, RepoHead};
pub use lww::LwwBlock;
pub use snapshot::SnapshotRef;
