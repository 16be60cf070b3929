//! An open file that operations share until the last of them has completed.
#![allow(unsafe_code, reason = "descriptors that we were lent and do not own")]

use rustix::fs::{FileType, fstat};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Open files that descriptors of this process own.
static OWNED: AtomicUsize = AtomicUsize::new(0);

/// How a file is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file or block device: positional, never waits for a peer.
    Seekable,
    /// A pipe, FIFO, socket or terminal: no offsets, waits for a peer, can be polled.
    Pollable,
    /// Any other character device: read and written at its own position, cannot be polled.
    Device,
    /// A directory, which can only be opened.
    Directory,
}

impl FileKind {
    /// The kind of an open file.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub fn of(fd: impl AsFd) -> io::Result<Self> {
        let file_type = FileType::from_raw_mode(fstat(&fd)?.st_mode);
        Ok(match file_type {
            FileType::RegularFile | FileType::BlockDevice => Self::Seekable,
            FileType::Directory => Self::Directory,
            FileType::Fifo | FileType::Socket => Self::Pollable,
            _ if rustix::termios::isatty(&fd) => Self::Pollable,
            _ => Self::Device,
        })
    }
}

/// An open file and its kind. Operations in flight hold it, so its number is not used again before
/// the last of them has completed.
#[derive(Debug)]
pub struct Descriptor {
    fd: RawFd,
    owned: bool,
    kind: FileKind,
    /// Bytes of the blocks that it is read and written in, past the page cache; 0 for any.
    pub(super) block: AtomicUsize,
}

impl Descriptor {
    /// Takes over an open file; it is closed with the last reference.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub fn own(file: OwnedFd) -> io::Result<Arc<Self>> {
        let kind = FileKind::of(&file)?;
        Ok(Self::own_as(file, kind))
    }

    /// As [`own`](Self::own), for a file whose kind is known: this cannot fail.
    pub fn own_as(file: OwnedFd, kind: FileKind) -> Arc<Self> {
        OWNED.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { fd: file.into_raw_fd(), owned: true, kind, block: AtomicUsize::new(0) })
    }

    /// Uses somebody else's open file, which stays open.
    ///
    /// # Safety
    ///
    /// The owner must keep `fd` open for as long as the descriptor or an operation on it lives.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`, `EBADF` among them.
    pub unsafe fn borrow(fd: RawFd) -> io::Result<Arc<Self>> {
        // SAFETY: `fd` is open by the contract above; if it is not, `fstat` says so.
        let kind = FileKind::of(unsafe { BorrowedFd::borrow_raw(fd) })?;
        Ok(Arc::new(Self { fd, owned: false, kind, block: AtomicUsize::new(0) }))
    }

    /// How many open files the descriptors of this process own.
    pub fn owned_count() -> usize {
        OWNED.load(Ordering::Relaxed)
    }

    /// Gives up the ownership; whether it was there.
    fn disown(&mut self) -> bool {
        let owned = std::mem::take(&mut self.owned);
        OWNED.fetch_sub(usize::from(owned), Ordering::Relaxed);
        owned
    }

    /// How it is read and written.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Whether it is a terminal: those tell that they can be written, but not how much.
    pub(super) fn is_terminal(&self) -> bool {
        self.kind == FileKind::Pollable && rustix::termios::isatty(self)
    }

    /// Gives the number up: (number, whether it was ours to close). Whoever gets it closes it.
    ///
    /// # Errors
    ///
    /// The descriptor itself while somebody else, an operation for instance, still holds it.
    pub fn release(this: Arc<Self>) -> Result<(RawFd, bool), Arc<Self>> {
        let mut last = Arc::try_unwrap(this)?;
        Ok((last.fd, last.disown()))
    }

    /// Closes the file and reports what `close(2)` says, unless an operation still holds it: then it
    /// is closed when that completes. A borrowed file stays open.
    ///
    /// # Errors
    ///
    /// Those of `close(2)`; the file is closed all the same.
    pub fn close(this: Arc<Self>) -> io::Result<()> {
        let Some(mut last) = Arc::into_inner(this) else { return Ok(()) };
        if !last.disown() {
            return Ok(());
        }
        // SAFETY: `last` is the only reference and gave up ownership above, so this closes it once.
        match unsafe { libc::close(last.fd) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.disown() {
            // SAFETY: we owned the number, and nobody holds a reference any more.
            drop(unsafe { OwnedFd::from_raw_fd(self.fd) });
        }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: open for as long as `self` lives: we own it, or the owner promised so in `borrow`.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}
