//! System calls on a descriptor, made here and now: those that cannot wait, for an event loop's own
//! thread, and those that can, for threads that may.
#![allow(unsafe_code, reason = "reads and writes at raw addresses, each with its note")]

use super::Descriptor;
use crate::buffer::{Chunk, Slot};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, fstat, major, minor},
    io::Errno,
};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

/// The device number of `/dev/ptmx`.
const PTMX: (u32, u32) = (5, 2);

/// The most bytes that are written one by one in a row: some 200 µs.
const SINGLE_BYTES: usize = 256;

/// The most bytes that Linux moves in one call.
pub(super) const MAX_TRANSFER_BYTES: usize = 0x7fff_f000;

impl Descriptor {
    /// Reads into the room left in `slot` if that takes no waiting: what is in the page cache, in a
    /// pipe, in a terminal's queue. `None` when it would wait, or when the file cannot tell.
    ///
    /// # Errors
    ///
    /// Those of `read(2)`.
    ///
    /// # Platform
    ///
    /// Linux 4.14 and newer; always `None` elsewhere.
    pub fn read_cached(&self, slot: &mut Slot, offset: Option<u64>) -> io::Result<Option<usize>> {
        if self.is_direct() {
            // The device is always waited for.
            return Ok(None);
        }
        without_waiting(self.read_flagged(slot, offset, libc::RWF_NOWAIT))
    }

    /// Writes `bytes` if that takes no waiting; may write less. `None` when it would wait, or when the
    /// file system cannot promise that it would not (ext4 among them).
    ///
    /// # Errors
    ///
    /// Those of `write(2)`.
    ///
    /// # Platform
    ///
    /// Linux 4.14 and newer; always `None` elsewhere.
    pub fn write_cached(&self, bytes: &[u8], offset: Option<u64>) -> io::Result<Option<usize>> {
        // SAFETY: the address and length of a slice that is borrowed for the whole call.
        unsafe { self.write_cached_at(bytes.as_ptr(), bytes.len(), offset) }
    }

    /// As [`write_cached`](Self::write_cached). Only the kernel looks at the bytes, so their owner may
    /// change them meanwhile; which of them are written is then unspecified.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`.
    pub fn write_chunk_cached(&self, chunk: &Chunk, offset: Option<u64>) -> io::Result<Option<usize>> {
        // SAFETY: the chunk keeps its memory in place for the whole call.
        unsafe { self.write_cached_at(chunk.address().as_ptr(), chunk.len(), offset) }
    }

    /// # Safety
    ///
    /// The memory must stay readable during the call. Others may write to it.
    unsafe fn write_cached_at(
        &self,
        address: *const u8,
        len: usize,
        offset: Option<u64>,
    ) -> io::Result<Option<usize>> {
        if self.is_direct() {
            return Ok(None);
        }
        let part = libc::iovec { iov_base: address.cast_mut().cast(), iov_len: len.min(MAX_TRANSFER_BYTES) };
        let (fd, offset) = (self.as_raw_fd(), signed_or_own(offset));
        // SAFETY: the kernel only reads `part`, which stays readable by the contract.
        without_waiting(retry(|| unsafe { libc::pwritev2(fd, &raw const part, 1, offset, libc::RWF_NOWAIT) }))
    }

    /// One `pread(2)`, or `read(2)` where no offset is given, into the room left in `slot`.
    ///
    /// # Errors
    ///
    /// Those of the call; `EINTR` is retried.
    pub fn read_blocking(&self, slot: &mut Slot, offset: Option<u64>) -> io::Result<usize> {
        match offset.filter(|_| self.is_direct()) {
            Some(offset) => self.read_direct(slot, offset),
            None => self.read_call_at(slot, offset),
        }
    }

    /// As [`read_blocking`](Self::read_blocking), in whole blocks where the file demands it.
    pub(super) fn read_call(&self, slot: &mut Slot, offset: u64) -> io::Result<usize> {
        self.read_call_at(slot, Some(offset))
    }

    /// One `preadv2(2)` with `flags`, into the room left in `slot`.
    pub(super) fn read_flagged(
        &self,
        slot: &mut Slot,
        offset: Option<u64>,
        flags: libc::c_int,
    ) -> io::Result<usize> {
        let part = libc::iovec {
            iov_base: slot.spare_address().as_ptr().cast(),
            iov_len: slot.spare_len().min(MAX_TRANSFER_BYTES),
        };
        let (fd, offset) = (self.as_raw_fd(), signed_or_own(offset));
        // SAFETY: `part` is the room left in `slot`, which nobody else can touch during the call.
        let read = retry(|| unsafe { libc::preadv2(fd, &raw const part, 1, offset, flags) })?;
        // SAFETY: the kernel has just written `read` bytes to the room left.
        unsafe { slot.advance(read) }
        Ok(read)
    }

    fn read_call_at(&self, slot: &mut Slot, offset: Option<u64>) -> io::Result<usize> {
        let (address, len) = (slot.spare_address().as_ptr(), slot.spare_len().min(MAX_TRANSFER_BYTES));
        let fd = self.as_raw_fd();
        let read = retry(|| match offset {
            // SAFETY: `address` is the room left in `slot`, at least `len` bytes.
            Some(offset) => unsafe { libc::pread(fd, address.cast(), len, signed(offset)) },
            // SAFETY: as above.
            None => unsafe { libc::read(fd, address.cast(), len) },
        })?;
        // SAFETY: the kernel has just written `read` bytes to the room left.
        unsafe { slot.advance(read) }
        Ok(read)
    }

