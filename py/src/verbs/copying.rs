//! `copy`: one file to another on threads of its own.

use super::{algorithm, flag};
use crate::{
    driver::{Operation, job_apart},
    errors::core_error,
};
use afx_core::{
    Cancel,
    copy::{CopyOptions, copy_file},
    engine::Compio,
};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Starts a copy; the operation gives (bytes, hex digest or None, method, why in place or None).
#[pyfunction]
#[pyo3(signature = (source, target, hash))]
pub(crate) fn copy(
    py: Python<'_>,
    source: PathBuf,
    target: PathBuf,
    hash: Option<&str>,
) -> PyResult<Py<Operation>> {
    let cancel = Cancel::new();
    let hash = hash.map(algorithm).transpose()?;
    let options =
        CopyOptions { hashes: hash.into_iter().collect(), cancel: cancel.clone(), ..CopyOptions::default() };
    job_apart(py, "aiofile-copy", Some(flag(&cancel)), move || {
        let copied = copy_file::<Compio>(&source, &target, &options);
        Box::new(move |py| {
            let report = copied.map_err(|error| core_error(py, &error))?;
            let digest = report.digests.first().map(ToString::to_string);
            let in_place = report.in_place().map(|why| why.to_string());
            Ok((report.bytes, digest, report.method.name(), in_place).into_pyobject(py)?.into_any().unbind())
        })
    })
}
