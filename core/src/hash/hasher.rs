//! The running state of one hash, or of several over the same bytes.

use super::{Algorithm, Digest};
use crc_fast::CrcAlgorithm;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use std::fmt;
use xxhash_rust::xxh3::Xxh3Default;

/// What holes are hashed as, a step at a time.
const ZEROS: &[u8] = &[0; 64 * 1024];

/// A hash that is being computed.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Md5(Md5),
    Sha1(Sha1),
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
    // These two keep a kibibyte and more.
    Blake3(Box<blake3::Hasher>),
    Xxh3(Box<Xxh3Default>),
    Xxh128(Box<Xxh3Default>),
    Crc32c(crc_fast::Digest),
}

impl Hasher {
    /// The state before the first byte.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Md5 => State::Md5(Md5::new()),
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha224 => State::Sha224(Sha224::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha384 => State::Sha384(Sha384::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
            Algorithm::Xxh3 => State::Xxh3(Box::new(Xxh3Default::new())),
            Algorithm::Xxh128 => State::Xxh128(Box::new(Xxh3Default::new())),
            Algorithm::Crc32c => State::Crc32c(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
        })
    }

    /// The algorithm that it computes.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            State::Md5(_) => Algorithm::Md5,
            State::Sha1(_) => Algorithm::Sha1,
            State::Sha224(_) => Algorithm::Sha224,
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha384(_) => Algorithm::Sha384,
            State::Sha512(_) => Algorithm::Sha512,
            State::Blake3(_) => Algorithm::Blake3,
            State::Xxh3(_) => Algorithm::Xxh3,
            State::Xxh128(_) => Algorithm::Xxh128,
            State::Crc32c(_) => Algorithm::Crc32c,
        }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Sha224(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
            State::Blake3(state) => _ = state.update(bytes),
            State::Xxh3(state) | State::Xxh128(state) => state.update(bytes),
            State::Crc32c(state) => state.update(bytes),
        }
    }

    /// Takes in `len` bytes of value zero.
    pub fn update_zeros(&mut self, len: u64) {
        let mut left = len;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.update(ZEROS.split_at(part).0);
            left -= part as u64;
        }
    }

    /// The digest of all bytes taken in.
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        match self.0 {
            State::Md5(state) => Digest::of(algorithm, &state.finalize()),
            State::Sha1(state) => Digest::of(algorithm, &state.finalize()),
            State::Sha224(state) => Digest::of(algorithm, &state.finalize()),
            State::Sha256(state) => Digest::of(algorithm, &state.finalize()),
            State::Sha384(state) => Digest::of(algorithm, &state.finalize()),
            State::Sha512(state) => Digest::of(algorithm, &state.finalize()),
            State::Blake3(state) => Digest::of(algorithm, state.finalize().as_bytes()),
            State::Xxh3(state) => Digest::of(algorithm, &state.digest().to_be_bytes()),
            State::Xxh128(state) => Digest::of(algorithm, &state.digest128().to_be_bytes()),
            State::Crc32c(state) => {
                // Of 64 bits, the lower half.
                let [_, _, _, _, value @ ..] = state.finalize().to_be_bytes();
                Digest::of(algorithm, &value)
            }
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.algorithm()).finish()
    }
}

/// Several hashes of the same bytes, computed in one pass. None at all is fine, and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Hashers(Vec<Hasher>);

