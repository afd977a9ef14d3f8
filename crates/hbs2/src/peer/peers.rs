//! `hbs2-peer peers`: the neighbours.

use hbs2_rpc::api::node::{Conduct, PeerConduct};
use hbs2_rpc::api::peer::Peers;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// List the peers that the running peer knows: key and address
#[derive(Debug, clap::Args)]
pub struct Words {
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let peers = daemon.ask::<Peers>(&())?;
    // A daemon of another kind does not tell.
    let conduct = daemon.ask::<Conduct>(&()).unwrap_or_default();
    for (key, address) in &peers {
        let conduct = conduct.iter().find(|conduct| conduct.key == *key);
        let remarks = conduct.map(remarks).unwrap_or_default();
        voice.line(format_args!("{key:<44} {address}{remarks}"))?;
    }
    if peers.is_empty() {
        voice.talk().detail("no peer is known yet; name one in the config: known-peer \"HOST:PORT\"");
    }
    for banned in &conduct {
        if let Some(seconds) = banned.banned_seconds {
            let remarks = remarks(banned);
            voice.talk().detail(format_args!("banned for {seconds} s more: {}{remarks}", banned.key));
        }
    }
    Ok(())
}

/// What is held against a peer, as a further column.
fn remarks(conduct: &PeerConduct) -> String {
    let mut words = vec![format!("points {}", conduct.points)];
    if conduct.dropped > 0 {
        words.push(format!("dropped {}", conduct.dropped));
    }
    if conduct.bans > 0 {
        words.push(format!("bans {}", conduct.bans));
    }
    let offences = conduct.offences.iter();
    words.extend(offences.map(|(offence, count)| format!("{} {count}", offence.replace(' ', "-"))));
    format!(" {}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use hbs2_core::SignPublicKey;

    use super::*;

    #[test]
    fn what_is_held_against_a_peer_is_pairs_of_word_and_number() {
        let conduct = PeerConduct {
            key: SignPublicKey::from_bytes([1; 32]),
            points: 44,
            dropped: 12,
            bans: 0,
            banned_seconds: None,
            offences: vec![("wrong blocks".to_owned(), 1), ("floods".to_owned(), 12)],
        };
        assert_eq!(remarks(&conduct), " points 44 dropped 12 wrong-blocks 1 floods 12");
    }
}
