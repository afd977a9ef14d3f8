//! Every vector of the nouns of this crate, in both directions: what the original wrote is read and has the
//! expected meaning; written again it has the same bytes and the same hash.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read is a failed test")]

mod addr;
mod bundle;
mod cbor;
mod groupkey;
mod inspect;
mod key;
mod keyring;
mod lwwref;
mod mailbox;
mod pages;
mod refchan;
mod reflog;
mod sealed;
mod sigil;
mod support;
mod tree;
mod tree_store;
