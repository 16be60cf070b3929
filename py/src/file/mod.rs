//! The native file: what its buffers and the page cache can answer at once, and the steps that cannot.
//!
//! Every operation is first *attempted*: `None` means "not now", because another operation holds the
//! file, the budget is spent, or a device must be waited for. The `async def` faces then take the file
//! ([`File::_hold`]), attempt again as its owner, and between attempts run the step that
//! [`File::_advance`] starts.

mod attributes;
mod behind;
mod buffers;
mod chunks;
mod demotion;
mod fifo;
mod finalize;
mod fresh_pages;
mod into;
mod large;
mod large_text;
mod lines;
mod many;
mod positional;
mod preads;
mod reading;
mod ready;
mod seeking;
mod state;
mod steps;
mod text;
mod writing;

pub(crate) use buffers::{
    ARENA_BYTES, arena, has_room_for, idle_bytes, in_use_bytes, outstanding, slot_of, trim,
};
pub(crate) use fifo::{Hold, Keeper};
pub(crate) use into::Target;
pub(crate) use preads::Preads;
pub(crate) use ready::{Ready, install};
pub(crate) use writing::{buffer_of, changing, frozen};

use crate::{
    driver::{Operation, budget, generation},
    lock::{Mutex, MutexGuard},
    opening::Fresh,
};
use pyo3::{exceptions::PyMemoryError, prelude::*, sync::PyOnceLock};
use state::{Need, State};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use text::{Text, TextSettings};

/// What is fixed when a file is opened.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "the independent letters of a mode")]
pub(crate) struct Access {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Every write goes to the end, wherever that is by then.
    pub(crate) append: bool,
    /// No buffer: one system call for each operation, at the file's own position.
    pub(crate) raw: bool,
}

/// What outlives the Python object while operations are in flight.
pub(crate) struct Core {
    access: Access,
    is_text: AtomicBool,
    name: Py<PyAny>,
    state: Mutex<State>,
    /// Forks behind us when the state was locked last.
    locked_in: AtomicU64,
    /// What a child has in place of a state that another thread was at work on at the fork, and that nobody
    /// will ever unlock: that of a closed file. Boxed, for there is hardly ever one.
    orphan: OnceLock<Box<Mutex<State>>>,
}

impl Core {
    fn new(access: Access, is_text: bool, name: Py<PyAny>, state: State) -> Arc<Self> {
        Arc::new(Self {
            access,
            is_text: is_text.into(),
            name,
            state: Mutex::new(state),
            locked_in: AtomicU64::new(generation()),
            orphan: OnceLock::new(),
        })
    }

    /// The state. Waiting for it detaches from the interpreter, since its holder may be waiting for that.
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        loop {
            if let Some(guard) = self.state.try_lock() {
                // Before anybody else can look: we have the interpreter.
                self.locked_in.store(generation(), Ordering::Relaxed);
                return guard;
            }
            if self.is_orphaned() {
                return self.lock_orphan(py);
            }
            py.detach(|| drop(self.state.lock()));
        }
    }

    /// Whether the state, which is locked, was locked by a thread of the process that this one was forked
    /// from. Nobody waits for the lock, and takes it for a moment, who has not found that it is not.
    fn is_orphaned(&self) -> bool {
        self.locked_in.load(Ordering::Relaxed) != generation()
    }

    fn lock_orphan(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        let orphan = self.orphan.get_or_init(|| Box::new(Mutex::new(State::without_descriptor(self.access))));
        loop {
            if let Some(guard) = orphan.try_lock() {
                return guard;
            }
            py.detach(|| drop(orphan.lock()));
        }
    }

    fn os_error(&self, py: Python<'_>, error: &std::io::Error) -> PyErr {
        if error.kind() == std::io::ErrorKind::OutOfMemory {
            return PyMemoryError::new_err(());
        }
        crate::errors::os_error(py, error, Some(&self.name))
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.is_orphaned() && self.state.try_lock().is_none() {
            // Half changed, perhaps: not even to be freed.
            let closed = Mutex::new(State::without_descriptor(self.access));
            std::mem::forget(std::mem::replace(&mut self.state, closed));
        }
    }
}

/// An attempt that came to something, with the bytes that it copied.
struct Done<T> {
    value: T,
    bytes: usize,
}

/// What a file is made of.
#[derive(FromPyObject)]
enum Given<'py> {
    /// A regular file that was opened for it.
    Fresh(Bound<'py, Fresh>),
    /// The number of a descriptor.
    Number(i32),
}

impl Given<'_> {
    fn state(
        self,
        closefd: bool,
        access: Access,
        buffer_bytes: usize,
        text: Option<Text>,
    ) -> std::io::Result<State> {
        match self {
            Self::Number(fd) => State::adopt(fd, closefd, access, buffer_bytes, text),
            Self::Fresh(fresh) => match fresh.get().take() {
                Some(file) => State::of_fresh(file, access, buffer_bytes, text),
                None => Err(std::io::Error::from_raw_os_error(libc::EBADF)),
            },
        }
    }
}

