//! The options of `afx copy`.

use super::{algorithm, compression};
use crate::size;
use afx_core::{
    compress::Compression,
    copy::{Durability, Reflink, Sparse},
    hash::Algorithm,
};
use clap::{Args, ValueEnum, ValueHint};
use std::{num::NonZeroU64, path::PathBuf};

/// Copy files, each target replaced in one step; hash, compress and verify them on the way
///
/// The new content is written beside the target and takes its name when it is complete: a failure or
/// a signal leaves the old target whole. An existing target keeps its owner, permissions and
/// attributes. Where a rename would break something (other hard links, a device, a mount point, a
/// directory that cannot be written), the target is written in place, which is said.
#[derive(Args, Debug)]
#[command(override_usage = "afx copy [OPTIONS] SOURCE TARGET\n       \
                            afx copy [OPTIONS] SOURCE... DIRECTORY\n       \
                            afx copy [OPTIONS] -t DIRECTORY SOURCE...")]
#[allow(clippy::struct_excessive_bools, reason = "one per option of the command line")]
pub(crate) struct CopyArguments {
    /// Files to copy, links followed, and the file or directory to copy them to; `-` is standard input or output
    #[arg(value_name = "PATHS", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Copy into this directory; all PATHS are sources
    #[arg(short, long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath, conflicts_with = "no_target_directory")]
    pub(crate) target_directory: Option<PathBuf>,

    /// The target is a file, whatever stands there
    #[arg(short = 'T', long)]
    pub(crate) no_target_directory: bool,

    /// Write the same bytes to this file as well; can be repeated
    #[arg(long, value_name = "TARGET")]
    pub(crate) tee: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) content: ContentArguments,

    #[command(flatten)]
    pub(crate) target: TargetArguments,

    #[command(flatten)]
    pub(crate) running: RunningArguments,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "What is written")]
pub(crate) struct ContentArguments {
    /// Hash the bytes of the target in the same pass and print `HEX  TARGET`; with several, tagged lines.
    /// `afx hash --help` names the algorithms
    #[arg(long, value_name = "ALGO", value_delimiter = ',')]
    #[arg(value_parser = algorithm(), hide_possible_values = true)]
    pub(crate) hash: Vec<Algorithm>,

    /// Write the digests to this file instead of standard output, in one step when all is done
    ///
    /// The names in it are the targets as they are given, relative to the working directory. Targets that are left
    /// alone, or could not be written, are not in it; where none was written, an old manifest stays.
    #[arg(long, value_name = "FILE", requires = "hash")]
    pub(crate) manifest: Option<PathBuf>,

    /// Compress on the way: zstd or gzip, with a level as in zstd:19
    #[arg(value_parser = compression(), hide_possible_values = true)]
    #[arg(long, value_name = "CODEC[:LEVEL]", conflicts_with = "decompress")]
    pub(crate) compress: Option<Compression>,

    /// Restore what zstd or gzip compressed; which, the first bytes tell
    ///
    /// In a directory, the name loses `.zst` or `.gz`; `.tgz` and `.tzst` become `.tar`, and any other name stays.
    #[arg(long)]
    pub(crate) decompress: bool,

    /// Share blocks with the source where the file system can (auto), or fail (always), or never
    #[arg(long, value_name = "WHEN", default_value = "auto", default_missing_value = "always")]
    #[arg(num_args = 0..=1, require_equals = true, hide_possible_values = true)]
    pub(crate) reflink: When,

    /// Keep the holes of the source (auto), make one of every block of zeros (always), or none (never)
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) sparse: When,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "The target")]
#[allow(clippy::struct_excessive_bools, reason = "one per option of the command line")]
pub(crate) struct TargetArguments {
    /// Give it the source's owner, permissions, times, access control list and extended attributes
    #[arg(short, long)]
    pub(crate) preserve: bool,

    /// Write into the file itself; a failure leaves a part of the source in it
    #[arg(long, conflicts_with = "atomic")]
    pub(crate) in_place: bool,

    /// Fail where it cannot be replaced in one step, as devices, pipes and `-`
    #[arg(long)]
    pub(crate) atomic: bool,

    /// What a power loss may take: with data, it is old or new afterwards; with full, new once afx is done
    #[arg(long, value_name = "LEVEL", default_value = "none", hide_possible_values = true)]
    pub(crate) durability: Level,

    /// Read it back, past the page cache where that can be, before it takes its name; not devices, pipes or `-`
    #[arg(long)]
    pub(crate) verify: bool,

    /// Replace it only if the source was modified later
    #[arg(short, long, conflicts_with = "no_clobber")]
    pub(crate) update: bool,

    /// Leave it alone if it exists
    #[arg(short, long)]
    pub(crate) no_clobber: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "How it is done")]
#[allow(clippy::struct_excessive_bools, reason = "one per option of the command line")]
pub(crate) struct RunningArguments {
    /// Keep what is done when the copy fails, and go on from what was kept: of one file to another, as it is
    ///
    /// Not with --tee, --compress, --decompress, --in-place or `-`, and where the target can only be written in
    /// place it is refused.
    #[arg(long, conflicts_with_all = ["tee", "compress", "decompress", "in_place"])]
    pub(crate) resume: bool,

    /// Read no more than so many bytes a second, on average: 10M, 512KiB
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    pub(crate) bwlimit: Option<NonZeroU64>,

    /// Leave nothing in the page cache that was not there before
    #[arg(long)]
    pub(crate) drop_cache: bool,

    /// Say what would be done, how and why, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Show how far it is: by a bar on a terminal, by a line every few seconds elsewhere
    #[arg(long)]
    pub(crate) progress: bool,
}

/// As cp's options say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

/// What a crash may lose.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Level {
    None,
    Data,
    Full,
}

impl From<When> for Reflink {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

impl From<When> for Sparse {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

impl From<Level> for Durability {
    fn from(level: Level) -> Self {
        match level {
            Level::None => Self::None,
            Level::Data => Self::Data,
            Level::Full => Self::Full,
        }
    }
}

fn rate(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(size::parse(text)?).ok_or_else(|| "more than 0 is wanted".to_owned())
}
