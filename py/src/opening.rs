//! Opening: at once where every part of the path is in memory, on the ring otherwise; devices on
//! threads of their own.

use crate::{
    driver::{Operation, job_apart, submit},
    errors::os_error,
    lock::Mutex,
};
use afx_core::{
    engine::{Completion, Descriptor, FileKind, Submission},
    fifo, small,
};
use pyo3::{prelude::*, types::PyString};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fcntl_getfl, fcntl_setfl, fstat, openat2};
use rustix::io::Errno;
use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Descriptors that are left to the rest of the process: sockets, pipes, rings.
const RESERVED_DESCRIPTORS: usize = 64;

/// Files that are opened between two looks at the limit: no more than are left to the rest of the process.
const LOOK_EVERY: usize = RESERVED_DESCRIPTORS;

/// A regular file that was just opened, on its way to its `File`; closed if nobody takes it.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Fresh {
    file: Mutex<Option<OwnedFd>>,
    /// Bytes of a block, as the file system says.
    #[pyo3(get)]
    block_bytes: i64,
}

impl Fresh {
    /// The file, once.
    pub(crate) fn take(&self) -> Option<OwnedFd> {
        self.file.lock().take()
    }
}

#[pymethods]
impl Fresh {
    /// Closes what nobody has taken.
    fn close(&self) {
        drop(self.take());
    }
}

/// Opens a regular file if no disk has to be waited for; None when that is not known.
///
/// A FIFO or device is never opened here: opening one waits for a peer, or does something.
#[pyfunction]
pub(crate) fn open_cached(
    py: Python<'_>,
    path: &[u8],
    flags: i32,
    name: &Bound<'_, PyAny>,
) -> PyResult<Option<Fresh>> {
    let path = CString::new(path)?;
    at_once(&path, flags).map_err(|error| os_error(py, &error, Some(name.as_unbound())))
}

/// As [`open_cached`], if there is room for another file; None where there is none.
#[pyfunction]
pub(crate) fn open_with_room(
    py: Python<'_>,
    path: &Bound<'_, PyAny>,
    flags: i32,
    name: &Bound<'_, PyAny>,
    opening: usize,
) -> PyResult<Option<Fresh>> {
    crate::driver::budget::spend(py, 0);
    if !has_room_as_last_seen(opening) {
        return Ok(None);
    }
    let path = match path.cast::<PyString>() {
        Ok(path) => CString::new(path.to_str()?)?,
        Err(_) => CString::new(path.extract::<&[u8]>()?)?,
    };
    match at_once(&path, flags) {
        Err(error) if error.raw_os_error() == Some(libc::EMFILE) => Ok(None),
        opened => opened.map_err(|error| os_error(py, &error, Some(name.as_unbound()))),
    }
}

fn at_once(path: &CStr, flags: i32) -> io::Result<Option<Fresh>> {
    let flags = OFlags::from_bits_retain(flags.cast_unsigned());
    if flags.intersects(OFlags::CREATE | OFlags::TRUNC | OFlags::TMPFILE) {
        return Ok(None);
    }
    let Some(path_only) = small::open_cached(path, OFlags::PATH)? else { return Ok(None) };
    if !is_regular(&fstat(&path_only)?) {
        return Ok(None);
    }
    drop(path_only);
    // Should the name be a FIFO by now, this does not wait for its other end.
    let Some(file) = small::open_cached(path, flags | OFlags::NONBLOCK)? else { return Ok(None) };
    let stat = fstat(&file)?;
    if !is_regular(&stat) {
        return Ok(None);
    }
    // What was asked for is set, without what an open file is not asked for again.
    fcntl_setfl(&file, flags)?;
    Ok(Some(Fresh { file: Mutex::new(Some(file)), block_bytes: stat.st_blksize }))
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Whether opening `path` may do something, or wait for it: whether it is a device, as far as memory
/// tells. The names of devices are in memory.
#[pyfunction]
pub(crate) fn is_device(path: &[u8]) -> PyResult<bool> {
    let path = CString::new(path)?;
    let how = OFlags::PATH | OFlags::CLOEXEC;
    let found = openat2(CWD, path.as_c_str(), how, Mode::empty(), ResolveFlags::CACHED)
        .or_else(|error| match error {
            // No such call: in /dev there is no disk to wait for.
            Errno::NOSYS | Errno::PERM if path.to_bytes().starts_with(b"/dev/") => {
                rustix::fs::open(path.as_c_str(), how, Mode::empty())
            }
            _ => Err(error),
        })
        .and_then(|file| fstat(&file));
    let device = |stat: Stat| {
        matches!(FileType::from_raw_mode(stat.st_mode), FileType::CharacterDevice | FileType::BlockDevice)
    };
    Ok(found.is_ok_and(device))
}

/// Starts `open(2)` on the ring, without waiting for the other end of a FIFO; the operation gives an
/// [`Opened`].
#[pyfunction]
pub(crate) fn open_slowly(
    py: Python<'_>,
    path: &[u8],
    flags: i32,
    mode: u32,
    name: Py<PyAny>,
) -> PyResult<Py<Operation>> {
    let path = CString::new(path)?;
    let flags = OFlags::from_bits_retain(flags.cast_unsigned());
    // On a regular file this changes nothing. A FIFO would keep one of the kernel's few threads waiting.
    let careful = flags | OFlags::NONBLOCK;
    let submission = Submission::Open { path: path.clone(), flags: careful, mode: Mode::from_raw_mode(mode) };
    let then = move |py: Python<'_>, completion: Completion| {
        let file = completion
            .result
            .and_then(|_| completion.opened.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF)));
        let outcome = fifo::Opened::settle(&path, flags, file);
        Opened::object(py, outcome.map_err(|error| os_error(py, &error, Some(&name)))?)
    };
    submit(py, submission, Box::new(then))
}