    /// One `pwrite(2)`, or `write(2)` where no offset is given.
    ///
    /// # Errors
    ///
    /// Those of the call; `EINTR` is retried.
    pub fn write_blocking(&self, bytes: &[u8], offset: Option<u64>) -> io::Result<usize> {
        // SAFETY: the address and length of a slice that is borrowed for the whole call.
        unsafe { self.write_blocking_at(bytes.as_ptr(), bytes.len(), offset) }
    }

    /// As [`write_blocking`](Self::write_blocking). Only the kernel looks at the bytes, so their owner may
    /// change them meanwhile; which of them are written is then unspecified.
    ///
    /// # Errors
    ///
    /// Those of the call; `EINTR` is retried.
    pub fn write_chunk_blocking(&self, chunk: &Chunk, offset: Option<u64>) -> io::Result<usize> {
        // SAFETY: the chunk keeps its memory in place for the whole call.
        unsafe { self.write_blocking_at(chunk.address().as_ptr(), chunk.len(), offset) }
    }

    /// Writes to a pipe or terminal that polls as writable as much as that takes without waiting. `None`
    /// where that is nothing after all.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`.
    ///
    /// Source: `pipe(7)` on `PIPE_BUF`; a terminal does not tell how much it takes, so it is asked through
    /// an open file of our own that never waits.
    pub(super) fn write_chunk_ready(&self, chunk: &Chunk) -> io::Result<Option<usize>> {
        let address = chunk.address().as_ptr();
        if !self.is_terminal() {
            // SAFETY: the chunk keeps its memory in place for the whole call.
            return unsafe { self.write_blocking_at(address, chunk.len().min(libc::PIPE_BUF), None) }
                .map(Some);
        }
        let Some(twin) = self.reopened_without_waiting() else {
            return self.write_bytes_one_by_one(chunk).map(Some);
        };
        let len = chunk.len().min(MAX_TRANSFER_BYTES);
        // SAFETY: as above.
        without_waiting(retry(|| unsafe { libc::write(twin.as_raw_fd(), address.cast(), len) }))
    }

    /// Writes some bytes to a terminal that polls as writable, as long as it does.
    fn write_bytes_one_by_one(&self, chunk: &Chunk) -> io::Result<usize> {
        let mut written = 0;
        while written < chunk.len().min(SINGLE_BYTES) && (written == 0 || self.polls(PollFlags::OUT)) {
            // SAFETY: the chunk keeps its memory in place for the whole call; there is room for one byte at
            // the least.
            match unsafe { self.write_blocking_at(chunk.address().as_ptr().add(written), 1, None) } {
                Ok(count) => written += count,
                Err(error) if written == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(written)
    }

    /// Whether it polls as ready for `interest` now.
    pub(super) fn polls(&self, interest: PollFlags) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(self, interest)], Some(&now)) != Ok(0)
    }

    /// The same terminal once more, with `O_NONBLOCK`, which must not be set where others share it. `None`
    /// for the controlling side of a pair, which opening makes anew, and without `/proc`.
    fn reopened_without_waiting(&self) -> Option<OwnedFd> {
        let device = fstat(self).ok()?.st_rdev;
        if (major(device), minor(device)) == PTMX {
            return None;
        }
        let path = format!("/proc/self/fd/{}", self.as_raw_fd());
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).ok()
    }

    /// # Safety
    ///
    /// The memory must stay readable during the call. Others may write to it.
    unsafe fn write_blocking_at(
        &self,
        address: *const u8,
        len: usize,
        offset: Option<u64>,
    ) -> io::Result<usize> {
        if self.is_direct() {
            // SAFETY: by the contract.
            return unsafe { self.write_direct(address, len, offset) };
        }
        // SAFETY: by the contract.
        unsafe { self.write_call(address, len, offset) }
    }

    /// One write, in whole blocks where the file demands it.
    ///
    /// # Safety
    ///
    /// As for [`write_blocking_at`](Self::write_blocking_at).
    pub(super) unsafe fn write_call(
        &self,
        address: *const u8,
        len: usize,
        offset: Option<u64>,
    ) -> io::Result<usize> {
        let (fd, len) = (self.as_raw_fd(), len.min(MAX_TRANSFER_BYTES));
        retry(|| match offset {
            // SAFETY: the kernel only reads the memory, which stays readable by the contract.
            Some(offset) => unsafe { libc::pwrite(fd, address.cast(), len, signed(offset)) },
            // SAFETY: as above.
            None => unsafe { libc::write(fd, address.cast(), len) },
        })
    }
}

/// `None` for the errors that mean: not without waiting, or not on this file.
fn without_waiting(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EOPNOTSUPP | libc::ENOSYS) => Ok(None),
            _ => Err(error),
        },
    }
}

fn retry(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        if let Ok(count) = usize::try_from(call()) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(Errno::INTR.raw_os_error()) {
            return Err(error);
        }
    }
}

fn signed(offset: u64) -> libc::off_t {
    libc::off_t::try_from(offset).unwrap_or(libc::off_t::MAX)
}

/// `preadv2` takes -1 for the file's own position.
fn signed_or_own(offset: Option<u64>) -> libc::off_t {
    offset.map_or(-1, signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn cached_bytes_are_read_and_an_empty_pipe_is_not_waited_for() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcdef").unwrap();
        let file = Descriptor::own(file.into()).unwrap();
        let mut slot = Slot::with_capacity(4);
        assert_eq!(file.read_cached(&mut slot, Some(1)).unwrap(), Some(4));
        assert_eq!(slot.filled(), b"bcde");
        let mut slot = Slot::with_capacity(4);
        assert_eq!(file.read_cached(&mut slot, Some(6)).unwrap(), Some(0), "end of file");

        let (reader, _writer) = std::io::pipe().unwrap();
        let pipe = Descriptor::own(reader.into()).unwrap();
        assert_eq!(pipe.read_cached(&mut slot, None).unwrap(), None);
    }
}
