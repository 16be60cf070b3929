//! The options of `afx copy`.

use afx_core::hash::Algorithm;
use clap::Args;
use std::path::PathBuf;

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

    /// Show how far it is: by a bar on a terminal, by a line every few seconds elsewhere
    #[arg(long)]
    pub(crate) progress: bool,

    /// The file to copy; a link is followed
    pub(crate) source: PathBuf,

    /// The file to write, or a directory to write it to
    pub(crate) target: PathBuf,
}
