//! Rules of sealed trees: who can read, what a reader notices, and that no two contents share a keystream.

#![allow(clippy::unwrap_used, reason = "a value that cannot be read back is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use bytes::Bytes;
use hbs2_core::groupkey::GroupKeyError;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::nacl::{BoxError, BoxKey, Nonce, open_sealed, seal_to};
use hbs2_core::sealed::{NonceHasher, nonce_for};
use hbs2_core::tree::build::chunks;
use hbs2_core::tree::sealed::{self, BlockError, CryptError, OpenError, Opener, Sealer};
use hbs2_core::tree::walk::WalkError;
use hbs2_core::{
    AnnotatedTree, Crypt, Decode, Encode, EncryptPublicKey, EncryptSecretKey, GroupKey, GroupSecret, Hash,
    Meta, SealedBlock, Tree,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    First,
    Second,
}

const METHODS: [Method; 2] = [Method::First, Method::Second];

fn secret() -> GroupSecret {
    GroupSecret::from_bytes([5; 32])
}

fn crypt(method: Method, nonce: Vec<u8>) -> Crypt {
    let key = Hash::of(b"group key");
    match method {
        Method::First => Crypt::Group1 { key, nonce },
        Method::Second => Crypt::Group2 { sip: (1, 2), key, nonce },
    }
}

/// A sealed tree with all its blocks, in a form that tests can break.
#[derive(Clone)]
struct Sealed {
    root: Hash,
    tree: AnnotatedTree,
    blocks: BTreeMap<Hash, Bytes>,
}

impl Sealed {
    fn new(crypt: Crypt, content: &[u8], piece: usize) -> Self {
        let mut blocks = BTreeMap::new();
        let emit = |hash, block| {
            blocks.insert(hash, block);
            Ok::<_, Infallible>(())
        };
        let mut sealer = Sealer::new(&secret(), crypt, emit).unwrap();
        content.chunks(piece).for_each(|piece| sealer.write(piece).unwrap());
        let root = sealer.finish(Meta::None).unwrap();
        let tree = AnnotatedTree::from_bytes(&blocks[&root]).unwrap();
        Self { root, tree, blocks }
    }

    fn of(method: Method, content: &[u8]) -> Self {
        Self::new(crypt(method, nonce_for(&secret(), content)), content, CHUNK_BYTES)
    }

    /// The names of the sealed blocks, when one leaf has them all.
    fn leaf(&mut self) -> &mut Vec<Hash> {
        match &mut self.tree.tree {
            Tree::Leaf(hashes) => hashes,
            Tree::Node { .. } => panic!("the content is small"),
        }
    }

    /// Stores the changed root.
    fn rewrite(&mut self) {
        let block = Bytes::from(self.tree.to_bytes());
        self.root = Hash::of(&block);
        self.blocks.insert(self.root, block);
    }

    fn open_with(&self, secret: &GroupSecret) -> (Vec<Vec<u8>>, Result<(), OpenError<Infallible>>) {
        let get = |hash: &Hash| Ok(self.blocks.get(hash).cloned());
        let mut opened = Vec::new();
        for chunk in Opener::new(self.root, &self.tree.crypt, secret, get).unwrap() {
            match chunk {
                Ok(chunk) => opened.push(chunk),
                Err(error) => return (opened, Err(error)),
            }
        }
        (opened, Ok(()))
    }

    fn content(&self) -> Vec<u8> {
        let (chunks, end) = self.open_with(&secret());
        assert_eq!(end, Ok(()));
        chunks.concat()
    }

    /// The error with which reading ends, and how many chunks came before it.
    fn trouble(&self) -> (usize, BlockError) {
        match self.open_with(&secret()) {
            (chunks, Err(OpenError::Block { root, source })) if root == self.root => (chunks.len(), source),
            (_, other) => panic!("{other:?}"),
        }
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i % 251) as u8).collect()
}

#[test]
fn trees_of_every_size_open_again_by_both_methods() {
    for method in METHODS {
        for bytes in
            [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 5 * CHUNK_BYTES + 7]
        {
            let sealed = Sealed::of(method, &pattern(bytes));
            assert_eq!(sealed.content(), pattern(bytes), "{method:?}, {bytes} bytes");
            let pieces = Sealed::new(sealed.tree.crypt.clone(), &pattern(bytes), 77_777);
            assert_eq!(pieces.root, sealed.root, "{method:?}, {bytes} bytes in pieces");
        }
    }
}

