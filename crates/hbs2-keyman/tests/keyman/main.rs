//! The key index over real files.

#![allow(clippy::unwrap_used)] // A test that cannot unwrap has failed.

mod find;
mod group;
mod home;
mod index;
mod kept;
mod masks;
