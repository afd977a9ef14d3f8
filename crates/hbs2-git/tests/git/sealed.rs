//! Encrypted repositories: who reads, who does not, and what members come to see when the group changes.

use std::collections::BTreeSet;
use std::fs;

use hbs2_core::groupkey::Change;
use hbs2_core::{
    AnnotatedTree, Crypt, Decode, EncryptPublicKey, EncryptSecretKey, GroupKey, GroupSecret, Hash, Meta,
    SealedBlock, SignPublicKey,
};
use hbs2_git::link::Link;
use hbs2_git::repo::GroupUpdate;
use hbs2_git::{Error, Repository};
use hbs2_testkit::{noise, vectors};

use crate::world::{Said, Site, World, facts};

/// Numbers of the encryption keys of the people here.
const ALICE: u8 = 11;
const BOB: u8 = 12;
const CAROL: u8 = 13;

const FOLDER: &str = "git3-encrypted";

fn publics(members: &[u8]) -> BTreeSet<EncryptPublicKey> {
    members.iter().map(|number| EncryptSecretKey::from_bytes([*number; 32]).public()).collect()
}

fn once() -> impl FnMut() -> EncryptSecretKey {
    let mut number = 100;
    move || {
        number += 1;
        EncryptSecretKey::from_bytes([number; 32])
    }
}

/// A group key with a secret that is named by a number.
fn group(secret: u8, members: &[u8]) -> GroupKey {
    GroupKey::generate(&GroupSecret::from_bytes([secret; 32]), &publics(members), 1_700_000_000, once())
        .unwrap()
}

fn store(site: &Site<'_>, group: &GroupKey) -> Hash {
    let mut blocks = Vec::new();
    let root = group.build(|_, block| blocks.push(block));
    site.folder().put(&blocks).unwrap();
    root
}

/// Alice with a repository `work` for herself and Bob, and one push.
fn published<'w>(world: &'w World) -> (Site<'w>, SignPublicKey, Hash) {
    let alice = world.site("alice");
    alice.add_member_key(ALICE);
    let group = store(&alice, &group(1, &[ALICE, BOB]));
    let key = alice.new_repo_for("work", Some(group));
    alice.commit("work", "first.txt", "the first secret\n");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    (alice, key, group)
}

/// Somebody with one encryption key, whose peer has everything Alice's has.
fn reader<'w>(world: &'w World, name: &'static str, number: u8) -> Site<'w> {
    let site = world.site(name);
    site.add_member_key(number);
    receive(&site, &world.site("alice"));
    site
}

fn receive(site: &Site<'_>, from: &Site<'_>) {
    site.folder().copy_from(&from.folder()).unwrap();
}

fn clone(site: &Site<'_>, key: SignPublicKey, dir: &str) -> Said {
    site.try_git(".", &["clone", "-q", &format!("hbs23://{key}"), dir])
}

#[track_caller]
fn check_refused(site: &Site<'_>, key: SignPublicKey, group: Hash) {
    let said = clone(site, key, "refused");
    assert!(!said.ok && said.err.contains(&format!("no access to group key {group} ")), "{}", said.err);
    assert!(said.err.contains("hint: only members of the group read this repository"), "{}", said.err);
    assert!(!site.path("refused/.git/objects").exists(), "git leaves nothing of a clone that failed");
}

#[track_caller]
fn check_clone(site: &Site<'_>, key: SignPublicKey, dir: &str, of: &Site<'_>) {
    let said = clone(site, key, dir);
    assert!(said.ok, "{}", said.err);
    site.git(dir, &["fsck", "--full", "--strict"]);
    assert_eq!(site.rev(dir, "HEAD"), of.rev("work", "master"));
}

fn update(site: &Site<'_>, key: SignPublicKey, group: Hash) -> Result<GroupUpdate, Error> {
    site.with_repo(key, Some("work/.git"), |repo| repo.update_group(group))
}

fn look<T>(site: &Site<'_>, key: SignPublicKey, look: impl FnOnce(&Repository<'_>) -> T) -> T {
    site.with_repo(key, None, look)
}

