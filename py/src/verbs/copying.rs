//! `copy` and `tee`: one file to many on threads of their own.

use super::{Counter, algorithm, flag, running::Running};
use crate::{
    driver::{Operation, job_apart},
    errors::{core_error, os_error},
    opening::asked_about,
};
use afx_core::{
    compress::Compression,
    copy::{
        CopyOptions, CopyReport, Durability, End, Outcome, Overwrite, ReadBack, Reflink, Skip, Sparse,
        Writing, copy as copy_files,
    },
    engine::Compio,
    tee::{OnSlow, TeeOptions, TeeReport, tee as tee_files},
};
use pyo3::{exceptions::PyValueError, prelude::*};
use std::{io, num::NonZeroU64, os::fd::OwnedFd, path::PathBuf, sync::Arc};

/// A path, or the number of an open file.
#[derive(FromPyObject)]
pub(crate) enum Place {
    #[pyo3(transparent)]
    Descriptor(i32),
    #[pyo3(transparent)]
    Path(PathBuf),
}

fn duplicate(number: i32) -> PyResult<OwnedFd> {
    let refused = |error: io::Error| Python::attach(|py| os_error(py, &error, None));
    if number < 0 {
        return Err(refused(io::Error::from_raw_os_error(libc::EBADF)));
    }
    asked_about(number).try_clone_to_owned().map_err(refused)
}

impl Place {
    fn end(self) -> PyResult<End> {
        match self {
            Self::Path(path) => Ok(End::Path(path)),
            Self::Descriptor(number) => {
                let file = duplicate(number)?;
                Ok(End::Open(Arc::new(file), format!("<fd {number}>").into()))
            }
        }
    }
}

/// What Python asks a copy for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
#[allow(clippy::struct_excessive_bools, reason = "one per argument of the function")]
pub(crate) struct CopyAsked {
    hashes: Vec<String>,
    compress: Option<String>,
    decompress: bool,
    reflink: String,
    sparse: String,
    preserve: bool,
    writing: String,
    overwrite: String,
    durability: String,
    verify: bool,
    resume: bool,
    rate: Option<u64>,
    drop_cache: bool,
}

/// What Python asks a tee for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct TeeAsked {
    append: bool,
    hashes: Vec<String>,
    compress: Option<String>,
    on_slow: String,
}

/// Starts a copy; the operation gives (bytes, [(algorithm, hex digest)], method, offset it was resumed at or None,
/// [(outcome, reason or None, where it was read back from or None, the code of the reason or None)]).
#[pyfunction]
pub(crate) fn copy(
    py: Python<'_>,
    source: Place,
    targets: Vec<Place>,
    asked: CopyAsked,
    counter: &Counter,
) -> PyResult<Py<Operation>> {
    let (source, targets) = (source.end()?, ends(targets)?);
    let options = CopyOptions { progress: counter.progress(), ..asked.options()? };
    let running = Running::new(py, &options.cancel)?;
    job_apart(py, "aiofile-copy", Some(flag(&options.cancel)), move || {
        let copied = running.during(|| copy_files::<Compio>(&source, &targets, &options));
        Box::new(move |py| {
            let CopyReport { bytes, digests, method, resumed_at, targets } =
                copied.map_err(|error| core_error(py, &error))?;
            let outcomes: Vec<_> = targets
                .iter()
                .map(|target| {
                    let (outcome, reason, code) = outcome(target.outcome);
                    (outcome, reason, target.verified.map(read_back), code)
                })
                .collect();
            let report = (bytes, pairs(&digests), method.name(), resumed_at, outcomes);
            Ok(report.into_pyobject(py)?.into_any().unbind())
        })
    })
}

/// Starts a tee; the operation gives (bytes, [(algorithm, hex digest)], [bytes or OSError]).
#[pyfunction]
pub(crate) fn tee(
    py: Python<'_>,
    source: Place,
    targets: Vec<Place>,
    asked: TeeAsked,
    counter: &Counter,
) -> PyResult<Py<Operation>> {
    let (source, targets) = (source.end()?, ends(targets)?);
    let options = TeeOptions { progress: counter.progress(), ..asked.options()? };
    let running = Running::new(py, &options.cancel)?;
    job_apart(py, "aiofile-tee", Some(flag(&options.cancel)), move || {
        let done = running.during(|| tee_files::<Compio>(&source, &targets, &options));
        Box::new(move |py| {
            let TeeReport { bytes, digests, targets } = done.map_err(|error| core_error(py, &error))?;
            let mut written = Vec::with_capacity(targets.len());
            for target in &targets {
                written.push(match target {
                    Ok(bytes) => bytes.into_pyobject(py)?.into_any().unbind(),
                    Err(error) => core_error(py, error).into_value(py).into_any(),
                });
            }
            Ok((bytes, pairs(&digests), written).into_pyobject(py)?.into_any().unbind())
        })
    })
}

