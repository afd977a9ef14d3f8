//! `hbs2-peer refchan gk`: a group key for the readers of a channel.

use std::time::{SystemTime, UNIX_EPOCH};

use hbs2_core::{ChanHead, EncryptSecretKey, GroupKey, GroupSecret, SignPublicKey};
use zeroize::Zeroizing;

use super::read_head;
use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Print a new group key file for the readers of a channel
#[derive(Debug, clap::Args)]
pub(super) struct Words {
    /// Public key of the channel
    chan: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; the channel has no head, or its head no readers.
pub(super) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let (_, head) = read_head(&Daemon::reach(&words.reach)?, words.chan)?;
    let (key, _) = generate(&words.chan, &head)?;
    voice.line(key.to_text())?;
    Ok(())
}

/// A group key with a fresh secret for the readers of a head.
pub(super) fn generate(chan: &SignPublicKey, head: &ChanHead) -> Result<(GroupKey, GroupSecret), Failure> {
    if head.readers.is_empty() {
        return Err(Failure::told(format!("the head of refchan {chan} has no readers")));
    }
    let mut seeds = Zeroizing::new(vec![0; SEED_BYTES * (head.readers.len() + 1)]);
    getrandom::fill(&mut seeds).map_err(Failure::Random)?;
    let mut seeds = seeds.chunks_exact(SEED_BYTES).map(|seed| {
        let seed: [u8; SEED_BYTES] = seed.try_into().expect("a chunk has this length");
        seed
    });
    let secret = GroupSecret::from_bytes(seeds.next().expect("one more than readers"));
    let once = || EncryptSecretKey::from_bytes(seeds.next().expect("one for each reader"));
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let key = GroupKey::generate(&secret, &head.readers, seconds, once).map_err(|error| {
        Failure::told(format!("cannot make a group key for refchan {chan}")).because(error)
    })?;
    Ok((key, secret))
}

/// Bytes of a secret and of each fresh key.
const SEED_BYTES: usize = 32;
