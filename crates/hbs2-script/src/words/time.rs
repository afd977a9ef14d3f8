//! Dates. The clock itself belongs to the host.

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

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// From the first day of 1970.
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Seconds on both sides of 1970 that are taken: years of at most five digits.
const SECONDS_MAX: i64 = 253_402_300_800 * 10;

struct Moment {
    seconds: i64,
    year: i64,
    /// From 0.
    month: usize,
    day: i64,
    /// From 1.
    day_of_year: i64,
    weekday: &'static str,
}

impl Moment {
    fn of(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY_SECONDS);
        let weekday = DAYS[usize::try_from(days.rem_euclid(7)).expect("a rest of seven is small")];
        // Years of 400 repeat; counted from the first of March, the odd day of a leap year comes last.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_shifted = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_shifted + 2) / 153;
        let day = day_of_shifted - (153 * shifted_month + 2) / 5 + 1;
        let month = (shifted_month + 2) % 12;
        let year = year_of_era + era * 400 + i64::from(month <= 1);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before: i64 = [31, 28 + i64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            .iter()
            .take(usize::try_from(month).expect("a month is small"))
            .sum();
        let month = usize::try_from(month).expect("a month is small");
        Self { seconds, year, month, day, day_of_year: before + day, weekday }
    }

    fn field(&self, letter: char) -> Option<String> {
        let of_day = self.seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        Some(match letter {
            'Y' => format!("{}", self.year),
            'y' => format!("{:02}", self.year.rem_euclid(100)),
            'm' => format!("{:02}", self.month + 1),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'H' => format!("{hour:02}"),
            'M' => format!("{minute:02}"),
            'S' => format!("{second:02}"),
            'j' => format!("{:03}", self.day_of_year),
            'a' => self.weekday[..3].to_owned(),
            'A' => self.weekday.to_owned(),
            'b' | 'h' => MONTHS[self.month][..3].to_owned(),
            'B' => MONTHS[self.month].to_owned(),
            'F' => format!("{}-{:02}-{:02}", self.year, self.month + 1, self.day),
            'T' => format!("{hour:02}:{minute:02}:{second:02}"),
            'R' => format!("{hour:02}:{minute:02}"),
            's' => format!("{}", self.seconds),
            'Z' => "UTC".to_owned(),
            'z' => "+0000".to_owned(),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }
}

fn strftime<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let seconds = i64::try_from(a.int_at(1)?).ok().filter(|seconds| seconds.abs() <= SECONDS_MAX);
    let moment = Moment::of(seconds.ok_or_else(|| a.wrong(1, "seconds of a year of at most five digits"))?);
    let mut text = String::new();
    let mut letters = a.word_at(0)?.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let field = letters.next().and_then(|letter| moment.field(letter));
        text.push_str(&field.ok_or_else(|| a.wrong(0, "a format whose fields are known"))?);
        m.room(text.len())?;
    }
    m.text(text)
}
