//! Threads for calls that wait. monoio's pool has no bound, and hands the results over in a way that is not safe
//! in 0.2.4 when nobody waits for them any more.

use crate::limits::MAX_BLOCKING_THREADS;
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long a thread waits for more before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// Something to call. It does not panic.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// What waits, and who.
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for a job, including those that were told of one and have not woken up yet.
    idle: usize,
    threads: usize,
}

static STATE: Mutex<State> = Mutex::new(State { jobs: VecDeque::new(), idle: 0, threads: 0 });
static CHANGED: Condvar = Condvar::new();

/// Calls `job` on a thread that has nothing else to do, at once unless [`MAX_BLOCKING_THREADS`] are busy: a job may wait
/// for what another one does. Where no thread can be had at all, it is called here.
pub(super) fn run(job: Job) {
    let mut state = lock();
    state.jobs.push_back(job);
    if state.jobs.len() <= state.idle {
        CHANGED.notify_one();
    } else if state.threads < MAX_BLOCKING_THREADS {
        state.threads += 1;
        if thread::Builder::new().name("afx-blocking".to_owned()).spawn(work).is_err() {
            state.threads -= 1;
            if state.threads == 0
                && let Some(job) = state.jobs.pop_back()
            {
                drop(state);
                job();
            }
        }
    }
}

fn work() {
    let mut state = lock();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            drop(state);
            job();
            state = lock();
            continue;
        }
        state.idle += 1;
        let (woken, waited) = CHANGED
            .wait_timeout_while(state, IDLE, |state| state.jobs.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if waited.timed_out() && state.jobs.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
