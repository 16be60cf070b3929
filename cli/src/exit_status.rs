//! The one table of exit statuses.
//!
//! | status | means |
//! |---|---|
//! | 0 | done |
//! | 1 | something failed, or differs from its digest |
//! | 2 | the command line makes no sense (clap says so) |
//! | by SIGINT, SIGTERM or SIGHUP | stopped by that signal, after removing the temporary file |
//! | by SIGPIPE | nobody reads standard output any more |

use signal_hook::low_level::emulate_default_handler;
use std::{ffi::c_int, process::ExitCode};

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
