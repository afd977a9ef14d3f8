//! `hbs2-peer lwwref`: references whose last writer wins.

use clap::Subcommand;
use hbs2_core::{Hash, LwwRef, SignPublicKey, Signed};
use hbs2_rpc::api::lwwref::{Fetch, Get, LwwKey, Update};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::keys;
use crate::voice::Voice;

/// Read and set references whose last writer wins
///
/// An lwwref is named by a public key and holds one hash. Its owner signs each new value with a higher sequence
/// number; all peers keep the highest.
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    /// Print the value of a reference; an empty line if there is none
    #[command(after_long_help = "\
Example:
  $ hbs2-peer lwwref get 8vFu9S79ysdWag4wek53YWXbC5nCRLF7arGp6181G4js
  (lwwref
    (seq 1)
    (value \"BqvS2V3AfakKYwAgTG6fMGW53C6L19YhWaXDY2gdqMkK\")
    )")]
    Get(Key),
    /// Ask other peers for the reference now; returns at once
    Fetch(Key),
    Update(UpdateWords),
}

// Without a doc comment: it would replace the help of the commands that take it.
#[derive(Debug, clap::Args)]
pub(crate) struct Key {
    /// Public key of the reference
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Sign a new value and publish it
///
/// The secret key is read from the keyring file that hbs2-keyman knows for KEY.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2-peer lwwref update -s 1 -v HASH KEY     the first value
  hbs2-peer lwwref update -v HASH KEY          a later one, numbered one higher")]
pub(crate) struct UpdateWords {
    /// Public key of the reference
    key: SignPublicKey,
    /// The new value
    #[arg(short, long, value_name = "HASH")]
    value: Hash,
    /// Sequence number [default: one more than the present one]
    #[arg(short, long)]
    seq: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; for an update also: no secret key, no number to count from, a number that is too low.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Get(words) => get(words, voice),
        Words::Fetch(words) => Daemon::reach(&words.reach)?.ask::<Fetch>(&LwwKey(words.key)),
        Words::Update(words) => update(words, voice),
    }
}

fn get(words: &Key, voice: &mut Voice) -> Result<(), Failure> {
    let value = Daemon::reach(&words.reach)?.ask::<Get>(&LwwKey(words.key))?;
    voice.line(value.as_ref().map(shape).unwrap_or_default())?;
    Ok(())
}

/// The printed form of a value (spec: cli 4.4): the last bracket stands on a line of its own.
#[must_use]
pub fn shape(lww: &LwwRef) -> String {
    let proof = lww.proof.map(|hash| format!("\n  (proof \"{hash}\")")).unwrap_or_default();
    format!("(lwwref\n  (seq {})\n  (value \"{}\"){proof}\n  )", lww.seq, lww.value)
}

fn update(words: &UpdateWords, voice: &mut Voice) -> Result<(), Failure> {
    let key = words.key;
    let daemon = Daemon::reach(&words.reach)?;
    let secret = keys::secret(&key, voice.talk())?;
    let current = daemon.ask::<Get>(&LwwKey(key))?;
    let counted = current.as_ref().and_then(|current| current.seq.checked_add(1));
    let seq = words.seq.or(counted).ok_or(Failure::NoSequence { key })?;
    let new = LwwRef { seq, value: words.value, proof: None };
    if let Some(current) = current.filter(|current| !new.beats(current)) {
        return Err(Failure::OldSequence { key, seq, current: current.seq });
    }
    daemon.ask::<Update>(&Signed::sign(&secret, &new))?;
    voice.talk().detail(format_args!("published value number {seq}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_printed_in_the_shape_of_the_spec() {
        let hash: Hash = "BqvS2V3AfakKYwAgTG6fMGW53C6L19YhWaXDY2gdqMkK".parse().unwrap();
        let mut lww = LwwRef { seq: 1, value: hash, proof: None };
        let plain = format!("(lwwref\n  (seq 1)\n  (value \"{hash}\")\n  )");
        assert_eq!(shape(&lww), plain);
        lww.proof = Some(hash);
        assert_eq!(shape(&lww), plain.replace("\n  )", &format!("\n  (proof \"{hash}\")\n  )")));
    }
}
