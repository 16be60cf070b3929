//! One operation type for both of compio's drivers.
//!
//! compio's own operations cannot set `IOSQE_ASYNC`, append to a buffer, or report their completion
//! to a list, so this is an operation of ours: an io_uring entry where there is a ring, a readiness
//! wait or a call on a pool thread where there is none.
#![allow(unsafe_code, reason = "entries that point into buffers, each with its note")]

use super::{
    aligned::Staged,
    descriptor::{Descriptor, FileKind},
};
use crate::buffer::{Chunk, Slot};
use compio::driver::{Decision, Extra, OpType, PollOpCode};
use rustix::{
    event::PollFlags,
    fs::{Mode, OFlags},
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    ffi::CString,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

/// What is asked for, with the memory it needs.
pub(super) enum Action {
    Read { file: Arc<Descriptor>, slot: Slot, offset: Option<u64> },
    Write { file: Arc<Descriptor>, chunk: Chunk, offset: Option<u64> },
    Sync { file: Arc<Descriptor>, data_only: bool },
    Open { path: CString, flags: OFlags, mode: Mode, opened: Option<OwnedFd> },
}

/// Where finished operations are listed, by the number that their owner gave them.
pub(super) type Finished = Rc<RefCell<VecDeque<usize>>>;

/// Calls that pool threads have made, each counted before its driver hears of it.
pub(super) type Called = Arc<AtomicUsize>;

/// Counts a call when it ends, one that panics too.
struct Call(Option<Called>);

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(called) = &self.0 {
            called.fetch_add(1, Ordering::Release);
        }
    }
}

/// An [`Action`] on its way through a driver, which owns it until the completion.
pub(super) struct FileOp {
    pub(super) action: Action,
    /// The ring was asked for the room to write, not yet for the write.
    awaits_room: bool,
    /// The whole blocks that the bytes lie in which are read past the page cache.
    staged: Option<Staged>,
    finished: Option<(Finished, usize)>,
    called: Option<Called>,
    _in_flight: InFlight,
}

impl FileOp {
    pub(super) fn new(action: Action) -> Self {
        Self {
            action,
            awaits_room: false,
            staged: None,
            finished: None,
            called: None,
            _in_flight: InFlight::count(),
        }
    }

    /// Lists the operation under `number` when it completes, and counts the call of a pool thread when it
    /// ends, which is before.
    pub(super) fn report_to(mut self, finished: Finished, number: usize, called: Called) -> Self {
        self.finished = Some((finished, number));
        self.called = Some(called);
        self
    }

    /// Gets ready for a ring, which reads whole blocks past the page cache into memory of ours.
    pub(super) fn stage(&mut self) {
        if let Action::Read { file, slot, offset: Some(offset) } = &self.action
            && file.is_direct()
            && self.staged.is_none()
        {
            self.staged = Staged::new(file, slot.spare_len(), *offset);
        }
    }

    /// Whether a driver runs it on a pool thread.
    pub(super) fn blocks_a_thread(&self, on_ring: bool) -> bool {
        if on_ring { self.is_plain_call() } else { self.polled_fd().is_none() }
    }

    /// Whether it reads or writes a regular file at the file's own position, which others may share.
    ///
    /// The ring is no good for that. It takes the position without its lock, so two who write at the same
    /// time write to the same place; and where the rest of a short write is refused (the disk is full, a
    /// limit reached) it reports the bytes that were written and leaves the position where it was. So
    /// these are plain calls on another thread, as they are without a ring.
    fn moves_shared_position(&self) -> bool {
        match &self.action {
            Action::Read { file, offset, .. } | Action::Write { file, offset, .. } => {
                offset.is_none() && file.kind() == FileKind::Seekable
            }
            Action::Sync { .. } | Action::Open { .. } => false,
        }
    }

    /// Whether it is made on another thread even where there is a ring.
    fn is_plain_call(&self) -> bool {
        let (Action::Read { file, .. } | Action::Write { file, .. }) = &self.action else { return false };
        // Past the page cache, a write may be several calls, and so may a read that is not staged.
        self.moves_shared_position() || (file.is_direct() && self.staged.is_none())
    }

    fn polled_fd(&self) -> Option<RawFd> {
        match &self.action {
            Action::Read { file, .. } | Action::Write { file, .. } if file.kind() == FileKind::Pollable => {
                Some(file.as_raw_fd())
            }
            _ => None,
        }
    }

