//! How packs of encrypted repositories are sealed (docs/spec/git2.md, docs/spec/sealed.md).
//!
//! The second method of sealed trees: the nonce of each block depends on its content too, so the nonce string need
//! not be that of the whole. We take the one of the original, from the start of the content and the head; equal
//! bytes come out, and a pack is read once.

use hbs2_core::kdf::siphash;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::{Crypt, Hash};

/// Bytes of the content that the nonce string depends on: two chunks.
pub const NONCE_CONTENT_BYTES: usize = 2 * CHUNK_BYTES;

/// What stands before the hash in a nonce string: CBOR of a hash without its first byte, as the original wrote it.
const NONCE_PREFIX: [u8; 3] = [0x00, 0x58, 0x20];

/// Key words from which those of a tree grow; fixed in the original.
const WORDS_A: (u64, u64) = (2_716_370_006_254_639_645, 507_093_936_407_764_973);
const WORDS_B: (u64, u64) = (9_209_704_780_415_729_085, 272_090_086_441_077_315);

/// How to seal a pack: `start` is the first [`NONCE_CONTENT_BYTES`] of its content, or all of it, `head` the CBOR of
/// the repository's head, `key` the root of the tree of the group key.
#[must_use]
pub fn crypt(key: Hash, start: &[u8], head: &[u8]) -> Crypt {
    let start = &start[..start.len().min(NONCE_CONTENT_BYTES)];
    let hash = Hash::of_parts([start, head]);
    let nonce = [&NONCE_PREFIX[..], hash.as_bytes()].concat();
    Crypt::Group2 { sip: (siphash(WORDS_A, &nonce), siphash(WORDS_B, &nonce)), key, nonce }
}
