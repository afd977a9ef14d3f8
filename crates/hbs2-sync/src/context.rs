//! What the work on a folder needs from outside.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hbs2_keyman::KeyIndex;
use hbs2_rpc::Client;
use zeroize::Zeroizing;

use crate::error::{Result, SyncError};

/// How long nothing may come of what is awaited, in seconds, before it is given up for this time.
pub const PATIENCE_SECONDS: u64 = 60;

/// Where the work tells what it does.
pub trait Voice {
    /// Something that was done, for scripts: `write HASH PATH`.
    fn did(&self, line: &str);

    /// A remark for people.
    fn note(&self, text: &str);

    /// The state of long work, replacing the last one; empty when it is over.
    fn status(&self, text: &str);
}

/// The daemon, the keys and the voice.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The daemon.
    pub client: &'a Client,
    /// The keys.
    pub keys: &'a KeyIndex,
    /// The voice.
    pub voice: &'a dyn Voice,
    /// How long nothing may come of what is awaited.
    pub patience: Duration,
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Random bytes; wiped when dropped.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(SyncError::Random)?;
    Ok(bytes)
}
