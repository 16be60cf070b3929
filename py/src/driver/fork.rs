//! What a forked child must leave alone.
//!
//! The child has one thread, no ring and no pool: touching the parent's ring is a fault. Everything
//! that belongs to one process carries the generation it was made in. No lock is held across a fork: the
//! interpreter lets other threads run while it calls the hooks of others, and one that waits for such a
//! lock would have the interpreter for ever. So the child looks at the generation before it waits for a
//! lock, and where it cannot know, it tries and does not wait:
//!
//! - the pool of threads and its queue, the reports of a driver, the pieces that are written behind, the
//!   lines of a follower: the child makes its own, and does not even free those of its parent;
//! - the state of a file: only threads with the interpreter lock it, but they may lose the interpreter to
//!   the one that forks; see `Core::lock`;
//! - unused buffers (`afx_core::buffer::Pool`): tried, and done without;
//! - operations, waiters, places in a queue: locked with the interpreter only, and never while anything
//!   runs that could give it up.
#![allow(unsafe_code, reason = "a function to be called in the child")]

use std::sync::{
    Once,
    atomic::{AtomicU64, Ordering},
};

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Forks behind us.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Has every child count as a generation of its own, before anything else runs in it.
pub(crate) fn count_forks() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the function only changes an atomic, which any child may do, and stays where it is:
        // modules with native code are never unloaded. It fails for want of memory only.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(after_fork_in_child)) };
    });
}

extern "C" fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
