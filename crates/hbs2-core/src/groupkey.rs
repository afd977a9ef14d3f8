//! Group keys: one secret, sealed for each member of a group (docs/spec/groupkey.md).
//!
//! A group key is public: it says who the members are and holds the secret in one sealed box for each. A member
//! opens his box and has the [`GroupSecret`]; everybody else has nothing. Members are added by sealing the same
//! secret for them; a member who goes keeps what he has, so what is written later takes a new secret.
//!
//! Secrets, one-time keys and the time are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::base58::Base58Error;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::key::{EncryptPublicKey, EncryptSecretKey};
use crate::limits::{GROUP_KEY_BYTES_MAX, GROUP_MEMBERS_MAX};
use crate::tree::build::build_data;
use crate::tree::walk::{self, WalkError};
use crate::{Hash, armour, nacl, order};

mod secret;

pub use secret::{GroupKeyId, GroupSecret};

/// Comment at the head of a group key file.
const HEAD: &str = "# hbs2 symmetric group key file v2\n";

/// How ids are made. There is one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// [`GroupSecret::id`].
    Basic1,
}

/// A secret sealed for the members of a group: three CBOR items in a row, `[0, {key: [0, box]}]`, `2` and
/// `[Maybe scheme, Maybe id, Maybe seconds]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupKey {
    members: BTreeMap<EncryptPublicKey, Vec<u8>>,
    scheme: Option<Scheme>,
    id: Option<GroupKeyId>,
    seconds: Option<u64>,
}

/// Who comes into a group and who goes. A key in both comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Members to add.
    pub add: BTreeSet<EncryptPublicKey>,
    /// Members to remove; whoever is none already is no error.
    pub remove: BTreeSet<EncryptPublicKey>,
}

/// Why a group key cannot be read, made or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupKeyError {
    /// The text after the comment is not base58.
    #[error("cannot read the text of the group key")]
    Text {
        /// Where base58 ended.
        source: Base58Error,
    },
    /// The bytes are no group key.
    #[error("cannot read the group key")]
    Value {
        /// Where the CBOR went wrong.
        source: DecodeError,
    },
    /// The bytes are a group key of the asymmetric kind that was given up.
    #[error("the group key is of the old asymmetric kind, which nobody reads any more: make a new one")]
    Asymmetric,
    /// A group without members: nobody could ever open it.
    #[error("a group key needs at least one member")]
    NoMembers,
    /// More members than a group key may have.
    #[error("{count} members are more than the {GROUP_MEMBERS_MAX} that a group key may have")]
    TooManyMembers {
        /// How many there are.
        count: usize,
    },
    /// The key of a member is one for which nothing can be sealed.
    #[error("nothing can be sealed for the weak key of member {member}")]
    WeakMember {
        /// The member.
        member: EncryptPublicKey,
    },
    /// None of the keys we have is a member's.
    #[error("no key of ours is a member of the group")]
    NotMember,
    /// The sealed box of a member does not open with the member's key.
    #[error("the box of member {member} was not sealed for him, or was changed")]
    Box {
        /// The member.
        member: EncryptPublicKey,
    },
    /// The sealed box of a member opens, but holds no secret.
    #[error("the box of member {member} holds no group secret")]
    Secret {
        /// The member.
        member: EncryptPublicKey,
        /// Where its CBOR went wrong.
        source: DecodeError,
    },
    /// The secret is not the one whose id the group key states.
    #[error("the secret has id {found} where the group key states {stated}")]
    Id {
        /// The id in the group key.
        stated: GroupKeyId,
        /// The id of the secret.
        found: GroupKeyId,
    },
}

