//! Moving the position, asking for it, and setting the length.

use super::{
    Core, Done, File,
    fifo::WRITES,
    state::{State, Unfinished},
};
use crate::{
    driver::{Operation, job},
    errors::unsupported,
};
use pyo3::{
    exceptions::{PyOverflowError, PyValueError},
    prelude::*,
};
use rustix::fs::{FileType, SeekFrom, fstat, ftruncate, seek};
use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

/// What a text cookie of CPython's `io` says: its `_pack_cookie`, least significant byte first.
///
/// Source: `Modules/_io/textio.c`, `textiowrapper_parse_cookie`.
struct Cookie {
    position: u64,
    chars_to_skip: usize,
}

impl Cookie {
    fn parse(cookie: u128, rest: u64) -> Option<Self> {
        // position 8 bytes, decoder flags 4, bytes to feed 4, characters to skip 4, need_eof 1
        // The bytes to feed are only there to be skipped by character: our encodings keep no state. But a
        // decoder of `io` may hold back a \r, in its lowest flag, until it has seen what follows.
        let held_back = u64::from((cookie >> 64) & 1 == 1);
        Some(Self {
            position: u64::try_from(cookie & u128::from(u64::MAX)).ok()?.saturating_sub(held_back),
            chars_to_skip: usize::try_from(rest & 0xffff_ffff).ok()?,
        })
    }
}

impl State {
    /// Undoes what was read since a mark that was not committed.
    pub(super) fn roll_back(&mut self, unfinished: &Unfinished) {
        let kept = self.kept.take().unwrap_or_default();
        if let Some(start) = unfinished.start {
            self.fetched = unfinished.fetched;
            self.go_back(start);
        } else if self.file.is_some() && !kept.is_empty() {
            self.position = self.position.saturating_sub(kept.len() as u64);
            self.read.give_back(&kept);
        }
    }

    /// Goes to `position`, where the kernel has been before.
    pub(super) fn go_back(&mut self, position: u64) {
        if !self.has_unwritten() && self.file.is_some() {
            // The kernel refuses no position that it gave us; if it does, the next read says so.
            let _ = Core::seek_to(self, position);
        }
    }
}

impl Core {
    fn seek_to(state: &mut State, target: u64) -> io::Result<u64> {
        if !state.is_positional() {
            state.give_back_read_ahead()?;
            let file = state.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
            return Ok(seek(&**file, SeekFrom::Start(target))?);
        }
        let (from, ahead) = (state.position, state.read.len() as u64);
        if target >= from && target - from <= ahead && ahead > 0 {
            let forward = usize::try_from(target - from).unwrap_or(usize::MAX);
            state.read.consume(forward);
        } else {
            let back = usize::try_from(from.saturating_sub(target)).unwrap_or(usize::MAX);
            if target > from || !state.read.rewind(back) {
                state.read.clear();
            }
        }
        state.position = target;
        state.set_kernel_position()?;
        Ok(target)
    }

    /// Where the program believes to be.
    pub(super) fn position(state: &State) -> io::Result<u64> {
        if state.is_positional() {
            return Ok(state.position);
        }
        let file = state.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let kernel = seek(&**file, SeekFrom::Current(0))?;
        Ok((kernel + state.write.len() as u64).saturating_sub(state.read.len() as u64))
    }

    fn target(&self, py: Python<'_>, state: &State, offset: i64, whence: i32) -> PyResult<u64> {
        let base = match whence {
            0 if offset < 0 => return Err(self.os_error(py, &io::Error::from_raw_os_error(libc::EINVAL))),
            0 => 0,
            1 => Self::position(state).map_err(|error| self.os_error(py, &error))?,
            2 => end_of(state).map_err(|error| self.os_error(py, &error))?,
            libc::SEEK_DATA | libc::SEEK_HOLE => {
                let from = u64::try_from(offset).unwrap_or(u64::MAX);
                let file = state.descriptor()?;
                let found =
                    if whence == libc::SEEK_DATA { SeekFrom::Data(from) } else { SeekFrom::Hole(from) };
                return seek(&**file, found).map_err(|error| self.os_error(py, &error.into()));
            }
            // An unbuffered file asks the kernel; the others do not come here.
            _ => return Err(self.os_error(py, &io::Error::from_raw_os_error(libc::EINVAL))),
        };
        let target = i128::from(base) + i128::from(offset);
        u64::try_from(target)
            .ok()
            .filter(|target| i64::try_from(*target).is_ok())
            .ok_or_else(|| self.os_error(py, &io::Error::from_raw_os_error(libc::EINVAL)))
    }

    fn check_seekable(&self, py: Python<'_>, state: &State) -> PyResult<()> {
        state.descriptor()?;
        if state.is_seekable() {
            Ok(())
        } else if state.text.is_some() || !self.access.raw {
            Err(unsupported(py, "underlying stream is not seekable"))
        } else {
            Err(self.os_error(py, &io::Error::from_raw_os_error(libc::ESPIPE)))
        }
    }
}

/// The end of the file, the kernel's position left where it is.
fn end_of(state: &State) -> io::Result<u64> {
    let Some(file) = &state.file else { return Err(io::ErrorKind::NotFound.into()) };
    let stat = fstat(&**file)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        return Ok(u64::try_from(stat.st_size).unwrap_or(0));
    }
    // A block device tells its size in no other way.
    let before = seek(&**file, SeekFrom::Current(0))?;
    let end = seek(&**file, SeekFrom::End(0))?;
    seek(&**file, SeekFrom::Start(before))?;
    Ok(end)
}

