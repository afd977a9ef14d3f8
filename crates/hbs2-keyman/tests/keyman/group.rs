//! Secrets of group keys: with our own keys, and through other group keys of the same secret.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;

use bytes::Bytes;
use hbs2_core::groupkey::{GroupKey, GroupKeyError, GroupSecret, LoadError};
use hbs2_core::{EncryptSecretKey, Hash};
use hbs2_keyman::{GroupSecretError, KeyIndex, KeymanError, Vanished};
use hbs2_testkit::vectors;

use crate::home::{Home, keyring};

/// Blocks in memory.
#[derive(Default)]
struct Blocks(BTreeMap<Hash, Bytes>);

impl Blocks {
    fn add(&mut self, group: &GroupKey) -> Hash {
        group.build(|hash, block| drop(self.0.insert(hash, block)))
    }

    fn get(&self, hash: &Hash) -> Result<Option<Bytes>, Infallible> {
        Ok(self.0.get(hash).cloned())
    }

    fn find(&self, index: &KeyIndex, root: &Hash) -> Result<GroupSecret, GroupSecretError<Infallible>> {
        index.find_group_secret(root, |hash| self.get(hash)).map(|found| found.secret)
    }
}

fn secret(byte: u8) -> GroupSecret {
    GroupSecret::from_bytes([byte; 32])
}

/// A group of the owners of the keyrings that grow from these seeds.
fn group(secret: &GroupSecret, seeds: &[u8]) -> GroupKey {
    let members: BTreeSet<_> = seeds.iter().map(|seed| keyring(*seed).encrypt[0].public()).collect();
    let mut last = 100;
    let once = || {
        last += 1;
        EncryptSecretKey::from_bytes([last; 32])
    };
    GroupKey::generate(secret, &members, 1_700_000_000, once).unwrap()
}

fn home_with(seeds: &[u8]) -> Home {
    let home = Home::with_config("key-files ~/*.key");
    for seed in seeds {
        home.key(&format!("{seed}.key"), *seed);
    }
    home
}

#[test]
fn the_key_of_any_member_opens_what_the_original_made() {
    for members in ["1", "2", "33"] {
        let home = Home::with_config("key-files ~/*.key");
        home.write("a.key", &vectors::bytes(&format!("groupkey/members-{members}.key")).unwrap());
        for made in ["from-keys", "gen"] {
            let text = vectors::bytes(&format!("groupkey/{made}-{members}.gk")).unwrap();
            let group = GroupKey::parse(std::str::from_utf8(&text).unwrap()).unwrap();
            let found = home.index().open_group_key(&group).unwrap().unwrap();
            assert_eq!(Some(found.secret.id()), group.id());
            assert_eq!(found.file, home.path().join("a.key"));
            let mut blocks = Blocks::default();
            let root = blocks.add(&group);
            assert_eq!(blocks.find(&home.index(), &root).unwrap(), found.secret);
        }
    }
}

#[test]
fn the_heaviest_key_is_used_first() {
    let home = home_with(&[1, 2, 3]);
    let index = home.index();
    let group = group(&secret(5), &[1, 2, 3]);
    assert_eq!(index.members_held(&group).unwrap(), [], "nobody has looked at the files yet");
    let used = || index.open_group_key(&group).unwrap().unwrap().file;
    assert_eq!(used(), home.path().join("1.key"));
    for seed in [2, 3] {
        index.set_weight(keyring(seed).encrypt[0].public().as_bytes(), i64::from(seed)).unwrap();
        assert_eq!(used(), home.path().join(format!("{seed}.key")));
        assert_eq!(index.members_held(&group).unwrap()[0], keyring(seed).encrypt[0].public());
    }
    assert_eq!(index.members_held(&group).unwrap().len(), 3);
}

#[test]
fn an_outsider_has_no_access_and_is_told_which_group_key() {
    let home = home_with(&[9]);
    let mut blocks = Blocks::default();
    let group = group(&secret(5), &[1, 2]);
    let root = blocks.add(&group);
    let error = blocks.find(&home.index(), &root).unwrap_err();
    assert!(matches!(error, GroupSecretError::NoAccess { root: of } if of == root));
    assert_eq!(error.to_string(), format!("no access to group key {root}"));
    assert!(home.index().open_group_key(&group).unwrap().is_none());
    assert_eq!(home.index().members_held(&group).unwrap(), []);
}

#[test]
fn a_tracked_group_key_with_the_same_id_gives_access() {
    let home = home_with(&[2]);
    let mut blocks = Blocks::default();
    let (first, second) = (group(&secret(5), &[1]), group(&secret(5), &[2]));
    let (root, wrapped) = (blocks.add(&first), blocks.add(&second));
    let index = home.index();
    assert!(blocks.find(&index, &root).is_err());
    let id = index.group_key_id(&second).unwrap().unwrap();
    assert_eq!(index.track(&[(root, id), (wrapped, id)]).unwrap(), 2);
    assert_eq!(index.track(&[(root, id), (wrapped, id)]).unwrap(), 0);
    assert_eq!(blocks.find(&index, &root).unwrap(), secret(5));
    assert_eq!(index.tracked(&id).unwrap(), [wrapped, root]);
    assert_eq!(index.tracked_id(&root).unwrap(), Some(id));
    assert_eq!(index.tracked_id(&Hash::of(b"other")).unwrap(), None);
    // Its blocks may be gone: what is tracked says which others have the secret.
    blocks.0.remove(&root);
    assert_eq!(blocks.find(&index, &root).unwrap(), secret(5));
}

