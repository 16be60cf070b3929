//! Writing behind the program: half a buffer is on its way while the other half fills.
//!
//! Few file systems take a buffered write that promises not to wait, so writes run on other threads than
//! the loop's. Waited for, each of them costs a turn of the loop, which is many times what `io` pays for
//! a buffer of 8 KiB. Here the program goes on meanwhile. What is on its way and what is buffered are
//! together never more than the buffer may hold, so a killed process loses no more than it would with
//! `io`, and an error comes no later.
//!
//! Half a buffer is filled in 7 to 15 µs. A thread that sleeps takes longer than that to be at work again,
//! and whoever wakes it some µs; so the thread that has written a piece looks out for the next one, and who
//! finds no room looks whether there is some in a moment.

use super::steps::Steps;
use crate::{
    driver::{LoopHandle, generation, pool},
    lock::{Condvar, Mutex, MutexGuard},
};
use afx_core::{
    buffer::Chunk,
    engine::Descriptor,
    limits::{LOOK_OUT, LOOK_OUT_FOR_TASK, LOOK_OUT_PAUSE, ROOM_PATIENCE},
};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// What one file has on its way to the kernel, one write at a time.
#[derive(Default)]
pub(crate) struct Behind {
    /// Made with the first piece.
    line: Option<Arc<Line>>,
    /// Pieces went to wherever the file ended by then: nobody here knows where that was.
    pub(crate) moved: bool,
}

/// The pieces of one file that wait to be written, oldest first.
pub(crate) struct Line {
    queue: Mutex<Queue>,
    stopped: Condvar,
    /// Bytes of all pieces.
    pending: AtomicUsize,
    /// A write failed, and nobody was told so far.
    failed: AtomicBool,
    /// There is work for the thread that looks out for it.
    called: AtomicBool,
    /// The CPUs that the last piece was given on, and that one was written on.
    given_on: AtomicUsize,
    written_on: AtomicUsize,
    steps: Steps,
    /// Somebody has waited for room in vain since the last piece was given.
    was_slow: AtomicBool,
    /// Threads of another process, before a fork, write nothing here: they do it there.
    generation: u64,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    /// A thread is at work on this.
    running: bool,
    /// The thread that was is looking out for more, and need not be woken.
    looked_out_for: bool,
    /// When the last piece was written.
    idle_since: Option<Instant>,
    error: Option<io::Error>,
    when_stopped: Vec<Box<dyn FnOnce() + Send>>,
    /// Who waits until no more than so many bytes are on their way, or nobody works on them any more.
    when_at_most: Vec<(usize, Box<dyn FnOnce() + Send>)>,
    /// Memory of the program's that is not needed any more. It goes on the program's own threads.
    spent: Vec<Chunk>,
    /// Of the loop that gave some of it last.
    event_loop: Option<LoopHandle>,
    /// Threads that wait for the same; a condition that nobody waits for costs a system call, too.
    sleepers: usize,
}

/// Bytes, and where they go; to the file's own position if that is not said.
#[derive(Clone)]
pub(crate) struct Piece {
    pub(crate) file: Arc<Descriptor>,
    pub(crate) chunk: Chunk,
    pub(crate) offset: Option<u64>,
}

impl Behind {
    /// Bytes that the kernel does not have yet.
    pub(crate) fn pending(&self) -> usize {
        self.line().map_or(0, |line| line.pending.load(Ordering::Acquire))
    }

    /// Whether a write failed, and nobody was told.
    pub(crate) fn has_failed(&self) -> bool {
        self.line().is_some_and(|line| line.failed.load(Ordering::Acquire))
    }

    /// Whether the kernel has everything and it is known where.
    pub(crate) fn is_settled(&self) -> bool {
        !self.moved && self.pending() == 0
    }

    /// Puts a piece at the end of the line. None may have failed. Memory of the program's that nobody comes
    /// for is given back on `event_loop`.
    pub(crate) fn give(&mut self, piece: Piece, event_loop: Option<LoopHandle>) {
        self.moved |= piece.offset.is_none();
        if self.line().is_none() {
            self.forget();
        }
        let line = self.line.get_or_insert_with(Line::new);
        line.pending.fetch_add(piece.chunk.len(), Ordering::AcqRel);
        line.release();
        line.given_on.store(pool::cpu(), Ordering::Relaxed);
        line.was_slow.store(false, Ordering::Relaxed);
        let mut queue = line.queue.lock();
        queue.pieces.push_back(piece);
        queue.event_loop = event_loop.or(queue.event_loop.take());
        line.run(queue);
    }

