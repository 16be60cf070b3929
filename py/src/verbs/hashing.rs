//! `hash`: the digest of a file.

use super::{algorithm, flag};
use crate::{
    driver::{Operation, job_apart},
    errors::core_error,
};
use afx_core::{
    engine::Compio,
    hash::{HashOptions, hash_file},
};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Starts hashing a file; the operation gives the digest in hex.
#[pyfunction]
pub(crate) fn hash(py: Python<'_>, path: PathBuf, name: &str) -> PyResult<Py<Operation>> {
    let algorithm = algorithm(name)?;
    let options = HashOptions::default();
    let cancel = flag(&options.cancel);
    job_apart(py, "aiofile-hash", Some(cancel), move || {
        let hashed = hash_file::<Compio>(&path, algorithm, &options);
        Box::new(move |py| {
            let hashed = hashed.map_err(|error| core_error(py, &error))?;
            Ok(hashed.digest.to_string().into_pyobject(py)?.into_any().unbind())
        })
    })
}
