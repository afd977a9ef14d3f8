//! Git repositories on HBS2.
