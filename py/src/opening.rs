//! Opening: at once where every part of the path is in memory, on the ring otherwise.

use crate::{
    driver::{Operation, submit},
    errors::os_error,
};
use afx_core::engine::{Completion, FileKind, Submission};
use pyo3::prelude::*;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use std::{
    ffi::CString,
    io,
    os::fd::{IntoRawFd, OwnedFd},
};

/// Opens a regular file for reading if no disk has to be waited for; None when that is not known.
///
/// A FIFO or device is never opened here: opening one waits for a peer, or does something.
#[pyfunction]
pub(crate) fn open_cached(
    py: Python<'_>,
    path: &[u8],
    flags: i32,
    name: &Bound<'_, PyAny>,
) -> PyResult<Option<i32>> {
    crate::driver::budget::spend(py, 0);
    let path = CString::new(path)?;
    let flags = OFlags::from_bits_retain(flags.cast_unsigned());
    if flags.intersects(OFlags::CREATE | OFlags::TRUNC | OFlags::TMPFILE) {
        return Ok(None);
    }
    match try_cached(&path, flags) {
        Ok(fd) => Ok(fd.map(IntoRawFd::into_raw_fd)),
        // Not in memory, or a kernel before 5.12: the long way finds out.
        Err(
            rustix::io::Errno::AGAIN
            | rustix::io::Errno::NOSYS
            | rustix::io::Errno::INVAL
            | rustix::io::Errno::PERM,
        ) => Ok(None),
        Err(error) => Err(os_error(py, &io::Error::from(error), Some(name.as_unbound()))),
    }
}

fn try_cached(path: &CString, flags: OFlags) -> rustix::io::Result<Option<OwnedFd>> {
    let path_only =
        openat2(CWD, path.as_c_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED)?;
    if FileKind::of(&path_only).ok() != Some(FileKind::Seekable) {
        return Ok(None);
    }
    drop(path_only);
    // Should the name be a FIFO by now, this does not wait for its other end.
    let careful = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat2(CWD, path.as_c_str(), careful, Mode::empty(), ResolveFlags::CACHED)?;
    if FileKind::of(&file).ok() != Some(FileKind::Seekable) {
        return Ok(None);
    }
    let status = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, status - OFlags::NONBLOCK)?;
    Ok(Some(file))
}

/// Starts `open(2)`; the operation gives the descriptor's number.
#[pyfunction]
pub(crate) fn open_slowly(
    py: Python<'_>,
    path: &[u8],
    flags: i32,
    mode: u32,
    name: Py<PyAny>,
) -> PyResult<Py<Operation>> {
    let path = CString::new(path)?;
    let flags = OFlags::from_bits_retain(flags.cast_unsigned());
    let then = move |py: Python<'_>, completion: Completion| match (completion.result, completion.opened) {
        (Ok(_), Some(file)) => Ok(Py::new(py, Opened(parking_lot::Mutex::new(Some(file))))?.into_any()),
        (Ok(_), None) => Err(os_error(py, &io::Error::from_raw_os_error(libc::EBADF), Some(&name))),
        (Err(error), _) => Err(os_error(py, &error, Some(&name))),
    };
    submit(py, Submission::Open { path, flags, mode: Mode::from_raw_mode(mode) }, Box::new(then))
}

/// A descriptor on its way to its file; closed if nobody takes it.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Opened(parking_lot::Mutex<Option<OwnedFd>>);

#[pymethods]
impl Opened {
    /// The number, whose owner the caller now is.
    fn take(&self) -> Option<i32> {
        self.0.lock().take().map(IntoRawFd::into_raw_fd)
    }
}

/// (is a directory, is a terminal, block size) of an open descriptor.
#[pyfunction]
pub(crate) fn describe(py: Python<'_>, fd: i32, name: &Bound<'_, PyAny>) -> PyResult<(bool, bool, i64)> {
    describe_fd(fd).map_err(|error| os_error(py, &error, Some(name.as_unbound())))
}

#[allow(unsafe_code, reason = "a descriptor number that Python gave us")]
fn describe_fd(fd: i32) -> io::Result<(bool, bool, i64)> {
    // SAFETY: the number is only asked about.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    let stat = rustix::fs::fstat(fd)?;
    let kind = FileKind::of(fd)?;
    let terminal = kind == FileKind::Pollable && rustix::termios::isatty(fd);
    Ok((kind == FileKind::Directory, terminal, stat.st_blksize))
}
