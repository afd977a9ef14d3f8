//! Project chores: `cargo xtask demo | test | tidy | install | bench`.
//!
//! Everything a developer or a newcomer does with the project beyond `cargo build` is one of these words, so that
//! nothing has to be remembered and nothing depends on a shell. Each command streams what it does and ends with
//! one closing line; the exit code is 0 only if all of it went well.

mod bench;
mod build;
mod demo;
mod fuzz;
mod install;
mod sim;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use build::Profile;
use clap::{Parser, Subcommand};

/// Project chores.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Shows the whole program: a repository pushed through one peer and cloned, verified, from another.
    Demo {
        /// Tells the story of an encrypted repository: carried by a peer that cannot read it, members come and go.
        #[arg(long)]
        encrypted: bool,
        /// Keeps everything in this directory, which must not exist or be empty.
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
        /// Takes the release build instead of the development build.
        #[arg(long, conflicts_with = "binary")]
        release: bool,
        /// Builds nothing and takes this `hbs2`, for example an installed one.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
    /// Runs all tests; words after it go to the test runner.
    Test {
        /// For the test runner, for example a part of a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Tells random stories in a made-up network until one breaks a rule.
    Sim(sim::Options),
    /// Throws changed vectors at a reader of foreign bytes until it panics or the time is over.
    Fuzz(fuzz::Options),
    /// Checks what can be checked of the project's own rules.
    Tidy,
    /// Builds the release binary and installs it with a link for each program name.
    Install {
        /// Programs go to DIR/bin.
        #[arg(long, value_name = "DIR", default_value_os_t = install::default_root())]
        root: PathBuf,
    },
    /// Measures speed beside plain tools, in the release build.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Demo { encrypted, keep, release, binary } => {
            let story = if encrypted { demo::Story::Sealed } else { demo::Story::Open };
            let profile = if release { Profile::Release } else { Profile::Dev };
            binary
                .map_or_else(|| build::binary(profile), Ok)
                .and_then(|hbs2| demo::run(story, &hbs2, keep.as_deref()))
        }
        Chore::Test { rest } => test::run(&rest),
        Chore::Sim(options) => sim::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Tidy => tidy::run(&build::project_root()),
        Chore::Install { root } => install::run(&root),
        Chore::Bench(options) => bench::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
