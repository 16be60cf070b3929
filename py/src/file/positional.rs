//! `pread` and `pwrite`: at an offset of the caller's, the position left alone.

use super::{
    File, State,
    fifo::{Left, WRITES},
    writing::refuse_append,
};
use crate::{
    driver::{Operation, Then, budget, has_room, job, submit, submit_read},
    errors::unsupported,
    memory::NewBytes,
};
use afx_core::{
    buffer::Slot,
    engine::{Completion, Descriptor, Submission},
    limits::{INLINE_READ_BYTES, MOST_OF_UNKNOWN_BYTES},
};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};
use rustix::fs::fstat;
use std::{io, sync::Arc};

impl File {
    /// Ends a positional read that ran beside others.
    fn leave_shared(core: &super::Core, py: Python<'_>) -> Left {
        core.lock(py).fifo.unshare()
    }
}

#[pymethods]
impl File {
    /// Attempts `pread(size, offset)`: bytes, an operation that gives them, or None when it is not this
    /// read's turn. `entered` says that the caller holds a place beside other positional reads.
    #[pyo3(signature = (size, offset, entered = false))]
    fn _pread(&self, py: Python<'_>, size: i64, offset: i64, entered: bool) -> PyResult<Option<Py<PyAny>>> {
        let (Ok(size), Ok(offset)) = (usize::try_from(size), u64::try_from(offset)) else {
            return Err(PyValueError::new_err("size and offset of pread must not be negative"));
        };
        if !entered && (budget::is_spent() || self.stack.get(py).is_some()) {
            return Ok(None);
        }
        if entered {
            // The place ends with its coroutine, the read with its completion.
            self.core.lock(py).fifo.share();
        } else {
            let mut state = self.core.lock(py);
            Self::check_pread(py, &state)?;
            if state.has_unwritten() || !state.fifo.try_share() {
                return Ok(None);
            }
        }
        let result = self.pread_entered(py, size, offset);
        if !matches!(result, Ok(Pread::Started(_))) {
            self.core.hand_on(py, Self::leave_shared(&self.core, py))?;
        }
        match result? {
            Pread::Done(bytes) => {
                budget::spend(py, bytes.as_bytes(py).len());
                Ok(Some(bytes.into_any()))
            }
            Pread::Started(operation) => {
                let core = self.core.clone();
                let leave = move |py: Python<'_>, _| core.hand_on(py, Self::leave_shared(&core, py));
                operation.get().at_end(Box::new(leave));
                Ok(Some(operation.into_any()))
            }
        }
    }

    /// Checks the arguments of `pwrite` before anything is done.
    fn _check_pwrite(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.core.lock(py);
        state.check_writable(py)?;
        if state.text.is_some() || !state.is_seekable() {
            return Err(unsupported(py, "pwrite needs a seekable binary file"));
        }
        if self.core.access.append { Err(refuse_append(py)) } else { Ok(()) }
    }

    /// Starts writing the next piece of the large object at `offset`, which moves nothing; the operation
    /// gives the bytes written.
    fn _pwrite_step(&self, py: Python<'_>, offset: u64) -> PyResult<Option<Py<Operation>>> {
        crate::driver::attach(py)?;
        let core = self.core.clone();
        let (file, chunk) = {
            let state = core.lock(py);
            let Some(rest) = state.outgoing.as_ref().filter(|rest| !rest.is_empty()) else {
                return Ok(None);
            };
            (state.descriptor()?.clone(), rest.slice(0..rest.len().min(8 * 1024 * 1024)))
        };
        let then = move |py: Python<'_>, completion: Completion| {
            let written = completion.result.map_err(|error| core.os_error(py, &error))?;
            if let Some(rest) = &mut core.lock(py).outgoing {
                rest.advance(written.min(rest.len()));
            }
            Ok(written.into_pyobject(py)?.into_any().unbind())
        };
        submit(py, Submission::Write { file, chunk, offset: Some(offset) }, Box::new(then))
            .map(|operation| Some(self.keep(py, operation, WRITES, false)))
    }
}

impl File {
    pub(super) fn check_pread(py: Python<'_>, state: &State) -> PyResult<()> {
        state.check_readable(py)?;
        if state.text.is_some() || !state.is_seekable() {
            return Err(unsupported(py, "pread needs a seekable binary file"));
        }
        Ok(())
    }
}

