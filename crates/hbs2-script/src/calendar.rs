//! Dates of the Gregorian calendar, in UTC: what a number of seconds since 1970 is called.

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

/// Longest text of a field, in bytes: seconds of a year of five digits, with their sign.
pub const FIELD_BYTES_MAX: usize = 16;

/// A point in time with its place in the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
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
    /// The moment this many seconds after 1970 began; none in years of six digits and more.
    #[must_use]
    pub fn of(seconds: i64) -> Option<Self> {
        if !(-SECONDS_MAX..=SECONDS_MAX).contains(&seconds) {
            return None;
        }
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
        Some(Self { seconds, year, month, day, day_of_year: before + day, weekday })
    }

    /// The moment as text: each `%` with its letter becomes a field, as `strftime` of C has them. None when a field is
    /// not known.
    #[must_use]
    pub fn format(&self, pattern: &str) -> Option<String> {
        let mut text = String::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '%' => text.push_str(&self.field(letters.next()?)?),
                _ => text.push(letter),
            }
        }
        Some(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00"),
            (-1, "1969-12-31 23:59"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_800, "2000-03-01 00:00"),
            (1_795_313_685, "2026-11-22 02:14"),
            (4_107_542_399, "2100-02-28 23:59"),
            (4_107_542_400, "2100-03-01 00:00"),
        ] {
            assert_eq!(Moment::of(seconds).unwrap().format("%F %R").unwrap(), expected, "{seconds}");
        }
        assert_eq!((Moment::of(i64::MAX), Moment::of(i64::MIN)), (None, None));
    }

    #[test]
    fn no_field_is_longer_than_the_longest() {
        for seconds in [SECONDS_MAX, -SECONDS_MAX, 0] {
            for letter in ('A'..='z').chain(['%']) {
                let text = Moment::of(seconds).unwrap().field(letter);
                assert!(text.is_none_or(|text| text.len() <= FIELD_BYTES_MAX), "{letter}");
            }
        }
    }

    #[test]
    fn an_unknown_field_and_a_lonely_percent_sign_have_no_text() {
        let moment = Moment::of(0).unwrap();
        assert_eq!((moment.format("%Q"), moment.format("x%")), (None, None));
        assert_eq!(moment.format("%d%%").unwrap(), "01%");
    }
}
