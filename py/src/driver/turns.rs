//! How long a thread computes before another has its CPU.
#![allow(unsafe_code, reason = "system calls that no library has")]

use libc::{SCHED_BATCH, SCHED_OTHER, SYS_sched_getattr, SYS_sched_setattr, sched_attr, syscall};
use std::{marker::PhantomData, mem};

/// The turn of a thread that works on a large object, in nanoseconds: several times that of any thread
/// that has no wish of its own (some 3 ms).
const LONG_TURN_NANOS: u64 = 20_000_000;

/// While it lives, this thread has long turns, and any other thread that wakes up goes before it at once.
///
/// Without it a loop whose thread wakes up while every CPU computes for it waits for the end of
/// somebody's turn: with two reading threads on two CPUs it was held for a tick of the clock (4 ms) in
/// every second read of 256 MiB.
///
/// # Platform
///
/// Linux 6.12 and newer; elsewhere, and where it is forbidden, it does nothing.
///
/// # Source
///
/// `PREEMPT_SHORT` in Linux's `kernel/sched/features.h`; `sched_setattr(2)`.
pub(super) struct LongTurns {
    before: Option<sched_attr>,
    /// It is this thread's.
    not_send: PhantomData<*const ()>,
}

impl LongTurns {
    pub(super) fn begin() -> Self {
        let before = attributes().filter(|before| {
            // For any other policy the same number means something else.
            let shares_fairly = [SCHED_OTHER, SCHED_BATCH]
                .iter()
                .any(|&policy| u32::try_from(policy) == Ok(before.sched_policy));
            shares_fairly && set(&sched_attr { sched_runtime: LONG_TURN_NANOS, ..*before })
        });
        Self { before, not_send: PhantomData }
    }
}

impl Drop for LongTurns {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            set(before);
        }
    }
}

/// Policy, niceness and turn of this thread.
fn attributes() -> Option<sched_attr> {
    let mut attributes = sched_attr {
        size: 0,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel writes no more than the size that it is told, during the call.
    let failed =
        unsafe { syscall(SYS_sched_getattr, 0, &raw mut attributes, mem::size_of::<sched_attr>(), 0) };
    (failed == 0).then_some(attributes)
}

/// Returns whether the kernel took them.
fn set(attributes: &sched_attr) -> bool {
    // SAFETY: the kernel reads as many bytes as the structure says it has, during the call.
    unsafe { syscall(SYS_sched_setattr, 0, std::ptr::from_ref(attributes), 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_long_while_it_lives_and_as_before_after_it() {
        let told = |attributes: sched_attr| {
            (
                attributes.sched_policy,
                attributes.sched_nice,
                attributes.sched_priority,
                attributes.sched_runtime,
            )
        };
        let before = attributes().map(told);
        let long = LongTurns::begin();
        let during = attributes().map(told);
        drop(long);
        assert_eq!(attributes().map(told), before);
        // Older kernels know no turns, and tell of none.
        if let (Some((policy, nice, priority, turn @ 1..)), Some(during)) = (before, during) {
            assert_eq!(during, (policy, nice, priority, LONG_TURN_NANOS));
            assert!(turn < LONG_TURN_NANOS);
        }
    }
}
