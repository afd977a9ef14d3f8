//! `hbs2-keyman`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::{Home, vectors};
use kit::home;

/// Puts a keyring of the vectors into the home.
fn put(home: &Home, vector: &str, path: &str) {
    let path = home.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, vectors::bytes(&format!("keyring/{vector}")).unwrap()).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn config(home: &Home, text: &str) {
    std::fs::create_dir_all(home.join(".config/hbs2-keyman")).unwrap();
    std::fs::write(home.join(".config/hbs2-keyman/config"), text).unwrap();
}

fn list(home: &Home) -> String {
    home.line("hbs2-keyman list").ok().unwrap().text()
}

#[test]
fn update_prints_nothing_and_list_shows_key_type_and_file() {
    let home = home("alice");
    put(&home, "new-n1.key", ".hbs2-keyman/keys/one.key");
    let done = home.line("hbs2-keyman update").ok().unwrap();
    assert_eq!((done.text(), done.talk()), (String::new(), String::new()));
    let file = home.join(".hbs2-keyman/keys/one.key");
    let expected = format!(
        "FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq sign       {0}\n\
         E3JkgtyrzqPxnpZ368g1RLBqvFGhYHC7qqWo9jEs8cW6 encrypt    {0}",
        file.display()
    );
    assert_eq!(list(&home), expected);
}

#[test]
fn an_empty_index_lists_nothing() {
    let home = home("alice");
    assert_eq!(list(&home), "");
    assert_eq!(home.line("hbs2-keyman config").ok().unwrap().text(), "");
}

#[test]
fn masks_are_read_quoted_and_unquoted_with_stars_and_tilde() {
    let home = home("alice");
    put(&home, "new-n0.key", "keys/deep/er/a.key");
    put(&home, "new-n3.key", "other/b.key");
    config(&home, "key-files ~/keys/**/*.key ; all of them\nkey-files \"~/other/*.key\"\n");
    home.line("hbs2-keyman update").ok().unwrap();
    let listed = list(&home);
    assert_eq!(listed.lines().count(), 5, "{listed}");
    let forms = home.line("hbs2-keyman config").ok().unwrap().text();
    assert_eq!(forms, "(key-files ~/keys/**/*.key)\n(key-files \"~/other/*.key\")");
}

#[test]
fn a_mask_can_be_added_and_prune_forgets_files_that_are_gone() {
    let home = home("alice");
    put(&home, "new-n0.key", "k/a.key");
    home.line("hbs2-keyman add-mask k/a.key").ok().unwrap();
    home.line("hbs2-keyman update").ok().unwrap();
    assert_eq!(list(&home).lines().count(), 1);
    std::fs::remove_file(home.join("k/a.key")).unwrap();
    home.line("hbs2-keyman update").ok().unwrap();
    assert_eq!(list(&home).lines().count(), 1);
    home.line("hbs2-keyman update -p").ok().unwrap();
    assert_eq!(list(&home), "");
}

#[test]
fn a_weight_is_listed_last_and_moves_its_key_down() {
    let home = home("alice");
    put(&home, "new-n1.key", ".hbs2-keyman/keys/one.key");
    home.line("hbs2-keyman update").ok().unwrap();
    home.line("hbs2-keyman set-weight FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq 7").ok().unwrap();
    let listed = list(&home);
    let last = listed.lines().last().unwrap();
    assert!(last.starts_with("FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq sign"), "{listed}");
    assert!(last.ends_with("one.key 7"), "{listed}");
}

#[test]
fn a_broken_config_is_an_error_with_file_line_and_place() {
    let home = home("alice");
    config(&home, "default-key-path /tmp\nkey-files \"/never/ends\n");
    let done = home.line("hbs2-keyman update").fails().unwrap();
    assert!(
        done.talk().starts_with("hbs2-keyman: error: cannot use the configuration of hbs2-keyman\ncause: ")
    );
    assert!(done.talk().contains("hbs2-keyman/config, line 2, column 11: "), "{done}");
    assert!(done.talk().contains("\n  key-files \"/never/ends\n"), "{done}");
    assert!(done.talk().contains("\nhint: "), "{done}");
}

#[test]
fn the_settings_of_the_manual_work_quoted_and_not() {
    let home = home("alice");
    put(&home, "new-n0.key", "keys/a/b.key");
    put(&home, "new-n1.key", "test-keys/c.key");
    let root = home.path().display();
    config(
        &home,
        &format!(
            "default-key-path {root}/keys\nkey-files        {root}/keys/**/*.key\nkey-files        \"{root}/test-keys/**/*.key\"\n"
        ),
    );
    home.line("hbs2-keyman update").ok().unwrap();
    assert_eq!(list(&home).lines().count(), 3);
}

