//! Reads and writes past the page cache (`O_DIRECT`), at any offset and of any size.
//!
//! The device takes whole blocks only, from memory that starts at one. A read takes all the blocks that its
//! bytes lie in, through a buffer of ours where they do not fit as they are. A write goes in whole blocks
//! as far as it can; the bytes before the first and behind the last of them go through the page cache, with
//! `O_DIRECT` off for that call: so the kernel keeps what else is in their blocks, also if another process
//! writes it just then, and the file gets no longer than it should.
#![allow(unsafe_code, reason = "reads and writes at raw addresses, each with its note")]

use super::Descriptor;
use crate::{
    buffer::{Pool, Slot},
    limits::BLOCK_ALIGN,
};
use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, fcntl_setfl, fstat, statx};
use std::{
    io,
    ops::ControlFlow,
    sync::{OnceLock, atomic::Ordering},
};

/// Bytes of one call through a buffer of ours: as much as most devices take at once.
const STAGED_BYTES: usize = 1024 * 1024;

/// Unused buffers that the process keeps: 8 MiB at most.
const KEPT: usize = 8;

fn staging() -> Slot {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool::new(STAGED_BYTES, KEPT)).acquire()
}

impl Descriptor {
    /// Has an open file read and written past the page cache from now on, in whole blocks. A file that
    /// says that it has no such blocks, although it takes the flag, is read and written as before.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`: `EINVAL` where the file system cannot do that.
    ///
    /// # Platform
    ///
    /// Linux 6.1 says how long a block is; before that, it is 4096 bytes.
    ///
    /// Source: `statx(2)` on `STATX_DIOALIGN`, `open(2)` on `O_DIRECT`.
    pub fn go_direct(&self) -> io::Result<()> {
        self.set_direct(true)?;
        match direct_block(self) {
            Some(block) => self.block.store(block, Ordering::Release),
            None => self.set_direct(false)?,
        }
        Ok(())
    }

