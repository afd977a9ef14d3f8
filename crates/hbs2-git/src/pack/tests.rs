//! Packs and indexes as git sees them.

use std::process::Command;

use proptest::prelude::*;

use super::*;

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .args(args)
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn objects(contents: &[Vec<u8>]) -> Vec<PackObject<'_>> {
    let mut seen = std::collections::BTreeSet::new();
    let object =
        |content| PackObject { id: ObjectId::of(ObjectKind::Blob, content), kind: ObjectKind::Blob, content };
    contents.iter().map(|content| object(content)).filter(|object| seen.insert(object.id)).collect()
}

/// Writes the batches, lets git verify them and gives back what git reads.
fn check(batches: &[Vec<Vec<u8>>]) {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "--bare", "."]);
    let mut writer = PackWriter::new(&dir.path().join("objects"));
    let mut encoder = BatchEncoder::default();
    let mut seen = std::collections::BTreeSet::new();
    for batch in batches {
        let objects: Vec<_> = objects(batch).into_iter().filter(|object| seen.insert(object.id)).collect();
        writer.append(&encoder.encode(objects)).unwrap();
    }
    let packs = writer.finish().unwrap();
    assert_eq!(packs, usize::from(!seen.is_empty()));
    for file in fs::read_dir(dir.path().join("objects/pack")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with("pack-"), "{name} is left over");
        if let Some(stem) = name.strip_suffix(".pack") {
            git(dir.path(), &["index-pack", "--verify", &format!("objects/pack/{stem}.pack")]);
        }
    }
    git(dir.path(), &["fsck", "--full"]);
    let listed = git(dir.path(), &["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]);
    assert_eq!(listed.lines().count(), seen.len());
}

#[test]
fn git_accepts_packs_with_and_without_deltas() {
    let base: Vec<u8> =
        (0..50_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
    let version = |i: usize| {
        let mut content = base.clone();
        content[i * 100..i * 100 + 9].copy_from_slice(b"a version");
        content
    };
    let versions: Vec<_> = (0..120).map(version).collect();
    check(&[versions, vec![vec![], b"x".to_vec(), vec![7; 300_000]], vec![], vec![base]]);
}

#[test]
fn no_objects_make_no_pack() {
    check(&[]);
    check(&[vec![]]);
}

#[test]
fn an_abandoned_writer_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = PackWriter::new(dir.path());
    let content = vec![b"x".to_vec()];
    writer.append(&BatchEncoder::default().encode(objects(&content))).unwrap();
    drop(writer);
    assert_eq!(fs::read_dir(dir.path().join("pack")).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn git_reads_any_objects(batches in prop::collection::vec(prop::collection::vec(prop::collection::vec(0u8..3, 0..400), 0..12), 0..4)) {
        check(&batches);
    }
}