#[pymethods]
impl File {
    /// Attempts `seek(offset, whence)` of a binary file.
    #[pyo3(signature = (offset, whence, owned = false))]
    fn _seek(
        &self,
        py: Python<'_>,
        offset: &Bound<'_, PyAny>,
        whence: i32,
        owned: bool,
    ) -> PyResult<Option<u64>> {
        if self.stack.get(py).is_some() {
            return Ok(None);
        }
        if !self.core.access.raw && !(0..=4).contains(&whence) {
            // Before anything about the offset.
            self.core.lock(py).descriptor()?;
            return Err(PyValueError::new_err(format!("whence value {whence} unsupported")));
        }
        let offset: i64 = offset.extract().map_err(|error: PyErr| {
            if error.is_instance_of::<PyOverflowError>(py) && !self.core.access.raw {
                PyValueError::new_err("cannot fit 'int' into an offset-sized integer")
            } else {
                error
            }
        })?;
        self.attempt(py, owned, |core, state| {
            core.check_seekable(py, state)?;
            if state.must_flush_first() {
                return Ok(None);
            }
            let target = core.target(py, state, offset, whence)?;
            let value = Core::seek_to(state, target).map_err(|error| core.os_error(py, &error))?;
            state.fetched = value;
            Ok(Some(Done { value, bytes: 0 }))
        })
    }

    /// Attempts to go to a text cookie, given as its lower 16 bytes and the rest: the byte to start from
    /// and the characters to skip from there.
    #[pyo3(signature = (cookie, rest, owned = false))]
    fn _seek_cookie(
        &self,
        py: Python<'_>,
        cookie: u128,
        rest: u64,
        owned: bool,
    ) -> PyResult<Option<(u64, usize)>> {
        self.attempt(py, owned, |core, state| {
            core.check_seekable(py, state)?;
            if state.must_flush_first() {
                return Ok(None);
            }
            let cookie = Cookie::parse(cookie, rest).ok_or_else(|| PyValueError::new_err("not a cookie"))?;
            let position =
                Core::seek_to(state, cookie.position).map_err(|error| core.os_error(py, &error))?;
            state.fetched = position;
            Ok(Some(Done { value: (position, cookie.chars_to_skip), bytes: 0 }))
        })
    }

    /// Goes to `position`, for the owner of a file with positions.
    fn _restore(&self, py: Python<'_>, position: u64) {
        self.core.lock(py).go_back(position);
    }

    /// Has the file go back to where it is now, should its owner leave it before `_commit`: an operation
    /// of many steps is done as a whole or not at all. What was taken out of a pipe is put back.
    ///
    /// Returns what `_is_marked` takes; 0 when the file is closed or a blocking one.
    fn _mark(&self, py: Python<'_>) -> PyResult<u64> {
        static MARKS: AtomicU64 = AtomicU64::new(1);
        let mut state = self.core.lock(py);
        if state.file.is_none() {
            return Ok(0);
        }
        if state.goes_back() {
            let start = Core::position(&state).map_err(|error| self.core.os_error(py, &error))?;
            state.unfinished.start = Some(start);
            state.unfinished.fetched = state.fetched;
        } else {
            state.kept = Some(Vec::new());
        }
        state.unfinished.mark = MARKS.fetch_add(1, Ordering::Relaxed);
        Ok(state.unfinished.mark)
    }

    /// Whether the operation that has this mark still has the file.
    fn _is_marked(&self, py: Python<'_>, mark: u64) -> bool {
        mark != 0 && self.core.lock(py).unfinished.mark == mark
    }

    /// The operation that was marked is done.
    fn _commit(&self, py: Python<'_>) {
        let mut state = self.core.lock(py);
        (state.unfinished.start, state.unfinished.mark) = (None, 0);
        state.kept = None;
    }

    /// The position: of a text file, a cookie that `io` understands too.
    fn _tell(&self, py: Python<'_>) -> PyResult<u64> {
        let state = self.core.lock(py);
        self.core.check_seekable(py, &state)?;
        Core::position(&state).map_err(|error| self.core.os_error(py, &error))
    }

    /// Starts `truncate(size)`, the write buffer being empty.
    #[pyo3(signature = (size))]
    fn _truncate(&self, py: Python<'_>, size: Option<i64>) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let (file, size) = {
            let mut state = core.lock(py);
            state.check_writable_as(py, ["truncate", "truncate", "File not open for writing"])?;
            let size = match size {
                Some(size) => u64::try_from(size)
                    .map_err(|_| core.os_error(py, &io::Error::from_raw_os_error(libc::EINVAL)))?,
                None if state.is_positional() => state.place_of_writing(),
                None => Core::position(&state).map_err(|error| core.os_error(py, &error))?,
            };
            state.give_back_read_ahead().map_err(|error| core.os_error(py, &error))?;
            (state.descriptor()?.clone(), size)
        };
        let operation = job(py, None, move || {
            let truncated = rustix::io::retry_on_intr(|| ftruncate(&*file, size)).map_err(io::Error::from);
            Box::new(move |py| {
                let mut state = core.lock(py);
                truncated.map_err(|error| core.os_error(py, &error))?;
                state.sync_kernel_position().map_err(|error| core.os_error(py, &error))?;
                state.read.ended = false;
                Ok(size.into_pyobject(py)?.into_any().unbind())
            })
        })?;
        Ok(self.keep(py, operation, WRITES, false))
    }

    /// Leaves the kernel's position at ours, as `flush()` does.
    fn _sync_position(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.core.lock(py);
        state.sync_kernel_position().map_err(|error| self.core.os_error(py, &error))
    }

    /// The size of the file now.
    fn _file_size(&self, py: Python<'_>) -> PyResult<i64> {
        let state = self.core.lock(py);
        let stat = fstat(&**state.descriptor()?).map_err(io::Error::from);
        stat.map(|stat| stat.st_size).map_err(|error| self.core.os_error(py, &error))
    }
}