/// The group keys of all sealed segments.
fn seals(site: &Site<'_>, key: SignPublicKey) -> BTreeSet<Hash> {
    let crypt = |tree: &Hash| AnnotatedTree::from_bytes(&block(site, tree)).unwrap().crypt;
    site.segments(key).iter().filter_map(|tree| crypt(tree).group_key().ok()).collect()
}

fn block(site: &Site<'_>, hash: &Hash) -> bytes::Bytes {
    site.folder().get(&[*hash]).unwrap().remove(0).unwrap()
}

#[test]
fn a_storage_of_the_original_is_cloned_by_each_of_its_members() {
    let facts = facts(FOLDER);
    let key: SignPublicKey = facts["lwwref"].as_str().unwrap().parse().unwrap();
    let owner =
        fs::read(vectors::path(FOLDER).join("keys/FXmRcdpqJazTsFFc5BjLRrYPpGmVm3KvWUZBXyfJHAs.key")).unwrap();
    let second = fs::read(vectors::path(FOLDER).join("reader2.key")).unwrap();
    for (name, keyring) in [("owner", owner), ("second", second)] {
        let world = World::new();
        let (original, site) = (world.site("original"), world.site(name));
        vectors::copy(&format!("{FOLDER}/storage"), &original.path("storage")).unwrap();
        receive(&site, &original);
        fs::create_dir_all(site.path("keys")).unwrap();
        fs::write(site.path("keys/reader.key"), keyring).unwrap();

        site.git(".", &["clone", "-q", facts["url"].as_str().unwrap(), "clone"]);
        site.git("clone", &["fsck", "--full", "--strict"]);
        let mut refs = site.ls_remote("clone", "origin");
        let listed = facts["ls_remote"]["stdout"].as_str().unwrap();
        let mut listed: Vec<(String, String)> = listed
            .lines()
            .map(|line| line.split_once('\t').unwrap())
            .map(|(id, name)| (name.into(), id.into()))
            .collect();
        refs.sort();
        listed.sort();
        assert_eq!(refs, listed);
        let bundle = vectors::path(FOLDER).join("repo.bundle");
        site.git(".", &["clone", "-q", "--mirror", bundle.to_str().unwrap(), "bundle"]);
        let all = ["cat-file", "--batch-all-objects", "--batch-check"];
        let (bundle, clone) = (site.git("bundle", &all), site.git("clone", &all));
        let clone: BTreeSet<_> = clone.lines().collect();
        assert!(bundle.lines().all(|object| clone.contains(object)), "{bundle}");

        let group = facts["group_key_hash"].as_str().unwrap();
        assert_eq!(look(&site, key, |repo| repo.group().unwrap()).unwrap().to_string(), group);
        let journal = look(&site, key, |repo| repo.group_journal().unwrap());
        assert_eq!(journal.iter().map(Hash::to_string).collect::<Vec<_>>(), [group]);
        let imported = site.with_repo(key, Some("clone/.git"), |repo| repo.imported_group_journal().unwrap());
        let tree = facts["lww_value_cat_H"].as_str().unwrap().lines().nth(1).unwrap();
        assert_eq!(imported.unwrap().to_string(), tree);
    }
}

#[test]
fn a_storage_of_the_original_names_its_group_key_to_a_stranger() {
    let world = World::new();
    let eve = world.site_of("eve", FOLDER);
    let facts = facts(FOLDER);
    check_refused(
        &eve,
        facts["lwwref"].as_str().unwrap().parse().unwrap(),
        facts["group_key_hash"].as_str().unwrap().parse().unwrap(),
    );
}

