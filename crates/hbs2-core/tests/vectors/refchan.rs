//! Refchans: heads as text and as bytes, proposals, acceptances.

use hbs2_core::refchan::{Acceptance, ChanAction, ChanNotice, Proposal, VerifiedUpdate};
use hbs2_core::tree::walk::{self, Leaves};
use hbs2_core::{Blob, ChanHead, ChanUpdate, Encode, Hash, Keyring, RefKind, SignPublicKey, Signed};

use crate::support::{Blocks, Fields, H0, Value, cases, file, h1, json, round_trip, value};

fn steps() -> Vec<Value> {
    cases("refchan/manifest.json", "steps")
}

fn chan() -> SignPublicKey {
    json("refchan/manifest.json").parsed("refchan")
}

fn head_of(step: &Value, blocks: &Blocks) -> ChanHead {
    let content = walk::content(step.parsed("head_root"), 4096, |hash| blocks.get(hash)).unwrap();
    let opened = round_trip::<Signed<ChanHead>>(&content).verify().unwrap();
    assert_eq!(opened.signer, chan());
    let signed = Signed::sign(&Keyring::parse(&file("refchan/refchan.key")).unwrap().sign, &opened.value);
    assert_eq!(signed.to_bytes(), content, "our box is the box of the original");
    opened.value
}

/// The words of the lines of a head that has one line for each form.
fn lines(text: &str) -> Vec<Vec<String>> {
    let words = |line: &str| line.replace(['(', ')', '"'], "").split(' ').map(str::to_owned).collect();
    text.lines().filter(|line| !line.starts_with(';')).map(words).collect()
}

#[test]
fn heads_are_the_text_and_the_bytes_of_the_original() {
    let blocks = Blocks::of("refchan/blocks");
    for step in steps().iter().filter(|step| step["head_root"].is_string()) {
        let head = head_of(step, &blocks);
        assert_eq!(head.to_string(), step.text("head_get_parsed"), "{}", step["step"]);
        assert_eq!(ChanHead::from_lines(&lines(step.text("dsl"))), Ok(head.clone()));
        assert_eq!(ChanHead::from_lines(&lines(&head.to_string())), Ok(head));
        assert_eq!(RefKind::ChanHead.key(&chan()), step.parsed("head_ref_hash"));
    }
}

#[test]
fn the_log_is_made_of_proposals_and_acceptances() {
    let blocks = Blocks::of("refchan/blocks");
    let mut payloads = 0;
    for step in steps().iter().filter(|step| step["step"] == "propose") {
        assert_eq!(RefKind::ChanLog.key(&chan()), step.parsed("log_ref_hash"));
        let mut proposals = Vec::new();
        let mut accepted = Vec::new();
        for leaf in Leaves::new(step.parsed("log_root"), |hash: &Hash| blocks.get(hash)) {
            for hash in leaf.unwrap() {
                let update: ChanUpdate = blocks.value(&hash);
                assert_eq!((update.id(), *update.chan()), (hash, chan()));
                match update.verify().unwrap() {
                    VerifiedUpdate::Propose { peer, author, payload, .. } => {
                        assert_eq!(peer, json("refchan/manifest.json").parsed("peer"));
                        assert_eq!(author, json("refchan/manifest.json").parsed("author"));
                        assert!(payload.starts_with(b"payload "));
                        proposals.push(hash);
                    }
                    VerifiedUpdate::Accept { acceptance, .. } => {
                        assert!(acceptance.seconds.is_some());
                        accepted.push(acceptance.proposal);
                    }
                }
            }
        }
        payloads += 1;
        proposals.sort();
        accepted.sort();
        assert_eq!((proposals.len(), &accepted), (payloads, &proposals));
    }
    assert_eq!(payloads, 3);
}

#[test]
fn our_transactions_are_those_of_the_original() {
    let blocks = Blocks::of("refchan/blocks");
    let peer = Keyring::parse(&file("refchan/peer.key")).unwrap().sign;
    let author = Keyring::parse(&file("refchan/author.key")).unwrap().sign;
    for (hash, block) in &blocks.0 {
        let Ok(update) = <ChanUpdate as hbs2_core::Decode>::from_bytes(block) else { continue };
        let again = match update.verify() {
            Ok(VerifiedUpdate::Propose { head, payload, .. }) => {
                ChanUpdate::propose(&peer, chan(), head, Signed::sign(&author, &Blob(payload)))
            }
            Ok(VerifiedUpdate::Accept { acceptance, .. }) => ChanUpdate::accept(&peer, chan(), &acceptance),
            Err(_) => continue,
        };
        assert_eq!(again.id(), *hash);
    }
}

#[test]
fn values_have_the_form_of_the_original() {
    let head: ChanHead = value("refchan", "RefChanHeadBlock2");
    assert_eq!((head.version, head.quorum, head.wait, head.extensions()), (1, 1, 10, 0));
    let proposal: Proposal = value("refchan", "ProposeTran h1 box");
    assert_eq!(proposal.head, h1());
    value::<ChanUpdate>("refchan", "Propose").verify().unwrap();
    value::<ChanUpdate>("refchan", "Accept").verify().unwrap();
    let accepted = Acceptance { seconds: Some(1_700_000_000), head: h1(), proposal: H0 };
    assert_eq!(value::<Acceptance>("refchan", "AcceptTran2 (Just 1700000000)"), accepted);
    let older = Acceptance { seconds: None, ..accepted };
    assert_eq!(round_trip::<Acceptance>(&older.to_bytes()), older);
    let ChanNotice::Action { action, .. } = value("refchan", "ActionRequest") else { panic!("an action") };
    assert_eq!(action, ChanAction::Fetch(h1()));
    let disclosed = cases("refchan/format.json", "cbor");
    let disclosed = disclosed.iter().find(|case| case.text("name") == "RefChanDisclosed h1").unwrap();
    let mut head = ChanHead::default();
    head.disclose(&[h1()]);
    assert!(head.extension.windows(42).any(|item| item == disclosed.hex("hex")));
    head.disclose(&[]);
    assert_eq!(hex::encode(head.extension), "820080");
}
