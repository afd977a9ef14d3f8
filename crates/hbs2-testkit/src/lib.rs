//! Tests only: vectors, simulator, hermetic homes, several peers in one test.
//!
//! A test of the whole program reads like a session of its users: a [`Person`] is a [`Home`] with a [`Daemon`]
//! in it, commands are run by [`Home::line`], repositories made by [`Repo`]. Nothing leaves the loopback interface, nothing
//! outside the homes is read or written, every wait has a deadline, and every process is ended by its id.

mod command;
mod daemon;
mod error;
pub mod fuzz;
mod group;
pub mod history;
mod home;
pub mod lab;
mod person;
mod random;
mod repo;
pub mod sim;
pub mod vectors;

pub use command::{COMMAND_SECONDS, Call, Done, Running};
pub use daemon::{Daemon, free_address, memory_kib};
pub use error::KitError;
pub use group::{GroupFile, encryption_key, listed_key};
pub use home::{Home, PROGRAMS};
pub use person::{Person, until};
pub use random::{Random, noise};
pub use repo::{Remote, Repo};
