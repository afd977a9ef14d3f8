//! Rules of evaluation.

#![allow(clippy::unwrap_used)] // A test that cannot unwrap has failed.

use hbs2_script::machine::CALL_STACK_BYTES;
use hbs2_script::syntax::DEPTH_MAX;
use hbs2_script::{Fault, Limits, Machine, ScriptError, Word, words};
use proptest::prelude::*;

fn machine(limits: Limits) -> Machine<()> {
    Machine::new((), words::all(), limits)
}

fn run(program: &str) -> Result<String, ScriptError> {
    machine(Limits::default()).run("test", program).map(|value| value.display())
}

fn check(program: &str, expected: &str) {
    assert_eq!(run(program).map_err(|error| error.to_string()), Ok(expected.to_owned()), "{program}");
}

fn check_error(program: &str, expected: &str) {
    assert_eq!(run(program).unwrap_err().to_string(), expected, "{program}");
}

#[test]
fn what_is_not_bound_stands_for_itself() {
    check("list foo /a/b.c \"x\" 1 1.5 #t", "(foo /a/b.c \"x\" 1 1.5 #t)");
    check("(begin (local foo 1) (list foo :foo))", "(1 foo)");
    check("(list :a)", "(a)");
}

#[test]
fn a_line_is_a_call_or_a_value() {
    check("list 1 2", "(1 2)");
    check("local x 7\nx", "7");
    check("5", "5");
    check("\"a b\"", "a b");
    check("'(a b)", "(a b)");
    check("true", "#t");
    check("", "()");
}

#[test]
fn pairs_and_colons_are_lists() {
    check("(list (add . KEY) (: b))", "((add KEY) (b))");
    check("'((a . b))", "((a . b))");
}

#[test]
fn a_call_undoes_what_it_bound() {
    check("local x 1\ndefine (f) (begin (set! x 2) x)\nlist (f) x", "(2 1)");
    check("define (f x) (list x (g))\ndefine (g) x\nf 5", "(5 5)");
    check("define (f n) (if (gt? n 0) (begin (local y n) (f (dec n))) y)\nf 3", "1");
    check("local x 1\nfallback 9 '((lambda (x) (die2)) 2)\nx", "1");
}

#[test]
fn a_head_that_is_a_list_is_evaluated() {
    check("((lambda (x . more) (list x more)) 1 2 3)", "(1 (2 3))");
    check("((curry list 1) 2)", "(1 2)");
    check("define (adder) (fn 1 (inc _1))\n((adder) 4)", "5");
}

#[test]
fn words_may_be_passed_and_rebound() {
    check("map head '((1) (2))", "(1 2)");
    check("(begin (define my head) (my '(1 2)))", "1");
    check("apply and '(1 #f 2)", "#f");
    check("apply list '(a (b c))", "(a (b c))");
}

#[test]
fn errors_show_the_place_of_the_innermost_form() {
    check_error(
        "local a 1\n\nlist a (inc \"x\")",
        "test, line 3, column 8: argument 1 of 'inc' must be a whole number, not the string \"x\"\n  \
         list a (inc \"x\")\n         ^",
    );
    check_error(
        "list (nosuch 1)",
        "test, line 1, column 6: no word is named 'nosuch'\n  list (nosuch 1)\n       ^",
    );
    check_error(
        "heda '(1)",
        "test, line 1, column 1: no word is named 'heda'; did you mean 'head'?\n  heda '(1)\n  ^",
    );
    check_error("list (\n a", "test, line 1, column 6: this bracket is never closed\n  list (\n       ^");
}

#[test]
fn errors_say_what_is_wrong() {
    let said = |program: &str| run(program).unwrap_err().fault.to_string();
    assert_eq!(said("(head)"), "'head' takes 1 argument, not 0: (head L)");
    assert_eq!(said("(nth 1 2 3)"), "'nth' takes 2 arguments, not 3: (nth N L)");
    assert_eq!(said("((lambda (a) a))"), "'lambda' takes 1 argument, not 0: (lambda a)");
    assert_eq!(said("(1 2)"), "the int 1 is not a function");
    assert_eq!(said("(begin (local x 5) (x 1))"), "the int 5 is not a function");
    assert_eq!(said("(lambda 5)"), "'lambda' is written: (lambda (ARG…) BODY…)");
    assert_eq!(said("(die no way)"), "no way");
}

#[test]
fn nothing_is_evaluated_when_the_text_is_wrong() {
    let mut machine = machine(Limits::default());
    assert!(machine.run("test", "local x 1\nlist (").is_err());
    assert!(machine.bound("x").is_none());
}

#[test]
fn a_quit_carries_its_code_through_everything() {
    for program in ["quit 3", "fallback 1 '(quit 3)", "map (fn 1 (quit _1)) '(3 4)", "matched? quit 3"] {
        assert!(matches!(*run(program).unwrap_err().fault, Fault::Quit(3)), "{program}");
    }
}

