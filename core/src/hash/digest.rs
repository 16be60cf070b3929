//! The algorithms, the running state, and the value.

use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use std::{fmt, io, str::FromStr};

/// Bytes of the longest digest: SHA-512's.
const MAX_DIGEST_BYTES: usize = 64;

/// A hash algorithm, by the names of coreutils.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-224, `sha224`.
    Sha224,
    /// SHA-256, `sha256`.
    #[default]
    Sha256,
    /// SHA-384, `sha384`.
    Sha384,
    /// SHA-512, `sha512`.
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in lower case, as in `sha256sum`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The name in a tagged check line, as in `SHA256 (name) = …`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Sha224 => "SHA224",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    /// Bytes of its digests.
    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The algorithm whose digests have `len` bytes.
    pub fn of_digest_bytes(len: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.digest_bytes() == len)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = io::Error;

    /// Takes a name in either case, with or without a hyphen: `sha256`, `SHA256`, `sha-256`.
    fn from_str(name: &str) -> io::Result<Self> {
        let plain = name.to_ascii_lowercase().replacen("sha-", "sha", 1);
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == plain).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            io::Error::new(io::ErrorKind::InvalidInput, format!("no algorithm {name:?}: use one of {known}"))
        })
    }
}

/// A hash that is being computed.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// The state before the first byte.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha224 => State::Sha224(Sha224::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha384 => State::Sha384(Sha384::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha224(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Takes in `len` bytes of value zero.
    pub fn update_zeros(&mut self, len: u64) {
        const ZEROS: &[u8] = &[0; 64 * 1024];
        let mut left = len;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.update(ZEROS.split_at(part).0);
            left -= part as u64;
        }
    }

    /// The digest of all bytes taken in.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha224(state) => Digest::of(Algorithm::Sha224, &state.finalize()),
            State::Sha256(state) => Digest::of(Algorithm::Sha256, &state.finalize()),
            State::Sha384(state) => Digest::of(Algorithm::Sha384, &state.finalize()),
            State::Sha512(state) => Digest::of(Algorithm::Sha512, &state.finalize()),
        }
    }
}

/// The value of a hash; it displays as hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// The first `algorithm.digest_bytes()` are the value, the rest is zero.
    bytes: [u8; MAX_DIGEST_BYTES],
}

impl Digest {
    fn of(algorithm: Algorithm, value: &[u8]) -> Self {
        let mut bytes = [0; MAX_DIGEST_BYTES];
        bytes.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
        Self { algorithm, bytes }
    }

    /// The digest that `digits` write in hexadecimal, of the algorithm that has so many; `None` if
    /// there is none, or they are no digits.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        let (pairs, rest) = digits.as_chunks::<2>();
        let algorithm = Algorithm::of_digest_bytes(pairs.len()).filter(|_| rest.is_empty())?;
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

/// How this CPU computes `algorithm`: by instructions made for it, or by ordinary ones.
///
/// The same question that the hash library asks when it starts, so the answer names what is used.
pub fn cpu_backend(algorithm: Algorithm) -> &'static str {
    let small_words = matches!(algorithm, Algorithm::Sha224 | Algorithm::Sha256);
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    {
        use std::arch::is_x86_feature_detected as has;
        if small_words && has!("sha") && has!("sse4.1") {
            return "SHA-NI";
        }
        if !small_words && has!("avx2") {
            return "AVX2";
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::is_aarch64_feature_detected as has;
        if (small_words && has!("sha2")) || (!small_words && has!("sha3")) {
            return "ARMv8 cryptography";
        }
    }
    let _ = small_words;
    "software"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        let digest = |algorithm: Algorithm| {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"a");
            hasher.update(b"bc");
            hasher.finish().to_string()
        };
        assert_eq!(digest(Algorithm::Sha224), "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7");
        assert_eq!(
            digest(Algorithm::Sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            digest(Algorithm::Sha384),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7"
        );
        assert_eq!(
            digest(Algorithm::Sha512),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn zeros_count_as_bytes() {
        let mut counted = Hasher::new(Algorithm::Sha256);
        counted.update_zeros(200_001);
        let mut written = Hasher::new(Algorithm::Sha256);
        written.update(&vec![0; 200_001]);
        assert_eq!(counted.finish(), written.finish());
    }

    #[test]
    fn hexadecimal_digits_of_either_case_give_the_digest_back() {
        for algorithm in Algorithm::ALL {
            let digest = Hasher::new(algorithm).finish();
            let digits = digest.to_string();
            assert_eq!(Digest::from_hex(digits.as_bytes()), Some(digest));
            assert_eq!(Digest::from_hex(digits.to_uppercase().as_bytes()), Some(digest));
            assert_eq!(Digest::from_hex(&digits.as_bytes()[1..]), None);
            assert_eq!(Digest::from_hex(digits.replace(&digits[..1], "g").as_bytes()), None);
        }
    }

    #[test]
    fn names_are_taken_in_either_case_and_unknown_ones_are_refused_with_the_known() {
        assert_eq!("SHA-512".parse::<Algorithm>().unwrap(), Algorithm::Sha512);
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse::<Algorithm>().unwrap(), algorithm);
        }
        let error = "md6".parse::<Algorithm>().unwrap_err().to_string();
        assert!(error.contains("md6") && error.contains("sha256"), "{error}");
    }
}
