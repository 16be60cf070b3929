//! System errors as the built-in exceptions that `open()` would raise.

use afx_core::{Operation, copy::SameFile};
use pyo3::{
    exceptions::{PyOSError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::PyType,
};
use std::io;

/// `OSError(errno, strerror, filename)`, which Python turns into the subclass for its errno. PyO3's own
/// conversion would lose errno and name.
pub(crate) fn os_error(py: Python<'_>, error: &io::Error, filename: Option<&Py<PyAny>>) -> PyErr {
    let Some(errno) = error.raw_os_error() else {
        return PyOSError::new_err(error.to_string());
    };
    let strerror = strerror(py, errno).unwrap_or_else(|_| error.to_string());
    match filename {
        Some(name) => PyOSError::new_err((errno, strerror, name.clone_ref(py))),
        None => PyOSError::new_err((errno, strerror)),
    }
}

fn strerror(py: Python<'_>, errno: i32) -> PyResult<String> {
    static STRERROR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    STRERROR.import(py, "os", "strerror")?.call1((errno,))?.extract()
}

/// An error of `afx-core`: with errno as above, otherwise an `OSError` with the whole chain in words.
pub(crate) fn core_error(py: Python<'_>, error: &afx_core::Error) -> PyErr {
    if error.raw_os_error().is_some() {
        let name = error.path().and_then(|path| path.as_os_str().into_pyobject(py).ok());
        return os_error(py, error.io_error(), name.map(|name| name.into_any().unbind()).as_ref());
    }
    if let Some(errno) = errno_of_meaning(error) {
        let name = error.path().map(|path| path.as_os_str().to_owned());
        return PyOSError::new_err((errno, error.io_error().to_string(), name));
    }
    match error.kind() {
        io::ErrorKind::InvalidInput if is_same_file(error) => same_file(py, error),
        io::ErrorKind::InvalidInput => PyValueError::new_err(format!("{error}: {}", error.io_error())),
        _ => PyOSError::new_err(format!("{error}: {}", error.io_error())),
    }
}

/// The errno that programs know for what the core found out itself, about a file.
fn errno_of_meaning(error: &afx_core::Error) -> Option<i32> {
    Some(match (error.kind(), error.operation()) {
        (io::ErrorKind::Unsupported, _) => libc::ENOTSUP,
        // The target reads back differently.
        (io::ErrorKind::InvalidData, Operation::Verify) => libc::EIO,
        // The source is another than it was.
        (io::ErrorKind::InvalidData, Operation::Copy) => libc::ESTALE,
        // Compressed data, broken or cut off.
        (io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof, _) => libc::EBADMSG,
        // A target of a tee takes nothing.
        (io::ErrorKind::TimedOut, _) => libc::ETIMEDOUT,
        _ => return None,
    })
}

fn is_same_file(error: &afx_core::Error) -> bool {
    error.io_error().get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<SameFile>)
}

/// `shutil.SameFileError`, an `OSError`, as `shutil.copyfile` raises.
fn same_file(py: Python<'_>, error: &afx_core::Error) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "shutil", "SameFileError") {
        Ok(class) => PyErr::from_type(class.clone(), (format!("{error}: {}", error.io_error()),)),
        Err(import) => import,
    }
}

/// `io.UnsupportedOperation(message)`.
pub(crate) fn unsupported(py: Python<'_>, message: &'static str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "io", "UnsupportedOperation") {
        Ok(class) => PyErr::from_type(class.clone(), (message,)),
        Err(error) => error,
    }
}

/// What `io` says about a file that was closed.
pub(crate) fn closed() -> PyErr {
    PyValueError::new_err("I/O operation on closed file.")
}
