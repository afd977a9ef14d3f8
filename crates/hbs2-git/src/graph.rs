//! Links between git objects, read from their raw content. Only as much is read as the walk needs.

use crate::object::{ObjectId, ObjectKind};

/// What a commit points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitLinks {
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, the first one first.
    pub parents: Vec<ObjectId>,
}

/// Reads the head of a commit; none when it is malformed.
#[must_use]
pub fn commit_links(content: &[u8]) -> Option<CommitLinks> {
    let mut lines = content.split(|b| *b == b'\n');
    let tree = hex_id(lines.next()?.strip_prefix(b"tree ")?)?;
    let parents = lines.map_while(|line| line.strip_prefix(b"parent ")).map(hex_id).collect::<Option<_>>()?;
    Some(CommitLinks { tree, parents })
}

/// Reads what an annotated tag points at; none when it is malformed.
#[must_use]
pub fn tag_target(content: &[u8]) -> Option<(ObjectId, ObjectKind)> {
    let mut lines = content.split(|b| *b == b'\n');
    let id = hex_id(lines.next()?.strip_prefix(b"object ")?)?;
    let kind = match lines.next()?.strip_prefix(b"type ")? {
        b"commit" => ObjectKind::Commit,
        b"tree" => ObjectKind::Tree,
        b"blob" => ObjectKind::Blob,
        b"tag" => ObjectKind::Tag,
        _ => return None,
    };
    Some((id, kind))
}

fn hex_id(text: &[u8]) -> Option<ObjectId> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Tree,
    /// A file or a symbolic link.
    Blob,
    /// A commit of another repository (a submodule). It is not part of this one.
    Gitlink,
}

/// An entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeEntry<'a> {
    /// What it is.
    pub kind: EntryKind,
    /// Its name.
    pub name: &'a [u8],
    /// Its object.
    pub id: ObjectId,
}

/// The entries of a tree; the last item is none when the tree is malformed there.
pub fn tree_entries(content: &[u8]) -> impl Iterator<Item = Option<TreeEntry<'_>>> {
    let mut rest = content;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = next_entry(&mut rest);
        if entry.is_none() {
            rest = &[];
        }
        Some(entry)
    })
}

fn next_entry<'a>(rest: &mut &'a [u8]) -> Option<TreeEntry<'a>> {
    let space = rest.iter().take(7).position(|b| *b == b' ')?;
    let (mode, after) = (&rest[..space], &rest[space + 1..]);
    let zero = after.iter().position(|b| *b == 0)?;
    let id = ObjectId::from_slice(&after[zero + 1..])?;
    let kind = match mode {
        b"40000" | b"040000" => EntryKind::Tree,
        b"160000" => EntryKind::Gitlink,
        _ => EntryKind::Blob,
    };
    *rest = &after[zero + 1 + ObjectId::BYTES..];
    Some(TreeEntry { kind, name: &after[..zero], id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commits_tags_and_trees_are_read() {
        let hex = "ce013625030ba8dba906f756967f9e9ca394464a";
        let id: ObjectId = hex.parse().unwrap();
        let text = format!("tree {hex}\nparent {hex}\nparent {hex}\nauthor a <a> 1 +0000\n\nparent {hex}\n");
        let links = commit_links(text.as_bytes()).unwrap();
        assert_eq!(links, CommitLinks { tree: id, parents: vec![id, id] });
        let tag = format!("object {hex}\ntype tree\ntag x\n");
        assert_eq!(tag_target(tag.as_bytes()), Some((id, ObjectKind::Tree)));
        let tree =
            [b"40000 d\0", &id.as_bytes()[..], b"160000 m\0", id.as_bytes(), b"100644 a b\0", id.as_bytes()]
                .concat();
        let entries: Vec<_> = tree_entries(&tree).map(Option::unwrap).map(|e| (e.kind, e.name)).collect();
        let expected: [(EntryKind, &[u8]); 3] =
            [(EntryKind::Tree, b"d"), (EntryKind::Gitlink, b"m"), (EntryKind::Blob, b"a b")];
        assert_eq!(entries, expected);
        assert_eq!(tree_entries(&tree[..tree.len() - 1]).last(), Some(None));
    }

    proptest! {
        #[test]
        fn arbitrary_objects_never_panic(content in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = (commit_links(&content), tag_target(&content), tree_entries(&content).count());
        }
    }
}
