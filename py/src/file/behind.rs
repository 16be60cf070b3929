//! Writing behind the program: half a buffer is on its way while the other half fills.
//!
//! Few file systems take a buffered write that promises not to wait, so writes run on other threads than
//! the loop's. Waited for, each of them costs a turn of the loop, which is many times what `io` pays for
//! a buffer of 8 KiB. Here the program goes on meanwhile. What is on its way and what is buffered are
//! together never more than the buffer may hold, so a killed process loses no more than it would with
//! `io`, and an error comes no later.

use super::Core;
use crate::{
    driver::{generation, pool},
    lock::{Condvar, Mutex, MutexGuard},
};
use afx_core::{buffer::Chunk, engine::Descriptor};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
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
    /// Threads of another process, before a fork, write nothing here: they do it there.
    generation: u64,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    /// A thread is at work on this.
    running: bool,
    error: Option<io::Error>,
    when_stopped: Vec<Box<dyn FnOnce() + Send>>,
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

    /// Puts a piece at the end of the line. None may have failed.
    pub(crate) fn give(&mut self, piece: Piece) {
        self.moved |= piece.offset.is_none();
        if self.line().is_none() {
            self.forget();
        }
        let line = self.line.get_or_insert_with(Line::new);
        line.pending.fetch_add(piece.chunk.len(), Ordering::AcqRel);
        let mut queue = line.queue.lock();
        queue.pieces.push_back(piece);
        line.run(queue);
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
            generation: generation(),
        })
    }

    /// Sees to it that a thread works on the line.
    fn run(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        if queue.running || queue.pieces.is_empty() {
            return;
        }
        queue.running = true;
        drop(queue);
        let line = self.clone();
        pool::run(move || line.work());
    }

    /// Writes pieces until there are none, or one fails.
    fn work(&self) {
        let mut queue = self.queue.lock();
        while let Some(piece) = queue.pieces.front().cloned() {
            drop(queue);
            let result = piece.file.write_chunk_blocking(&piece.chunk, piece.offset);
            let result = Core::written(result, piece.chunk.len());
            drop(piece);
            queue = self.queue.lock();
            match result {
                Ok(written) => self.count(&mut queue, written),
                Err(error) => {
                    queue.error = Some(error);
                    self.failed.store(true, Ordering::Release);
                    break;
                }
            }
        }
        queue.running = false;
        let waiting = std::mem::take(&mut queue.when_stopped);
        drop(queue);
        self.stopped.notify_all();
        for wake in waiting {
            wake();
        }
    }

    /// Counts bytes of the first piece as the kernel's.
    fn count(&self, queue: &mut Queue, written: usize) {
        let Some(piece) = queue.pieces.front_mut() else { return };
        piece.chunk.advance(written.min(piece.chunk.len()));
        piece.offset = piece.offset.map(|offset| offset + written as u64);
        if piece.chunk.is_empty() {
            queue.pieces.pop_front();
        }
        // Last: who sees that nothing is left may close the file.
        self.pending.fetch_sub(written, Ordering::AcqRel);
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
            queue = self.stopped.wait(queue);
        }
        self.failed.store(false, Ordering::Release);
        queue.error.take().map_or(Ok(()), Err)
    }
}