#[test]
fn a_repository_of_the_original_is_pushed_to_and_read_by_its_other_member() {
    let world = World::new();
    let facts = facts(FOLDER);
    let key: SignPublicKey = facts["lwwref"].as_str().unwrap().parse().unwrap();
    let owner = world.site_of("owner", FOLDER);
    vectors::copy(&format!("{FOLDER}/keys"), &owner.path("keys")).unwrap();
    owner.git(".", &["clone", "-q", &format!("hbs23://{key}"), "work"]);
    owner.commit("work", "ours.txt", "from another implementation\n");
    owner.git("work", &["push", "-q", "origin", "master"]);
    let other = world.site("other");
    receive(&other, &owner);
    fs::create_dir_all(other.path("keys")).unwrap();
    fs::copy(vectors::path(FOLDER).join("reader2.key"), other.path("keys/reader2.key")).unwrap();
    check_clone(&other, key, "clone", &owner);
    assert_eq!(seals(&owner, key).len(), 1);
}

#[test]
fn what_is_pushed_is_sealed_as_the_original_seals_it() {
    let world = World::new();
    let (alice, key, group) = published(&world);
    alice.commit("work", "second.txt", "the second secret\n");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let secret = GroupSecret::from_bytes([1; 32]);
    let (mut nonces, mut clear) = (BTreeSet::new(), 0);
    for tree in alice.segments(key) {
        let root = AnnotatedTree::from_bytes(&block(&alice, &tree)).unwrap();
        let Crypt::Group1 { key: named, nonce } = root.crypt else {
            // The empty segment that begins the log has nothing to hide.
            assert_eq!((root.crypt, alice.content(&tree).len()), (Crypt::None, 0));
            clear += 1;
            continue;
        };
        assert_eq!((named, nonce.len()), (group, 32));
        assert!(nonces.insert(nonce));
        let Meta::Block(meta) = root.meta else { panic!("{:?}", root.meta) };
        let meta = SealedBlock::from_bytes(&block(&alice, &meta)).unwrap();
        assert_eq!((meta.key, meta.open_meta(&secret)), (group, Ok(String::new())));
    }
    assert_eq!((nonces.len(), clear), (2, 1));
    let manifest = look(&alice, key, |repo| repo.manifest().unwrap());
    assert_eq!(manifest.group().unwrap(), Some(group));
    assert_eq!(look(&alice, key, |repo| repo.group_journal().unwrap()), [group]);
}

#[test]
fn members_clone_and_fetch_and_strangers_are_told_at_once() {
    let world = World::new();
    let (alice, key, group) = published(&world);
    let (bob, carol) = (reader(&world, "bob", BOB), reader(&world, "carol", CAROL));
    check_clone(&bob, key, "clone", &alice);
    let began = std::time::Instant::now();
    check_refused(&carol, key, group);
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    let refs = carol.try_git(".", &["ls-remote", &format!("hbs23://{key}")]);
    assert!(!refs.ok && refs.err.contains("no access to group key"), "{}", refs.err);
    // Without a git directory only the references are looked for.
    let refs = look(&carol, key, |repo| repo.refs());
    assert!(matches!(refs, Err(Error::NoAccess { group: named, .. }) if named == group));

    let tip = alice.commit("work", "second.txt", "more\n");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    receive(&bob, &alice);
    bob.git("clone", &["pull", "-q"]);
    assert_eq!(bob.rev("clone", "HEAD"), tip);
    assert_eq!(look(&bob, key, |repo| repo.refs().unwrap()).existing().count(), 1);
}

#[test]
fn a_stranger_need_not_wait_for_data_that_he_cannot_read() {
    let world = World::new();
    let (_alice, key, group) = published(&world);
    let carol = reader(&world, "carol", CAROL);
    for tree in carol.segments(key) {
        if AnnotatedTree::from_bytes(&block(&carol, &tree)).unwrap().crypt != Crypt::None {
            for chunk in carol.folder().leaves(&tree).unwrap().hashes {
                carol.folder().remove(&chunk).unwrap();
            }
        }
    }
    check_refused(&carol, key, group);
}

