//! One operation that has been started, seen from Python.

use super::{cancel, running_loop};
use parking_lot::Mutex;
use pyo3::{intern, prelude::*};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
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

/// An operation in flight. `future()` gives something to await; a new one when the first was cancelled,
/// since the operation itself ends only with its completion.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Operation {
    token: AtomicUsize,
    cancel: Option<CancelFlag>,
    state: Mutex<State>,
}

struct State {
    done: bool,
    /// The outcome, until a future has taken it.
    outcome: Option<PyResult<Py<PyAny>>>,
    future: Option<Py<PyAny>>,
}

impl Operation {
    pub(super) fn new(py: Python<'_>, cancel: Option<CancelFlag>) -> PyResult<Py<Self>> {
        let state = Mutex::new(State { done: false, outcome: None, future: None });
        Py::new(py, Self { token: AtomicUsize::new(usize::MAX), cancel, state })
    }

    pub(super) fn set_token(&self, token: usize) {
        self.token.store(token, Ordering::Relaxed);
    }

    /// Ends the operation, and wakes who waits for it.
    pub(super) fn deliver(py: Python<'_>, this: &Py<Self>, result: PyResult<Py<PyAny>>) {
        let waiting = {
            let mut state = this.get().state.lock();
            state.done = true;
            let future = state.future.take();
            if future.is_none() {
                state.outcome = Some(result);
                return;
            }
            (future, result)
        };
        let (Some(future), result) = waiting else { return };
        if settle(future.bind(py), result).is_err() {
            // Its loop is gone, and its task will never run. But that may have the file: the task is a
            // cycle with the future, and gives the file back when it is collected.
            drop(future);
            let _ = py.import("gc").and_then(|gc| gc.call_method0("collect"));
        }
    }
}

#[pymethods]
impl Operation {
    /// A future of the running loop that gets the outcome.
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

    /// Asks for the operation to be cancelled. It ends with its completion, not now.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        if self.done() {
            return Ok(());
        }
        match &self.cancel {
            Some(flag) => {
                flag.raise();
                Ok(())
            }
            None => cancel(py, self.token.load(Ordering::Relaxed)),
        }
    }
}

/// Gives a future its outcome, unless it was cancelled: setting that raises.
fn settle(future: &Bound<'_, PyAny>, outcome: PyResult<Py<PyAny>>) -> PyResult<()> {
    let py = future.py();
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    match outcome {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
    };
    Ok(())
}
