//! Rules for all values: what is written is read back, and no bytes make a reader panic.

#![allow(clippy::unwrap_used, reason = "a value that cannot be read back is a failed test")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use ciborium::Value;
use hbs2_core::bundle::{BundleRef, SignedBundleRef, Unpacker};
use hbs2_core::cbor::{Decoder, Encoder};
use hbs2_core::mailbox::{
    Deletion, MailboxEntry, MailboxKind, MailboxStatus, MessageContent, PolicySetting, Predicate,
};
use hbs2_core::nacl::Nonce;
use hbs2_core::refchan::{Acceptance, ChanNotice};
use hbs2_core::tree::build::{build, build_data};
use hbs2_core::tree::walk::{self, Leaves};
use hbs2_core::{
    AnnotatedRef, AnnotatedTree, Blob, ChanHead, ChanUpdate, Crypt, Decode, Encode, EncryptPublicKey,
    EncryptSecretKey, GroupKey, GroupKeyId, GroupSecret, Hash, Keyring, KeyringEntry, LwwRef, Message, Meta,
    PeerAddr, ReflogUpdate, SealedBlock, SequentialRef, Shape, Sigil, SigilData, SignPublicKey,
    SignSecretKey, Signature, Signed, Transport, Tree, armour, base58, inspect,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

fn hashes() -> impl Strategy<Value = Vec<Hash>> {
    vec(hash(), 0..40)
}

fn sign_keys() -> impl Strategy<Value = std::collections::BTreeSet<SignPublicKey>> {
    proptest::collection::btree_set(any::<[u8; 32]>().prop_map(SignPublicKey::from_bytes), 0..6)
}

fn chan_head() -> impl Strategy<Value = ChanHead> {
    let readers =
        proptest::collection::btree_set(any::<[u8; 32]>().prop_map(EncryptPublicKey::from_bytes), 0..6);
    (any::<[u64; 3]>(), sign_keys(), any::<i64>(), sign_keys(), readers, sign_keys(), hashes()).prop_map(
        |([version, quorum, wait], peers, weight, authors, readers, notifiers, disclosed)| {
            let peers = peers.into_iter().map(|key| (key, i128::from(weight))).collect();
            let mut head =
                ChanHead { version, quorum, wait, peers, authors, readers, notifiers, extension: Vec::new() };
            head.disclose(&disclosed);
            head
        },
    )
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let leaf = prop_oneof![Just(Predicate::Nop), Just(Predicate::End), hash().prop_map(Predicate::Message)];
    leaf.prop_recursive(8, 32, 2, |inner| {
        (inner.clone(), inner, any::<bool>()).prop_map(|(a, b, and)| {
            let (a, b) = (Box::new(a), Box::new(b));
            if and { Predicate::And(a, b) } else { Predicate::Or(a, b) }
        })
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    prop_oneof![
        hashes().prop_map(Tree::Leaf),
        (any::<u64>(), hashes()).prop_map(|(height, children)| Tree::Node { height, children }),
    ]
}

fn meta() -> impl Strategy<Value = Meta> {
    prop_oneof![Just(Meta::None), any::<String>().prop_map(Meta::Short), hash().prop_map(Meta::Block)]
}

fn nonce() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..64)
}

fn crypt() -> impl Strategy<Value = Crypt> {
    prop_oneof![
        Just(Crypt::None),
        hash().prop_map(|key| Crypt::Asymmetric { key }),
        (hash(), nonce()).prop_map(|(key, nonce)| Crypt::Group1 { key, nonce }),
        (any::<(u64, u64)>(), hash(), nonce()).prop_map(|(sip, key, nonce)| Crypt::Group2 {
            sip,
            key,
            nonce
        }),
    ]
}

fn annotated_tree() -> impl Strategy<Value = AnnotatedTree> {
    (meta(), crypt(), tree()).prop_map(|(meta, crypt, tree)| AnnotatedTree { meta, crypt, tree })
}

fn annotated_ref() -> impl Strategy<Value = AnnotatedRef> {
    (prop::option::of(hash()), hash()).prop_map(|(annotation, target)| AnnotatedRef { annotation, target })
}

fn sequential_ref() -> impl Strategy<Value = SequentialRef> {
    (any::<i128>(), annotated_ref()).prop_map(|(rank, target)| SequentialRef { rank, target })
}

fn lwwref() -> impl Strategy<Value = LwwRef> {
    (any::<u64>(), hash(), prop::option::of(hash())).prop_map(|(seq, value, proof)| LwwRef {
        seq,
        value,
        proof,
    })
}

fn sign_key() -> impl Strategy<Value = SignSecretKey> {
    any::<[u8; 32]>().prop_map(|seed| SignSecretKey::from_seed(&seed))
}

fn keyring() -> impl Strategy<Value = Keyring> {
    let entry = (any::<[u8; 32]>(), prop::option::of(any::<String>())).prop_map(|(secret, description)| {
        KeyringEntry { secret: EncryptSecretKey::from_bytes(secret), description }
    });
    (sign_key(), vec(entry, 0..4)).prop_map(|(sign, encrypt)| Keyring { sign, encrypt })
}

fn peer_addr() -> impl Strategy<Value = PeerAddr> {
    let transport = prop_oneof![Just(Transport::Udp), Just(Transport::Tcp)];
    (transport, any::<IpAddr>(), any::<u16>())
        .prop_map(|(transport, ip, port)| PeerAddr { transport, socket: SocketAddr::new(ip, port) })
}

fn encrypt_key() -> impl Strategy<Value = EncryptSecretKey> {
    any::<[u8; 32]>().prop_map(EncryptSecretKey::from_bytes)
}

fn group_key() -> impl Strategy<Value = GroupKey> {
    (any::<[u8; 32]>(), prop::collection::btree_set(any::<[u8; 32]>(), 1..5), any::<u64>(), encrypt_key())
        .prop_map(|(secret, members, seconds, once)| {
            let members =
                members.into_iter().map(|bytes| EncryptSecretKey::from_bytes(bytes).public()).collect();
            GroupKey::generate(&GroupSecret::from_bytes(secret), &members, seconds, || once.clone()).unwrap()
        })
}

fn sigil() -> impl Strategy<Value = Sigil> {
    (sign_key(), encrypt_key(), prop::option::of(any::<String>()), prop::option::of(hash())).prop_map(
        |(sign, encrypt, info, ext)| Sigil::sign(&sign, &SigilData { encrypt: encrypt.public(), info, ext }),
    )
}

fn sealed_block() -> impl Strategy<Value = SealedBlock> {
    (hash(), vec(any::<u8>(), 0..100))
        .prop_map(|(key, bytes)| SealedBlock::seal_bytes(&GroupSecret::from_bytes([5; 32]), key, &bytes))
}

fn reflog_update() -> impl Strategy<Value = ReflogUpdate> {
    (sign_key(), any::<[u8; 24]>(), vec(any::<u8>(), 0..300))
        .prop_map(|(key, nonce, data)| ReflogUpdate::sign(&key, nonce, data.into()))
}

/// Reads the form of `value` back: same value, nothing left, and what follows it does not matter.
fn check<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: &T) {
    let mut bytes = value.to_bytes();
    let mut d = Decoder::new(&bytes);
    assert_eq!(&T::decode(&mut d).unwrap(), value);
    assert!(d.is_at_end());
    for cut in [0, bytes.len() / 2, bytes.len() - 1] {
        assert!(T::from_bytes(&bytes[..cut]).is_err(), "{cut} of {} bytes are not enough", bytes.len());
    }
    bytes.extend_from_slice(b"trailing");
    assert_eq!(&T::from_bytes(&bytes).unwrap(), value);
}

