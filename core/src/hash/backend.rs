//! How this CPU computes a hash.

use super::Algorithm;
use crc_fast::{CrcAlgorithm, get_calculator_target};

/// How this CPU computes `algorithm`: by instructions made for it, by vectors, or by ordinary ones.
///
/// The answer names what is used: it is asked of the hash library where that tells, and otherwise asks
/// what the library asks when it starts. What is chosen when the program is compiled (XXH3) is chosen
/// then for this crate as well.
pub fn cpu_backend(algorithm: Algorithm) -> String {
    match algorithm {
        Algorithm::Blake3 => blake3_backend(&format!("{:?}", blake3::Hasher::new())),
        Algorithm::Crc32c => get_calculator_target(CrcAlgorithm::Crc32Iscsi),
        Algorithm::Xxh3 | Algorithm::Xxh128 => xxh3_backend().to_owned(),
        Algorithm::Md5 => "software".to_owned(),
        Algorithm::Sha1 => sha1_backend().to_owned(),
        Algorithm::Sha224 | Algorithm::Sha256 => sha256_backend().to_owned(),
        Algorithm::Sha384 | Algorithm::Sha512 => sha512_backend().to_owned(),
    }
}

/// The platform that a hasher of BLAKE3 shows among its fields.
fn blake3_backend(shown: &str) -> String {
    let platform = shown.split_once("platform: ").map(|(_, rest)| rest);
    let name = platform.and_then(|rest| rest.split(|letter: char| !letter.is_alphanumeric()).next());
    match name {
        Some("Portable") => "software".to_owned(),
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "not known".to_owned(),
    }
}

fn xxh3_backend() -> &'static str {
    if cfg!(target_feature = "avx512f") {
        "AVX-512"
    } else if cfg!(target_feature = "avx2") {
        "AVX2"
    } else if cfg!(target_feature = "sse2") {
        "SSE2"
    } else if cfg!(target_feature = "neon") {
        "NEON"
    } else {
        "software"
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
mod detected {
    use std::arch::is_x86_feature_detected as has;

    pub(super) fn sha1() -> Option<&'static str> {
        (has!("sha") && has!("ssse3") && has!("sse4.1")).then_some("SHA-NI")
    }

    pub(super) fn sha256() -> Option<&'static str> {
        (has!("sha") && has!("sse4.1")).then_some("SHA-NI")
    }

    pub(super) fn sha512() -> Option<&'static str> {
        has!("avx2").then_some("AVX2")
    }
}

#[cfg(target_arch = "aarch64")]
mod detected {
    use std::arch::is_aarch64_feature_detected as has;

    const NAME: &str = "ARMv8 cryptography";

    pub(super) fn sha1() -> Option<&'static str> {
        has!("sha2").then_some(NAME)
    }

    pub(super) fn sha256() -> Option<&'static str> {
        has!("sha2").then_some(NAME)
    }

    pub(super) fn sha512() -> Option<&'static str> {
        has!("sha3").then_some(NAME)
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
mod detected {
    pub(super) fn sha1() -> Option<&'static str> {
        None
    }

    pub(super) fn sha256() -> Option<&'static str> {
        None
    }

    pub(super) fn sha512() -> Option<&'static str> {
        None
    }
}

fn sha1_backend() -> &'static str {
    detected::sha1().unwrap_or("software")
}

fn sha256_backend() -> &'static str {
    detected::sha256().unwrap_or("software")
}

fn sha512_backend() -> &'static str {
    detected::sha512().unwrap_or("software")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_has_an_answer_and_blake3_tells_its_own() {
        for algorithm in Algorithm::ALL {
            let backend = cpu_backend(algorithm);
            assert!(!backend.is_empty() && backend != "not known", "{algorithm}: {backend}");
        }
        assert_eq!(blake3_backend("Hasher { flags: 0, platform: AVX2 }"), "AVX2");
        assert_eq!(blake3_backend("Hasher { platform: Portable, x: 1 }"), "software");
        assert_eq!(blake3_backend("Hasher"), "not known");
    }
}
