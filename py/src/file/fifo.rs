//! Whose turn it is: operations on one file run in the order in which they were asked for.

use crate::driver::{generation, running_loop};
use parking_lot::Mutex;
use pyo3::{intern, prelude::*, sync::PyOnceLock};
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU8, Ordering},
};

/// Who holds the file, and who waits for it.
#[derive(Default)]
pub(crate) struct Fifo {
    exclusive: bool,
    /// Positional reads in flight, which do not disturb each other.
    shared: usize,
    waiters: VecDeque<Py<Ticket>>,
    /// The file is a blocking one: nothing can be finished at once any more.
    refuses_attempts: bool,
    /// Holders of another process, before a fork, hold nothing here.
    generation: u64,
}

/// A place in the queue of a file.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Ticket {
    shared: bool,
    state: AtomicU8,
    event_loop: Py<PyAny>,
    future: Mutex<Py<PyAny>>,
}

const WAITING: u8 = 0;
const GRANTED: u8 = 1;
const ABANDONED: u8 = 2;

impl Fifo {
    /// Whether an operation that finishes at once may run now.
    pub(crate) fn is_free(&self) -> bool {
        !self.refuses_attempts && self.is_idle()
    }

    /// Every operation takes its turn from now on, and finds out then what became of the file.
    pub(crate) fn refuse_attempts(&mut self) {
        self.refuses_attempts = true;
    }

    fn is_idle(&self) -> bool {
        (!self.exclusive && self.shared == 0 && self.waiters.is_empty()) || self.generation != generation()
    }

    /// Whether a positional read may run beside what runs now.
    pub(crate) fn admits_shared(&self) -> bool {
        (!self.exclusive && self.waiters.is_empty()) || self.generation != generation()
    }

    /// Takes the file if nobody holds it or waits for it.
    pub(crate) fn try_enter(&mut self, shared: bool) -> bool {
        if self.generation != generation() {
            std::mem::forget(std::mem::take(&mut self.waiters));
            let refuses_attempts = self.refuses_attempts;
            *self = Self { generation: generation(), refuses_attempts, ..Self::default() };
        }
        let free = if shared { self.admits_shared() } else { self.is_idle() };
        if free {
            self.hold(shared);
        }
        free
    }

    pub(crate) fn queue(&mut self, ticket: Py<Ticket>) {
        self.waiters.push_back(ticket);
    }

    /// Gives the file back. The tickets returned are granted and must be woken once the lock is free.
    pub(crate) fn leave(&mut self, shared: bool) -> Vec<Py<Ticket>> {
        if shared {
            self.shared = self.shared.saturating_sub(1);
        } else {
            self.exclusive = false;
        }
        self.grant()
    }

    fn grant(&mut self) -> Vec<Py<Ticket>> {
        let mut granted = Vec::new();
        while let Some(next) = self.waiters.front() {
            let ticket = next.get();
            if ticket.state.load(Ordering::Acquire) == WAITING {
                let room = !self.exclusive && (ticket.shared || self.shared == 0);
                if !room {
                    break;
                }
                ticket.state.store(GRANTED, Ordering::Release);
                let shared = ticket.shared;
                self.hold(shared);
                granted.extend(self.waiters.pop_front());
            } else {
                self.waiters.pop_front();
            }
        }
        granted
    }

    fn hold(&mut self, shared: bool) {
        if shared {
            self.shared += 1;
        } else {
            self.exclusive = true;
        }
    }

    /// Takes a ticket out whose task was cancelled. The tickets returned must be woken.
    pub(crate) fn abandon(&mut self, ticket: &Ticket) -> Vec<Py<Ticket>> {
        match ticket.state.swap(ABANDONED, Ordering::AcqRel) {
            GRANTED => self.leave(ticket.shared),
            // It may have been what the next ones waited behind.
            _ => self.grant(),
        }
    }
}

impl Ticket {
    pub(crate) fn new(py: Python<'_>, event_loop: &Bound<'_, PyAny>, shared: bool) -> PyResult<Py<Self>> {
        let future = event_loop.call_method0(intern!(py, "create_future"))?.unbind();
        let event_loop = event_loop.clone().unbind();
        Py::new(py, Self { shared, state: AtomicU8::new(WAITING), event_loop, future: Mutex::new(future) })
    }

    /// Resolves the ticket's future, from whatever thread this is.
    pub(crate) fn wake(&self, py: Python<'_>) {
        let future = self.future.lock().clone_ref(py);
        let here = running_loop(py).is_ok_and(|running| running.is(&self.event_loop));
        if here {
            // A future that was cancelled meanwhile is left alone by the function.
            let _ = wake_function(py).and_then(|wake| wake.call1((future,)));
            return;
        }
        // The loop of a waiter may be closed, and nobody waits then: its task's cancellation abandons
        // the ticket. There is nobody to tell about a failure here.
        let _ = wake_function(py).and_then(|wake| {
            self.event_loop.call_method1(py, intern!(py, "call_soon_threadsafe"), (wake, future))
        });
    }
}

#[pymethods]
impl Ticket {
    /// What to await until it is this ticket's turn.
    #[getter]
    fn future(&self, py: Python<'_>) -> Py<PyAny> {
        self.future.lock().clone_ref(py)
    }
}

fn wake_function(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static WAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let wake = WAKE.get_or_try_init(py, || {
        let function = pyo3::types::PyCFunction::new_closure(py, Some(c"_wake"), None, |arguments, _| {
            let future = arguments.get_item(0)?;
            if !future.call_method0("done")?.is_truthy()? {
                future.call_method1("set_result", (arguments.py().None(),))?;
            }
            PyResult::Ok(())
        })?;
        PyResult::Ok(function.into_any().unbind())
    })?;
    Ok(wake.bind(py).clone())
}
