//! `hbs2 store --groupkey` and what reads sealed data again: `cat --keyring`, `metadata dump`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::fs;
use std::path::Path;

use hbs2_testkit::{Home, vectors};
use kit::home;

/// A keyring `NAME.key` with one encryption key; returns the line of its listing with that key.
fn keyring(home: &Home, name: &str) -> String {
    let file = home.join(format!("{name}.key"));
    fs::write(&file, home.line("hbs2 keyring-new -n1").ok().unwrap().stdout).unwrap();
    let listing = home.line("hbs2 keyring-list").arg(&file).ok().unwrap().text();
    listing.lines().find(|line| line.starts_with("pub-key:")).unwrap().to_owned()
}

/// Alice has keys that the index does not know, and a group key `gk` for them.
fn with_group() -> Home {
    let home = home("alice");
    let key = keyring(&home, "kr");
    fs::write(home.join("gk"), home.line("hbs2 groupkey-new").stdin(key).ok().unwrap().stdout).unwrap();
    home
}

fn noise(bytes: u32) -> Vec<u8> {
    (0..bytes.div_ceil(4)).flat_map(|i| i.wrapping_mul(747_796_405).rotate_left(9).to_le_bytes()).collect()
}

/// Makes the keys of `kr.key` known to hbs2-keyman.
fn learn(home: &Home, file: &str) {
    fs::create_dir_all(home.join(".hbs2-keyman/keys")).unwrap();
    fs::copy(home.join(file), home.join(".hbs2-keyman/keys").join(file)).unwrap();
}

#[test]
fn a_file_and_a_pipe_are_sealed_to_the_same_tree_and_come_back() {
    let home = with_group();
    for bytes in [0, 5, 262_144, 262_148, 2_000_000, 12_000_000] {
        let content = noise(bytes);
        fs::write(home.join("file"), &content).unwrap();
        let root = home.line("hbs2 store -g gk -k kr.key file").ok().unwrap().text();
        let piped = home.line("hbs2 store --groupkey gk --keyring kr.key").stdin(content.clone());
        assert_eq!(piped.ok().unwrap().text(), root, "{bytes} bytes");
        let done = home.line(&format!("hbs2 cat --keyring kr.key {root}")).ok().unwrap();
        assert!(done.stdout == content, "{bytes} bytes");
        assert!(fs::read_dir(home.join("tmp")).unwrap().next().is_none(), "a temporary file was left");
    }
}

#[test]
fn the_group_key_is_opened_with_what_keyman_knows_when_no_keyring_is_named() {
    let home = with_group();
    let store = || home.line("hbs2 store --groupkey gk").stdin("for the group");
    let done = store().fails().unwrap();
    assert!(
        done.talk().contains("hbs2: error: no access to group key ") && done.talk().contains("hint: "),
        "{done}"
    );
    let root = home.line("hbs2 store -g gk -k kr.key").stdin("for the group").ok().unwrap().text();
    let done = home.line(&format!("hbs2 cat {root}")).fails().unwrap();
    assert!(done.talk().contains("hbs2: error: no access to group key "), "{done}");
    assert_eq!(done.text(), "");
    learn(&home, "kr.key");
    assert_eq!(store().ok().unwrap().text(), root);
    assert_eq!(home.line(&format!("hbs2 cat {root}")).ok().unwrap().text(), "for the group");
    // A keyring that opens nothing is no obstacle: what keyman knows comes next.
    keyring(&home, "other");
    assert_eq!(home.line(&format!("hbs2 cat -k other.key {root}")).ok().unwrap().text(), "for the group");
    let key = "7uCHXyZG8E9wVeBomdn8vno8ksMpEvWc5mpFDrg9kXYK";
    home.line(&format!("hbs2 store -g gk -P {key}")).stdin("x").fails().unwrap().says("no access").unwrap();
}

