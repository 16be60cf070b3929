//! `hash`: the digests of a file.

use super::{algorithm, flag};
use crate::{
    driver::{Operation, job_apart},
    errors::core_error,
};
use afx_core::{
    engine::Compio,
    hash::{HashOptions, hash_file},
};
use pyo3::{prelude::*, types::PyDict};
use std::path::PathBuf;

/// Starts hashing a file; the operation gives a dictionary: the digests in hex by the names of the algorithms.
#[pyfunction]
pub(crate) fn hash(py: Python<'_>, path: PathBuf, names: Vec<String>) -> PyResult<Py<Operation>> {
    let algorithms = names.into_iter().map(|name| algorithm(&name)).collect::<PyResult<Vec<_>>>()?;
    let options = HashOptions::default();
    let cancel = flag(&options.cancel);
    job_apart(py, "aiofile-hash", Some(cancel), move || {
        let hashed = hash_file::<Compio>(&path, &algorithms, &options);
        Box::new(move |py| {
            let hashed = hashed.map_err(|error| core_error(py, &error))?;
            let digests = PyDict::new(py);
            for digest in &hashed.digests {
                digests.set_item(digest.algorithm().name(), digest.to_string())?;
            }
            Ok(digests.into_any().unbind())
        })
    })
}
