//! Deltas between two objects, in git's delta format.
//!
//! Neighbours in our segments are versions of one file or directory, so most bytes are a common start and a
//! common end. What is between them is matched by blocks of 16 bytes. This is simpler and several times faster
//! than the search of `git pack-objects`, which does not know who its neighbours are.

/// Length of the blocks that are looked up, in bytes. Shorter matches cost more than they save.
const BLOCK_BYTES: usize = 16;

/// Longest copy of one instruction, in bytes: what git itself writes.
const COPY_BYTES_MAX: usize = 0x1_0000;

/// Longest insert of one instruction, in bytes: seven bits.
const INSERT_BYTES_MAX: usize = 127;

/// Largest base or target, in bytes: git itself gives up on deltas beyond 512 MiB, and offsets have 32 bits.
const OBJECT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Writes deltas; keeps its table between calls.
#[derive(Debug, Default)]
pub struct DeltaEncoder {
    /// Offset + 1 of a block of the base, by the hash of its bytes; 0 for none.
    table: Vec<u32>,
}

impl DeltaEncoder {
    /// Replaces `out` by a delta that makes `target` from `base`. False, and `out` is of no use, when the delta
    /// is not at most half as long as the target.
    pub fn encode(&mut self, base: &[u8], target: &[u8], out: &mut Vec<u8>) -> bool {
        if base.len() > OBJECT_BYTES_MAX || target.len() > OBJECT_BYTES_MAX {
            return false;
        }
        let limit = target.len() / 2;
        let start = common_start(base, target);
        let end = common_end(&base[start..], &target[start..]);
        out.clear();
        write_size(out, base.len());
        write_size(out, target.len());
        write_copy(out, 0, start);
        let (base_end, target_end) = (base.len() - end, target.len() - end);
        self.middle(&base[..base_end], start, &target[start..target_end], out, limit);
        write_copy(out, base_end, end);
        out.len() <= limit
    }

    /// Writes `target` as copies out of `base[from..]` and inserts; stops early beyond `limit`.
    fn middle(&mut self, base: &[u8], from: usize, target: &[u8], out: &mut Vec<u8>, limit: usize) {
        if target.len() < 2 * BLOCK_BYTES || base.len() - from < BLOCK_BYTES {
            write_insert(out, target);
            return;
        }
        let shift = self.fill_table(base, from);
        let (mut pending, mut at) = (0, 0);
        while at + BLOCK_BYTES <= target.len() {
            let found = self.table[block_hash(&target[at..], shift)] as usize;
            if found == 0 || base[found - 1..found - 1 + BLOCK_BYTES] != target[at..at + BLOCK_BYTES] {
                at += 1;
                continue;
            }
            let back = common_end(&base[..found - 1], &target[pending..at]);
            let offset = found - 1 - back;
            let length = back + common_start(&base[found - 1..], &target[at..]);
            write_insert(out, &target[pending..at - back]);
            write_copy(out, offset, length);
            at = at - back + length;
            pending = at;
            if out.len() > limit {
                return;
            }
        }
        write_insert(out, &target[pending..]);
    }

    /// Enters every block of `base[from..]`; gives the shift for [`block_hash`].
    fn fill_table(&mut self, base: &[u8], from: usize) -> u32 {
        let blocks = (base.len() - from) / BLOCK_BYTES;
        let bits = (2 * blocks).next_power_of_two().ilog2().max(4);
        self.table.clear();
        self.table.resize(1 << bits, 0);
        let shift = u64::BITS - bits;
        for number in (0..blocks).rev() {
            let offset = from + number * BLOCK_BYTES;
            self.table[block_hash(&base[offset..], shift)] = offset as u32 + 1;
        }
        shift
    }
}

/// Hash of the first 16 bytes, as an index of 64 − `shift` bits: two multiplications, no rolling state.
fn block_hash(bytes: &[u8], shift: u32) -> usize {
    let word = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("a block has 16 bytes"));
    let mixed = word(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ word(8).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> shift) as usize
}

/// How many bytes at the start are equal.
fn common_start(a: &[u8], b: &[u8]) -> usize {
    let whole = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(x, y)| x == y).count() * 8;
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(x, y)| x == y).count()
}

