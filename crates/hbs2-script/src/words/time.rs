//! Dates. The clock itself belongs to the host.

use crate::calendar::{self, Moment};
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::call("strftime", "FMT N", strftime)
            .brief("a point in time as text")
            .text(
                "N is in seconds since 1970, FMT a text with: %Y year, %m month, %d or %e day, %H %M %S time, %y short \
                 year, %j day of the year, %a %A day of the week, %b %B month, %F date, %T time, %R hour and \
                 minute, %s seconds, %Z UTC, %z +0000, %n line feed, %t tab, %% percent sign. The time is UTC.",
            )
            .returns("a string")
            .example("(strftime \"%Y-%m-%dT%H:%M:%SZ\" 1000000000)", "2001-09-09T01:46:40Z")
            .example("(strftime \"%a %F\" 0)", "Thu 1970-01-01"),
    ]
}

fn strftime<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let seconds = i64::try_from(a.int_at(1)?).ok();
    let moment = seconds.and_then(Moment::of);
    let moment = moment.ok_or_else(|| a.wrong(1, "seconds of a year of at most five digits"))?;
    let pattern = a.word_at(0)?;
    m.room(pattern.len().saturating_mul(calendar::FIELD_BYTES_MAX))?;
    let text = moment.format(pattern);
    let text = text.ok_or_else(|| a.wrong(0, "a format whose fields are known"))?;
    m.text(text)
}
