//! Standard streams that were closed when the process began: there is nothing to read from them, or to write to.

use afx_core::engine::StandardStream;
use rustix::io::Errno;
use std::{io, path::Path};

/// `EBADF` if `stream` was closed.
pub(crate) fn check(stream: StandardStream) -> io::Result<()> {
    if stream.was_closed() { Err(Errno::BADF.into()) } else { Ok(()) }
}

/// `EBADF` if `path` is the name that a standard stream has in the file system, and it was closed.
pub(crate) fn check_path(path: &Path) -> io::Result<()> {
    match path.to_str() {
        Some("/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0") => check(StandardStream::Input),
        Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => check(StandardStream::Output),
        _ => Ok(()),
    }
}
