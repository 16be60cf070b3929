//! The command line.

use afx_core::hash::Algorithm;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Copy, hash and follow files on completion I/O.
#[derive(Debug, Parser)]
#[command(name = "afx", version, max_term_width = 100, disable_help_subcommand = true, after_help = EXIT_STATUS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_STATUS: &str = "\
Exit status: 0 done, 1 something failed or differs, 2 wrong usage.
AFX_ENGINE=uring|threads overrides the choice of engine; `afx doctor` says what was chosen.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Copy(CopyArguments),
    Hash(HashArguments),
    Doctor(DoctorArguments),
}

/// Copy a file, replacing the target in one step, and hash it on the way if asked
///
/// The new content is written beside the target and takes its name when it is complete: a failure or
/// a signal leaves the old target whole. An existing target keeps its owner, permissions and
/// attributes. Where a rename would break something (other hard links, a device, a mount point, a
/// directory that cannot be written), the target is written in place, which is said.
#[derive(Args, Debug)]
pub(crate) struct CopyArguments {
    /// Hash the bytes in the same pass and print `HEX  TARGET`: sha224, sha256, sha384 or sha512
    #[arg(long, value_name = "ALGO")]
    pub(crate) hash: Option<Algorithm>,

    /// The file to copy; a link is followed
    pub(crate) source: PathBuf,

    /// The file to write, or a directory to write it to
    pub(crate) target: PathBuf,
}

/// Print digests of files, or check files against digests
///
/// Prints and reads the lines of sha256sum and its family, and BSD's tagged ones.
#[derive(Args, Debug)]
pub(crate) struct HashArguments {
    /// sha224, sha256 (default), sha384 or sha512; when checking, each line says by itself
    #[arg(short, long, value_name = "ALGO")]
    pub(crate) algorithm: Option<Algorithm>,

    /// Read digests and names from FILES, and check these
    #[arg(short, long)]
    pub(crate) check: bool,

    /// Print BSD's form, `SHA256 (name) = HEX`
    #[arg(long, conflicts_with = "check")]
    pub(crate) tag: bool,

    #[command(flatten)]
    pub(crate) checking: CheckingArguments,

    /// Files to read; `-`, or none at all, is standard input
    #[arg(value_name = "FILES")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "With --check")]
#[allow(clippy::struct_excessive_bools, reason = "one per option of the command line")]
pub(crate) struct CheckingArguments {
    /// Do not print OK for each file that matches
    #[arg(long, requires = "check")]
    pub(crate) quiet: bool,

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

/// Say which engine is used and why, and what this machine and directory support
#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {}
