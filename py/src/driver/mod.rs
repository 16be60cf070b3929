//! The ring of one thread, watched by whichever event loop runs there.
//!
//! A thread has one driver for its whole life: a thousand `asyncio.run` make one ring. It is attached
//! to a loop with `add_reader` when that loop first needs it; operations of a loop that was closed
//! drain into it, so a buffer never dies with a loop.

pub(crate) mod budget;
mod fork;
mod held;
mod jobs;
mod operation;
pub(crate) mod pool;
mod thread_end;
mod turns;
mod waiter;

pub(crate) use fork::{count_forks, generation};
pub(crate) use held::{has_room, submit_read};
pub(crate) use jobs::{Finish, LoopHandle, job, job_apart, operation};
pub(crate) use operation::{CancelFlag, Operation};
pub(crate) use waiter::Waiter;

use crate::{
    configuration,
    errors::{core_error, os_error},
};
use afx_core::engine::{Completion, EngineKind, LoopRing, Selection, Submission, selected};
use held::{Begin, Reads};
use jobs::{Inbox, Report};
use operation::cancelled;
use pyo3::{exceptions::PyNotImplementedError, intern, prelude::*, sync::PyOnceLock, types::PyCFunction};
use slab::Slab;
use std::{
    cell::RefCell,
    os::fd::{AsRawFd, RawFd},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a thread that ends waits for its operations; after that ring and buffers are leaked.
const DRAIN: Duration = Duration::from_secs(1);

/// How long a driver that has to do without a ring for now does so, before it looks whether one can be had.
const RECONSIDER: Duration = Duration::from_millis(100);

/// What is done with a completion, on the driver's thread with the interpreter attached. It runs
/// whether or not anybody still waits for the result.
pub(crate) type Then = Box<dyn FnOnce(Python<'_>, Completion) -> PyResult<Py<PyAny>>>;

/// As [`Then`], where many of them make one operation: `None` while others are in flight.
pub(crate) type ThenPart = Box<dyn FnOnce(Python<'_>, Completion) -> Option<PyResult<Py<PyAny>>>>;

thread_local! {
    static DRIVER: RefCell<Option<Driver>> = const { RefCell::new(None) };
}

struct Driver {
    generation: u64,
    selection: Selection,
    /// When it was last found out what can be had.
    considered: Instant,
    ring: Option<LoopRing>,
    inbox: Arc<Inbox>,
    /// Loops that watch this driver; closed ones are let go when another is attached.
    loops: Vec<Py<PyAny>>,
    waiting: Slab<Waiting>,
    reads: Reads,
}

struct Waiting {
    operation: Py<Operation>,
    /// Present for operations of the ring; a job brings its own.
    then: Option<Next>,
    /// What it takes of the room for reads, once it is begun.
    bytes: usize,
}

enum Next {
    End(Then),
    Part(ThenPart),
    /// Not begun yet.
    Held {
        turn: u64,
        begin: Begin,
    },
}

impl Next {
    /// What the operation came to; `None` if it is not over.
    fn run(self, py: Python<'_>, completion: Completion) -> Option<PyResult<Py<PyAny>>> {
        match self {
            Self::End(then) => Some(then(py, completion)),
            Self::Part(then) => then(py, completion),
            Self::Held { .. } => Some(Err(cancelled(py))),
        }
    }
}

impl Driver {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let selection = selected().map_err(|error| core_error(py, &error))?;
        let parts = Self::parts(selection).map_err(|error| os_error(py, &error, None));
        let (ring, selection, inbox) = parts?;
        thread_end::watch(py)?;
        Ok(Self {
            generation: generation(),
            selection,
            considered: Instant::now(),
            ring: Some(ring),
            inbox: Arc::new(inbox),
            loops: Vec::new(),
            waiting: Slab::new(),
            reads: Reads::default(),
        })
    }

    fn parts(selection: Selection) -> std::io::Result<(LoopRing, Selection, Inbox)> {
        let (ring, selection) = match LoopRing::new(selection.kind, configuration::queue_depth()) {
            Ok(ring) => (ring, selection),
            Err(error) => {
                let other = selection.without_ring(&error).ok_or(error)?;
                (LoopRing::new(other.kind, configuration::queue_depth())?, other)
            }
        };
        Ok((ring, selection, Inbox::new()?))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let Some(mut ring) = self.ring.take() else { return };
        // A ring of the parent process must not be touched by the child, not even to unmap it.
        let inherited = self.generation != generation();
        if inherited {
            // Its lock may have been held at the fork.
            std::mem::forget(self.inbox.clone());
        }
        if !inherited {
            drop(ring.drain(DRAIN));
        }
        if inherited || ring.in_flight() > 0 {
            std::mem::forget(ring);
            std::mem::forget(std::mem::take(&mut self.waiting));
        }
    }
}

/// Runs `action` on this thread's driver, made now if need be. `action` must not call into Python.
fn with_driver<T>(py: Python<'_>, action: impl FnOnce(&mut Driver) -> T) -> PyResult<T> {
    DRIVER.with(|slot| {
        let stale = slot.borrow().as_ref().is_none_or(|driver| driver.generation != generation());
        if stale {
            let fresh = Driver::new(py)?;
            let old = slot.borrow_mut().replace(fresh);
            // It lets go of event loops: that may run any code.
            drop(old);
        }
        match slot.borrow_mut().as_mut() {
            Some(driver) => Ok(action(driver)),
            None => unreachable!("made above"),
        }
    })
}

/// The loop that runs on this thread.
pub(crate) fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    GET.import(py, "asyncio", "get_running_loop")?.call0()
}

/// What this thread's driver runs on; without one, what the next would.
pub(crate) fn selection() -> afx_core::Result<Selection> {
    let own = DRIVER.with(|slot| slot.borrow().as_ref().map(|driver| driver.selection.clone()));
    own.map_or_else(selected, Ok)
}

/// Replaces a driver without a ring that was made when none could be had, once one can: when nothing is
/// in flight, and not for every operation.
fn reconsider(py: Python<'_>) {
    let is_due = |driver: &mut Driver| {
        let due = driver.selection.provisional
            && driver.waiting.is_empty()
            && driver.considered.elapsed() >= RECONSIDER;
        if due {
            driver.considered = Instant::now();
        }
        due
    };
    if !DRIVER.with(|slot| slot.borrow_mut().as_mut().is_some_and(is_due)) {
        return;
    }
    if selected().is_ok_and(|selection| selection.kind == EngineKind::Uring)
        && let Ok(fresh) = Driver::new(py)
        && !fresh.selection.provisional
        && let Some(old) = DRIVER.with(|slot| slot.borrow_mut().replace(fresh))
    {
        old.leave_loops(py, true);
    }
}

/// Makes the running loop watch this thread's driver.
pub(crate) fn attach(py: Python<'_>) -> PyResult<()> {
    let event_loop = running_loop(py)?;
    reconsider(py);
    let watched = with_driver(py, |driver| driver.loops.iter().any(|known| known.is(&event_loop)))?;
    if watched {
        return Ok(());
    }
    let (ring_fd, inbox_fd) = with_driver(py, |driver| {
        (driver.ring.as_ref().map_or(-1, LoopRing::as_raw_fd), driver.inbox.as_raw_fd())
    })?;
    watch(py, &event_loop, ring_fd)?;
    watch(py, &event_loop, inbox_fd)?;
    let known = with_driver(py, |driver| std::mem::take(&mut driver.loops))?;
    let mut open: Vec<Py<PyAny>> = known.into_iter().filter(|known| !is_closed(py, known)).collect();
    open.push(event_loop.unbind());
    with_driver(py, |driver| driver.loops = open)?;
    // A loop that was to begin these may be among the closed ones.
    held::begin_soon(py)
}

/// Makes a loop call back when `fd` is readable.
fn watch(py: Python<'_>, event_loop: &Bound<'_, PyAny>, fd: RawFd) -> PyResult<()> {
    let watched = event_loop.call_method1(intern!(py, "add_reader"), (fd, callback(py)?));
    watched.map(drop).map_err(|error| {
        if !error.is_instance_of::<PyNotImplementedError>(py) {
            return error;
        }
        let kind = event_loop.get_type();
        let reason = format!("aiofile needs an event loop with add_reader(), which {kind} does not have");
        let explained = PyNotImplementedError::new_err(reason);
        explained.set_cause(py, Some(error));
        explained
    })
}

fn is_closed(py: Python<'_>, event_loop: &Py<PyAny>) -> bool {
    event_loop.call_method0(py, "is_closed").and_then(|closed| closed.is_truthy(py)).unwrap_or(true)
}

fn callback(py: Python<'_>) -> PyResult<&Bound<'_, PyCFunction>> {
    static CALLBACK: PyOnceLock<Py<PyCFunction>> = PyOnceLock::new();
    let callback = CALLBACK.get_or_try_init(py, || {
        PyCFunction::new_closure(py, Some(c"_on_ready"), None, |arguments, _| on_ready(arguments.py()))
            .map(Bound::unbind)
    })?;
    Ok(callback.bind(py))
}

/// Starts an operation on this thread's ring.
pub(crate) fn submit(py: Python<'_>, submission: Submission, then: Then) -> PyResult<Py<Operation>> {
    attach(py)?;
    let operation = Operation::new(py, None)?;
    with_driver(py, |driver| {
        let token = driver.start(operation.clone_ref(py), Next::End(then), 0, submission);
        operation.get().set_token(token);
        driver.flush();
    })?;
    Ok(operation)
}

/// An operation of this thread that parts of it end: see [`submit_part`].
pub(crate) fn in_parts(py: Python<'_>) -> PyResult<Py<Operation>> {
    attach(py)?;
    Operation::new(py, None)
}

/// Takes a part of an operation on. It starts with the next [`flush`], or when the loop's callback is over
/// if it is that from which this is called. It takes `bytes` of the room for reads.
pub(crate) fn submit_part(
    py: Python<'_>,
    operation: &Py<Operation>,
    bytes: usize,
    submission: Submission,
    then: ThenPart,
) -> PyResult<()> {
    with_driver(py, |driver| {
        driver.reads.begin(bytes);
        driver.start(operation.clone_ref(py), Next::Part(then), bytes, submission);
    })
}

/// Hands what was taken on to the kernel.
pub(crate) fn flush(py: Python<'_>) -> PyResult<()> {
    with_driver(py, Driver::flush)
}

/// Asks for the parts of an operation to be cancelled that are in flight.
fn cancel_parts(py: Python<'_>, operation: &Py<Operation>) -> PyResult<()> {
    with_driver(py, |driver| {
        let Driver { waiting, ring: Some(ring), .. } = driver else { return };
        for (token, _) in waiting.iter().filter(|(_, part)| part.operation.is(operation)) {
            ring.cancel(token as u64);
        }
    })
}

/// Asks for an operation of this thread to be cancelled; its completion still comes.
fn cancel(py: Python<'_>, token: usize) -> PyResult<()> {
    if held::cancel_held(py, token)? {
        return Ok(());
    }
    with_driver(py, |driver| {
        if let Some(ring) = &mut driver.ring {
            ring.cancel(token as u64);
        }
    })
}

/// The loop's callback: collects what has ended and hands it out, all of it, and only then raises what
/// a signal handler raised meanwhile.
fn on_ready(py: Python<'_>) -> PyResult<()> {
    budget::renew();
    let mut raised = Ok(());
    loop {
        let (completions, reports) = with_driver(py, Driver::collect)??;
        if completions.is_empty() && reports.is_empty() {
            break;
        }
        for (waiting, completion) in completions {
            let Waiting { operation, then, .. } = waiting;
            let result = then.map_or_else(|| Some(Ok(py.None())), |then| then.run(py, completion));
            if let Some(result) = result {
                raised = raised.and(Operation::deliver(py, &operation, result));
            }
        }
        for (waiting, finish) in reports {
            let result = finish(py);
            if let Some(waiting) = waiting {
                raised = raised.and(Operation::deliver(py, &waiting.operation, result));
            }
        }
    }
    raised.and(held::begin_soon(py))
}

/// What has ended without anybody being told: of the ring, and of other threads.
type Ended = (Vec<Completion>, Vec<Report>);

type Collected = (Vec<(Waiting, Completion)>, Vec<(Option<Waiting>, Finish)>);

impl Driver {
    /// Has the ring take on an operation, or a part of one, at its next flush. Returns its token.
    fn start(&mut self, operation: Py<Operation>, then: Next, bytes: usize, submission: Submission) -> usize {
        let token = self.waiting.insert(Waiting { operation, then: Some(then), bytes });
        if let Some(ring) = &mut self.ring {
            ring.push(token as u64, submission);
        }
        token
    }

    fn flush(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.flush();
        }
    }

    /// Takes out an operation that was begun, and the room that it had.
    fn forget(&mut self, token: usize) -> Option<Waiting> {
        let waiting = self.waiting.try_remove(token)?;
        self.reads.end(waiting.bytes);
        Some(waiting)
    }

    fn collect(&mut self) -> std::io::Result<Collected> {
        let mut completions = Vec::new();
        let Self { ring, waiting, reads, .. } = self;
        if let Some(ring) = ring {
            let polled = ring.poll();
            while let Some(completion) = ring.pop() {
                let token = usize::try_from(completion.token).unwrap_or(usize::MAX);
                if let Some(waiting) = waiting.try_remove(token) {
                    reads.end(waiting.bytes);
                    completions.push((waiting, completion));
                }
            }
            ring.flush();
            // What was popped is delivered even when the kernel refused to be asked for more.
            if completions.is_empty() {
                polled?;
            }
        }
        let reports = self.inbox.take().into_iter();
        let reports = reports.map(|Report { token, finish }| (self.waiting.try_remove(token), finish));
        Ok((completions, reports.collect()))
    }
}
