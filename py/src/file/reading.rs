//! Reading: from the buffer, from the page cache, from the device.

use super::{
    Core, Done, File,
    buffers::ReadBuffer,
    state::{Need, State},
};
use crate::{
    driver::{Operation, Then, job, submit, submit_read},
    memory::NewBytes,
};
use afx_core::{
    buffer::Slot,
    engine::{FileKind, Submission},
    limits::{FIRST_FILL_BYTES, INLINE_READ_BYTES},
};
use pyo3::{prelude::*, types::PyBytes};
use std::{io, sync::Arc};

/// What the kernel lets an unprivileged process make a pipe hold, in bytes: `/proc/sys/fs/pipe-max-size`.
const MAX_PIPE_BYTES: u64 = 1024 * 1024;

/// Characters of text that are decoded between two turns of the loop.
pub(super) const SLICE_CHARS: usize = 64 * 1024;

/// What an attempt to read more came to.
pub(super) enum Filled {
    Some,
    End,
    /// It would have waited.
    NotNow,
}

impl Core {
    /// Reads more into the buffer if that takes no waiting.
    pub(super) fn fill_cached(&self, py: Python<'_>, state: &mut State, wanted: usize) -> PyResult<Filled> {
        let file = state.descriptor()?.clone();
        // The kernel cannot promise about character devices, but it never makes them wait for a disk.
        if file.kind() == FileKind::Device {
            return Ok(Filled::NotNow);
        }
        let wanted = wanted.min(INLINE_READ_BYTES);
        if state.read.is_long_to_move(wanted) {
            return Ok(Filled::NotNow);
        }
        let offset = state.read_offset();
        let mut slot = state.take_for_reading(wanted).map_err(|error| self.os_error(py, &error))?;
        slot.limit(slot.capacity().min(slot.len() + INLINE_READ_BYTES));
        let read = file.read_cached(&mut slot, offset);
        state.read.put_back(slot);
        match read {
            Ok(Some(0)) => {
                state.read.ended = true;
                Ok(Filled::End)
            }
            Ok(Some(_)) => Ok(Filled::Some),
            Ok(None) => Ok(Filled::NotNow),
            Err(error) => Err(self.os_error(py, &error)),
        }
    }

    /// Has `wanted` bytes in the buffer, or all there are; an unbuffered file is read once. `false`: the
    /// device must be waited for, or the loop must turn first.
    pub(super) fn buffer(&self, py: Python<'_>, state: &mut State, wanted: usize) -> PyResult<bool> {
        let mut enough = if self.access.raw { wanted.min(1) } else { wanted };
        if self.access.raw && wanted > INLINE_READ_BYTES && wanted != usize::MAX && state.read.len() == 0 {
            return self.buffer_raw(py, state, wanted);
        }
        let mut inline = 0;
        while state.read.len() < enough && !state.read.ended {
            let before = state.read.len();
            let missing = wanted - before;
            if inline > 2 * INLINE_READ_BYTES {
                return Ok(false);
            }
            if let Filled::NotNow = self.fill_cached(py, state, missing)? {
                state.unfinished.need = Some(Need::Fill { bytes: missing.min(INLINE_READ_BYTES) });
                return Ok(false);
            }
            inline += state.read.len() - before;
            if self.access.raw
                && state.read.len() < wanted
                && state.descriptor()?.kind() == FileKind::Seekable
            {
                // One read that may wait would have brought more than what is in memory.
                let there = state.remaining().map_err(|error| self.os_error(py, &error))?;
                enough = wanted.min(usize::try_from(there).unwrap_or(wanted));
            }
        }
        Ok(true)
    }