#[test]
fn the_recipe_of_the_manual_makes_a_key_that_is_listed() {
    let home = home("hbs2");
    config(&home, &format!("key-files \"{}/*.key\"\n", home.path().display()));
    let key = home.line("hbs2 keyring-new").ok().unwrap().stdout;
    std::fs::write(home.join("newrepo111.key"), key).unwrap();
    home.line("hbs2-keyman update").ok().unwrap();
    let listed = list(&home);
    let words: Vec<_> = listed.split_whitespace().collect();
    let file = home.join("newrepo111.key");
    assert_eq!(words[1..], ["sign", file.to_str().unwrap()], "{listed}");
}

#[test]
fn several_files_with_one_key_are_listed_and_one_may_go() {
    let home = home("alice");
    put(&home, "new-n0.key", ".hbs2-keyman/keys/a.key");
    put(&home, "new-n0.key", ".hbs2-keyman/keys/copy/a.key");
    home.line("hbs2-keyman update").ok().unwrap();
    assert_eq!(list(&home).lines().count(), 2);
    std::fs::remove_file(home.join(".hbs2-keyman/keys/a.key")).unwrap();
    home.line("hbs2-keyman update --prune").ok().unwrap();
    let listed = list(&home);
    assert!(listed.lines().count() == 1 && listed.ends_with("/copy/a.key"), "{listed}");
}

#[test]
fn a_key_file_that_others_may_read_is_a_warning_on_stderr() {
    use std::os::unix::fs::PermissionsExt;
    let home = home("alice");
    put(&home, "new-n0.key", ".hbs2-keyman/keys/a.key");
    let file = home.join(".hbs2-keyman/keys/a.key");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let done = home.line("hbs2-keyman update").ok().unwrap();
    let warning = format!(
        "hbs2-keyman: warning: others may read the key file {} (mode 644); use: chmod 600\n",
        file.display()
    );
    assert_eq!((done.text(), done.talk()), (String::new(), warning));
    assert_eq!(home.line("hbs2-keyman update -q").ok().unwrap().talk(), "");
}

#[test]
fn weights_outlive_the_index_and_a_broken_file_of_weights_is_told() {
    let home = home("alice");
    put(&home, "new-n1.key", ".hbs2-keyman/keys/one.key");
    home.line("hbs2-keyman set-weight E3JkgtyrzqPxnpZ368g1RLBqvFGhYHC7qqWo9jEs8cW6 -2").ok().unwrap();
    let dir = home.join(".local/share/hbs2-keyman");
    std::fs::remove_file(dir.join("state.db")).unwrap();
    let listed = list(&home);
    assert!(listed.lines().last().unwrap().ends_with("one.key -2"), "{listed}");
    std::fs::write(dir.join("kept.db"), b"this is not a database, it is a text of some length").unwrap();
    let done = home.line("hbs2-keyman list").ok().unwrap();
    assert!(done.talk().starts_with("hbs2-keyman: warning: the weights of keys"), "{done}");
    assert!(done.talk().contains("/kept.db.broken-"), "{done}");
    assert!(done.text().lines().last().unwrap().ends_with("one.key"), "{done}");
    assert_eq!(home.line("hbs2-keyman list").ok().unwrap().talk(), "");
}

#[test]
fn processes_that_update_at_once_do_not_disturb_each_other() {
    let home = home("alice");
    put(&home, "new-n5.key", ".hbs2-keyman/keys/five.key");
    let dir = home.join(".local/share/hbs2-keyman");
    for round in 0..3 {
        // From nothing, from a broken index, from a whole one.
        if round == 1 {
            std::fs::write(dir.join("state.db"), b"this is not a database, it is a text of some length")
                .unwrap();
        }
        let running: Vec<_> = ["update", "update -p", "list", "update", "run"]
            .map(|words| home.line(&format!("hbs2-keyman {words}")).start().unwrap())
            .into();
        for process in running {
            let done = process.wait().unwrap().must_succeed().unwrap();
            assert_eq!(done.talk(), "");
        }
        assert_eq!(list(&home).lines().count(), 6);
    }
}

#[test]
fn a_wrong_mask_or_key_is_refused_and_changes_nothing() {
    let home = home("alice");
    let done = home.line("hbs2-keyman add-mask {").fails().unwrap();
    assert!(done.talk().contains("error parsing glob"), "{done}");
    assert!(!home.join(".config/hbs2-keyman/config").exists());
    let done = home.line("hbs2-keyman set-weight nobody 7").fails().unwrap();
    assert!(done.talk().contains("nobody"), "{done}");
    config(&home, "refchan nobody\n");
    let done = home.line("hbs2-keyman update").fails().unwrap();
    assert!(done.talk().contains("this is not the public key of a channel"), "{done}");
}

