//! The door of HBS2: words, flags, output shapes and exit codes of every program.
//!
//! One binary has many names. [`names`] turns the name it was called by (or its first word) into a program;
//! each program is a function of its words and a [`voice::Voice`], so tests can call it without a process.
//! Results go to stdout, talk goes to stderr; [`error`] is the only place in the house where an error of a
//! library becomes a message, a hint and an exit code.
//!
//! | program | room |
//! |---|---|
//! | `hbs2` | [`store`], [`bundle`], [`metadata`], [`keys`], [`groupkey`], [`sigil`], [`references`], [`pages`] |
//! | `hbs2-peer` | [`peer`] |
//! | `hbs2-keyman` | [`keyman`] |
//! | `hbs2-cli` | [`cli`], with the words of [`script`] |
//! | `hbs2-fixer` | [`fixer`], with the words of [`script`] |
//! | `hbs2-git3`, `hbs2-git`, `git-hbs2`, `git-remote-hbs23` and its relatives, `hbs2-git-subscribe` | [`git`] |
//! | `hbs2-sync` | [`mod@sync`] |
//!
//! Within a room one command has one file. Only `hbs2-peer run` starts a runtime for tasks; all other commands
//! block on what they wait for, with a deadline, and start within milliseconds.

pub mod base;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod error;
pub mod fixer;
pub mod git;
pub mod groupkey;
pub mod input;
pub mod keyman;
pub mod keys;
pub mod line;
pub mod metadata;
pub mod names;
pub mod pages;
pub mod peer;
pub mod references;
pub mod script;
pub mod sigil;
pub mod store;
pub mod sync;
pub mod usage;
pub mod voice;

use std::ffi::OsString;

use hbs2_core::nacl;
use names::Program;
use voice::Voice;

/// Runs the program that `args` name, the first of which is the name the binary was called by. Returns the
/// exit code.
///
/// Nothing runs on a machine on which this build does not encrypt as it should.
pub fn run(args: &[OsString], voice: &mut Voice) -> u8 {
    let call = names::call(args);
    voice.set_program(call.shown);
    if let Err(wrong) = nacl::check() {
        return error::finish(Err(wrong.into()), voice);
    }
    match call.program {
        Program::Hbs2 => base::run(&call, voice),
        Program::Peer => peer::run(&call, voice),
        Program::Keyman => keyman::run(&call, voice),
        Program::Cli => cli::run(&call, voice),
        Program::Fixer => fixer::run(&call, voice),
        Program::Sync => sync::run(&call, voice),
        Program::Git3 => git::run(&call, voice),
        Program::RemoteHelper => git::helper::run(&call, voice),
        Program::GitSubscribe => git::v2::subscribe::run(&call, voice),
    }
}
