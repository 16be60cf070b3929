//! `pread_many`: reads at many offsets, in flight together.
//!
//! What is in memory is read at once, as far as the budget goes; the rest is submitted to the ring in one
//! go. Each completion makes room for the next ranges, so there is one operation to be awaited for all.

use super::{Core, File};
use crate::{
    configuration,
    driver::{Operation, budget, flush, has_room, in_parts, submit_part},
    lock::Mutex,
    memory::NewBytes,
};
use afx_core::{
    buffer::Slot,
    engine::{Completion, Descriptor, Submission},
    limits::INLINE_READ_BYTES,
};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes, types::PyList};
use std::{io, sync::Arc};

/// A range of a file: bytes, and where they begin.
type Range = (usize, u64);

/// Reads of one call.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Preads {
    core: Arc<Core>,
    file: Arc<Descriptor>,
    ranges: Vec<Range>,
    progress: Mutex<Progress>,
}

struct Progress {
    /// Indexes the ranges: those before it were read, or are being read.
    next: usize,
    /// In the order of the ranges.
    results: Vec<Option<Py<PyBytes>>>,
    /// Ranges that are read by themselves, each on several threads.
    large: Vec<usize>,
    /// The operation that those in flight are parts of, until it is over.
    operation: Option<Py<Operation>>,
    in_flight: usize,
    failed: Option<PyErr>,
    stopped: bool,
}

/// What a range came to, without waiting.
enum Attempt {
    Done(Py<PyBytes>),
    Waits(Part),
}

/// A range of which something has to be waited for. The slot lends from the object, and is dropped first.
struct Part {
    slot: Slot,
    object: NewBytes,
    number: usize,
}

#[pymethods]
impl File {
    /// Prepares to read ranges, each a size and an offset.
    fn _preads(&self, py: Python<'_>, ranges: Vec<(i64, i64)>) -> PyResult<Preads> {
        let file = {
            let state = self.core.lock(py);
            Self::check_pread(py, &state)?;
            state.descriptor()?.clone()
        };
        let checked = ranges.into_iter().map(|(size, offset)| {
            let range = usize::try_from(size).ok().zip(u64::try_from(offset).ok());
            range.ok_or_else(|| PyValueError::new_err("size and offset of pread must not be negative"))
        });
        let ranges = checked.collect::<PyResult<Vec<Range>>>()?;
        let progress = Progress {
            next: 0,
            results: ranges.iter().map(|_| None).collect(),
            large: Vec::new(),
            operation: None,
            in_flight: 0,
            failed: None,
            stopped: false,
        };
        Ok(Preads { core: self.core.clone(), file, ranges, progress: Mutex::new(progress) })
    }
}

#[pymethods]
impl Preads {
    /// Goes on: an operation to be awaited before the next step, `True` after the last, `False` when the
    /// loop must turn first.
    fn step(this: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = this.py();
        if let Some(operation) = this.get().operation_in_flight(py) {
            return Ok(operation.into_any());
        }
        Self::read_on(this)?;
        let preads = this.get();
        if let Some(operation) = preads.operation_in_flight(py) {
            flush(py)?;
            return Ok(operation.into_any());
        }
        let mut progress = preads.progress.lock();
        if let Some(failed) = progress.failed.take() {
            return Err(failed);
        }
        let over = progress.next == preads.ranges.len();
        Ok(over.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    /// Begins no more of them.
    fn stop(&self) {
        self.progress.lock().stopped = true;
    }

    /// The ranges that are to be read by themselves: their numbers.
    fn large(&self) -> Vec<usize> {
        std::mem::take(&mut self.progress.lock().large)
    }

    /// What was read, with None for what was not; once.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let results = std::mem::take(&mut self.progress.lock().results);
        PyList::new(py, results)
    }
}

impl Preads {
    fn operation_in_flight(&self, py: Python<'_>) -> Option<Py<Operation>> {
        self.progress.lock().operation.as_ref().map(|operation| operation.clone_ref(py))
    }

    /// Reads what is in memory and takes on what is not, as long as there is room for that.
    fn read_on(this: &Bound<'_, Self>) -> PyResult<()> {
        let (py, preads) = (this.py(), this.get());
        while !budget::is_spent() {
            let Some((number, (size, offset))) = preads.next_range(py)? else { break };
            let attempt = preads.attempt(py, number, size, offset);
            match attempt {
                Ok(Attempt::Done(bytes)) => {
                    let len = bytes.as_bytes(py).len();
                    preads.keep(number, bytes);
                    budget::spend(py, len);
                }
                Ok(Attempt::Waits(part)) => Self::take_on(this, part)?,
                Err(error) => preads.fail(py, error)?,
            }
        }
        Ok(())
    }

