//! Last-writer-wins references: boxes, and which of them wins.

use hbs2_core::{Decode, Hash, Keyring, LwwRef, RefKind, SignPublicKey, Signed};

use crate::support::{Fields, H0, Value, cases, file, h1, json, round_trip, value};

/// The value in a block of the folder, after its signature and its name were checked.
fn open(block: &str, key: SignPublicKey) -> LwwRef {
    let bytes = file(&format!("lwwref/blocks/{block}"));
    assert_eq!(Hash::of(&bytes).to_string(), block);
    let opened = round_trip::<Signed<LwwRef>>(&bytes).verify().unwrap();
    assert_eq!(opened.signer, key);
    opened.value
}

/// The value that a step of the story offered. A step whose block never became the value has only its facts.
fn offered(step: &Value) -> LwwRef {
    let seq = match &step["step"] {
        Value::String(text) if text == "stale" => 5,
        Value::String(text) => text.rsplit(' ').next().unwrap().parse().unwrap(),
        _ => Signed::<LwwRef>::from_bytes(&step.hex("block_hex")).unwrap().verify().unwrap().value.seq,
    };
    LwwRef { seq, value: step.parsed("value"), proof: None }
}

#[test]
fn the_value_that_wins_is_the_one_the_original_kept() {
    let key: SignPublicKey = json("lwwref/manifest.json").parsed("key");
    let mut current: Option<LwwRef> = None;
    for step in cases("lwwref/manifest.json", "updates") {
        let offer = offered(&step);
        if current.is_none_or(|current| offer.beats(&current)) {
            current = Some(offer);
        }
        assert_eq!(current, Some(open(step.text("ref_file_content"), key)), "{}", step["step"]);
        if let Some(block) = step["block_hash"].as_str() {
            assert_eq!(open(block, key), offer);
        }
    }
}

#[test]
fn the_reference_file_has_the_name_of_the_key() {
    let key: SignPublicKey = json("lwwref/manifest.json").parsed("key");
    let keyring = Keyring::parse(&file("lwwref/lwwref.key")).unwrap();
    assert_eq!(keyring.public(), key);
    let place = RefKind::Lww.key(&key);
    for (number, step) in cases("lwwref/manifest.json", "updates").iter().take(3).enumerate() {
        assert_eq!(place, step.parsed("ref_hash"));
        let content = file(&format!("lwwref/refs-after-{number}/{place}"));
        assert_eq!(content, step.text("ref_file_content").as_bytes());
    }
}

#[test]
fn our_signature_is_the_one_of_the_original() {
    let keyring = Keyring::parse(&file("lwwref/lwwref.key")).unwrap();
    for step in cases("lwwref/manifest.json", "updates").iter().take(3) {
        let signed = Signed::sign(&keyring.sign, &offered(step));
        assert_eq!(signed, round_trip::<Signed<LwwRef>>(&step.hex("block_hex")));
    }
}

#[test]
fn values_have_the_form_of_the_original() {
    assert_eq!(value::<LwwRef>("lwwref", "LWWRef 1 h1 Nothing"), LwwRef { seq: 1, value: h1(), proof: None });
    value::<LwwRef>("lwwref", "LWWRef");
    value::<Signed<LwwRef>>("lwwref", "LWWRef.box").verify().unwrap();
    let with_proof = LwwRef { seq: 1, value: h1(), proof: Some(H0) };
    assert_eq!(round_trip::<LwwRef>(&hbs2_core::Encode::to_bytes(&with_proof)), with_proof);
}