impl GroupKey {
    /// Seals `secret` for `members`. `seconds` is the time since the epoch; `once` gives a fresh random key for each
    /// member.
    ///
    /// To give old secrets to new members, seal the same secret again for them alone: both group keys have the same
    /// id, and a reader finds either.
    ///
    /// # Errors
    /// No members, too many, or one with a weak key.
    pub fn generate(
        secret: &GroupSecret,
        members: &BTreeSet<EncryptPublicKey>,
        seconds: u64,
        mut once: impl FnMut() -> EncryptSecretKey,
    ) -> Result<Self, GroupKeyError> {
        check_count(members.len())?;
        let message = Zeroizing::new(secret.to_bytes());
        let seal = |member: &EncryptPublicKey| {
            nacl::seal_to(member, &once(), &message)
                .map(|sealed| (*member, sealed))
                .map_err(|_| GroupKeyError::WeakMember { member: *member })
        };
        Ok(Self {
            members: members.iter().map(seal).collect::<Result<_, _>>()?,
            scheme: Some(Scheme::Basic1),
            id: Some(secret.id()),
            seconds: Some(seconds),
        })
    }

    /// The group key with the same secret after `change`: all boxes are new, the id stays.
    ///
    /// # Errors
    /// `secret` is not the secret of this group key; else as [`GroupKey::generate`].
    pub fn update(
        &self,
        secret: &GroupSecret,
        change: &Change,
        seconds: u64,
        once: impl FnMut() -> EncryptSecretKey,
    ) -> Result<Self, GroupKeyError> {
        self.check_id(secret)?;
        let kept = self.members.keys().filter(|member| !change.remove.contains(member));
        let members = kept.chain(&change.add).copied().collect();
        Self::generate(secret, &members, seconds, once)
    }

    /// Opens the secret with the key of one member.
    ///
    /// # Errors
    /// The key is no member's, the box is not as it should be, or the secret is not the stated one.
    pub fn open(&self, key: &EncryptSecretKey) -> Result<GroupSecret, GroupKeyError> {
        let member = key.public();
        let sealed = self.members.get(&member).ok_or(GroupKeyError::NotMember)?;
        let message = nacl::open_sealed(key, sealed).map_err(|_| GroupKeyError::Box { member })?;
        let secret = <GroupSecret as Decode>::from_bytes(&message)
            .map_err(|source| GroupKeyError::Secret { member, source })?;
        self.check_id(&secret)?;
        Ok(secret)
    }

