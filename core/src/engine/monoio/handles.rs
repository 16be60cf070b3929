//! monoio's own objects for files that are not its own.
//!
//! monoio closes the file of an object that is dropped, by a submission that nobody waits for; and where the
//! last reference is in an operation that was cancelled, while it goes through its completions. So these objects are
//! never dropped: they know no more of a file than its number, and serve the next file of that number, on whichever
//! thread that is. There are at most as many for a number as runs have used it at the same time.
#![allow(unsafe_code, reason = "objects over descriptors that they do not own")]

use monoio::{fs::File, net::UnixStream};
use std::{
    cell::OnceCell,
    collections::HashMap,
    io,
    mem::ManuallyDrop,
    os::fd::{FromRawFd, RawFd},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

/// The objects of one number.
pub(super) struct Handle {
    number: RawFd,
    file: ManuallyDrop<File>,
    /// monoio can ask only sockets whether they are ready, and never looks whether they are.
    stream: OnceCell<ManuallyDrop<UnixStream>>,
}

/// A handle that nobody uses.
struct Unused(Handle);

// SAFETY: a handle holds references that are counted without atomics, and nothing else that is bound to a thread.
// `shelve` takes only one that all operations have let go of, so that these are the only references and no
// thread but the next user's touches the counts.
unsafe impl Send for Unused {}

static SHELF: LazyLock<Mutex<HashMap<RawFd, Vec<Unused>>>> = LazyLock::new(Mutex::default);

impl Handle {
    /// For the open file `number`, inside a run.
    pub(super) fn of(number: RawFd) -> Self {
        let unused = shelf().get_mut(&number).and_then(Vec::pop);
        unused.map_or_else(|| Self::new(number), |Unused(handle)| handle)
    }

    fn new(number: RawFd) -> Self {
        // SAFETY: `from_std` takes the number out of the object, and what it makes of it is never dropped, so
        // nothing is closed that we do not own. The number is only used while its file is open: every operation
        // holds the descriptor until it completes, but for the wait for room, which neither reads nor writes.
        let file = File::from_std(unsafe { std::fs::File::from_raw_fd(number) });
        match file {
            Ok(file) => Self { number, file: ManuallyDrop::new(file), stream: OnceCell::new() },
            Err(_) => unreachable!("monoio takes any number where it runs on io_uring"),
        }
    }

    /// To read, write and sync.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// To wait until it is ready.
    pub(super) fn polled(&self) -> io::Result<&UnixStream> {
        if let Some(stream) = self.stream.get() {
            return Ok(stream);
        }
        // SAFETY: as in `new`.
        let stream = UnixStream::from_std(unsafe { FromRawFd::from_raw_fd(self.number) })?;
        Ok(self.stream.get_or_init(|| ManuallyDrop::new(stream)))
    }
}

/// Keeps handles for the next run.
///
/// # Safety
///
/// No operation may hold a reference to what is in them.
pub(super) unsafe fn shelve(handles: impl Iterator<Item = Handle>) {
    let mut shelf = shelf();
    for handle in handles {
        shelf.entry(handle.number).or_default().push(Unused(handle));
    }
}

fn shelf() -> MutexGuard<'static, HashMap<RawFd, Vec<Unused>>> {
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}
