//! `hbs2-peer bypass`: the layer that seals packets between peers.

use clap::Subcommand;
use hbs2_rpc::api::peer::BypassInfo;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Look at the layer that seals packets between peers
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Show(ShowWords),
}

/// Print what was sent, received, sealed and opened since the start
///
/// Packets but for the two lines that count bytes. Whether a single peer is spoken to in clear is shown by
/// 'hbs2-peer status'.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowWords {
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let Words::Show(words) = words;
    let stat = Daemon::reach(&words.reach)?.ask::<BypassInfo>(&())?;
    for (label, value) in [
        ("bypassed:", stat.bypassed),
        ("encrypted:", stat.encrypted),
        ("decrypted:", stat.decrypted),
        ("decryptFails:", stat.decrypt_fails),
        ("sent:", stat.sent),
        ("received:", stat.received),
        ("sentBytes:", stat.sent_bytes),
        ("recvBytes:", stat.received_bytes),
        ("flowNum:", stat.flows),
        ("peers:", stat.peers),
        ("authFail:", stat.auth_fails),
        ("maxPktLen:", stat.packet_bytes_longest),
    ] {
        voice.line(format_args!("{label:<15} {value}"))?;
    }
    Ok(())
}
