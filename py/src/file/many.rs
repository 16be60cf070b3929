//! Writing many lines with one call: those of a list or a tuple, and those that an iterator gives.

use super::{Core, Done, File, state::State};
use crate::{driver::budget, memory::ascii};
use afx_core::{engine::FileKind, limits::LAST_FILL_BYTES};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyIterator, PyList, PyString, PyTuple},
};
use std::{
    borrow::Cow,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// Lines that one attempt looks at: some 0.2 ms.
const LINES_AT_ONCE: usize = 4096;

/// How long lines are taken from an iterator, and after how many of them the clock is looked at.
const LONGEST: Duration = Duration::from_micros(500);
const LINES_PER_LOOK: usize = 16;

/// What a line costs besides its bytes, as bytes that are copied.
const LINE_COST_BYTES: usize = 32;

/// Bytes that are buffered while the lines of a list are written, however small the buffer is; no more
/// than that stays when they are. The program has no turn in between, so that it cannot tell; each wait
/// for the kernel costs a turn of the loop.
const STRETCHED_BYTES: usize = LAST_FILL_BYTES;

/// Characters of a line from which on it is written by itself, perhaps piece by piece.
const LONG_LINE_CHARS: usize = 64 * 1024;

impl Core {
    /// Buffers lines as long as there is room: their count, `None` for none.
    fn write_many(
        &self,
        py: Python<'_>,
        state: &mut State,
        lines: &[Bound<'_, PyAny>],
        owned: bool,
    ) -> PyResult<Option<Done<usize>>> {
        state.check_writable(py)?;
        if self.access.raw || state.text.as_ref().is_some_and(|text| text.line_buffering) {
            return Ok(None);
        }
        let stretches = owned
            && !state.writes_behind()
            && state.file.as_ref().is_some_and(|file| file.kind() == FileKind::Seekable);
        let mut done = Done { value: 0, bytes: 0 };
        for line in lines {
            let Some(bytes) = Self::bytes_of(py, state, line)? else { break };
            let len = bytes.len();
            if !state.has_room(len) {
                let room = STRETCHED_BYTES.max(state.write.capacity());
                if !stretches || !state.has_room_within(len, room) {
                    break;
                }
                state.write.stretch(room).map_err(|error| self.os_error(py, &error))?;
            }
            let turned = if done.value == 0 { state.turn_to_writing() } else { Ok(()) };
            let pushed = turned.and_then(|()| state.write.push(&bytes));
            pushed.map_err(|error| self.os_error(py, &error))?;
            state.count_written(len);
            done.value += 1;
            done.bytes += len + LINE_COST_BYTES;
        }
        if !state.write.is_stretched() {
            state.write_behind();
        }
        Ok((done.value > 0).then_some(done))
    }

    /// What is written for a line; `None` for one that is not written here, or not at all.
    fn bytes_of<'a>(
        py: Python<'_>,
        state: &State,
        line: &'a Bound<'_, PyAny>,
    ) -> PyResult<Option<Cow<'a, [u8]>>> {
        match &state.text {
            None => Ok(line.cast::<PyBytes>().ok().map(|bytes| Cow::Borrowed(bytes.as_bytes()))),
            Some(text) => match line.cast::<PyString>() {
                Ok(string) if text.written_newline().is_none() && ascii(string).is_some() => {
                    Ok(ascii(string).map(Cow::Borrowed))
                }
                Ok(string) if crate::memory::char_len(string) <= LONG_LINE_CHARS => {
                    text.encode(py, string).map(Some)
                }
                _ => Ok(None),
            },
        }
    }
}

#[pymethods]
impl File {
    /// Attempts to write the lines of a list or a tuple from `start` on. Returns the index of the first
    /// that is not written; this one takes waiting, is to be written by itself, or is refused.
    #[pyo3(signature = (lines, start, owned = false))]
    fn _write_listed(
        &self,
        py: Python<'_>,
        lines: &Bound<'_, PyAny>,
        start: usize,
        owned: bool,
    ) -> PyResult<usize> {
        if self.stack.get(py).is_some() {
            return Ok(start);
        }
        // Taken out before the file is locked: they may go with the list, which may run a program's code.
        let batch = batch_of(lines, start);
        if batch.is_empty() {
            return Ok(start);
        }
        let written = self.attempt(py, owned, |core, state| core.write_many(py, state, &batch, owned))?;
        Ok(start + written.unwrap_or(0))
    }