    /// Opens the secret with whichever of `keys` is a member's. When the box of one is broken the others are tried.
    ///
    /// # Errors
    /// None of them opens it: the first trouble that is more than not being a member, else
    /// [`GroupKeyError::NotMember`].
    pub fn open_with<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k EncryptSecretKey>,
    ) -> Result<GroupSecret, GroupKeyError> {
        let mut trouble = GroupKeyError::NotMember;
        for key in keys {
            match self.open(key) {
                Ok(secret) => return Ok(secret),
                Err(error) if trouble == GroupKeyError::NotMember => trouble = error,
                Err(_) => {}
            }
        }
        Err(trouble)
    }

    /// Whether `key` is a member.
    #[must_use]
    pub fn has_member(&self, key: &EncryptPublicKey) -> bool {
        self.members.contains_key(key)
    }

    /// The members, in the order in which the original lists them.
    #[must_use]
    pub fn members(&self) -> Vec<EncryptPublicKey> {
        let mut members: Vec<_> = self.members.keys().copied().collect();
        order::sort_by_table(&mut members, |member| member.as_bytes());
        members
    }

    /// The name of the secret; older and plain group keys state none. It is what the maker says until somebody
    /// opens the key.
    #[must_use]
    pub fn id(&self) -> Option<GroupKeyId> {
        self.id
    }

    /// How the id was made.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// When it was made, in seconds since the epoch.
    #[must_use]
    pub fn seconds(&self) -> Option<u64> {
        self.seconds
    }

    /// Reads a group key file.
    ///
    /// # Errors
    /// It is not armoured text of a group key.
    pub fn parse(file: &str) -> Result<Self, GroupKeyError> {
        Self::read(&armour::parse(file).map_err(|source| GroupKeyError::Text { source })?)
    }

    /// The text of a group key file, without a newline at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        armour::to_text(HEAD, &self.to_bytes()).to_string()
    }

    /// The text that shows a group key to people, which is also what a list of members is read from.
    #[must_use]
    pub fn dump(&self) -> String {
        let kind = if *self == self.plain() { "plain" } else { "fancy" };
        let mut text = format!("; {kind} group key\n");
        let mut line = |line: std::fmt::Arguments<'_>| {
            text.write_fmt(line).expect("a string takes every text");
        };
        if let Some(id) = self.id {
            line(format_args!("group-key-id {id}\n"));
        }
        if let Some(Scheme::Basic1) = self.scheme {
            line(format_args!("group-key-id-scheme basic1\n"));
        }
        if let Some(seconds) = self.seconds {
            line(format_args!("group-key-timestamp {seconds}\n"));
        }
        line(format_args!("\n"));
        for member in self.members() {
            line(format_args!("member \"{member}\"\n"));
        }
        text
    }

    /// Stores the group key as a tree and gives its blocks to `emit`. Returns the root, by which sealed data names
    /// the group key.
    pub fn build(&self, emit: impl FnMut(Hash, Bytes)) -> Hash {
        build_data(&self.to_bytes().into(), emit)
    }

    /// Reads a group key from the tree `root`, whose blocks `get` finds.
    ///
    /// # Errors
    /// The tree cannot be read, or holds no group key.
    pub fn load<E>(
        root: Hash,
        get: impl FnMut(&Hash) -> Result<Option<Bytes>, E>,
    ) -> Result<Self, LoadError<E>> {
        let bytes = walk::content(root, GROUP_KEY_BYTES_MAX, get)
            .map_err(|source| LoadError::Tree { root, source })?;
        Self::read(&bytes).map_err(|source| LoadError::GroupKey { root, source })
    }

    /// The same without what only newer group keys state.
    fn plain(&self) -> Self {
        Self { members: self.members.clone(), scheme: None, id: None, seconds: None }
    }

    fn read(bytes: &[u8]) -> Result<Self, GroupKeyError> {
        Self::from_bytes(bytes).map_err(|source| {
            if is_asymmetric(bytes) { GroupKeyError::Asymmetric } else { GroupKeyError::Value { source } }
        })
    }

    fn check_id(&self, secret: &GroupSecret) -> Result<(), GroupKeyError> {
        let found = secret.id();
        match self.id {
            Some(stated) if stated != found => Err(GroupKeyError::Id { stated, found }),
            _ => Ok(()),
        }
    }
}

/// Why a group key cannot be loaded from its tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError<E> {
    /// A block is missing, or is none of a tree.
    #[error("cannot read the tree of group key {root}")]
    Tree {
        /// Root of the tree.
        root: Hash,
        /// What went wrong.
        source: WalkError<E>,
    },
    /// The content is no group key.
    #[error("tree {root} holds no group key that we read")]
    GroupKey {
        /// Root of the tree.
        root: Hash,
        /// What is wrong with it.
        source: GroupKeyError,
    },
}

/// Whether `bytes` are a group key of the asymmetric kind, which is recognised and never read.
#[must_use]
pub fn is_asymmetric(bytes: &[u8]) -> bool {
    let mut d = Decoder::new(bytes);
    let head = d.record(2).and_then(|()| EncryptPublicKey::decode(&mut d)).and_then(|_| d.record(1));
    head.and_then(|()| d.list_head()).is_ok()
}

fn check_count(count: usize) -> Result<(), GroupKeyError> {
    match count {
        0 => Err(GroupKeyError::NoMembers),
        1..=GROUP_MEMBERS_MAX => Ok(()),
        _ => Err(GroupKeyError::TooManyMembers { count }),
    }
}

/// Bytes of a member with his box, and of all that is around the members.
const MEMBER_BYTES: usize = 126;
const FRAME_BYTES: usize = 64;
/// The second item: the version of what follows.
const EXTENSION: u64 = 2;

impl Encode for GroupKey {
    fn encode(&self, e: &mut Encoder) {
        e.reserve(FRAME_BYTES + MEMBER_BYTES * self.members.len());
        e.variant(0, 1);
        let members = self.members();
        e.map(members.len());
        for member in members {
            member.encode(e);
            e.variant(0, 1);
            e.bytes(&self.members[&member]);
        }
        e.uint(EXTENSION);
        e.array(3);
        e.maybe(self.scheme, |e, Scheme::Basic1| e.variant(0, 0));
        e.maybe(self.id, |e, id| id.encode(e));
        e.maybe(self.seconds, Encoder::uint);
    }
}

