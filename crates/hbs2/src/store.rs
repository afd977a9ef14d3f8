//! Commands of `hbs2` about blocks and trees.
//!
//! All of them work on [`blocks::Blocks`]: a running peer if one answers, else the storage itself.

pub mod blocks;
pub mod cat;
pub mod has;
pub mod hash;
pub mod put;
