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
    buffer::Slot,
    limits::{BLOCK_ALIGN, IN_FLIGHT_BYTES, SHARED_FLAG_TRIES, STAGED_BYTES},
};
use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, fcntl_setfl, fstat, statx};
use std::{
    io,
    ops::ControlFlow,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Bytes of all [`Staging`] there is.
static STAGED: AtomicUsize = AtomicUsize::new(0);

/// Bytes of it above which no more reads in flight on a ring get any.
static STAGED_LIMIT: AtomicUsize = AtomicUsize::new(IN_FLIGHT_BYTES);

/// Bytes of the buffers of ours that files are read and written through past the page cache.
pub fn staged_bytes() -> usize {
    STAGED.load(Ordering::Relaxed)
}

/// Has reads past the page cache wait for a thread, of which there are few, where buffers in use leave no
/// room for theirs in `bytes`; [`IN_FLIGHT_BYTES`] at first.
pub fn limit_staged_bytes(bytes: usize) {
    STAGED_LIMIT.store(bytes, Ordering::Relaxed);
}

/// A buffer of ours for whole blocks. It is freed with its call: none is kept.
struct Staging {
    slot: Slot,
    bytes: usize,
}

impl Staging {
    fn new(bytes: usize) -> io::Result<Self> {
        let slot = Slot::try_with_capacity(bytes)?;
        STAGED.fetch_add(bytes, Ordering::Relaxed);
        Ok(Self { slot, bytes })
    }

    /// The same, or a new one: empty, for at most `bytes`.
    fn renew(this: &mut Option<Self>, bytes: usize) -> io::Result<&mut Slot> {
        let staging = match this {
            Some(staging) => staging,
            None => this.insert(Self::new(bytes)?),
        };
        staging.slot.clear();
        staging.slot.limit(bytes.min(staging.bytes));
        Ok(&mut staging.slot)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        STAGED.fetch_sub(self.bytes, Ordering::Relaxed);
    }
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
        let mut staging = None;
        while slot.spare_len() > 0 {
            let at = offset + (slot.len() - before) as u64;
            match self.read_blocks(slot, at, &mut staging) {
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
    fn read_blocks(
        &self,
        slot: &mut Slot,
        offset: u64,
        staging: &mut Option<Staging>,
    ) -> io::Result<ControlFlow<()>> {
        let block = self.block_bytes();
        let wanted = slot.spare_len();
        let Blocks { first, skip, len } = self.blocks_of(wanted, offset);
        if skip == 0 && wanted >= block && is_aligned(slot.spare_address().as_ptr()) {
            let whole = wanted - wanted % block;
            let end = slot.len() + whole;
            let limit = slot.capacity();
            slot.limit(end);
            let read = self.read_call(slot, offset);
            slot.limit(limit);
            return Ok(if read? < whole { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        let staged = Staging::renew(staging, len)?;
        let room = staged.spare_len();
        let read = self.read_call(staged, first)?;
        let taken = slot.extend_from_slice(staged.filled().get(skip..).unwrap_or_default());
        Ok(if read < room || taken == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
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
        let mut staging = None;
        while written < len {
            let place = offset.map(|offset| offset + written as u64);
            // SAFETY: inside the memory, since `written` is less than `len`.
            match unsafe { self.write_blocks(address.add(written), len - written, place, &mut staging) } {
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
        place: Option<u64>,
        staging: &mut Option<Staging>,
    ) -> io::Result<usize> {
        let block = self.block_bytes();
        let at = match place {
            Some(place) => place,
            None => u64::try_from(fstat(self)?.st_size).unwrap_or(0),
        };
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
            let staged = Staging::renew(staging, whole.min(STAGED_BYTES))?;
            let part = staged.spare_len();
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
            Err(error) if place.is_none() && is_invalid(&error) => {
                // SAFETY: at most `len` bytes.
                self.past_the_blocks(|| unsafe { self.write_call(address, block, None) })
            }
            result => result,
        }
    }

    /// Makes a call that goes through the page cache.
    ///
    /// Whoever else has the open file (a descriptor that was duplicated, a child) has the flag, too, and may
    /// set it again at any moment: then the kernel refuses what is no whole block, and has done nothing.
    fn past_the_blocks<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let mut tries = 1;
        let result = loop {
            self.set_direct(false)?;
            match call() {
                Err(error) if is_invalid(&error) && tries < SHARED_FLAG_TRIES => tries += 1,
                result => break result,
            }
        };
        // What was written is written: if this fails, the next call goes through the page cache, too.
        let _ = self.set_direct(true);
        result
    }

    /// The blocks of `wanted` bytes at `offset`, as many of them as one call takes.
    fn blocks_of(&self, wanted: usize, offset: u64) -> Blocks {
        let block = self.block_bytes();
        let skip = remainder(offset, block);
        let len = skip.saturating_add(wanted).min(STAGED_BYTES).next_multiple_of(block);
        Blocks { first: offset - skip as u64, skip, len }
    }
}

/// Whole blocks of a file.
struct Blocks {
    /// Where they begin.
    first: u64,
    /// Bytes before those that are wanted.
    skip: usize,
    /// Bytes of all of them.
    len: usize,
}

/// A read of the whole blocks in which the bytes lie that are wanted.
pub(super) struct Staged {
    staging: Staging,
    /// Of the first block.
    pub(super) offset: u64,
    /// Bytes before those that are wanted.
    skip: usize,
    /// Bytes that were wanted and came.
    pub(super) taken: usize,
}

impl Staged {
    /// Room for the blocks of `wanted` bytes at `offset`, or for the first of them; `None` where there is no
    /// memory for them that a read may have while it is in flight.
    pub(super) fn new(file: &Descriptor, wanted: usize, offset: u64) -> Option<Self> {
        let Blocks { first, skip, len } = file.blocks_of(wanted, offset);
        if staged_bytes() + len > STAGED_LIMIT.load(Ordering::Relaxed) {
            return None;
        }
        let staging = Staging::new(len).ok()?;
        Some(Self { staging, offset: first, skip, taken: 0 })
    }

    /// Where the kernel is to write, and how much.
    pub(super) fn room(&mut self) -> (*mut u8, usize) {
        let slot = &mut self.staging.slot;
        (slot.spare_address().as_ptr(), slot.spare_len())
    }

    /// Takes `count` bytes that came, those that are wanted of them, into `target`.
    ///
    /// # Safety
    ///
    /// The kernel must have written them to the [`room`](Self::room).
    pub(super) unsafe fn complete(&mut self, count: usize, target: &mut Slot) {
        let slot = &mut self.staging.slot;
        // SAFETY: by the contract.
        unsafe { slot.advance(count) }
        self.taken = target.extend_from_slice(slot.filled().get(self.skip..).unwrap_or_default());
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

fn is_invalid(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
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
    fn two_that_share_the_open_file_write_any_bytes_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let Some(file) = direct(&path, OFlags::empty()) else { return };
        let other = Descriptor::own_as(rustix::io::dup(&*file).unwrap(), FileKind::Seekable);
        other.go_direct().unwrap();
        let write = |file: &Descriptor, from: u64| {
            for number in 0..2000 {
                assert_eq!(file.write_blocking(b"0123456789", Some(from + number * 1000)).unwrap(), 10);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| write(&other, 100 << 20));
            write(&file, 0);
        });
    }

    #[test]
    fn a_read_takes_no_more_memory_than_its_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let Some(file) = direct(&folder.path().join("f"), OFlags::empty()) else { return };
        let block = file.block_bytes();
        let bytes_of = |wanted, offset| Staged::new(&file, wanted, offset).unwrap().staging.bytes;
        assert_eq!(bytes_of(16, 0), block);
        assert_eq!(bytes_of(16, block as u64 - 8), 2 * block);
        assert_eq!(bytes_of(100_000_000, 1), STAGED_BYTES);
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