#[test]
fn a_large_push_is_sealed_and_leaves_no_plaintext_behind() {
    let world = World::new();
    let (alice, key, _) = published(&world);
    for part in 0..3 {
        alice.commit("work", &format!("noise-{part}.bin"), noise(part, 5_000_000));
    }
    alice.git("work", &["config", "hbs2.segment", "6000000"]);
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let sealed = alice.segments(key).len();
    assert!(sealed >= 4, "the empty one, the first push, two that streamed: {sealed}");
    let bob = reader(&world, "bob", BOB);
    check_clone(&bob, key, "clone", &alice);
    for hash in alice.folder().blocks().unwrap() {
        let block = block(&alice, &hash);
        assert!(block.len() < 50 || !block.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), "{hash} is a zstd frame");
    }
    let state = alice.path(&format!("work/.git/hbs2/{key}"));
    let reflog = look(&alice, key, |repo| repo.reflog().unwrap()).to_string();
    for entry in fs::read_dir(state.join(reflog)).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().starts_with("spool"), "{name:?}");
    }
}

#[test]
fn a_new_member_reads_all_that_was_written_before() {
    let world = World::new();
    let (alice, key, first) = published(&world);
    let carol = reader(&world, "carol", CAROL);
    check_refused(&carol, key, first);

    let second = store(&alice, &group(2, &[ALICE, BOB, CAROL]));
    let updated = update(&alice, key, second).unwrap();
    let id = |number| Some(GroupSecret::from_bytes([number; 32]).id());
    assert_eq!(updated.known, [(first, id(1))]);
    assert_eq!((updated.added.len(), updated.added[0]), (2, second));
    let wrapped = updated.added[1];
    let get = |hash: &Hash| alice.folder().get(&[*hash]).map(|mut found| found.remove(0));
    let key_of_carol = GroupKey::load(wrapped, get).unwrap();
    assert_eq!((key_of_carol.id(), key_of_carol.members()), (id(1), publics(&[CAROL]).into_iter().collect()));
    let mut journal = vec![first, second, wrapped];
    journal.sort();
    assert_eq!(look(&alice, key, |repo| repo.group_journal().unwrap()), journal);
    assert_eq!(look(&alice, key, |repo| repo.group().unwrap()), Some(second));
    let manifest = look(&alice, key, |repo| repo.manifest().unwrap()).to_text();
    assert!(manifest.ends_with(&format!("\n(gk {second})")) && manifest.matches("(gk").count() == 1);

    receive(&carol, &alice);
    check_clone(&carol, key, "before", &alice);
    alice.commit("work", "second.txt", "for three\n");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    assert_eq!(seals(&alice, key), BTreeSet::from([first, second]));
    let bob = reader(&world, "bob", BOB);
    receive(&carol, &alice);
    check_clone(&bob, key, "clone", &alice);
    check_clone(&carol, key, "after", &alice);
    carol.git("before", &["pull", "-q"]);

    let again = update(&alice, key, second).unwrap();
    assert_eq!((again.known.len(), again.added.len()), (3, 0), "nothing is left to be done");
}

#[test]
fn a_member_who_was_removed_reads_nothing_that_comes_after() {
    let world = World::new();
    let (alice, key, _) = published(&world);
    let bob = reader(&world, "bob", BOB);
    check_clone(&bob, key, "clone", &alice);
    let before = bob.rev("clone", "HEAD");

    let second = store(&alice, &group(2, &[ALICE, CAROL]));
    let updated = update(&alice, key, second).unwrap();
    assert_eq!(updated.added.len(), 2);
    receive(&bob, &alice);
    bob.git("clone", &["fetch", "-q"]);
    alice.commit("work", "second.txt", "not for bob\n");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    receive(&bob, &alice);
    let said = bob.try_git("clone", &["fetch"]);
    assert!(!said.ok && said.err.contains(&format!("no access to group key {second} ")), "{}", said.err);
    assert_eq!(bob.rev("clone", "origin/master"), before);
    check_refused(&bob, key, second);
    let carol = reader(&world, "carol", CAROL);
    check_clone(&carol, key, "clone", &alice);
}

