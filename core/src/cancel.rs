//! Telling long work to stop.

use crate::error::{Error, Operation};
use std::{
    future::{Future, poll_fn},
    io,
    path::Path,
    pin::pin,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

/// A flag that long work looks at between two chunks, and that wakes it where it waits for a pipe.
///
/// Clones share the flag. Once set it stays set.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    cancelled: AtomicBool,
    state: Mutex<State>,
    /// A hold is gone, or the flag is set.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// One per task that waits.
    waiting: Vec<Waker>,
    /// Things that somebody must clean up before the process may end.
    holds: usize,
}

/// Something must be cleaned up before the process may end: see [`Cancel::wait_until_released`].
#[derive(Debug)]
pub(crate) struct Hold(Cancel);

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag and wakes whoever waits.
    pub fn cancel(&self) {
        let waiting = {
            let mut state = self.lock();
            self.shared.cancelled.store(true, Ordering::Release);
            self.shared.changed.notify_all();
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Acquire)
    }

    /// Lets this thread sleep for `duration`, or until the flag is set; says whether it is.
    pub(crate) fn wait(&self, duration: Duration) -> bool {
        let state = self.lock();
        let woken = self.shared.changed.wait_timeout_while(state, duration, |_| !self.is_cancelled());
        drop(woken.unwrap_or_else(PoisonError::into_inner));
        self.is_cancelled()
    }

    /// Waits until nothing is left that only this process would clean up, such as the temporary file
    /// of a copy. Nothing new appears after [`cancel`](Self::cancel).
    pub fn wait_until_released(&self) {
        let state = self.lock();
        let released = self.shared.changed.wait_while(state, |state| state.holds > 0);
        drop(released.unwrap_or_else(PoisonError::into_inner));
    }

    /// As [`wait_until_released`](Self::wait_until_released), but no longer than `limit`; says whether nothing is
    /// left.
    pub fn wait_until_released_for(&self, limit: Duration) -> bool {
        let state = self.lock();
        let waited = self.shared.changed.wait_timeout_while(state, limit, |state| state.holds > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.holds == 0
    }

    /// Announces something to clean up; `None` once the flag is set.
    pub(crate) fn hold(&self) -> Option<Hold> {
        let mut state = self.lock();
        if self.is_cancelled() {
            return None;
        }
        state.holds += 1;
        Some(Hold(self.clone()))
    }

    /// The output of `future`, or `None` if the flag is set before it is there.
    ///
    /// # Cancel safety
    ///
    /// That of `future`, which is dropped when the flag is set.
    pub(crate) async fn unless_cancelled<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            let mut state = self.lock();
            // Set since the look above: then its wakers have been taken already.
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is a single step, so a panic leaves nothing half done.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of work on `path` that was told to stop.
pub(crate) fn cancelled(operation: Operation, path: &Path) -> Error {
    Error::refused(operation, io::ErrorKind::Interrupted, "it was cancelled").with_path(path)
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.holds -= 1;
        self.0.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::{pending, ready},
        sync::atomic::AtomicUsize,
        task::{Context, Wake},
    };

    #[derive(Default)]
    struct CountingWaker(AtomicUsize);

    impl Wake for CountingWaker {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn setting_the_flag_wakes_a_waiting_task_once_and_ends_its_wait() {
        let cancel = Cancel::new();
        let count = Arc::new(CountingWaker::default());
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        let mut waiting = pin!(cancel.unless_cancelled(pending::<()>()));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        cancel.cancel();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(None));
    }

    #[test]
    fn what_is_ready_comes_through_until_the_flag_is_set() {
        let cancel = Cancel::new();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(pin!(cancel.unless_cancelled(ready(1))).poll(&mut context), Poll::Ready(Some(1)));
        cancel.cancel();
        assert_eq!(pin!(cancel.unless_cancelled(ready(1))).poll(&mut context), Poll::Ready(None));
    }

    #[test]
    fn a_sleeping_thread_wakes_when_the_flag_is_set() {
        let cancel = Cancel::new();
        assert!(!cancel.wait(Duration::ZERO));
        let sleeper = std::thread::spawn({
            let cancel = cancel.clone();
            move || cancel.wait(Duration::MAX)
        });
        cancel.cancel();
        assert!(sleeper.join().unwrap());
    }

    #[test]
    fn nothing_is_held_after_the_flag_is_set_and_waiting_ends_with_the_last_hold() {
        let cancel = Cancel::new();
        let hold = cancel.hold().unwrap();
        cancel.cancel();
        assert!(cancel.hold().is_none());
        let waiter = std::thread::spawn({
            let cancel = cancel.clone();
            move || cancel.wait_until_released()
        });
        assert!(!cancel.wait_until_released_for(Duration::from_millis(1)));
        drop(hold);
        waiter.join().unwrap();
        cancel.wait_until_released();
        assert!(cancel.wait_until_released_for(Duration::ZERO));
    }
}
