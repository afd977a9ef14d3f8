//! Commands of `hbs2` about references, as the storage has them.

pub mod anyref;
pub mod reflog;
