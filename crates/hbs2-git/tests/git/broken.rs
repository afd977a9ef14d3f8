//! Segments that are not what they should be: a clear error, and nothing half-written.

use std::fs;

use hbs2_git::object::{ObjectId, ObjectKind};
use hbs2_git::segment::{RecordKind, write_record};

use crate::world::{Site, World};

const BLOB: RecordKind = RecordKind::Object(ObjectKind::Blob);

fn compress(records: &[u8]) -> Vec<u8> {
    zstd::encode_all(records, 3).unwrap()
}

/// A repository with a good push and then a segment with this content and a checkpoint over it. A clone must
/// fail with the words and leave no pack behind, and the error names the transaction and the segment.
fn check(content: &[u8], words: &str) {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let (transaction, tree) = alice.post_content(key, content);
    alice.git("clone", &["init", "-q"]);
    let said = alice.try_git("clone", &["fetch", &format!("hbs23://{key}")]);
    assert!(!said.ok && said.err.contains(words), "{}", said.err);
    assert!(said.err.contains(&format!("segment {tree} of transaction {transaction}")), "{}", said.err);
    assert_eq!(packs(&alice, "clone"), 0);
}

fn packs(site: &Site<'_>, dir: &str) -> usize {
    fs::read_dir(site.path(dir).join(".git/objects/pack")).map_or(0, Iterator::count)
}

#[test]
fn a_wrong_object_id_is_refused() {
    let mut records = Vec::new();
    let id = ObjectId::of(ObjectKind::Blob, b"good");
    write_record(&mut records, id, BLOB, b"evil");
    check(&compress(&records), &format!("the blob named {id} has the id"));
}

#[test]
fn a_blob_recorded_as_a_commit_is_refused() {
    let mut records = Vec::new();
    let id = ObjectId::of(ObjectKind::Blob, b"good");
    write_record(&mut records, id, RecordKind::Object(ObjectKind::Commit), b"good");
    check(&compress(&records), &format!("the commit named {id} has the id"));
}

#[test]
fn a_truncated_record_is_refused() {
    let mut records = Vec::new();
    let id = ObjectId::of(ObjectKind::Blob, b"good");
    write_record(&mut records, id, BLOB, b"good");
    check(&compress(&records[..records.len() - 1]), &format!("it ends within object {id}, 1 bytes short"));
    check(&compress(&records[..10]), "it ends within the head of record 0");
    check(&compress(&[0, 0, 0, 1, 2, 3]), "malformed segment");
}

#[test]
fn content_that_is_not_zstd_or_cut_off_is_refused() {
    check(b"this is no zstd frame", "its content cannot be decompressed");
    let whole = compress(&vec![7; 100_000]);
    check(&whole[..whole.len() / 2], "its content cannot be decompressed");
}

#[test]
fn a_broken_reference_line_is_refused() {
    let mut records = Vec::new();
    let value = b"soon master\n";
    write_record(&mut records, ObjectId::of(ObjectKind::Blob, value), RecordKind::Refs, value);
    check(&compress(&records), "has the line \"soon master\"");
}

#[test]
fn empty_segments_several_frames_unknown_letters_and_repeated_objects_are_fine() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let mut records = Vec::new();
    let id = ObjectId::of(ObjectKind::Blob, b"letter");
    write_record(&mut records, id, BLOB, b"letter");
    records[24] = b'z';
    let again = records.clone();
    records.extend_from_slice(&again);
    let frames = [compress(&records[..40]), compress(&records[40..]), compress(b"")].concat();
    alice.post_content(key, &frames);
    alice.post_content(key, &compress(b""));
    alice.post_content(key, b"");
    alice.git(".", &["clone", "-q", &format!("hbs23://{key}"), "clone"]);
    assert_eq!(alice.git("clone", &["cat-file", "-p", &id.to_string()]), "letter");
    alice.git("clone", &["fsck", "--full"]);
}

#[test]
fn a_missing_block_is_named_within_the_limit() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let segment = alice.last_segment(key);
    let chunk = hbs2_git::Link::leaves(&alice.folder(), &segment).unwrap().hashes[0];
    alice.folder().remove(&chunk).unwrap();
    let said = alice.try_git(".", &["clone", &format!("hbs23://{key}"), "clone"]);
    assert!(!said.ok && said.err.contains(&format!("block {chunk} of checkpoint")), "{}", said.err);
    assert!(said.err.contains("hint: "), "{}", said.err);
}

#[test]
fn a_repository_nobody_has_is_named_within_the_limit() {
    let world = World::new();
    let alice = world.site("alice");
    let key = "CRciezyozQDQjbNbjc77eQHbXugELveRhCTDWmWpenV6";
    let said = alice.try_git(".", &["clone", &format!("hbs23://{key}"), "clone"]);
    assert!(!said.ok && said.err.contains(&format!("repository {key} has no value here")), "{}", said.err);
    let said = alice.try_git(".", &["clone", "hbs23://nonsense", "clone"]);
    assert!(!said.ok && said.err.contains("nonsense"), "{}", said.err);
}

#[test]
fn foreign_and_forged_transactions_are_left_out() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    let head = alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    alice.insert_forged(key);
    let refs = alice.ls_remote("nowhere", &format!("hbs23://{key}"));
    assert_eq!(refs.len(), 2);
    assert!(refs.iter().all(|(_, id)| *id == head));
}

#[test]
fn a_value_of_neither_generation_is_refused() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_remote(None);
    alice.set_value(key, b"something else".to_vec());
    let said = alice.try_git(".", &["clone", &format!("hbs2://{key}"), "clone"]);
    assert!(!said.ok && said.err.contains("is not a list of a manifest and a journal"), "{}", said.err);
}