impl Decode for GroupKey {
    /// The second and the third item may be absent, as in the oldest group keys; another number in the second means
    /// a later version, of which only the members are read.
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        let mut group = Self { members: decode_members(d)?, scheme: None, id: None, seconds: None };
        if d.is_at_end() || d.integer()? != i128::from(EXTENSION) {
            return Ok(group);
        }
        d.tuple(3)?;
        group.scheme = d.maybe(decode_scheme)?;
        group.id = d.maybe(GroupKeyId::decode)?;
        group.seconds = d.maybe(Decoder::uint)?;
        Ok(group)
    }
}

/// The members with their boxes, in any order. Of two boxes for one member the last counts.
fn decode_members(d: &mut Decoder<'_>) -> Result<BTreeMap<EncryptPublicKey, Vec<u8>>, DecodeError> {
    let start = d.at();
    let count = d.map()?;
    if count > GROUP_MEMBERS_MAX as u64 {
        return Err(DecodeError::new(start, format!("at most {GROUP_MEMBERS_MAX} members")));
    }
    let mut members = BTreeMap::new();
    for _ in 0..count {
        let member = EncryptPublicKey::decode(d)?;
        d.record(1)?;
        members.insert(member, d.bytes()?.to_vec());
    }
    Ok(members)
}

fn decode_scheme(d: &mut Decoder<'_>) -> Result<Scheme, DecodeError> {
    d.record(0).map(|()| Scheme::Basic1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> EncryptSecretKey {
        EncryptSecretKey::from_bytes([byte; 32])
    }

    fn once() -> impl FnMut() -> EncryptSecretKey {
        let mut last = 100;
        move || {
            last += 1;
            key(last)
        }
    }

    fn publics(bytes: &[u8]) -> BTreeSet<EncryptPublicKey> {
        bytes.iter().map(|byte| key(*byte).public()).collect()
    }

    fn group(members: &[u8]) -> GroupKey {
        GroupKey::generate(&GroupSecret::from_bytes([5; 32]), &publics(members), 1_700_000_000, once())
            .unwrap()
    }

    #[test]
    fn every_member_opens_the_secret_and_nobody_else_does() {
        let group = group(&[1, 2, 3]);
        for member in [1, 2, 3] {
            assert_eq!(group.open(&key(member)), Ok(GroupSecret::from_bytes([5; 32])));
        }
        assert_eq!(group.open(&key(4)), Err(GroupKeyError::NotMember));
        assert_eq!(group.open_with([&key(4), &key(2)]), Ok(GroupSecret::from_bytes([5; 32])));
        assert_eq!(group.open_with([&key(4)]), Err(GroupKeyError::NotMember));
        assert_eq!(group.open_with([]), Err(GroupKeyError::NotMember));
    }

    #[test]
    fn a_changed_box_a_foreign_box_and_a_false_id_are_told_apart() {
        let (alice, bob) = (key(1).public(), key(2).public());
        let mut changed = group(&[1, 2]);
        *changed.members.get_mut(&alice).unwrap().last_mut().unwrap() ^= 1;
        assert_eq!(changed.open(&key(1)), Err(GroupKeyError::Box { member: alice }));
        assert!(changed.open(&key(2)).is_ok());
        assert!(changed.open_with([&key(1), &key(2)]).is_ok());
        assert_eq!(changed.open_with([&key(3), &key(1)]), Err(GroupKeyError::Box { member: alice }));

        let mut swapped = group(&[1, 2]);
        let of_bob = swapped.members[&bob].clone();
        swapped.members.insert(alice, of_bob);
        assert_eq!(swapped.open(&key(1)), Err(GroupKeyError::Box { member: alice }));

        let mut empty = group(&[1]);
        empty.members.insert(alice, nacl::seal_to(&alice, &key(9), b"no secret").unwrap());
        assert!(matches!(empty.open(&key(1)), Err(GroupKeyError::Secret { member, .. }) if member == alice));

        let mut renamed = group(&[1]);
        renamed.id = Some(GroupSecret::from_bytes([6; 32]).id());
        assert!(matches!(renamed.open(&key(1)), Err(GroupKeyError::Id { .. })));
    }

    #[test]
    fn an_update_keeps_the_secret_and_its_id() {
        let (before, secret) = (group(&[1, 2]), GroupSecret::from_bytes([5; 32]));
        let change = Change { add: publics(&[2, 3]), remove: publics(&[1, 2, 9]) };
        let after = before.update(&secret, &change, 1_700_000_001, once()).unwrap();
        assert_eq!(after.members.keys().copied().collect::<BTreeSet<_>>(), publics(&[2, 3]));
        assert_eq!((after.id(), after.seconds()), (before.id(), Some(1_700_000_001)));
        assert_eq!(after.open(&key(3)), Ok(secret));
        let other = GroupSecret::from_bytes([6; 32]);
        assert!(matches!(before.update(&other, &change, 0, once()), Err(GroupKeyError::Id { .. })));
    }

    #[test]
    fn a_group_has_members_and_not_too_many() {
        let secret = GroupSecret::from_bytes([5; 32]);
        let make = |members: &BTreeSet<_>| GroupKey::generate(&secret, members, 0, || key(9));
        assert_eq!(make(&BTreeSet::new()), Err(GroupKeyError::NoMembers));
        let weak = EncryptPublicKey::from_bytes([0; 32]);
        assert_eq!(make(&BTreeSet::from([weak])), Err(GroupKeyError::WeakMember { member: weak }));
        let many: BTreeSet<_> = (0..=GROUP_MEMBERS_MAX as u32)
            .map(|i| EncryptPublicKey::from_bytes(std::array::from_fn(|at| (i >> (8 * (at % 4))) as u8)))
            .collect();
        assert_eq!(make(&many), Err(GroupKeyError::TooManyMembers { count: many.len() }));
        let all_go = Change { add: BTreeSet::new(), remove: publics(&[1]) };
        assert_eq!(group(&[1]).update(&secret, &all_go, 0, once()), Err(GroupKeyError::NoMembers));
    }

    #[test]
    fn an_old_group_key_ends_after_its_members() {
        let group = group(&[1, 2]);
        let bytes = group.to_bytes();
        let extension = bytes.len() - (1 + 1 + 3 + 37 + 6);
        assert_eq!(bytes[extension], 2);
        assert_eq!(GroupKey::from_bytes(&bytes[..extension]), Ok(group.plain()));
        assert!(GroupKey::from_bytes(&bytes[..=extension]).is_err(), "version 2 has a third item");
        let later = [&bytes[..extension], &[3]].concat();
        assert_eq!(GroupKey::from_bytes(&later), Ok(group.plain()));
        let no_number = [&bytes[..extension], &[0x80]].concat();
        assert!(GroupKey::from_bytes(&no_number).is_err());
        assert!(group.plain().dump().starts_with("; plain group key\n\nmember \""));
    }

    #[test]
    fn a_tree_and_a_text_hold_the_group_key() {
        let group = group(&[1, 2, 3]);
        assert_eq!(GroupKey::parse(&group.to_text()), Ok(group.clone()));
        let mut blocks = BTreeMap::new();
        let root = group.build(|hash, block| drop(blocks.insert(hash, block)));
        let get = |hash: &Hash| Ok::<_, std::convert::Infallible>(blocks.get(hash).cloned());
        assert_eq!(GroupKey::load(root, get), Ok(group));
        let absent = Hash::of(b"absent");
        assert!(matches!(GroupKey::load(absent, get), Err(LoadError::Tree { .. })));
    }

    #[test]
    fn nothing_of_the_secret_is_shown() {
        let secret = GroupSecret::from_bytes([5; 32]);
        for shown in [format!("{:?}", group(&[1])), format!("{secret:?}"), group(&[1]).dump()] {
            assert!(!shown.contains("5, 5, 5") && !shown.contains("0505"), "{shown}");
        }
    }
}
