//! The one table of exit statuses.

use signal_hook::low_level::emulate_default_handler;
use std::{ffi::c_int, process::ExitCode};

/// What each status means, for the manual and docs/reference/exit-status.md.
pub(crate) const TABLE: [(&str, &str); 5] = [
    ("0", "done"),
    ("1", "something failed, or `afx hash --check` found a file that differs"),
    ("2", "the command line cannot be understood"),
    (
        "died by SIGINT, SIGTERM or SIGHUP",
        "told to stop; the temporary file of a copy is removed first, the old target is whole",
    ),
    ("died by SIGPIPE", "the reader of its output went away; nothing is printed about it"),
];

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// All that was asked for was done.
    Done,
    /// Something failed, which was said on standard error, or differs.
    Failed,
    /// The process dies by this signal, as its parent expects.
    Signal(c_int),
}

impl ExitStatus {
    /// The status to return from `main`; does not return when the process dies by a signal.
    pub(crate) fn leave(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
            Self::Signal(signal) => {
                // It fails only for numbers that are no signals; then any status but success is right.
                let _ = emulate_default_handler(signal);
                ExitCode::FAILURE
            }
        }
    }

    /// The worse of two.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Done { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::TABLE;

    #[test]
    fn the_reference_has_this_table() {
        let reference = include_str!("../../docs/reference/exit-status.md");
        let rows: Vec<_> = reference
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
            .filter(|row| *row != ("status", "meaning"))
            .collect();
        assert_eq!(rows, TABLE);
    }
}