    /// Has the `len` bytes in the buffer that the file has from here on, as its size says. A read that
    /// would have brought more, and did not, has found the end: `io` reads once more to know that.
    /// `false`: as for [`buffer`](Self::buffer).
    fn buffer_known(&self, py: Python<'_>, state: &mut State, len: usize) -> PyResult<bool> {
        while len > 0 && state.read.len() < len && !state.read.ended {
            let missing = len - state.read.len() + 1;
            match self.fill_cached(py, state, missing)? {
                Filled::Some => state.read.ended = state.read.len() == len,
                Filled::End => {}
                Filled::NotNow => {
                    state.unfinished.need = Some(Need::Fill { bytes: missing });
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The one large read of an unbuffered file: all of it in one system call, and so off the loop.
    fn buffer_raw(&self, py: Python<'_>, state: &mut State, wanted: usize) -> PyResult<bool> {
        if state.read.ended {
            return Ok(true);
        }
        let there = match state.descriptor()?.kind() {
            FileKind::Seekable => state.remaining().map_err(|error| self.os_error(py, &error))?,
            // As much as a pipe can hold.
            _ => MAX_PIPE_BYTES,
        };
        let there = usize::try_from(there).unwrap_or(usize::MAX).max(INLINE_READ_BYTES);
        state.unfinished.need = Some(Need::Fill { bytes: wanted.min(there) });
        Ok(false)
    }

    /// The parts of a large read as one object, once the last of them has arrived. Parts of text are put
    /// together in steps: `None` after each but the last.
    fn take_parts<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
    ) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        let value = match state.text {
            Some(_) => state.unfinished.join_step(py)?,
            None => Some(join_bytes(py, std::mem::take(&mut state.unfinished.parts))?),
        };
        let Some(value) = value else { return Ok(None) };
        state.position += state.unfinished.parts_bytes;
        state.unfinished.parts_bytes = 0;
        state.fetch_chunks(None);
        state.read.clear();
        if self.access.raw {
            state.set_kernel_position().map_err(|error| self.os_error(py, &error))?;
        }
        state.unfinished.parts_ended = false;
        state.reading = false;
        Ok(Some(Done { value, bytes: 0 }))
    }

    fn read_bytes<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
        len: usize,
    ) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        let have = usize::try_from(state.unfinished.parts_bytes).unwrap_or(usize::MAX);
        if state.unfinished.parts_ended || (have > 0 && have >= len) {
            return self.take_parts(py, state);
        }
        if len > INLINE_READ_BYTES && state.is_positional() {
            // A huge size asks for what there is, not for that much memory. Where the size says nothing
            // (block devices, /proc), each part is as large as those before it.
            let remaining = state.remaining().map_err(|error| self.os_error(py, &error))?;
            let there = usize::try_from(remaining).unwrap_or(len).saturating_sub(have).saturating_add(1);
            let len = (len - have).min(there.max(have).max(INLINE_READ_BYTES));
            state.unfinished.need = Some(Need::Bytes { len });
            return Ok(None);
        }
        if state.read.len() == 0 && len >= FIRST_FILL_BYTES / 2 && state.is_positional() {
            return self.read_direct(py, state, len);
        }
        if !self.buffer(py, state, len)? {
            return Ok(None);
        }
        let bytes = state.read.bytes();
        let bytes = bytes.get(..len).unwrap_or(bytes);
        let object = PyBytes::new(py, bytes);
        let count = bytes.len();
        state.consume(count);
        Ok(Some(Done { value: object.into_any(), bytes: count }))
    }

