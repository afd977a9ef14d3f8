//! Tables of a markdown page, found by the heading above them.

/// The body rows of the first table below the heading `heading`, each as its trimmed cells.
pub(crate) fn rows(page: &str, heading: &str) -> Option<Vec<Vec<String>>> {
    let mut lines = page
        .lines()
        .skip_while(|line| line.trim_start_matches('#').trim() != heading || !line.starts_with('#'));
    lines.next()?;
    let table: Vec<&str> = lines
        .take_while(|line| !line.starts_with('#'))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .collect();
    // The first two lines are the names of the columns and the rule below them.
    (table.len() > 2).then(|| table[2..].iter().map(|row| cells(row)).collect())
}

fn cells(row: &str) -> Vec<String> {
    row.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The texts between back quotes, in order.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_below_a_heading_is_read_and_no_other() {
        let page =
            "# A\n| x |\n|---|\n| no |\n\n## B\nwords\n\n| c | d |\n|---|---|\n| `1` | 2 |\n| 3 | |\nend\n";
        assert_eq!(rows(page, "B").unwrap(), [["`1`", "2"], ["3", ""]]);
        assert_eq!(rows(page, "C"), None);
        assert_eq!(rows("## B\n## C\n| a |\n|---|\n| 1 |", "B"), None);
    }

    #[test]
    fn quoted_words_are_those_between_back_quotes() {
        assert_eq!(quoted("all of `a`, `b c` and d").collect::<Vec<_>>(), ["a", "b c"]);
    }
}
