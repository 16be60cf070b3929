//! Lines: one, one after the other, or a list of them.

use super::{
    Core, Done, File, Ready,
    buffers::MOVED_BYTES,
    reading::{Filled, SLICE_CHARS},
    state::{Need, State},
    text::{Line, Newline, find_line},
};
use crate::memory::ascii_string;
use afx_core::limits::INLINE_READ_BYTES;
use memchr::memchr_iter;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyList, PyString},
};

/// Bytes of a line that are decoded at once: 1 ms at the most.
const LONG_LINE_BYTES: usize = 2 * INLINE_READ_BYTES;

/// Bytes that are looked at once for what is known of all lines in them, at the least and at the most.
const LEAST_BYTES: usize = 512;
const MOST_BYTES: usize = 64 * 1024;

/// Bytes of a line as most of them are: more are looked at in vain than are too few.
const USUAL_LINE_BYTES: usize = 64;

impl Core {
    /// The next line as (bytes of content, bytes in all), or `None` when more must be read first.
    fn line(&self, py: Python<'_>, state: &mut State, limit: Option<usize>) -> PyResult<Option<Line>> {
        let newline = state.text.as_ref().map_or(Newline::Lf, |text| text.newline);
        let mut inline = 0;
        loop {
            let (bytes, ended) = (state.read.bytes(), state.read.ended);
            if let Some(found) = find_line(bytes, newline, state.read.scanned.min(bytes.len()), ended) {
                return Ok(Some(found));
            }
            let len = bytes.len();
            let enough = limit.is_some_and(|limit| match &state.text {
                Some(text) => text.holds_chars(bytes, limit),
                None => len >= limit,
            });
            if ended || enough {
                return Ok(Some(Line { content: len, total: len }));
            }
            state.read.scanned = len;
            // A line without end must let the loop turn, too.
            if inline > 2 * INLINE_READ_BYTES {
                return Ok(None);
            }
            // A long line is read in larger and larger pieces, or it would take as many turns as pieces.
            let wanted = if self.access.raw { INLINE_READ_BYTES } else { len.clamp(1, INLINE_READ_BYTES) };
            if let Filled::NotNow = self.fill_cached(py, state, wanted)? {
                state.unfinished.need = Some(Need::Fill { bytes: wanted });
                return Ok(None);
            }
            inline += state.read.len().saturating_sub(len);
        }
    }

    /// Takes the next line out of the buffer: `str` or `bytes`, empty at the end of the file.
    fn take_line<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
        limit: Option<usize>,
        owned: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if state.must_flush_first() {
            return Ok(None);
        }
        if limit == Some(0) {
            // Nothing is read: an unbuffered file could not give it back.
            let nothing = match state.text {
                Some(_) => PyString::new(py, "").into_any(),
                None => PyBytes::new(py, b"").into_any(),
            };
            return Ok(Some(nothing));
        }
        let Some(found) = self.line(py, state, limit)? else { return Ok(None) };
        if limit.is_none() && state.text.is_some() && found.total > LONG_LINE_BYTES {
            return if owned { self.take_long_line(py, state, found) } else { Ok(None) };
        }
        let bytes_used = limit.map_or(found.total, |limit| found.total.min(limit));
        if state.text.is_none() && bytes_used > MOVED_BYTES {
            return if owned { self.take_copied_line(py, state, bytes_used) } else { Ok(None) };
        }
        let State { read, text, .. } = state;
        let bytes = read.bytes();
        let (object, used) = match (text, limit) {
            (None, _) => {
                let used = bytes_used;
                (PyBytes::new(py, bytes.get(..used).unwrap_or(bytes)).into_any(), used)
            }
            (Some(text), None) => (text.decode_line(py, bytes, found)?.into_any(), found.total),
            (Some(text), Some(limit)) => {
                let whole = bytes.get(..found.total).unwrap_or(bytes);
                let complete = found.total > found.content || read.ended;
                let (string, used) = text.decode_chars(py, whole, limit, complete)?;
                (string.into_any(), used)
            }
        };
        self.consume_line(py, state, used)?;
        Ok(Some(object))
    }

    /// Takes whole lines that are in the buffer already and end in `\n`, until there are `count`: what can be
    /// known of all of them is looked at once.
    fn take_short_lines<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
        count: usize,
        lines: &mut Vec<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        // An unbuffered file gives back what is behind each line.
        if self.access.raw || state.must_flush_first() {
            return Ok(());
        }
        let State { read, text, .. } = state;
        let bytes = read.bytes();
        let wanted = (count - lines.len()).saturating_mul(USUAL_LINE_BYTES).clamp(LEAST_BYTES, MOST_BYTES);
        let window = bytes.get(..wanted).unwrap_or(bytes);
        if text.as_ref().is_some_and(|text| !text.ends_lines_with_lf(window)) {
            return Ok(());
        }
        let form = text.as_ref().map(|text| (text, window.is_ascii()));
        let mut used = 0;
        for at in memchr_iter(b'\n', window) {
            let line = window.get(used..=at).unwrap_or_default();
            let object = match form {
                None => Ok(PyBytes::new(py, line).into_any()),
                Some((_, true)) => ascii_string(py, line).map(Bound::into_any),
                Some((text, false)) => text.decode_raw(py, line).map(Bound::into_any),
            };
            // The next attempt finds it again, when the lines before it are out.
            let Ok(object) = object else { break };
            lines.push(object);
            used = at + 1;
            if lines.len() == count {
                break;
            }
        }
        if used == 0 {
            return Ok(());
        }
        if let Some(text) = text {
            text.note_lf();
        }
        self.consume_line(py, state, used)
    }

    /// As [`take_line`](Self::take_line) for a line of bytes that would take long to copy: that is done
    /// elsewhere, with `None` before.
    fn take_copied_line<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
        len: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if state.unfinished.parts_bytes < len as u64 {
            state.unfinished.need = Some(Need::Copy { len });
            return Ok(None);
        }
        let line = state.unfinished.parts.pop();
        state.unfinished.parts_bytes = 0;
        self.consume_line(py, state, len)?;
        Ok(line.map(|line| line.into_bound(py)))
    }

    fn consume_line(&self, py: Python<'_>, state: &mut State, used: usize) -> PyResult<()> {
        state.consume(used);
        state.reading &= !(state.read.ended && state.read.len() == 0);
        if self.access.raw {
            // Others see the position of an unbuffered file: it is behind the line, not behind the chunk.
            state.give_back_read_ahead().map_err(|error| self.os_error(py, &error))?;
        }
        Ok(())
    }

    /// As [`take_line`](Self::take_line) for a line that would take long to decode: slice by slice, with
    /// `None` after each but the last.
    fn take_long_line<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
        found: Line,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let State { read, text, unfinished, .. } = state;
        let Some(text) = text else { return Ok(None) };
        let bytes = read.bytes();
        let from = usize::try_from(unfinished.parts_bytes).unwrap_or(usize::MAX);
        if from < found.content {
            let rest = bytes.get(from..found.content).unwrap_or_default();
            let (string, used) = text.decode_chars(py, rest, SLICE_CHARS, true)?;
            unfinished.parts.push(string.into_any().unbind());
            unfinished.parts_bytes += used as u64;
            return Ok(None);
        }
        if from < found.total {
            let end = bytes.get(found.content..found.total).unwrap_or_default();
            let whole = Line { content: 0, total: end.len() };
            unfinished.parts.push(text.decode_line(py, end, whole)?.into_any().unbind());
            unfinished.parts_bytes = found.total as u64;
        }
        let Some(line) = unfinished.join_step(py)? else { return Ok(None) };
        unfinished.parts_bytes = 0;
        self.consume_line(py, state, found.total)?;
        Ok(Some(line))
    }
}