fn ends(places: Vec<Place>) -> PyResult<Vec<End>> {
    places.into_iter().map(Place::end).collect()
}

impl CopyAsked {
    fn options(self) -> PyResult<CopyOptions> {
        Ok(CopyOptions {
            hashes: self.hashes.iter().map(|name| algorithm(name)).collect::<PyResult<_>>()?,
            compression: match (self.compress, self.decompress) {
                (Some(_), true) => {
                    return Err(PyValueError::new_err("compress and decompress exclude each other"));
                }
                (Some(codec), _) => Some(compression(&codec)?),
                (None, true) => Some(Compression::Decompress(None)),
                (None, false) => None,
            },
            reflink: one_of(
                "reflink",
                &self.reflink,
                &[("auto", Reflink::Auto), ("always", Reflink::Always), ("never", Reflink::Never)],
            )?,
            sparse: one_of(
                "sparse",
                &self.sparse,
                &[("auto", Sparse::Auto), ("always", Sparse::Always), ("never", Sparse::Never)],
            )?,
            preserve: self.preserve,
            writing: one_of(
                "writing",
                &self.writing,
                &[("auto", Writing::Auto), ("atomic", Writing::Atomic), ("in_place", Writing::InPlace)],
            )?,
            overwrite: one_of(
                "overwrite",
                &self.overwrite,
                &[("always", Overwrite::Always), ("older", Overwrite::Older), ("never", Overwrite::Never)],
            )?,
            durability: one_of(
                "durability",
                &self.durability,
                &[("none", Durability::None), ("data", Durability::Data), ("full", Durability::Full)],
            )?,
            verify: self.verify,
            resume: self.resume,
            rate: self.rate.map(rate).transpose()?,
            drop_cache: self.drop_cache,
            ..CopyOptions::default()
        })
    }
}

impl TeeAsked {
    fn options(self) -> PyResult<TeeOptions> {
        Ok(TeeOptions {
            append: self.append,
            hashes: self.hashes.iter().map(|name| algorithm(name)).collect::<PyResult<_>>()?,
            compression: self.compress.as_deref().map(compression).transpose()?,
            on_slow: one_of("on_slow", &self.on_slow, &[("wait", OnSlow::Wait), ("detach", OnSlow::Detach)])?,
            ..TeeOptions::default()
        })
    }
}

fn compression(codec: &str) -> PyResult<Compression> {
    codec.parse().map_err(|error: io::Error| PyValueError::new_err(error.to_string()))
}

fn rate(bytes: u64) -> PyResult<NonZeroU64> {
    NonZeroU64::new(bytes).ok_or_else(|| PyValueError::new_err("rate must be more than 0 bytes a second"))
}

fn one_of<T: Copy>(name: &str, given: &str, known: &[(&str, T)]) -> PyResult<T> {
    let found = known.iter().find(|(word, _)| *word == given);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|(word, _)| format!("{word:?}")).collect();
        PyValueError::new_err(format!("{name} must be one of {}, not {given:?}", words.join(", ")))
    })
}

fn pairs(digests: &[afx_core::hash::Digest]) -> Vec<(&'static str, String)> {
    digests.iter().map(|digest| (digest.algorithm().name(), digest.to_string())).collect()
}

/// The word, and why in a sentence and as programs know it.
fn outcome(outcome: Outcome) -> (&'static str, Option<String>, Option<&'static str>) {
    let skipped = |why: &str, code| ("skipped", Some(why.to_owned()), Some(code));
    match outcome {
        Outcome::Replaced => ("replaced", None, None),
        Outcome::InPlace(reason) => ("in_place", Some(reason.to_string()), Some(reason.name())),
        Outcome::Skipped(Skip::Exists) => skipped("it exists", "exists"),
        Outcome::Skipped(Skip::NotOlder) => skipped("it is not older than the source", "not_older"),
        _ => ("streamed", None, None),
    }
}

fn read_back(from: ReadBack) -> &'static str {
    match from {
        ReadBack::Device => "device",
        ReadBack::Cache => "cache",
    }
}
