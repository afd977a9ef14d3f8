//! Limits of bandwidth, memory and connections.

use hbs2_proto::io::MEMORY_BYTES_MIN;
use hbs2_script::{Config, ConfigError};

/// Lowest rate that can be configured, in bytes a second. Below it a chunk takes longer than peers wait for one.
const RATE_MIN: u64 = 16 * 1024;

/// Least connections that can be configured: with fewer there would be no place for those that we make.
pub(super) const PEERS_MIN: usize = 4;

/// Most connections that can be configured. Each takes two file descriptors at most, and systems give a thousand or more.
pub(super) const PEERS_MAX: usize = 4096;

/// Most memory that can be configured, in bytes: a share of it still fits the numbers of the network layer.
const MEMORY_BYTES_MAX: u64 = 1 << 40;

/// A number of bytes: `500K`, `10M`, `1G`, with units of 1024; `MB`, `MiB` and lower case are the same. None when the
/// word is something else.
fn bytes(word: &str) -> Option<u64> {
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (number, unit) = word.split_at(digits);
    let shift = match unit.to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Bytes a second; none without the setting or when it is `off`.
pub(super) fn rate(config: &Config, key: &str) -> Result<Option<u64>, ConfigError> {
    let Some(entry) = config.last(key) else { return Ok(None) };
    let text = entry.text()?;
    if text == "off" {
        return Ok(None);
    }
    match bytes(&text) {
        Some(rate) if rate >= RATE_MIN => Ok(Some(rate)),
        _ => Err(entry.error("bytes a second such as 500K or 2M, 16K at least, or off are expected")),
    }
}

/// Bytes of memory.
pub(super) fn memory(config: &Config, key: &str) -> Result<Option<usize>, ConfigError> {
    let Some(entry) = config.last(key) else { return Ok(None) };
    let limit =
        bytes(&entry.text()?).filter(|bytes| (MEMORY_BYTES_MIN as u64..=MEMORY_BYTES_MAX).contains(bytes));
    match limit.and_then(|bytes| usize::try_from(bytes).ok()) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(entry.error("memory such as 256M, 64M at least, is expected")),
    }
}

/// A number of things.
pub(super) fn count(
    config: &Config,
    key: &str,
    min: usize,
    max: usize,
) -> Result<Option<usize>, ConfigError> {
    let Some(entry) = config.last(key) else { return Ok(None) };
    match usize::try_from(entry.integer()?) {
        Ok(count) if (min..=max).contains(&count) => Ok(Some(count)),
        _ => Err(entry.error(format!("a number from {min} to {max} is expected"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_of_1024() {
        let check = |word: &str, expected: Option<u64>| assert_eq!(bytes(word), expected, "{word}");
        check("0", Some(0));
        check("1500", Some(1500));
        check("500K", Some(500 * 1024));
        check("10mib", Some(10 << 20));
        check("2GB", Some(2 << 30));
        for word in ["", "M", "1.5M", "-1", "1T", "1 M", "99999999999999999999", "99999999999G"] {
            check(word, None);
        }
    }
}