/// What a general CBOR reader makes of the form; forms of the format are legal CBOR.
fn general(value: &impl Encode) -> Value {
    ciborium::from_reader(&value.to_bytes()[..]).unwrap()
}

fn number(value: impl Into<ciborium::value::Integer>) -> Value {
    Value::Integer(value.into())
}

fn hash_ref(hash: &Hash) -> Value {
    Value::Array(vec![number(0), inner_hash(hash)])
}

fn inner_hash(hash: &Hash) -> Value {
    Value::Array(vec![number(0), Value::Bytes(hash.as_bytes().to_vec())])
}

proptest! {
    #[test]
    fn every_value_is_read_back(
        values in (hash(), tree(), meta(), crypt(), annotated_tree(), annotated_ref(), sequential_ref(), lwwref()),
        addr in peer_addr(),
    ) {
        check(&values.0);
        check(&values.1);
        check(&values.2);
        check(&values.3);
        check(&values.4);
        check(&values.5);
        check(&values.6);
        check(&values.7);
        check(&addr);
        check(&addr.socket);
        prop_assert_eq!(addr.to_string().parse::<PeerAddr>().unwrap(), addr);
    }

    #[test]
    fn every_key_and_signature_is_read_back(
        key in sign_key(), secret in any::<[u8; 32]>(), lww in lwwref(), update in reflog_update(),
    ) {
        let secret = EncryptSecretKey::from_bytes(secret);
        check(&key);
        check(&key.public());
        check(&secret);
        check(&secret.public());
        check(&key.sign(b"text"));
        let signed = Signed::sign(&key, &lww);
        check(&signed);
        prop_assert_eq!(signed.verify().unwrap().value, lww);
        check(&update);
        prop_assert_eq!(update.verify(), Ok(()));
    }

    #[test]
    fn every_keyring_is_read_back_from_its_text(keyring in keyring()) {
        check(&keyring);
        prop_assert_eq!(Keyring::parse(keyring.to_text().as_bytes()).unwrap(), keyring);
    }

    #[test]
    fn every_group_key_sigil_and_sealed_block_is_read_back(
        group in group_key(), sigil in sigil(), block in sealed_block(), key in sign_key(), target in hash(),
    ) {
        // Without its last item a group key is one of the older kind, so not every cut of it is an error.
        prop_assert_eq!(&GroupKey::from_bytes(&group.to_bytes()).unwrap(), &group);
        prop_assert_eq!(&GroupKey::parse(&group.to_text()).unwrap(), &group);
        check(&sigil);
        prop_assert!(sigil.verify().is_ok());
        prop_assert_eq!(&Sigil::parse(sigil.to_text().as_bytes()).unwrap(), &sigil);
        check(&block);
        check(&BundleRef { bundle: target });
        check(&SignedBundleRef(Signed::sign(&key, &BundleRef { bundle: target })));
        check(&Nonce::of_string(target.as_bytes()));
        check(&GroupKeyId::from_bytes(*target.as_bytes()));
        check(&GroupSecret::from_bytes(*target.as_bytes()));
    }

    #[test]
    fn every_block_is_of_its_kind_and_names_its_hashes(
        tree in tree(), annotated in annotated_tree(), pointer in annotated_ref(), ranked in sequential_ref(),
    ) {
        let check = |bytes: Vec<u8>, kind: inspect::Kind, links: Vec<Hash>| {
            assert_eq!((inspect::kind(&bytes), inspect::may_link(&bytes)), (kind, true));
            assert_eq!(inspect::links(&bytes), links);
        };
        let of_meta = if let Meta::Block(hash) = annotated.meta { Some(hash) } else { None };
        let of_crypt = match annotated.crypt {
            Crypt::None => None,
            Crypt::Asymmetric { key } | Crypt::Group1 { key, .. } | Crypt::Group2 { key, .. } => Some(key),
        };
        let of_pointer = |it: AnnotatedRef| it.annotation.into_iter().chain([it.target]).collect::<Vec<_>>();
        check(tree.to_bytes(), inspect::Kind::Tree, tree.hashes().to_vec());
        let of_tree = annotated.tree.hashes().iter().copied();
        let links = of_meta.into_iter().chain(of_crypt).chain(of_tree).collect();
        check(annotated.to_bytes(), inspect::Kind::AnnotatedTree, links);
        check(pointer.to_bytes(), inspect::Kind::AnnotatedRef, of_pointer(pointer));
        check(ranked.to_bytes(), inspect::Kind::SequentialRef, of_pointer(ranked.target));
    }

    #[test]
    fn a_strictly_read_block_is_never_taken_for_a_blob(bytes in vec(any::<u8>(), 0..120), head in 0usize..6) {
        let heads: [&[u8]; 6] = [&[], &[0x82, 1], &[0x83, 0, 0x82, 0], &[0x84, 0, 0x81, 0], &[0x83, 0, 0x80], &[0x83, 0]];
        let block = [heads[head], &bytes].concat();
        let kind = inspect::kind(&block);
        let strict = AnnotatedTree::from_bytes(&block).is_ok() || Tree::from_bytes(&block).is_ok()
            || AnnotatedRef::from_bytes(&block).is_ok() || SequentialRef::from_bytes(&block).is_ok();
        prop_assert!(!strict || kind != inspect::Kind::Blob);
        prop_assert!(inspect::may_link(&block) || kind == inspect::Kind::Blob);
    }

    #[test]
    fn a_general_reader_sees_the_same_values(tree in tree(), ranked in sequential_ref(), lww in lwwref()) {
        let list = |each: fn(&Hash) -> Value| Value::Array(tree.hashes().iter().map(each).collect());
        prop_assert_eq!(general(&tree), Value::Array(match &tree {
            Tree::Leaf(_) => vec![number(1), list(hash_ref)],
            Tree::Node { height, .. } => {
                vec![number(0), Value::Array(vec![number(0), number(*height)]), list(inner_hash)]
            }
        }));
        let maybe = |hash: Option<Hash>| Value::Array(hash.iter().map(hash_ref).collect());
        let lww_fields = vec![number(0), number(lww.seq), hash_ref(&lww.value), maybe(lww.proof)];
        prop_assert_eq!(general(&lww), Value::Array(lww_fields));
        let Value::Array(fields) = general(&ranked) else { panic!("a record is an array") };
        prop_assert_eq!(&fields[2], &general(&ranked.target));
        // A bignum is a tagged value to the general reader; it knows how to make an integer of it.
        prop_assert_eq!(fields[1].deserialized::<i128>().unwrap(), ranked.rank);
    }

    #[test]
    fn integers_are_written_as_a_general_writer_does(small in any::<u64>(), wide in any::<i128>(), text in any::<String>()) {
        let ours = |form: &dyn Fn(&mut Encoder)| {
            let mut e = Encoder::new();
            form(&mut e);
            e.into_bytes()
        };
        let theirs = |value: Value| {
            let mut bytes = Vec::new();
            ciborium::into_writer(&value, &mut bytes).unwrap();
            bytes
        };
        prop_assert_eq!(ours(&|e| e.uint(small)), theirs(number(small)));
        prop_assert_eq!(ours(&|e| e.text(&text)), theirs(Value::Text(text.clone())));
        prop_assert_eq!(ours(&|e| e.integer(wide)), theirs(Value::serialized(&wide).unwrap()));
        prop_assert_eq!(Decoder::new(&ours(&|e| e.integer(wide))).integer().unwrap(), wide);
    }

    #[test]
    fn a_tree_lists_what_it_was_built_from(list in vec(hash(), 0..200), leaf in 1usize..9, node in 2usize..9) {
        let mut blocks: BTreeMap<Hash, Bytes> = BTreeMap::new();
        let root = build(Shape { leaf, node }, &list, |hash, block| drop(blocks.insert(hash, block)));
        let leaves: Result<Vec<_>, _> =
            Leaves::new(root, |hash| Ok::<_, Infallible>(blocks.get(hash).cloned())).collect();
        prop_assert_eq!(leaves.unwrap().concat(), list);
    }

    #[test]
    fn data_is_read_back_from_its_tree(data in vec(any::<u8>(), 0..2000)) {
        let mut blocks: BTreeMap<Hash, Bytes> = BTreeMap::new();
        let data = Bytes::from(data);
        let root = build_data(&data, |hash, block| drop(blocks.insert(hash, block)));
        let content = walk::content(root, data.len(), |hash| Ok::<_, Infallible>(blocks.get(hash).cloned()));
        prop_assert_eq!(content.unwrap(), data);
    }

    #[test]
    fn what_a_channel_says_is_read_back(head in chan_head(), payload in vec(any::<u8>(), 0..100), time in any::<Option<u64>>()) {
        prop_assert_eq!(ChanHead::from_bytes(&head.to_bytes()), Ok(head.clone()));
        let words = |line: &str| line.replace(['(', ')', '"'], "").split(' ').map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<_> = head.to_string().lines().filter(|line| !line.starts_with(';')).map(words).collect();
        prop_assert_eq!(ChanHead::from_lines(&lines), Ok(head));
        let key = SignSecretKey::from_seed(&[1; 32]);
        let id = Hash::of(&payload);
        let update = ChanUpdate::propose(&key, key.public(), id, Signed::sign(&key, &Blob(payload.into())));
        prop_assert_eq!(ChanUpdate::from_bytes(&update.to_bytes()), Ok(update));
        let accept = Acceptance { seconds: time, head: id, proposal: id };
        prop_assert_eq!(Acceptance::from_bytes(&accept.to_bytes()), Ok(accept));
    }

    #[test]
    fn what_a_mailbox_says_is_read_back(predicate in predicate(), proof in proptest::option::of(hash()), message in hash(), hub in any::<bool>(), seconds in any::<u64>(), version in any::<u32>()) {
        let deletion = Deletion(predicate);
        prop_assert_eq!(Deletion::from_bytes(&deletion.to_bytes()), Ok(deletion));
        for entry in [MailboxEntry::Exists { policy: proof, message }, MailboxEntry::Deleted { proof, message }] {
            prop_assert_eq!(MailboxEntry::from_bytes(&entry.to_bytes()), Ok(entry));
        }
        let key = SignSecretKey::from_seed(&[1; 32]);
        let setting = PolicySetting { mailbox: key.public(), version, policy: message };
        let kind = if hub { MailboxKind::Hub } else { MailboxKind::Relay };
        let policy = Some(Signed::sign(&key, &setting));
        let status = MailboxStatus { seconds, mailbox: key.public(), kind, tree: proof, policy };
        prop_assert_eq!(MailboxStatus::from_bytes(&status.to_bytes()), Ok(status));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        read_with_all(&bytes);
    }

    #[test]
    fn no_broken_value_makes_a_reader_panic(
        annotated in annotated_tree(), ranked in sequential_ref(), update in reflog_update(), keyring in keyring(),
        addr in peer_addr(), group in group_key(), sigil in sigil(), block in sealed_block(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let forms = [
            annotated.to_bytes(), annotated.tree.to_bytes(), ranked.to_bytes(), update.to_bytes(), keyring.to_bytes(),
            keyring.to_text().as_bytes().to_vec(), addr.to_bytes(), group.to_bytes(), group.to_text().into_bytes(),
            sigil.to_bytes(), sigil.to_text().into_bytes(), block.to_bytes(),
        ];
        for mut form in forms {
            let at = at.index(form.len());
            form[at] = byte;
            read_with_all(&form);
            form.truncate(at);
            read_with_all(&form);
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>(), near in "(tcp|udp)?(://)?[\\[0-9a-f.:%\\]]{0,30}") {
        for text in [&text, &near] {
            let _ = (text.parse::<PeerAddr>(), text.parse::<Hash>(), text.parse::<SignPublicKey>());
            let _ = (GroupKey::parse(text), Sigil::parse(text.as_bytes()), text.parse::<GroupKeyId>());
            let _ = (armour::parse(text), base58::decode(text), Keyring::parse(text.as_bytes()));
            let _ = hbs2_core::tree::meta::value(text, "key");
        }
    }
}

/// Gives `bytes` to every reader of the crate. Whatever they read, they write in a form that they read alike.
fn read_with_all(bytes: &[u8]) {
    fn with<T: Decode + Encode + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
        if let Ok(value) = T::from_bytes(bytes) {
            assert_eq!(T::from_bytes(&value.to_bytes()).as_ref(), Ok(&value));
        }
    }
    with::<Hash>(bytes);
    with::<Tree>(bytes);
    with::<Meta>(bytes);
    with::<Crypt>(bytes);
    with::<AnnotatedTree>(bytes);
    with::<AnnotatedRef>(bytes);
    with::<SequentialRef>(bytes);
    with::<LwwRef>(bytes);
    with::<PeerAddr>(bytes);
    with::<SocketAddr>(bytes);
    with::<SignPublicKey>(bytes);
    with::<SignSecretKey>(bytes);
    with::<EncryptPublicKey>(bytes);
    with::<EncryptSecretKey>(bytes);
    with::<Signature>(bytes);
    with::<Signed<LwwRef>>(bytes);
    with::<Keyring>(bytes);
    with::<ReflogUpdate>(bytes);
    with::<GroupKey>(bytes);
    with::<GroupSecret>(bytes);
    with::<Nonce>(bytes);
    with::<Sigil>(bytes);
    with::<SigilData>(bytes);
    with::<SealedBlock>(bytes);
    with::<SignedBundleRef>(bytes);
    with::<ChanHead>(bytes);
    with::<ChanUpdate>(bytes);
    with::<ChanNotice>(bytes);
    with::<Acceptance>(bytes);
    with::<Message>(bytes);
    with::<MessageContent>(bytes);
    with::<MailboxEntry>(bytes);
    with::<MailboxStatus>(bytes);
    with::<PolicySetting>(bytes);
    with::<Deletion>(bytes);
    if let Ok(head) = ChanHead::from_bytes(bytes) {
        let _ = (head.to_string(), head.disclosed());
    }
    let _ = ChanUpdate::from_bytes(bytes).map(|update| update.verify().is_ok());
    let _ = Message::from_bytes(bytes).map(|message| message.verify().is_ok());
    if let Ok(group) = GroupKey::from_bytes(bytes) {
        let _ = (group.dump(), group.open(&EncryptSecretKey::from_bytes([1; 32])));
    }
    if let Ok(sigil) = Sigil::parse(bytes) {
        let _ = sigil.verify();
    }
    let mut unpacker = Unpacker::new();
    for stream in [bytes.to_vec(), [&hbs2_core::bundle::head(), bytes].concat()] {
        unpacker.push(&stream);
        let _ = unpacker.block();
    }
    if let Ok(update) = ReflogUpdate::from_bytes(bytes) {
        let _ = update.verify();
    }
    if let Ok(signed) = Signed::<LwwRef>::from_bytes(bytes) {
        let _ = signed.verify();
    }
    let _ = Keyring::parse(bytes);
    let kind = inspect::kind(bytes);
    assert!(kind != inspect::Kind::Blob || inspect::links(bytes).is_empty());
    assert!(inspect::may_link(bytes) || kind == inspect::Kind::Blob);
    let tree = walk::decode(bytes).is_ok();
    assert!(!tree || matches!(kind, inspect::Kind::Tree | inspect::Kind::AnnotatedTree));
    let _ = Decoder::new(bytes).lazy_bytes();
}
