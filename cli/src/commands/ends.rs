//! Where a command reads from and writes to: names, and `-` for the standard streams.

use crate::closed;
use afx_core::{Error, Operation, copy::End, engine::StandardStream};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

/// How errors call what `-` is read from.
pub(super) const STANDARD_INPUT: &str = "standard input";
/// How errors call what `-` is written to.
pub(super) const STANDARD_OUTPUT: &str = "standard output";

/// A source: `-` is standard input.
pub(super) fn source(path: &Path) -> afx_core::Result<End> {
    if path != "-" {
        return named(path);
    }
    Ok(End::Open(Arc::new(standard_input()?), STANDARD_INPUT.into()))
}

/// A target: `-` is standard output.
pub(super) fn target(path: &Path) -> afx_core::Result<End> {
    if path != "-" {
        return named(path);
    }
    let file = open(StandardStream::Output, io::stdout().as_fd(), STANDARD_OUTPUT)?;
    Ok(End::Open(Arc::new(file), STANDARD_OUTPUT.into()))
}

/// Standard input, if there is one.
pub(super) fn standard_input() -> afx_core::Result<OwnedFd> {
    open(StandardStream::Input, io::stdin().as_fd(), STANDARD_INPUT)
}

/// Refuses the names of standard streams that are closed.
pub(super) fn check_name(path: &Path) -> afx_core::Result<()> {
    closed::check_path(path).map_err(|cause| Error::new(Operation::Open, cause).with_path(path))
}

fn named(path: &Path) -> afx_core::Result<End> {
    check_name(path).map(|()| path.into())
}

fn open(stream: StandardStream, file: BorrowedFd<'_>, name: &str) -> afx_core::Result<OwnedFd> {
    let file = closed::check(stream).and_then(|()| file.try_clone_to_owned());
    file.map_err(|cause| Error::new(Operation::Open, cause).with_path(name))
}
