//! `atomic_write`: a file that takes a name when it is complete.

use super::{flag, running::Running};
use crate::{
    driver::{Operation, generation, job, job_apart},
    errors::{closed, core_error, os_error},
    lock::Mutex,
};
use afx_core::{
    Cancel,
    copy::{self, Durability, ReplacementOptions},
    engine::Compio,
};
use pyo3::{exceptions::PyValueError, prelude::*};
use std::{mem, os::fd::IntoRawFd, path::PathBuf};

/// A new file beside a target; gone with this object unless it was committed. It is its parent's in a child that
/// was forked.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Replacement {
    /// None once it is committed or discarded.
    inner: Mutex<Option<copy::Replacement>>,
    cancel: Cancel,
    generation: u64,
}

impl Replacement {
    fn take(&self) -> Option<copy::Replacement> {
        let inner = self.inner.lock().take();
        if self.generation == generation() {
            return inner;
        }
        // The file is not ours to remove, and a lock in it may be one that a thread of the parent held.
        mem::forget(inner);
        None
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        drop(self.take());
    }
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
            let replacement =
                Replacement { inner: Mutex::new(Some(inner)), cancel, generation: generation() };
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
        let inner = self.take().ok_or_else(closed)?;
        let running = Running::new(py, &self.cancel)?;
        job_apart(py, "aiofile-commit", Some(flag(&self.cancel)), move || {
            let committed = running.during(|| inner.commit::<Compio>(durability));
            Box::new(move |py| committed.map(|()| py.None()).map_err(|error| core_error(py, &error)))
        })
    }

    /// Starts to remove the file.
    fn discard(&self, py: Python<'_>) -> PyResult<Py<Operation>> {
        let inner = self.take();
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
