//! `atomic_write`: a file that takes a name when it is complete.

use super::flag;
use crate::{
    driver::{Operation, job, job_apart},
    errors::{closed, core_error, os_error},
    lock::Mutex,
};
use afx_core::{
    Cancel,
    copy::{self, Durability, ReplacementOptions},
    engine::Compio,
};
use pyo3::{exceptions::PyValueError, prelude::*};
use std::{os::fd::IntoRawFd, path::PathBuf};

/// A new file beside a target; gone with this object unless it was committed.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Replacement {
    /// None once it is committed or discarded.
    inner: Mutex<Option<copy::Replacement>>,
    cancel: Cancel,
}

/// Starts making one; the operation gives it.
#[pyfunction]
pub(crate) fn begin_replacement(
    py: Python<'_>,
    path: PathBuf,
    is_new: bool,
    in_place: bool,
) -> PyResult<Py<Operation>> {
    let cancel = Cancel::new();
    let options = ReplacementOptions { is_new, in_place, cancel: cancel.clone() };
    job(py, Some(flag(&cancel)), move || {
        let begun = copy::Replacement::begin(&path, options);
        Box::new(move |py| {
            let inner = begun.map_err(|error| core_error(py, &error))?;
            let replacement = Replacement { inner: Mutex::new(Some(inner)), cancel };
            Ok(Py::new(py, replacement)?.into_any())
        })
    })
}

#[pymethods]
impl Replacement {
    /// A descriptor of the new file, which is the caller's.
    fn descriptor(&self, py: Python<'_>) -> PyResult<i32> {
        let inner = self.inner.lock();
        let file = inner.as_ref().ok_or_else(closed)?.file().try_clone_to_owned();
        Ok(file.map_err(|error| os_error(py, &error, None))?.into_raw_fd())
    }

    /// Starts to give the file its name.
    fn commit(&self, py: Python<'_>, durability: &str) -> PyResult<Py<Operation>> {
        let durability = parsed(durability)?;
        let inner = self.inner.lock().take().ok_or_else(closed)?;
        job_apart(py, "aiofile-commit", Some(flag(&self.cancel)), move || {
            let committed = inner.commit::<Compio>(durability);
            Box::new(move |py| committed.map(|()| py.None()).map_err(|error| core_error(py, &error)))
        })
    }

    /// Starts to remove the file.
    fn discard(&self, py: Python<'_>) -> PyResult<Py<Operation>> {
        let inner = self.inner.lock().take();
        job(py, None, move || {
            drop(inner);
            Box::new(|py| Ok(py.None()))
        })
    }
}

/// Refuses a word for durability that means nothing.
#[pyfunction]
pub(crate) fn check_durability(durability: &str) -> PyResult<()> {
    parsed(durability).map(drop)
}

fn parsed(durability: &str) -> PyResult<Durability> {
    match durability {
        "none" => Ok(Durability::None),
        "data" => Ok(Durability::Data),
        "full" => Ok(Durability::Full),
        other => Err(PyValueError::new_err(format!(
            "no durability {other:?}: use one of \"none\", \"data\", \"full\""
        ))),
    }
}