#[test]
fn a_group_key_that_would_keep_nobody_out_is_refused() {
    let world = World::new();
    let (alice, key, first) = published(&world);
    let secret = GroupSecret::from_bytes([1; 32]);
    let changed = |change| group(1, &[ALICE, BOB]).update(&secret, &change, 1_700_000_001, once()).unwrap();
    let without_bob = Change { add: BTreeSet::new(), remove: publics(&[BOB]) };
    let narrow = store(&alice, &changed(without_bob));
    let bob = EncryptSecretKey::from_bytes([BOB; 32]).public();
    let refused = update(&alice, key, narrow);
    assert!(
        matches!(&refused, Err(Error::SameSecret { group, same, member }) if (*group, *same, *member) == (narrow, first, bob)),
        "{refused:?}"
    );
    assert_eq!(look(&alice, key, |repo| repo.group().unwrap()), Some(first));
    // Adding somebody to the same secret keeps nobody out either, and nobody expects it to.
    let with_carol = Change { add: publics(&[CAROL]), remove: BTreeSet::new() };
    let wide = store(&alice, &changed(with_carol));
    assert_eq!(update(&alice, key, wide).unwrap().added, [wide]);
    let carol = reader(&world, "carol", CAROL);
    check_clone(&carol, key, "clone", &alice);
}

#[test]
fn a_repository_in_the_clear_becomes_an_encrypted_one() {
    let world = World::new();
    let alice = world.site("alice");
    alice.add_member_key(ALICE);
    let key = alice.new_repo("work");
    alice.commit("work", "open.txt", "for everybody\n");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    assert_eq!(look(&alice, key, |repo| repo.group_journal().unwrap()), []);
    assert_eq!(look(&alice, key, |repo| repo.group().unwrap()), None);
    let first = store(&alice, &group(1, &[ALICE]));
    let updated = update(&alice, key, first).unwrap();
    assert_eq!((updated.known.len(), updated.added), (0, vec![first]));
    let carol = reader(&world, "carol", CAROL);
    check_clone(&carol, key, "clone", &alice);
    alice.commit("work", "closed.txt", "for alice\n");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    receive(&carol, &alice);
    check_refused(&carol, key, first);
}

#[test]
fn extra_keys_give_access_and_leave_the_seal_as_it_is() {
    let world = World::new();
    let (alice, key, first) = published(&world);
    let absent = Hash::of(b"no group key");
    let refused = look(&alice, key, |repo| repo.add_group_keys(&[absent]));
    assert_eq!(refused.unwrap_err().to_string(), format!("no group key {absent}"));
    let extra = store(&alice, &group(1, &[CAROL]));
    look(&alice, key, |repo| repo.add_group_keys(&[extra, first])).unwrap();
    let head = look(&alice, key, |repo| repo.head().unwrap());
    look(&alice, key, |repo| repo.add_group_keys(&[extra])).unwrap();
    assert_eq!(look(&alice, key, |repo| repo.head().unwrap()), head, "nothing new, nothing published");
    assert_eq!(look(&alice, key, |repo| repo.group_journal().unwrap()).len(), 2);
    assert_eq!(look(&alice, key, |repo| repo.group().unwrap()), Some(first));
    let carol = reader(&world, "carol", CAROL);
    check_clone(&carol, key, "clone", &alice);
}

#[test]
fn only_an_owner_who_is_a_member_changes_the_group() {
    let world = World::new();
    let (alice, key, first) = published(&world);
    let bob = reader(&world, "bob", BOB);
    let second = store(&bob, &group(2, &[BOB]));
    for refused in [
        look(&bob, key, |repo| repo.update_group(second).map(drop)),
        look(&bob, key, |repo| repo.add_group_keys(&[second])),
    ] {
        assert!(matches!(refused, Err(Error::NoSecretKey { .. })), "{refused:?}");
    }
    let foreign = store(&alice, &group(3, &[BOB, CAROL]));
    let refused = update(&alice, key, foreign).unwrap_err();
    assert_eq!(refused.to_string(), format!("no access to group key {foreign}"));
    let absent = Hash::of(b"no group key");
    assert!(matches!(update(&alice, key, absent), Err(Error::NoGroupKey { group }) if group == absent));
    assert_eq!(look(&alice, key, |repo| repo.group().unwrap()), Some(first));
    for refused in [foreign, absent] {
        let mut init = alice.command("git-remote-hbs23", "new");
        let said = crate::world::said(init.args(["init", &refused.to_string()]).output().unwrap());
        assert!(!said.ok && said.err.contains(&refused.to_string()), "{}", said.err);
        assert!(!alice.path("new/.git").exists(), "nothing was made");
    }
}

