//! What can be asked of a file without doing anything to it.

use super::{File, text::Seen};
use afx_core::engine::FileKind;
use pyo3::{intern, prelude::*};
use std::{io, os::fd::AsRawFd};

#[pymethods]
impl File {
    /// Has the file read and written past the page cache; `EINVAL` where it has no positions.
    fn _go_direct(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.core.lock(py);
        let file = state.descriptor()?;
        let went = match file.kind() {
            FileKind::Seekable => file.go_direct(),
            _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        };
        went.map_err(|error| self.core.os_error(py, &error))
    }

    /// Whether the file was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(stack) = self.stack.get(py) {
            return stack.getattr(py, intern!(py, "closed"));
        }
        let closed = self.core.lock(py).file.is_none();
        Ok(closed.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    /// The path or descriptor it was opened with.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.stack.get(py) {
            Some(stack) => stack.getattr(py, intern!(py, "name")),
            None => Ok(self.core.name.clone_ref(py)),
        }
    }

    /// The descriptor's number.
    fn fileno(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(stack) = self.stack.get(py) {
            return stack.call_method0(py, intern!(py, "fileno"));
        }
        let fd = self.core.lock(py).descriptor()?.as_raw_fd();
        Ok(fd.into_pyobject(py)?.into_any().unbind())
    }

    fn _isatty(&self, py: Python<'_>) -> PyResult<bool> {
        if let Some(stack) = self.stack.get(py) {
            return stack.call_method0(py, intern!(py, "isatty"))?.extract(py);
        }
        Ok(rustix::termios::isatty(&**self.core.lock(py).descriptor()?))
    }

    fn _readable(&self, py: Python<'_>) -> PyResult<bool> {
        if let Some(stack) = self.stack.get(py) {
            return stack.call_method0(py, intern!(py, "readable"))?.extract(py);
        }
        self.core.lock(py).descriptor()?;
        Ok(self.core.access.readable)
    }

    fn _writable(&self, py: Python<'_>) -> PyResult<bool> {
        if let Some(stack) = self.stack.get(py) {
            return stack.call_method0(py, intern!(py, "writable"))?.extract(py);
        }
        self.core.lock(py).descriptor()?;
        Ok(self.core.access.writable)
    }

    fn _seekable(&self, py: Python<'_>) -> PyResult<bool> {
        if let Some(stack) = self.stack.get(py) {
            return stack.call_method0(py, intern!(py, "seekable"))?.extract(py);
        }
        let state = self.core.lock(py);
        state.descriptor()?;
        Ok(state.is_seekable())
    }

    fn _owns_fd(&self, py: Python<'_>) -> bool {
        self.core.lock(py).owns_fd()
    }

    /// Line ends seen so far, as `io` reports them.
    fn _newlines(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let state = self.core.lock(py);
        let mut seen = state.text.as_ref().map(|text| text.seen).unwrap_or_default();
        if seen.held_cr {
            let next = state.read.bytes().get(..1).unwrap_or_default();
            seen.add(Seen::of(if next == b"\n" { next } else { b"." }, true));
        }
        drop(state);
        let Seen { cr, lf, crlf, .. } = seen;
        let found: Vec<&str> = [(cr, "\r"), (lf, "\n"), (crlf, "\r\n")]
            .into_iter()
            .filter_map(|(seen, end)| seen.then_some(end))
            .collect();
        Ok(match found.as_slice() {
            [] => py.None(),
            [only] => only.into_pyobject(py)?.into_any().unbind(),
            several => pyo3::types::PyTuple::new(py, several)?.into_any().unbind(),
        })
    }
}
