//! What a task waits on: awaited as a future of asyncio is, but it keeps its word.
//!
//! A future of asyncio that is cancelled ends at once, and its kernel operation does not. And when the
//! exception of a signal handler comes out of `call_soon`, such a future has forgotten whom to wake.

use super::{Operation, running_loop};
use crate::lock::Mutex;
use pyo3::{PyTraverseError, PyVisit, exceptions::PyRuntimeError, intern, prelude::*, types::PyDict};
use std::sync::atomic::{AtomicBool, Ordering};

/// Attempts to schedule a wake-up: one signal spoils one of them.
const ATTEMPTS: usize = 8;

/// One wait of one task. Implements what `asyncio.Task` asks of a future, and no more.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Waiter {
    event_loop: Py<PyAny>,
    /// Cancelled with the task, which still waits for its end.
    operation: Option<Py<Operation>>,
    /// Set where it is yielded; the task clears it.
    blocking: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    woken: bool,
    /// What the task left to be called, and the context to call it in.
    callback: Option<(Py<PyAny>, Option<Py<PyAny>>)>,
}

impl Waiter {
    /// A wait of the running loop.
    pub(crate) fn new(py: Python<'_>, operation: Option<Py<Operation>>) -> PyResult<Py<Self>> {
        let event_loop = running_loop(py)?.unbind();
        Py::new(py, Self { event_loop, operation, blocking: AtomicBool::new(false), state: Mutex::default() })
    }

    /// Prepares for being yielded to the task.
    pub(crate) fn arm(&self) {
        self.blocking.store(true, Ordering::Relaxed);
        self.state.lock().woken = false;
    }

    /// Lets the task run again, from whatever thread this is. `false`: its loop is closed, and it never
    /// will.
    ///
    /// # Errors
    ///
    /// What a signal handler raised meanwhile; the task runs all the same.
    pub(crate) fn wake(this: &Py<Self>, py: Python<'_>) -> PyResult<bool> {
        {
            let mut state = this.get().state.lock();
            state.woken = true;
            if state.callback.is_none() {
                return Ok(true);
            }
        }
        let mut raised = None;
        for _ in 0..ATTEMPTS {
            match this.get().schedule(this, py) {
                Ok(()) => return raised.map_or(Ok(true), Err),
                Err(_) if this.get().is_lost(py) => break,
                // Whether it was scheduled before that was raised is not known; twice does no harm.
                Err(error) => raised = raised.or(Some(error)),
            }
        }
        let callback = this.get().state.lock().callback.take();
        drop(callback);
        Ok(false)
    }

    fn schedule(&self, this: &Py<Self>, py: Python<'_>) -> PyResult<()> {
        let arguments = PyDict::new(py);
        if let Some((_, Some(context))) = &self.state.lock().callback {
            arguments.set_item(intern!(py, "context"), context)?;
        }
        let here = running_loop(py).is_ok_and(|running| running.is(&self.event_loop));
        let method = if here { intern!(py, "call_soon") } else { intern!(py, "call_soon_threadsafe") };
        self.event_loop.call_method(py, method, (this,), Some(&arguments)).map(drop)
    }

    fn is_lost(&self, py: Python<'_>) -> bool {
        let closed = self.event_loop.call_method0(py, intern!(py, "is_closed"));
        closed.is_ok_and(|closed| closed.is_truthy(py).unwrap_or(false))
    }
}

#[pymethods]
impl Waiter {
    /// Called by the loop.
    fn __call__(this: &Bound<'_, Self>) -> PyResult<()> {
        let callback = this.get().state.lock().callback.take();
        match callback {
            Some((callback, _)) => callback.call1(this.py(), (this,)).map(drop),
            None => Ok(()),
        }
    }

    #[getter]
    fn _asyncio_future_blocking(&self) -> bool {
        self.blocking.load(Ordering::Relaxed)
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking(&self, blocking: bool) {
        self.blocking.store(blocking, Ordering::Relaxed);
    }

    fn get_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.clone_ref(py)
    }

    #[pyo3(signature = (callback, *, context = None))]
    fn add_done_callback(
        this: &Bound<'_, Self>,
        callback: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let woken = {
            let mut state = this.get().state.lock();
            if state.callback.is_some() {
                return Err(PyRuntimeError::new_err("another task waits for this already"));
            }
            state.callback = Some((callback, context));
            state.woken
        };
        if woken { Self::wake(this.as_unbound(), this.py()).map(drop) } else { Ok(()) }
    }

    /// The task is cancelled. `False`: it hears of it when it runs again, at once or, where an
    /// operation is waited for, when that has ended.
    #[pyo3(signature = (msg = None))]
    fn cancel(this: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        drop(msg);
        match &this.get().operation {
            Some(operation) => Operation::cancel(operation.bind(this.py()))?,
            None => drop(Self::wake(this.as_unbound(), this.py())?),
        }
        Ok(false)
    }

    /// Whether the task was let run again.
    fn done(&self) -> bool {
        self.state.lock().woken
    }

    /// What happened is asked of the operation.
    #[allow(clippy::unused_self, reason = "part of the protocol")]
    fn result(&self) {}

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.operation)?;
        if let Some(state) = self.state.try_lock()
            && let Some((callback, context)) = &state.callback
        {
            visit.call(callback)?;
            visit.call(context)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let callback = self.state.lock().callback.take();
        drop(callback);
    }
}
