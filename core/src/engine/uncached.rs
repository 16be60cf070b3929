//! Reads and writes that leave the page cache to those who use it.
#![allow(unsafe_code, reason = "system calls that rustix does not have")]

use super::Descriptor;
use crate::buffer::Slot;
use rustix::{
    fs::{Advice, fadvise},
    param::page_size,
};
use std::{io, num::NonZeroU64, os::fd::AsRawFd};

/// The number of `cachestat(2)`, the same on every machine.
const SYS_CACHESTAT: libc::c_long = 451;

impl Descriptor {
    /// Reads at `offset` into the room left in `slot`, and leaves nothing in the page cache that was not
    /// there before.
    ///
    /// # Errors
    ///
    /// Those of `pread(2)`.
    ///
    /// # Platform
    ///
    /// `RWF_DONTCACHE` where the file system knows it (Linux 6.14 and newer). Elsewhere without
    /// read-ahead, and what had to be read is dropped behind; before Linux 6.5, which cannot say what the page
    /// cache holds, together with what others have of the same buffer.
    pub(crate) fn read_uncached(&self, slot: &mut Slot, offset: u64) -> io::Result<usize> {
        match self.read_flagged(slot, Some(offset), libc::RWF_DONTCACHE) {
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS)) => {}
            read => return read,
        }
        // Read ahead, it would look as if somebody else had wanted it.
        let _ = fadvise(self, 0, None, Advice::Random);
        let page = page_size() as u64;
        let room = slot.spare_len() as u64;
        let is_cached = match self.cached_pages(offset, room) {
            // Asking whether it can be read at once would fetch it.
            Some(0) => false,
            Some(pages) if pages >= room.div_ceil(page) => true,
            // Some of others' and some of nobody's: a page at a time.
            Some(_) => return self.read_page_uncached(slot, offset, page),
            None => match self.read_cached(slot, Some(offset))? {
                Some(read) => return Ok(read),
                None => false,
            },
        };
        let read = self.read_blocking(slot, Some(offset))?;
        if !is_cached {
            self.drop_cached(offset, read as u64);
        }
        Ok(read)
    }

    /// Reads what follows of one `page`, which has so many bytes.
    fn read_page_uncached(&self, slot: &mut Slot, offset: u64, page: u64) -> io::Result<usize> {
        let most = page - offset % page;
        let is_cached = self.cached_pages(offset, most) != Some(0);
        let capacity = slot.capacity();
        slot.limit(capacity.min(slot.len() + usize::try_from(most).unwrap_or(usize::MAX)));
        let read = self.read_blocking(slot, Some(offset));
        slot.limit(capacity);
        if !is_cached && let Ok(read) = read {
            // The whole page: of a part of one nothing is dropped.
            self.drop_cached(offset - offset % page, page);
            return Ok(read);
        }
        read
    }

    /// How many pages of these bytes the page cache holds; `None` where that is not told.
    ///
    /// # Platform
    ///
    /// Linux 6.5 and newer.
    ///
    /// Source: `cachestat(2)`.
    fn cached_pages(&self, offset: u64, len: u64) -> Option<u64> {
        let range: [u64; 2] = [offset, len];
        // Of which the first is the number of pages that are there.
        let mut counts = [0_u64; 5];
        // SAFETY: the kernel reads `range` and writes `counts`, which have the sizes of its own two structures;
        // both are borrowed for the whole call.
        let done = unsafe {
            libc::syscall(SYS_CACHESTAT, self.as_raw_fd(), range.as_ptr(), counts.as_mut_ptr(), 0_u32)
        };
        let [pages, ..] = counts;
        (done == 0).then_some(pages)
    }

    /// Whether the page cache holds the byte at `offset`; true as well where the file system does not tell, as
    /// tmpfs, which is all cache.
    ///
    /// # Errors
    ///
    /// Those of `read(2)`.
    pub(crate) fn is_cached(&self, offset: u64) -> io::Result<bool> {
        match self.read_flagged(&mut Slot::with_capacity(1), Some(offset), libc::RWF_NOWAIT) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Has the kernel forget what it holds of the `len` bytes from `offset` on, where that is on the device.
    pub(crate) fn drop_cached(&self, offset: u64, len: u64) {
        if let Some(len) = NonZeroU64::new(len) {
            // Advice: what cannot be followed need not be.
            let _ = fadvise(self, offset, Some(len), Advice::DontNeed);
        }
    }

    /// Starts to write `len` bytes from `offset` on back to the device, and waits for it if asked. Only
    /// to have them clean: this is no durability, and an error is found by the next `fsync`.
    ///
    /// # Platform
    ///
    /// Linux; a file system that has no such call does nothing.
    ///
    /// Source: `sync_file_range(2)`.
    pub(crate) fn write_back(&self, offset: u64, len: u64, wait: bool) {
        let start = libc::SYNC_FILE_RANGE_WRITE;
        let flags = if wait {
            start | libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WAIT_AFTER
        } else {
            start
        };
        let signed = |number| libc::off64_t::try_from(number).unwrap_or(libc::off64_t::MAX);
        // SAFETY: numbers only; the descriptor is open while `self` lives.
        unsafe { libc::sync_file_range(self.as_raw_fd(), signed(offset), signed(len), flags) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_others_have_in_the_page_cache_stays_and_what_was_read_does_not() {
        // Not on tmpfs, whose files are nowhere else.
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        file.write_all(&vec![b'x'; 4 << 20]).unwrap();
        file.sync_all().unwrap();
        let file = Descriptor::own(file.into()).unwrap();
        file.drop_cached(0, 4 << 20);
        assert!(!file.is_cached(2 << 20).unwrap(), "this file system keeps what it is told to drop");
        let mut slot = Slot::with_capacity(4096);
        let _ = fadvise(&file, 0, None, Advice::Random);
        file.read_blocking(&mut slot, Some(64 * 1024)).unwrap();
        let _ = fadvise(&file, 0, None, Advice::Normal);
        let mut read = 0;
        while read < 4 << 20 {
            let mut slot = Slot::with_capacity(256 * 1024);
            let count = file.read_uncached(&mut slot, read).unwrap();
            assert!(slot.filled().iter().all(|byte| *byte == b'x'));
            read += count as u64;
        }
        assert!(file.is_cached(64 * 1024).unwrap(), "somebody else's page");
        assert!(!file.is_cached(3 << 20).unwrap(), "a page of ours");
    }
}
