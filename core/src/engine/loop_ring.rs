//! A bare ring for the thread of a foreign event loop.
//!
//! The loop watches [`LoopRing::as_fd`]; nothing here waits. After every [`LoopRing::poll`] *all*
//! completions must be popped: one call may reap operations of other tasks, and the fd does not
//! become readable for them again.

use super::{
    compio_engine::{driver, not_compio},
    descriptor::Descriptor,
    op::{Action, Called, FileOp, Finished},
    probe::EngineKind,
};
use crate::{
    buffer::{Chunk, Slot},
    limits::MAX_BLOCKING_THREADS,
};
use compio::{
    BufResult,
    driver::{AsRawFd as _, DriverType, Key, Proactor, PushEntry},
};
use rustix::fs::{Mode, OFlags};
use slab::Slab;
use std::{
    collections::VecDeque,
    ffi::CString,
    io,
    os::fd::{OwnedFd, RawFd},
    sync::{Arc, atomic::Ordering},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

/// What a ring is asked to do.
#[derive(Debug)]
pub enum Submission {
    /// Read into the room left in `slot`, at `offset` or at the file's own position.
    Read {
        /// The file.
        file: Arc<Descriptor>,
        /// Filled behind what it holds already.
        slot: Slot,
        /// Absolute byte, or the file's own position.
        offset: Option<u64>,
    },
    /// Write `chunk`, at `offset` or at the file's own position.
    Write {
        /// The file.
        file: Arc<Descriptor>,
        /// May be written in part.
        chunk: Chunk,
        /// Absolute byte, or the file's own position.
        offset: Option<u64>,
    },
    /// Bring written data to the device.
    Sync {
        /// The file.
        file: Arc<Descriptor>,
        /// Leave out metadata that is not needed to read the data back.
        data_only: bool,
    },
    /// Open a file; may wait for the other end of a FIFO.
    Open {
        /// As for `open(2)`.
        path: CString,
        /// As for `open(2)`.
        flags: OFlags,
        /// As for `open(2)`.
        mode: Mode,
    },
}

/// An operation that has ended, with the memory that it was given.
#[derive(Debug)]
pub struct Completion {
    /// The token it was pushed with.
    pub token: u64,
    /// Bytes moved, or the error; `ECANCELED` when it was cancelled in time.
    pub result: io::Result<usize>,
    /// The slot of a read, holding what arrived.
    pub slot: Option<Slot>,
    /// The chunk of a write, not advanced.
    pub chunk: Option<Chunk>,
    /// The file of an open.
    pub opened: Option<OwnedFd>,
}

/// A completion ring that belongs to one thread and never waits.
pub struct LoopRing {
    proactor: Option<Proactor>,
    waker: Waker,
    finished: Finished,
    operations: Slab<Operation>,
    /// Operations that would find every pool thread busy; `Proactor::push` would spin for them.
    queued: VecDeque<usize>,
    blocking: usize,
    blocks_threads: bool,
    /// Calls that pool threads have made, and those of them that the driver has told of.
    called: Called,
    told: usize,
    /// Operations in flight whose completions, cancels and notices fit into the ring.
    fitting: usize,
}

struct Operation {
    token: u64,
    state: State,
    takes_thread: bool,
    /// It is not submitted again.
    cancelled: bool,
}

enum State {
    Queued(Box<FileOp>),
    Pushed(Key<FileOp>),
    Ended(io::Result<usize>, Box<FileOp>),
}

impl LoopRing {
    /// A ring for this thread, with nothing in flight. `entries` is how many operations it hands to the
    /// kernel at once, [`RING_ENTRIES`](crate::limits::RING_ENTRIES) for most programs.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the ring or the poller. `Unsupported` for monoio, which waits by itself and
    /// cannot be watched.
    pub fn new(kind: EngineKind, entries: u32) -> io::Result<Self> {
        let mut proactor = match kind {
            EngineKind::Threads => driver(DriverType::Poll, entries).build()?,
            // The loop waits in epoll, not in the ring: deferred task work would never run, and the
            // fd would never become readable. Cooperative task work does wake it.
            EngineKind::Uring => {
                let mut quiet = driver(DriverType::IoUring, entries);
                quiet.coop_taskrun(true).taskrun_flag(true);
                quiet.build().or_else(|_| driver(DriverType::IoUring, entries).build())?
            }
            EngineKind::Monoio => return Err(not_compio()),
        };
        let waker = proactor.waker();
        // The first poll arms the wake-up from other threads; before it they would be lost.
        poll_now(&mut proactor)?;
        proactor.flush();
        Ok(Self {
            proactor: Some(proactor),
            waker,
            finished: Finished::default(),
            operations: Slab::new(),
            queued: VecDeque::new(),
            blocking: 0,
            blocks_threads: kind == EngineKind::Threads,
            called: Called::default(),
            told: 0,
            // There is twice the place for completions, and each may be cancelled.
            fitting: entries as usize / 2,
        })
    }

    /// The fd to watch for readability.
    pub fn as_raw_fd(&self) -> RawFd {
        self.proactor.as_ref().map_or(-1, Proactor::as_raw_fd)
    }

    /// Operations pushed and not yet popped.
    pub fn in_flight(&self) -> usize {
        self.operations.len()
    }

    /// Takes an operation on. It starts at the next [`flush`](Self::flush) or [`poll`](Self::poll).
    pub fn push(&mut self, token: u64, submission: Submission) {
        self.take_on(token, FileOp::new(submission.into()));
    }

    fn take_on(&mut self, token: u64, mut op: FileOp) {
        if !self.blocks_threads {
            op.stage();
        }
        let takes_thread = op.blocks_a_thread(!self.blocks_threads);
        let number = self.operations.vacant_key();
        let op = Box::new(op.report_to(self.finished.clone(), number, self.called.clone()));
        self.operations.insert(Operation { token, state: State::Queued(op), takes_thread, cancelled: false });
        if takes_thread && self.blocking >= MAX_BLOCKING_THREADS {
            self.queued.push_back(number);
        } else {
            self.start(number);
        }
    }

    /// Hands what was pushed to the kernel, and makes wake-ups from other threads visible on the fd.
    /// Must be called before the loop sleeps.
    pub fn flush(&mut self) {
        let notified = self.proactor.as_mut().is_some_and(Proactor::flush);
        // A wake-up that came while we were awake wrote nothing to the fd, and neither did a completion
        // that was reaped while pushing. From now on the driver counts as asleep: waking it writes. A call
        // that a thread ended while compio looked at the ring has had its wake-up swallowed: compio finds it
        // when it looks again, and will not say so.
        if notified || !self.finished.borrow().is_empty() || self.called.load(Ordering::Acquire) != self.told
        {
            self.waker.wake_by_ref();
        }
    }

    /// Collects completions without waiting.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to be asked; what is in flight stays in flight.
    pub fn poll(&mut self) -> io::Result<()> {
        let Some(proactor) = &mut self.proactor else { return Ok(()) };
        // compio looks either at what threads have ended or at the ring, where the notices of those pile up
        // until there is no place for more and its watch ends, as it does where so much completes at once. It
        // watches again when it looks once more: until then nobody is woken.
        let may_end_watch = self.blocking > 0 || self.operations.len() > self.fitting;
        let mut looks_in_vain = if may_end_watch { 2 } else { 1 };
        while looks_in_vain > 0 {
            let before = self.finished.borrow().len();
            // A zero timeout still sleeps 20 µs on an empty ring, unless somebody has just woken it.
            self.waker.wake_by_ref();
            poll_now(proactor)?;
            let is_in_vain = self.finished.borrow().len() == before;
            looks_in_vain = if is_in_vain || !may_end_watch { looks_in_vain - 1 } else { 2 };
        }
        Ok(())
    }

    /// The next operation that has ended, or nothing.
    pub fn pop(&mut self) -> Option<Completion> {
        loop {
            let number = self.finished.borrow_mut().pop_front()?;
            let Some(operation) = self.operations.try_remove(number) else { continue };
            let Operation { token, state, takes_thread, cancelled } = operation;
            let (completed, mut op) = match state {
                State::Queued(op) => (Err(was_cancelled()), op),
                State::Ended(completed, op) => (completed, op),
                State::Pushed(key) => match self.proactor.as_mut()?.pop(key) {
                    PushEntry::Ready(BufResult(completed, op)) => {
                        self.told = self.told.wrapping_add(usize::from(takes_thread));
                        (completed, Box::new(op))
                    }
                    PushEntry::Pending(key) => {
                        // Listed but not ready cannot happen; keep it rather than lose its memory.
                        let state = State::Pushed(key);
                        self.operations.insert(Operation { token, state, takes_thread, cancelled });
                        continue;
                    }
                },
            };
            if takes_thread && self.blocking > 0 {
                self.blocking -= 1;
                self.start_queued();
            }
            let result = match op.settle(completed) {
                Poll::Ready(result) => result,
                Poll::Pending if cancelled => Err(was_cancelled()),
                Poll::Pending => {
                    self.take_on(token, *op);
                    continue;
                }
            };
            return Some(Completion::new(token, result, op.action));
        }
    }

    /// Asks for the operation `token` to be cancelled. Its completion still comes, with what it had
    /// done by then; an operation that the device has begun may not be stopped.
    pub fn cancel(&mut self, token: u64) {
        let Some(number) = self.operations.iter().find(|(_, op)| op.token == token).map(|(number, _)| number)
        else {
            return;
        };
        let Some(operation) = self.operations.get_mut(number) else { return };
        operation.cancelled = true;
        match &operation.state {
            State::Queued(_) => {
                self.queued.retain(|queued| *queued != number);
                operation.takes_thread = false;
                self.finished.borrow_mut().push_back(number);
            }
            // A call on a pool thread cannot be stopped: it ends by itself. compio, asked for it on a ring,
            // has lost its completion now and then.
            State::Pushed(_) if operation.takes_thread => {}
            State::Pushed(key) => {
                if let Some(proactor) = &mut self.proactor {
                    let cancel = proactor.register_cancel(key);
                    proactor.cancel_token(cancel);
                    self.flush();
                    // compio's poller lists a cancelled wait without making its fd readable.
                    if self.blocks_threads {
                        self.waker.wake_by_ref();
                    }
                }
            }
            State::Ended(..) => {}
        }
    }

    /// Cancels everything and waits, at most for `limit`, until nothing is in flight. Returns what has
    /// ended. What has not by then ([`in_flight`](Self::in_flight)) is leaked with the ring when that is
    /// dropped.
    pub fn drain(&mut self, limit: Duration) -> Vec<Completion> {
        let mut ended = Vec::new();
        let deadline = Instant::now() + limit;
        let tokens: Vec<u64> = self.operations.iter().map(|(_, op)| op.token).collect();
        for token in tokens {
            self.cancel(token);
        }
        loop {
            ended.extend(std::iter::from_fn(|| self.pop()));
            let Some(proactor) = &mut self.proactor else { return ended };
            if self.operations.is_empty() {
                return ended;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return ended };
            // An error here is a time-out or a signal; the deadline ends the loop either way.
            let _ = proactor.poll(Some(left.min(Duration::from_millis(20))));
        }
    }

    fn start_queued(&mut self) {
        if let Some(number) = self.queued.pop_front() {
            self.start(number);
        }
    }

    fn start(&mut self, number: usize) {
        let (Some(proactor), Some(operation)) = (&mut self.proactor, self.operations.get_mut(number)) else {
            return;
        };
        let placeholder = State::Ended(Ok(0), Box::new(FileOp::new(Action::nothing())));
        let State::Queued(op) = std::mem::replace(&mut operation.state, placeholder) else { return };
        self.blocking += usize::from(operation.takes_thread);
        operation.state = match proactor.push(*op) {
            // Its completion is listed by the operation itself.
            PushEntry::Pending(key) => State::Pushed(key),
            PushEntry::Ready(BufResult(result, op)) => {
                let mut finished = self.finished.borrow_mut();
                if !finished.contains(&number) {
                    finished.push_back(number);
                }
                State::Ended(result, Box::new(op))
            }
        };
    }
}

impl Drop for LoopRing {
    fn drop(&mut self) {
        // The kernel may still write to the buffers of what is in flight: leak ring and buffers.
        if !self.operations.is_empty() {
            std::mem::forget(self.proactor.take());
            std::mem::forget(std::mem::take(&mut self.operations));
        }
    }
}

fn was_cancelled() -> io::Error {
    io::Error::from_raw_os_error(libc::ECANCELED)
}

fn poll_now(proactor: &mut Proactor) -> io::Result<()> {
    match proactor.poll(Some(Duration::ZERO)) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

impl From<Submission> for Action {
    fn from(submission: Submission) -> Self {
        match submission {
            Submission::Read { file, slot, offset } => Self::Read { file, slot, offset },
            Submission::Write { file, chunk, offset } => Self::Write { file, chunk, offset },
            Submission::Sync { file, data_only } => Self::Sync { file, data_only },
            Submission::Open { path, flags, mode } => {
                Self::Open { path, flags: flags | OFlags::CLOEXEC, mode, opened: None }
            }
        }
    }
}

impl Action {
    /// What stands in for an operation while it moves.
    fn nothing() -> Self {
        Self::Open { path: CString::default(), flags: OFlags::empty(), mode: Mode::empty(), opened: None }
    }
}

impl Completion {
    fn new(token: u64, result: io::Result<usize>, action: Action) -> Self {
        let mut completion = Self { token, result, slot: None, chunk: None, opened: None };
        match action {
            Action::Read { slot, .. } => completion.slot = Some(slot),
            Action::Write { chunk, .. } => completion.chunk = Some(chunk),
            Action::Open { opened, .. } => completion.opened = opened,
            Action::Sync { .. } => {}
        }
        completion
    }
}

impl std::fmt::Debug for LoopRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoopRing").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::fd::AsFd};

    fn rings() -> impl Iterator<Item = LoopRing> {
        let mut kinds = vec![EngineKind::Threads];
        if super::super::probe_uring().unusable.is_none() {
            kinds.push(EngineKind::Uring);
        }
        kinds.into_iter().map(|kind| LoopRing::new(kind, 8).unwrap())
    }

    fn wait(ring: &mut LoopRing) -> Completion {
        loop {
            if let Some(completion) = ring.pop() {
                return completion;
            }
            ring.flush();
            // The ring outlives the wait.
            let watched = unsafe_borrow(ring.as_raw_fd());
            let mut fds = [rustix::event::PollFd::from_borrowed_fd(watched, rustix::event::PollFlags::IN)];
            let limit = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
            let readable = rustix::event::poll(&mut fds, Some(&limit));
            assert_eq!(readable, Ok(1), "the fd never became readable");
            ring.poll().unwrap();
        }
    }

    #[allow(unsafe_code, reason = "a test watches the fd as an event loop would")]
    fn unsafe_borrow<'a>(fd: RawFd) -> std::os::fd::BorrowedFd<'a> {
        // SAFETY: the caller keeps the ring, and so the fd, for as long as the result is used.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }
    }

    fn pipe() -> (Arc<Descriptor>, std::io::PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        (Descriptor::own(reader.into()).unwrap(), writer)
    }

    fn read(file: &Arc<Descriptor>, offset: Option<u64>) -> Submission {
        Submission::Read { file: file.clone(), slot: Slot::with_capacity(16), offset }
    }

    #[test]
    fn a_foreign_loop_is_woken_for_files_and_for_pipes() {
        for mut ring in rings() {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"hello").unwrap();
            let file = Descriptor::own(file.into()).unwrap();
            ring.push(1, read(&file, Some(1)));
            let done = wait(&mut ring);
            assert_eq!((done.token, done.result.unwrap()), (1, 4));
            assert_eq!(done.slot.unwrap().filled(), b"ello");

            let (reader, mut writer) = pipe();
            ring.push(2, read(&reader, None));
            ring.flush();
            ring.poll().unwrap();
            assert!(ring.pop().is_none(), "nothing is in the pipe yet");
            writer.write_all(b"late").unwrap();
            assert_eq!(wait(&mut ring).slot.unwrap().filled(), b"late");
            assert_eq!(ring.in_flight(), 0);
        }
    }

    #[test]
    fn a_cancelled_read_of_a_pipe_completes_and_takes_no_byte() {
        for mut ring in rings() {
            let (reader, mut writer) = pipe();
            ring.push(1, read(&reader, None));
            ring.flush();
            ring.cancel(1);
            assert!(wait(&mut ring).result.is_err());
            writer.write_all(b"kept").unwrap();
            ring.push(2, read(&reader, None));
            assert_eq!(wait(&mut ring).slot.unwrap().filled(), b"kept");
        }
    }

    #[test]
    fn a_completion_that_comes_before_the_loop_sleeps_is_not_lost() {
        for mut ring in rings() {
            let file = Descriptor::own(tempfile::tempfile().unwrap().into()).unwrap();
            for token in 0..200 {
                ring.poll().unwrap();
                ring.push(token, read(&file, Some(0)));
                // Long enough for a pool thread to finish while this one counts as awake.
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_micros(100) {
                    std::hint::spin_loop();
                }
                assert_eq!(wait(&mut ring).token, token);
            }
        }
    }

    #[test]
    fn more_operations_than_pool_threads_all_complete() {
        for mut ring in rings() {
            let file = Descriptor::own(tempfile::tempfile().unwrap().into()).unwrap();
            for token in 0..500 {
                ring.push(token, read(&file, Some(0)));
            }
            ring.cancel(499);
            let mut tokens: Vec<u64> = (0..500).map(|_| wait(&mut ring).token).collect();
            tokens.sort_unstable();
            assert_eq!(tokens, (0..500).collect::<Vec<_>>());
        }
    }

    #[test]
    fn operations_at_a_files_own_position_all_complete_and_move_it() {
        for mut ring in rings() {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[7; 16 * 500]).unwrap();
            rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).unwrap();
            let shared = file.try_clone().unwrap();
            let file = Descriptor::own(file.into()).unwrap();
            for token in 0..500 {
                ring.push(token, read(&file, None));
            }
            let read: usize = (0..500).map(|_| wait(&mut ring).result.unwrap()).sum();
            assert_eq!(read, 16 * 500);
            assert_eq!(rustix::fs::tell(&shared).unwrap(), 16 * 500);
        }
    }

    #[test]
    fn what_threads_finish_while_the_ring_is_looked_at_wakes_the_loop() {
        for mut ring in rings() {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[7; 16]).unwrap();
            let file = Descriptor::own(file.into()).unwrap();
            let (mut pushed, mut popped) = (0, 0);
            while popped < 100_000 {
                while pushed < popped + 31 {
                    ring.push(pushed, read(&file, None));
                    pushed += 1;
                }
                wait(&mut ring);
                popped += 1;
                popped += std::iter::from_fn(|| ring.pop()).count() as u64;
            }
            ring.drain(Duration::from_secs(5));
        }
    }

    #[test]
    fn a_drained_ring_gives_everything_back_and_what_it_did_is_not_lost() {
        for mut ring in rings() {
            let (silent, _writer) = pipe();
            let (full, mut writer) = pipe();
            writer.write_all(b"kept").unwrap();
            ring.push(1, read(&silent, None));
            ring.push(2, read(&full, None));
            let mut ended = ring.drain(Duration::from_secs(5));
            ended.sort_by_key(|completion| completion.token);
            let [first, second] = ended.as_slice() else { panic!("{ended:?}") };
            assert!(first.result.is_err() && first.slot.is_some(), "{first:?}");
            let read = second.slot.as_ref().unwrap().filled();
            assert!(read == b"kept" || second.result.is_err(), "{second:?}");
            assert_eq!(ring.in_flight(), 0);
        }
    }

    #[test]
    fn a_cancelled_open_of_a_fifo_leaves_no_file() {
        let Some(mut ring) = rings().find(|ring| !ring.blocks_threads) else { return };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap();
        let path = CString::new(path.into_os_string().into_encoded_bytes()).unwrap();
        ring.push(1, Submission::Open { path, flags: OFlags::RDONLY, mode: Mode::empty() });
        ring.flush();
        ring.cancel(1);
        let done = wait(&mut ring);
        assert!(done.result.is_err() && done.opened.is_none(), "{done:?}");
    }

    #[test]
    fn an_open_that_completed_owns_its_file() {
        for mut ring in rings() {
            ring.push(
                1,
                Submission::Open { path: c"/dev/null".into(), flags: OFlags::RDWR, mode: Mode::empty() },
            );
            let opened = wait(&mut ring).opened.unwrap();
            assert!(rustix::io::fcntl_getfd(opened.as_fd()).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        }
    }
}