    /// Lets go of memory of the program's that is written. With the interpreter attached.
    pub(crate) fn release(&self) {
        if let Some(line) = self.line() {
            line.release();
        }
    }

    /// Waits a moment, if that may do, until no more than `most` bytes are on their way. Whether it is so.
    pub(crate) fn await_room(&self, most: usize) -> bool {
        let Some(line) = self.line() else { return true };
        if line.was_slow.load(Ordering::Relaxed) || line.failed.load(Ordering::Acquire) {
            return false;
        }
        let has_ended =
            || line.pending.load(Ordering::Acquire) <= most || line.failed.load(Ordering::Acquire);
        // Where they share a CPU, the thread waits for us.
        let is_apart = line.written_on.load(Ordering::Relaxed) != pool::cpu();
        let came =
            is_apart && pool::await_briefly(ROOM_PATIENCE, has_ended) && !line.failed.load(Ordering::Acquire);
        line.was_slow.store(!came, Ordering::Relaxed);
        came
    }

    /// The error of the write that failed, once.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        let line = self.line()?;
        line.failed.store(false, Ordering::Release);
        line.queue.lock().error.take()
    }

    /// The line, if there is anything in it; what failed before is tried again.
    pub(crate) fn resumed(&self) -> Option<Arc<Line>> {
        let line = self.line().filter(|line| line.pending.load(Ordering::Acquire) > 0)?;
        line.run(line.queue.lock());
        Some(line.clone())
    }

    /// The line, if a thread is at work on it.
    pub(crate) fn running(&self) -> Option<Arc<Line>> {
        self.line().filter(|line| line.queue.lock().running).cloned()
    }

    /// Takes the line out, with what is in it.
    pub(crate) fn take(&mut self) -> Option<Arc<Line>> {
        if self.line().is_none() {
            self.forget();
        }
        self.moved = false;
        self.line.take()
    }

    fn line(&self) -> Option<&Arc<Line>> {
        self.line.as_ref().filter(|line| line.generation == generation())
    }

    /// A line of another process: its lock may have been held at the fork, so it is not even freed.
    fn forget(&mut self) {
        std::mem::forget(self.line.take());
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        if self.line().is_none() {
            self.forget();
        }
    }
}

