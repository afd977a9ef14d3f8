//! Rules of settings and their errors.

#![allow(clippy::unwrap_used)] // A test that cannot unwrap has failed.

use hbs2_script::Config;
use proptest::prelude::*;

fn config(text: &str) -> Config {
    Config::parse("test.conf", text).unwrap()
}

#[test]
fn the_last_single_setting_wins_and_lists_take_all() {
    let config = config("listen \"a\"\nother 1\nlisten b\n(listen \"c\")\n");
    assert_eq!(config.text("listen").unwrap().as_deref(), Some("c"));
    assert_eq!(config.texts("listen").unwrap(), ["a", "b", "c"]);
    assert_eq!(config.text("absent"), Ok(None));
}

#[test]
fn values_may_be_quoted_or_not() {
    let config =
        config("k1 /home/u/**/*.key\nk2 \"/home/u/**/*.key\"\nk3 007\nk4 \"\"\nport 5000\nport2 \"5001\"");
    assert_eq!(config.text("k1").unwrap().as_deref(), Some("/home/u/**/*.key"));
    assert_eq!(config.text("k2"), config.text("k1"));
    assert_eq!(config.text("k3").unwrap().as_deref(), Some("007"));
    assert_eq!(config.text("k4").unwrap().as_deref(), Some(""));
    assert_eq!(config.integer("port"), Ok(Some(5000)));
    assert_eq!(config.integer("port2"), Ok(Some(5001)));
}

#[test]
fn several_words_are_read_in_order() {
    let config = config("rpc unix \"/tmp/s\"\npoll reflog 5 \"KEY\"");
    assert_eq!(config.last("rpc").unwrap().words().unwrap(), ["unix", "/tmp/s"]);
    assert_eq!(config.last("poll").unwrap().words().unwrap(), ["reflog", "5", "KEY"]);
}

#[test]
fn a_switch_is_on_when_it_says_on() {
    let config = config("a on\nb off\nc yes\nd\ne \"on\"");
    let switches = ["a", "b", "c", "d", "e", "f"].map(|key| config.switch(key));
    assert_eq!(switches, [Some(true), Some(false), Some(false), Some(false), Some(true), None]);
}

#[test]
fn an_error_shows_file_place_line_and_caret() {
    let error = Config::parse("/etc/hbs2/config", "listen \"a\"\nkey  \"b\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/hbs2/config, line 2, column 6: this string is never closed\n  key  \"b\n       ^"
    );
    let error = config("; c\n\tkey a b").text("key").unwrap_err();
    assert_eq!(
        error.to_string(),
        "test.conf, line 2, column 8: only one value is expected\n   key a b\n         ^"
    );
}

#[test]
fn wrong_values_say_what_is_expected() {
    let check = |text: &str, expected: &str| {
        assert_eq!(config(text).last("k").unwrap().text().unwrap_err().message, expected, "{text}");
    };
    check("k", "a value is missing");
    check("k (a)", "a word is expected, not a list");
    check("k a@b", "this sign ends a word: write the value in double quotes");
    assert_eq!(config("k x").integer("k").unwrap_err().message, "a whole number is expected");
    let config = config("k x");
    assert_eq!(config.last("k").unwrap().error("no such thing").place.column, 1);
}

#[test]
fn a_huge_text_is_refused() {
    let text = " ".repeat(hbs2_script::config::CONFIG_BYTES_MAX + 1);
    assert!(Config::parse("f", text).unwrap_err().message.contains("larger than"));
}

proptest! {
    #[test]
    fn reading_settings_never_panics(text in any::<String>(), key in "[a-z]{1,3}") {
        match Config::parse("f", format!("{key} {text}")) {
            Ok(config) => {
                let _ = (config.text(&key), config.integer(&key), config.switch(&key), config.texts(&key));
            }
            Err(error) => prop_assert!(error.to_string().ends_with('^')),
        }
    }
}
