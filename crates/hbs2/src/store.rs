//! Commands of `hbs2` about blocks and trees.
//!
//! All of them work on [`blocks::Blocks`]: a running peer if one answers, else the storage itself. Content goes in
//! through [`chunks`] and comes out through [`content`]; both keep worker threads busy and little in memory.

pub mod blocks;
pub mod cat;
pub mod chunks;
pub mod content;
pub mod del;
pub mod deps;
pub mod fsck;
pub mod has;
pub mod hash;
pub mod import;
pub mod put;
pub mod reach;
pub mod spool;
