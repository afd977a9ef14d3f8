//! Named limits of the formats. The unit stands last in each name.

/// Data chunk that every tree writer cuts, in bytes (docs/spec/tree.md).
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Largest block we store or accept, in bytes. The format has no cap; trees cut at [`CHUNK_BYTES`], sealed
/// blocks add 50 bytes at most, and the largest node of any known writer is under 300 KB. Sixteen MiB leaves
/// room for odd writers while one block still fits a frame and a read buffer.
pub const BLOCK_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Hashes in one leaf of a data tree, at most (docs/spec/tree.md).
pub const LEAF_HASHES_MAX: usize = 1024;

/// Children of one node of a data tree, at most (docs/spec/tree.md).
pub const NODE_CHILDREN_MAX: usize = 256;

/// Hashes in one leaf, and children of one node, of a reflog tree (docs/spec/tree.md).
pub const LOG_HASHES_MAX: usize = 256;

/// Depth at which a walk gives up, in tree levels. Five levels of 256 children above leaves of 1024 already
/// name an exabyte; deeper nesting is a loop or an attack.
pub const TREE_LEVELS_MAX: usize = 64;

/// Length of a base58 text we try to decode, in characters: a keyring file of 4096 bytes and to spare.
pub const BASE58_CHARS_MAX: usize = 64 * 1024;

/// Hashes in one tree block that we read, at most: as many as fit [`BLOCK_BYTES_MAX`] in their shortest form.
/// Readers assume no shape; writers of other times used up to 6000.
pub const TREE_HASHES_MAX: usize = BLOCK_BYTES_MAX / 36;

/// Hashes that a walk holds for later, over all levels, at most. Sixty-four levels of 1024 children need 65,536;
/// a million is 32 MiB of memory and more than any tree of a known writer leaves waiting.
pub const WALK_HASHES_MAX: usize = 1024 * 1024;

/// Blocks that a walk reads without meeting a leaf entry before it gives up. A well-formed tree shows one after
/// [`TREE_LEVELS_MAX`] blocks at most; a hostile one could repeat empty nodes for ever.
pub const WALK_BARREN_BLOCKS_MAX: usize = 1024;

/// Encryption keys in one keyring, at most. An armoured text of [`BASE58_CHARS_MAX`] characters holds about 600.
pub const KEYRING_ENTRIES_MAX: usize = 1024;

/// Members of one group key, at most. Every change of a group seals the secret for each of them anew; a key with
/// this many takes half a megabyte.
pub const GROUP_MEMBERS_MAX: usize = 4096;

/// Content of a tree that we read as a group key, in bytes: [`GROUP_MEMBERS_MAX`] members of 126 bytes, and to spare.
pub const GROUP_KEY_BYTES_MAX: usize = 1024 * 1024;

/// Places before and after its own at which we try a block that does not open, to say where it belongs: as many as
/// one leaf has. Each try authenticates the block once, so the answer costs a tenth of a second at most.
pub const MISPLACED_SEARCH_BLOCKS: u64 = 512;

/// Keys in one list of a refchan head (peers, authors, readers, notifiers), at most. Every update is checked against
/// them, and a head with four full lists takes half a mebibyte.
pub const CHAN_KEYS_MAX: usize = 4096;

/// Extensions of one refchan head, at most. Known heads have one or none.
pub const CHAN_EXTENSIONS_MAX: usize = 64;

/// Content of a tree that we read as a signed refchan head, in bytes: four full lists of [`CHAN_KEYS_MAX`] keys, and
/// to spare.
pub const CHAN_HEAD_BYTES_MAX: usize = 1024 * 1024;

/// Recipients of one message, at most. Its group key seals the secret for each of them, 126 bytes a time.
pub const MESSAGE_RECIPIENTS_MAX: usize = 1024;

/// Attachments of one message, at most. Each is a tree that a mailbox fetches.
pub const MESSAGE_PARTS_MAX: usize = 1024;

/// Depth of the expression in a deletion of messages, at most. Every known writer names one message, depth one.
pub const DELETION_LEVELS_MAX: usize = 16;

/// Text of a mailbox policy, in bytes: rules for some thousand keys.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;

/// Rules of one mailbox policy, at most.
pub const POLICY_RULES_MAX: usize = 4096;
