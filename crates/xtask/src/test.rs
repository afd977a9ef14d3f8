//! `cargo xtask test`: every test of the workspace, and one line that says how it ended.
//!
//! Runs under nextest when that is installed (one process a test, a limit for each), else under plain `cargo test`.
//! The closing lines of the runners are repeated at the end, because they scroll away.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::build;

pub(crate) fn run(rest: &[String]) -> Result<()> {
    let mut closing = Vec::new();
    let mut well = true;
    for mut call in runs(nextest_is_installed(), rest) {
        let (success, lines) = tee(&mut call)?;
        well &= success;
        closing.extend(lines);
    }
    println!();
    for line in summary(&closing) {
        println!("test: {line}");
    }
    ensure!(well, "not all tests passed");
    Ok(())
}

fn nextest_is_installed() -> bool {
    let version =
        build::cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// The calls that together run every test once: nextest does not know the examples in documentation.
fn runs(nextest: bool, rest: &[String]) -> Vec<Command> {
    let call = |words: &[&str], rest: &[String]| {
        let mut call = build::cargo();
        call.args(words).args(rest);
        call
    };
    match (nextest, rest.is_empty()) {
        (true, true) => vec![
            call(&["nextest", "run", "--workspace", "--no-fail-fast"], &[]),
            call(&["test", "--workspace", "--doc", "--quiet"], &[]),
        ],
        (true, false) => vec![call(&["nextest", "run", "--workspace"], rest)],
        (false, _) => vec![call(&["test", "--workspace", "--no-fail-fast"], rest)],
    }
}

/// Runs a call, passing on what it prints; returns whether it succeeded, and its closing lines.
fn tee(call: &mut Command) -> Result<(bool, Vec<String>)> {
    let mut child =
        call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot start cargo")?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let errors = thread::spawn(move || err.map(|err| pass_on(err, |line| eprintln!("{line}"))));
    let mut closing = out.map(|out| pass_on(out, |line| println!("{line}"))).unwrap_or_default();
    closing.extend(errors.join().expect("passing lines on does not panic").unwrap_or_default());
    let status = child.wait().context("cannot wait for cargo")?;
    Ok((status.success(), closing))
}

fn pass_on(stream: impl Read, print: impl Fn(&str)) -> Vec<String> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.inspect(|line| print(line)).filter(|line| is_closing(line)).collect()
}

fn is_closing(line: &str) -> bool {
    line.starts_with("test result:") || line.trim_start().starts_with("Summary [")
}

/// Closing lines worth repeating: nextest's own, and one sum of those of all test binaries of plain cargo.
fn summary(closing: &[String]) -> Vec<String> {
    let (plain, nextest): (Vec<_>, Vec<_>) =
        closing.iter().partition(|line| line.starts_with("test result:"));
    let count = |word: &str| -> u64 {
        let counts = plain.iter().flat_map(|line| line.split(['.', ';']));
        counts.filter_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok()).sum()
    };
    let mut lines: Vec<String> = nextest.iter().map(|line| line.trim().to_owned()).collect();
    if !plain.is_empty() {
        let (binaries, passed, failed, ignored) =
            (plain.len(), count("passed"), count("failed"), count("ignored"));
        lines
            .push(format!("{passed} passed; {failed} failed; {ignored} ignored in {binaries} test binaries"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_plain_cargo_are_summed() {
        let lines = [
            "test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 4.01s",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        ];
        assert!(lines.iter().all(|line| is_closing(line)));
        let lines = lines.map(str::to_owned);
        assert_eq!(summary(&lines), ["11 passed; 1 failed; 0 ignored in 2 test binaries"]);
    }

    #[test]
    fn the_closing_line_of_nextest_is_kept() {
        let line = "     Summary [   4.2s] 31 tests run: 31 passed, 0 skipped".to_owned();
        assert!(is_closing(&line) && !is_closing("test a::b ... ok"));
        assert_eq!(summary(&[line]), ["Summary [   4.2s] 31 tests run: 31 passed, 0 skipped"]);
    }

    #[test]
    fn with_nextest_the_examples_in_documentation_run_as_well() {
        assert_eq!(runs(true, &[]).len(), 2);
        assert_eq!(runs(false, &[]).len(), 1);
    }
}
