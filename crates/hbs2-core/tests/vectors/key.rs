//! Keys, derived keys, signed boxes, pointers, and the places of references.

use hbs2_core::cbor::{Decoder, Encoder};
use hbs2_core::key::KeyError;
use hbs2_core::{
    AnnotatedRef, Decode, Encode, EncryptSecretKey, Hash, Keyring, LwwRef, RefKind, SequentialRef,
    SignPublicKey, SignSecretKey, Signature, Signed,
};

use crate::support::{Fields, H0, cases, file, h1, json, round_trip, value};

fn fixture() -> SignSecretKey {
    SignSecretKey::from_seed(&[1; 32])
}

#[test]
fn keys_have_the_form_of_the_original() {
    assert_eq!(value::<SignPublicKey>("key", "Sign.PublicKey"), fixture().public());
    assert_eq!(value::<SignSecretKey>("key", "Sign.SecretKey"), fixture());
    assert_eq!(value::<EncryptSecretKey>("key", "Encrypt.SecretKey"), EncryptSecretKey::from_bytes([2; 32]));
    value::<Signature>("key", "Signature");
    let fixtures = &json("key/format.json")["fixtures"];
    assert_eq!(fixture().public(), fixtures.parsed("sign_pk_b58"));
    for number in 1..=2 {
        let secret = fixtures.hex(&format!("enc_secret{number}_hex")).try_into().unwrap();
        let public = EncryptSecretKey::from_bytes(secret).public();
        assert_eq!(public, fixtures.parsed(&format!("enc_pk{number}_b58")));
    }
}

#[test]
fn derived_keys_are_those_of_the_original() {
    for case in cases("derived-key/format.json", "derived_key") {
        let parent = SignSecretKey::from_seed(&case.hex("parent_sign_seed_hex").try_into().unwrap());
        let derived = parent.derive(case.number("seed"));
        assert_eq!(derived.public(), case.parsed("pk_b58"));
        assert_eq!(derived.expose().to_vec(), case.hex("sk_hex"));
    }
}

#[test]
fn reflogs_of_repositories_are_derived_from_their_lwwref() {
    for case in cases("derived-key/manifest.json", "vectors") {
        let keyring = Keyring::parse(&file(&format!("derived-key/{}", case.text("keyring")))).unwrap();
        assert_eq!(keyring.public(), case.parsed("lwwref"));
        assert_eq!(keyring.sign.expose().to_vec(), case.hex("sign_secret_hex"));
        assert_eq!(keyring.sign.derive(case.number("seed")).public(), case.parsed("reflog"));
    }
}

#[test]
fn references_lie_where_the_original_puts_them() {
    let prefixes = [
        ("reflogkey", RefKind::Reflog),
        ("lwwrefkey", RefKind::Lww),
        ("mailboxv1", RefKind::Mailbox),
        ("refchanhead", RefKind::ChanHead),
    ];
    let listed = cases("refkey/format.json", "ref_hash");
    for (prefix, kind) in prefixes {
        let case = listed.iter().find(|case| case.text("name") == prefix).unwrap();
        assert_eq!(kind.key(&case.parsed("key_b58")), case.parsed("ref_hash_b58"), "{prefix}");
    }
    let key = SignPublicKey::from_bytes(json("refkey/format.json").hex("wire_key_hex").try_into().unwrap());
    let kinds = [RefKind::Reflog, RefKind::Lww, RefKind::ChanLog, RefKind::Mailbox];
    for (case, kind) in cases("refkey/format.json", "wire").iter().zip(kinds) {
        assert_eq!(kind.key(&key), case.parsed("b58"), "{}", case.text("name"));
    }
    assert_eq!(RefKind::Any.key(&key).to_string(), "9VUNF2p9GYDaG2odRZsjwu3nw7GYF9HPX4Kee1XcqGRm");
}

/// A `Word32`, as the payload of one of the boxes.
#[derive(Debug, PartialEq)]
struct Word(u64);

impl Encode for Word {
    fn encode(&self, e: &mut Encoder) {
        e.uint(self.0);
    }
}

impl Decode for Word {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, hbs2_core::DecodeError> {
        d.u32().map(|word| Self(word.into()))
    }
}

#[test]
fn signed_boxes_open_and_are_signed_alike() {
    let word: Signed<Word> = value("signed", "SignedBox Word32 42");
    let opened = word.verify().unwrap();
    assert_eq!((opened.signer, opened.value), (fixture().public(), Word(42)));
    assert_eq!(Signed::sign(&fixture(), &Word(42)), word);

    let lww: Signed<LwwRef> = value("signed", "SignedBox LWWRef");
    let expected = LwwRef { seq: 1, value: h1(), proof: None };
    assert_eq!(lww.verify().unwrap().value, expected);
    assert_eq!(Signed::sign(&fixture(), &expected), lww);
}

#[test]
fn a_signature_of_another_key_is_refused() {
    let signature: Signature = value("key", "Signature");
    assert_eq!(fixture().public().verify(b"another text", &signature), Err(KeyError::Signature));
}

#[test]
fn pointers_have_the_form_of_the_original() {
    assert_eq!(value::<AnnotatedRef>("pointer", "AnnotatedHashRef Nothing h1"), AnnotatedRef::to(h1()));
    let annotated = AnnotatedRef { annotation: Some(H0), target: h1() };
    assert_eq!(value::<AnnotatedRef>("pointer", "AnnotatedHashRef (Just h0) h1"), annotated);
    value::<AnnotatedRef>("pointer", "AnnRef2");
    value::<SequentialRef>("pointer", "SeqRef");
}

#[test]
fn wire_records_of_this_crate_are_written_again() {
    for case in json("wire/wire.json")["vectors"]["message"].as_array().unwrap() {
        let bytes = case.hex("hex");
        match case.text("name") {
            "HashRef" => drop(round_trip::<Hash>(&bytes)),
            "Hash" => assert!(Decoder::new(&bytes).inner_hash().is_ok()),
            "LWWRef" => drop(round_trip::<LwwRef>(&bytes)),
            "LWWRef.box" => drop(round_trip::<Signed<LwwRef>>(&bytes).verify().unwrap()),
            "MTree.MNode" | "MTree.MLeaf" => drop(round_trip::<hbs2_core::Tree>(&bytes)),
            "MTreeAnn" => drop(round_trip::<hbs2_core::AnnotatedTree>(&bytes)),
            "MTreeEncryption.Sym2" => drop(round_trip::<hbs2_core::Crypt>(&bytes)),
            "7.RefLogUpdate" => round_trip::<hbs2_core::ReflogUpdate>(&bytes).verify().unwrap(),
            _ => {}
        }
    }
}