    /// What a driver's completion means. `Pending`: submit the operation once more, it has done nothing.
    ///
    /// A ring is asked only whether a terminal can be written: a terminal that polls as writable takes some
    /// bytes and waits with the rest of them, in the submitting call, or, where a kernel thread is asked for
    /// (`IOSQE_ASYNC`), where a cancel that comes while that thread arms its wait is lost.
    pub(super) fn settle(&mut self, completed: io::Result<usize>) -> Poll<io::Result<usize>> {
        if let (Some(staged), Ok(_)) = (self.staged.take(), &completed) {
            return Poll::Ready(Ok(staged.taken));
        }
        match (std::mem::take(&mut self.awaits_room), completed) {
            (true, Ok(_)) => self.attempt(),
            (_, completed) => Poll::Ready(completed),
        }
    }

    /// Runs the operation to its end on this thread, without a driver.
    pub(super) fn run_here(mut self) -> (io::Result<usize>, Action) {
        let result = self.call();
        self.complete(&result);
        (result, self.action)
    }

    /// As [`call`](Self::call), on a pool thread.
    fn call_on_thread(&mut self) -> io::Result<usize> {
        let _counted = Call(self.called.clone());
        self.call()
    }

    /// The operation as plain system calls on this thread.
    fn call(&mut self) -> io::Result<usize> {
        match &mut self.action {
            // `complete` counts the bytes, as it does for the kernel's: undo what the call counted.
            Action::Read { file, slot, offset } => {
                let before = slot.len();
                let read = file.read_blocking(slot, *offset);
                slot.truncate(before);
                read
            }
            Action::Write { file, chunk, offset } => file.write_chunk_blocking(chunk, *offset),
            Action::Sync { file, data_only } => {
                let synced = rustix::io::retry_on_intr(|| match data_only {
                    true => rustix::fs::fdatasync(&**file),
                    false => rustix::fs::fsync(&**file),
                });
                Ok(synced.map(|()| 0)?)
            }
            Action::Open { path, flags, mode, .. } => {
                let opened = rustix::io::retry_on_intr(|| rustix::fs::open(path.as_c_str(), *flags, *mode))?;
                let number = std::os::fd::IntoRawFd::into_raw_fd(opened);
                usize::try_from(number).map_err(io::Error::other)
            }
        }
    }

    /// One attempt that does not wait, after a poller said that the file is ready: somebody else may
    /// have taken the bytes since.
    pub(super) fn attempt(&mut self) -> Poll<io::Result<usize>> {
        let result = match &mut self.action {
            Action::Read { file, slot, .. } => {
                let before = slot.len();
                let read = file.read_cached(slot, None);
                slot.truncate(before);
                read
            }
            Action::Write { file, chunk, .. } => file.write_chunk_cached(chunk, None),
            Action::Sync { .. } | Action::Open { .. } => Ok(None),
        };
        match result {
            Ok(Some(count)) => Poll::Ready(Ok(count)),
            Err(error) => Poll::Ready(Err(error)),
            // Not ready after all, or a file that cannot tell: a FIFO, a terminal, an old kernel's. Asking
            // again and again would never end there, so ask the poller itself.
            Ok(None) if self.is_ready() => self.call_ready(),
            Ok(None) => Poll::Pending,
        }
    }