#[test]
fn who_is_no_member_reads_nothing() {
    let home = with_group();
    let root = home.line("hbs2 store -g gk -k kr.key").stdin("for the group").ok().unwrap().text();
    keyring(&home, "eve");
    let done = home.line(&format!("hbs2 cat --keyring eve.key {root}")).fails().unwrap();
    assert!(done.talk().contains("error: no access to group key "), "{done}");
    assert_eq!(done.text(), "");
    let key = done.talk().split("group key ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let members = home.line(&format!("hbs2 cat {key}")).ok().unwrap();
    assert!(!members.stdout.is_empty(), "the message names the tree of the group key");
}

#[test]
fn another_group_key_with_the_same_secret_opens_what_was_sealed_before() {
    let home = with_group();
    let root = home.line("hbs2 store -g gk -k kr.key").stdin("old").ok().unwrap().text();
    let bob = keyring(&home, "bob");
    let list = home.line("hbs2 groupkey dump gk").ok().unwrap().text();
    fs::write(home.join("list"), format!("{list}\nmember \"{}\"\n", bob.split_whitespace().nth(1).unwrap()))
        .unwrap();
    let gk2 = home.line("hbs2 groupkey update -D list -k kr.key gk").ok().unwrap().stdout;
    fs::write(home.join("gk2"), gk2).unwrap();
    let new = home.line("hbs2 store -g gk2 -k bob.key").stdin("new").ok().unwrap().text();
    learn(&home, "bob.key");
    home.line(&format!("hbs2 cat {root}")).fails().unwrap().says("no access to group key").unwrap();
    assert_eq!(home.line(&format!("hbs2 cat {new}")).ok().unwrap().text(), "new");
    assert_eq!(home.line(&format!("hbs2 cat {root}")).ok().unwrap().text(), "old", "bob has met the secret");
}

#[test]
fn what_the_original_sealed_is_opened() {
    let home = home("alice");
    let manifest = vectors::json("sealed/store/manifest.json").unwrap();
    let mut opened = 0;
    for vector in manifest["vectors"].as_array().unwrap() {
        let content: &[u8] = match vector["input"].as_str().unwrap() {
            "ascii hello" => b"hello",
            "empty" => b"",
            // Their blocks are longer than a chunk, so `store` does not bring them in as they are.
            _ => continue,
        };
        let dir = vectors::path("sealed/store").join(vector["blocks_dir"].as_str().unwrap());
        for block in fs::read_dir(dir).unwrap() {
            home.line("hbs2 store").arg(block.unwrap().path()).ok().unwrap();
        }
        let keyring = vector["keyring"].as_str().unwrap().replace("../05-groupkeys", "groupkey");
        let call = home
            .line("hbs2 cat --keyring")
            .arg(vectors::path(&keyring))
            .arg(vector["root"].as_str().unwrap());
        assert_eq!(call.ok().unwrap().stdout, content);
        opened += 1;
    }
    assert_eq!(opened, 2);
}

#[test]
fn sealed_metadata_of_the_original_and_ours_is_opened() {
    let home = with_group();
    let manifest = vectors::json("sealed/cli/manifest.json").unwrap();
    let mut opened = 0;
    for vector in manifest["vectors"].as_array().unwrap() {
        let forms = vector["metadata_get_stdout"].as_str().unwrap_or_default();
        if vector["encrypted"] != true || forms.is_empty() {
            continue;
        }
        let dir = vectors::path("sealed/cli").join(vector["blocks_dir"].as_str().unwrap());
        for block in fs::read_dir(dir).unwrap() {
            home.line("hbs2 store").arg(block.unwrap().path()).ok().unwrap();
        }
        let root = vector["root"].as_str().unwrap();
        let reader = vectors::path("sealed/cli/reader.key");
        let text = home.line("hbs2 metadata dump").arg(root).arg("-k").arg(&reader).ok().unwrap().text();
        assert!(text.lines().all(|line| forms.contains(&format!("({line})"))), "{text} in {forms}");
        home.line("hbs2 metadata dump").arg(root).fails().unwrap().says("no access to group key").unwrap();
        opened += 1;
    }
    assert!(opened >= 2);

    let meta = hbs2_core::base58::encode(b"file-name: \"plan.txt\"");
    let store = format!("hbs2 store -g gk -k kr.key --short-meta-base58 {meta}");
    let root = home.line(&store).stdin("the plan").ok().unwrap().text();
    let text = home.line(&format!("hbs2 metadata dump -k kr.key {root}")).ok().unwrap();
    assert_eq!(text.stdout, b"file-name: \"plan.txt\"");
    assert_eq!(home.line(&format!("hbs2 cat -k kr.key {root}")).ok().unwrap().text(), "the plan");
    assert!(!contains(&home.join(".local/share/hbs2"), b"plan.txt"));
}

/// Whether a file under `dir` contains `text`.
fn contains(dir: &Path, text: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            contains(&path, text)
        } else {
            fs::read(&path).unwrap().windows(text.len()).any(|piece| piece == text)
        }
    })
}

