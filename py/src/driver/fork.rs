//! What a forked child must leave alone.
//!
//! The child has one thread, no ring and no pool: touching the parent's ring is a fault. Everything
//! that belongs to one process carries the generation it was made in.
#![allow(unsafe_code, reason = "a lock that is held across fork")]

use super::pool;
use std::sync::atomic::{AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Forks behind us.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Takes the locks that another thread might hold while this one forks.
pub(crate) fn before_fork() {
    pool::hold();
}

/// Gives them back in the parent.
pub(crate) fn after_fork_in_parent() {
    // SAFETY: called by the thread that called `before_fork`, which holds the lock.
    unsafe { pool::release() }
}

/// Gives them back in the child, and starts its own generation.
pub(crate) fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // SAFETY: as in `after_fork_in_parent`; this is that thread, in its copy of the process.
    unsafe { pool::release() }
}