/// How many bytes at the end are equal.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    let whole = a.rchunks_exact(8).zip(b.rchunks_exact(8)).take_while(|(x, y)| x == y).count() * 8;
    let (a, b) = (&a[..a.len() - whole], &b[..b.len() - whole]);
    whole + a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count()
}

/// A size in the delta's head: seven bits a byte, the lowest first.
fn write_size(out: &mut Vec<u8>, mut size: usize) {
    while size >= 0x80 {
        out.push(size as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
}

fn write_insert(out: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.chunks(INSERT_BYTES_MAX) {
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
}

/// Copies of at most [`COPY_BYTES_MAX`]: a byte of flags, then the bytes of offset and length that are not zero.
fn write_copy(out: &mut Vec<u8>, mut offset: usize, mut length: usize) {
    while length > 0 {
        let part = length.min(COPY_BYTES_MAX);
        let head = out.len();
        out.push(0x80);
        for (bit, byte) in (offset as u32).to_le_bytes().into_iter().enumerate() {
            push_flagged(out, head, bit, byte);
        }
        // The longest copy is written as length 0.
        let [low, high, ..] = (part as u32 & 0xffff).to_le_bytes();
        push_flagged(out, head, 4, low);
        push_flagged(out, head, 5, high);
        offset += part;
        length -= part;
    }
}

fn push_flagged(out: &mut Vec<u8>, head: usize, bit: usize, byte: u8) {
    if byte != 0 {
        out[head] |= 1 << bit;
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Applies a delta as git does.
    fn apply(base: &[u8], delta: &[u8]) -> Vec<u8> {
        let mut at = 0;
        let mut size = || {
            let (mut size, mut shift) = (0, 0);
            loop {
                let byte = delta[at];
                at += 1;
                size |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    return size;
                }
            }
        };
        assert_eq!(size(), base.len());
        let target_size = size();
        let mut out = Vec::new();
        while at < delta.len() {
            let op = delta[at];
            at += 1;
            if op & 0x80 == 0 {
                assert_ne!(op, 0);
                out.extend_from_slice(&delta[at..at + usize::from(op)]);
                at += usize::from(op);
                continue;
            }
            let mut field = |bits: std::ops::Range<u8>| {
                let first = bits.start;
                bits.filter(|bit| op & (1 << bit) != 0).fold(0, |sum, bit| {
                    at += 1;
                    sum | usize::from(delta[at - 1]) << (8 * (bit - first))
                })
            };
            let (offset, length) = (field(0..4), field(4..7));
            let length = if length == 0 { COPY_BYTES_MAX } else { length };
            out.extend_from_slice(&base[offset..offset + length]);
        }
        assert_eq!(out.len(), target_size);
        out
    }

    fn check(base: &[u8], target: &[u8], worth: bool) {
        let mut delta = Vec::new();
        assert_eq!(DeltaEncoder::default().encode(base, target, &mut delta), worth);
        if worth {
            assert_eq!(apply(base, &delta), target);
        }
    }

    #[test]
    fn small_edits_make_small_deltas() {
        let base: Vec<u8> =
            (0..200_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 9).to_le_bytes()).collect();
        check(&base, &base, true);
        let mut edited = base.clone();
        edited.splice(1000..1010, *b"hello world, this is longer");
        edited.splice(500_000..500_100, []);
        let mut delta = Vec::new();
        assert!(DeltaEncoder::default().encode(&base, &edited, &mut delta));
        assert_eq!(apply(&base, &delta), edited);
        assert!(delta.len() < 300, "{}", delta.len());
    }

    #[test]
    fn unlike_objects_have_no_delta() {
        check(b"", b"", false);
        check(b"abc", b"xyz", false);
        check(b"", &[1; 1000], false);
        check(&[1; 1000], b"", false);
    }

    proptest! {
        #[test]
        fn applying_a_delta_gives_the_target(
            base in prop::collection::vec(0u8..4, 0..2000),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..200, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
        ) {
            let mut target = base.clone();
            for (at, gone, new) in cuts {
                if !target.is_empty() {
                    let at = at.index(target.len());
                    let end = (at + gone).min(target.len());
                    target.splice(at..end, new);
                }
            }
            let mut delta = Vec::new();
            if DeltaEncoder::default().encode(&base, &target, &mut delta) {
                prop_assert_eq!(apply(&base, &delta), target);
            }
        }
    }
}