/// Starts `open(2)` as it is, on a thread of its own: a device may take as long as it likes.
#[pyfunction]
pub(crate) fn open_apart(
    py: Python<'_>,
    path: &[u8],
    flags: i32,
    mode: u32,
    name: Py<PyAny>,
) -> PyResult<Py<Operation>> {
    let path = CString::new(path)?;
    let flags = OFlags::from_bits_retain(flags.cast_unsigned()) | OFlags::CLOEXEC;
    job_apart(py, "aiofile-open", None, move || {
        let open = || rustix::fs::open(path.as_c_str(), flags, Mode::from_raw_mode(mode));
        let file = rustix::io::retry_on_intr(open).map_err(io::Error::from);
        Box::new(move |py| {
            let file = file.map_err(|error| os_error(py, &error, Some(&name)))?;
            Opened::object(py, fifo::Opened::File(file))
        })
    })
}

/// A descriptor on its way to its file; closed if nobody takes it.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Opened(Mutex<Option<fifo::Opened>>);

impl Opened {
    fn object(py: Python<'_>, opened: fifo::Opened) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, Self(Mutex::new(Some(opened))))?.into_any())
    }
}

#[pymethods]
impl Opened {
    /// The number, whose owner the caller now is; None while a FIFO waits for its other end.
    fn take(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Option<i32>> {
        let mut place = self.0.lock();
        let opened = match place.take() {
            Some(fifo::Opened::Waiting(opening)) => {
                Some(opening.attempt().map_err(|error| os_error(py, &error, Some(name.as_unbound())))?)
            }
            opened => opened,
        };
        Ok(match opened {
            Some(fifo::Opened::File(file)) => Some(file.into_raw_fd()),
            waiting => {
                *place = waiting;
                None
            }
        })
    }

    /// Seconds to wait before it is worth to [`take`](Self::take) again.
    fn pause(&self) -> f64 {
        match &*self.0.lock() {
            Some(fifo::Opened::Waiting(opening)) => opening.pause().as_secs_f64(),
            _ => 0.0,
        }
    }

    /// Closes what nobody has taken.
    fn close(&self) {
        drop(self.0.lock().take());
    }
}

/// Whether another file can be opened, `opening` more being under way, and enough descriptors stay for
/// whatever else the process opens.
#[pyfunction]
pub(crate) fn has_room(opening: usize) -> bool {
    Descriptor::owned_count() + opening < usable_descriptors()
}

/// As [`has_room`], for files that are closed where nobody counts them: asks the kernel, which gives every
/// file the lowest number that is free.
#[pyfunction]
pub(crate) fn has_room_for_others(opening: usize) -> bool {
    let probe = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    match probe {
        Ok(next) => usize::try_from(next.as_raw_fd()).unwrap_or(0) + opening < usable_descriptors(),
        // Without such a device nothing is known.
        Err(error) => error != Errno::MFILE,
    }
}

/// As [`has_room`], by the limit as it was at most [`LOOK_EVERY`] questions ago. Far from it that is as good.
fn has_room_as_last_seen(opening: usize) -> bool {
    static USABLE: AtomicUsize = AtomicUsize::new(0);
    static QUESTIONS: AtomicUsize = AtomicUsize::new(0);
    let needed = Descriptor::owned_count() + opening;
    let is_old = QUESTIONS.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY);
    if is_old || needed >= USABLE.load(Ordering::Relaxed) / 2 {
        USABLE.store(usable_descriptors(), Ordering::Relaxed);
    }
    needed < USABLE.load(Ordering::Relaxed)
}

fn usable_descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    limit - RESERVED_DESCRIPTORS.min(limit / 2)
}

/// (is a directory, is a terminal, block size) of an open descriptor.
#[pyfunction]
pub(crate) fn describe(py: Python<'_>, fd: i32, name: &Bound<'_, PyAny>) -> PyResult<(bool, bool, i64)> {
    let facts = || {
        let file = asked_about(fd);
        let block_bytes = fstat(file)?.st_blksize;
        let kind = FileKind::of(file)?;
        let terminal = kind == FileKind::Pollable && rustix::termios::isatty(file);
        Ok((kind == FileKind::Directory, terminal, block_bytes))
    };
    facts().map_err(|error: io::Error| os_error(py, &error, Some(name.as_unbound())))
}

/// Whether a descriptor is of something that has a peer, and never waits for it.
#[pyfunction]
pub(crate) fn never_waits(fd: i32) -> PyResult<bool> {
    let file = asked_about(fd);
    let flags = fcntl_getfl(file).map_err(io::Error::from)?;
    Ok(flags.contains(OFlags::NONBLOCK) && FileKind::of(file)? == FileKind::Pollable)
}

#[allow(unsafe_code, reason = "a descriptor number that Python gave us")]
pub(crate) fn asked_about<'fd>(fd: i32) -> BorrowedFd<'fd> {
    // SAFETY: the number is only asked about, or duplicated; one that is not open is answered with an error.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
