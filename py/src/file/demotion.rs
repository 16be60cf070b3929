//! One way to the blocking file of `io`: for whoever needs the real object, or a thread for every call.

use super::{Core, File, fifo::Place};
use afx_core::engine::Descriptor;
use pyo3::{exceptions::PyRuntimeError, prelude::*, types::PyBytes};
use rustix::fs::{SeekFrom, seek};
use std::io;

#[pymethods]
impl File {
    /// Gives the descriptor up, everything written and the kernel's position where the program is.
    ///
    /// Returns (descriptor, whether it is ours to close, bytes of the buffer, bytes that were read ahead
    /// and cannot be gone back to). `_become` must follow.
    fn _demote<'py>(&self, py: Python<'py>) -> PyResult<(i32, bool, usize, Bound<'py, PyBytes>)> {
        let place = Place::new();
        {
            let mut state = self.core.lock(py);
            state.descriptor()?;
            if !state.fifo.try_enter(&place) {
                return Err(busy());
            }
        }
        let outcome = self.flush_blocking(py).and_then(|()| self.give_up(py));
        self.core.leave(py, &place)?;
        outcome
    }

    /// From now on every attempt answers "not now", and what is asked of the file is asked of `stack`.
    ///
    /// `has_two_sides`: one thread may read it while another writes.
    fn _become(&self, py: Python<'_>, stack: Py<PyAny>, has_two_sides: bool) -> PyResult<()> {
        let known = self.stack.set(py, stack);
        known.map_err(|_| PyRuntimeError::new_err("the file is a blocking one already"))?;
        self.core.lock(py).fifo.set_two_sides(has_two_sides);
        Ok(())
    }

    /// The file of `io` that this one has become.
    #[getter]
    fn _stack(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.stack.get(py).map(|stack| stack.clone_ref(py))
    }
}

impl File {
    /// Writes what is buffered with plain system calls. The caller owns the file.
    fn flush_blocking(&self, py: Python<'_>) -> PyResult<()> {
        loop {
            let behind = self.core.lock(py).behind.resumed();
            if let Some(line) = behind {
                py.detach(|| line.finish()).map_err(|error| self.core.os_error(py, &error))?;
            }
            let (file, unwritten, offset) = {
                let mut state = self.core.lock(py);
                self.core.follow_behind(py, &mut state)?;
                if state.write.is_empty() {
                    return Ok(());
                }
                (state.descriptor()?.clone(), state.write.bytes().to_vec(), state.write_offset())
            };
            let result = py.detach(|| file.write_blocking(&unwritten, offset));
            let written =
                Core::written(result, unwritten.len()).map_err(|error| self.core.os_error(py, &error))?;
            let mut state = self.core.lock(py);
            state.write.consume(written);
            self.core.follow_append(&mut state).map_err(|error| self.core.os_error(py, &error))?;
        }
    }

    fn give_up<'py>(&self, py: Python<'py>) -> PyResult<(i32, bool, usize, Bound<'py, PyBytes>)> {
        let mut state = self.core.lock(py);
        let mut ahead = state.read.bytes().to_vec();
        if state.goes_back() {
            let back = i64::try_from(ahead.len()).unwrap_or(0);
            let placed = if state.is_positional() {
                state.set_kernel_position()
            } else {
                let file = state.descriptor()?;
                seek(&**file, SeekFrom::Current(-back)).map(drop).map_err(io::Error::from)
            };
            placed.map_err(|error| self.core.os_error(py, &error))?;
            ahead.clear();
        }
        let Some(file) = state.file.take() else { return Err(crate::errors::closed()) };
        // A file of io knows nothing of blocks.
        if let Err(error) = file.leave_direct() {
            state.file = Some(file);
            return Err(self.core.os_error(py, &error));
        }
        let (fd, owned) = match Descriptor::release(file) {
            Ok(released) => released,
            Err(shared) => {
                state.file = Some(shared);
                return Err(busy());
            }
        };
        let capacity = state.write.capacity();
        state.read.clear();
        state.fifo.refuse_attempts();
        drop(state);
        Ok((fd, owned, capacity, PyBytes::new(py, &ahead)))
    }
}

fn busy() -> PyErr {
    PyRuntimeError::new_err("an operation on the file is under way")
}
