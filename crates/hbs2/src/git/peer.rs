//! `hbs2:peer:poke`: is the peer there?

use hbs2_rpc::api::peer::Poke;

use super::session::Session;
use super::words::Args;
use crate::error::Failure;

/// `hbs2:peer:poke`
///
/// # Errors
/// No peer answers; stdout cannot be written.
pub fn poke(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    Args::new("hbs2:peer:poke", args).end()?;
    let text = session.daemon()?.ask::<Poke>(&())?;
    session.voice.line(text.trim_end())?;
    Ok(())
}
