//! The options of `afx hash`.

use afx_core::hash::Algorithm;
use clap::Args;
use std::path::PathBuf;

/// Print digests of files, or check files against digests
///
/// Prints and reads the lines of sha256sum and its family, and BSD's tagged ones.
#[derive(Args, Debug)]
pub(crate) struct HashArguments {
    /// md5, sha1, sha224, sha256 (default), sha384, sha512, blake3, xxh3, xxh128 or crc32c; when
    /// checking, a tagged line says by itself, and one without a tag is of md5, sha1 or sha2 by its length
    #[arg(short, long, value_name = "ALGO")]
    pub(crate) algorithm: Option<Algorithm>,

    /// Read digests and names from FILES, and check these
    #[arg(short, long)]
    pub(crate) check: bool,

    /// Print BSD's form, `SHA256 (name) = HEX`
    #[arg(long, conflicts_with = "check")]
    pub(crate) tag: bool,

    /// Show how far it is: by a bar on a terminal, by a line every few seconds elsewhere
    #[arg(long)]
    pub(crate) progress: bool,

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
