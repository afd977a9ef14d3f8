//! People with a home and a running peer: the cast of a test of the whole program.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Call, Daemon, Home, KitError, free_address};

/// Somebody with a home and a peer.
#[derive(Debug)]
pub struct Person {
    /// Ends before the home is removed.
    pub peer: Daemon,
    /// The home.
    pub home: Home,
}

impl Person {
    /// A person whose peer knows the peers at `known`.
    ///
    /// # Errors
    /// The home cannot be made or the daemon does not start.
    pub fn new(name: &str, binary: &Path, known: &[SocketAddr]) -> Result<Self, KitError> {
        let home = Home::new(name, binary)?;
        Ok(Self { peer: Daemon::start(&home, known)?, home })
    }

    /// People of which each knows the one before and the one after, so that what the first says to the last goes
    /// through all between.
    ///
    /// # Errors
    /// As [`Person::new`].
    pub fn row<const N: usize>(names: [&str; N], binary: &Path) -> Result<[Self; N], KitError> {
        let at: Vec<SocketAddr> = names.iter().map(|_| free_address()).collect::<Result<_, _>>()?;
        let mut people = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let home = Home::new(name, binary)?;
            let before = n.checked_sub(1).map(|n| at[n]);
            let known: Vec<SocketAddr> = before.into_iter().chain(at.get(n + 1).copied()).collect();
            people.push(Self { peer: Daemon::start_at(&home, at[n], &known, "")?, home });
        }
        Ok(people.try_into().expect("one person was made for each name"))
    }

    /// A command in this person's home, as a line.
    #[must_use]
    pub fn line(&self, line: &str) -> Call {
        self.home.line(line)
    }
}

/// How long [`until`] waits, in seconds. What comes by gossip is here within one; a loaded machine gets more.
const UNTIL_SECONDS: u64 = 60;

/// Pause between two looks of [`until`], in milliseconds.
const LOOK_MILLIS: u64 = 20;

/// Looks again and again until `seen`; for what another peer sends in its own time. Returns how long it took.
///
/// # Errors
/// It is not seen in time, or a look fails.
pub fn until(what: &str, mut seen: impl FnMut() -> Result<bool, KitError>) -> Result<Duration, KitError> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(UNTIL_SECONDS) {
        if seen()? {
            return Ok(began.elapsed());
        }
        thread::sleep(Duration::from_millis(LOOK_MILLIS));
    }
    Err(KitError::Unexpected { what: format!("{what} did not happen"), place: format!("{UNTIL_SECONDS} s") })
}
