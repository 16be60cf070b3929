//! Whole files: opened, read or written, and closed in one trip; many small ones in one trip.

use crate::{
    driver::{CancelFlag, Operation, budget, job},
    errors::os_error,
    file::{arena, buffer_of, changing, frozen, slot_of},
    memory::{FrozenBytes, FrozenString, PinnedBuffer, char_len},
};
use afx_core::{
    buffer::{Chunk, Slot},
    limits::LAST_FILL_BYTES,
    small::{self, Read},
};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyList, PyString},
};
use std::{ffi::CString, io};

/// Reads a small regular file: its bytes, an operation that gives them, or None, as the operation may. Then
/// it is no such file, or one that is read in more than one step.
#[pyfunction]
pub(crate) fn read_small(py: Python<'_>, path: &[u8], name: Py<PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let path = c_path(path)?;
    let mut slot = slot_of(LAST_FILL_BYTES).map_err(|error| os_error(py, &error, Some(&name)))?;
    match small::read_cached(&path, &mut slot) {
        Ok(Some(Read::Whole(range))) => {
            budget::spend(py, range.len());
            Ok(Some(part(py, &slot, range).into_any().unbind()))
        }
        Ok(Some(_)) => Ok(None),
        Ok(None) => read_apart(py, path, slot, name).map(|operation| Some(operation.into_any())),
        Err(error) => {
            budget::spend(py, 0);
            one_by_one(py, &error, &name).map_or(Ok(None), Err)
        }
    }
}

fn read_apart(py: Python<'_>, path: CString, mut slot: Slot, name: Py<PyAny>) -> PyResult<Py<Operation>> {
    let cancel = CancelFlag::default();
    let flag = cancel.clone();
    job(py, Some(cancel), move || {
        let read = small::read_many(&[path], &mut slot, || flag.is_raised()).pop();
        Box::new(move |py| match read {
            Some(Ok(Read::Whole(range))) => Ok(part(py, &slot, range).into_any().unbind()),
            Some(Err(error)) => one_by_one(py, &error, &name).map_or_else(|| Ok(py.None()), Err),
            _ => Ok(py.None()),
        })
    })
}

/// Starts reading many regular files on another thread. The operation gives a list with a result for each
/// of the first of them, as many as there was room for, and whether all are bytes: bytes, an exception, or
/// None as from [`read_small`].
#[pyfunction]
pub(crate) fn read_batch(
    py: Python<'_>,
    paths: Vec<PyBackedBytes>,
    names: Py<PyList>,
) -> PyResult<Py<Operation>> {
    let paths = paths.into_iter().map(|path| c_path(&path)).collect::<PyResult<Vec<CString>>>()?;
    let mut slot = arena();
    let cancel = CancelFlag::default();
    let flag = cancel.clone();
    job(py, Some(cancel), move || {
        let results = small::read_many(&paths, &mut slot, || flag.is_raised());
        Box::new(move |py| {
            let list = PyList::empty(py);
            let mut clean = true;
            for (read, name) in results.into_iter().zip(names.bind(py)) {
                if let Ok(Read::Whole(range)) = read {
                    list.append(part(py, &slot, range))?;
                    continue;
                }
                clean = false;
                let error = read.err().and_then(|error| one_by_one(py, &error, &name.unbind()));
                list.append(error.map(|error| error.into_value(py)))?;
            }
            Ok((list, clean).into_pyobject(py)?.into_any().unbind())
        })
    })
}

/// Starts making `data` (bytes-like, or a `str` of ASCII characters) the content of a regular file. The
/// operation gives its length, or None, with nothing done, where it is no regular file.
#[pyfunction]
pub(crate) fn write_small(
    py: Python<'_>,
    path: &[u8],
    data: &Bound<'_, PyAny>,
    name: Py<PyAny>,
) -> PyResult<Py<Operation>> {
    let path = c_path(path)?;
    let chunk = chunk_of(data)?;
    // Dropped last, and here: it belongs to the interpreter.
    let kept = chunk.clone();
    let cancel = CancelFlag::default();
    let flag = cancel.clone();
    job(py, Some(cancel), move || {
        let written = small::write(&path, chunk, || flag.is_raised());
        Box::new(move |py| {
            drop(kept);
            match written {
                Ok(written) => Ok(written.into_pyobject(py)?.into_any().unbind()),
                Err(error) => one_by_one(py, &error, &name).map_or_else(|| Ok(py.None()), Err),
            }
        })
    })
}

fn chunk_of(data: &Bound<'_, PyAny>) -> PyResult<Chunk> {
    if let Ok(string) = data.cast::<PyString>() {
        let ascii = match char_len(string) {
            0 => Some(Chunk::copy_of(b"")),
            _ => FrozenString::ascii(string).map(frozen),
        };
        return ascii.ok_or_else(|| PyValueError::new_err("text that is not plain ASCII was not encoded"));
    }
    match data.cast::<PyBytes>() {
        Ok(bytes) => Ok(frozen(FrozenBytes::new(bytes))),
        Err(_) => Ok(changing(PinnedBuffer::new(buffer_of(data)?))),
    }
}

fn part<'py>(py: Python<'py>, slot: &Slot, range: std::ops::Range<usize>) -> Bound<'py, PyBytes> {
    PyBytes::new(py, slot.filled().get(range).unwrap_or_default())
}

/// The exception for an error; `None` for one that may not come again when the file is opened by itself, in
/// its turn: there were too many open files.
fn one_by_one(py: Python<'_>, error: &io::Error, name: &Py<PyAny>) -> Option<PyErr> {
    (error.raw_os_error() != Some(libc::EMFILE)).then(|| os_error(py, error, Some(name)))
}

fn c_path(path: &[u8]) -> PyResult<CString> {
    CString::new(path).map_err(|_| PyValueError::new_err("embedded null byte"))
}