    /// A read past an empty buffer goes straight into the object that is returned.
    fn read_direct<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
        len: usize,
    ) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        let object = NewBytes::new(py, len)?;
        let file = state.descriptor()?.clone();
        let mut slot = Slot::from_memory(Box::new(object.part(0, len)));
        let mut waits = false;
        while slot.len() < len && !state.read.ended {
            let offset = Some(state.position + slot.len() as u64);
            match file.read_cached(&mut slot, offset) {
                Ok(Some(0)) => state.read.ended = true,
                Ok(Some(_)) => {}
                Ok(None) => {
                    waits = true;
                    break;
                }
                Err(error) => return Err(self.os_error(py, &error)),
            }
        }
        let count = slot.len();
        if waits {
            // What is here stays here for the next attempt.
            let kept = state.read.keep(slot.filled());
            kept.map_err(|error| self.os_error(py, &error))?;
            state.unfinished.need = Some(Need::Fill { bytes: len - count });
            return Ok(None);
        }
        drop(slot);
        state.reading |= count > 0;
        state.position += count as u64;
        let value = object.finish(py, count)?.into_bound(py).into_any();
        Ok(Some(Done { value, bytes: count }))
    }

    /// Everything up to the end of the file.
    fn read_all<'py>(&self, py: Python<'py>, state: &mut State) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        if state.unfinished.parts_ended {
            return self.take_parts(py, state);
        }
        if matches!(state.unfinished.need, Some(Need::Decode(_))) {
            return Ok(None);
        }
        let remaining = state.remaining().map_err(|error| self.os_error(py, &error))?;
        if self.access.raw && !state.read.ended && remaining <= INLINE_READ_BYTES as u64 {
            return self.read_all_raw(py, state);
        }
        let remaining = usize::try_from(remaining).unwrap_or(usize::MAX);
        let strict = state.text.as_ref().is_some_and(|text| text.errors.as_c_str() == c"strict");
        if state.unfinished.undecodable && !strict {
            return Self::decode_slice(py, state);
        }
        let have = usize::try_from(state.unfinished.parts_bytes).unwrap_or(usize::MAX);
        let in_buffer = std::mem::take(&mut state.unfinished.undecodable);
        if !in_buffer && (remaining > INLINE_READ_BYTES || have > 0) {
            // One byte more than there should be: a short read then tells that it was the last.
            let there = remaining.saturating_sub(have).max(have).max(INLINE_READ_BYTES);
            let len = there.saturating_add(1);
            state.unfinished.need =
                Some(if state.text.is_some() { Need::Text { len } } else { Need::Bytes { len } });
            return Ok(None);
        }
        if !self.buffer_known(py, state, remaining)? || !self.buffer(py, state, usize::MAX)? {
            return Ok(None);
        }
        let State { read, text, .. } = state;
        let bytes = read.bytes();
        let count = bytes.len();
        let value = match text {
            Some(text) => text.decode(py, bytes)?.into_any(),
            None => PyBytes::new(py, bytes).into_any(),
        };
        state.consume(count);
        state.reading = false;
        Ok(Some(Done { value, bytes: count }))
    }

    /// The next slice of text that is not valid, with the error handler; the loop turns in between.
    fn decode_slice<'py>(py: Python<'py>, state: &mut State) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        let State { read, text, unfinished, .. } = state;
        let Some(text) = text else { return Ok(None) };
        let from = usize::try_from(unfinished.parts_bytes).unwrap_or(usize::MAX);
        let rest = read.bytes().get(from..).unwrap_or_default();
        let (string, used) = text.decode_chars(py, rest, SLICE_CHARS, true)?;
        unfinished.parts.push(string.into_any().unbind());
        unfinished.parts_bytes += used as u64;
        unfinished.parts_ended = used == rest.len();
        unfinished.undecodable = !unfinished.parts_ended;
        Ok(None)
    }

    /// Everything up to the end of a small unbuffered file, or of a pipe: one read after the other.
    fn read_all_raw<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
    ) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        for _ in 0..4 {
            match self.fill_cached(py, state, INLINE_READ_BYTES)? {
                Filled::Some => {}
                Filled::End => return self.read_all(py, state),
                Filled::NotNow => {
                    state.unfinished.need = Some(Need::Fill { bytes: INLINE_READ_BYTES });
                    break;
                }
            }
        }
        Ok(None)
    }

    /// At most `limit` characters.
    fn read_chars<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
        limit: usize,
    ) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        let mut wanted = limit;
        loop {
            if !self.buffer(py, state, wanted)? {
                return Ok(None);
            }
            let State { read, text, .. } = state;
            let (bytes, ended) = (read.bytes(), read.ended);
            let Some(text) = text else { return Ok(None) };
            let (string, used) = text.decode_chars(py, bytes, limit, ended)?;
            let count = crate::memory::char_len(&string);
            if count == limit || ended {
                state.consume(used);
                state.reading |= limit > 0;
                return Ok(Some(Done { value: string.into_any(), bytes: used }));
            }
            // Characters of several bytes: more must be here, by as many characters as are missing.
            wanted = bytes.len() + (limit - count);
        }
    }
}