#[test]
fn a_tree_of_more_than_a_leaf_opens_again() {
    // Chunks of one byte do not exist, so this takes 256 MiB and a chunk of content, none of it held.
    let (count, chunk) = (1025, pattern(CHUNK_BYTES));
    let mut hasher = NonceHasher::begin(&secret());
    (0..count).for_each(|_| hasher.update(&chunk));
    let mut tree_blocks = BTreeMap::new();
    let mut places = 0u64;
    let emit = |hash, block: Bytes| {
        places += u64::from(block.len() > CHUNK_BYTES);
        if block.len() < CHUNK_BYTES {
            tree_blocks.insert(hash, block);
        }
        Ok::<_, Infallible>(())
    };
    let crypt = crypt(Method::First, hasher.finish());
    let mut sealer = Sealer::new(&secret(), crypt.clone(), emit).unwrap();
    (0..count).for_each(|_| sealer.write(&chunk).unwrap());
    let root = sealer.finish(Meta::None).unwrap();
    assert_eq!((places, tree_blocks.len()), (count, 3), "two leaves and the root");

    // The sealed blocks are made again when they are asked for, in order.
    let cipher = sealed::BlockCipher::new(&secret(), &crypt).unwrap();
    let mut next = 0;
    let get = |hash: &Hash| {
        Ok::<_, Infallible>(Some(tree_blocks.get(hash).cloned().unwrap_or_else(|| {
            next += 1;
            cipher.seal(next, &chunk)
        })))
    };
    let mut opened = 0;
    for found in Opener::new(root, &crypt, &secret(), get).unwrap() {
        assert!(found.unwrap() == chunk);
        opened += 1;
    }
    assert_eq!(opened, count);
}

#[test]
fn a_wrong_member_has_no_secret_and_a_wrong_secret_opens_nothing() {
    let [alice, eve] = [1, 2].map(|byte| EncryptSecretKey::from_bytes([byte; 32]));
    let once = || EncryptSecretKey::from_bytes([9; 32]);
    let group = GroupKey::generate(&secret(), &BTreeSet::from([alice.public()]), 0, once).unwrap();
    assert_eq!(group.open(&eve), Err(GroupKeyError::NotMember));
    for method in METHODS {
        let mut sealed = Sealed::of(method, &pattern(600_000));
        let first = sealed.leaf()[0];
        let (chunks, end) = sealed.open_with(&GroupSecret::from_bytes([6; 32]));
        assert!(chunks.is_empty());
        let source = BlockError::Nonce { hash: first };
        assert_eq!(end, Err(OpenError::Block { root: sealed.root, source }));
    }
}

#[test]
fn a_cut_block_is_noticed_under_its_own_name_and_under_a_new_one() {
    for method in METHODS {
        let whole = Sealed::of(method, &pattern(600_000));
        let names = whole.clone().leaf().clone();
        for (at, keep) in [(0, 0), (1, 15), (1, 100_000), (2, 40)] {
            let mut cut = whole.clone();
            let block = cut.blocks[&names[at]].slice(..keep);
            cut.blocks.insert(names[at], block.clone());
            assert_eq!(cut.trouble(), (at, BlockError::Altered { hash: names[at] }), "{method:?}");

            // Somebody without the secret can name the cut block anew, and write a new root.
            let hash = Hash::of(&block);
            cut.leaf()[at] = hash;
            cut.blocks.insert(hash, block);
            cut.rewrite();
            let expected = match (method, keep) {
                (Method::First, 16..) if at == 0 => BlockError::Nonce { hash },
                (Method::First, 16..) => BlockError::Foreign { hash, place: at as u64 + 1 },
                _ => BlockError::Cut { hash, bytes: keep },
            };
            assert_eq!(cut.trouble(), (at, expected), "{method:?}");
        }
    }
}

#[test]
fn swapped_blocks_are_told_where_they_belong() {
    for method in METHODS {
        let mut sealed = Sealed::of(method, &pattern(5 * CHUNK_BYTES));
        sealed.leaf().swap(1, 3);
        sealed.rewrite();
        let hash = sealed.leaf()[1];
        assert_eq!(sealed.trouble(), (1, BlockError::Misplaced { hash, place: 2, belongs: 4 }), "{method:?}");
        sealed.leaf().swap(0, 1);
        sealed.rewrite();
        assert_eq!(sealed.trouble(), (0, BlockError::Misplaced { hash, place: 1, belongs: 4 }), "{method:?}");
    }
}

