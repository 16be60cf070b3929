//! The end of a file: closed by its program, or by the garbage collector.

use super::{Core, File};
use crate::driver::{Operation, job};
use afx_core::engine::{Descriptor, FileKind};
use pyo3::prelude::*;
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
            && state.write.is_empty()
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
        job(py, None, move || {
            let closed = Descriptor::close(file);
            Box::new(move |py| {
                closed.map_err(|error| core.os_error(py, &error))?;
                Ok(py.None())
            })
        })
        .map(Some)
    }

    /// Flushes and closes with plain system calls on this thread, for the garbage collector. Returns
    /// whether the file was open.
    fn _finalize(&self, py: Python<'_>) -> PyResult<bool> {
        let (file, unwritten, offset) = {
            let mut state = self.core.lock(py);
            let (unwritten, offset) = (state.write.bytes().to_vec(), state.write_offset());
            (Core::take_file(&mut state), unwritten, offset)
        };
        let Some(file) = file else { return Ok(false) };
        let flushed = py.detach(|| {
            let flushed = write_all(&file, &unwritten, offset);
            let closed = Descriptor::close(file);
            flushed.and(closed)
        });
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
        state.file.take()
    }
}

fn write_all(file: &Descriptor, mut bytes: &[u8], mut offset: Option<u64>) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.write_blocking(bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset = offset.map(|offset| offset + written as u64);
    }
    Ok(())
}
