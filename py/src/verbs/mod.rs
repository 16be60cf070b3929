//! Whole jobs of `afx-core`, run beside the loop.

mod copying;
mod hashing;
mod replacing;
mod tailing;

pub(crate) use copying::copy;
pub(crate) use hashing::hash;
pub(crate) use replacing::{Replacement, begin_replacement, check_durability};
pub(crate) use tailing::Follower;

use afx_core::{Cancel, hash::Algorithm};
use pyo3::{exceptions::PyValueError, prelude::*};

use crate::driver::CancelFlag;

/// A flag for the driver that sets one of the core's.
fn flag(cancel: &Cancel) -> CancelFlag {
    let cancel = cancel.clone();
    CancelFlag::with_action(move || cancel.cancel())
}

fn algorithm(name: &str) -> PyResult<Algorithm> {
    name.parse().map_err(|error: std::io::Error| PyValueError::new_err(error.to_string()))
}
