//! Jobs under way that have something to clean up, for the end of the interpreter.

use crate::{driver::generation, lock::Mutex};
use afx_core::Cancel;
use pyo3::{prelude::*, wrap_pyfunction};
use std::{
    mem,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// How long the interpreter waits at its end: far more than a job needs that does not hang in the kernel.
const AT_EXIT: Duration = Duration::from_secs(2);

struct Job {
    generation: u64,
    runs: Weak<()>,
    cancel: Cancel,
}

/// Locked with the interpreter only, and never while that is given up.
static JOBS: Mutex<Option<Vec<Job>>> = Mutex::new(None);

/// A job that runs until this is dropped, on any thread.
pub(super) struct Running(Arc<()>);

impl Running {
    /// Has the interpreter end the job by `cancel` and wait until it has cleaned up, should it end before.
    pub(super) fn new(py: Python<'_>, cancel: &Cancel) -> PyResult<Self> {
        let runs = Arc::new(());
        let job = Job { generation: generation(), runs: Arc::downgrade(&runs), cancel: cancel.clone() };
        let is_first = {
            let mut jobs = JOBS.lock();
            let is_first = jobs.is_none();
            let jobs = jobs.get_or_insert_default();
            jobs.retain(|job| job.runs.strong_count() > 0);
            jobs.push(job);
            is_first
        };
        if is_first {
            py.import("atexit")?.call_method1("register", (wrap_pyfunction!(end_jobs, py)?,))?;
        }
        Ok(Self(runs))
    }

    /// Runs until `work` is done.
    pub(super) fn during<T>(self, work: impl FnOnce() -> T) -> T {
        let done = work();
        drop(self.0);
        done
    }
}

/// Ends all jobs of this process.
#[pyfunction]
fn end_jobs(py: Python<'_>) {
    let jobs = JOBS.lock().as_mut().map(mem::take).unwrap_or_default();
    py.detach(|| {
        // Those of a parent have neither threads nor flags here.
        let ours = || jobs.iter().filter(|job| job.generation == generation());
        ours().for_each(|job| job.cancel.cancel());
        let deadline = Instant::now() + AT_EXIT;
        for job in ours() {
            let left = deadline.saturating_duration_since(Instant::now());
            job.cancel.wait_until_released_for(left);
        }
    });
}
