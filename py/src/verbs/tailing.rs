//! `tail`: a file followed on a thread of its own, its lines handed to the loop in batches.

use crate::{
    driver::{CancelFlag, Operation, generation, operation, pool},
    errors::core_error,
    lock::{Condvar, Mutex},
};
use afx_core::tail::{Follow, Start, Stop, Tail, TailEvent, TailOptions, Unit};
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyList},
};
use std::{ops::ControlFlow, path::PathBuf, sync::Arc, time::Duration};

/// Lines that wait for the loop before the reading waits for it, in bytes.
const QUEUE_BYTES: usize = 1024 * 1024;

/// Lines handed to the loop at once.
const BATCH: usize = 512;

/// A file that is being followed.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Follower {
    queue: Arc<Queue>,
    stop: Stop,
    /// In another process, after a fork, no thread follows anything, and who knows what it had locked.
    generation: u64,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    room: Condvar,
}

#[derive(Default)]
struct State {
    lines: std::collections::VecDeque<Vec<u8>>,
    bytes: usize,
    ended: Option<afx_core::Result<()>>,
    stopped: bool,
    /// Told when there is something to take, each by its number.
    waiters: Vec<(u64, Waiter)>,
    waits: u64,
}

type Waiter = Box<dyn FnOnce() + Send>;

impl Queue {
    /// Puts a line in; waits while the queue is full. `false` when nobody wants more.
    fn put(&self, line: &[u8]) -> bool {
        let mut state = self.state.lock();
        while state.bytes >= QUEUE_BYTES && !state.stopped {
            state = self.room.wait(state);
        }
        if state.stopped {
            return false;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        Self::tell(&mut state);
        true
    }

    fn end(&self, outcome: afx_core::Result<()>) {
        let mut state = self.state.lock();
        state.ended = Some(outcome);
        Self::tell(&mut state);
    }

    fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        Self::tell(&mut state);
        self.room.notify_all();
    }

    fn tell(state: &mut State) {
        for (_, waiter) in state.waiters.drain(..) {
            waiter();
        }
    }

    /// Ends one wait, which may be over already.
    fn give_up(&self, number: u64) {
        let mut state = self.state.lock();
        if let Some(index) = state.waiters.iter().position(|(waiter, _)| *waiter == number) {
            let (_, waiter) = state.waiters.swap_remove(index);
            waiter();
        }
    }
}

#[pymethods]
impl Follower {
    /// Starts following `path` on a thread of its own.
    ///
    /// `lines`: the last so many to begin with. `follow`: "name", "descriptor" or None.
    #[new]
    #[pyo3(signature = (path, lines, follow, poll, max_line_bytes))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        lines: u64,
        follow: Option<&str>,
        poll: Option<f64>,
        max_line_bytes: Option<usize>,
    ) -> PyResult<Self> {
        let mut options = TailOptions::new(path);
        options.start = Start::LastLines(lines);
        options.unit = Unit::Lines;
        options.poll = poll
            .map(Duration::try_from_secs_f64)
            .transpose()
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        options.follow = match follow {
            None => Follow::No,
            Some("descriptor") => Follow::Descriptor,
            Some("name") => Follow::Name,
            Some(other) => {
                return Err(PyValueError::new_err(format!(
                    "follow must be 'name', 'descriptor' or None, not {other:?}"
                )));
            }
        };
        if let Some(max_line_bytes) = max_line_bytes {
            options.max_line_bytes = max_line_bytes;
        }
        let tail = Tail::new(options).map_err(|error| core_error(py, &error))?;
        let (queue, stop) = (Arc::new(Queue::default()), tail.stop());
        let sink = queue.clone();
        pool::run_apart("aiofile-tail", move || {
            let outcome = tail.run(|event| match event {
                TailEvent::Line { line, .. } if !sink.put(line.bytes) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            });
            sink.end(outcome.map(drop));
        })?;
        Ok(Self { queue, stop, generation: generation() })
    }

    /// The lines that are here, as bytes; an empty list when none are; None when no more will come.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        if self.generation != generation() {
            return Ok(None);
        }
        let (lines, ended) = {
            let mut state = self.queue.state.lock();
            let count = state.lines.len().min(BATCH);
            let lines: Vec<Vec<u8>> = state.lines.drain(..count).collect();
            state.bytes -= lines.iter().map(Vec::len).sum::<usize>();
            self.queue.room.notify_all();
            let ended = if lines.is_empty() && (state.ended.is_some() || state.stopped) {
                Some(state.ended.replace(Ok(())).unwrap_or(Ok(())))
            } else {
                None
            };
            (lines, ended)
        };
        match ended {
            Some(Err(error)) => Err(core_error(py, &error)),
            Some(Ok(())) => Ok(None),
            None => PyList::new(py, lines.iter().map(|line| PyBytes::new(py, line))).map(Some),
        }
    }

    /// An operation that ends when there is something to take.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<Operation>> {
        if self.generation != generation() {
            return Err(PyRuntimeError::new_err("the file is followed by the process that forked this one"));
        }
        let queue = self.queue.clone();
        let number = {
            let mut state = queue.state.lock();
            state.waits += 1;
            state.waits
        };
        let given_up = move || queue.give_up(number);
        let (waiting, done) = operation(py, CancelFlag::with_action(given_up))?;
        let mut state = self.queue.state.lock();
        state.waiters.push((number, Box::new(done)));
        if !state.lines.is_empty() || state.ended.is_some() || state.stopped {
            Queue::tell(&mut state);
        }
        Ok(waiting)
    }

    /// Ends the following.
    fn stop(&self) {
        if self.generation == generation() {
            self.queue.stop();
            self.stop.stop();
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop();
    }
}