/// How much memory a read of `size` bytes at `offset` may need, whatever it was asked for. Whoever gets
/// less than that asks again, and finds what the file has grown by.
fn at_most(file: &Descriptor, size: usize, offset: u64) -> io::Result<usize> {
    if size <= INLINE_READ_BYTES {
        return Ok(size);
    }
    let file_size = u64::try_from(fstat(file)?.st_size).unwrap_or(0);
    let rest = usize::try_from(file_size.saturating_sub(offset)).unwrap_or(usize::MAX);
    Ok(size.min(if file_size == 0 { MOST_OF_UNKNOWN_BYTES } else { rest.max(INLINE_READ_BYTES) }))
}

enum Pread {
    Done(Py<PyBytes>),
    Started(Py<Operation>),
}

impl File {
    fn pread_entered(&self, py: Python<'_>, size: usize, offset: u64) -> PyResult<Pread> {
        let file = {
            let state = self.core.lock(py);
            Self::check_pread(py, &state)?;
            state.descriptor()?.clone()
        };
        let size = at_most(&file, size, offset).map_err(|error| self.core.os_error(py, &error))?;
        if size > INLINE_READ_BYTES {
            let object = NewBytes::new(py, size)?;
            return self.pread_large(py, &file, object, size, offset).map(Pread::Started);
        }
        let core = self.core.clone();
        let (mut slot, object) = Self::part_for(py, size)?;
        loop {
            if slot.len() == size {
                drop(slot);
                return Ok(Pread::Done(object.finish(py, size)?));
            }
            let at = offset + slot.len() as u64;
            match file.read_cached(&mut slot, Some(at)) {
                Ok(Some(0)) => {
                    let len = slot.len();
                    drop(slot);
                    return Ok(Pread::Done(object.finish(py, len)?));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Err(self.core.os_error(py, &error)),
            }
        }
        // Where others read first, the memory is asked for again when its turn comes.
        let part = if has_room(py, size)? { Some((slot, object)) } else { None };
        let begin = move |py: Python<'_>| {
            let (slot, object) = part.map_or_else(|| Self::part_for(py, size), Ok)?;
            Ok(Self::begin_pread(core, file, slot, object, offset))
        };
        submit_read(py, size, Box::new(begin)).map(Pread::Started)
    }

    /// Memory for a read of `size` bytes: what lends it is dropped first.
    fn part_for(py: Python<'_>, size: usize) -> PyResult<(Slot, NewBytes)> {
        let object = NewBytes::new(py, size)?;
        Ok((Slot::from_memory(Box::new(object.part(0, size))), object))
    }

    /// A read of what is missing in `slot`, which lends from `object`.
    fn begin_pread(
        core: Arc<super::Core>,
        file: Arc<Descriptor>,
        slot: Slot,
        object: NewBytes,
        offset: u64,
    ) -> (Submission, Then) {
        let at = offset + slot.len() as u64;
        let then = move |py: Python<'_>, completion: Completion| {
            let Some(slot) = completion.slot else {
                // The kernel has not given the memory back, and may still write to it.
                std::mem::forget(object);
                return Err(core.os_error(py, &io::Error::from_raw_os_error(libc::ECANCELED)));
            };
            let len = slot.len();
            drop(slot);
            completion.result.map_err(|error| core.os_error(py, &error))?;
            Ok(object.finish(py, len)?.into_any())
        };
        (Submission::Read { file, slot, offset: Some(at) }, Box::new(then))
    }

    fn pread_large(
        &self,
        py: Python<'_>,
        file: &Arc<Descriptor>,
        object: NewBytes,
        size: usize,
        offset: u64,
    ) -> PyResult<Py<Operation>> {
        let (core, file) = (self.core.clone(), file.clone());
        let cancel = crate::driver::CancelFlag::default();
        let flag = cancel.clone();
        job(py, Some(cancel), move || {
            let read = super::large::read_split(&file, &object, 0..size, offset, &flag);
            Box::new(move |py| {
                let len = read.map_err(|error| core.os_error(py, &error))?;
                Ok(object.finish(py, len)?.into_any())
            })
        })
    }
}
