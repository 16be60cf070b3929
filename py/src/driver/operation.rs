//! One operation that has been started, seen from Python.

use super::{Waiter, cancel, cancel_parts, generation, running_loop};
use crate::{errors::os_error, lock::Mutex};
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyRuntimeError, PyStopIteration},
    intern,
    prelude::*,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
};

/// Tells work on another thread to stop.
#[derive(Clone, Default)]
pub(crate) struct CancelFlag {
    raised: Arc<AtomicBool>,
    on_raise: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl CancelFlag {
    /// A flag that also calls `action` when it is raised, to wake whoever waits.
    pub(crate) fn with_action(action: impl Fn() + Send + Sync + 'static) -> Self {
        Self { raised: Arc::default(), on_raise: Some(Arc::new(action)) }
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        if let Some(action) = &self.on_raise {
            action();
        }
    }
}

/// What is done when an operation has ended, its outcome delivered. Told `false` when the task that
/// waited for it will never run again.
pub(crate) type AtEnd = Box<dyn FnOnce(Python<'_>, bool) -> PyResult<()> + Send>;

/// An operation in flight. One task awaits it, and gets its outcome; that task cancelled, the operation
/// is asked to end, and the task goes on when it has.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Operation {
    /// `usize::MAX` for an operation in parts, which have tokens of their own.
    token: AtomicUsize,
    /// The driver that knows the token.
    home: (ThreadId, u64),
    cancel: Option<CancelFlag>,
    /// Whether it was asked to be cancelled.
    is_cancelled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: bool,
    /// The outcome, until somebody has taken it.
    outcome: Option<PyResult<Py<PyAny>>>,
    future: Option<Py<PyAny>>,
    waiter: Option<Py<Waiter>>,
    at_end: Option<AtEnd>,
}

impl Operation {
    pub(super) fn new(py: Python<'_>, cancel: Option<CancelFlag>) -> PyResult<Py<Self>> {
        let home = (thread::current().id(), generation());
        let (token, is_cancelled) = (AtomicUsize::new(usize::MAX), AtomicBool::new(false));
        Py::new(py, Self { token, home, cancel, is_cancelled, state: Mutex::default() })
    }

    pub(super) fn set_token(&self, token: usize) {
        self.token.store(token, Ordering::Relaxed);
    }

    /// Whether somebody asked for it to be cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// Has `at_end` called when the operation has ended, which it has not yet.
    pub(crate) fn at_end(&self, at_end: AtEnd) {
        self.state.lock().at_end = Some(at_end);
    }

    /// Ends the operation, and wakes who waits for it.
    ///
    /// # Errors
    ///
    /// What a signal handler raised meanwhile; everything is done all the same.
    pub(super) fn deliver(py: Python<'_>, this: &Py<Self>, result: PyResult<Py<PyAny>>) -> PyResult<()> {
        Self::end(py, this, result, true)
    }

    /// Ends the operation as cancelled, the thread of its loop having ended. Whoever runs that loop
    /// elsewhere finds out; what the operation kept is given up now, since perhaps nobody does.
    ///
    /// # Errors
    ///
    /// As for [`deliver`](Self::deliver).
    pub(super) fn abandon(py: Python<'_>, this: &Py<Self>) -> PyResult<()> {
        Self::end(py, this, Err(cancelled(py)), false)
    }

    fn end(py: Python<'_>, this: &Py<Self>, result: PyResult<Py<PyAny>>, goes_on: bool) -> PyResult<()> {
        let (waiter, future, at_end) = {
            let mut state = this.get().state.lock();
            state.done = true;
            (state.waiter.take(), state.future.take(), state.at_end.take())
        };
        let mut raised = Ok(());
        if let Some(future) = future {
            raised = settle(future.bind(py), result);
        } else {
            this.get().state.lock().outcome = Some(result);
        }
        let woken = waiter.map_or(Ok(true), |waiter| Waiter::wake(&waiter, py));
        let reached = goes_on && *woken.as_ref().unwrap_or(&true);
        raised = raised.and(woken.map(drop));
        match at_end {
            Some(at_end) => raised.and(at_end(py, reached)),
            None => raised,
        }
    }
}

#[pymethods]
impl Operation {
    fn __await__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(this: &Bound<'_, Self>) -> PyResult<Py<Waiter>> {
        let py = this.py();
        let operation = this.get();
        let known = operation.state.lock().waiter.as_ref().map(|waiter| waiter.clone_ref(py));
        let waiter = match known {
            Some(waiter) => waiter,
            None => Waiter::new(py, Some(this.clone().unbind()))?,
        };
        let outcome = {
            let mut state = operation.state.lock();
            if !state.done {
                waiter.get().arm();
                state.waiter = Some(waiter.clone_ref(py));
                return Ok(waiter);
            }
            state.outcome.take()
        };
        match outcome {
            Some(Ok(value)) => Err(PyStopIteration::new_err((value,))),
            Some(Err(error)) => Err(error),
            None => Err(PyRuntimeError::new_err("cannot reuse an operation that was already awaited")),
        }
    }

    /// A future of the running loop that gets the outcome, for whoever may stop waiting before the
    /// operation has ended.
    fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let future = running_loop(py)?.call_method0(intern!(py, "create_future"))?;
        let outcome = {
            let mut state = self.state.lock();
            if state.outcome.is_none() && !state.done {
                state.future = Some(future.clone().unbind());
            }
            state.outcome.take()
        };
        if let Some(outcome) = outcome {
            settle(&future, outcome)?;
        }
        Ok(future)
    }

    /// Whether the operation has ended.
    fn done(&self) -> bool {
        self.state.lock().done
    }

    /// Asks for the operation to be cancelled. It ends with its completion, not now. On another thread
    /// than its own only a job is asked. In a child it ends now: its completion is its parent's.
    pub(crate) fn cancel(this: &Bound<'_, Self>) -> PyResult<()> {
        let (py, operation) = (this.py(), this.get());
        if operation.done() {
            return Ok(());
        }
        operation.is_cancelled.store(true, Ordering::Relaxed);
        if operation.home.1 != generation() {
            return Self::deliver(py, this.as_unbound(), Err(cancelled(py)));
        }
        match &operation.cancel {
            Some(flag) => {
                flag.raise();
                Ok(())
            }
            None if operation.home.0 == thread::current().id() => {
                match operation.token.load(Ordering::Relaxed) {
                    usize::MAX => cancel_parts(py, this.as_unbound()),
                    token => cancel(py, token),
                }
            }
            None => Ok(()),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(state) = self.state.try_lock() {
            visit.call(&state.future)?;
            visit.call(&state.waiter)?;
            if let Some(Ok(outcome)) = &state.outcome {
                visit.call(outcome)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let (waiter, future) = {
            let mut state = self.state.lock();
            (state.waiter.take(), state.future.take())
        };
        drop((waiter, future));
    }
}

pub(super) fn cancelled(py: Python<'_>) -> PyErr {
    os_error(py, &io::Error::from_raw_os_error(libc::ECANCELED), None)
}

/// Gives a future its outcome, unless it was cancelled: setting that raises.
fn settle(future: &Bound<'_, PyAny>, outcome: PyResult<Py<PyAny>>) -> PyResult<()> {
    let py = future.py();
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    let settled = match outcome {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,)),
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error,)),
    };
    let event_loop = future.call_method0(intern!(py, "get_loop"))?;
    match settled {
        // Nobody waits on a loop that is closed.
        Err(_) if event_loop.call_method0(intern!(py, "is_closed"))?.is_truthy()? => Ok(()),
        settled => settled.map(drop),
    }
}
