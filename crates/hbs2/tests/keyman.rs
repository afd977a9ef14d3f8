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
