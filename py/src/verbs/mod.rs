//! Whole jobs of `afx-core`, run beside the loop.

mod copying;
mod hashing;
mod replacing;
mod running;
mod tailing;

pub(crate) use copying::{copy, tee};
pub(crate) use hashing::hash;
pub(crate) use replacing::{Replacement, begin_replacement, check_durability};
pub(crate) use tailing::Follower;

use afx_core::{Cancel, Progress, hash::Algorithm};
use pyo3::{exceptions::PyValueError, prelude::*};

use crate::driver::CancelFlag;

/// Bytes that a job has done so far, for whoever looks at it from Python.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Counter(Progress);

#[pymethods]
impl Counter {
    #[new]
    fn new() -> Self {
        Self(Progress::new())
    }

    /// Bytes done so far.
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

impl Counter {
    fn progress(&self) -> Progress {
        self.0.clone()
    }
}

/// A flag for the driver that sets one of the core's.
fn flag(cancel: &Cancel) -> CancelFlag {
    let cancel = cancel.clone();
    CancelFlag::with_action(move || cancel.cancel())
}

fn algorithm(name: &str) -> PyResult<Algorithm> {
    name.parse().map_err(|error: std::io::Error| PyValueError::new_err(error.to_string()))
}
