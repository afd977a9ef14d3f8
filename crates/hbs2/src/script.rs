//! Words that use the world: files, processes, the clock, chance, stdin and stdout (spec: cli 2.9, 2.10).
//!
//! The language itself (`hbs2-script`) has none of this. A program that runs scripts has a [`World`]: where it
//! speaks, and the surroundings of the script – its directory and its environment – which the script may change
//! without changing those of our own process. Each file of this room is a group of words with their manual pages.

use hbs2_script::word::{Word, group};

use crate::voice::Voice;

pub mod around;
pub mod bytes;
pub mod chance;
pub mod clock;
pub mod error;
pub mod files;
pub mod help;
pub mod ini;
pub mod json;
pub mod output;
pub mod paths;
pub mod process;
pub mod program;
pub mod yaml;

pub use around::Around;
pub use error::WorldError;

/// What a program gives to its scripts.
pub trait World {
    /// Where the script speaks.
    fn voice(&mut self) -> &mut Voice;
    /// Its directory and environment.
    fn around(&mut self) -> &mut Around;
}

/// All words of this room.
#[must_use]
pub fn words<W: World>() -> Vec<Word<W>> {
    [
        group("Programs", program::words()),
        group("Output and input", output::words()),
        group("Files", files::words()),
        group("Places of files", paths::words()),
        group("Bytes in files", bytes::words()),
        group("Data formats", json::words()),
        group("Data formats", yaml::words()),
        group("Data formats", ini::words()),
        group("Processes", process::words()),
        group("Clock", clock::words()),
        group("Chance", chance::words()),
        group("Help", help::words()),
    ]
    .into_iter()
    .flatten()
    .collect()
}
