//! Waiting for whatever comes first: a bell, a hint, the end of the output's reader, a time.

use super::sightings::Bell;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

/// What came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The bell rang; it is silent again.
    Bell,
    /// Hints, or bytes to read, have arrived.
    Input,
    /// Nobody reads the output any more.
    OutputClosed,
    /// The time is over, or a signal came.
    TimeOut,
}

/// Waits until `bell` rings, `input` has something to read, nobody reads `output` any more, or `time`
/// is over.
pub(super) fn wait(
    bell: &Bell,
    input: Option<BorrowedFd<'_>>,
    output: Option<BorrowedFd<'_>>,
    time: Option<Duration>,
) -> Waited {
    // The bell stands in for what is not there. An entry that asks for no flags is told of errors and
    // hang-ups only.
    let mut entries = [
        PollFd::new(bell, PollFlags::IN),
        PollFd::from_borrowed_fd(input.unwrap_or_else(|| bell.as_fd()), PollFlags::IN),
        PollFd::from_borrowed_fd(output.unwrap_or_else(|| bell.as_fd()), PollFlags::empty()),
    ];
    let limit = time.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    });
    // It fails for a signal, or for want of memory: then the caller looks for itself.
    if poll(&mut entries, limit.as_ref()).unwrap_or(0) == 0 {
        return Waited::TimeOut;
    }
    let [bell_rings, _, output_ended] = entries.map(|entry| !entry.revents().is_empty());
    if output.is_some() && output_ended {
        Waited::OutputClosed
    } else if bell_rings {
        bell.silence();
        Waited::Bell
    } else {
        Waited::Input
    }
}
