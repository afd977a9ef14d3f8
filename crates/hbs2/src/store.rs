//! Commands of `hbs2` about blocks and trees.

pub mod hash;
