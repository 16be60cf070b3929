//! The options of `afx doctor`.

use clap::Args;

/// Say which engine is used and why, and what this machine and directory support
#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {}
