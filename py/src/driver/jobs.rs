//! Work on other threads that reports back to the loop, many results per wake-up.

use super::{CancelFlag, Operation, Waiting, attach, pool, with_driver};
use crate::{errors::os_error, lock::Mutex};
use pyo3::{exceptions::PyRuntimeError, prelude::*};
use rustix::event::{EventfdFlags, eventfd};
use std::{
    any::Any,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// The end of a job, run on the loop's thread with the interpreter attached.
pub(crate) type Finish = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// A finished job on its way to the loop.
pub(super) struct Report {
    pub(super) token: usize,
    pub(super) finish: Finish,
}

impl Report {
    /// Of a report that ends no operation.
    pub(super) const NO_TOKEN: usize = usize::MAX;
}

/// How other threads have a loop do what needs the interpreter.
#[derive(Clone)]
pub(crate) struct LoopHandle(Arc<Inbox>);

impl LoopHandle {
    /// That of the running loop.
    pub(crate) fn of_running(py: Python<'_>) -> PyResult<Self> {
        attach(py)?;
        with_driver(py, |driver| Self(driver.inbox.clone()))
    }

    /// Has the loop do `action` at its next turn.
    pub(crate) fn call_soon(&self, action: impl FnOnce() + Send + 'static) {
        let finish: Finish = Box::new(move |py| {
            action();
            Ok(py.None())
        });
        self.0.put(Report { token: Report::NO_TOKEN, finish });
    }
}

/// Where other threads put their reports, with the fd that tells the loop.
pub(super) struct Inbox {
    reports: Mutex<Vec<Report>>,
    bell: OwnedFd,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { reports: Mutex::new(Vec::new()), bell })
    }

    /// Puts a report in; rings only when the box was empty.
    fn put(&self, report: Report) {
        let mut reports = self.reports.lock();
        reports.push(report);
        // Rung while the box is locked: a bell that rings after its report was taken would ring for ever.
        if reports.len() == 1 {
            // It cannot fail: the counter is far from full, and the fd is ours.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    /// Takes all reports out and silences the bell.
    pub(super) fn take(&self) -> Vec<Report> {
        let mut reports = self.reports.lock();
        if !reports.is_empty() {
            let mut counter = [0; 8];
            let _ = rustix::io::read(&self.bell, &mut counter);
        }
        std::mem::take(&mut *reports)
    }
}

impl AsRawFd for Inbox {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }
}

/// Runs `work` on a thread of the pool; what it returns is run on the loop's thread.
pub(crate) fn job(
    py: Python<'_>,
    cancel: Option<CancelFlag>,
    work: impl FnOnce() -> Finish + Send + 'static,
) -> PyResult<Py<Operation>> {
    let (operation, work) = prepare(py, cancel, work)?;
    pool::run(work);
    Ok(operation)
}

/// As [`job`], on a thread of its own: for work that may last long or wait for others.
pub(crate) fn job_apart(
    py: Python<'_>,
    name: &str,
    cancel: Option<CancelFlag>,
    work: impl FnOnce() -> Finish + Send + 'static,
) -> PyResult<Py<Operation>> {
    let (operation, work) = prepare(py, cancel, work)?;
    pool::run_apart(name, work).map_err(|error| os_error(py, &error, None))?;
    Ok(operation)
}

fn prepare(
    py: Python<'_>,
    cancel: Option<CancelFlag>,
    work: impl FnOnce() -> Finish + Send + 'static,
) -> PyResult<(Py<Operation>, impl FnOnce() + Send + 'static)> {
    attach(py)?;
    let operation = Operation::new(py, cancel)?;
    let (token, inbox) = with_driver(py, |driver| {
        let token =
            driver.waiting.insert(Waiting { operation: operation.clone_ref(py), then: None, bytes: 0 });
        operation.get().set_token(token);
        (token, driver.inbox.clone())
    })?;
    let work = move || {
        let finish = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| panicked(&*panic));
        inbox.put(Report { token, finish });
    };
    Ok((operation, work))
}

/// Whoever waits for a job that panicked hears of it.
fn panicked(panic: &(dyn Any + Send)) -> Finish {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
    let reason = format!("a thread of aiofile panicked, which is a fault of aiofile: {text}");
    Box::new(|_| Err(PyRuntimeError::new_err(reason)))
}

/// An operation that something other than a job of ours ends: the function returned ends it, from any
/// thread.
pub(crate) fn operation(
    py: Python<'_>,
    cancel: CancelFlag,
) -> PyResult<(Py<Operation>, impl FnOnce() + Send + 'static)> {
    prepare(py, Some(cancel), || Box::new(|py| Ok(py.None())))
}
