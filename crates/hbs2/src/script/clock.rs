//! Words that know the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hbs2_script::{Datum, Machine, Word};

use super::World;
use crate::error::Failure;

/// Longest sleep, in seconds: a year.
const SLEEP_SECONDS_MAX: f64 = 365.0 * 24.0 * 60.0 * 60.0;

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    vec![
        Word::call("now", "", |_, _| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            Ok(Datum::Int(since.map_or(0, |since| i128::from(since.as_secs()))))
        })
        .brief("the time, in seconds since 1970")
        .returns("a whole number"),
        Word::call("sleep", "SECONDS", |m: &mut Machine<W>, a| {
            let seconds = a.real_at(0)?;
            if !(0.0..=SLEEP_SECONDS_MAX).contains(&seconds) {
                return Err(a.wrong(0, "a number from 0 to a year"));
            }
            // Whoever watches should see what was said before.
            m.world().voice().flush().map_err(Failure::Output)?;
            std::thread::sleep(Duration::from_secs_f64(seconds));
            Ok(Datum::Nil)
        })
        .brief("wait")
        .text("SECONDS may have a fraction.")
        .returns("nil"),
    ]
}
