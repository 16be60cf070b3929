//! The value of a hash.

use super::Algorithm;
use std::fmt;

/// Bytes of the longest digest: SHA-512's.
const MAX_DIGEST_BYTES: usize = 64;

/// The value of a hash; it displays as hexadecimal digits in lower case, as `sha256sum`, `b3sum` and
/// `xxhsum` print it.
///
/// The bytes of an XXH3 or XXH128 are in the canonical order of xxHash, and those of a CRC-32C in the
/// same one: the most significant first. (Object stores send those four bytes in base64.)
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// The first `algorithm.digest_bytes()` are the value, the rest is zero.
    bytes: [u8; MAX_DIGEST_BYTES],
}

impl Digest {
    /// The digest whose bytes are `value`.
    pub(super) fn of(algorithm: Algorithm, value: &[u8]) -> Self {
        debug_assert_eq!(value.len(), algorithm.digest_bytes());
        let mut bytes = [0; MAX_DIGEST_BYTES];
        bytes.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
        Self { algorithm, bytes }
    }

    /// The digest of `algorithm` that `digits` write in hexadecimal; `None` if they are too many or too
    /// few, or no digits.
    pub fn from_hex(algorithm: Algorithm, digits: &[u8]) -> Option<Self> {
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != algorithm.digest_bytes() || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; MAX_DIGEST_BYTES];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self { algorithm, bytes })
    }

    /// The algorithm that computed it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The value.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.split_at(self.algorithm.digest_bytes()).0
    }
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Hasher, *};

    #[test]
    fn hexadecimal_digits_of_either_case_give_the_digest_back() {
        for algorithm in Algorithm::ALL {
            let digest = Hasher::new(algorithm).finish();
            let digits = digest.to_string();
            let from = |digits: &str| Digest::from_hex(algorithm, digits.as_bytes());
            assert_eq!(from(&digits), Some(digest));
            assert_eq!(from(&digits.to_uppercase()), Some(digest));
            assert_eq!(from(&digits[1..]), None);
            assert_eq!(from(&digits[2..]), None);
            assert_eq!(from(&format!("{digits}00")), None);
            assert_eq!(from(&digits.replace(&digits[..1], "g")), None);
        }
    }

    #[test]
    fn equal_bytes_of_two_algorithms_are_not_the_same_digest() {
        let digits = [b'7'; 64];
        let [sha256, blake3] = [Algorithm::Sha256, Algorithm::Blake3].map(|of| Digest::from_hex(of, &digits));
        assert!(sha256.is_some() && blake3.is_some() && sha256 != blake3);
    }
}
