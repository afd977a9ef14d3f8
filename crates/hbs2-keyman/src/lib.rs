//! Index of key files.
