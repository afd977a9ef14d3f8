//! Rules of reading and printing.

#![allow(clippy::unwrap_used)] // A test that cannot unwrap has failed.

use hbs2_script::print::{WIDTH_COLUMNS, print, print_all, quoted};
use hbs2_script::syntax::{DEPTH_MAX, Fault, Form, Value, parse};
use proptest::prelude::*;

/// Reads `text` without an error and shows its forms on one line.
fn forms(text: &str) -> String {
    let parsed = parse(text);
    assert!(parsed.errors.is_empty(), "{text:?}: {:?}", parsed.errors);
    parsed.forms.iter().map(Form::to_string).collect::<Vec<_>>().join(" ")
}

/// The value of the only word of `text`.
fn word(text: &str) -> Value {
    let parsed = parse(text);
    assert!(parsed.errors.is_empty(), "{text:?}: {:?}", parsed.errors);
    let [form] = parsed.forms.as_slice() else { panic!("{text:?} is not one form") };
    let [word] = form.as_list().unwrap() else { panic!("{text:?} is not one word") };
    word.value.clone()
}

fn symbol(name: &str) -> Value {
    Value::Symbol(name.to_owned())
}

/// Reads `text` and expects exactly these errors at these places.
fn check_errors(text: &str, expected: &[(Fault, usize, usize)]) {
    let found: Vec<_> =
        parse(text).errors.iter().map(|error| (error.fault, error.place.line, error.place.column)).collect();
    assert_eq!(found, expected, "{text:?}");
}

#[test]
fn a_line_is_a_form() {
    assert_eq!(forms("listen \"0.0.0.0:7351\""), "(listen \"0.0.0.0:7351\")");
    assert_eq!(forms("(hbs2-git 3)"), "(hbs2-git 3)");
    assert_eq!(forms("foo"), "(foo)");
    assert_eq!(forms("(a b) (c d)"), "((a b) (c d))");
    assert_eq!(forms("a\n\n  \nb 1\r\n"), "(a) (b 1)");
    assert_eq!(forms("((a))"), "((a))");
    assert_eq!(forms(""), "");
}

#[test]
fn an_open_bracket_continues_the_line() {
    assert_eq!(forms("a (b\n c) d\ne"), "(a (b c) d) (e)");
    assert_eq!(forms("[a\n\n {b\n} ]\n"), "(a (b))");
    assert_eq!(forms("(a '\n b)"), "(a 'b)");
}

#[test]
fn a_comment_runs_to_the_end_of_its_line() {
    assert_eq!(forms("; all\na b ; rest (\n;; c\nfoo;bar\n"), "(a b) (foo)");
    assert_eq!(forms("a \"b;c\""), "(a \"b;c\")");
    assert_eq!(forms("(a ; (\n b)"), "(a b)");
}

#[test]
fn punctuation_is_its_own_word() {
    assert_eq!(forms("don't a"), "(don 't a)");
    assert_eq!(forms("foo@bar @ baz@"), "(foo @bar @ baz @)");
    assert_eq!(forms("a(b)c"), "(a (b) c)");
    assert_eq!(forms("`(a ,b ,@c)"), "(`(a ,b ,@c))");
    assert_eq!(forms("''a"), "(''a)");
    assert_eq!(word("/home/u/**/*.key"), symbol("/home/u/**/*.key"));
    assert_eq!(word("foo:bar"), symbol("foo:bar"));
    assert_eq!(word("#true"), symbol("#true"));
}

#[test]
fn a_quotation_is_a_list_of_the_sign_and_the_item() {
    let Value::List(items) = word("'x") else { panic!("not a list") };
    assert_eq!(items, [Form::symbol("'"), Form::symbol("x")]);
}

#[test]
fn numbers_are_those_of_the_language() {
    for (text, number) in [
        ("5", 5),
        ("-22", -22),
        ("007", 7),
        ("0x1F", 31),
        ("-0xFA", -250),
        ("0o17", 15),
        ("0b101", 5),
        ("170141183460469231731687303715884105727", i128::MAX),
    ] {
        assert_eq!(word(text), Value::Integer(number), "{text}");
    }
    for (text, number) in [("1.5", 1.5), ("1e9", 1e9), ("-2e-3", -2e-3), ("+5", 5.0), ("-0.0", 0.0)] {
        assert_eq!(word(text), Value::Real(number), "{text}");
    }
    for text in
        [".5", "1.", "1_000", "NaN", "inf", "-", "+", "0x", "0b2", "1e", "1.5.2", "0.0.0.0:7351", "1e999"]
    {
        assert_eq!(word(text), symbol(text), "{text}");
    }
    assert_eq!((word("#t"), word("#f")), (Value::Bool(true), Value::Bool(false)));
}