#[test]
fn no_plaintext_is_in_the_storage() {
    let home = with_group();
    let content = "the secret plan of alice\n".repeat(60_000);
    let root = home.line("hbs2 store -g gk -k kr.key").stdin(content.clone()).ok().unwrap().text();
    assert!(!contains(&home.join(".local/share/hbs2"), b"secret plan"));
    assert!(home.line(&format!("hbs2 cat -k kr.key {root}")).ok().unwrap().stdout == content.as_bytes());
    home.line("hbs2 store").stdin(content).ok().unwrap();
    assert!(contains(&home.join(".local/share/hbs2"), b"secret plan"), "this test would see it");
}

#[test]
fn a_swapped_and_a_foreign_block_give_what_is_before_them_and_an_error_that_says_which() {
    use hbs2_core::{AnnotatedTree, Decode, Encode, Tree};
    let home = with_group();
    let content = noise(1_000_000);
    let root = home.line("hbs2 store -g gk -k kr.key").stdin(content.clone()).ok().unwrap().text();
    let block = home.line(&format!("hbs2 cat -r {root}")).ok().unwrap().stdout;
    let changed = |change: &dyn Fn(&mut Vec<hbs2_core::Hash>)| {
        let mut tree = AnnotatedTree::from_bytes(&block).unwrap();
        let Tree::Leaf(hashes) = &mut tree.tree else { panic!("the content is short") };
        change(hashes);
        let root = hbs2_core::Hash::of(&tree.to_bytes());
        home.line("hbs2 store").stdin(tree.to_bytes()).ok().unwrap();
        home.line(&format!("hbs2 cat -k kr.key {root}")).fails().unwrap()
    };
    let done = changed(&|hashes| hashes.swap(1, 2));
    assert!(done.stdout == content[..262_144], "{done}");
    assert!(done.talk().contains("stands at place 2 of the tree but was sealed for place 3"), "{done}");
    let done = changed(&|hashes| hashes.swap(0, 3));
    assert!(done.stdout.is_empty() && done.talk().contains("error: cannot open sealed tree "), "{done}");
    let other = home.line("hbs2 store").stdin("not sealed at all").ok().unwrap().text();
    let other = home.line(&format!("hbs2 cat -H {other}")).ok().unwrap().text().parse().unwrap();
    let done = changed(&|hashes| hashes[3] = other);
    assert!(done.stdout == content[..3 * 262_144], "{done}");
    assert!(done.talk().contains("at place 4 does not belong to this tree"), "{done}");
}

#[test]
fn options_for_sealing_need_a_group_key_and_a_false_group_key_is_named() {
    let home = with_group();
    home.line("hbs2 store -k kr.key").stdin("x").fails().unwrap().says("Usage:").unwrap();
    let done = home.line("hbs2 store -g kr.key").stdin("x").fails().unwrap();
    assert!(done.talk().contains("error: kr.key is not a group key"), "{done}");
}