    /// Attempts to write the lines of an iterator until it ends: then None, otherwise the line that was
    /// taken and not written, in a tuple, which is empty when it is only time for the loop to turn.
    fn _write_each<'py>(
        &self,
        py: Python<'py>,
        lines: &Bound<'py, PyIterator>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let mut batch = {
            let state = self.core.lock(py);
            // What is refused, and text that is not written as it is, is left to `_write`.
            let plain = state
                .text
                .as_ref()
                .is_none_or(|text| text.written_newline().is_none() && !text.line_buffering);
            let room = if plain && state.check_writable(py).is_ok() { state.room() } else { 0 };
            Batch { room, bytes: Vec::with_capacity(room), count: 0, begun: Instant::now() }
        };
        let end = self.fill_batch(py, lines, &mut batch);
        // Whatever ended it, the lines before are written.
        if batch.count > 0 {
            self.write_batch(py, &batch)?;
        }
        end
    }

    /// Whether more is buffered than may stay so.
    fn _is_stretched(&self, py: Python<'_>) -> bool {
        self.core.lock(py).write.is_stretched()
    }
}

/// Lines of an iterator on their way to the buffer.
struct Batch {
    /// Bytes that may be buffered.
    room: usize,
    bytes: Vec<u8>,
    count: usize,
    begun: Instant,
}

impl Batch {
    /// Whether it is time for the loop to turn: taking lines runs the program's code.
    fn is_long(&self) -> bool {
        self.count.is_multiple_of(LINES_PER_LOOK)
            && (self.begun.elapsed() >= LONGEST || self.count >= LINES_AT_ONCE)
    }
}

impl File {
    /// Takes lines as long as they fit, with the file unlocked.
    fn fill_batch<'py>(
        &self,
        py: Python<'py>,
        lines: &Bound<'py, PyIterator>,
        batch: &mut Batch,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        for line in lines {
            let line = line?;
            match self.plain_bytes(&line) {
                Some(bytes) if batch.bytes.len() + bytes.len() < batch.room => {
                    batch.bytes.extend_from_slice(bytes);
                }
                _ => return PyTuple::new(py, [line]).map(Some),
            }
            batch.count += 1;
            if batch.is_long() {
                return Ok(Some(PyTuple::empty(py)));
            }
        }
        Ok(None)
    }

    /// What is written for a line, where that is known without the file.
    fn plain_bytes<'a>(&self, line: &'a Bound<'_, PyAny>) -> Option<&'a [u8]> {
        if self.core.is_text.load(Ordering::Relaxed) {
            line.cast::<PyString>().ok().and_then(ascii)
        } else {
            line.cast::<PyBytes>().ok().map(PyBytesMethods::as_bytes)
        }
    }

    fn write_batch(&self, py: Python<'_>, batch: &Batch) -> PyResult<()> {
        let mut state = self.core.lock(py);
        state.descriptor()?;
        let room = state.write.capacity().max(state.write.len() + batch.bytes.len());
        let pushed = state
            .turn_to_writing()
            .and_then(|()| state.write.stretch(room))
            .and_then(|()| state.write.push(&batch.bytes));
        pushed.map_err(|error| self.core.os_error(py, &error))?;
        state.count_written(batch.bytes.len());
        state.write_behind();
        drop(state);
        budget::spend(py, batch.bytes.len() + batch.count * LINE_COST_BYTES);
        Ok(())
    }
}

/// Some of the items of a list or a tuple, from `start` on.
fn batch_of<'py>(lines: &Bound<'py, PyAny>, start: usize) -> Vec<Bound<'py, PyAny>> {
    let indices = start..start.saturating_add(LINES_AT_ONCE);
    if let Ok(list) = lines.cast::<PyList>() {
        indices.map_while(|index| list.get_item(index).ok()).collect()
    } else if let Ok(tuple) = lines.cast::<PyTuple>() {
        indices.map_while(|index| tuple.get_item(index).ok()).collect()
    } else {
        Vec::new()
    }
}
