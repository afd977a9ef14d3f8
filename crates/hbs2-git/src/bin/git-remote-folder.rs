//! A remote helper without a daemon: repositories in a storage folder.
//!
//! ```text
//! ln -s …/examples/git-remote-folder ~/bin/git-remote-hbs23
//! HBS2_FOLDER=/path/to/storage HBS2_FOLDER_KEYS=/path/to/keys git clone hbs23://KEY
//! ```
//! The tests of this crate use it with real git. `HBS2_FOLDER_NOW` sets the clock, `init` instead of the name
//! of a remote makes a repository in the current directory.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use hbs2_git::testing::{Folder, KeyFolder, Stderr};
use hbs2_git::{Context, Error, GitConfig, GitDir, Settings, context, helper, init};

fn now() -> u64 {
    let set = std::env::var("HBS2_FOLDER_NOW").ok().and_then(|now| now.parse().ok());
    set.unwrap_or_else(context::system_now)
}

fn place(variable: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| panic!("{variable} names no folder"), PathBuf::from)
}

fn run() -> Result<(), Error> {
    let link = Folder::open(&place("HBS2_FOLDER")).expect("the folder can be made");
    let keys = KeyFolder(place("HBS2_FOLDER_KEYS"));
    let dir = std::env::current_dir().expect("there is a current directory");
    let git = GitDir::discover(&dir)?;
    let config = GitConfig::read(git.as_ref())?;
    let settings = Settings::default().with_git_config(&config);
    let ctx = Context { link: &link, keys: &keys, voice: &Stderr, settings, now };
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["init", group @ ..] => {
            let group = group.first().map(|group| group.parse().expect("the hash of a group key"));
            let made = init::init(&ctx, &dir, group)?;
            println!("added git remote {} {}", made.remote, made.url);
            Ok(())
        }
        [_remote, url] => {
            let mut output = io::BufWriter::new(io::stdout().lock());
            helper::run(url, &mut io::stdin().lock(), &mut output, &ctx, git, &config)?;
            output.flush().map_err(|source| Error::Pipe { source })
        }
        _ => panic!("usage: git-remote-folder REMOTE URL"),
    }
}

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message += &format!(": {cause}");
        source = cause.source();
    }
    eprintln!("git-remote-folder: error: {message}");
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
    ExitCode::FAILURE
}
