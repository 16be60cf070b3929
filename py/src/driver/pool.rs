//! Threads for what is long or has no completion of its own. They never attach to the interpreter.

use super::generation;
use flume::{Receiver, Sender, TrySendError};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// How long an unused thread stays.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// A pool that grows to its limit while all its threads are busy, and queues after that.
struct Pool {
    sender: Sender<Job>,
    receiver: Receiver<Job>,
    idle: AtomicUsize,
    threads: AtomicUsize,
    limit: usize,
    generation: u64,
}

/// The pool of this process; a forked child leaves its parent's alone and starts anew.
static POOL: Mutex<Option<Arc<Pool>>> = Mutex::new(None);

/// Runs `job` on a thread of the pool.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) {
    current().submit(Box::new(job));
}

/// Runs `job`, which may last as long as the process, on a thread of its own.
pub(crate) fn run_apart(name: &str, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(job).map(drop)
}

/// Threads that work at the same time when one job can be split: CPUs that this process may use.
pub(crate) fn parallelism() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn current() -> Arc<Pool> {
    let mut pool = POOL.lock();
    match &*pool {
        Some(pool) if pool.generation == generation() => pool.clone(),
        _ => {
            let fresh = Arc::new(Pool::new());
            // The old pool's threads do not exist in this process; its queue must not be freed either,
            // since a lock in it may have been held at the fork.
            std::mem::forget(pool.replace(fresh.clone()));
            fresh
        }
    }
}

impl Pool {
    fn new() -> Self {
        let (sender, receiver) = flume::unbounded();
        let limit = (parallelism() + 4).min(afx_core::limits::MAX_BLOCKING_THREADS);
        Self {
            sender,
            receiver,
            idle: AtomicUsize::new(0),
            threads: AtomicUsize::new(0),
            limit,
            generation: generation(),
        }
    }

    fn submit(self: &Arc<Self>, job: Job) {
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.sender.try_send(job) {
            return job();
        }
        if self.idle.load(Ordering::Acquire) < self.sender.len() {
            self.grow();
        }
    }

    fn grow(self: &Arc<Self>) {
        let counted = self.threads.fetch_update(Ordering::AcqRel, Ordering::Acquire, |threads| {
            (threads < self.limit).then_some(threads + 1)
        });
        let Ok(before) = counted else { return };
        let pool = self.clone();
        let started = thread::Builder::new().name("aiofile".to_owned()).spawn(move || pool.work());
        if started.is_err() {
            self.threads.fetch_sub(1, Ordering::AcqRel);
            // With no thread at all the job would wait for ever: do it here.
            if before == 0 {
                self.receiver.drain().for_each(|job| job());
            }
        }
    }

    fn work(&self) {
        loop {
            self.idle.fetch_add(1, Ordering::AcqRel);
            let job = self.receiver.recv_timeout(IDLE);
            self.idle.fetch_sub(1, Ordering::AcqRel);
            match job {
                Ok(job) => job(),
                Err(_) => break,
            }
        }
        self.threads.fetch_sub(1, Ordering::AcqRel);
        // A job sent between the time-out and the count would find nobody.
        while let Ok(job) = self.receiver.try_recv() {
            job();
        }
    }
}

/// Holds the pool's lock until [`release`].
pub(super) fn hold() {
    std::mem::forget(POOL.lock());
}

/// Ends [`hold`].
///
/// # Safety
///
/// This thread must be the one that called `hold`.
#[allow(unsafe_code, reason = "the other half of hold")]
pub(super) unsafe fn release() {
    // SAFETY: the lock is held, and its guard was forgotten, by the contract above.
    unsafe { POOL.force_unlock() }
}
