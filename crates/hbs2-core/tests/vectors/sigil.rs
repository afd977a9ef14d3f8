//! Sigils.

use hbs2_core::sigil::SigilError;
use hbs2_core::{Keyring, Sigil, SigilData};

use crate::support::{Fields, Value, cases, file, h1, json, round_trip, value};

/// What `sigil check` prints, from what we read.
fn checked(sigil: &Sigil) -> String {
    let card = sigil.verify().unwrap();
    let mut text =
        format!("(sigil\n  (sign-pubkey \"{}\")\n  (encrypt-pubkey \"{}\")", card.sign, card.data.encrypt);
    if let Some(info) = card.data.info {
        text += &format!("\n  (info \"{info}\")");
    }
    if let Some(ext) = card.data.ext {
        text += &format!("\n  (ext \"{ext}\")");
    }
    text + ")\n"
}

#[test]
fn sigil_files_are_read_and_made_again() {
    for case in cases("sigil/manifest.json", "vectors") {
        let name = case.text("file");
        let text = file(&format!("sigil/{name}"));
        let sigil = Sigil::parse(&text).unwrap();
        assert_eq!(round_trip::<Sigil>(&case.hex("cbor_hex")), sigil, "{name}");
        assert_eq!(checked(&sigil), case.text("check_stdout"), "{name}");
        assert_eq!(sigil.to_text(), String::from_utf8(text).unwrap().trim_end(), "{name}");

        let keyring = case.text("keyring").replace("../03-keyrings", "keyring");
        let keyring = Keyring::parse(&file(&keyring)).unwrap();
        let option = |flag: &str| {
            let options = case["options"].as_array().unwrap();
            let at = options.iter().position(|option| option == flag)?;
            Some(options[at + 1].as_str().unwrap().to_owned())
        };
        let data = SigilData {
            encrypt: case.parsed("encrypt_pubkey"),
            info: option("-m"),
            ext: option("--metadata-ref").map(|hash| hash.parse().unwrap()),
        };
        assert_eq!(Sigil::of_keyring(&keyring, &data), Ok(sigil), "{name}");
    }
}

#[test]
fn a_bad_signature_and_a_false_owner_are_refused() {
    let negative = cases("sigil/manifest.json", "negative");
    let read = |what: &str| {
        let case = negative.iter().find(|case| case.text("what").starts_with(what)).unwrap();
        Sigil::parse(case.text("text").as_bytes()).unwrap().verify()
    };
    assert!(matches!(read("last signature byte"), Err(SigilError::Signature { .. })));
    // The original takes this one: it does not compare the stated key with the signer.
    assert!(matches!(read("outer sign key"), Err(SigilError::Signer { .. })));
}

#[test]
fn the_golden_sigil_of_the_manual_verifies() {
    let text = file("sigil/golden.txt");
    let sigil = Sigil::parse(&text).unwrap();
    let expected = "(sigil\n  (sign-pubkey \"ExTZuEy2qVBRshWdSwfxeKcMmQLbK2f5NxRwhvXda9qd\")\n  \
                    (encrypt-pubkey \"5UXrEhYECJ2kEQZZPEf4TisfWsLNdh2nGYQQz8X9ioMv\"))\n";
    assert_eq!(checked(&sigil), expected);
    assert_eq!(sigil.to_text(), String::from_utf8(text).unwrap().trim_end());
}

#[test]
fn the_fixture_sigils_grow_from_their_seeds() {
    let keyring = Keyring::new(&[1; 32], &[[2; 32]]);
    let encrypt = keyring.encrypt[0].public();
    let data = SigilData { encrypt, info: Some("info".into()), ext: Some(h1()) };
    assert_eq!(value::<SigilData>("sigil", "SigilData"), data);
    let sigil = Sigil::of_keyring(&keyring, &SigilData { encrypt, info: None, ext: None }).unwrap();
    assert_eq!(value::<Sigil>("sigil", "Sigil0"), sigil);
    let text: &Value = &json("sigil/format.json")["text_file"][0];
    assert_eq!(Sigil::parse(text.text("text").as_bytes()).unwrap().to_text(), text.text("text"));
}