impl File {
    /// Starts a read into the buffer that may wait; where that must be moved first, only the moving.
    pub(super) fn fill(&self, py: Python<'_>, bytes: usize) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let ends = {
            let mut state = core.lock(py);
            if state.read.is_long_to_move(bytes) {
                let buffer = std::mem::take(&mut state.read);
                drop(state);
                return Self::make_room(py, core, buffer, bytes);
            }
            state.read_offset().is_some()
        };
        if ends {
            return submit_read(py, bytes, Box::new(move |py| Self::begin_fill(py, core, bytes)));
        }
        let (submission, then) = Self::begin_fill(py, core, bytes)?;
        submit(py, submission, then)
    }

    fn begin_fill(py: Python<'_>, core: Arc<Core>, bytes: usize) -> PyResult<(Submission, Then)> {
        let (file, slot, offset) = {
            let mut state = core.lock(py);
            let file = state.descriptor()?.clone();
            let offset = state.read_offset();
            let slot = state.take_for_reading(bytes).map_err(|error| core.os_error(py, &error))?;
            (file, slot, offset)
        };
        let then = move |py: Python<'_>, completion: afx_core::engine::Completion| {
            let mut state = core.lock(py);
            if let Some(slot) = completion.slot {
                state.read.put_back(slot);
            }
            match completion.result {
                Ok(count) => state.read.ended = count == 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if state.closing => return Err(crate::errors::closed()),
                Err(error) => return Err(core.os_error(py, &error)),
            }
            Ok(py.None())
        };
        Ok((Submission::Read { file, slot, offset }, Box::new(then)))
    }

    /// Makes one object of the first `len` bytes of the read buffer, off the loop.
    pub(super) fn copy_out(&self, py: Python<'_>, len: usize) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let object = NewBytes::new(py, len)?;
        let buffer = std::mem::take(&mut core.lock(py).read);
        job(py, None, move || {
            let mut copy = Slot::from_memory(Box::new(object.part(0, len)));
            copy.extend_from_slice(buffer.bytes().get(..len).unwrap_or_default());
            drop(copy);
            Box::new(move |py| {
                let bytes = object.finish(py, len)?;
                let mut state = core.lock(py);
                state.read = buffer;
                state.unfinished.parts.push(bytes.into_any());
                state.unfinished.parts_bytes = len as u64;
                Ok(py.None())
            })
        })
    }

    /// Moves a large buffer to where there is more room, off the loop.
    fn make_room(
        py: Python<'_>,
        core: Arc<Core>,
        mut buffer: ReadBuffer,
        bytes: usize,
    ) -> PyResult<Py<Operation>> {
        job(py, None, move || {
            let moved = buffer.make_room(bytes);
            Box::new(move |py| {
                core.lock(py).read = buffer;
                moved.map_err(|error| core.os_error(py, &error))?;
                Ok(py.None())
            })
        })
    }
}

fn join_bytes(py: Python<'_>, parts: Vec<Py<PyAny>>) -> PyResult<Bound<'_, PyAny>> {
    match parts.as_slice() {
        [only] => Ok(only.bind(py).clone()),
        _ => PyBytes::new(py, b"").call_method1("join", (parts,)),
    }
}

#[pymethods]
impl File {
    /// Attempts `read(size)`: all when size is negative.
    #[pyo3(signature = (size, owned = false))]
    fn _read<'py>(&self, py: Python<'py>, size: isize, owned: bool) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.attempt(py, owned, |core, state| {
            state.check_readable(py)?;
            if state.must_flush_first() {
                return Ok(None);
            }
            match usize::try_from(size) {
                Err(_) => core.read_all(py, state),
                Ok(limit) if state.text.is_some() => core.read_chars(py, state, limit),
                Ok(len) => core.read_bytes(py, state, len),
            }
        })
    }

    /// Attempts one read of at most `size` bytes: what is buffered, or one system call's worth.
    #[pyo3(signature = (size, owned = false))]
    fn _read1<'py>(&self, py: Python<'py>, size: isize, owned: bool) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.attempt(py, owned, |core, state| {
            state.check_readable_for(py, "read1")?;
            if state.must_flush_first() || (size != 0 && !core.buffer(py, state, 1)?) {
                return Ok(None);
            }
            let bytes = state.read.bytes();
            let count = usize::try_from(size).map_or(bytes.len(), |size| size.min(bytes.len()));
            let object = PyBytes::new(py, bytes.get(..count).unwrap_or(bytes));
            state.consume(count);
            Ok(Some(Done { value: object.into_any(), bytes: count }))
        })
    }

    /// Attempts `peek()`: what is buffered, after one read if that is nothing.
    #[pyo3(signature = (owned = false))]
    fn _peek<'py>(&self, py: Python<'py>, owned: bool) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.attempt(py, owned, |core, state| {
            state.check_readable(py)?;
            if state.must_flush_first() || !core.buffer(py, state, 1)? {
                return Ok(None);
            }
            let bytes = state.read.bytes();
            Ok(Some(Done { value: PyBytes::new(py, bytes).into_any(), bytes: bytes.len() }))
        })
    }
}