impl Hashers {
    /// The states before the first byte: one for each algorithm, in the order of `algorithms`, even if
    /// some are named more than once.
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let mut hashers: Vec<Hasher> = Vec::with_capacity(algorithms.len());
        for algorithm in algorithms {
            if hashers.iter().all(|hasher| hasher.algorithm() != *algorithm) {
                hashers.push(Hasher::new(*algorithm));
            }
        }
        Self(hashers)
    }

    /// Whether there is nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The algorithms that they compute.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.0.iter().map(Hasher::algorithm)
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.iter_mut().for_each(|hasher| hasher.update(bytes));
    }

    /// Takes in `len` bytes of value zero.
    pub fn update_zeros(&mut self, len: u64) {
        self.0.iter_mut().for_each(|hasher| hasher.update_zeros(len));
    }

    /// The digests of all bytes taken in, in the order of the algorithms.
    pub fn finish(self) -> Vec<Digest> {
        self.0.into_iter().map(Hasher::finish).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::iter;

    fn digest(algorithm: Algorithm, content: &[u8]) -> String {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish().to_string()
    }

    /// Of `abc`: RFC 1321, FIPS 180-4, and what `b3sum`, `xxhsum -H3` and `xxhsum -H2` print.
    const OF_ABC: [(Algorithm, &str); 10] = [
        (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
        (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Algorithm::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Algorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            Algorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (Algorithm::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
        (Algorithm::Xxh3, "78af5f94892f3950"),
        (Algorithm::Xxh128, "06b05ab6733a618578af5f94892f3950"),
        (Algorithm::Crc32c, "364b3fb7"),
    ];

    #[test]
    fn digests_are_those_of_the_standards_and_of_the_programs() {
        for (algorithm, expected) in OF_ABC {
            assert_eq!(digest(algorithm, b"abc"), expected);
        }
        assert_eq!(OF_ABC.map(|(algorithm, _)| algorithm), Algorithm::ALL);
    }

    /// The content of BLAKE3's own test vectors.
    fn counting(len: usize) -> Vec<u8> {
        (0..len).map(|index| u8::try_from(index % 251).unwrap()).collect()
    }

    /// test_vectors.json of BLAKE3, the first 32 bytes of `hash`.
    #[test]
    fn blake3_agrees_with_its_own_test_vectors() {
        for (len, expected) in [
            (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
            (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
            (1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"),
            (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
            (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
            (102_400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"),
        ] {
            assert_eq!(digest(Algorithm::Blake3, &counting(len)), expected, "{len} bytes");
        }
    }

    /// The content of xxHash's own sanity checks.
    fn sanity_buffer(len: usize) -> Vec<u8> {
        let bytes = iter::successors(Some(2_654_435_761_u64), |last| {
            Some(last.wrapping_mul(11_400_714_785_074_694_797))
        });
        bytes.take(len).map(|value| value.to_be_bytes()[0]).collect()
    }

    /// sanity_test_vectors.h of xxHash: one for each way that a length takes through the algorithm.
    #[test]
    fn xxh3_and_xxh128_agree_with_the_sanity_checks_of_xxhash() {
        for (len, expected) in [
            (0, "2d06800538d394c2"),
            (1, "c44bdff4074eecdb"),
            (6, "27b56a84cd2d7325"),
            (12, "a713daf0dfbb77e7"),
            (24, "a3fe70bf9d3510eb"),
            (80, "bcdefbbb2c47c90a"),
            (195, "cd94217ee362ec3a"),
            (241, "c5a639ecd2030e5e"),
            (403, "cdeb804d65c6dea4"),
            (512, "617e49599013cb6b"),
            (2048, "dd59e2c3a5f038e0"),
            (4160, "4f323b15321e94e1"),
        ] {
            assert_eq!(digest(Algorithm::Xxh3, &sanity_buffer(len)), expected, "{len} bytes");
        }
        for (len, expected) in [
            (0, "99aa06d3014798d86001c324468d497f"),
            (1, "a6cd5e9392000f6ac44bdff4074eecdb"),
            (512, "18d2d110dcc9bca1617e49599013cb6b"),
        ] {
            assert_eq!(digest(Algorithm::Xxh128, &sanity_buffer(len)), expected, "{len} bytes");
        }
    }

    /// RFC 3720, appendix B.4, whose bytes are written in the order in which they are sent: the least
    /// significant first.
    #[test]
    fn crc32c_agrees_with_the_vectors_of_iscsi_written_with_the_most_significant_byte_first() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        for (content, sent) in [
            (&[0; 32][..], "aa36918a"),
            (&[0xff; 32], "43aba862"),
            (&rising, "4e79dd46"),
            (&falling, "5cdb3f11"),
        ] {
            let mut bytes = Digest::from_hex(Algorithm::Crc32c, sent.as_bytes()).unwrap().bytes().to_vec();
            bytes.reverse();
            assert_eq!(digest(Algorithm::Crc32c, content), Digest::of(Algorithm::Crc32c, &bytes).to_string());
        }
        assert_eq!(digest(Algorithm::Crc32c, b"123456789"), "e3069283");
    }

    #[test]
    fn zeros_count_as_bytes() {
        for algorithm in Algorithm::ALL {
            let mut counted = Hasher::new(algorithm);
            counted.update(b"before");
            counted.update_zeros(200_001);
            let written = digest(algorithm, &[b"before".to_vec(), vec![0; 200_001]].concat());
            assert_eq!(counted.finish().to_string(), written);
        }
    }

    #[test]
    fn several_are_the_same_as_each_by_itself_in_the_order_asked_for_and_each_once() {
        let asked = [Algorithm::Xxh128, Algorithm::Sha256, Algorithm::Xxh128, Algorithm::Md5];
        let mut hashers = Hashers::new(&asked);
        assert_eq!(
            hashers.algorithms().collect::<Vec<_>>(),
            [Algorithm::Xxh128, Algorithm::Sha256, Algorithm::Md5]
        );
        hashers.update(b"data");
        hashers.update_zeros(70_000);
        let content = [b"data".to_vec(), vec![0; 70_000]].concat();
        let expected =
            [asked[0], asked[1], asked[3]].map(|algorithm| (algorithm, digest(algorithm, &content)));
        let digests = hashers
            .finish()
            .into_iter()
            .map(|digest| (digest.algorithm(), digest.to_string()))
            .collect::<Vec<_>>();
        assert_eq!(digests, expected);
        assert!(Hashers::new(&[]).is_empty() && Hashers::default().finish().is_empty());
    }

    #[test]
    fn a_clone_goes_on_by_itself() {
        for algorithm in Algorithm::ALL {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&counting(5000));
            let mut clone = hasher.clone();
            clone.update(b"more");
            assert_eq!(hasher.finish().to_string(), digest(algorithm, &counting(5000)));
            assert_eq!(
                clone.finish().to_string(),
                digest(algorithm, &[counting(5000), b"more".to_vec()].concat())
            );
        }
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(
            len in 0..40_000_usize,
            mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let content = counting(len);
            let mut offsets: Vec<usize> = cuts.drain(..).map(|cut| cut.index(len + 1)).collect();
            offsets.sort_unstable();
            let mut hashers = Hashers::new(&Algorithm::ALL);
            let mut from = 0;
            for offset in offsets.into_iter().chain([len]) {
                hashers.update(&content[from..offset]);
                from = offset;
            }
            for cut in hashers.finish() {
                prop_assert_eq!(cut.to_string(), digest(cut.algorithm(), &content));
            }
        }
    }
}