#[test]
fn a_channel_that_cannot_be_read_because_no_peer_runs_is_told() {
    let home = home("alice");
    let key = "FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq";
    config(&home, &format!("refchan \"{key}\"\n"));
    let done = home.line("hbs2-keyman update").ok().unwrap();
    assert!(done.talk().contains("no peer answers, so no channel was read for group keys"), "{done}");
}

/// Stores a group key of the vectors; the root of its tree.
fn store_group_key(home: &Home, vector: &str) -> String {
    use hbs2_core::{Encode, GroupKey};
    let text = String::from_utf8(vectors::bytes(&format!("groupkey/{vector}")).unwrap()).unwrap();
    let cbor = GroupKey::parse(&text).unwrap().to_bytes();
    home.line("hbs2 store").stdin(cbor).ok().unwrap().text()
}

#[test]
fn group_keys_are_tracked_by_words_or_by_lines_of_stdin() {
    let home = home("alice");
    let [one, two] = ["gen-1.gk", "gen-2.gk"].map(|vector| store_group_key(&home, vector));
    let track = |line: &str| home.line(&format!("hbs2-keyman run {line}")).ok().unwrap().text();
    assert_eq!(track(&format!("gk:track {one}")), format!("(gk:added {one})"));
    let both = format!("(gk:added {one})\n(gk:added {two})");
    assert_eq!(track(&format!("gk:track {one} {two}")), both);
    assert_eq!(track(&format!("gk:track {one} and gk:track {two}")), both);
    assert_eq!(track(&format!("(gk:track \"{one}\") then [gk:track {two}]")), both);
    let lines = format!("gk:track {one}\n; and the other\ngk:track {two}\n");
    for words in ["", "stdin"] {
        let done = home.line(&format!("hbs2-keyman run {words}")).stdin(lines.clone()).ok().unwrap();
        assert_eq!((done.text(), done.talk()), (both.clone(), String::new()), "{words}");
    }
}

#[test]
fn what_is_no_group_key_is_not_tracked() {
    let home = home("alice");
    let text = home.line("hbs2 store").stdin("hello").ok().unwrap().text();
    let absent = "93MB2qRDNVLxbmmPuYpLdAqn3u2x9ZhaVZK5wELHueP8";
    for (form, expected) in [
        (format!("gk:track {text}"), format!("tree {text} holds no group key that we read")),
        (format!("gk:track {absent}"), format!("missed block: {absent}")),
        (
            "gk:track nobody!".to_owned(),
            "argument 1 of 'gk:track' must be the hash of a group key".to_owned(),
        ),
        ("gk:trak".to_owned(), "no word is named 'gk:trak'; did you mean 'gk:track'?".to_owned()),
        ("(gk:track".to_owned(), "the command line, line 1, column 1".to_owned()),
    ] {
        let done = home.line(&format!("hbs2-keyman run {form}")).fails().unwrap();
        assert!(done.talk().contains(&expected), "{done}");
        assert_eq!(done.text(), "", "{form}");
    }
}

#[test]
fn forms_are_explained_by_help() {
    let home = home("alice");
    let help = |words: &str| home.line(&format!("hbs2-keyman run help {words}")).ok().unwrap().text();
    assert_eq!(help("gk"), "gk:track");
    assert!(help("").lines().any(|line| line == "stdin"));
    assert!(help("gk:track").starts_with("NAME\n    gk:track - remembers group keys"));
}

#[test]
fn a_key_is_disclosed_as_hbs2_does_it() {
    let home = home("alice");
    put(&home, "new-n1.key", ".hbs2-keyman/keys/one.key");
    let key = "FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq";
    let done = home.line(&format!("hbs2-keyman disclose {key}")).stdin("n\n").fails().unwrap();
    assert!(done.talk().contains("Are you sure"), "{done}");
    let hash = home.line(&format!("hbs2-keyman disclose -y {key}")).ok().unwrap().text();
    assert_eq!(home.line(&format!("hbs2 keyring disclose -y {key}")).ok().unwrap().text(), hash);
}

#[test]
fn a_loose_key_file_is_told_by_the_program_that_uses_it() {
    use std::os::unix::fs::PermissionsExt;
    let home = home("alice");
    put(&home, "new-n1.key", ".hbs2-keyman/keys/one.key");
    let file = home.join(".hbs2-keyman/keys/one.key");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604)).unwrap();
    let key = "FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq";
    let done = home.line(&format!("hbs2-keyman disclose -y {key}")).ok().unwrap();
    let warning = format!("warning: others may read the key file {} (mode 604)", file.display());
    assert_eq!(done.talk().matches(&warning).count(), 1, "{done}");
}
