//! `hbs2-cli` without a peer: programs from the command line, stdin and files, help, and the words of the world.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::{Home, vectors};
use kit::home;

/// What `hbs2-cli` prints for these words.
fn cli(home: &Home, words: &[&str]) -> String {
    String::from_utf8(home.call("hbs2-cli").args(words).ok().unwrap().stdout).unwrap()
}

/// What it says on stderr when it fails.
fn complaint(home: &Home, words: &[&str]) -> String {
    let done = home.call("hbs2-cli").args(words).fails().unwrap();
    assert_eq!(done.text(), "", "{words:?}");
    done.talk()
}

fn write(home: &Home, path: &str, text: &str) {
    std::fs::write(home.join(path), text).unwrap();
}

#[test]
fn programs_display_what_the_original_displays() {
    let home = home("alice");
    let samples = vectors::json("cli/samples.json").unwrap();
    let mut compared = 0;
    for sample in samples["samples"].as_array().unwrap() {
        let Some(words) = sample["cmd"].as_array() else { continue };
        let words: Vec<_> = words.iter().map(|word| word.as_str().unwrap()).collect();
        let is_pure = words[0] == "hbs2-cli" && words[1].starts_with("print");
        if is_pure {
            assert_eq!(cli(&home, &words[1..]), sample["stdout"].as_str().unwrap(), "{words:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 3);
}

#[test]
fn a_value_is_displayed_without_a_line_end_and_nil_not_at_all() {
    let home = home("alice");
    assert_eq!(cli(&home, &["list", "1", "\"a b\""]), "(1 \"a b\")");
    assert_eq!(cli(&home, &["concat", "a", "b"]), "ab");
    assert_eq!(cli(&home, &["void"]), "");
}

#[test]
fn words_of_the_shell_keep_their_blanks() {
    let home = home("alice");
    assert_eq!(cli(&home, &["list", "a b", "c@d"]), "(\"a b\" \"c@d\")");
    assert_eq!(cli(&home, &["[list", "a", "]"]), "(a)");
}

#[test]
fn and_and_then_begin_another_form() {
    let home = home("alice");
    assert_eq!(cli(&home, &["local", "x", "1", "then", "print", "x", "and", "inc", "x"]), "12");
}

#[test]
fn a_program_comes_from_stdin_or_from_a_file() {
    let home = home("alice");
    let run = |words: &[&str], stdin: &str| {
        home.call("hbs2-cli").args(words).stdin(stdin.as_bytes()).ok().unwrap().text()
    };
    for words in [&[][..], &["stdin"], &["--run"]] {
        assert_eq!(run(words, "local x 4\n; a comment\ninc x\n"), "5", "{words:?}");
    }
    write(&home, "p.scm", "#!/usr/bin/env -S hbs2-cli file\nlist $1 $2 *args\n");
    for word in ["file", "--run"] {
        let shown = cli(&home, &[word, "p.scm", "x y", "2"]);
        assert_eq!(shown, "(\"p.scm\" \"x y\" (\"p.scm\" \"x y\" \"2\"))");
    }
    assert!(run(&[], "").contains("Usage: hbs2-cli"));
}

#[test]
fn errors_show_file_place_line_and_caret_and_what_to_do() {
    let home = home("alice");
    assert_eq!(
        complaint(&home, &["println", "(hbs2:hsh", "1)"]),
        "hbs2-cli: error: command line, line 1, column 9: no word is named 'hbs2:hsh'; did you mean 'hbs2:hash'?\n  \
         println (hbs2:hsh 1)\n          ^\nhint: list all words with: hbs2-cli --help\n"
    );
    write(&home, "p.scm", "#!/usr/bin/env -S hbs2-cli file\n\nprint (list\n");
    assert_eq!(
        complaint(&home, &["file", "p.scm"]),
        "hbs2-cli: error: p.scm, line 3, column 7: this bracket is never closed\n  print (list\n        ^\n"
    );
    let absent = complaint(&home, &["str:file", "/nonexistent"]);
    assert!(
        absent.contains("cannot read /nonexistent\n  str:file /nonexistent\n  ^\ncause: No such file"),
        "{absent}"
    );
    assert_eq!(complaint(&home, &["die", "no", "way"]), "no way\n");
}

#[test]
fn a_script_may_end_with_its_own_code() {
    let home = home("alice");
    let done =
        home.call("hbs2-cli").args(["print", "1", "and", "quit", "3", "and", "print", "2"]).run().unwrap();
    assert_eq!((done.status.code(), done.text(), done.talk()), (Some(3), "1".to_owned(), String::new()));
    assert_eq!(home.call("hbs2-cli").args(["quit"]).run().unwrap().status.code(), Some(0));
}

#[test]
fn an_endless_program_ends_at_a_limit() {
    let home = home("alice");
    let deep = complaint(&home, &["define (f) (list (f))", "and", "f"]);
    assert!(deep.contains("calls are nested deeper than 10000 levels"), "{deep}");
    let large = complaint(&home, &["replicate", "1000000000000", "x"]);
    assert!(large.contains("holds more than"), "{large}");
}

#[test]
fn help_lists_names_by_prefix_and_shows_the_page_of_one() {
    let home = home("alice");
    assert_eq!(cli(&home, &["--help", "base58:"]), "base58:decode\nbase58:encode\nbase58:put\n");
    let page = cli(&home, &["--help", "nth"]);
    for head in
        ["NAME\n    nth - ", "SYNOPSIS\n    (nth N L)", "DESCRIPTION\n", "RETURN VALUE\n", "EXAMPLES\n"]
    {
        assert!(page.contains(head), "{page}");
    }
    assert_eq!(cli(&home, &["help", "nth"]), page);
    assert!(cli(&home, &["help"]).contains("\nText\n"));
    let names = cli(&home, &["--help"]);
    let sorted = names.lines().is_sorted();
    assert!(sorted && names.lines().any(|name| name == "car"), "{names}");
    assert!(complaint(&home, &["--help", "nosuchword"]).contains("no word is named 'nosuchword'"));
    assert!(cli(&home, &["-h"]).lines().all(|line| line.chars().count() <= 100));
}

/// Words of the original's list that we do not have, and why.
fn is_left_out(name: &str) -> bool {
    // Ours are read from the command line, not words.
    let option = name.starts_with("--");
    // Tests of the original.
    option || matches!(name, "test:opaque" | "fallback1") || name.starts_with("hbs2:")
}

#[test]
fn every_general_word_of_the_original_is_here() {
    let home = home("alice");
    let samples = vectors::json("cli/samples.json").unwrap();
    let samples = samples["samples"].as_array().unwrap();
    let list =
        samples.iter().find(|sample| sample["cmd"] == serde_json::json!(["hbs2-cli", "--help"])).unwrap();
    let ours = cli(&home, &["--help"]);
    let ours: Vec<_> = ours.lines().collect();
    let theirs = list["stdout"].as_str().unwrap().lines();
    let missing: Vec<_> = theirs.filter(|name| !is_left_out(name) && !ours.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn files_are_written_read_listed_and_removed() {
    let home = home("alice");
    let program = "
        mkdir d/e
        cd d
        str:save a.txt \"one\\n\"
        str:append:file a.txt two 3
        cp a.txt e
        mv e/a.txt e/b.txt
        touch .hidden
        println (str:file a.txt) (file:size a.txt)
        println (map path:filename (glob)) (map path:filename (glob \".\" \"**/b*\"))
        println (map (@ path:filename head) (dir:list:all .))
        println (map path:filename (dir:list:files e))
        println (path:exists? a.txt) (path:dir? e) (path:file? e)
        rm e a.txt nothing
        println (path:exists? a.txt)
        println (path:filename (pwd))";
    write(&home, "p.scm", program);
    assert_eq!(
        cli(&home, &["file", "p.scm"]),
        "one\ntwo38\n(\"a.txt\" \"b.txt\")(\"b.txt\")\n(\".hidden\" \"a.txt\" \"e\")\n(\"b.txt\")\n#t#t#f\n#f\nd\n"
    );
    assert!(complaint(&home, &["rm", "/"]).contains("root directory"));
}

#[test]
fn processes_have_the_directory_and_environment_of_the_script() {
    let home = home("alice");
    let program = "
        setenv WORD hello
        println (call:proc:raw sh \"-c\" \"echo $WORD\")
        println (call:proc echo \"(a 1)\")
        println (proc:pipe tr '(a b) \"banana\")
        println (run:proc:quiet sh \"-c\" \"exit 3\")
        forked '(begin (cd /) (setenv WORD other))
        println (env WORD) (path:filename (pwd))
        mkdir sub
        cd sub
        println (path:filename (unw (lines (call:proc:raw pwd))))
        run:proc:attached echo attached";
    write(&home, "p.scm", program);
    let here = home.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(
        cli(&home, &["file", "p.scm"]),
        format!("hello\n\n((a 1))\nbbnbnb\n3\nhello{here}\nsub\nattached\n")
    );
    let failed = complaint(&home, &["call:proc:raw", "sh", "-c", "exit 1"]);
    assert!(failed.contains("sh failed with exit status: 1"), "{failed}");
}

#[test]
fn json_yaml_and_ini_become_lists() {
    let home = home("alice");
    let with = |words: &[&str], stdin: &str| {
        home.call("hbs2-cli").args(words).stdin(stdin.as_bytes()).ok().unwrap().text()
    };
    assert_eq!(with(&["json:stdin"], r#"{"b":[1,2.5,null],"a":"x"}"#), "((b (1 2.5 ())) (a \"x\"))");
    assert_eq!(
        cli(&home, &["json", "(kw a 1 b (list 1 \"x\" #f) c ())"]),
        r#"{"a":1,"b":[1,"x",false],"c":null}"#
    );
    let yaml = "a: &x [1, two]\nb:\n  - *x\n  - \"3\"\n";
    assert_eq!(with(&["yaml:stdin"], yaml), "((a (1 \"two\")) (b ((1 \"two\") \"3\")))");
    assert_eq!(
        with(&["ini:stdin"], "x = 1\n[s]\n; c\nk=v w\n"),
        "((\"\" ((x \"1\"))) (\"s\" ((k \"v w\"))))"
    );
    assert_eq!(with(&["top:stdin"], "a 1\n(b)"), "((a 1) (b))");
    let wrong = home.call("hbs2-cli").args(["json:stdin"]).stdin(b"{".to_vec()).fails().unwrap().talk();
    assert!(wrong.contains("stdin is not valid JSON"), "{wrong}");
}

/// Aliases of aliases would be larger than any memory.
#[test]
fn a_small_text_cannot_become_a_huge_value() {
    let home = home("alice");
    let mut yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        yaml.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let done = home.call("hbs2-cli").args(["yaml:stdin"]).stdin(yaml.into_bytes()).fails().unwrap();
    assert!(done.talk().contains("holds more than"), "{}", done.talk());
    let deep = "[".repeat(100_000);
    for word in ["json:stdin", "yaml:stdin"] {
        home.call("hbs2-cli").args([word]).stdin(deep.clone().into_bytes()).fails().unwrap();
    }
}

#[test]
fn definitions_are_imported_once() {
    let home = home("alice");
    write(&home, "lib.scm", "define (twice x) (list x x)\nprintln not-this\nimport lib.scm\n");
    write(
        &home,
        "p.scm",
        "import lib.scm\nimport \"./lib.scm\"\nprintln (twice 1)\ntop:file:run q.scm '(x)\n",
    );
    write(&home, "q.scm", "list $2 (length *args)\n");
    assert_eq!(cli(&home, &["file", "p.scm"]), "(1 1)\n(x 2)");
}

#[test]
fn stdin_is_read_letter_by_letter_and_as_bytes() {
    let home = home("alice");
    let done = home.call("hbs2-cli").args(["list (str:getchar:stdin) (str:getchar:stdin) (str:stdin)"]);
    assert_eq!(done.stdin("üab\n".as_bytes()).ok().unwrap().text(), "(\"ü\" \"a\" \"b\\n\")");
    let done = home.call("hbs2-cli").args(["bytes:put (bytes:stdin)"]).stdin(vec![0, 255, 10]).ok().unwrap();
    assert_eq!(done.stdout, [0, 255, 10]);
}

#[test]
fn chance_stays_within_its_bounds() {
    let home = home("alice");
    let program = "
        define (all? f l) (eq? (length (filter f l)) (length l))
        local n (replicate 200 1)
        println (all? (fn1 (and (gte? _1 -3) (leq? _1 3))) (map (fn1 (random:int -3 3)) n))
        println (all? (fn1 (le? _1 4)) (map (fn1 (random:uint 4)) n))
        println (all? (fn1 (le? _1 1.0)) (map (fn1 (random:float)) n))
        println (sort (random:shuffle '(1 2 3))) (length (random:seq 5 '(a))) (random:choice '(z))
        println (length (uuid)) (gt? (now) 1700000000)";
    write(&home, "p.scm", program);
    assert_eq!(cli(&home, &["file", "p.scm"]), "#t\n#t\n#t\n(1 2 3)5z\n36#t\n");
}

#[test]
fn hashes_and_base58_are_those_of_the_store() {
    let home = home("alice");
    write(&home, "f", "hello");
    let hash = "4PNCZERNLKAqwSYHhZpb7B4GE34eiYDPXGgeNKWNNaBp";
    assert_eq!(cli(&home, &["hbs2:hash", "f"]), hash);
    assert_eq!(cli(&home, &["hbs2:hash", "f", "f"]), format!("(\"{hash}\"\n \"{hash}\")"));
    assert_eq!(cli(&home, &["hbs2:hash", "[bytes:file", "f]"]), hash);
    assert_eq!(cli(&home, &["base58:put", "[base58:encode", "hello]"]), "hello");
    assert_eq!(cli(&home, &["base58:encode", "hello"]), "(blob:base58 \"Cn8eVZg\")");
    assert_eq!(cli(&home, &["debug:cli:show"]), "((debug:cli:show))");
}

/// Examples with a capital name stand for a key or a hash of the reader.
#[test]
fn examples_of_words_display_what_their_pages_say() {
    let home = home("alice");
    let mut compared = 0;
    let names = hbs2_script::words::all::<()>();
    for word in hbs2::cli::all_words() {
        let is_general = names.iter().any(|known| known.name == word.name);
        for (program, shown) in &word.examples {
            if is_general || shown.is_empty() || program.contains("HASH") || program.contains("lwwref") {
                continue;
            }
            assert_eq!(cli(&home, &[program]).trim_end(), *shown, "{program}");
            compared += 1;
        }
    }
    assert!(compared > 8, "{compared}");
}
