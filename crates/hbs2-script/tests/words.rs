//! Rules of the words of the language: every example of their manual pages is true.

#![allow(clippy::unwrap_used)] // A test that cannot unwrap has failed.

use std::collections::BTreeSet;

use hbs2_script::{Limits, Machine, help, words};

fn machine() -> Machine<()> {
    Machine::new((), words::all(), Limits::default())
}

/// What `program` displays, or its error on the first line.
fn shown(program: &str) -> String {
    match machine().run("test", program) {
        Ok(value) => value.display(),
        Err(error) => error.fault.to_string(),
    }
}

#[test]
fn every_example_displays_what_its_page_says() {
    for word in machine().words() {
        for (program, expected) in &word.examples {
            assert_eq!(shown(program), *expected, "{program}");
        }
    }
}

#[test]
fn every_word_has_a_page_with_all_headings() {
    for word in machine().words() {
        let page = help::page(word);
        for part in [word.brief, word.returns] {
            assert!(!part.is_empty(), "{}", word.name);
        }
        for head in ["NAME\n", "\nSYNOPSIS\n", "\nDESCRIPTION\n", "\nRETURN VALUE\n"] {
            assert!(page.contains(head), "{page}");
        }
        assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
        assert!(!word.brief.ends_with('.') && !word.returns.ends_with('.'), "{}", word.name);
    }
}

#[test]
fn names_are_sorted_and_begin_with_the_prefix() {
    let names = help::names(machine().words(), "path:");
    assert_eq!(names, ["path:base", "path:dirname", "path:ext", "path:filename", "path:join", "path:split"]);
    let all = help::names(machine().words(), "");
    let sorted: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(all, sorted.into_iter().collect::<Vec<_>>());
}

#[test]
fn parts_that_are_not_there_are_nil() {
    for program in
        ["(head '())", "(nth 5 '(a))", "(nth -2 '(a))", "(last \"\")", "(assoc x '((y 1)))", "(median '())"]
    {
        assert_eq!(shown(program), "()", "{program}");
    }
}

#[test]
fn strings_and_symbols_are_taken_alike() {
    assert_eq!(
        shown("(list (upper abc) (length abc) (take 1 abc) (split : \"a:b\"))"),
        "(\"ABC\" 3 \"a\" (\"a\" \"b\"))"
    );
    assert_eq!(shown("(lookup list '((list 1)))"), "(1)");
}

#[test]
fn an_order_that_contradicts_itself_still_sorts() {
    assert_eq!(shown("(length (sort-with (lambda (a b) #t) '(1 2 3 4 5)))"), "5");
    assert_eq!(shown("(sort-by head '((b 1) (a 1) (b 0)))"), "((a 1) (b 1) (b 0))");
    assert_eq!(shown("(sort '(b \"a\" 2 1.5 #t () (1)))"), "(#t 1.5 2 b \"a\" () (1))");
}

#[test]
fn numbers_that_are_too_large_are_refused() {
    for program in [
        "(inc 170141183460469231731687303715884105727)",
        "(sum '(170141183460469231731687303715884105727 1))",
        "(sum '(1e308 1e308))",
        "(int 1e300)",
    ] {
        assert!(shown(program).starts_with("the result is"), "{program}: {}", shown(program));
    }
    assert!(shown("(mod 1 0)").contains("other than 0"));
}

#[test]
fn dates_are_those_of_the_calendar() {
    let check = |seconds: i64, expected: &str| {
        assert_eq!(shown(&format!("(strftime \"%F %T %j %a\" {seconds})")), expected);
    };
    check(0, "1970-01-01 00:00:00 001 Thu");
    check(951_782_400, "2000-02-29 00:00:00 060 Tue");
    check(4_107_542_399, "2100-02-28 23:59:59 059 Sun");
    check(-1, "1969-12-31 23:59:59 365 Wed");
    check(1_795_314_818, "2026-11-22 02:33:38 326 Sun");
    assert!(shown("(strftime \"%Q\" 0)").contains("format"));
}

#[test]
fn colours_are_codes_of_the_terminal() {
    assert_eq!(shown("(ansi ~red _ x)"), "\u{1b}[31mx\u{1b}[0m");
    assert_eq!(shown("(ansi green ~blue x)"), "\u{1b}[92;44mx\u{1b}[0m");
    assert_eq!(shown("(ansi _ x)"), "x");
}
