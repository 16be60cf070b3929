//! Writing: into the buffer, and from it to the kernel, one write at a time.

use super::{
    Core, Done, File, behind::Line, buffers::MOVED_BYTES, fifo::WRITES, state::State, steps::Steps,
    text::Text,
};
use crate::{
    driver::{CancelFlag, Finish, LoopHandle, Operation, job, operation, submit},
    errors::unsupported,
    memory::{FrozenBytes, FrozenString, PinnedBuffer, ascii},
};
use afx_core::{
    buffer::{Chunk, StableMemory},
    engine::{Completion, Descriptor, Submission},
    limits::{
        BEHIND_SPLIT_BYTES, INLINE_READ_BYTES, TRANSFER_BYTES, WRITE_JOB_MAX_BYTES, WRITE_JOB_MIN_BYTES,
    },
};
use pyo3::{
    buffer::PyBuffer,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString},
};
use rustix::fs::{SeekFrom, seek};
use std::{
    borrow::Cow,
    io,
    sync::{Arc, atomic::Ordering},
};

impl Core {
    /// Attempts to write bytes: their count, if they fit in the buffer.
    fn write_bytes(&self, py: Python<'_>, state: &mut State, bytes: &[u8]) -> PyResult<Option<Done<usize>>> {
        state.check_writable(py)?;
        let fits = self.buffer_write(py, state, bytes)?;
        Ok(fits.then_some(Done { value: bytes.len(), bytes: bytes.len() }))
    }

    /// Attempts to send an object of `count` bytes or characters on its way that the buffer does not take.
    fn write_behind(
        &self,
        py: Python<'_>,
        state: &mut State,
        (len, count): (usize, usize),
        object: impl FnOnce() -> Option<Chunk>,
    ) -> PyResult<Option<Done<usize>>> {
        if !state.writes_behind() || len < state.write.capacity() {
            return Ok(None);
        }
        if let Some(error) = state.behind.take_error() {
            return Err(self.os_error(py, &error));
        }
        state.turn_to_writing().map_err(|error| self.os_error(py, &error))?;
        if !state.may_send_large(len) {
            return Ok(None);
        }
        let Some(chunk) = object() else { return Ok(None) };
        let event_loop = LoopHandle::of_running(py)?;
        state.send_behind();
        state.send(chunk, event_loop);
        // Nothing of it was copied here.
        Ok(Some(Done { value: count, bytes: 0 }))
    }

    /// Attempts to write text: the count of its characters, if they fit in the buffer.
    fn write_text(
        &self,
        py: Python<'_>,
        state: &mut State,
        string: &Bound<'_, PyString>,
        owned: bool,
    ) -> PyResult<Option<Done<usize>>> {
        state.check_writable(py)?;
        if let Some(text) = &state.text
            && text.writes_as_it_is()
            && let Some(bytes) = ascii(string)
        {
            let fits = self.buffer_write(py, state, bytes)?;
            return Ok(fits.then_some(Done { value: bytes.len(), bytes: bytes.len() }));
        }
        let chars = crate::memory::char_len(string);
        if chars > 0 && !state.has_room(chars) {
            // Encoding what will not fit would only take time.
            return Ok(None);
        }
        let Some(text) = &state.text else { return Ok(None) };
        let line_buffering = text.line_buffering;
        let encoded = text.encode(py, string)?;
        // A line-buffered file flushes with every line: that is for the owner.
        let flushes = line_buffering && memchr::memchr2(b'\n', b'\r', &encoded).is_some();
        if (flushes && !owned) || !self.buffer_write(py, state, &encoded)? {
            return Ok(None);
        }
        Ok(Some(Done { value: chars, bytes: encoded.len() }))
    }

    /// Buffers `bytes` if they fit, behind whatever was written before.
    fn buffer_write(&self, py: Python<'_>, state: &mut State, bytes: &[u8]) -> PyResult<bool> {
        if !state.has_room(bytes.len()) {
            return Ok(false);
        }
        if let Err(error) = state.turn_to_writing().and_then(|()| state.write.push(bytes)) {
            return Err(self.os_error(py, &error));
        }
        state.count_written(bytes.len());
        state.write_behind();
        Ok(true)
    }

    /// Tells the kernel's position of an append-only file, which moves with every write.
    pub(super) fn follow_append(&self, state: &mut State) -> io::Result<()> {
        let moves = self.access.append && state.is_positional() && state.is_seekable();
        if let Some(file) = state.file.as_ref().filter(|_| moves) {
            state.position = seek(&**file, SeekFrom::Current(0))? + state.write.len() as u64;
            state.fetched = state.position;
            // An operation that reads has written first: this is where it starts.
            state.unfinished.start = state.unfinished.start.map(|_| state.position);
        }
        Ok(())
    }

