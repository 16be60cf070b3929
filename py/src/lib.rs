//! The native half of the Python module `aiofile`.
//!
//! `driver` is the ring on an event loop's thread, `file` an open file. What is written in Python on
//! top of it are `async def` functions that attempt, wait and attempt again.

mod compression;
mod configuration;
mod driver;
mod errors;
mod file;
mod interpreter;
mod joining;
mod lock;
mod memory;
mod opening;
mod verbs;
mod whole;

use afx_core::engine::EngineKind;
use pyo3::{prelude::*, types::PyDict};

/// Its entry point is in [`interpreter`], and so it has none of its own.
#[pymodule(submodule)]
mod _native {
    #[pymodule_export]
    use super::{
        attach, backend, begin_wait, buffers_in_use, end_wait, keep_for_ever, may_answer, must_yield,
    };
    #[pymodule_export]
    use crate::{
        compression::{Transformer, codec_of_magic, codec_of_name, joined_bytes},
        configuration::{buffer_bytes_in_use, configure, has_arena, idle_buffer_bytes},
        driver::{Operation, Waiter},
        file::{File, Hold, Keeper, Preads, Ready, Target},
        joining::Joiner,
        opening::{
            Fresh, Opened, describe, has_room, has_room_for_others, is_device, never_waits, open_apart,
            open_cached, open_slowly, open_with_room,
        },
        verbs::{Counter, Follower, Replacement, begin_replacement, check_durability, copy, hash, tee},
        whole::{read_batch, read_small, write_small},
    };
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::prelude::*;
        crate::driver::count_forks();
        crate::file::install(&module.py().get_type::<Ready>());
        module.add("UnsupportedOperation", module.py().import("io")?.getattr("UnsupportedOperation")?)
    }
}

/// Whether the loop must turn before anything else is finished inline.
#[pyfunction]
fn must_yield() -> bool {
    driver::budget::is_spent()
}

/// Whether something that is known may be answered at once; counts it if so.
#[pyfunction]
fn may_answer(py: Python<'_>) -> bool {
    let may = !driver::budget::is_spent();
    if may {
        driver::budget::spend(py, 0);
    }
    may
}

/// Makes the running loop hear of operations of this thread that it has not started.
#[pyfunction]
fn attach(py: Python<'_>) -> PyResult<()> {
    driver::attach(py)
}

/// A task begins to wait for the loop to turn.
#[pyfunction]
fn begin_wait() {
    driver::budget::begin_wait();
}

/// A task that waited for the loop to turn goes on.
#[pyfunction]
fn end_wait() {
    driver::budget::end_wait();
}

/// Keeps an object alive until the process ends. At its exit the interpreter would close a stream that a
/// thread still reads, and abort over that.
#[pyfunction]
fn keep_for_ever(object: Py<PyAny>) {
    std::mem::forget(object);
}

/// Buffers of the pool that are in use.
#[pyfunction]
fn buffers_in_use() -> usize {
    file::outstanding()
}

/// The engine, and why it was chosen.
#[pyfunction]
fn backend(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let (engine, reason) = match driver::selection() {
        Ok(selection) => (selection.kind, selection.reason),
        // Asked for, and perhaps there later: whoever needs it now is told by the operation.
        Err(error) if error.raw_os_error().is_some() => {
            (EngineKind::Uring, format!("AFX_ENGINE=uring, but for now {error}: {}", error.io_error()))
        }
        Err(error) => return Err(errors::core_error(py, &error)),
    };
    let report = PyDict::new(py);
    report.set_item("engine", engine.name())?;
    report.set_item("reason", reason)?;
    report.set_item("version", env!("CARGO_PKG_VERSION"))?;
    Ok(report)
}
