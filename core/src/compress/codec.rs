//! Which format, and how hard to try.

use std::{
    ffi::OsStr,
    fmt, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

/// A format of compressed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Zstandard (RFC 8878), `.zst`.
    Zstd,
    /// Gzip (RFC 1952), `.gz`.
    Gzip,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Zstd, Self::Gzip];

    /// The name of the command for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What file names end with, without the dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Zstd => "zst",
            Self::Gzip => "gz",
        }
    }

    /// The levels that it knows.
    pub fn levels(self) -> RangeInclusive<i32> {
        match self {
            Self::Zstd => 1..=22,
            Self::Gzip => 0..=9,
        }
    }

    /// The codec that a file name tells by its suffix.
    pub fn of_path(path: &Path) -> Option<Self> {
        let suffix = path.extension()?;
        Self::ALL.into_iter().find(|codec| suffix == OsStr::new(codec.suffix()))
    }

    /// The file name without the suffix of this codec, if it has that and something before it.
    pub fn strip_suffix(self, path: &Path) -> Option<PathBuf> {
        (Self::of_path(path) == Some(self)).then(|| path.with_extension(""))
    }

    /// The codec whose data starts with `bytes`, of which four are enough; also `None` if they are too few to tell.
    ///
    /// A skippable frame of zstd counts, though other formats have the same.
    pub fn of_magic(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            _ => None,
        }
    }

    /// The only codec whose data may start with `byte`.
    pub(super) fn of_first_byte(byte: u8) -> Option<Self> {
        match byte {
            0x28 | 0x50..=0x5f => Some(Self::Zstd),
            0x1f => Some(Self::Gzip),
            _ => None,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Codec {
    type Err = io::Error;

    /// Takes the name or the suffix: `zstd`, `zst`, `gzip`, `gz`.
    fn from_str(name: &str) -> io::Result<Self> {
        let found = Self::ALL.into_iter().find(|codec| [codec.name(), codec.suffix()].contains(&name));
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            invalid(format!("no codec {name:?}: use one of {known}"))
        })
    }
}

/// How much time a compressor spends on making the data smaller.
///
/// More is slower, and with zstd takes more memory: below 32 MiB up to 12, some 80 MiB at 19, 800 MiB at 22.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level(i32);

impl Level {
    /// A level of `codec`.
    ///
    /// # Errors
    ///
    /// Kind `InvalidInput` for one that is not in [`Codec::levels`].
    pub fn new(codec: Codec, level: i32) -> io::Result<Self> {
        let levels = codec.levels();
        if levels.contains(&level) {
            return Ok(Self(level));
        }
        let (lowest, highest) = levels.into_inner();
        Err(invalid(format!("no level {level} of {codec}: use one from {lowest} to {highest}")))
    }

    /// What the command of `codec` takes by default: 3 for zstd, 6 for gzip.
    pub fn default_of(codec: Codec) -> Self {
        match codec {
            Codec::Zstd => Self(3),
            Codec::Gzip => Self(6),
        }
    }

    /// As a number.
    pub fn get(self) -> i32 {
        self.0
    }
}

/// What is done to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// They become fewer.
    Compress {
        /// The format.
        codec: Codec,
        /// How hard to try; of the same codec.
        level: Level,
    },
    /// They become what they were: of this codec, or of the one that the first bytes tell.
    Decompress(Option<Codec>),
}

impl FromStr for Compression {
    type Err = io::Error;

    /// Takes what is to be done to compress: a codec, with or without a level, as in `zstd:19`.
    fn from_str(text: &str) -> io::Result<Self> {
        let (codec, level) = match text.split_once(':') {
            None => (text.parse()?, None),
            Some((codec, level)) => (codec.parse()?, Some(level)),
        };
        let level = match level {
            None => Level::default_of(codec),
            Some(level) => {
                let number = level.parse().map_err(|_| invalid(format!("no level {level:?} of {codec}")))?;
                Level::new(codec, number)?
            }
        };
        Ok(Self::Compress { codec, level })
    }
}

pub(super) fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_known_by_name_suffix_path_and_magic() {
        for (codec, names, file, magic) in [
            (Codec::Zstd, ["zstd", "zst"], "a.b.zst", &[0x28, 0xb5, 0x2f, 0xfd, 0][..]),
            (Codec::Zstd, ["zstd", "zst"], ".a.zst", &[0x5f, 0x2a, 0x4d, 0x18]),
            (Codec::Gzip, ["gzip", "gz"], "a.gz", &[0x1f, 0x8b]),
        ] {
            for name in names {
                assert_eq!(name.parse::<Codec>().unwrap(), codec);
            }
            assert_eq!(Codec::of_path(Path::new(file)), Some(codec));
            assert_eq!(Codec::of_magic(magic), Some(codec));
            assert_eq!(Codec::of_first_byte(magic[0]), Some(codec));
        }
        for path in ["a", "a.gzip", ".gz", "a.gz/", "zst", "a.GZ"] {
            let expected = (path == "a.gz/").then_some(Codec::Gzip);
            assert_eq!(Codec::of_path(Path::new(path)), expected, "{path}");
        }
        assert_eq!(Codec::of_magic(&[0x28, 0xb5]), None);
        assert_eq!(Codec::of_magic(b"plain"), None);
        let message = "lz4".parse::<Codec>().unwrap_err().to_string();
        assert_eq!(message, "no codec \"lz4\": use one of zstd, gzip");
    }

    #[test]
    fn a_suffix_is_taken_off_only_by_its_own_codec() {
        let path = Path::new("dir.gz/a.b.zst");
        assert_eq!(Codec::Zstd.strip_suffix(path), Some("dir.gz/a.b".into()));
        assert_eq!(Codec::Gzip.strip_suffix(path), None);
    }

    #[test]
    fn a_level_is_one_that_the_codec_has() {
        for codec in Codec::ALL {
            let (lowest, highest) = codec.levels().into_inner();
            assert_eq!(Level::new(codec, lowest).unwrap().get(), lowest);
            assert_eq!(Level::new(codec, highest).unwrap().get(), highest);
            for level in [lowest - 1, highest + 1, i32::MIN, i32::MAX] {
                let error = Level::new(codec, level).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            }
            assert!(codec.levels().contains(&Level::default_of(codec).get()));
        }
    }

    #[test]
    fn what_to_compress_with_is_written_as_codec_and_level() {
        for (text, codec, level) in
            [("zstd", Codec::Zstd, 3), ("zst:19", Codec::Zstd, 19), ("gz:1", Codec::Gzip, 1)]
        {
            let level = Level::new(codec, level).unwrap();
            assert_eq!(text.parse::<Compression>().unwrap(), Compression::Compress { codec, level });
        }
        for text in ["", ":3", "zstd:", "zstd:x", "zstd:23", "gzip:10", "zstd:3:3", "xz"] {
            let error = text.parse::<Compression>().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
        }
    }
}