    /// As [`follow_append`](Self::follow_append), for what went there behind the program, all of it.
    pub(super) fn follow_behind(&self, py: Python<'_>, state: &mut State) -> PyResult<()> {
        if std::mem::take(&mut state.behind.moved) {
            self.follow_append(state).map_err(|error| self.os_error(py, &error))?;
        }
        Ok(())
    }

    /// What `written` bytes of `expected` mean: none at all is an error, and so is a refusal.
    pub(super) fn written(result: io::Result<usize>, expected: usize) -> io::Result<usize> {
        match result {
            Ok(0) if expected > 0 => Err(io::Error::from_raw_os_error(libc::EIO)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            result => result,
        }
    }
}

impl File {
    /// Starts waiting for what is on its way to the kernel. `None` when nothing is.
    fn settle_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        let mut state = self.core.lock(py);
        if let Some(error) = state.behind.take_error() {
            return Err(self.core.os_error(py, &error));
        }
        let Some(line) = state.behind.resumed() else {
            state.behind.release();
            return self.core.follow_behind(py, &mut state).map(|()| None);
        };
        drop(state);
        until_stopped(py, &line).map(Some)
    }

    /// The same where everything is written behind: what is buffered goes on its way, too.
    fn behind_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        let (line, most) = {
            let mut state = self.core.lock(py);
            let most = state.most_pending();
            if !state.write.is_empty() && state.may_send(state.write.len()) {
                state.send_behind();
            }
            (state.behind.resumed(), most)
        };
        let Some(line) = line else { return self.flush_step(py) };
        let (operation, end) = operation(py, CancelFlag::default())?;
        line.when_at_most(most, Box::new(end));
        Ok(Some(operation))
    }

    /// Sends what may be on its way of a large object. `None` when all of it is, or nothing of it may be.
    fn large_behind_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        let event_loop = LoopHandle::of_running(py)?;
        {
            let mut state = self.core.lock(py);
            let Some(mut rest) = state.outgoing.take() else { return Ok(None) };
            if let Some(error) = state.behind.take_error() {
                return Err(self.core.os_error(py, &error));
            }
            let step = state.write_behind_bytes.div_ceil(2).min(TRANSFER_BYTES);
            while !rest.is_empty() && state.may_send(rest.len().min(step)) {
                let piece = rest.slice(0..rest.len().min(step));
                rest.advance(piece.len());
                state.send(piece, event_loop.clone());
            }
            if rest.is_empty() {
                return Ok(None);
            }
            if let Some(error) = state.behind.take_error() {
                return Err(self.core.os_error(py, &error));
            }
            (state.wanted, state.outgoing) = (step, Some(rest));
        }
        self.behind_step(py)
    }

    /// Starts making room for what lacked it. `None` when there is some.
    fn room_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        let line = {
            let mut state = self.core.lock(py);
            if let Some(error) = state.behind.take_error() {
                return Err(self.core.os_error(py, &error));
            }
            if state.has_room_again() {
                return Ok(None);
            }
            if state.writes_behind() {
                drop(state);
                return self.behind_step(py);
            }
            if state.goes_behind() && !state.write.is_empty() {
                // Waited for together: one turn of the loop for both halves.
                state.send_behind();
            }
            state.behind.resumed()
        };
        line.map_or_else(|| self.flush_step(py), |line| until_stopped(py, &line).map(Some))
    }

    /// Starts writing what is buffered. `None` when nothing is, or when it was written at once.
    pub(super) fn flush_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        if let Some(operation) = self.settle_step(py)? {
            return Ok(Some(operation));
        }
        let core = self.core.clone();
        let (file, chunk, offset) = {
            let mut state = core.lock(py);
            if state.write.is_empty() {
                return Ok(None);
            }
            let file = state.descriptor()?.clone();
            while state.tries_cached_writes && state.write.len() <= INLINE_READ_BYTES {
                let offset = state.write_offset();
                match file.write_cached(state.write.bytes(), offset) {
                    Ok(Some(0) | None) => state.tries_cached_writes = false,
                    Ok(Some(written)) => {
                        state.write.consume(written);
                        core.follow_append(&mut state).map_err(|error| core.os_error(py, &error))?;
                        if state.write.is_empty() {
                            return Ok(None);
                        }
                    }
                    Err(error) => return Err(core.os_error(py, &error)),
                }
            }
            let offset = state.write_offset();
            let Some(chunk) = state.write.take() else { return Ok(None) };
            (file, chunk, offset)
        };
        let pending = chunk.clone();
        let then = move |py: Python<'_>, completion: Completion| {
            drop(completion.chunk);
            let mut state = core.lock(py);
            let result = Core::written(completion.result, pending.len());
            state.write.put_back(pending, *result.as_ref().unwrap_or(&0));
            let followed = result.and_then(|_| core.follow_append(&mut state));
            followed.map_err(|error| core.os_error(py, &error))?;
            Ok(py.None())
        };
        submit(py, Submission::Write { file, chunk, offset }, Box::new(then)).map(Some)
    }

    /// Starts writing the next piece of a large object. `None` when all of it is in the kernel.
    fn large_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        let core = self.core.clone();
        let goes_behind = {
            let state = core.lock(py);
            state.write_behind_bytes >= BEHIND_SPLIT_BYTES && state.writes_behind() && !state.outgoing_changes
        };
        if goes_behind {
            return self.large_behind_step(py);
        }
        let (file, piece, offset) = {
            let state = core.lock(py);
            let Some(rest) = state.outgoing.as_ref().filter(|rest| !rest.is_empty()) else {
                return Ok(None);
            };
            let (file, offset) = (state.descriptor()?.clone(), state.write_offset());
            if let Some(offset) = offset
                && rest.len() >= WRITE_JOB_MIN_BYTES
                && !core.access.raw
            {
                let piece = rest.slice(0..rest.len().min(WRITE_JOB_MAX_BYTES));
                drop(state);
                return self.write_steps(py, file, piece, offset).map(Some);
            }
            // An unbuffered write is one call, however long.
            let step = if core.access.raw { rest.len() } else { TRANSFER_BYTES };
            (file, rest.slice(0..rest.len().min(step)), offset)
        };
        let expected = piece.len();
        let then = move |py: Python<'_>, completion: Completion| {
            drop(completion.chunk);
            let mut state = core.lock(py);
            let written =
                Core::written(completion.result, expected).map_err(|error| core.os_error(py, &error))?;
            state.count_outgoing(written);
            core.follow_append(&mut state).map_err(|error| core.os_error(py, &error))?;
            Ok(py.None())
        };
        submit(py, Submission::Write { file, chunk: piece, offset }, Box::new(then)).map(Some)
    }

    /// Starts writing a piece of a large object step by step on one thread: a turn of the loop for every
    /// step would cost a twentieth of the time.
    fn write_steps(
        &self,
        py: Python<'_>,
        file: Arc<Descriptor>,
        piece: Chunk,
        offset: u64,
    ) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let cancel = CancelFlag::default();
        let flag = cancel.clone();
        job(py, Some(cancel), move || -> Finish {
            let (written, result) = write_steps(&file, piece.clone(), offset, &flag);
            Box::new(move |py| {
                drop(piece);
                core.lock(py).count_outgoing(written);
                result.map_err(|error| core.os_error(py, &error))?;
                Ok(py.None())
            })
        })
    }
}

