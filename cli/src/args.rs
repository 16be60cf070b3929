//! The command line.

use afx_core::{hash::Algorithm, tail::Start};
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

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
    Tail(TailArguments),
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
    /// Hash the bytes in the same pass and print `HEX  TARGET`; `afx hash --help` names the algorithms
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

/// Print the last lines of a file, and with -f or -F those that are still to come
///
/// With -F, a file that is rotated is read to its end before the one that took its name, also when
/// nobody reads the output meanwhile, and lines that a late writer still puts into it come as well.
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "one per option of the command line")]
pub(crate) struct TailArguments {
    /// Print the last N lines; with +N, begin with line N
    #[arg(short = 'n', long, value_name = "[+]N", default_value = "10", allow_hyphen_values = true)]
    #[arg(value_parser = start)]
    pub(crate) lines: Start,

    /// At the end, wait for more in the same file, whatever it is called by then
    #[arg(short, long, overrides_with = "follow_name")]
    pub(crate) follow: bool,

    /// At the end, wait for more in whatever file has this name; it need not exist yet
    #[arg(short = 'F', long, overrides_with = "follow")]
    pub(crate) follow_name: bool,

    /// Also look every so many seconds, for changes that the kernel does not tell of
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) sleep_interval: Option<Duration>,

    /// Lines end with NUL, not newline
    #[arg(short, long)]
    pub(crate) zero_terminated: bool,

    /// Say nothing when the file is replaced, truncated, gone or back
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// The file; `-`, or none, is standard input
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
}

fn start(text: &str) -> Result<Start, String> {
    let (start, digits): (fn(u64) -> Start, &str) = match text.strip_prefix('+') {
        Some(digits) => (Start::Line, digits),
        None => (Start::LastLines, text.strip_prefix('-').unwrap_or(text)),
    };
    if digits.starts_with('+') {
        return Err("a number, or + and a number, is wanted".into());
    }
    digits.parse().map(start).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("more than 0 is wanted".into()) } else { Ok(duration) }
}

/// Say which engine is used and why, and what this machine and directory support
#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {}