#[test]
fn a_changed_nonce_string_opens_nothing() {
    for method in METHODS {
        for at in [0, 23, 24, 31] {
            let mut sealed = Sealed::of(method, &pattern(600_000));
            let (Crypt::Group1 { nonce, .. } | Crypt::Group2 { nonce, .. }) = &mut sealed.tree.crypt else {
                panic!("the tree is sealed");
            };
            nonce[at] ^= 1;
            sealed.rewrite();
            let hash = sealed.leaf()[0];
            assert_eq!(sealed.trouble(), (0, BlockError::Nonce { hash }), "{method:?}, byte {at}");
        }
    }
}

#[test]
fn a_block_of_another_tree_and_changed_bytes_are_noticed() {
    for method in METHODS {
        let mut sealed = Sealed::of(method, &pattern(600_000));
        let mut other = Sealed::of(method, &pattern(600_001));
        let foreign = other.leaf()[1];
        sealed.blocks.extend(other.blocks);
        let own = std::mem::replace(&mut sealed.leaf()[1], foreign);
        sealed.rewrite();
        assert_eq!(sealed.trouble(), (1, BlockError::Foreign { hash: foreign, place: 2 }), "{method:?}");

        sealed.leaf()[1] = own;
        sealed.rewrite();
        let mut changed = sealed.blocks[&own].to_vec();
        changed[70_000] ^= 1;
        sealed.blocks.insert(own, changed.into());
        assert_eq!(sealed.trouble(), (1, BlockError::Altered { hash: own }), "{method:?}");
        sealed.blocks.remove(&own);
        let missing = OpenError::Tree { root: sealed.root, source: WalkError::Missing { hash: own } };
        assert_eq!(sealed.open_with(&secret()).1, Err(missing));
    }
}

