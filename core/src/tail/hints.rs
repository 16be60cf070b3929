//! What the kernel says about changes: hints to look, never truth.
//!
//! inotify itself, on a thread of ours: masks that name exactly what matters wake nobody for a file
//! that is only opened or read, or for an append to a neighbour; see docs/decisions/0005.

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use std::{
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

/// What is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Bytes written to the file, or its length changed.
    Content,
    /// The file, directory or symlink itself getting another name, none, or another mode.
    Itself,
    /// Names appearing in the directory, leaving it, or changing their mode.
    Names,
}

/// A watched inode.
pub(super) type Watch = i32;

/// Something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint<'a> {
    /// The queue overflowed: anything may have happened.
    Lost,
    /// To the watched inode.
    Itself(Watch),
    /// To this name in the watched directory.
    Name { watch: Watch, name: &'a OsStr, moved: Moved },
}

/// Both ends of a rename carry the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    No,
    From(u32),
    To(u32),
    Removed,
}

/// A queue of hints, and what fills it.
#[derive(Debug)]
pub(super) struct Hints {
    queue: OwnedFd,
}

impl Hints {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { queue: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)? })
    }

    /// Watches what `path` leads to; for [`Interest::Itself`], a symlink and not its target.
    pub(super) fn watch(&self, path: &Path, interest: Interest) -> io::Result<Watch> {
        let flags = match interest {
            Interest::Content => WatchFlags::MODIFY,
            Interest::Itself => {
                WatchFlags::ATTRIB | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF | WatchFlags::DONT_FOLLOW
            }
            Interest::Names => {
                WatchFlags::CREATE
                    | WatchFlags::DELETE
                    | WatchFlags::MOVE
                    | WatchFlags::ATTRIB
                    | WatchFlags::ONLYDIR
            }
        };
        // One inode may be watched in two roles.
        Ok(inotify::add_watch(&self.queue, path, flags | WatchFlags::MASK_ADD)?)
    }

    pub(super) fn unwatch(&self, watch: Watch) {
        // The watch of a deleted file has gone by itself.
        let _ = inotify::remove_watch(&self.queue, watch);
    }

    /// All hints that have arrived, without waiting.
    pub(super) fn drain_all(&self, mut each: impl FnMut(Hint<'_>)) -> io::Result<()> {
        while self.drain(&mut each)? {}
        Ok(())
    }

    /// The hints that have arrived, as many as one buffer holds; false if there were none.
    pub(super) fn drain(&self, mut each: impl FnMut(Hint<'_>)) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.queue, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => hint(&event).into_iter().for_each(&mut each),
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if events.is_buffer_empty() {
                return Ok(true);
            }
        }
    }
}

fn hint<'a>(event: &'a inotify::Event<'_>) -> Option<Hint<'a>> {
    let happened = event.events();
    if happened.contains(ReadFlags::QUEUE_OVERFLOW) {
        return Some(Hint::Lost);
    }
    // Said once of every watch that is removed; what removed it was said before.
    if happened.contains(ReadFlags::IGNORED) {
        return None;
    }
    let Some(name) = event.file_name() else { return Some(Hint::Itself(event.wd())) };
    let moved = if happened.contains(ReadFlags::MOVED_FROM) {
        Moved::From(event.cookie())
    } else if happened.contains(ReadFlags::MOVED_TO) {
        Moved::To(event.cookie())
    } else if happened.contains(ReadFlags::DELETE) {
        Moved::Removed
    } else {
        Moved::No
    };
    Some(Hint::Name { watch: event.wd(), name: OsStr::from_bytes(name.to_bytes()), moved })
}

impl AsFd for Hints {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_of_the_queue_is_a_hint_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let hints = Hints::new().unwrap();
        hints.watch(folder.path(), Interest::Names).unwrap();
        let most = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, "").unwrap();
        for _ in 0..=most.trim().parse::<u32>().unwrap() / 4 {
            // Two hints each way.
            std::fs::rename(&a, &b).unwrap();
            std::fs::rename(&b, &a).unwrap();
        }
        let (mut lost, mut others) = (0, 0);
        hints.drain_all(|hint| if hint == Hint::Lost { lost += 1 } else { others += 1 }).unwrap();
        assert!(lost == 1 && others > 0, "{lost} {others}");
    }
}
