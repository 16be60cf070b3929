//! How much may be finished inline before the loop must turn.
//!
//! Operations that find their bytes in memory never suspend, so alone they would starve the loop:
//! 300,000 buffered lines held it for 115 ms. Each thread therefore counts what it finished inline;
//! when that is enough, every further operation yields until the loop has turned.

use afx_core::limits::{INLINE_BYTES, INLINE_OPERATIONS, INLINE_TIME};
use pyo3::prelude::*;
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Operations between two looks at the clock, which costs 25 ns.
const CLOCK_EVERY: u32 = 16;

/// Smallest share of a task, in operations: with thousands of tasks each still gets on.
const LEAST_OPERATIONS: u32 = 16;

struct Budget {
    operations: Cell<u32>,
    bytes: Cell<usize>,
    since: Cell<Option<Instant>>,
    spent: Cell<bool>,
    /// The loop is going to call for the renewal.
    is_asked_for: Cell<bool>,
    /// Tasks that wait for the loop to turn.
    waiting: Cell<u32>,
    /// What one of the tasks may have between two turns that share it.
    share: Cell<Share>,
}

/// Worked out once in a turn: to divide takes as long as a small read.
#[derive(Clone, Copy)]
struct Share {
    operations: u32,
    bytes: usize,
    time: Duration,
}

impl Share {
    const ALL: Self = Self { operations: INLINE_OPERATIONS, bytes: INLINE_BYTES, time: INLINE_TIME };

    fn among(tasks: u32) -> Self {
        let tasks = tasks.max(1);
        Self {
            operations: (INLINE_OPERATIONS / tasks).max(LEAST_OPERATIONS),
            bytes: INLINE_BYTES / usize::try_from(tasks).unwrap_or(1),
            time: INLINE_TIME / tasks,
        }
    }
}

thread_local! {
    static BUDGET: Budget = const {
        Budget {
            operations: Cell::new(0),
            bytes: Cell::new(0),
            since: Cell::new(None),
            spent: Cell::new(false),
            is_asked_for: Cell::new(false),
            waiting: Cell::new(0),
            share: Cell::new(Share::ALL),
        }
    };
}

/// Whether this thread's loop must turn before anything else is finished inline.
pub(crate) fn is_spent() -> bool {
    BUDGET.with(|budget| budget.spent.get())
}

/// Counts one operation of `bytes` bytes that was finished inline.
pub(crate) fn spend(py: Python<'_>, bytes: usize) {
    let spent = BUDGET.with(|budget| {
        let operations = budget.operations.get() + 1;
        let bytes = budget.bytes.get() + bytes;
        budget.operations.set(operations);
        budget.bytes.set(bytes);
        if operations % CLOCK_EVERY == 1 && budget.since.get().is_none() {
            budget.since.set(Some(Instant::now()));
        }
        let share = budget.share.get();
        // A share of the bytes may be less than one read: time tells whether it was much.
        let late = (bytes >= share.bytes || operations % CLOCK_EVERY == 0)
            && budget.since.get().is_some_and(|since| since.elapsed() >= share.time);
        operations >= share.operations || bytes >= INLINE_BYTES || late
    });
    if spent {
        stop_until_the_loop_turns(py);
    }
}

/// Starts a new count: the loop has turned. It is shared among the tasks that waited for this, or the
/// first of them would take all of it again, turn after turn.
pub(crate) fn renew() {
    BUDGET.with(|budget| {
        budget.share.set(Share::among(budget.waiting.get()));
        budget.is_asked_for.set(false);
    });
    start_count();
}

/// A task begins to wait for the loop to turn.
pub(crate) fn begin_wait() {
    BUDGET.with(|budget| budget.waiting.set(budget.waiting.get() + 1));
}

/// A task that waited goes on, with a share of its own.
pub(crate) fn end_wait() {
    BUDGET.with(|budget| budget.waiting.set(budget.waiting.get().saturating_sub(1)));
    start_count();
}

fn start_count() {
    BUDGET.with(|budget| {
        budget.operations.set(0);
        budget.bytes.set(0);
        budget.since.set(None);
        budget.spent.set(false);
    });
}

/// Every task of this turn must yield once its share is spent, not only the one that spent the last of it,
/// so the count starts anew from a callback of the next turn. Without a loop there is nobody to starve.
fn stop_until_the_loop_turns(py: Python<'_>) {
    if BUDGET.with(|budget| budget.spent.replace(true) || budget.is_asked_for.replace(true)) {
        return;
    }
    let scheduled = Py::new(py, Renewal).and_then(|renewal| {
        super::running_loop(py).and_then(|event_loop| event_loop.call_method1("call_soon", (renewal,)))
    });
    if scheduled.is_err() {
        renew();
    }
}

/// What the loop calls at its next turn. Dropped uncalled, by a loop that was closed, it can be asked for
/// again.
#[pyclass(frozen, module = "aiofile._native")]
struct Renewal;

#[pymethods]
impl Renewal {
    #[allow(clippy::unused_self, reason = "called as an object")]
    fn __call__(&self) {
        renew();
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        BUDGET.with(|budget| budget.is_asked_for.set(false));
    }
}
