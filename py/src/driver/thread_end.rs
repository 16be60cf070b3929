//! The end of a thread that had a driver, for the files whose operations it still had.
//!
//! Python tells of it by dropping the thread's own dictionary, while it can still be talked to. What is
//! in flight then is cancelled, waited for, and ends: the files are free for other threads. Where the
//! kernel or another thread will not give something back in time, the memory that it was lent is leaked,
//! and the operation counts as cancelled all the same.
#![allow(unsafe_code, reason = "the dictionary of a thread, which PyO3 does not wrap")]

use super::{DRAIN, DRIVER, Driver, Operation, Report, Waiting, generation};
use afx_core::engine::Completion;
use pyo3::{ffi, intern, prelude::*, types::PyDict};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

/// Lies in the dictionary of a thread, and ends its driver when that is dropped.
#[pyclass(frozen, module = "aiofile._native")]
struct ThreadEnd {
    home: (ThreadId, u64),
}

fn here() -> (ThreadId, u64) {
    (thread::current().id(), generation())
}

/// Has the driver of this thread wound up when Python ends the thread.
pub(super) fn watch(py: Python<'_>) -> PyResult<()> {
    // SAFETY: a borrowed reference, or null where there is no room for one: then the driver ends with the
    // thread itself, which is too late to tell anybody.
    let dictionary = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyThreadState_GetDict()) };
    let Some(dictionary) = dictionary else { return Ok(()) };
    let dictionary = dictionary.cast_into::<PyDict>()?;
    let key = intern!(py, "aiofile._native.driver");
    let known = dictionary.get_item(key)?;
    let watched =
        known.is_some_and(|known| known.cast::<ThreadEnd>().is_ok_and(|end| end.get().home == here()));
    if watched { Ok(()) } else { dictionary.set_item(key, Py::new(py, ThreadEnd { home: here() })?) }
}

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        // The main thread clears up after others when the process ends, and after a fork.
        if self.home != here() || is_finalizing() {
            return;
        }
        Python::attach(|py| {
            if let Err(error) = wind_up(py) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// Whether the interpreter ends: then nobody is left to be told anything.
fn is_finalizing() -> bool {
    #[cfg(Py_3_13)]
    use ffi::Py_IsFinalizing as asked;
    #[cfg(not(Py_3_13))]
    unsafe extern "C" {
        #[link_name = "_Py_IsFinalizing"]
        fn asked() -> std::ffi::c_int;
    }
    // SAFETY: may be called at any time.
    unsafe { asked() != 0 }
}

/// Runs `action` on this thread's driver, if it has one of its own.
fn with_own<T>(action: impl FnOnce(&mut Driver) -> T) -> Option<T> {
    DRIVER.with(|slot| {
        slot.borrow_mut().as_mut().filter(|driver| driver.generation == generation()).map(action)
    })
}

fn wind_up(py: Python<'_>) -> PyResult<()> {
    let operations = |driver: &mut Driver| -> Vec<Py<Operation>> {
        driver.waiting.iter().map(|(_, waiting)| waiting.operation.clone_ref(py)).collect()
    };
    let Some(operations) = with_own(operations) else { return Ok(()) };
    let mut outcome = Ok(());
    if !operations.is_empty() {
        for operation in &operations {
            outcome = outcome.and(Operation::cancel(operation.bind(py)));
        }
        let ended = py.detach(|| with_own(|driver| driver.wait_for_all(DRAIN)));
        let (completions, reports) = ended.unwrap_or_default();
        for completion in completions {
            let token = usize::try_from(completion.token).unwrap_or(usize::MAX);
            outcome = outcome.and(end(py, take(token), Some(completion)));
        }
        for report in reports {
            let waiting = take(report.token);
            // What it brings is kept where the file keeps it; nobody takes the rest.
            drop((report.finish)(py));
            outcome = outcome.and(end(py, waiting, None));
        }
        while let Some(token) =
            with_own(|driver| driver.waiting.iter().next().map(|(token, _)| token)).flatten()
        {
            outcome = outcome.and(end(py, take(token), Some(lost(token))));
        }
    }
    let driver = DRIVER.with(|slot| slot.borrow_mut().take());
    if let Some(mut driver) = driver {
        driver.leave_loops(py, false);
        // Waited for already: what is still in flight is leaked with the ring.
        drop(driver.ring.take());
    }
    outcome
}

fn take(token: usize) -> Option<Waiting> {
    with_own(|driver| driver.forget(token)).flatten()
}

/// Ends one operation, whatever became of it, as cancelled.
fn end(py: Python<'_>, waiting: Option<Waiting>, completion: Option<Completion>) -> PyResult<()> {
    let Some(Waiting { operation, then, .. }) = waiting else { return Ok(()) };
    if let (Some(then), Some(completion)) = (then, completion) {
        drop(then.run(py, completion));
    }
    Operation::abandon(py, &operation)
}

/// Stands in for a completion that is still to come: the memory is the kernel's for good.
fn lost(token: usize) -> Completion {
    let result = Err(io::Error::from_raw_os_error(libc::ECANCELED));
    Completion { token: token as u64, result, slot: None, chunk: None, opened: None }
}

impl Driver {
    /// Waits, at most for `limit`, until nothing is in flight any more.
    fn wait_for_all(&mut self, limit: Duration) -> super::Ended {
        let deadline = Instant::now() + limit;
        let completions = self.ring.as_mut().map(|ring| ring.drain(limit)).unwrap_or_default();
        let on_ring = self.waiting.iter().filter(|(_, waiting)| waiting.then.is_some()).count();
        let jobs = self.waiting.len() - on_ring;
        let mut reports = self.inbox.take();
        let of_jobs =
            |reports: &[Report]| reports.iter().filter(|report| report.token != Report::NO_TOKEN).count();
        while of_jobs(&reports) < jobs {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            let Ok(limit) = Timespec::try_from(left) else { break };
            // SAFETY: the bell is open for as long as the box is, which this driver has.
            let bell = unsafe { BorrowedFd::borrow_raw(self.inbox.as_raw_fd()) };
            // A signal or an error: the deadline ends the loop either way.
            let _ = poll(&mut [PollFd::from_borrowed_fd(bell, PollFlags::IN)], Some(&limit));
            reports.extend(self.inbox.take());
        }
        (completions, reports)
    }

    /// Has loops forget the descriptors that are going to be closed: those that may be run again, and the
    /// running one if it runs here.
    pub(super) fn leave_loops(&self, py: Python<'_>, here: bool) {
        let ring = self.ring.as_ref().map_or(-1, afx_core::engine::LoopRing::as_raw_fd);
        for event_loop in &self.loops {
            let state = |method| {
                event_loop.call_method0(py, method).and_then(|answer| answer.is_truthy(py)).unwrap_or(true)
            };
            if state("is_closed") || (!here && state("is_running")) {
                continue;
            }
            for fd in [ring, self.inbox.as_raw_fd()] {
                // A loop that does not want to be told keeps watching a descriptor that is gone.
                let _ = event_loop.call_method1(py, "remove_reader", (fd,));
            }
        }
    }
}