impl File {
    fn next_line<'py>(
        &self,
        py: Python<'py>,
        limit: Option<usize>,
        owned: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.attempt(py, owned, |core, state| {
            state.check_readable(py)?;
            let before = state.position;
            let line = core.take_line(py, state, limit, owned)?;
            let bytes = usize::try_from(state.position - before).unwrap_or(0);
            Ok(line.map(|value| Done { value, bytes }))
        })
    }

    /// An awaitable that has `line`: the one of the last line, where nobody holds that any more.
    fn ready<'py>(&self, py: Python<'py>, line: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let mut line = line.unbind();
        if let Some(last) = self.ready.get(py) {
            match Ready::reuse(last, line) {
                Ok(()) => return Ok(last.bind(py).clone().into_any()),
                Err(back) => line = back,
            }
        }
        let ready = Ready::new(py, line)?;
        // Another thread may have been first; then this one serves once.
        let _ = self.ready.set(py, ready.clone_ref(py));
        Ok(ready.into_bound(py).into_any())
    }
}

#[pymethods]
impl File {
    /// Attempts `readline(size)`: a line with its terminator, cut at `size` when that is not negative.
    #[pyo3(signature = (size = None, owned = false))]
    fn _readline<'py>(
        &self,
        py: Python<'py>,
        size: Option<isize>,
        owned: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.next_line(py, size.and_then(|size| usize::try_from(size).ok()), owned)
    }

    /// The next line, awaitable; when it is not here, a coroutine that gets it.
    fn __anext__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        match this.get().next_line(py, None, false) {
            Ok(Some(line)) if line.is_truthy()? => this.get().ready(py, line),
            // The end and errors, too: they are raised when the result is awaited, never by the call.
            _ => this.call_method0(pyo3::intern!(py, "_next_line")),
        }
    }

    /// Attempts to read `count` lines. The owner of the file may get fewer at any time; others only at the
    /// end, before an error and of what nobody can go back in.
    #[pyo3(signature = (count, owned = false))]
    fn _lines<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        owned: bool,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let mut lines = Vec::new();
        let complete = self.attempt(py, owned, |core, state| {
            state.check_readable(py)?;
            let before = state.position;
            // Whoever waits for the rest takes all of them, or none.
            let start = if state.goes_back() && !owned {
                let position = Core::position(state).map_err(|error| core.os_error(py, &error))?;
                Some((position, state.fetched))
            } else {
                None
            };
            while lines.len() < count {
                core.take_short_lines(py, state, count, &mut lines)?;
                if lines.len() == count {
                    break;
                }
                match core.take_line(py, state, None, owned) {
                    Ok(Some(line)) if line.is_truthy()? => lines.push(line),
                    Ok(None) if lines.is_empty() => return Ok(None),
                    // The next attempt finds it again, when the lines before it are out.
                    Err(error) if lines.is_empty() => return Err(error),
                    Ok(None) if let Some((position, fetched)) = start => {
                        state.go_back(position);
                        state.fetched = fetched;
                        return Ok(None);
                    }
                    _ => break,
                }
            }
            state.unfinished.need = None;
            let bytes = usize::try_from(state.position - before).unwrap_or(0);
            Ok(Some(Done { value: (), bytes }))
        })?;
        // The list is made with the file unlocked: making one can run the garbage collector.
        complete.map(|()| PyList::new(py, lines)).transpose()
    }
}