/// Writes everything from `offset` on, step by step, unless it is cancelled between two of them. Returns the
/// bytes that were written, and what ended it before.
fn write_steps(
    file: &Descriptor,
    mut rest: Chunk,
    offset: u64,
    cancel: &CancelFlag,
) -> (usize, io::Result<()>) {
    let (mut written, steps) = (0, Steps::default());
    while !rest.is_empty() && !cancel.is_raised() {
        match steps.write(file, &rest, Some(offset + written as u64)) {
            Ok(count) => {
                written += count;
                rest.advance(count);
            }
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[pymethods]
impl File {
    /// Attempts `write(data)`: the count of bytes or characters when it fits in the buffer.
    #[pyo3(signature = (data, owned = false))]
    fn _write(&self, py: Python<'_>, data: &Bound<'_, PyAny>, owned: bool) -> PyResult<Option<usize>> {
        if self.stack.get(py).is_some() {
            return Ok(None);
        }
        if self.core.is_text.load(Ordering::Relaxed) {
            // As in io, what is no text is refused before the file is looked at.
            let string = string_of(data)?;
            return self.attempt(py, owned, |core, state| {
                match core.write_text(py, state, string, owned)? {
                    None if state.text.as_ref().is_some_and(Text::writes_as_it_is) => {
                        let len = ascii(string).map_or(0, <[u8]>::len);
                        core.write_behind(py, state, (len, len), || FrozenString::ascii(string).map(frozen))
                    }
                    done => Ok(done),
                }
            });
        }
        if let Ok(bytes) = data.cast::<PyBytes>() {
            return self.attempt(py, owned, |core, state| {
                let len = bytes.as_bytes().len();
                match core.write_bytes(py, state, bytes.as_bytes())? {
                    None => {
                        core.write_behind(py, state, (len, len), || Some(frozen(FrozenBytes::new(bytes))))
                    }
                    done => Ok(done),
                }
            });
        }
        if !self.core.access.raw {
            // As in io, the file refuses before the data does.
            self.core.lock(py).check_writable(py)?;
        }
        // Exporting a buffer may run the program's own code: not with the file locked.
        let pinned = PinnedBuffer::new(buffer_of(data)?);
        self.attempt(py, owned, |core, state| match core.write_bytes(py, state, pinned.bytes(py))? {
            // What is longer is not copied, but waited for: its owner may change it.
            None if pinned.capacity() <= MOVED_BYTES => {
                let len = pinned.capacity();
                core.write_behind(py, state, (len, len), || Some(Chunk::copy_of(pinned.bytes(py))))
            }
            done => Ok(done),
        })
    }

    /// Whether the file flushes after `data`.
    fn _flushes_lines(&self, py: Python<'_>, data: &Bound<'_, PyString>) -> PyResult<bool> {
        let line_buffering = self.core.lock(py).text.as_ref().is_some_and(|text| text.line_buffering);
        Ok(line_buffering && (data.contains("\n")? || data.contains("\r")?))
    }

    /// Starts writing what is buffered; None when nothing is left to do.
    fn _flush_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        self.core.lock(py).descriptor()?;
        crate::driver::attach(py)?;
        Ok(self.flush_step(py)?.map(|operation| self.keep(py, operation, WRITES, false)))
    }

    /// Starts making room for the bytes that lacked it; None when there is some now. What follows is an
    /// attempt to write them.
    fn _room_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        self.core.lock(py).descriptor()?;
        crate::driver::attach(py)?;
        Ok(self.room_step(py)?.map(|operation| self.keep(py, operation, WRITES, false)))
    }

    /// Starts waiting until it is known where appended bytes went; None when it is.
    fn _place_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        let line = {
            let mut state = self.core.lock(py);
            let line = state.behind.running();
            if line.is_none() && state.behind.pending() == 0 {
                self.core.follow_behind(py, &mut state)?;
            }
            line.filter(|_| state.behind.moved)
        };
        let waiting = line.map(|line| until_stopped(py, &line)).transpose()?;
        Ok(waiting.map(|operation| self.keep(py, operation, WRITES, false)))
    }

    /// Has up to `bytes` bytes of what is written be on their way while the program goes on.
    fn _set_write_behind(&self, py: Python<'_>, bytes: usize) {
        self.core.lock(py).write_behind_bytes = bytes;
    }

    /// Whether bytes wait to be written.
    fn _has_unwritten(&self, py: Python<'_>) -> bool {
        let state = self.core.lock(py);
        let has_unwritten = state.has_unwritten();
        if !has_unwritten {
            state.behind.release();
        }
        has_unwritten
    }

    /// Takes a large object to be written piece by piece by `_large_step`; returns its length as
    /// `write()` counts it. The owner flushes first.
    fn _begin_large(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut changes = false;
        let (chunk, count) = {
            let is_text = self.core.lock(py).text.is_some();
            if is_text {
                let string = string_of(data)?;
                let chunk = match FrozenString::ascii(string) {
                    Some(memory) if self.writes_lf(py) => frozen(memory),
                    _ => {
                        let state = self.core.lock(py);
                        let Some(text) = &state.text else { return Ok(0) };
                        Chunk::copy_of(&text.encode(py, string)?)
                    }
                };
                (chunk, crate::memory::char_len(string))
            } else if let Ok(bytes) = data.cast::<PyBytes>() {
                (frozen(FrozenBytes::new(bytes)), bytes.as_bytes().len())
            } else {
                let pinned = PinnedBuffer::new(buffer_of(data)?);
                let len = pinned.capacity();
                changes = true;
                (changing(pinned), len)
            }
        };
        let mut state = self.core.lock(py);
        state.check_writable(py)?;
        state.turn_to_writing().map_err(|error| self.core.os_error(py, &error))?;
        (state.outgoing, state.outgoing_changes) = (Some(chunk), changes);
        Ok(count)
    }

    /// Starts writing the next piece of the large object; None when all of it is written.
    fn _large_step(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        crate::driver::attach(py)?;
        Ok(self.large_step(py)?.map(|operation| self.keep(py, operation, WRITES, false)))
    }

    /// Bytes of the large object that are still to be written.
    fn _large_rest(&self, py: Python<'_>) -> usize {
        self.core.lock(py).outgoing.as_ref().map_or(0, Chunk::len)
    }
}

