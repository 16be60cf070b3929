//! The command line.

use clap::{Args, Parser, Subcommand};

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
    Doctor(DoctorArguments),
}

/// Say which engine is used and why, and what this machine and directory support
#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {}