#[test]
fn strings_keep_what_they_hold() {
    for (text, held) in [
        (r#""""#, ""),
        (r#""a\n\t\r\"\\b""#, "a\n\t\r\"\\b"),
        (r#""\x41\x2764;\65 \q""#, "A❤;A q"),
        (r#""\x""#, "x"),
        ("\"two\nlines\"", "two\nlines"),
    ] {
        assert_eq!(word(text), Value::Text(held.to_owned()), "{text}");
    }
    assert_eq!(forms(r#"a"b""c" """#), r#"(a "b" "c" "")"#);
}

#[test]
fn what_is_wrong_has_its_place() {
    check_errors("a\n (b", &[(Fault::Unclosed, 2, 2)]);
    check_errors("a b)\nc", &[(Fault::Stray, 1, 4)]);
    check_errors("(a]", &[(Fault::Mismatched, 1, 3)]);
    check_errors("key \"ü", &[(Fault::UnclosedText, 1, 5)]);
    check_errors("ü \"\\xD800\"", &[(Fault::Character, 1, 4)]);
    check_errors("a 170141183460469231731687303715884105728", &[(Fault::TooLarge, 1, 3)]);
    check_errors("a '\nb (')", &[(Fault::NothingQuoted, 1, 3), (Fault::NothingQuoted, 2, 4)]);
    check_errors("'", &[(Fault::NothingQuoted, 1, 1)]);
    check_errors(&"(".repeat(DEPTH_MAX + 5), &[(Fault::TooDeep, 1, DEPTH_MAX + 1)]);
}

#[test]
fn forms_before_and_after_an_error_are_still_read() {
    let shown: Vec<_> = parse("a 1\nb )\nc 2\n(d").forms.iter().map(Form::to_string).collect();
    assert_eq!(shown, ["(a 1)", "(b)", "(c 2)", "(d)"]);
}

#[test]
fn a_long_list_has_an_item_a_line_indented_by_one() {
    let word = "x".repeat(30);
    let parsed = parse(&format!("(f ({word} {word} {word}) 2)"));
    assert_eq!(print(&parsed.forms[0]), format!("(f\n ({word}\n  {word}\n  {word})\n 2)"));
    assert_eq!(print_all(&parse("a 1\nb").forms), "(a 1)\n(b)\n");
    assert_eq!(print(&Form::list(vec![])), "()");
}

#[test]
fn a_list_breaks_exactly_when_it_would_pass_the_width() {
    let fits = format!("(a {})", "b".repeat(WIDTH_COLUMNS - 4));
    assert_eq!(print(&parse(&fits).forms[0]), fits);
    let passes = format!("(a {})", "b".repeat(WIDTH_COLUMNS - 3));
    assert_eq!(print(&parse(&passes).forms[0]).lines().count(), 2);
}

#[test]
fn a_string_is_escaped() {
    assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\n""#);
}

/// Forms the reader can produce.
fn form() -> impl Strategy<Value = Form> {
    let leaf = prop_oneof![
        "[a-z:/*.?$-]{1,8}".prop_map(Value::Symbol),
        "@[a-z]{0,4}".prop_map(Value::Symbol),
        any::<String>().prop_map(Value::Text),
        // The most negative number has no positive half to be read from.
        (-i128::MAX..=i128::MAX).prop_map(Value::Integer),
        proptest::num::f64::NORMAL.prop_map(Value::Real),
        any::<bool>().prop_map(Value::Bool),
    ]
    .prop_filter("a word that is a number", |value| match value {
        Value::Symbol(name) => parse(name).forms[0].as_list().unwrap()[0].as_symbol() == Some(name),
        _ => true,
    })
    .prop_map(Form::new);
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Form::list),
            (prop::sample::select(vec!["'", "`", ",", ",@"]), inner)
                .prop_map(|(sign, item)| Form::list(vec![Form::symbol(sign), item])),
        ]
    })
}

proptest! {
    #[test]
    fn reading_what_was_printed_gives_the_same(items in prop::collection::vec(form(), 0..5)) {
        let whole = Form::list(items);
        let parsed = parse(&print(&whole));
        prop_assert_eq!(&parsed.errors, &[]);
        prop_assert_eq!(&parsed.forms, std::slice::from_ref(&whole));
        prop_assert_eq!(&parse(&whole.to_string()).forms, &[whole]);
    }

    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn reading_brackets_and_quotes_never_panics(text in r#"[()\[\]{}'`,@";\\x0-9 \nü]{0,60}"#) {
        let parsed = parse(&text);
        // What was understood without an error survives a round trip.
        if parsed.errors.is_empty() {
            prop_assert_eq!(parse(&print_all(&parsed.forms)).forms, parsed.forms);
        }
    }
}
