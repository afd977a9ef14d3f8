//! Settings of one call: `compression`, `segment`, `quiet`, `debug` (spec: git3 11.1).

use super::session::Session;
use super::words::Args;
use crate::error::Failure;
use crate::voice::Tone;

/// `compression [N | best]`
///
/// # Errors
/// The argument is neither; stdout cannot be written.
pub fn compression(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("compression", args);
    let Some(level) = args.maybe_word()? else {
        let level = session.settings()?.compression;
        return Ok(session.voice.line(level)?);
    };
    let set = session.settings()?.set_compression(level);
    if !set {
        return Err(args.wrong(format!("the level is '{level}', not 1 to 22 or best")));
    }
    args.end()
}

/// `segment [BYTES]`
///
/// # Errors
/// The argument is no number; stdout cannot be written.
pub fn segment(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("segment", args);
    let Some(bytes) = args.maybe_word()? else {
        let bytes = session.settings()?.segment_bytes;
        return Ok(session.voice.line(bytes)?);
    };
    let bytes =
        bytes.parse().map_err(|_| args.wrong(format!("the size is '{bytes}', not a number of bytes")))?;
    session.settings()?.set_segment_bytes(bytes);
    args.end()
}

/// `quiet`
///
/// # Errors
/// It has arguments.
pub fn quiet(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    session.voice.set_tone(Tone::Quiet);
    Args::new("quiet", args).end()
}

/// `debug`
///
/// # Errors
/// It has arguments.
pub fn debug(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    session.voice.set_tone(Tone::Verbose);
    Args::new("debug", args).end()
}
