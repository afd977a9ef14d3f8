//! The order in which the original lists a set (docs/spec/order.md).
//!
//! It keeps sets in hash tables and writes them in table order: neither sorted nor by age, but the same for every
//! peer with the same libraries. Readers take any order. A writer needs this one only where its bytes must equal
//! the original's, as in metadata texts and the recipients of a group key; logs we sort by hash.

/// Sorts `items` into the order of the original's tables, by the bytes that `key` gives for each.
pub fn sort_by_table<T>(items: &mut [T], key: impl Fn(&T) -> &[u8]) {
    items.sort_by_cached_key(|item| path(table_hash(key(item))));
}

/// 64-bit FNV-1 with an odd start and the length mixed in first, as `hashable` 1.4.3 and 1.4.4 have it.
fn table_hash(bytes: &[u8]) -> u64 {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let step = |sum: u64, word: u64| sum.wrapping_mul(PRIME) ^ word;
    let length = bytes.len() as u64;
    let start = [48, 32, 16, 0].iter().fold(START, |sum, shift| step(sum, (length >> shift) & 0xffff));
    bytes.iter().fold(start, |sum, byte| step(sum, u64::from(*byte)))
}

/// The way through a table whose nodes have 32 places: five bits a level, lowest first.
fn path(hash: u64) -> [u8; 13] {
    std::array::from_fn(|level| ((hash >> (5 * level)) & 31) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_keys_stand_in_table_order() {
        let mut keys = ["description", "file-name", "mime-type", "web:root"];
        sort_by_table(&mut keys, |key| key.as_bytes());
        assert_eq!(keys, ["mime-type", "file-name", "description", "web:root"]);
    }
}