    /// The next range to be begun, if there is room for it.
    fn next_range(&self, py: Python<'_>) -> PyResult<Option<(usize, Range)>> {
        let mut progress = self.progress.lock();
        if progress.failed.is_some() || progress.stopped {
            return Ok(None);
        }
        loop {
            let number = progress.next;
            let Some(range) = self.ranges.get(number).copied() else { return Ok(None) };
            if range.0 > INLINE_READ_BYTES {
                progress.next += 1;
                progress.large.push(number);
                continue;
            }
            let is_deep = progress.in_flight >= configuration::queue_depth() as usize;
            if progress.in_flight > 0 && (is_deep || !has_room(py, range.0)?) {
                return Ok(None);
            }
            progress.next += 1;
            return Ok(Some((number, range)));
        }
    }

    fn attempt(&self, py: Python<'_>, number: usize, size: usize, offset: u64) -> PyResult<Attempt> {
        let object = NewBytes::new(py, size)?;
        let mut slot = Slot::from_memory(Box::new(object.part(0, size)));
        while slot.spare_len() > 0 {
            let at = offset.saturating_add(slot.len() as u64);
            match self.file.read_cached(&mut slot, Some(at)) {
                Ok(Some(0)) => break,
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Attempt::Waits(Part { slot, object, number })),
                Err(error) => return Err(self.core.os_error(py, &error)),
            }
        }
        let len = slot.len();
        drop(slot);
        object.finish(py, len).map(Attempt::Done)
    }

    fn keep(&self, number: usize, bytes: Py<PyBytes>) {
        if let Some(result) = self.progress.lock().results.get_mut(number) {
            *result = Some(bytes);
        }
    }

    /// The first error ends it all.
    fn fail(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        let operation = {
            let mut progress = self.progress.lock();
            if progress.failed.is_some() {
                return Ok(());
            }
            progress.failed = Some(error);
            progress.operation.as_ref().map(|operation| operation.clone_ref(py))
        };
        operation.map_or(Ok(()), |operation| Operation::cancel(operation.bind(py)))
    }

    /// Has the ring read what is missing of a range.
    fn take_on(this: &Bound<'_, Self>, part: Part) -> PyResult<()> {
        let (py, preads) = (this.py(), this.get());
        let known = preads.operation_in_flight(py);
        let operation = known.map_or_else(|| in_parts(py), Ok)?;
        let Part { slot, object, number } = part;
        let Some((size, offset)) = preads.ranges.get(number).copied() else { return Ok(()) };
        let at = offset.saturating_add(slot.len() as u64);
        let file = preads.file.clone();
        {
            let mut progress = preads.progress.lock();
            progress.in_flight += 1;
            progress.operation = Some(operation.clone_ref(py));
        }
        let reads = this.clone().unbind();
        let then = Box::new(move |py: Python<'_>, completion: Completion| {
            reads.get().progress.lock().in_flight -= 1;
            let ended = Self::ended(reads.bind(py), object, number, completion);
            let ended = ended.and_then(|()| Self::go_on(reads.bind(py)));
            let ended = ended.or_else(|error| reads.get().fail(py, error));
            let over = {
                let mut progress = reads.get().progress.lock();
                let none = progress.in_flight == 0;
                progress.operation.take_if(|_| none)
            };
            over.map(|_| ended.map(|()| py.None()))
        });
        submit_part(py, &operation, size, Submission::Read { file, slot, offset: Some(at) }, then)
    }

    /// Takes in what the ring has read of a range.
    fn ended(this: &Bound<'_, Self>, object: NewBytes, number: usize, done: Completion) -> PyResult<()> {
        let (py, preads) = (this.py(), this.get());
        let Some(slot) = done.slot else {
            // The kernel has not given the memory back, and may still write to it.
            std::mem::forget(object);
            let lost = io::Error::from_raw_os_error(libc::ECANCELED);
            return preads.fail(py, preads.core.os_error(py, &lost));
        };
        match done.result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && preads.goes_on() => {
                Self::take_on(this, Part { slot, object, number })
            }
            Err(error) => {
                drop(slot);
                preads.fail(py, preads.core.os_error(py, &error))
            }
            // Short, and perhaps not for the end of the file.
            Ok(count) if count > 0 && slot.spare_len() > 0 && preads.goes_on() => {
                Self::take_on(this, Part { slot, object, number })
            }
            Ok(_) => {
                let len = slot.len();
                drop(slot);
                preads.keep(number, object.finish(py, len)?);
                Ok(())
            }
        }
    }

    /// Begins what there is room for now, unless nobody wants it any more.
    fn go_on(this: &Bound<'_, Self>) -> PyResult<()> {
        if this.get().goes_on() { Self::read_on(this) } else { Ok(()) }
    }

    fn goes_on(&self) -> bool {
        let progress = self.progress.lock();
        let cancelled = progress.operation.as_ref().is_some_and(|operation| operation.get().is_cancelled());
        !(cancelled || progress.stopped || progress.failed.is_some())
    }
}