#[test]
fn a_group_key_that_lies_about_its_id_gives_nothing() {
    let home = home_with(&[2]);
    let mut blocks = Blocks::default();
    let root = blocks.add(&group(&secret(5), &[1]));
    let foreign = blocks.add(&group(&secret(6), &[2]));
    let index = home.index();
    index.track(&[(foreign, secret(5).id())]).unwrap();
    assert!(matches!(blocks.find(&index, &root), Err(GroupSecretError::NoAccess { .. })));
}

#[test]
fn an_old_group_key_without_id_is_tracked_by_the_id_of_its_secret() {
    let new = group(&secret(5), &[1]);
    let plain = {
        use hbs2_core::{Decode, Encode};
        let bytes = new.to_bytes();
        GroupKey::from_bytes(&bytes[..bytes.len() - 48]).unwrap()
    };
    assert_eq!(plain.id(), None);
    let (member, outsider) = (home_with(&[1]), home_with(&[9]));
    assert_eq!(member.index().group_key_id(&plain).unwrap(), new.id());
    assert_eq!(outsider.index().group_key_id(&plain).unwrap(), None);
    assert_eq!(outsider.index().group_key_id(&new).unwrap(), new.id());
    let mut blocks = Blocks::default();
    let root = blocks.add(&plain);
    let track = |home: &Home| home.index().track_group_key(&root, |hash| blocks.get(hash));
    assert_eq!(Some(track(&member).unwrap()), new.id());
    assert_eq!(member.index().tracked_id(&root).unwrap(), new.id());
    assert!(matches!(track(&outsider), Err(GroupSecretError::NoAccess { root: of }) if of == root));
}

#[test]
fn a_key_file_that_came_since_the_last_look_is_found() {
    let home = home_with(&[9]);
    let mut blocks = Blocks::default();
    let root = blocks.add(&group(&secret(5), &[1]));
    let index = home.index();
    assert!(blocks.find(&index, &root).is_err());
    home.key("1.key", 1);
    assert_eq!(blocks.find(&index, &root).unwrap(), secret(5));
}

#[test]
fn trouble_with_a_members_key_is_told_instead_of_no_access() {
    let home = home_with(&[1]);
    let index = home.index();
    index.update(Vanished::Keep).unwrap();
    let mut blocks = Blocks::default();
    let group = group(&secret(5), &[1, 2]);
    let root = blocks.add(&group);
    fs::remove_file(home.path().join("1.key")).unwrap();
    let error = blocks.find(&index, &root).unwrap_err();
    assert!(matches!(&error, GroupSecretError::Keyman(KeymanError::Vanished { .. })), "{error}");
    assert!(matches!(index.open_group_key(&group), Err(KeymanError::Vanished { .. })));
    // Another member's key of ours makes up for it.
    home.key("2.key", 2);
    assert_eq!(blocks.find(&index, &root).unwrap(), secret(5));
}

#[test]
fn a_box_that_does_not_open_is_told_with_the_key_file() {
    let home = home_with(&[1]);
    let damaged = {
        use hbs2_core::{Decode, Encode};
        let mut bytes = group(&secret(5), &[1]).to_bytes();
        // Within the only box, whose last byte is before the last two items.
        let at = bytes.len() - 50;
        bytes[at] ^= 1;
        GroupKey::from_bytes(&bytes).unwrap()
    };
    let mut blocks = Blocks::default();
    let root = blocks.add(&damaged);
    match blocks.find(&home.index(), &root) {
        Err(GroupSecretError::Keyman(KeymanError::GroupKey { file, source })) => {
            assert_eq!(file, home.path().join("1.key"));
            assert!(matches!(source, GroupKeyError::Box { .. }), "{source}");
        }
        other => panic!("{other:?}"),
    }
    // A whole one of the same id does.
    let index = home.index();
    let whole = blocks.add(&group(&secret(5), &[1]));
    index.track(&[(whole, secret(5).id())]).unwrap();
    assert_eq!(blocks.find(&index, &root).unwrap(), secret(5));
}

#[test]
fn a_group_key_that_is_not_here_and_a_failing_store_are_told_apart() {
    let home = home_with(&[1]);
    let index = home.index();
    let root = Hash::of(b"absent");
    let error = Blocks::default().find(&index, &root).unwrap_err();
    assert!(matches!(error, GroupSecretError::Load(LoadError::Tree { root: of, .. }) if of == root));
    let failing = index.find_group_secret(&root, |_| Err("gone")).unwrap_err();
    assert!(failing.to_string().contains(&root.to_string()), "{failing}");
    let no_group = Bytes::from_static(b"no tree at all");
    let other =
        index.find_group_secret(&Hash::of(&no_group), |_| Ok::<_, Infallible>(Some(no_group.clone())));
    assert!(matches!(other, Err(GroupSecretError::Load(_))));
}
