//! The rules every [`Store`] must keep, run against each engine.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hbs2_core::{Encode, Hash, tree};
use proptest::prelude::*;

use crate::Durability::{Grouped, Synced};
use crate::{
    BLOCK_BYTES_MAX, DiskStore, MemoryStore, RECORD_BYTES_MAX, REFERENCES_MAX, Stat, Store, StoreError, walk,
};

/// A store under test that can be closed and opened again, where that means something.
trait Engine {
    fn new() -> Self;
    fn store(&self) -> &dyn Store;
    fn reopen(&mut self);
}

impl Engine for MemoryStore {
    fn new() -> Self {
        Self::new()
    }

    fn store(&self) -> &dyn Store {
        self
    }

    fn reopen(&mut self) {}
}

struct Disk {
    store: Option<DiskStore>,
    directory: tempfile::TempDir,
}

impl Engine for Disk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: Some(DiskStore::open_with(directory.path(), VOLUME_BYTES).unwrap()), directory }
    }

    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(DiskStore::open_with(self.directory.path(), VOLUME_BYTES).unwrap());
    }
}

/// Small, so that even a short life fills several and gives some back.
const VOLUME_BYTES: u64 = 2_000_000;

/// Runs each rule once per engine.
macro_rules! rules {
    ($($rule:ident)*) => {
        mod memory { $(#[test] fn $rule() { super::$rule(crate::MemoryStore::new()); })* }
        mod disk { $(#[test] fn $rule() { super::$rule(<super::Disk as super::Engine>::new()); })* }
    };
}

rules! {
    what_is_put_is_read_again_after_a_restart
    blocks_from_0_bytes_to_the_limit_are_kept
    a_block_beyond_the_limit_is_refused_and_its_call_stores_nothing
    a_block_with_another_hash_is_not_stored
    putting_twice_is_the_same_as_once
    a_deleted_block_is_gone_and_can_come_back
    stat_tells_length_and_links
    iteration_meets_every_block_once_and_stops_when_told
    references_are_set_replaced_and_removed_together
    the_later_change_of_a_reference_in_one_call_holds
    as_many_references_as_the_limit_are_set_and_one_more_is_refused
    references_are_listed_in_the_order_of_their_keys
    records_are_set_replaced_and_removed
    overlong_records_and_names_are_refused
    many_threads_may_write_at_once
    reading_many_keeps_the_order_and_the_gaps
}

fn blob(seed: u64, bytes: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(bytes).collect()
}

fn tree_block() -> Bytes {
    tree::Tree::Leaf(vec![Hash::of(b"a"), Hash::of(b"b")]).to_bytes().into()
}

fn hashes(store: &dyn Store) -> BTreeMap<Hash, u64> {
    let mut seen = BTreeMap::new();
    store
        .hashes(&mut |hash, bytes| {
            assert_eq!(seen.insert(hash, bytes), None, "{hash} was met twice");
            ControlFlow::Continue(())
        })
        .unwrap();
    seen
}

fn references(store: &dyn Store) -> Vec<(Hash, Hash)> {
    let mut seen = Vec::new();
    store
        .references(&mut |key, value| {
            seen.push((key, value));
            ControlFlow::Continue(())
        })
        .unwrap();
    seen
}

fn what_is_put_is_read_again_after_a_restart(mut engine: impl Engine) {
    let blocks: Vec<Bytes> = (0..50).map(|i| blob(i, 1 + 137 * i as usize)).collect();
    let hashes = engine.store().put(&blocks, Synced).unwrap();
    for _ in 0..2 {
        for (hash, block) in hashes.iter().zip(&blocks) {
            assert_eq!(*hash, Hash::of(block));
            assert_eq!(engine.store().get(hash).unwrap().as_ref(), Some(block));
        }
        assert_eq!(engine.store().totals().blocks, 50);
        engine.reopen();
    }
}

fn blocks_from_0_bytes_to_the_limit_are_kept(mut engine: impl Engine) {
    let lengths = [0, 1, 31, 32, 1023, 1024, 1025, 262_144, 262_194, 5_000_000, BLOCK_BYTES_MAX];
    let blocks: Vec<Bytes> = lengths.iter().map(|bytes| blob(7, *bytes)).collect();
    let hashes = engine.store().put(&blocks, Synced).unwrap();
    engine.reopen();
    for (hash, block) in hashes.iter().zip(&blocks) {
        assert_eq!(engine.store().get(hash).unwrap().as_ref(), Some(block));
        assert_eq!(engine.store().stat(hash).unwrap().map(|stat| stat.bytes), Some(block.len() as u64));
    }
}

fn a_block_beyond_the_limit_is_refused_and_its_call_stores_nothing(engine: impl Engine) {
    let store = engine.store();
    let blocks = [blob(1, 10), Bytes::from(vec![0; BLOCK_BYTES_MAX + 1])];
    let error = store.put(&blocks, Synced).unwrap_err();
    assert!(matches!(error, StoreError::BlockTooLarge { bytes } if bytes == BLOCK_BYTES_MAX + 1));
    assert_eq!(error.to_string(), "a block of 16777217 bytes is too large, the limit is 16777216 bytes");
    let claimed: Vec<_> = blocks.iter().map(|block| (Hash::of(block), block.clone())).collect();
    assert!(matches!(store.put_expected(&claimed, Synced), Err(StoreError::BlockTooLarge { .. })));
    assert!(hashes(store).is_empty());
}

fn a_block_with_another_hash_is_not_stored(engine: impl Engine) {
    let store = engine.store();
    let (right, wrong) = (blob(1, 100), blob(2, 100));
    let claims = [(Hash::of(&right), right.clone()), (Hash::of(b"other"), wrong.clone())];
    assert_eq!(store.put_expected(&claims, Grouped).unwrap(), [true, false]);
    assert_eq!(store.get(&Hash::of(&right)).unwrap(), Some(right));
    assert_eq!(store.get(&Hash::of(b"other")).unwrap(), None);
    assert_eq!(store.get(&Hash::of(&wrong)).unwrap(), None);
}

fn putting_twice_is_the_same_as_once(mut engine: impl Engine) {
    let block = blob(3, 5000);
    let hash = engine.store().put(&[block.clone(), block.clone()], Grouped).unwrap()[0];
    engine.store().put(std::slice::from_ref(&block), Synced).unwrap();
    engine.reopen();
    engine.store().put(std::slice::from_ref(&block), Synced).unwrap();
    assert_eq!(hashes(engine.store()), BTreeMap::from([(hash, 5000)]));
    assert_eq!(engine.store().totals().blocks, 1);
}

fn a_deleted_block_is_gone_and_can_come_back(mut engine: impl Engine) {
    for block in [blob(4, 10), blob(4, 9000), tree_block()] {
        let hash = engine.store().put(std::slice::from_ref(&block), Synced).unwrap()[0];
        assert!(engine.store().delete(&hash).unwrap());
        assert!(!engine.store().delete(&hash).unwrap());
        assert_eq!(engine.store().get(&hash).unwrap(), None);
        assert_eq!(engine.store().stat(&hash).unwrap(), None);
        assert!(hashes(engine.store()).is_empty());
        engine.reopen();
        assert_eq!(engine.store().get(&hash).unwrap(), None);
        engine.store().put(std::slice::from_ref(&block), Synced).unwrap();
        assert_eq!(engine.store().get(&hash).unwrap(), Some(block));
        assert!(engine.store().delete(&hash).unwrap());
    }
}

fn stat_tells_length_and_links(engine: impl Engine) {
    let store = engine.store();
    let blocks = [blob(5, 0), blob(5, 70_000), tree_block()];
    let hashes = store.put(&blocks, Synced).unwrap();
    let stat = |hash| store.stat(hash).unwrap();
    assert_eq!(stat(&hashes[0]), Some(Stat { bytes: 0, links: false }));
    assert_eq!(stat(&hashes[1]), Some(Stat { bytes: 70_000, links: false }));
    assert_eq!(stat(&hashes[2]), Some(Stat { bytes: blocks[2].len() as u64, links: true }));
    assert_eq!(stat(&Hash::of(b"nobody put this")), None);
}

fn iteration_meets_every_block_once_and_stops_when_told(engine: impl Engine) {
    let store = engine.store();
    let mut blocks: Vec<Bytes> = (0..20).map(|i| blob(i, 3 * i as usize)).collect();
    blocks.push(tree_block());
    store.put(&blocks, Synced).unwrap();
    let expected: BTreeMap<_, _> = blocks.iter().map(|block| (Hash::of(block), block.len() as u64)).collect();
    assert_eq!(hashes(store), expected);
    let mut met = 0;
    let stop_at_5 = &mut |_, _| {
        met += 1;
        if met == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.hashes(stop_at_5).unwrap();
    assert_eq!(met, 5);
}

fn references_are_set_replaced_and_removed_together(mut engine: impl Engine) {
    let [a, b, c] = [b"a", b"b", b"c"].map(|key| Hash::of(key));
    let [one, two] = [b"1", b"2"].map(|value| Hash::of(value));
    engine.store().set_references(&[(a, Some(one)), (b, Some(one))]).unwrap();
    engine.store().set_references(&[(a, Some(two)), (b, None), (c, Some(one))]).unwrap();
    for _ in 0..2 {
        let value = |key| engine.store().reference(key).unwrap();
        assert_eq!([value(&a), value(&b), value(&c)], [Some(two), None, Some(one)]);
        engine.reopen();
    }
}

fn the_later_change_of_a_reference_in_one_call_holds(mut engine: impl Engine) {
    let [a, b] = [b"a", b"b"].map(|key| Hash::of(key));
    let [one, two] = [b"1", b"2"].map(|value| Hash::of(value));
    let changes = [(a, Some(one)), (b, None), (a, Some(two)), (b, Some(one)), (a, None), (a, Some(one))];
    engine.store().set_references(&changes).unwrap();
    engine.reopen();
    assert_eq!(engine.store().reference(&a).unwrap(), Some(one));
    assert_eq!(engine.store().reference(&b).unwrap(), Some(one));
}

fn as_many_references_as_the_limit_are_set_and_one_more_is_refused(mut engine: impl Engine) {
    let mut changes: Vec<_> =
        (0..REFERENCES_MAX as u32).map(|i| (Hash::of(&i.to_le_bytes()), Some(Hash::of(b"value")))).collect();
    engine.store().set_references(&changes).unwrap();
    engine.reopen();
    assert_eq!(references(engine.store()).len(), REFERENCES_MAX);
    changes.push((Hash::of(b"one more"), None));
    let error = engine.store().set_references(&changes).unwrap_err();
    assert!(matches!(error, StoreError::TooManyReferences { count } if count == REFERENCES_MAX + 1));
}

fn references_are_listed_in_the_order_of_their_keys(engine: impl Engine) {
    let store = engine.store();
    let mut changes: Vec<_> = (0..100u8).map(|i| (Hash::of(&[i]), Some(Hash::of(&[i, i])))).collect();
    store.set_references(&changes).unwrap();
    changes.sort();
    let expected: Vec<_> = changes.iter().map(|(key, value)| (*key, value.unwrap())).collect();
    assert_eq!(references(store), expected);
}

fn records_are_set_replaced_and_removed(mut engine: impl Engine) {
    let large = blob(1, RECORD_BYTES_MAX);
    engine.store().set_record("polls", Some(b"one")).unwrap();
    engine.store().set_record("downloads", Some(&large)).unwrap();
    engine.store().set_record("polls", Some(b"")).unwrap();
    engine.store().set_record("gone", Some(b"x")).unwrap();
    engine.store().set_record("gone", None).unwrap();
    engine.reopen();
    assert_eq!(engine.store().record("polls").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(engine.store().record("downloads").unwrap(), Some(large));
    assert_eq!(engine.store().record("gone").unwrap(), None);
}

fn overlong_records_and_names_are_refused(engine: impl Engine) {
    let store = engine.store();
    let too_large = store.set_record("polls", Some(&vec![0; RECORD_BYTES_MAX + 1]));
    assert!(matches!(too_large, Err(StoreError::RecordTooLarge { .. })));
    for name in [String::new(), "x".repeat(256)] {
        assert!(matches!(store.set_record(&name, Some(b"x")), Err(StoreError::RecordName { .. })));
    }
}

fn many_threads_may_write_at_once(mut engine: impl Engine) {
    let acknowledged = AtomicUsize::new(0);
    let store = engine.store();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let acknowledged = &acknowledged;
            scope.spawn(move || {
                for i in 0..20 {
                    // Neighbours write the same blocks.
                    let blocks = [blob(i, 2000), blob(1000 * thread + i, 300)];
                    let durability = if i % 2 == 0 { Synced } else { Grouped };
                    for hash in store.put(&blocks, durability).unwrap() {
                        assert!(store.get(&hash).unwrap().is_some());
                    }
                    store.set_references(&[(Hash::of(&[thread as u8]), Some(Hash::of(&[i as u8])))]).unwrap();
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(acknowledged.into_inner(), 160);
    engine.reopen();
    assert_eq!(hashes(engine.store()).len(), 20 + 8 * 20);
    assert_eq!(references(engine.store()).len(), 8);
}

fn reading_many_keeps_the_order_and_the_gaps(engine: impl Engine) {
    let store = engine.store();
    let blocks: Vec<Bytes> = (0..40).map(|i| blob(i, 1000 + i as usize)).collect();
    let mut asked = store.put(&blocks, Synced).unwrap();
    let mut expected: Vec<_> = blocks.into_iter().map(Some).collect();
    for gap in [0, 11, 11, 42] {
        asked.insert(gap, Hash::of(&[gap as u8]));
        expected.insert(gap, None);
    }
    assert_eq!(store.get_many(&asked).unwrap(), expected);
    assert_eq!(store.get_many(&[]).unwrap(), []);
}

/// One step of a random life of a store. Things are chosen from a few, so that steps meet.
#[derive(Clone, Debug)]
enum Step {
    Put { things: Vec<u8>, synced: bool },
    PutExpected { thing: u8, claimed: u8 },
    Delete { thing: u8 },
    SetReferences { changes: Vec<(u8, Option<u8>)> },
    SetRecord { name: u8, value: Option<u8> },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let thing = || 0..24u8;
    prop_oneof![
        6 => (proptest::collection::vec(thing(), 0..6), any::<bool>())
            .prop_map(|(things, synced)| Step::Put { things, synced }),
        2 => (thing(), thing()).prop_map(|(thing, claimed)| Step::PutExpected { thing, claimed }),
        3 => thing().prop_map(|thing| Step::Delete { thing }),
        3 => proptest::collection::vec((0..6u8, proptest::option::of(thing())), 0..5)
            .prop_map(|changes| Step::SetReferences { changes }),
        1 => (0..3u8, proptest::option::of(any::<u8>())).prop_map(|(name, value)| Step::SetRecord { name, value }),
        1 => Just(Step::Reopen),
    ]
}

/// Thing number `thing`: some small, some with values apart from their keys, some that name others, some large
/// enough to fill volumes.
fn thing(thing: u8) -> Bytes {
    match thing {
        0 => Bytes::new(),
        1..=8 => {
            tree::Tree::Leaf((0..thing).map(|i| Hash::of(&self::thing(9 + i))).collect()).to_bytes().into()
        }
        9..=16 => blob(u64::from(thing), usize::from(thing) * 100),
        _ => blob(u64::from(thing), 700_000),
    }
}

#[derive(Default)]
struct Model {
    blocks: BTreeMap<Hash, Bytes>,
    references: BTreeMap<Hash, Hash>,
    records: BTreeMap<String, Bytes>,
}

fn take(engine: &mut impl Engine, model: &mut Model, step: &Step) {
    let store = engine.store();
    match step {
        Step::Put { things, synced } => {
            let blocks: Vec<Bytes> = things.iter().map(|i| thing(*i)).collect();
            let hashes = store.put(&blocks, if *synced { Synced } else { Grouped }).unwrap();
            model.blocks.extend(hashes.into_iter().zip(blocks));
        }
        Step::PutExpected { thing: i, claimed } => {
            let (block, claimed) = (thing(*i), Hash::of(&thing(*claimed)));
            let fits = store.put_expected(&[(claimed, block.clone())], Grouped).unwrap();
            assert_eq!(fits, [Hash::of(&block) == claimed]);
            if fits[0] {
                model.blocks.insert(claimed, block);
            }
        }
        Step::Delete { thing: i } => {
            let hash = Hash::of(&thing(*i));
            assert_eq!(store.delete(&hash).unwrap(), model.blocks.remove(&hash).is_some());
        }
        Step::SetReferences { changes } => {
            let changes: Vec<_> = changes
                .iter()
                .map(|(key, value)| (Hash::of(&[*key]), value.map(|value| Hash::of(&thing(value)))))
                .collect();
            store.set_references(&changes).unwrap();
            for (key, value) in changes {
                model.references.remove(&key);
                model.references.extend(value.map(|value| (key, value)));
            }
        }
        Step::SetRecord { name, value } => {
            let name = format!("record-{name}");
            let value = value.map(thing_of_record);
            store.set_record(&name, value.as_deref()).unwrap();
            model.records.remove(&name);
            model.records.extend(value.map(|value| (name, value)));
        }
        Step::Reopen => engine.reopen(),
    }
}

fn thing_of_record(value: u8) -> Bytes {
    blob(u64::from(value), usize::from(value) * 9)
}

fn agree(store: &dyn Store, model: &Model) {
    let lengths = model.blocks.iter().map(|(hash, block)| (*hash, block.len() as u64)).collect();
    assert_eq!(hashes(store), lengths);
    for i in 0..24 {
        let hash = Hash::of(&thing(i));
        assert_eq!(store.get(&hash).unwrap().as_ref(), model.blocks.get(&hash));
        assert_eq!(store.stat(&hash).unwrap().is_some(), model.blocks.contains_key(&hash));
    }
    assert_eq!(references(store), model.references.clone().into_iter().collect::<Vec<_>>());
    for name in 0..3u8 {
        let name = format!("record-{name}");
        assert_eq!(store.record(&name).unwrap().as_ref(), model.records.get(&name));
    }
    let roots: Vec<Hash> = (1..=8).map(|i| Hash::of(&thing(i))).collect();
    assert_eq!(walk::missing(store, &roots, 100).unwrap().hashes, absent(model, &roots));
}

/// The absent blocks below `roots`, found the slow way: these trees are one level deep.
fn absent(model: &Model, roots: &[Hash]) -> Vec<Hash> {
    let mut absent = Vec::new();
    for root in roots {
        let named = match model.blocks.get(root) {
            Some(block) => hbs2_core::inspect::links(block),
            None => vec![*root],
        };
        for hash in named {
            if !model.blocks.contains_key(&hash) && !absent.contains(&hash) {
                absent.push(hash);
            }
        }
    }
    absent
}

fn live(mut engine: impl Engine, steps: &[Step]) {
    let mut model = Model::default();
    for step in steps {
        take(&mut engine, &mut model, step);
    }
    agree(engine.store(), &model);
    engine.reopen();
    agree(engine.store(), &model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_random_life_in_memory_agrees_with_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        live(MemoryStore::new(), &steps);
    }

    #[test]
    fn a_random_life_on_disk_agrees_with_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        live(Disk::new(), &steps);
    }
}
