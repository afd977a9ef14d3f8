//! A check in front of what cannot prove itself.
//!
//! A block proves itself by its hash. References, records and entries of the index cannot, so each carries the
//! first eight bytes of the BLAKE2b-256 of its name and value in front: of the length of the name (eight bytes,
//! little-endian), the name and the value. A value that does not fit its name is never served.

use hbs2_core::Hash;

/// Length of the check in front of a value, in bytes. It finds damage, it does not resist forgery: who can write
/// the files can write anything.
const CHECK_BYTES: usize = 8;

/// The stored form of `value` under `name`.
pub(super) fn seal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&check(name, value)[..], value].concat()
}

/// The value in a stored form, if it is undamaged and belongs to `name`.
pub(super) fn open<'a>(name: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let (found, value) = stored.split_at_checked(CHECK_BYTES)?;
    (found == check(name, value)).then_some(value)
}

/// The length is hashed too, so that bytes cannot move between name and value.
fn check(name: &[u8], value: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Hash::of_parts([&(name.len() as u64).to_le_bytes()[..], name, value]);
    *hash.as_bytes().first_chunk().expect("a hash is longer than the check")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_served_only_whole_and_under_its_own_name() {
        let stored = seal(b"name", b"value");
        assert_eq!(open(b"name", &stored), Some(&b"value"[..]));
        assert_eq!(open(b"other", &stored), None);
        assert_eq!(open(b"namev", &seal(b"name", b"value")), None);
        for at in 0..stored.len() {
            assert_eq!(open(b"name", &stored[..at]), None);
            let mut flipped = stored.clone();
            flipped[at] ^= 1;
            assert_eq!(open(b"name", &flipped), None);
        }
    }
}
