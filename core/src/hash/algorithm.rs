//! The algorithms, by name.

use std::{fmt, io, str::FromStr};

/// A hash algorithm, by the name that people ask for it with.
///
/// Against somebody who wants two files with one digest, use SHA-2 or BLAKE3. MD5 and SHA-1 are here for
/// lists that already exist; XXH3, XXH128 and CRC-32C find accidents only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// MD5, `md5`.
    Md5,
    /// SHA-1, `sha1`.
    Sha1,
    /// SHA-224, `sha224`.
    Sha224,
    /// SHA-256, `sha256`.
    #[default]
    Sha256,
    /// SHA-384, `sha384`.
    Sha384,
    /// SHA-512, `sha512`.
    Sha512,
    /// BLAKE3 with its usual 32 bytes and no key, `blake3`.
    Blake3,
    /// XXH3 with 64 bits and no seed, `xxh3`.
    Xxh3,
    /// XXH3 with 128 bits and no seed, `xxh128`.
    Xxh128,
    /// CRC-32C (Castagnoli's, of iSCSI and the object stores), `crc32c`.
    Crc32c,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Blake3,
        Self::Xxh3,
        Self::Xxh128,
        Self::Crc32c,
    ];

    /// Those with a program in coreutils, such as `md5sum`. Each has digests of another length.
    pub const COREUTILS: [Self; 6] =
        [Self::Md5, Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in lower case, as in `sha256sum`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
            Self::Xxh3 => "xxh3",
            Self::Xxh128 => "xxh128",
            Self::Crc32c => "crc32c",
        }
    }

    /// The name in a tagged check line, as in `SHA256 (name) = …`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha224 => "SHA224",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
            Self::Blake3 => "BLAKE3",
            Self::Xxh3 => "XXH3",
            Self::Xxh128 => "XXH128",
            Self::Crc32c => "CRC32C",
        }
    }

    /// Bytes of its digests.
    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32c => 4,
            Self::Xxh3 => 8,
            Self::Md5 | Self::Xxh128 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = io::Error;

    /// Takes a name in either case, with or without hyphens: `sha256`, `SHA256`, `sha-256`.
    fn from_str(name: &str) -> io::Result<Self> {
        let plain = name.to_ascii_lowercase().replace('-', "");
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == plain).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            io::Error::new(io::ErrorKind::InvalidInput, format!("no algorithm {name:?}: use one of {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_taken_in_either_case_and_unknown_ones_are_refused_with_the_known() {
        assert_eq!("SHA-512".parse::<Algorithm>().unwrap(), Algorithm::Sha512);
        assert_eq!("CRC-32C".parse::<Algorithm>().unwrap(), Algorithm::Crc32c);
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse::<Algorithm>().unwrap(), algorithm);
            assert_eq!(algorithm.tag().parse::<Algorithm>().unwrap(), algorithm);
        }
        for unknown in ["md6", "", "xxh64", "crc32"] {
            let error = unknown.parse::<Algorithm>().unwrap_err().to_string();
            assert!(error.contains(&format!("{unknown:?}")), "{error}");
            assert!(Algorithm::ALL.iter().all(|known| error.contains(known.name())), "{error}");
        }
    }

    #[test]
    fn the_length_of_a_digest_says_which_algorithm_of_coreutils_it_is_of() {
        let lengths = Algorithm::COREUTILS.map(Algorithm::digest_bytes);
        assert_eq!(BTreeSet::from(lengths).len(), Algorithm::COREUTILS.len());
    }
}
