//! Which files the configuration names.

use std::os::unix::fs::symlink;

use hbs2_keyman::{KeymanError, Vanished, Warning};

use crate::home::Home;

/// Writes one keyring per name and expects exactly these to be found with this configuration.
fn check(config: &str, files: &[&str], expected: &[&str]) {
    let home = Home::with_config(config);
    for (seed, file) in (1..).zip(files) {
        home.key(file, seed);
    }
    let updated = home.index().update(Vanished::Keep).unwrap();
    assert_eq!(updated.warnings, [], "{config}");
    let listed = home.listed();
    let names: Vec<_> = listed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected, "{config}");
}

const FILES: [&str; 5] =
    ["keys/a.key", "keys/b.kr", "keys/deep/er/c.key", "keys/.hidden/d.key", "other/e.key"];

#[test]
fn a_star_stands_within_one_name() {
    check("key-files \"HOME/keys/*.key\"", &FILES, &["keys/a.key"]);
    check("key-files HOME/keys/?.k*", &FILES, &["keys/a.key", "keys/b.kr"]);
}

#[test]
fn two_stars_stand_for_any_directories() {
    let all = ["keys/.hidden/d.key", "keys/a.key", "keys/deep/er/c.key"];
    check("key-files \"HOME/keys/**/*.key\"", &FILES, &all);
    check("key-files HOME/keys/**/*.key", &FILES, &all);
    check("key-files HOME/**/c.key", &FILES, &["keys/deep/er/c.key"]);
}

#[test]
fn several_masks_add_up_and_count_a_file_once() {
    check(
        "key-files HOME/keys/a.*\nkey-files HOME/keys/*.key\nkey-files \"HOME/other/*\"",
        &FILES,
        &["keys/a.key", "other/e.key"],
    );
}

#[test]
fn a_plain_name_is_a_file_or_a_directory() {
    check("key-files HOME/keys/b.kr", &FILES, &["keys/b.kr"]);
    check("key-files HOME/keys/deep", &FILES, &["keys/deep/er/c.key"]);
    check("key-files \"HOME/odd [name]*.key\"", &["odd [name]*.key"], &["odd [name]*.key"]);
    check("key-files \"HOME/odd [dir]\"", &["odd [dir]/a.key", "odd d/b.key"], &["odd [dir]/a.key"]);
    check("key-files HOME/missing/*.key\nkey-files HOME/missing.key", &FILES, &[]);
}

#[test]
fn a_tilde_is_the_home_and_relative_masks_start_at_the_configuration() {
    check("key-files ~/keys/*.key", &FILES, &["keys/a.key"]);
    check("key-files ../../keys/*.kr", &FILES, &["config/hbs2-keyman/../../keys/b.kr"]);
    check("key-files *.key", &["config/hbs2-keyman/x.key", "keys/a.key"], &["config/hbs2-keyman/x.key"]);
}

#[test]
fn the_default_directory_is_always_looked_at() {
    let default = ".hbs2-keyman/keys/sub/a.key";
    check("", &[default, ".hbs2-keyman/keys/a.txt"], &[default]);
    check("default-key-path ~/mine", &[default, "mine/a.key"], &["mine/a.key"]);
    check(
        "default-key-path \"HOME/mine\"\ndefault-key-mask \"*.kr\"",
        &["mine/a.key", "mine/b.kr"],
        &["mine/b.kr"],
    );
}

#[test]
fn files_that_are_not_keyrings_are_skipped() {
    let home = Home::with_config("key-files ~/*");
    home.write("empty", b"");
    home.write("text", "# hbs2 credentials file\n\nnot base58 0OIl".as_bytes());
    home.write("binary", &[0xff; 1000]);
    home.write("huge", &vec![b'1'; 2_000_000]);
    home.key("good", 1);
    let updated = home.index().update(Vanished::Keep).unwrap();
    assert_eq!((updated.files, updated.added, updated.warnings), (5, 2, vec![]));
    assert_eq!(home.listed(), [("good".to_owned(), 2)]);
}

