//! Folders kept equal through a refchan (docs/guide/sync.md; spec: cli 8).
//!
//! What becomes of a file is an entry in a channel: a proposal that points to a tree sealed for the readers of the channel.
//! Whoever has the same entries comes to the same result. The parts, from the pure ones outwards:
//!
//! * [`path`], [`masks`], [`entry`] – what may be named, what is kept equal, what an entry says;
//! * [`history`] – which of the entries of a path counts; [`plan`] – what is to be done about it. Neither touches a file;
//! * [`root`], [`scan`] – the folder on disk, reached without following a link and written without a half file;
//! * [`state`], [`config`] – what a folder remembers and what its owner has said;
//! * [`Folder`] – one folder and its channel: [`Folder::sync`] and [`Folder::watch`]; [`init()`] makes one.

mod channel;
pub mod config;
pub mod context;
pub mod entry;
pub mod error;
mod fetch;
pub mod folder;
mod groups;
pub mod history;
pub mod init;
mod link;
pub mod masks;
pub mod path;
pub mod plan;
mod post;
pub mod root;
pub mod run;
pub mod scan;
mod seal;
mod single;
pub mod state;
mod watch;

pub use context::{Context, Voice};
pub use error::SyncError;
pub use folder::Folder;
pub use init::{Start, init};
pub use path::RelPath;
pub use run::{News, Report};
pub use single::cat;
