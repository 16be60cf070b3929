//! What the lookout has seen of the followed name and the reader has not taken up yet; and how the
//! two threads wake each other.

use super::state::Identity;
use crate::{engine::FileKind, limits::TAIL_GENERATIONS};
use rustix::event::{EventfdFlags, eventfd};
use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Where the name led when it was looked at.
#[derive(Debug)]
pub(super) enum Sighting {
    /// To this file, which is open from the moment it was seen.
    File { file: Arc<OwnedFd>, identity: Identity },
    /// To nothing that can be opened.
    Missing(io::Error),
    /// To something that has no end to follow.
    Untailable(FileKind),
    /// Changes of the name cannot be watched for, which is why it is looked at again and again.
    Polling(io::Error),
}

/// Wakes a thread that waits in `poll(2)`.
#[derive(Debug)]
pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(super) fn ring(&self) {
        // It fails only when it was rung 2⁶⁴ times and nobody looked: then it is ringing.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    pub(super) fn silence(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What reader, lookout and [`Stop`](super::Stop) handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) reader: Bell,
    pub(super) lookout: Bell,
    stopped: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Oldest first; at most [`TAIL_GENERATIONS`] of them hold a file open.
    sightings: VecDeque<Sighting>,
    /// Files dropped unread to keep to that.
    dropped: u64,
}

impl Shared {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            reader: Bell::new()?,
            lookout: Bell::new()?,
            stopped: AtomicBool::new(false),
            queue: Mutex::default(),
        })
    }

    /// Ends the run.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.reader.ring();
        self.lookout.ring();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Adds the newest sighting. The oldest file is given up when there are too many: following the
    /// name where it leads now matters more.
    pub(super) fn push(&self, sighting: Sighting) {
        let mut queue = self.lock();
        queue.sightings.push_back(sighting);
        let is_file = |sighting: &Sighting| matches!(sighting, Sighting::File { .. });
        if queue.sightings.iter().filter(|sighting| is_file(sighting)).count() > TAIL_GENERATIONS
            && let Some(oldest) = queue.sightings.iter().position(is_file)
        {
            queue.sightings.remove(oldest);
            queue.dropped += 1;
        }
        drop(queue);
        self.reader.ring();
    }

    /// The oldest sighting.
    pub(super) fn pop(&self) -> Option<Sighting> {
        self.lock().sightings.pop_front()
    }

    /// Files dropped unread since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing between lock and unlock can leave the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(inode: u64) -> Sighting {
        let file = Arc::new(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
        Sighting::File { file, identity: Identity { device: 0, inode } }
    }

    #[test]
    fn the_queue_of_generations_is_bounded_and_counts_what_it_drops() {
        let shared = Shared::new().unwrap();
        shared.push(Sighting::Missing(io::ErrorKind::NotFound.into()));
        for inode in 0..TAIL_GENERATIONS as u64 + 3 {
            shared.push(file(inode));
        }
        assert_eq!((shared.take_dropped(), shared.take_dropped()), (3, 0));
        assert!(matches!(shared.pop(), Some(Sighting::Missing(_))));
        let inodes: Vec<u64> = std::iter::from_fn(|| shared.pop())
            .map(|sighting| match sighting {
                Sighting::File { identity, .. } => identity.inode,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(inodes, (3..TAIL_GENERATIONS as u64 + 3).collect::<Vec<_>>());
    }
}
