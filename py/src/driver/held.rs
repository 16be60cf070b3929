//! Reads that are held back while those in flight fill as much memory as they may.
//!
//! A thousand tasks that read 64 KiB each would have 64 MiB in flight, and a device is as busy with an eighth
//! of that. So a read gets its memory when it begins, and it begins when there is room, in the order of
//! arrival. Reads that nobody can tell the end of, such as those of pipes, are not among these: they would
//! keep the room for ever.

use super::{
    Driver, Next, Operation, Then, Waiting, attach, operation::cancelled, running_loop, with_driver,
};
use crate::configuration;
use afx_core::engine::Submission;
use pyo3::{intern, prelude::*, sync::PyOnceLock, types::PyCFunction};
use std::collections::BTreeMap;

/// Makes a read, its memory with it.
pub(crate) type Begin = Box<dyn FnOnce(Python<'_>) -> PyResult<(Submission, Then)>>;

/// The reads of one driver that have an end.
#[derive(Default)]
pub(super) struct Reads {
    bytes_in_flight: usize,
    /// Those that wait for room, by their turns: the token, and how many bytes each needs.
    held: BTreeMap<u64, (usize, usize)>,
    next_turn: u64,
}

impl Reads {
    /// Whether a read of so many bytes may begin. One alone always may.
    fn fits(&self, bytes: usize) -> bool {
        self.bytes_in_flight == 0 || self.bytes_in_flight + bytes <= configuration::buffer_bytes()
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.held.is_empty() && self.fits(bytes)
    }

    pub(super) fn begin(&mut self, bytes: usize) {
        self.bytes_in_flight += bytes;
    }

    pub(super) fn end(&mut self, bytes: usize) {
        self.bytes_in_flight -= bytes;
    }

    /// Whether some that were held back may begin.
    pub(super) fn are_due(&self) -> bool {
        self.held.first_key_value().is_some_and(|(_, (_, bytes))| self.fits(*bytes))
    }

    fn hold(&mut self, token: usize, bytes: usize) -> u64 {
        self.next_turn += 1;
        self.held.insert(self.next_turn, (token, bytes));
        self.next_turn
    }

    fn next(&mut self) -> Option<usize> {
        if !self.are_due() {
            return None;
        }
        let (_, (token, bytes)) = self.held.pop_first()?;
        self.begin(bytes);
        Some(token)
    }
}

/// Whether there is room for another read of so many bytes beside those in flight on this thread.
pub(crate) fn has_room(py: Python<'_>, bytes: usize) -> PyResult<bool> {
    with_driver(py, |driver| driver.reads.has_room(bytes))
}

/// Starts a read of `bytes` on this thread's ring, now or when there is room for it.
pub(crate) fn submit_read(py: Python<'_>, bytes: usize, begin: Begin) -> PyResult<Py<Operation>> {
    attach(py)?;
    let operation = Operation::new(py, None)?;
    if !has_room(py, bytes)? {
        with_driver(py, |driver| driver.hold(operation.clone_ref(py), bytes, begin))?;
        return Ok(operation);
    }
    let (submission, then) = begin(py)?;
    with_driver(py, |driver| {
        driver.reads.begin(bytes);
        let token = driver.start(operation.clone_ref(py), Next::End(then), bytes, submission);
        operation.get().set_token(token);
        driver.flush();
    })?;
    Ok(operation)
}

/// Has the loop begin what is due after the tasks that it wakes just now: they let go of what they read.
pub(super) fn begin_soon(py: Python<'_>) -> PyResult<()> {
    if !with_driver(py, |driver| driver.reads.are_due())? {
        return Ok(());
    }
    let Ok(event_loop) = running_loop(py) else { return begin_held(py) };
    event_loop.call_method1(intern!(py, "call_soon"), (callback(py)?,)).map(drop)
}

fn callback(py: Python<'_>) -> PyResult<&Bound<'_, PyCFunction>> {
    static CALLBACK: PyOnceLock<Py<PyCFunction>> = PyOnceLock::new();
    let callback = CALLBACK.get_or_try_init(py, || {
        PyCFunction::new_closure(py, Some(c"_begin_held"), None, |arguments, _| begin_held(arguments.py()))
            .map(Bound::unbind)
    })?;
    Ok(callback.bind(py))
}

/// Begins as many reads as there is room for.
fn begin_held(py: Python<'_>) -> PyResult<()> {
    let mut raised = Ok(());
    while let Some((token, begin)) = with_driver(py, Driver::next_held)? {
        match begin(py) {
            Ok((submission, then)) => with_driver(py, |driver| driver.begin_read(token, submission, then))?,
            Err(error) => {
                if let Some(waiting) = with_driver(py, |driver| driver.forget(token))? {
                    raised = raised.and(Operation::deliver(py, &waiting.operation, Err(error)));
                }
            }
        }
    }
    super::flush(py)?;
    raised
}

/// Ends a read that was not begun yet. Whether it was one.
pub(super) fn cancel_held(py: Python<'_>, token: usize) -> PyResult<bool> {
    match with_driver(py, |driver| driver.take_held(token))? {
        Some(waiting) => {
            let Waiting { operation, then, .. } = waiting;
            drop(then);
            Operation::deliver(py, &operation, Err(cancelled(py))).map(|()| true)
        }
        None => Ok(false),
    }
}

impl Driver {
    fn hold(&mut self, operation: Py<Operation>, bytes: usize, begin: Begin) {
        let entry = self.waiting.vacant_entry();
        operation.get().set_token(entry.key());
        let turn = self.reads.hold(entry.key(), bytes);
        entry.insert(Waiting { operation, then: Some(Next::Held { turn, begin }), bytes });
    }

    fn next_held(&mut self) -> Option<(usize, Begin)> {
        let token = self.reads.next()?;
        match self.waiting.get_mut(token)?.then.take() {
            Some(Next::Held { begin, .. }) => Some((token, begin)),
            _ => unreachable!("a turn is taken back with its read"),
        }
    }

    fn begin_read(&mut self, token: usize, submission: Submission, then: Then) {
        if let (Some(waiting), Some(ring)) = (self.waiting.get_mut(token), &mut self.ring) {
            waiting.then = Some(Next::End(then));
            ring.push(token as u64, submission);
        }
    }

    fn take_held(&mut self, token: usize) -> Option<Waiting> {
        let Some(Next::Held { turn, .. }) = self.waiting.get(token)?.then else { return None };
        self.reads.held.remove(&turn);
        self.waiting.try_remove(token)
    }
}