#[test]
fn a_file_that_others_may_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with_config("key-files ~/*.key");
    let file = home.key("a.key", 1);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = home.index().update(Vanished::Keep).unwrap().warnings;
    assert_eq!(warnings, [Warning::LooseMode { file: file.clone(), mode: 0o644 }]);
    let text = warnings[0].to_string();
    assert!(text.contains("(mode 644)") && text.contains("chmod 600"), "{text}");
}

#[test]
fn loops_of_links_end_and_links_to_keys_are_followed() {
    let home = Home::with_config("key-files ~/keys/**/*.key");
    home.key("elsewhere/a.txt", 1);
    std::fs::create_dir_all(home.path().join("keys/sub")).unwrap();
    symlink(home.path().join("keys"), home.path().join("keys/sub/loop")).unwrap();
    symlink(home.path().join("elsewhere/a.txt"), home.path().join("keys/a.key")).unwrap();
    symlink(home.path().join("nowhere"), home.path().join("keys/dangling.key")).unwrap();
    let updated = home.index().update(Vanished::Keep).unwrap();
    assert_eq!((updated.files, updated.warnings), (1, vec![]));
    assert_eq!(home.listed(), [("keys/a.key".to_owned(), 2)]);
}

#[test]
fn a_wrong_configuration_is_an_error_with_its_line() {
    for (config, expected) in [
        ("; mine\nkey-files \"~/keys", "line 2, column 11: this string is never closed"),
        ("key-files ~/a ~/b", "line 1, column 15: only one value is expected"),
        ("key-files \"~/[a\"", "line 1, column 1: error parsing glob"),
        ("default-key-path (a)", "line 1, column 18: a word is expected, not a list"),
        ("refchan nobody", "line 1, column 1: this is not the public key of a channel"),
        ("default-key-mask \"{\"", "line 1, column 1: error parsing glob"),
    ] {
        let error = Home::with_config(config).index().update(Vanished::Keep).unwrap_err();
        let KeymanError::Config { source } = &error else { panic!("{error:?}") };
        assert!(source.to_string().contains(expected), "{source}");
        assert!(source.to_string().contains("config/hbs2-keyman/config"), "{source}");
    }
}

#[test]
fn channels_are_named_by_key_quoted_or_not_and_repeatedly() {
    let keys = [1, 2].map(|seed| crate::home::keyring(seed).public());
    let config = format!("refchan {}\nrefchan \"{}\"", keys[0], keys[1]);
    assert_eq!(Home::with_config(&config).index().settings().unwrap().refchans, keys);
}

#[test]
fn a_mask_is_added_once_and_made_absolute() {
    let home = Home::with_config("; no newline at the end");
    let index = home.index();
    home.key("work/a \"quoted\".key", 1);
    for _ in 0..2 {
        index.add_mask("*.key", &home.path().join("work")).unwrap();
        index.add_mask("~/keys/**/*.key", home.path()).unwrap();
    }
    let text = std::fs::read_to_string(home.paths().config).unwrap();
    let work = home.path().join("work").display().to_string();
    assert_eq!(
        text,
        format!("; no newline at the end\nkey-files \"{work}/*.key\"\nkey-files \"~/keys/**/*.key\"\n")
    );
    assert_eq!(home.listed(), [("work/a \"quoted\".key".to_owned(), 2)]);
    assert!(matches!(index.add_mask("[", home.path()), Err(KeymanError::Config { .. })));
    assert_eq!(std::fs::read_to_string(home.paths().config).unwrap(), text);
}

#[test]
fn a_mask_is_added_where_no_configuration_was() {
    let home = Home::new();
    home.index().add_mask("/keys/*.key", home.path()).unwrap();
    assert_eq!(std::fs::read_to_string(home.paths().config).unwrap(), "key-files \"/keys/*.key\"\n");
}
