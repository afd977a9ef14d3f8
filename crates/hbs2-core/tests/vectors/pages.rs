//! The examples of the pages in `docs/spec/` are what they say: a block fenced with `hex TYPE` is the exact form
//! of a value of that type.

use std::fs;
use std::path::Path;

use hbs2_core::bundle::BundleRef;
use hbs2_core::{
    AnnotatedRef, AnnotatedTree, GroupKey, Hash, Keyring, LwwRef, PeerAddr, ReflogUpdate, SequentialRef,
    SigilData, SignPublicKey, Signed, Tree,
};

use crate::support::round_trip;

/// Types of the examples of this crate's nouns. Pages of other nouns have other types.
fn check(kind: &str, bytes: &[u8]) -> bool {
    match kind {
        "AnnotatedRef" => drop(round_trip::<AnnotatedRef>(bytes)),
        "AnnotatedTree" => drop(round_trip::<AnnotatedTree>(bytes)),
        "ChanHead" => drop(round_trip::<hbs2_core::ChanHead>(bytes)),
        "Acceptance" => drop(round_trip::<hbs2_core::refchan::Acceptance>(bytes)),
        "MailboxEntry" => drop(round_trip::<hbs2_core::mailbox::MailboxEntry>(bytes)),
        "Deletion" => drop(round_trip::<hbs2_core::mailbox::Deletion>(bytes)),
        "BundleRef" => drop(round_trip::<BundleRef>(bytes)),
        "GroupKey" => drop(round_trip::<GroupKey>(bytes)),
        "Hash" => drop(round_trip::<Hash>(bytes)),
        "Keyring" => drop(round_trip::<Keyring>(bytes)),
        "LwwRef" => drop(round_trip::<LwwRef>(bytes)),
        "PeerAddr" => drop(round_trip::<PeerAddr>(bytes)),
        "ReflogUpdate" => round_trip::<ReflogUpdate>(bytes).verify().unwrap(),
        "SequentialRef" => drop(round_trip::<SequentialRef>(bytes)),
        "SigilData" => drop(round_trip::<SigilData>(bytes)),
        "SignPublicKey" => drop(round_trip::<SignPublicKey>(bytes)),
        "Signed" => drop(round_trip::<Signed<()>>(bytes)),
        "Tree" => drop(round_trip::<Tree>(bytes)),
        _ => return false,
    }
    true
}

#[test]
fn examples_of_the_pages_are_exact() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec");
    let mut checked = 0;
    for page in fs::read_dir(&pages).unwrap() {
        let text = fs::read_to_string(page.unwrap().path()).unwrap();
        for example in text.split("\n```hex ").skip(1) {
            let (kind, rest) = example.split_once('\n').unwrap();
            let digits: String = rest.split("```").next().unwrap().split_whitespace().collect();
            checked += usize::from(check(kind, &hex::decode(digits).unwrap()));
        }
    }
    assert!(checked >= 16, "{checked} examples in {}", pages.display());
}
