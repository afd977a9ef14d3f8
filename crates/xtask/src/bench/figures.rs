//! Figures of a bench: a median beside its bar and beside the plain tool.

use std::fmt::Write as _;
use std::time::Duration;

/// What a figure must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bar {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Shown for comparison.
    None,
}

impl Bar {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bar) => figure >= bar,
            Self::AtMost(bar) => figure <= bar,
            Self::None => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bar) => format!("≥ {}", number(bar)),
            Self::AtMost(bar) => format!("≤ {}", number(bar)),
            Self::None => "–".to_owned(),
        }
    }
}

/// The same thing done by a plain tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Beside {
    /// The tool.
    pub(crate) tool: &'static str,
    /// Its figure, in the unit of ours.
    pub(crate) figure: f64,
}

/// One line of the result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// The median.
    pub(crate) figure: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What it must reach.
    pub(crate) bar: Bar,
    /// The plain tool, if there is one for this.
    pub(crate) beside: Option<Beside>,
}

impl Row {
    /// A figure with a bar.
    pub(crate) fn new(what: impl Into<String>, figure: f64, unit: &'static str, bar: Bar) -> Self {
        Self { what: what.into(), figure, unit, bar, beside: None }
    }

    /// The same row beside a plain tool.
    pub(crate) fn beside(mut self, tool: &'static str, figure: f64) -> Self {
        self.beside = Some(Beside { tool, figure });
        self
    }

    /// Whether the bar is met.
    pub(crate) fn is_met(&self) -> bool {
        self.bar.is_met(self.figure)
    }

    /// The cells of the row: what, figure, bar, verdict, plain tool, ratio.
    fn cells(&self) -> [String; 6] {
        let verdict = match (self.bar, self.is_met()) {
            (Bar::None, _) => "",
            (_, true) => "met",
            (_, false) => "MISSED",
        };
        let (beside, ratio) = self.beside.as_ref().map_or_else(Default::default, |beside| {
            let text = format!("{} {}", beside.tool, with_unit(beside.figure, self.unit));
            (text, format!("× {:.2}", self.figure / beside.figure))
        });
        let figure = with_unit(self.figure, self.unit);
        [self.what.clone(), figure, self.bar.text(), verdict.to_owned(), beside, ratio]
    }
}

const HEAD: [&str; 6] = ["what", "figure", "bar", "", "beside", "ratio"];

/// The rows as an aligned table for a terminal.
pub(crate) fn plain_table(rows: &[Row]) -> String {
    let lines = lines(rows);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(text, "{}", line.trim_end()).expect("a string takes every line");
    }
    text
}

/// The rows as a table for a document.
pub(crate) fn markdown_table(rows: &[Row]) -> String {
    let mut lines: Vec<String> = lines(rows).iter().map(|line| format!("| {} |", line.join(" | "))).collect();
    lines.insert(1, "|---|---|---|---|---|---|".to_owned());
    lines.join("\n") + "\n"
}

fn lines(rows: &[Row]) -> Vec<[String; 6]> {
    std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect()
}

fn with_unit(figure: f64, unit: &str) -> String {
    if unit.is_empty() { number(figure) } else { format!("{} {unit}", number(figure)) }
}

/// Three significant digits or so: more would pretend.
fn number(figure: f64) -> String {
    match figure {
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

/// The middle one of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// Megabytes a second.
pub(crate) fn speed(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_bar_is_met_at_its_very_figure() {
        assert!(Row::new("x", 5.0, "s", Bar::AtMost(5.0)).is_met());
        assert!(!Row::new("x", 5.1, "s", Bar::AtMost(5.0)).is_met());
        assert!(!Row::new("x", 249.0, "MB/s", Bar::AtLeast(250.0)).is_met());
        assert!(Row::new("x", 0.0, "", Bar::None).is_met());
    }

    #[test]
    fn rows_are_shown_with_verdict_and_ratio() {
        let row = Row::new("store", 200.0, "MB/s", Bar::AtLeast(250.0)).beside("cp", 400.0);
        let table = plain_table(std::slice::from_ref(&row));
        let words: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words.join(" "), "store 200 MB/s ≥ 250 MISSED cp 400 MB/s × 0.50");
        assert!(markdown_table(&[row]).lines().nth(2).unwrap().starts_with("| store | 200 MB/s | ≥ 250 |"));
    }

    #[test]
    fn figures_have_three_digits_or_so() {
        assert_eq!([1234.6, 42.04, 0.3, 2.0].map(number), ["1235", "42.0", "0.3", "2"]);
    }
}