#[test]
fn the_journal_is_remembered_for_other_programs_and_helps_where_it_is_not() {
    let world = World::new();
    let (alice, key, _) = published(&world);
    let second = store(&alice, &group(2, &[ALICE, CAROL]));
    update(&alice, key, second).unwrap();
    let carol = reader(&world, "carol", CAROL);
    check_clone(&carol, key, "clone", &alice);
    let tracked = fs::read_to_string(carol.path("keys/tracked")).unwrap();
    let journal = look(&carol, key, |repo| repo.group_journal().unwrap());
    assert_eq!((journal.len(), tracked.lines().count()), (3, 3));
    assert!(journal.iter().all(|group| tracked.contains(&group.to_string())));
    carol.git("clone", &["fetch", "-q"]);
    assert_eq!(fs::read_to_string(carol.path("keys/tracked")).unwrap(), tracked, "once is enough");
}

#[test]
fn a_manifest_with_a_broken_group_key_never_makes_us_write_in_the_clear() {
    let world = World::new();
    let (alice, key, _) = published(&world);
    let value = look(&alice, key, |repo| repo.head().unwrap()).unwrap().value;
    let text = look(&alice, key, |repo| repo.manifest().unwrap()).to_text();
    let broken = text.replace("(gk ", "(gk 0");
    let blocks = hbs2_git::manifest::annotated(broken.as_bytes());
    let root = blocks.last().unwrap().0;
    alice.folder().put(&blocks.into_iter().map(|(_, block)| block).collect::<Vec<_>>()).unwrap();
    let (_, journal) = hbs2_git::manifest::read_value(&block(&alice, &value)).unwrap();
    alice.set_value(key, hbs2_git::manifest::value_block(&root, journal.as_ref()).1.to_vec());
    alice.commit("work", "second.txt", "still a secret\n");
    let said = alice.try_git("work", &["push", "hbs", "master"]);
    assert!(!said.ok && said.err.contains("clause (gk "), "{}", said.err);
}

#[test]
fn blocks_that_were_changed_or_swapped_are_named_and_nothing_is_imported() {
    let world = World::new();
    let (alice, key, _) = published(&world);
    alice.commit("work", "noise.bin", noise(0, 700_000));
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let bob = reader(&world, "bob", BOB);
    let large = |tree: &Hash| bob.folder().leaves(tree).unwrap().hashes.len();
    let tree = bob.segments(key).into_iter().max_by_key(large).unwrap();
    let chunks = bob.folder().leaves(&tree).unwrap().hashes;
    assert!(chunks.len() >= 2, "{} blocks", chunks.len());
    let path = |hash: &Hash| {
        let name = hash.to_string();
        bob.path("storage/blocks").join(&name[..1]).join(&name[1..])
    };
    let (first, second) = (fs::read(path(&chunks[0])).unwrap(), fs::read(path(&chunks[1])).unwrap());
    for (content, words) in [
        (second, format!("block {} was cut or changed", chunks[0])),
        (first[..first.len() - 1].to_vec(), format!("block {} was cut or changed", chunks[0])),
    ] {
        fs::write(path(&chunks[0]), content).unwrap();
        let said = clone(&bob, key, "clone");
        assert!(!said.ok && said.err.contains(&words), "{}", said.err);
        assert!(said.err.contains("its content does not open"), "{}", said.err);
    }
    fs::write(path(&chunks[0]), first).unwrap();
    check_clone(&bob, key, "clone", &alice);
}
