//! `readinto`: reading into memory of the program's, without a copy where nothing is buffered.

use super::{Core, Done, File, State, fifo::READS};
use crate::{
    driver::{CancelFlag, Operation, job, submit},
    errors::unsupported,
    lock::Mutex,
    memory::WritableBuffer,
};
use afx_core::{
    buffer::Slot,
    engine::{Completion, FileKind, Submission},
    limits::INLINE_READ_BYTES,
};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyTuple};
use rustix::fs::{SeekFrom, seek};
use std::{io, sync::Arc};

/// From here on a read goes straight to where it is wanted, in bytes: for less, what is read ahead with it
/// is worth more than the copy costs.
const DIRECT_BYTES: usize = 4096;

/// Memory of the program's that is read into. It cannot be resized before it is let go.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Target(Mutex<Option<Arc<WritableBuffer>>>);

#[pymethods]
impl Target {
    #[new]
    fn new(buffer: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Mutex::new(Some(Arc::new(WritableBuffer::new(buffer)?)))))
    }

    fn __len__(&self) -> usize {
        self.0.lock().as_ref().map_or(0, |buffer| buffer.len())
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    /// Lets the memory go. Should something still be read into it, that lets it go when it has ended.
    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyTuple>) {
        let buffer = self.0.lock().take();
        drop(buffer);
    }
}

impl Target {
    fn buffer(&self) -> PyResult<Arc<WritableBuffer>> {
        self.0.lock().clone().ok_or_else(|| PyValueError::new_err("the buffer was let go"))
    }
}

/// What an attempt to read straight into memory came to.
enum Direct {
    Read(usize),
    /// A device has to be waited for, or it is so much that it would take long.
    Waits,
}

impl State {
    /// Whether the next byte of the file may be read past the buffer.
    fn reads_directly(&self) -> bool {
        let regular = self.file.as_ref().is_some_and(|file| file.kind() == FileKind::Seekable);
        regular && self.read.len() == 0
    }

    /// Where a read past the empty buffer begins; the kernel knows it where we do not say so.
    fn direct_offset(&self) -> Option<u64> {
        self.is_positional().then_some(self.position)
    }
}

impl Core {
    fn read_directly(
        &self,
        py: Python<'_>,
        state: &mut State,
        target: &WritableBuffer,
        start: usize,
    ) -> PyResult<Direct> {
        let wanted = target.len() - start;
        if wanted > INLINE_READ_BYTES {
            return Ok(Direct::Waits);
        }
        let file = state.descriptor()?.clone();
        let mut slot = Slot::from_memory(Box::new(target.part(start, wanted)));
        let read = file.read_cached(&mut slot, state.direct_offset());
        let Some(count) = read.map_err(|error| self.os_error(py, &error))? else { return Ok(Direct::Waits) };
        if self.access.raw && count < wanted {
            let there = state.remaining().map_err(|error| self.os_error(py, &error))?;
            if there > 0 {
                // One read that may wait would have brought more than what is in memory.
                let back = i64::try_from(count).unwrap_or(0);
                let went = seek(&*file, SeekFrom::Current(-back));
                went.map_err(|error| self.os_error(py, &error.into()))?;
                return Ok(Direct::Waits);
            }
        }
        state.reading |= count > 0;
        state.position += count as u64;
        state.read.ended = count == 0;
        Ok(Direct::Read(count))
    }
}

#[pymethods]
impl File {
    /// Attempts to read into memory from byte `start` of it on: the count, 0 at the end, -1 where
    /// `_readinto_step` has to. `method` is what `io` calls for that.
    fn _readinto(
        &self,
        py: Python<'_>,
        target: &Bound<'_, Target>,
        start: usize,
        once: bool,
    ) -> PyResult<Option<isize>> {
        let target = target.get().buffer()?;
        self.attempt(py, true, |core, state| {
            state.check_readable_for(py, if once { "read1" } else { "read" })?;
            if state.text.is_some() {
                return Err(unsupported(py, "readinto"));
            }
            let wanted = target.len().saturating_sub(start);
            if wanted == 0 {
                return Ok(Some(Done { value: 0, bytes: 0 }));
            }
            if state.must_flush_first() {
                return Ok(None);
            }
            if wanted >= DIRECT_BYTES && state.reads_directly() {
                return Ok(Some(match core.read_directly(py, state, &target, start)? {
                    Direct::Read(count) => {
                        Done { value: isize::try_from(count).unwrap_or(isize::MAX), bytes: count }
                    }
                    Direct::Waits => Done { value: -1, bytes: 0 },
                }));
            }
            let least = if core.access.raw { wanted } else { 1 };
            if !core.buffer(py, state, least)? {
                return Ok(None);
            }
            let bytes = state.read.bytes();
            let count = bytes.len().min(wanted);
            target.copy_from(start, bytes.get(..count).unwrap_or_default());
            state.consume(count);
            Ok(Some(Done { value: isize::try_from(count).unwrap_or(isize::MAX), bytes: count }))
        })
    }

    /// Starts reading straight into memory from byte `start` of it on; gives the bytes read. The position
    /// stays, unless only the kernel knows it: whoever is cancelled meanwhile reads the same bytes again.
    fn _readinto_step(
        &self,
        py: Python<'_>,
        target: &Bound<'_, Target>,
        start: usize,
    ) -> PyResult<Py<Operation>> {
        let target = target.get().buffer()?;
        let long = target.len().saturating_sub(start) > INLINE_READ_BYTES;
        let offset = self.core.lock(py).direct_offset();
        let operation = match offset {
            Some(offset) if long => self.read_into_apart(py, target, start, offset),
            offset => self.read_into(py, target, start, offset),
        };
        Ok(self.keep(py, operation?, READS, false))
    }

    /// Moves the position past bytes that `_readinto_step` brought.
    fn _moved(&self, py: Python<'_>, bytes: u64) {
        let mut state = self.core.lock(py);
        state.reading |= bytes > 0;
        state.position += bytes;
    }
}

impl File {
    /// One read by the ring.
    fn read_into(
        &self,
        py: Python<'_>,
        target: Arc<WritableBuffer>,
        start: usize,
        offset: Option<u64>,
    ) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let file = core.lock(py).descriptor()?.clone();
        let slot = Slot::from_memory(Box::new(target.part(start, usize::MAX)));
        let then = move |py: Python<'_>, completion: Completion| {
            if completion.slot.is_none() {
                // The kernel has not given the memory back, and may still write to it.
                std::mem::forget(target);
                return Err(core.os_error(py, &io::Error::from_raw_os_error(libc::ECANCELED)));
            }
            drop(completion.slot);
            drop(target);
            let read = completion.result.map_err(|error| core.os_error(py, &error))?;
            Ok(read.into_pyobject(py)?.into_any().unbind())
        };
        submit(py, Submission::Read { file, slot, offset }, Box::new(then))
    }

    /// All that fits, on another thread.
    fn read_into_apart(
        &self,
        py: Python<'_>,
        target: Arc<WritableBuffer>,
        start: usize,
        offset: u64,
    ) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let file = core.lock(py).descriptor()?.clone();
        let cancel = CancelFlag::default();
        let flag = cancel.clone();
        job(py, Some(cancel), move || {
            let slot = Slot::from_memory(Box::new(target.part(start, usize::MAX)));
            let read = super::large::fill(&file, slot, offset, &flag, None).map(|slot| slot.len());
            Box::new(move |py| {
                drop(target);
                let read = read.map_err(|error| core.os_error(py, &error))?;
                Ok(read.into_pyobject(py)?.into_any().unbind())
            })
        })
    }
}