/// The native half of an open file.
#[pyclass(frozen, subclass, module = "aiofile._native")]
pub(crate) struct File {
    core: Arc<Core>,
    /// What `__anext__` returned last, to return again.
    ready: PyOnceLock<Py<Ready>>,
    /// The blocking file of `io` that this one has become.
    stack: PyOnceLock<Py<PyAny>>,
}

impl File {
    /// Runs an attempt: as the owner of the file, or between operations while the budget lasts.
    fn attempt<T>(
        &self,
        py: Python<'_>,
        owned: bool,
        attempt: impl FnOnce(&Core, &mut State) -> PyResult<Option<Done<T>>>,
    ) -> PyResult<Option<T>> {
        if budget::is_spent() {
            return Ok(None);
        }
        let mut state = self.core.lock(py);
        if !owned && !state.fifo.is_free() {
            return Ok(None);
        }
        let done = attempt(&self.core, &mut state);
        if !matches!(done, Ok(None)) {
            state.read.ended = false;
        }
        drop(state);
        match done {
            Ok(Some(Done { value, bytes })) => {
                budget::spend(py, bytes);
                Ok(Some(value))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                budget::spend(py, 0);
                Err(error)
            }
        }
    }
}

#[pymethods]
impl File {
    /// Takes over an open file; without one, the file is to become a blocking one (`_become`).
    ///
    /// `text` is None for bytes, otherwise (codec, errors, newline, line_buffering).
    #[new]
    #[pyo3(signature = (fd, name, closefd, access, buffer_bytes, text))]
    fn new(
        fd: Option<Given<'_>>,
        name: Py<PyAny>,
        closefd: bool,
        access: (bool, bool, bool, bool),
        buffer_bytes: usize,
        text: Option<TextSettings>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        let (readable, writable, append, raw) = access;
        let access = Access { readable, writable, append, raw };
        let text = text.map(Text::new).transpose()?;
        let is_text = text.is_some();
        let state = match fd {
            Some(given) => given
                .state(closefd, access, buffer_bytes, text)
                .map_err(|error| crate::errors::os_error(py, &error, Some(&name)))?,
            None => State::without_descriptor(access),
        };
        let access = state.access();
        let core = Core::new(access, is_text, name, state);
        Ok(Self { core, ready: PyOnceLock::new(), stack: PyOnceLock::new() })
    }

    /// Has text treated otherwise from here on, or not as text any more. `text` is as for a new file.
    fn _set_text(&self, py: Python<'_>, text: Option<TextSettings>) -> PyResult<()> {
        let text = text.map(Text::new).transpose()?;
        let mut state = self.core.lock(py);
        state.read.scanned = 0;
        self.core.is_text.store(text.is_some(), Ordering::Relaxed);
        state.text = text;
        Ok(())
    }

    /// Whether text is flushed with every line of it from here on.
    fn _set_line_buffering(&self, py: Python<'_>, line_buffering: bool) {
        if let Some(text) = &mut self.core.lock(py).text {
            text.line_buffering = line_buffering;
        }
    }

    /// Whether something was read, and neither the end met nor the position set or written at since.
    fn _is_reading(&self, py: Python<'_>) -> bool {
        self.core.lock(py).reading
    }

    fn _set_reading(&self, py: Python<'_>, reading: bool) {
        self.core.lock(py).reading = reading;
    }

    /// Whether an attempt may run that finds what it needs outside of this file; it is counted. Unlike
    /// the attempts here, it leaves it known that the file has ended: the next of them asks for that.
    #[pyo3(signature = (owned = false))]
    fn _admit(&self, py: Python<'_>, owned: bool) -> PyResult<bool> {
        if budget::is_spent() {
            return Ok(false);
        }
        let state = self.core.lock(py);
        if !owned && !state.fifo.is_free() {
            return Ok(false);
        }
        let admitted = state.descriptor().map(|_| true);
        drop(state);
        budget::spend(py, 0);
        admitted
    }

    /// Whether a file that became a blocking one is in nobody's use, so that what is known to be short may be
    /// done to it at once, while the budget lasts; it is counted.
    fn _is_idle(&self, py: Python<'_>, bytes: usize) -> bool {
        let idle = !budget::is_spent() && self.core.lock(py).fifo.is_idle();
        if idle {
            budget::spend(py, bytes);
        }
        idle
    }

    /// Starts what the last attempt as owner found missing. None: nothing, the budget was spent.
    fn _advance(&self, py: Python<'_>) -> PyResult<Option<Py<Operation>>> {
        crate::driver::attach(py)?;
        let need = self.core.lock(py).unfinished.need.take();
        let reads = matches!(need, Some(Need::Fill { .. }));
        let started = match need {
            None => None,
            Some(Need::Fill { bytes }) => Some(self.fill(py, bytes)?),
            Some(Need::Flush) => self.flush_step(py)?,
            Some(Need::Bytes { len }) => Some(self.read_large(py, len)?),
            Some(Need::Copy { len }) => Some(self.copy_out(py, len)?),
            Some(Need::Text { len }) => Some(self.read_large_text(py, len)?),
            Some(Need::Decode(scanned)) => Some(self.decode_large(py, scanned)?),
        };
        Ok(started.map(|operation| self.keep(py, operation, fifo::READS, reads)))
    }
}