#[test]
fn trees_that_no_group_sealed_are_refused_by_name() {
    let get = |_: &Hash| Ok::<_, Infallible>(None);
    let root = Hash::of(b"root");
    let refused = |crypt: &Crypt| match Opener::new(root, crypt, &secret(), get).err() {
        Some(OpenError::Crypt { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&Crypt::None), CryptError::None);
    assert_eq!(refused(&Crypt::Asymmetric { key: root }), CryptError::Asymmetric);
}

/// Every piece of 32 bytes in the sealed blocks of a tree, in steps of 16 from the first byte of ciphertext. Where the
/// content is zero these are pieces of the keystream.
fn pieces(sealed: &Sealed) -> BTreeSet<[u8; 32]> {
    let blocks = sealed.blocks.values().filter(|block| block.len() > CHUNK_BYTES);
    blocks
        .flat_map(|block| block[16..].windows(32).step_by(16).map(|piece| piece.try_into().unwrap()))
        .collect()
}

#[test]
fn two_texts_with_an_equal_first_two_mib_share_no_keystream() {
    const EQUAL: usize = 2 * 1024 * 1024;
    let text = |end: u8| [vec![0; EQUAL], vec![end; CHUNK_BYTES]].concat();
    let (one, two) = (text(0), text(1));

    // Ours: the string is of the whole text.
    let (ours_one, ours_two) = (Sealed::of(Method::First, &one), Sealed::of(Method::First, &two));
    let (pieces_one, pieces_two) = (pieces(&ours_one), pieces(&ours_two));
    assert_eq!(pieces_one.len(), 9 * (CHUNK_BYTES / 16 - 1), "no piece repeats within a tree either");
    assert!(pieces_one.is_disjoint(&pieces_two));

    // The original's: the string is of the first MiB, so equal chunks show, and the unequal ones share a keystream.
    let prefix = |text: &[u8]| Hash::of(&text[..1024 * 1024]).as_bytes().to_vec();
    let theirs = |text: &[u8]| Sealed::new(crypt(Method::First, prefix(text)), text, CHUNK_BYTES);
    let (mut theirs_one, mut theirs_two) = (theirs(&one), theirs(&two));
    let last = |sealed: &mut Sealed| {
        let hash = *sealed.leaf().last().unwrap();
        sealed.blocks[&hash].slice(16..)
    };
    let (one_end, two_end) = (last(&mut theirs_one), last(&mut theirs_two));
    assert!(one_end.iter().zip(&two_end).all(|(a, b)| a ^ b == 1), "this test would see a shared keystream");
}

#[test]
fn equal_contents_of_one_group_are_stored_once_and_of_two_are_not() {
    let content = pattern(600_000);
    assert_eq!(Sealed::of(Method::First, &content).root, Sealed::of(Method::First, &content).root);
    let other = GroupSecret::from_bytes([6; 32]);
    assert_ne!(nonce_for(&secret(), &content), nonce_for(&other, &content));
}

#[test]
fn no_part_of_a_secret_stands_in_what_is_shown() {
    let cipher = sealed::BlockCipher::new(&secret(), &crypt(Method::First, vec![7; 32])).unwrap();
    let shown = format!("{:?} {cipher:?} {:?}", secret(), NonceHasher::begin(&secret()));
    assert!(!shown.contains("5, 5") && !shown.contains("0505"), "{shown}");
}

fn key() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

proptest! {
    #[test]
    fn boxes_are_those_of_two_other_implementations(
        key in key(), other in key(), nonce in any::<[u8; 24]>(), message in vec(any::<u8>(), 0..3000),
    ) {
        use crypto_secretbox::aead::{Aead, KeyInit};
        let ours = BoxKey::from_bytes(&key).seal(&Nonce::from_bytes(nonce), &message);
        let oracle = crypto_secretbox::XSalsa20Poly1305::new(&key.into());
        prop_assert_eq!(&ours, &oracle.encrypt(&nonce.into(), message.as_slice()).unwrap());
        prop_assert_eq!(BoxKey::from_bytes(&key).open(&Nonce::from_bytes(nonce), &ours).unwrap(), message.clone());

        let theirs = crypto_box::SecretKey::from(key);
        let public = crypto_box::SecretKey::from(other).public_key();
        let recipient = EncryptSecretKey::from_bytes(other);
        prop_assert_eq!(*recipient.public().as_bytes(), *public.as_bytes());
        let shared = BoxKey::between(&EncryptPublicKey::from_bytes(*public.as_bytes()), &EncryptSecretKey::from_bytes(key));
        let oracle = crypto_box::SalsaBox::new(&public, &theirs);
        let ours = shared.unwrap().seal(&Nonce::from_bytes(nonce), &message);
        prop_assert_eq!(ours, oracle.encrypt(&nonce.into(), message.as_slice()).unwrap());

        let sealed = seal_to(&recipient.public(), &EncryptSecretKey::from_bytes(key), &message).unwrap();
        prop_assert_eq!(crypto_box::SecretKey::from(other).unseal(&sealed).unwrap(), message.clone());
        prop_assert_eq!(open_sealed(&recipient, &sealed).unwrap().to_vec(), message);
    }

    #[test]
    fn a_changed_box_never_opens(
        key in key(), message in vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), mask in 1u8..,
    ) {
        let (key, nonce) = (BoxKey::from_bytes(&key), Nonce::from_bytes([0; 24]));
        let mut boxed = key.seal(&nonce, &message);
        let at = at.index(boxed.len());
        boxed[at] ^= mask;
        prop_assert_eq!(key.open(&nonce, &boxed), Err(BoxError::Authentication));
    }

    #[test]
    fn a_block_opens_at_its_place_alone(
        nonce in vec(any::<u8>(), 0..50), chunk in vec(any::<u8>(), 0..2000), place in any::<u64>(), second: bool,
        other in any::<u64>(),
    ) {
        let method = if second { Method::Second } else { Method::First };
        let cipher = sealed::BlockCipher::new(&secret(), &crypt(method, nonce)).unwrap();
        let block = cipher.seal(place, &chunk);
        let hash = Hash::of(&block);
        prop_assert_eq!(cipher.open(place, &hash, &block), Ok(chunk));
        prop_assert!(place == other || cipher.open(other, &hash, &block).is_err());
    }

    #[test]
    fn no_bytes_make_an_opener_panic(bytes in vec(any::<u8>(), 0..200), nonce in vec(any::<u8>(), 0..40)) {
        for method in METHODS {
            let cipher = sealed::BlockCipher::new(&secret(), &crypt(method, nonce.clone())).unwrap();
            prop_assert!(cipher.open(1, &Hash::of(&bytes), &bytes).is_err());
        }
        prop_assert!(open_sealed(&EncryptSecretKey::from_bytes([1; 32]), &bytes).is_err());
        if let Ok(block) = SealedBlock::from_bytes(&bytes) {
            prop_assert!(block.open(&secret()).is_err());
        }
    }

    #[test]
    fn chunks_and_pieces_do_not_change_a_tree(bytes in 0..3 * CHUNK_BYTES, piece in 1..2 * CHUNK_BYTES) {
        let content = pattern(bytes);
        let sealed = Sealed::new(crypt(Method::First, vec![7; 32]), &content, piece);
        let cipher = sealed::BlockCipher::new(&secret(), &sealed.tree.crypt).unwrap();
        let names: Vec<Hash> =
            (1..).zip(chunks(&content)).map(|(place, chunk)| Hash::of(&cipher.seal(place, chunk))).collect();
        prop_assert_eq!(sealed.tree.tree.hashes(), &names[..]);
        prop_assert_eq!(sealed.content(), content);
    }
}
