//! The options of `afx hash`.

use super::algorithm;
use afx_core::hash::Algorithm;
use clap::Args;
use std::{num::NonZero, path::PathBuf};

/// Print digests of files, or check files against digests
///
/// Prints and reads the lines of sha256sum and its family, of b3sum and xxhsum, and BSD's tagged ones. Several
/// files are hashed at the same time; their lines come in the order of the names.
#[derive(Args, Debug)]
pub(crate) struct HashArguments {
    /// md5, sha1, sha224, sha256 (default), sha384, sha512, blake3, xxh3, xxh128 or crc32c, or several
    ///
    /// Several, as in `-a sha256,blake3`, read each file once and print a tagged line for each algorithm. When
    /// checking, a line with a tag says by itself what it is of, and so does one of `xxhsum -H3`. A line without is
    /// of the first of these algorithms that has digests of that length, or, when none is asked for, of MD5, SHA-1
    /// or SHA-2. A CRC-32C is 8 digits, the most significant first.
    #[arg(short, long = "algorithm", value_name = "ALGO[,ALGO]", value_delimiter = ',')]
    #[arg(value_parser = algorithm(), hide_possible_values = true)]
    pub(crate) algorithms: Vec<Algorithm>,

    /// Read digests and names from FILES, and check these
    #[arg(short, long)]
    pub(crate) check: bool,

    /// Print BSD's form, `SHA256 (name) = HEX`
    #[arg(long, conflicts_with = "check")]
    pub(crate) tag: bool,

    /// Show how far it is: by a bar on a terminal, by a line every few seconds elsewhere
    #[arg(long)]
    pub(crate) progress: bool,

    /// Threads at work, for as many files at the same time; as many as there are CPUs by default
    ///
    /// With 1, one file is read after the other, which is best on a disk that turns.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,

    /// Files to read; `-`, or none at all, is standard input
    #[arg(value_name = "FILES")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) checking: CheckingArguments,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "With --check")]
#[allow(clippy::struct_excessive_bools, reason = "one per option of the command line")]
pub(crate) struct CheckingArguments {
    /// Print nothing; the exit status tells
    #[arg(long, requires = "check")]
    pub(crate) status: bool,

    /// Pass over files that do not exist
    #[arg(long, requires = "check")]
    pub(crate) ignore_missing: bool,

    /// Fail if a line is improperly formatted
    #[arg(long, requires = "check")]
    pub(crate) strict: bool,

    /// Name each line that is improperly formatted
    #[arg(short, long, requires = "check")]
    pub(crate) warn: bool,
}