    /// Has the file use the page cache from now on.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn leave_direct(&self) -> io::Result<()> {
        if self.is_direct() {
            self.block.store(0, Ordering::Release);
            self.set_direct(false)?;
        }
        Ok(())
    }

    /// Whether it is read and written in whole blocks.
    pub fn is_direct(&self) -> bool {
        self.block.load(Ordering::Acquire) != 0
    }

    fn block_bytes(&self) -> usize {
        self.block.load(Ordering::Acquire).max(1)
    }

    fn set_direct(&self, direct: bool) -> io::Result<()> {
        let flags = fcntl_getfl(self)?;
        let wanted = if direct { flags | OFlags::DIRECT } else { flags - OFlags::DIRECT };
        if wanted != flags {
            fcntl_setfl(self, wanted)?;
        }
        Ok(())
    }

    /// Fills the room left in `slot` from `offset` on, or as much of it as the file has.
    pub(super) fn read_direct(&self, slot: &mut Slot, offset: u64) -> io::Result<usize> {
        let before = slot.len();
        while slot.spare_len() > 0 {
            let at = offset + (slot.len() - before) as u64;
            match self.read_blocks(slot, at) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                // What is here is not lost; the next read says it again.
                Err(_) if slot.len() > before => break,
                Err(error) => return Err(error),
            }
        }
        Ok(slot.len() - before)
    }

    /// One read; `Break` when it was short, as at the end of the file.
    fn read_blocks(&self, slot: &mut Slot, offset: u64) -> io::Result<ControlFlow<()>> {
        let block = self.block_bytes();
        let wanted = slot.spare_len();
        let skip = remainder(offset, block);
        if skip == 0 && wanted >= block && is_aligned(slot.spare_address().as_ptr()) {
            let whole = wanted - wanted % block;
            let end = slot.len() + whole;
            let limit = slot.capacity();
            slot.limit(end);
            let read = self.read_call(slot, offset);
            slot.limit(limit);
            return Ok(if read? < whole { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        let mut staged = Staged::new(self, wanted, offset);
        let len = staged.slot.capacity();
        let read = self.read_call(&mut staged.slot, staged.offset)?;
        let taken = slot.extend_from_slice(staged.slot.filled().get(skip..).unwrap_or_default());
        Ok(if read < len || taken == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Writes all of the memory at `offset`, or at the end of the file where none is given; less only if an
    /// error came in between, which the next write says again.
    ///
    /// # Safety
    ///
    /// The memory must stay readable during the call. Others may write to it.
    pub(super) unsafe fn write_direct(
        &self,
        address: *const u8,
        len: usize,
        offset: Option<u64>,
    ) -> io::Result<usize> {
        let mut written = 0;
        while written < len {
            // SAFETY: inside the memory, since `written` is less than `len`.
            match unsafe { self.write_blocks(address.add(written), len - written, offset, written as u64) } {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// One write: of whole blocks, or of what lies before the next one.
    ///
    /// # Safety
    ///
    /// As for [`write_direct`](Self::write_direct).
    unsafe fn write_blocks(
        &self,
        address: *const u8,
        len: usize,
        offset: Option<u64>,
        written: u64,
    ) -> io::Result<usize> {
        let block = self.block_bytes();
        let at = match offset {
            Some(offset) => offset + written,
            None => u64::try_from(fstat(self)?.st_size).unwrap_or(0),
        };
        let place = offset.map(|_| at);
        let skip = remainder(at, block);
        if skip > 0 || len < block {
            let part = len.min(block - skip);
            // SAFETY: at most `len` bytes.
            return self.past_the_blocks(|| unsafe { self.write_call(address, part, place) });
        }
        let whole = len - len % block;
        let result = if is_aligned(address) {
            // SAFETY: at most `len` bytes.
            unsafe { self.write_call(address, whole, place) }
        } else {
            let part = whole.min(STAGED_BYTES);
            let mut staged = staging();
            // SAFETY: at most `len` readable bytes, and as much room. The copy is made by a function of C, as
            // the kernel's would be: if their owner changes them meanwhile, any of them are written.
            unsafe {
                libc::memcpy(staged.spare_address().as_ptr().cast(), address.cast(), part);
                staged.advance(part);
            }
            // SAFETY: `staged` lives until the call has ended.
            unsafe { self.write_call(staged.filled().as_ptr(), part, place) }
        };
        match result {
            // Somebody else has appended meanwhile: the end is in the middle of a block.
            Err(error) if offset.is_none() && error.raw_os_error() == Some(libc::EINVAL) => {
                // SAFETY: at most `len` bytes.
                self.past_the_blocks(|| unsafe { self.write_call(address, block, None) })
            }
            result => result,
        }
    }

    /// Makes a call that goes through the page cache.
    fn past_the_blocks<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.set_direct(false)?;
        let result = call();
        self.set_direct(true)?;
        result
    }
}

/// A read of the whole blocks in which the bytes lie that are wanted.
pub(super) struct Staged {
    slot: Slot,
    /// Of the first block.
    pub(super) offset: u64,
    /// Bytes before those that are wanted.
    skip: usize,
    /// Bytes that were wanted and came.
    pub(super) taken: usize,
}

impl Staged {
    /// Room for the blocks of `wanted` bytes at `offset`, or for the first of them.
    pub(super) fn new(file: &Descriptor, wanted: usize, offset: u64) -> Self {
        let block = file.block_bytes();
        let skip = remainder(offset, block);
        let mut slot = staging();
        slot.limit(skip.saturating_add(wanted).min(STAGED_BYTES).next_multiple_of(block));
        Self { slot, offset: offset - skip as u64, skip, taken: 0 }
    }

    /// Where the kernel is to write, and how much.
    pub(super) fn room(&mut self) -> (*mut u8, usize) {
        (self.slot.spare_address().as_ptr(), self.slot.spare_len())
    }

    /// Takes `count` bytes that came, those that are wanted of them, into `target`.
    ///
    /// # Safety
    ///
    /// The kernel must have written them to the [`room`](Self::room).
    pub(super) unsafe fn complete(&mut self, count: usize, target: &mut Slot) {
        // SAFETY: by the contract.
        unsafe { self.slot.advance(count) }
        self.taken = target.extend_from_slice(self.slot.filled().get(self.skip..).unwrap_or_default());
    }
}

/// Bytes of a block that the file is read and written in; `None` for a file that has no such blocks.
fn direct_block(file: &Descriptor) -> Option<usize> {
    let asked = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN);
    let known = asked.ok().filter(|stat| stat.stx_mask & StatxFlags::DIOALIGN.bits() != 0);
    let Some(stat) = known else { return Some(BLOCK_ALIGN) };
    let block = usize::try_from(stat.stx_dio_offset_align.max(stat.stx_dio_mem_align)).ok()?;
    let fits = stat.stx_dio_offset_align > 0
        && block.is_power_of_two()
        && block <= STAGED_BYTES
        && stat.stx_dio_mem_align as usize <= BLOCK_ALIGN;
    fits.then_some(block)
}

fn is_aligned(address: *const u8) -> bool {
    address.addr().is_multiple_of(BLOCK_ALIGN)
}

fn remainder(offset: u64, block: usize) -> usize {
    usize::try_from(offset % block as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FileKind;
    use rustix::fs::{Mode, open};
    use std::{io::Write, sync::Arc};

    fn direct(path: &std::path::Path, more: OFlags) -> Option<Arc<Descriptor>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::DIRECT | more;
        let file = open(path, flags, Mode::from_raw_mode(0o600)).ok()?;
        let file = Descriptor::own_as(file, FileKind::Seekable);
        file.go_direct().unwrap();
        Some(file)
    }

    #[test]
    fn writes_and_reads_at_any_offset_do_what_they_do_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let Some(file) = direct(&path, OFlags::empty()) else { return };
        let mut model = Vec::new();
        let mut random = 1_u64;
        for round in 0..200_u8 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let offset = usize::try_from(random >> 40).unwrap() % 30_000;
            let len = usize::try_from(random >> 20 & 0xffff).unwrap() % 20_000;
            let bytes = vec![round; len];
            assert_eq!(file.write_blocking(&bytes, Some(offset as u64)).unwrap(), len);
            if len > 0 && model.len() < offset + len {
                model.resize(offset + len, 0);
            }
            model.get_mut(offset..offset + len).unwrap().copy_from_slice(&bytes);
            assert_eq!(std::fs::read(&path).unwrap(), model);
            let mut slot = Slot::with_capacity(len + 5000);
            let from = offset / 2;
            let read = file.read_blocking(&mut slot, Some(from as u64)).unwrap();
            let there = model.get(from..).unwrap_or_default();
            assert_eq!(read, slot.len());
            assert_eq!(slot.filled(), there.get(..len + 5000).unwrap_or(there));
        }
        assert!(fcntl_getfl(&*file).unwrap().contains(OFlags::DIRECT));
    }

    #[test]
    fn what_is_appended_goes_behind_what_others_append() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let Some(file) = direct(&path, OFlags::APPEND) else { return };
        let mut model = Vec::new();
        for len in [1, 4095, 4096, 10_000, 3, 8192, 100_000] {
            assert_eq!(file.write_blocking(&vec![b'x'; len], None).unwrap(), len);
            model.extend(std::iter::repeat_n(b'x', len));
            std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"other").unwrap();
            model.extend(b"other");
            assert_eq!(std::fs::read(&path).unwrap(), model);
        }
    }
}
