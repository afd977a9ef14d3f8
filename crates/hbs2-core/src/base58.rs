//! Base58 with the Bitcoin alphabet, no checksum (docs/spec/base58.md).
//!
//! Hashes, keys, signatures and whole key files are shown this way. Each leading zero byte is one leading `1`.

use crate::limits::BASE58_CHARS_MAX;

/// Why a text is not base58.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Base58Error {
    /// A character outside the alphabet, with its byte offset.
    #[error("character {found:?} at offset {at} is not base58")]
    Character {
        /// What was found.
        found: char,
        /// Byte offset in the text.
        at: usize,
    },
    /// The text is longer than [`BASE58_CHARS_MAX`].
    #[error("base58 text of {chars} characters is over the limit of {BASE58_CHARS_MAX}")]
    TooLong {
        /// Length of the text in bytes.
        chars: usize,
    },
    /// The value has another length than its type.
    #[error("base58 text holds {found} bytes, expected {expected}")]
    Length {
        /// Bytes the type has.
        expected: usize,
        /// Bytes the text holds.
        found: usize,
    },
}

/// The base58 text of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    bs58::encode(bytes).into_string()
}

/// The bytes of a base58 text of any length.
///
/// # Errors
/// A character outside the alphabet, or a text over [`BASE58_CHARS_MAX`].
pub fn decode(text: &str) -> Result<Vec<u8>, Base58Error> {
    if text.len() > BASE58_CHARS_MAX {
        return Err(Base58Error::TooLong { chars: text.len() });
    }
    bs58::decode(text).into_vec().map_err(|error| {
        let at = match error {
            bs58::decode::Error::InvalidCharacter { index, .. }
            | bs58::decode::Error::NonAsciiCharacter { index } => index,
            _ => 0,
        };
        Base58Error::Character {
            found: text.get(at..).and_then(|t| t.chars().next()).unwrap_or('\u{fffd}'),
            at,
        }
    })
}

/// The bytes of a base58 text that must hold exactly `N` bytes.
///
/// # Errors
/// As [`decode`], or another length.
pub fn decode_exact<const N: usize>(text: &str) -> Result<[u8; N], Base58Error> {
    let bytes = decode(text)?;
    bytes.as_slice().try_into().map_err(|_| Base58Error::Length { expected: N, found: bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zero_bytes_are_leading_ones() {
        assert_eq!(encode(&[0, 0, 1]), "112");
        assert_eq!(decode("112"), Ok(vec![0, 0, 1]));
        assert_eq!(encode(&[]), "");
        assert_eq!(decode(""), Ok(vec![]));
    }

    #[test]
    fn a_foreign_character_is_named_with_its_place() {
        assert_eq!(decode("ab0"), Err(Base58Error::Character { found: '0', at: 2 }));
        assert!(matches!(decode("aé"), Err(Base58Error::Character { .. })));
    }

    #[test]
    fn a_wrong_length_is_named() {
        assert_eq!(decode_exact::<32>("112"), Err(Base58Error::Length { expected: 32, found: 3 }));
    }
}