    /// A call that does not wait, on a file that is ready.
    fn call_ready(&mut self) -> Poll<io::Result<usize>> {
        let Action::Write { file, chunk, .. } = &self.action else { return Poll::Ready(self.call()) };
        match file.write_chunk_ready(chunk) {
            Ok(Some(count)) => Poll::Ready(Ok(count)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn is_ready(&self) -> bool {
        let (Action::Read { file, .. } | Action::Write { file, .. }) = &self.action else { return true };
        let interest = match self.action {
            Action::Write { .. } => PollFlags::OUT,
            _ => PollFlags::IN,
        };
        file.polls(interest)
    }

    /// Takes what the driver reported into the operation's own memory.
    fn complete(&mut self, result: &io::Result<usize>) {
        if let Ok(count) = *result {
            match &mut self.action {
                Action::Read { slot, .. } if self.staged.is_some() => {
                    if let Some(staged) = &mut self.staged {
                        // SAFETY: the kernel wrote `count` bytes to the memory of `staged`.
                        unsafe { staged.complete(count, slot) }
                    }
                }
                // SAFETY: the kernel (or `call`) wrote `count` bytes to `spare_address`.
                Action::Read { slot, .. } => unsafe { slot.advance(count) },
                Action::Open { opened, .. } => {
                    if let Ok(number) = RawFd::try_from(count) {
                        // SAFETY: the number is a file that this operation just opened; owning it
                        // here closes it when the operation was cancelled and nobody takes it.
                        *opened = Some(unsafe { OwnedFd::from_raw_fd(number) });
                    }
                }
                Action::Write { .. } | Action::Sync { .. } => {}
            }
        }
        if let Some((finished, number)) = &self.finished {
            finished.borrow_mut().push_back(*number);
        }
    }
}

#[cfg(target_os = "linux")]
mod ring {
    use super::{super::direct::MAX_TRANSFER_BYTES, Action, FileOp};
    use compio::driver::{Extra, IourOpCode, OpEntry};
    use io_uring::{
        opcode,
        squeue::Flags,
        types::{Fd, FsyncFlags},
    };
    use std::{io, os::fd::AsRawFd};

    /// The offset that means "at the file's own position".
    const OWN_POSITION: u64 = u64::MAX;

    fn len_u32(len: usize) -> u32 {
        u32::try_from(len.min(MAX_TRANSFER_BYTES)).unwrap_or(u32::MAX)
    }

    // SAFETY: the entry points into the slot, chunk or path that `self` owns on the heap; the driver
    // keeps `self` until the completion, so those stay valid and are not moved.
    unsafe impl IourOpCode for FileOp {
        type Control = ();

        fn create_entry(&mut self, (): &mut ()) -> OpEntry {
            if self.is_plain_call() {
                return OpEntry::Blocking;
            }
            let entry = match &mut self.action {
                Action::Read { file, .. } if let Some(staged) = &mut self.staged => {
                    let (address, len) = staged.room();
                    opcode::Read::new(Fd(file.as_raw_fd()), address, len_u32(len))
                        .offset(staged.offset)
                        .build()
                }
                Action::Read { file, slot, offset } => opcode::Read::new(
                    Fd(file.as_raw_fd()),
                    slot.spare_address().as_ptr(),
                    len_u32(slot.spare_len()),
                )
                .offset(offset.unwrap_or(OWN_POSITION))
                .build(),
                Action::Write { file, .. } if file.is_terminal() => {
                    self.awaits_room = true;
                    opcode::PollAdd::new(Fd(file.as_raw_fd()), libc::POLLOUT.cast_unsigned().into()).build()
                }
                Action::Write { file, chunk, offset } => {
                    opcode::Write::new(Fd(file.as_raw_fd()), chunk.address().as_ptr(), len_u32(chunk.len()))
                        .offset(offset.unwrap_or(OWN_POSITION))
                        .build()
                }
                Action::Sync { file, data_only } => {
                    let flags = if *data_only { FsyncFlags::DATASYNC } else { FsyncFlags::empty() };
                    opcode::Fsync::new(Fd(file.as_raw_fd())).flags(flags).build()
                }
                Action::Open { path, flags, mode, .. } => {
                    opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr())
                        .flags(flags.bits().cast_signed())
                        .mode(mode.bits())
                        .build()
                        // Opened in the submitting call, a FIFO would be opened as if O_NONBLOCK were set.
                        .flags(Flags::ASYNC)
                }
            };
            entry.into()
        }

        fn call_blocking(&mut self, (): &mut ()) -> io::Result<usize> {
            self.call_on_thread()
        }

        unsafe fn set_result(&mut self, (): &mut (), result: &io::Result<usize>, _: &Extra) {
            self.complete(result);
        }
    }
}

// SAFETY: `op_type` names the fd that `pre_submit` waits for, both from `polled_fd`.
unsafe impl PollOpCode for FileOp {
    type Control = ();

    fn pre_submit(&mut self, (): &mut ()) -> io::Result<Decision> {
        Ok(match (self.polled_fd(), &self.action) {
            (Some(fd), Action::Write { .. }) => Decision::wait_writable(fd),
            (Some(fd), _) => Decision::wait_readable(fd),
            (None, _) => Decision::Blocking,
        })
    }

    fn op_type(&mut self, (): &mut ()) -> Option<OpType> {
        self.polled_fd().map(OpType::fd)
    }

    fn operate(&mut self, (): &mut ()) -> Poll<io::Result<usize>> {
        if self.polled_fd().is_some() { self.attempt() } else { Poll::Ready(self.call_on_thread()) }
    }

    unsafe fn set_result(&mut self, (): &mut (), result: &io::Result<usize>, _: &Extra) {
        self.complete(result);
    }
}

thread_local! {
    static IN_FLIGHT: Rc<Cell<usize>> = Rc::new(Cell::new(0));
}

/// Counts the operations of this thread that a driver still owns.
struct InFlight(Rc<Cell<usize>>);

impl InFlight {
    fn count() -> Self {
        let counter = IN_FLIGHT.with(Rc::clone);
        counter.set(counter.get() + 1);
        Self(counter)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Operations of this thread that a driver still owns, the kernel possibly writing to their memory.
pub(super) fn in_flight() -> usize {
    IN_FLIGHT.with(|counter| counter.get())
}