impl Line {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            stopped: Condvar::default(),
            pending: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            called: AtomicBool::new(false),
            given_on: AtomicUsize::new(usize::MAX),
            written_on: AtomicUsize::new(usize::MAX),
            steps: Steps::default(),
            was_slow: AtomicBool::new(false),
            generation: generation(),
        })
    }

    /// Sees to it that a thread works on the line.
    fn run(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        if queue.running || queue.pieces.is_empty() {
            return;
        }
        queue.running = true;
        if queue.looked_out_for {
            self.called.store(true, Ordering::Release);
            return;
        }
        drop(queue);
        let line = self.clone();
        pool::run(move || line.work());
    }

    /// Writes what is in the line, and what comes soon after that.
    fn work(self: &Arc<Self>) {
        while let Some(limit) = self.write()
            && self.look_out(limit)
        {}
        self.leave_spent();
    }

    /// Has the loop let go of the program's memory, now that no piece comes for that.
    fn leave_spent(self: &Arc<Self>) {
        let queue = self.queue.lock();
        if !queue.spent.is_empty()
            && let Some(event_loop) = queue.event_loop.clone()
        {
            drop(queue);
            let line = self.clone();
            event_loop.call_soon(move || line.release());
        }
    }

    /// Writes pieces until there are none, or one fails. Returns how long the next is to be looked out for.
    fn write(&self) -> Option<Duration> {
        let mut queue = self.queue.lock();
        let is_soon = queue.idle_since.is_some_and(|since| since.elapsed() <= LOOK_OUT_PAUSE);
        while let Some(piece) = queue.pieces.front().cloned() {
            drop(queue);
            let result = self.steps.write(&piece.file, &piece.chunk, piece.offset);
            drop(piece);
            queue = self.queue.lock();
            match result {
                Ok(written) => {
                    self.count(&mut queue, written);
                    queue = self.wake_those_with_room(queue);
                }
                Err(error) => {
                    queue.error = Some(error);
                    self.failed.store(true, Ordering::Release);
                    break;
                }
            }
        }
        queue.running = false;
        queue.idle_since = Some(Instant::now());
        let cpu = pool::cpu();
        self.written_on.store(cpu, Ordering::Relaxed);
        // On the program's own CPU it would only be in the way; once asleep, it is woken on another.
        let is_apart = self.given_on.load(Ordering::Relaxed) != cpu;
        queue.looked_out_for = is_soon && is_apart && queue.error.is_none();
        let looks_out = queue.looked_out_for;
        let mut waiting = std::mem::take(&mut queue.when_stopped);
        waiting.extend(queue.when_at_most.drain(..).map(|(_, wake)| wake));
        let limit = if waiting.is_empty() { LOOK_OUT } else { LOOK_OUT_FOR_TASK };
        if queue.sleepers > 0 {
            self.stopped.notify_all();
        }
        drop(queue);
        for wake in waiting {
            wake();
        }
        looks_out.then_some(limit)
    }

    /// Looks out for the next piece. Whether one came; otherwise this thread is not counted on any more.
    fn look_out(self: &Arc<Self>, limit: Duration) -> bool {
        // Without the file, nothing comes any more.
        pool::look_out(limit, || self.called.load(Ordering::Acquire) || Arc::strong_count(self) == 1);
        let mut queue = self.queue.lock();
        queue.looked_out_for = false;
        self.called.store(false, Ordering::Relaxed);
        queue.running
    }

    /// Counts bytes of the first piece as the kernel's.
    fn count(&self, queue: &mut Queue, written: usize) {
        let Some(piece) = queue.pieces.front_mut() else { return };
        piece.chunk.advance(written.min(piece.chunk.len()));
        piece.offset = piece.offset.map(|offset| offset + written as u64);
        if piece.chunk.is_empty()
            && let Some(written) = queue.pieces.pop_front()
            && !written.chunk.is_ours()
        {
            queue.spent.push(written.chunk);
        }
        // Last: who sees that nothing is left may close the file.
        self.pending.fetch_sub(written, Ordering::AcqRel);
    }

    /// Wakes who waits for the room that there is by now.
    fn wake_those_with_room<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let pending = self.pending.load(Ordering::Acquire);
        let now = queue.when_at_most.extract_if(.., |(most, _)| pending <= *most);
        let now: Vec<_> = now.map(|(_, wake)| wake).collect();
        if now.is_empty() {
            return queue;
        }
        drop(queue);
        for wake in now {
            wake();
        }
        self.queue.lock()
    }

    /// Lets go of everything that is not written, the file with it. With the interpreter attached.
    pub(crate) fn clear(&self) {
        let pieces = std::mem::take(&mut self.queue.lock().pieces);
        drop(pieces);
        self.release();
    }

    /// Lets go of memory of the program's that is written. With the interpreter attached.
    pub(crate) fn release(&self) {
        let spent = std::mem::take(&mut self.queue.lock().spent);
        drop(spent);
    }

    /// Has `wake` called when no more than `most` bytes are on their way, or no thread works on them any
    /// more, which may be now.
    pub(crate) fn when_at_most(&self, most: usize, wake: Box<dyn FnOnce() + Send>) {
        let mut queue = self.queue.lock();
        if queue.running && self.pending.load(Ordering::Acquire) > most {
            queue.when_at_most.push((most, wake));
        } else {
            drop(queue);
            wake();
        }
    }

    /// Has `wake` called when no thread works on the line any more, which may be now.
    pub(crate) fn when_stopped(&self, wake: Box<dyn FnOnce() + Send>) {
        let mut queue = self.queue.lock();
        if queue.running {
            queue.when_stopped.push(wake);
        } else {
            drop(queue);
            wake();
        }
    }

    /// Waits until everything is written, or a write failed.
    ///
    /// # Errors
    ///
    /// That of the write; what it did not write is still in the line.
    pub(crate) fn finish(self: &Arc<Self>) -> io::Result<()> {
        self.run(self.queue.lock());
        let mut queue = self.queue.lock();
        while queue.running {
            queue.sleepers += 1;
            queue = self.stopped.wait(queue);
            queue.sleepers -= 1;
        }
        self.failed.store(false, Ordering::Release);
        queue.error.take().map_or(Ok(()), Err)
    }
}
