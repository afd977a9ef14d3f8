//! Real git against repositories in storage folders.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod broken;
mod clone;
mod conflict;
mod fetch;
mod push;
mod sealed;
mod v2_read;
mod v2_vectors;
mod v2_write;
mod vectors;
mod world;
