//! The payload of a record of references: a check, then 65 bytes for each: key, 1, value; or key, 0, zeros.

use hbs2_core::Hash;

use super::value;

/// Length of one reference in a payload, in bytes.
pub(super) const ENTRY_BYTES: usize = 2 * Hash::BYTES + 1;

/// The payload for references that are set (`Some`) and removed (`None`) together.
pub(super) fn encode(changes: &[(Hash, Option<Hash>)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(changes.len() * ENTRY_BYTES);
    for (key, value) in changes {
        bytes.extend(key.as_bytes());
        bytes.push(u8::from(value.is_some()));
        bytes.extend(value.map_or([0; Hash::BYTES], |value| *value.as_bytes()));
    }
    value::seal(&[], &bytes)
}

/// What a payload says, if it is undamaged.
pub(super) fn decode(payload: &[u8]) -> Option<Vec<(Hash, Option<Hash>)>> {
    let (entries, rest) = value::open(&[], payload)?.as_chunks::<ENTRY_BYTES>();
    rest.is_empty().then(|| entries.iter().map(decode_entry).collect())
}

fn decode_entry(entry: &[u8; ENTRY_BYTES]) -> (Hash, Option<Hash>) {
    let (key, rest) = entry.split_first_chunk().expect("an entry begins with a key");
    let (value, _) = rest[1..].split_first_chunk().expect("an entry ends with a value");
    (Hash::from_bytes(*key), (rest[0] == 1).then(|| Hash::from_bytes(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_again_and_damage_is_found() {
        let [a, b] = [b"a", b"b"].map(|key| Hash::of(key));
        for changes in [vec![], vec![(a, Some(b)), (b, None), (b, Some(b))]] {
            let mut payload = encode(&changes);
            assert_eq!(decode(&payload), Some(changes));
            payload.push(0);
            assert_eq!(decode(&payload), None);
        }
    }
}