#[test]
fn values_stay_within_their_limits() {
    let limits = Limits { depth: 50, steps: 100_000, bytes: 1_000_000 };
    let fault = |program: &str| machine(limits).run("test", program).unwrap_err().fault;
    let deep = fault("define (f) (f)\nf");
    assert!(matches!(*deep, Fault::TooDeep(50)), "{deep}");
    let long = fault("(iterate (fn 1 (repeat 1000 (fn 0 1))) (replicate 1000 1))");
    assert!(matches!(*long, Fault::TooLong(100_000)), "{long}");
    assert!(matches!(
        *fault("(map (fn 1 (length (map inc (replicate 1000 1)))) (replicate 1000 1))"),
        Fault::TooLong(_)
    ));
    for program in [
        "replicate 1000000000000000000000 a",
        "align 100000000000 x",
        // Shared parts count each time, or printing would never end.
        "local x (replicate 100 a)\nset! x (replicate 100 x)\nset! x (replicate 100 x)\nx",
        "local x \"0123456789\"\nset! x (apply concat (replicate 100 x))\nset! x (apply concat (replicate 100 x))\nset! x (apply concat (replicate 100 x))",
    ] {
        assert!(matches!(*fault(program), Fault::TooLarge(_)), "{program}");
    }
}

#[test]
fn lists_and_functions_are_not_nested_without_end() {
    let mut machine = machine(Limits::default());
    machine.run("test", "local l '()\nlocal f inc").unwrap();
    for step in ["set! l (list l)", "set! f (curry f 1)"] {
        let fault = (0..DEPTH_MAX + 2).find_map(|_| machine.run("test", step).err());
        assert!(matches!(*fault.unwrap().fault, Fault::TooNested(_)), "{step}");
    }
}

#[test]
fn memory_that_is_let_go_may_be_used_again() {
    let limits = Limits { bytes: 1_000_000, ..Limits::default() };
    let mut machine = machine(limits);
    for _ in 0..100 {
        machine.run("test", "local x (replicate 10000 a)\nlength x").unwrap();
    }
    machine.run("test", "set! x 1").unwrap();
    assert!(machine.room_left() > 900_000, "{}", machine.room_left());
}

/// Every level of a call fits the stack that the limits say it takes.
#[test]
fn the_deepest_calls_fit_their_stack() {
    let depth = 2_000;
    let limits = Limits { depth, ..Limits::default() };
    let programs = [
        "define (f n) (head (map (fn 1 (if (gt? _1 0) (f _1) 0)) (list (inc n))))\nf 1",
        "define (f n) (begin (unless #f (cond (#t (match n (x (f (inc x))))))))\nf 1",
        "define (f n) `(a ,(apply f (list (inc n))))\nf 1",
        "define-macro (f n) `(f ,(inc n))\nf 1",
        "define (f n) (fallback 1 (eval (list f n)))\nf 1",
        "define (f a b) (sort-with f (list a b))\nf 1 2",
    ];
    for program in programs {
        let deep = std::thread::Builder::new().stack_size(depth * CALL_STACK_BYTES).spawn(move || {
            matches!(*machine(limits).run("test", program).unwrap_err().fault, Fault::TooDeep(_))
        });
        assert!(deep.unwrap().join().unwrap(), "{program}");
    }
}

#[test]
fn a_host_has_its_own_words_and_errors() {
    #[derive(Debug, thiserror::Error)]
    #[error("the host has no such thing")]
    struct Missing;
    let mut all = words::all::<u32>();
    all.push(Word::call("count", "", |m, _| {
        *m.world() += 1;
        Ok(hbs2_script::Datum::Int(i128::from(*m.world())))
    }));
    all.push(Word::call("fail", "", |_, _| Err(hbs2_script::Raised::host(Missing))));
    let mut machine = Machine::new(0, all, Limits::default());
    assert_eq!(machine.run("test", "count\nlist (count) (count)").unwrap().display(), "(2 3)");
    let error = machine.run("test", "fail").unwrap_err();
    assert!(matches!(*error.fault, Fault::Host(_)));
    assert_eq!(error.to_string(), "test, line 1, column 1: the host has no such thing\n  fail\n  ^");
    assert_eq!(machine.run("test", "fallback 5 (fail)").unwrap().display(), "5");
}

/// Programs made of words, names and numbers.
fn program() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = machine(Limits::default()).words().iter().map(|word| word.name).collect();
    let leaf = prop_oneof![
        prop::sample::select(names),
        prop::sample::select(vec![
            "x", "_1", "5", "-1", "1.5", "\"ab\"", "#f", "()", "'x", ".", "...", "_", ",x", ",@x"
        ]),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop::collection::vec(inner, 1..5).prop_map(|items| format!("({})", items.join(" ")))
    })
}

proptest! {
    #[test]
    fn evaluating_never_panics_and_always_ends(programs in prop::collection::vec(program(), 1..4)) {
        let limits = Limits { depth: 50, steps: 20_000, bytes: 1_000_000 };
        let text = format!("local x '(1 (2 3) a \"b\")\n{}", programs.join("\n"));
        if let Ok(value) = machine(limits).run("test", &text) {
            let _ = value.display();
        }
    }

    #[test]
    fn evaluating_any_text_never_panics(text in any::<String>()) {
        let limits = Limits { depth: 50, steps: 20_000, bytes: 1_000_000 };
        let _ = machine(limits).run("test", &text).map_err(|error| error.to_string());
    }

    /// What a program quotes is what is printed, and what is read again.
    #[test]
    fn a_quoted_form_is_displayed_as_it_is_read(text in "\\(([a-z]{1,5}|[0-9]{1,5}|\"[a-z \\\\n]{0,5}\"| ){0,9}\\)") {
        let parsed = hbs2_script::parse(&text);
        prop_assume!(parsed.errors.is_empty());
        let shown = machine(Limits::default()).run("test", &format!("'{text}")).unwrap().print();
        prop_assert_eq!(hbs2_script::parse(&shown).forms, parsed.forms);
    }
}
