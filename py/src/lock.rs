//! Locks that a fork does no harm to.
//!
//! A child inherits the lock words of its parent and none of the threads that hold them. Locks of
//! `parking_lot` also share a table of those who wait, for the whole process, which a child may find
//! locked for ever: so these are the standard library's, whose only state is their own. Whoever may meet
//! one that another thread held at the fork asks for the generation first ([`crate::driver::generation`]).

use std::sync;

pub(crate) use sync::MutexGuard;

/// As [`std::sync::Mutex`], without poison: what it guards stays valid whoever panics.
#[derive(Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(sync::PoisonError::into_inner)
    }

    /// `None` while somebody holds it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(sync::TryLockError::WouldBlock) => None,
        }
    }
}

/// As [`std::sync::Condvar`], without poison.
#[derive(Default)]
pub(crate) struct Condvar(sync::Condvar);

impl Condvar {
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(sync::PoisonError::into_inner)
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
