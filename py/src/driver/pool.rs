//! Threads for what is long or has no completion of its own. They never attach to the interpreter.
#![allow(unsafe_code, reason = "a pool that is found without a lock")]

use super::{generation, turns::LongTurns};
use crate::lock::Mutex;
use afx_core::limits::{LOOK_OUT_FOR_TASK, LOOK_OUT_PAUSE};
use flume::{Receiver, Sender, TrySendError};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long an unused thread stays.
const IDLE: Duration = Duration::from_secs(10);

/// Looks between two of the clock: some 0.5 µs.
const LOOKS_PER_CLOCK: usize = 16;

type Job = Box<dyn FnOnce() + Send>;

/// A pool that grows to its limit while all its threads are busy, and queues after that.
struct Pool {
    sender: Sender<Job>,
    receiver: Receiver<Job>,
    /// Jobs that have not ended, those in the queue with them.
    jobs: AtomicUsize,
    threads: AtomicUsize,
    limit: usize,
    /// CPUs that this process may use, when the pool was made.
    cpus: usize,
    /// Threads that look out for what is coming.
    lookouts: AtomicUsize,
    generation: u64,
}

/// The pool of this process, or of the parent that it was forked from. Pools are never freed, and so no
/// lock guards this: a fork would have to wait for it.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

/// Runs `job` on a thread of the pool.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) {
    current().submit(Box::new(job));
}

/// Runs `job`, which may last as long as the process, on a thread of its own.
pub(crate) fn run_apart(name: &str, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(job).map(drop)
}

/// Does both, at the same time where another thread can be had. Neither keeps a loop from its CPU.
pub(crate) fn both<A, B: Send>(first: impl FnOnce() -> A, second: impl FnOnce() -> B + Send) -> (A, B) {
    let second = Mutex::new(Some(second));
    let take = || {
        let second = second.lock().take();
        second.map(|second| second())
    };
    let _turns = LongTurns::begin();
    thread::scope(|scope| {
        let there = thread::Builder::new().name("aiofile".to_owned()).spawn_scoped(scope, || {
            let _turns = LongTurns::begin();
            take()
        });
        let first = first();
        let second = match there {
            Ok(there) => there.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => take(),
        };
        match second {
            Some(second) => (first, second),
            None => unreachable!("taken once, on either thread"),
        }
    })
}

/// Threads that work at the same time when one job can be split: CPUs that this process may use.
pub(crate) fn parallelism() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Has this thread, which is one of the pool's, look whether something `came` before it may sleep: for as
/// long as `limit` at the most, and only while there are a CPU and a thread for everybody else.
pub(crate) fn look_out(limit: Duration, came: impl Fn() -> bool) {
    current().look_out(limit, came);
}

/// Has this thread wait a moment for one of the pool's: whether it `came`. Not where they share a CPU.
pub(crate) fn await_briefly(limit: Duration, came: impl Fn() -> bool) -> bool {
    current().cpus > 1 && spin(limit, came, || ())
}

/// The CPU that this thread runs on just now.
pub(crate) fn cpu() -> usize {
    // SAFETY: a call without arguments. Where it is not known, all are on the same.
    usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0)
}

/// Looks whether something `came`, again and again; `between` is done every now and then.
fn spin(limit: Duration, came: impl Fn() -> bool, between: impl Fn()) -> bool {
    let begun = Instant::now();
    loop {
        for _ in 0..LOOKS_PER_CLOCK {
            if came() {
                return true;
            }
            std::hint::spin_loop();
        }
        if begun.elapsed() >= limit {
            return false;
        }
        between();
    }
}

fn current() -> &'static Pool {
    let known = POOL.load(Ordering::Acquire);
    // SAFETY: null, or a pool that was published below and is never freed.
    match unsafe { known.as_ref() } {
        Some(pool) if pool.generation == generation() => pool,
        _ => start_anew(known),
    }
}

/// The first pool of this process. One of its parent is left as it is: the threads do not exist here, and
/// a lock in its queue may have been held at the fork.
fn start_anew(known: *mut Pool) -> &'static Pool {
    let fresh = Box::into_raw(Box::new(Pool::new()));
    match POOL.compare_exchange(known, fresh, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: a pool of our making, which nobody frees from here on.
        Ok(_) => unsafe { &*fresh },
        Err(published) => {
            // SAFETY: not published, so nobody else has ever seen it.
            drop(unsafe { Box::from_raw(fresh) });
            // SAFETY: another thread published it just now, and it is never freed.
            unsafe { &*published }
        }
    }
}

impl Pool {
    fn new() -> Self {
        let (sender, receiver) = flume::unbounded();
        let cpus = parallelism();
        let limit = (cpus + 4).min(afx_core::limits::MAX_BLOCKING_THREADS);
        Self {
            sender,
            receiver,
            jobs: AtomicUsize::new(0),
            threads: AtomicUsize::new(0),
            limit,
            cpus,
            lookouts: AtomicUsize::new(0),
            generation: generation(),
        }
    }

    fn look_out(&self, limit: Duration, came: impl Fn() -> bool) {
        // One CPU is the program's.
        if self.lookouts.fetch_add(1, Ordering::AcqRel) + 1 < self.cpus {
            // Whoever else wants this CPU has it: the program itself, where the others are busy.
            spin(limit, || came() || !self.receiver.is_empty(), thread::yield_now);
        }
        self.lookouts.fetch_sub(1, Ordering::AcqRel);
    }

    fn submit(&'static self, job: Job) {
        let jobs = self.jobs.fetch_add(1, Ordering::AcqRel) + 1;
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.sender.try_send(job) {
            return self.run(job);
        }
        // A thread that sleeps may have been given a job and not know it yet: jobs are counted, not sleepers.
        if jobs > self.threads.load(Ordering::Acquire) {
            self.grow();
        }
    }

    fn grow(&'static self) {
        let counted = self.threads.fetch_update(Ordering::AcqRel, Ordering::Acquire, |threads| {
            (threads < self.limit).then_some(threads + 1)
        });
        let Ok(before) = counted else { return };
        let started = thread::Builder::new().name("aiofile".to_owned()).spawn(|| self.work());
        if started.is_err() {
            self.threads.fetch_sub(1, Ordering::AcqRel);
            // With no thread at all the job would wait for ever: do it here.
            if before == 0 {
                self.receiver.drain().for_each(|job| self.run(job));
            }
        }
    }

    /// Runs a job; one that panics takes no thread with it.
    fn run(&self, job: Job) {
        // What it worked on is gone with it; the panic was reported.
        drop(catch_unwind(AssertUnwindSafe(job)));
        self.jobs.fetch_sub(1, Ordering::AcqRel);
    }

    fn work(&self) {
        let mut idle_since: Option<Instant> = None;
        while let Ok(job) = self.receiver.recv_timeout(IDLE) {
            let is_soon = idle_since.is_some_and(|since| since.elapsed() <= LOOK_OUT_PAUSE);
            self.run(job);
            idle_since = Some(Instant::now());
            if is_soon {
                self.look_out(LOOK_OUT_FOR_TASK, || false);
            }
        }
        self.threads.fetch_sub(1, Ordering::AcqRel);
        // A job sent between the time-out and the count would find nobody.
        while let Ok(job) = self.receiver.try_recv() {
            self.run(job);
        }
    }
}
