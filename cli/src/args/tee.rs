//! The options of `afx tee`.

use super::{algorithm, compression};
use afx_core::{compress::Compression, hash::Algorithm};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Copy standard input to standard output and to files, as it comes
///
/// Each file is for itself: one that cannot be written is named, and the others go on. When nobody
/// reads standard output any more, it ends, as tee does.
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "one per option of the command line")]
pub(crate) struct TeeArguments {
    /// Files to write; `-` is standard output once more
    #[arg(value_name = "FILES")]
    pub(crate) files: Vec<PathBuf>,

    /// Write behind what is in the files; with --compress they are read first, and one that was cut off is refused
    #[arg(short, long)]
    pub(crate) append: bool,

    /// Let SIGINT (control-C) pass by: whoever writes to the pipe ends first
    #[arg(short, long)]
    pub(crate) ignore_interrupts: bool,

    /// Go on when nobody reads a pipe any more, as --output-error=warn-nopipe
    #[arg(short = 'p')]
    pub(crate) pipes: bool,

    /// What a file that cannot be written does to the others
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "warn-nopipe")]
    pub(crate) output_error: Option<OutputError>,

    /// Wait for a file or pipe that takes nothing, or leave it behind (detach) after a second, with exit
    /// status 1; what it got is the beginning of the input
    #[arg(long, value_name = "WHAT", default_value = "wait", hide_possible_values = true)]
    pub(crate) on_slow: Slow,

    /// Hash what is written to the files in the same pass, and print the digests on standard error
    #[arg(long, value_name = "ALGO", value_delimiter = ',')]
    #[arg(value_parser = algorithm(), hide_possible_values = true)]
    pub(crate) hash: Vec<Algorithm>,

    /// Write the digests to this file, in one step when all is done
    ///
    /// The names in it are FILES as they are given, relative to the working directory. What is not complete is not
    /// in it; where nothing is, an old manifest stays.
    #[arg(long, value_name = "FILE", requires = "hash")]
    pub(crate) manifest: Option<PathBuf>,

    /// Compress what is written, everywhere: zstd or gzip, with a level as in zstd:19
    #[arg(value_parser = compression(), hide_possible_values = true)]
    #[arg(long, value_name = "CODEC[:LEVEL]")]
    pub(crate) compress: Option<Compression>,

    /// Do not write to standard output
    #[arg(long)]
    pub(crate) no_stdout: bool,
}

/// As tee's option says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputError {
    /// Name it and go on
    Warn,
    /// Name it, unless it is a pipe, and go on
    WarnNopipe,
    /// End
    Exit,
    /// End, unless it is a pipe
    ExitNopipe,
}

/// What becomes of what does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Slow {
    Wait,
    Detach,
}
