//! The end of a file: closed by its program, or by the garbage collector.

use super::{Core, File, behind::Line, fifo::WRITES};
use crate::driver::{Operation, job};
use afx_core::engine::{Descriptor, FileKind};
use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{io, sync::Arc};

#[pymethods]
impl File {
    /// Closes the file at once if nothing has to be waited for: it is free, has nothing to write, and is
    /// a regular file that was only read. `false`: it takes the long way.
    fn _close_now(&self, py: Python<'_>) -> PyResult<bool> {
        if self.stack.get(py).is_some() {
            return Ok(false);
        }
        let mut state = self.core.lock(py);
        let Some(file) = &state.file else { return Ok(true) };
        let simple = state.fifo.is_free()
            && !state.has_unwritten()
            && !self.core.access.writable
            && file.kind() == FileKind::Seekable;
        if !simple {
            return Ok(false);
        }
        let file = Core::take_file(&mut state);
        drop(state);
        file.map_or(Ok(()), Descriptor::close).map_err(|error| self.core.os_error(py, &error))?;
        Ok(true)
    }

    /// Starts closing the descriptor. What was not written is lost: the owner flushes first.
    fn _close(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        let core = self.core.clone();
        let file = {
            let mut state = core.lock(py);
            Core::take_file(&mut state)
        };
        let Some(file) = file else { return Ok(None) };
        // The last close of a written file may write it back: not on this thread.
        let operation = job(py, None, move || {
            let closed = Descriptor::close(file);
            Box::new(move |py| {
                closed.map_err(|error| core.os_error(py, &error))?;
                Ok(py.None())
            })
        })?;
        Ok(Some(self.keep(py, operation, WRITES, false)))
    }

    /// Ends what would have a close wait for others: reads of a pipe, the one in flight and those that
    /// are still to come. They fail as if they came after the close.
    ///
    /// Returns whether the file has somebody at its other end, who may never read or write.
    fn _end_reads(&self, py: Python<'_>) -> PyResult<bool> {
        let reading = {
            let mut state = self.core.lock(py);
            if state.file.as_ref().is_none_or(|file| file.kind() != FileKind::Pollable) {
                return Ok(false);
            }
            state.closing = true;
            Self::read_in_flight(&state, py)
        };
        reading.map_or(Ok(true), |reading| Operation::cancel(reading.bind(py)).map(|()| true))
    }

    /// Flushes and closes with plain system calls on this thread, for the garbage collector and for a
    /// loop that ends. Never waits for the other end of a pipe: what that does not take is lost, which
    /// is an error. Returns whether the file was open.
    fn _finalize(&self, py: Python<'_>) -> PyResult<bool> {
        let (file, behind, unwritten, offset) = {
            let mut state = self.core.lock(py);
            let (unwritten, offset) = (state.write.bytes().to_vec(), state.write_offset());
            let behind = state.behind.take();
            (Core::take_file(&mut state), behind, unwritten, offset)
        };
        let Some(file) = file else { return Ok(false) };
        let flushed = py.detach(|| {
            let settled = behind.as_ref().map_or(Ok(()), Line::finish);
            settled.and_then(|()| write_all(&file, &unwritten, offset))
        });
        if let Some(line) = behind {
            line.clear();
        }
        let closed = py.detach(|| Descriptor::close(file));
        let flushed = flushed.and(closed);
        flushed.map_err(|error| self.core.os_error(py, &error))?;
        Ok(true)
    }
}

impl Core {
    /// Takes the descriptor out, the kernel's position left where the program believes it is.
    fn take_file(state: &mut super::State) -> Option<Arc<Descriptor>> {
        // A position that cannot be set (the file was closed behind our back) is no reason to keep it.
        let _ = state.sync_kernel_position();
        state.read.clear();
        drop(state.write.take());
        if let Some(line) = state.behind.take() {
            line.clear();
        }
        state.file.take()
    }
}

fn write_all(file: &Descriptor, mut bytes: &[u8], mut offset: Option<u64>) -> io::Result<()> {
    let waits = file.kind() == FileKind::Pollable;
    while !bytes.is_empty() {
        // A pipe that polls as writable takes this much without waiting.
        let piece = if waits { bytes.get(..libc::PIPE_BUF).unwrap_or(bytes) } else { bytes };
        if waits && !is_writable(file)? {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        let written = file.write_blocking(piece, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset = offset.map(|offset| offset + written as u64);
    }
    Ok(())
}

fn is_writable(file: &Descriptor) -> io::Result<bool> {
    let mut asked = [PollFd::new(file, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(rustix::io::retry_on_intr(|| poll(&mut asked, Some(&now)))? > 0)
}
