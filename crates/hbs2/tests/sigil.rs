//! `hbs2 sigil create` and `hbs2 sigil check`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::vectors;
use kit::home;

#[test]
fn sigils_are_those_of_the_original_byte_for_byte_and_so_is_what_check_prints() {
    let home = home("alice");
    let manifest = vectors::json("sigil/manifest.json").unwrap();
    for vector in manifest["vectors"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let keyring = vectors::path(&text("keyring").replace("../03-keyrings", "keyring"));
        let options = vector["options"].as_array().unwrap().iter().map(|option| option.as_str().unwrap());
        let call = home.line("hbs2 sigil create -k").arg(keyring).args(options).arg(text("encrypt_pubkey"));
        let made = call.ok().unwrap().stdout;
        let file = vectors::path("sigil").join(text("file"));
        assert_eq!(made, std::fs::read(&file).unwrap(), "{}", file.display());

        let expected = text("check_stdout");
        let done = home.line("hbs2 sigil check").arg(&file).ok().unwrap();
        assert_eq!(String::from_utf8(done.stdout).unwrap(), expected);
        let done = home.line("hbs2 sigil check").stdin(made).ok().unwrap();
        assert_eq!(String::from_utf8(done.stdout).unwrap(), expected);
    }
}

#[test]
fn the_example_of_the_manual_is_good() {
    let home = home("alice");
    let done = home.line("hbs2 sigil check").arg(vectors::path("sigil/golden.txt")).ok().unwrap();
    let expected = "(sigil\n  (sign-pubkey \"ExTZuEy2qVBRshWdSwfxeKcMmQLbK2f5NxRwhvXda9qd\")\n  \
                    (encrypt-pubkey \"5UXrEhYECJ2kEQZZPEf4TisfWsLNdh2nGYQQz8X9ioMv\"))";
    assert_eq!(done.text(), expected);
}

#[test]
fn a_changed_signature_and_another_stated_key_are_refused() {
    let home = home("alice");
    let manifest = vectors::json("sigil/manifest.json").unwrap();
    let mut checked = 0;
    for negative in manifest["negative"].as_array().unwrap() {
        let Some(text) = negative["text"].as_str() else { continue };
        let done = home.line("hbs2 sigil check").stdin(text).fails().unwrap();
        assert!(done.talk().contains("error: signature check failed: stdin"), "{done}");
        assert_eq!((done.status.code(), done.text().as_str()), (Some(1), ""));
        checked += 1;
    }
    assert_eq!(checked, 2);
    let done = home.line("hbs2 sigil check").stdin("shopping list").fails().unwrap();
    assert!(done.talk().contains("error: parse sigil failed: stdin is not a sigil"), "{done}");
}

#[test]
fn a_key_that_is_not_in_the_keyring_gets_no_sigil() {
    let home = home("alice");
    let call = home.line("hbs2 sigil create -k").arg(vectors::path("keyring/new-n1.key"));
    let done = call.arg("7uCHXyZG8E9wVeBomdn8vno8ksMpEvWc5mpFDrg9kXYK").fails().unwrap();
    assert!(done.talk().contains("error: public key not found in credentials file "), "{done}");
    assert_eq!(done.text(), "");
}
