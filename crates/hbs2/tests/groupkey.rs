//! `hbs2 groupkey` and `hbs2 groupkey-new`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::collections::BTreeSet;
use std::fs;

use hbs2_testkit::{Home, vectors};
use kit::home;

const KEYS: [&str; 2] =
    ["E3JkgtyrzqPxnpZ368g1RLBqvFGhYHC7qqWo9jEs8cW6", "7uCHXyZG8E9wVeBomdn8vno8ksMpEvWc5mpFDrg9kXYK"];

/// The members that `groupkey dump` prints for `file`.
fn members(home: &Home, file: &[u8]) -> BTreeSet<String> {
    let dump = home.line("hbs2 groupkey dump").stdin(file).ok().unwrap().text();
    dump.lines()
        .filter_map(|line| Some(line.strip_prefix("member \"")?.trim_end_matches('"').to_owned()))
        .collect()
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn id(home: &Home, file: &[u8]) -> String {
    let dump = home.line("hbs2 groupkey dump").stdin(file).ok().unwrap().text();
    dump.lines().find_map(|line| line.strip_prefix("group-key-id ")).unwrap().to_owned()
}

#[test]
fn dump_prints_what_the_original_prints() {
    let home = home("alice");
    let manifest = vectors::json("groupkey/manifest.json").unwrap();
    let mut checked = 0;
    for vector in manifest["vectors"].as_array().unwrap() {
        let Some(dump) = vector["dump_stdout"].as_str() else { continue };
        let file = vectors::path("groupkey").join(vector["file"].as_str().unwrap());
        let done = home.line("hbs2 groupkey dump").arg(&file).ok().unwrap();
        assert_eq!(String::from_utf8(done.stdout).unwrap(), dump, "{}", file.display());
        checked += 1;
    }
    assert!(checked >= 8);
}

#[test]
fn a_group_is_made_from_keys_from_member_lines_and_from_listings() {
    let home = home("alice");
    let [one, two] = KEYS;
    let lines = [
        ("hbs2 groupkey from-keys", format!("{one} {two}\n")),
        ("hbs2 groupkey from-keys", format!("\n  {two}\n\t{one}\n{two}")),
        ("hbs2 groupkey gen", format!("; fancy\ngroup-key-id x\n\nmember \"{one}\"\n(member \"{two}\")\n")),
        ("hbs2 groupkey-new", format!("sign-key:  {one}\npub-key:   {one}\n# {one}\n{two} ; me\n\n")),
    ];
    let mut ids = BTreeSet::new();
    for (line, input) in lines {
        let file = home.line(line).stdin(input).ok().unwrap().stdout;
        assert!(file.starts_with(b"# hbs2 symmetric group key file v2\n") && file.ends_with(b"\n"), "{line}");
        assert_eq!(members(&home, &file), set(&KEYS), "{line}");
        ids.insert(id(&home, &file));
    }
    assert_eq!(ids.len(), 4, "every group has a secret of its own");
    fs::write(home.join("members"), format!("member \"{one}\"\n")).unwrap();
    for line in ["hbs2 groupkey gen members", "hbs2 groupkey-new members"] {
        let done = home.line(line).run().unwrap();
        assert_eq!(done.status.success(), line.contains("gen"), "{done}");
    }
}

#[test]
fn a_dump_fed_back_makes_a_group_of_the_same_members() {
    let home = home("alice");
    let file = vectors::bytes("groupkey/from-keys-33.gk").unwrap();
    let dump = home.line("hbs2 groupkey dump").stdin(file.clone()).ok().unwrap().stdout;
    let again = home.line("hbs2 groupkey gen").stdin(dump).ok().unwrap().stdout;
    assert_eq!(members(&home, &again), members(&home, &file));
    assert_ne!(id(&home, &again), id(&home, &file));
}

#[test]
fn what_is_no_key_and_a_list_without_keys_are_named() {
    let home = home("alice");
    let fails = |line: &str, input: &str| {
        let done = home.line(line).stdin(input).fails().unwrap();
        assert_eq!((done.status.code(), done.text().as_str()), (Some(1), ""), "{done}");
        done.talk()
    };
    let talk = fails("hbs2 groupkey from-keys", &format!("{}\nnotakey\n", KEYS[0]));
    assert!(talk.contains("error: invalid public key 'notakey' in line 2 of stdin\n"), "{talk}");
    let talk = fails("hbs2 groupkey gen", "member \"notakey\"\n");
    assert!(talk.contains("invalid public key 'notakey' in line 1"), "{talk}");
    for (line, input) in [
        ("hbs2 groupkey from-keys", " \n"),
        ("hbs2 groupkey gen", "group-key-id x\n"),
        ("hbs2 groupkey-new", "sign-key:  4543L9D1rr8M8Zzgxc76fRGjUyWF8rdsmiUMfCwF1RnA\n\n"),
    ] {
        let talk = fails(line, input);
        assert!(talk.contains("error: no encryption keys found in stdin\n"), "{talk}");
        assert!(talk.contains("keyring-new -n1"), "{talk}");
    }
    let talk = fails("hbs2 groupkey dump", "shopping list");
    assert!(talk.contains("error: stdin is not a group key\n"), "{talk}");
}

#[test]
fn a_group_of_sigils_has_their_encryption_keys_and_false_sigils_are_named() {
    let home = home("alice");
    let sigils = (0..4).map(|i| vectors::path(&format!("sigil/sigil{i}.txt")));
    let file = home.line("hbs2 groupkey from-sigils").args(sigils).ok().unwrap().stdout;
    let theirs = vectors::bytes("groupkey/from-sigils.gk").unwrap();
    assert_eq!(members(&home, &file), members(&home, &theirs));

    let manifest = vectors::json("sigil/manifest.json").unwrap();
    let good = vectors::path("sigil/sigil0.txt");
    for negative in manifest["negative"].as_array().unwrap() {
        let Some(text) = negative["text"].as_str() else { continue };
        fs::write(home.join("false.sigil"), text).unwrap();
        let call = home.line("hbs2 groupkey from-sigils").arg(&good).arg("false.sigil");
        let done = call.fails().unwrap().says("signature check failed: false.sigil").unwrap();
        assert_eq!(done.text(), "", "{done}");
    }
}

#[test]
fn an_update_keeps_the_secret_and_takes_the_members_of_the_list() {
    let home = home("alice");
    let manifest = vectors::json("groupkey/manifest.json").unwrap();
    let vectors = manifest["vectors"].as_array().unwrap();
    let updated = vectors.iter().find(|vector| vector["file"] == "updated.gk").unwrap();
    fs::write(home.join("dsl"), updated["dsl"].as_str().unwrap()).unwrap();
    let path = |name: &str| vectors::path("groupkey").join(updated[name].as_str().unwrap());
    let call = || home.line("hbs2 groupkey update -D dsl").arg(path("from"));
    let file = call().arg("-k").arg(path("keyring")).ok().unwrap().stdout;
    let theirs = vectors::bytes("groupkey/updated.gk").unwrap();
    assert_eq!((id(&home, &file), members(&home, &file)), (id(&home, &theirs), members(&home, &theirs)));

    let done = call().fails().unwrap();
    assert!(
        done.talk().contains("error: no access to group key 9bJXsUEs5KBWruUr654gyboM4EUnAPLgAxgYZo3u6QvU\n"),
        "{done}"
    );
    fs::create_dir_all(home.join(".hbs2-keyman/keys")).unwrap();
    fs::copy(path("keyring"), home.join(".hbs2-keyman/keys/me.key")).unwrap();
    assert_eq!(id(&home, &call().ok().unwrap().stdout), id(&home, &theirs), "found by hbs2-keyman");
    fs::write(home.join("dsl"), "").unwrap();
    call().fails().unwrap().says("no encryption keys found in dsl").unwrap();
}