/// An operation that ends when nobody works on the line any more.
fn until_stopped(py: Python<'_>, line: &Line) -> PyResult<Py<Operation>> {
    let (operation, end) = operation(py, CancelFlag::default())?;
    line.when_stopped(Box::new(end));
    Ok(operation)
}

impl File {
    fn writes_lf(&self, py: Python<'_>) -> bool {
        self.core.lock(py).text.as_ref().is_some_and(|text| text.written_newline().is_none())
    }
}

#[allow(unsafe_code, reason = "Python objects are initialised")]
pub(crate) fn frozen(memory: impl StableMemory) -> Chunk {
    // SAFETY: the buffers of Python objects are initialised memory.
    unsafe { Chunk::from_memory(Box::new(memory)) }
}

/// Memory that the program may write to while the kernel reads it.
#[allow(unsafe_code, reason = "Python objects are initialised")]
pub(crate) fn changing(memory: impl StableMemory) -> Chunk {
    // SAFETY: as in `frozen`.
    unsafe { Chunk::from_changing_memory(Box::new(memory)) }
}

fn string_of<'a, 'py>(data: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyString>> {
    data.cast::<PyString>().map_err(|_| {
        let kind = || data.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string());
        let name = if data.is_none() { "None".into() } else { kind() };
        PyTypeError::new_err(format!("write() argument must be str, not {name}"))
    })
}

