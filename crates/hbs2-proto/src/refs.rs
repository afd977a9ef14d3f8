//! References: what is stored, merged, answered and passed on.

mod examine;

pub use examine::examine_update;
