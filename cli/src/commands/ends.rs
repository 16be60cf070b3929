//! Where a command reads from and writes to: names, and `-` for the standard streams.

use crate::output::Failure;
use afx_core::{Error, Operation, copy::End};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::Arc,
};

/// A source: `-` is standard input.
pub(super) fn source(path: &Path) -> Result<End, Failure> {
    if path == "-" { open(io::stdin().as_fd(), "standard input") } else { Ok(path.into()) }
}

/// A target: `-` is standard output.
pub(super) fn target(path: &Path) -> Result<End, Failure> {
    if path == "-" { open(io::stdout().as_fd(), "standard output") } else { Ok(path.into()) }
}

fn open(file: BorrowedFd<'_>, name: &str) -> Result<End, Failure> {
    let file = file.try_clone_to_owned();
    let file = file.map_err(|cause| Error::new(Operation::Open, cause).with_path(name))?;
    Ok(End::Open(Arc::new(file), name.into()))
}