pub(crate) fn buffer_of(data: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    let name = || data.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string());
    if data.is_instance_of::<PyString>() {
        return Err(not_bytes(data));
    }
    let as_bytes = || {
        let view = data.py().import("builtins")?.getattr("memoryview")?.call1((data,))?;
        PyBuffer::get(&view.call_method1("cast", ("B",))?)
    };
    let buffer: PyBuffer<u8> = PyBuffer::get(data).or_else(|_| as_bytes()).map_err(|error| {
        if error.is_instance_of::<PyValueError>(data.py()) {
            // A memory view that was released.
            return error;
        }
        PyTypeError::new_err(format!("a bytes-like object is required, not '{}'", name()))
    })?;
    if buffer.is_c_contiguous() {
        Ok(buffer)
    } else {
        Err(pyo3::exceptions::PyBufferError::new_err("memoryview: underlying buffer is not C-contiguous"))
    }
}

fn not_bytes(data: &Bound<'_, PyAny>) -> PyErr {
    let name = data.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string());
    PyTypeError::new_err(format!("a bytes-like object is required, not '{name}'"))
}

impl Text {
    /// Whether the bytes of plain ASCII are what is written for it, and nothing follows from them.
    fn writes_as_it_is(&self) -> bool {
        self.written_newline().is_none() && !self.line_buffering
    }

    /// What is written for `\n`, where that is not `\n` itself.
    pub(super) fn written_newline(&self) -> Option<&'static [u8]> {
        match self.newline {
            super::text::Newline::Cr => Some(b"\r"),
            super::text::Newline::CrLf => Some(b"\r\n"),
            _ => None,
        }
    }

    /// The bytes that `string` is written as.
    pub(super) fn encode<'a>(
        &self,
        py: Python<'_>,
        string: &'a Bound<'_, PyString>,
    ) -> PyResult<Cow<'a, [u8]>> {
        let bytes = crate::memory::encode(py, string, self.codec.name(), &self.errors)?;
        let Some(newline) = self.written_newline() else { return Ok(bytes) };
        if memchr::memchr(b'\n', &bytes).is_none() {
            return Ok(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match line.split_last() {
                Some((b'\n', content)) => {
                    out.extend_from_slice(content);
                    out.extend_from_slice(newline);
                }
                _ => out.extend_from_slice(line),
            }
        }
        Ok(Cow::Owned(out))
    }
}

/// `io` refuses this on files that cannot do it.
pub(super) fn refuse_append(py: Python<'_>) -> PyErr {
    unsupported(py, "pwrite on a file opened for appending")
}
