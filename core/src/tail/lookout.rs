//! The thread that watches the followed name, and opens what it leads to the moment it is seen.
//!
//! It never reads and never waits for output, so a generation is held open however long the reader
//! of the output pauses.

use super::{
    hints::{Hint, Hints},
    locality::is_local,
    route::Route,
    sightings::{Shared, Sighting},
    state::Identity,
    wait::{Waited, wait},
};
use crate::{engine::FileKind, limits::TAIL_POLL};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

/// How often files that are renamed while they are looked for are looked for again.
const MAX_TRIES: usize = 100;

/// Keeps an eye on one name.
#[derive(Debug)]
pub(super) struct Lookout {
    path: PathBuf,
    hints: Option<Hints>,
    route: Route,
    /// How often to look without a hint, where asked for.
    asked_poll: Option<Duration>,
    /// Whether a watch could not be set, and whether that was ever said.
    deaf: bool,
    deaf_said: bool,
    /// Files that the reader may still hold open; while it does, their identity is theirs.
    known: Vec<(Identity, Weak<OwnedFd>)>,
    last: Last,
}

/// Where the name led when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Nothing,
    File(Identity),
    Missing,
    Untailable,
}

impl Lookout {
    pub(super) fn new(path: &Path, asked_poll: Option<Duration>) -> Self {
        Self {
            path: path.to_path_buf(),
            hints: None,
            route: Route::default(),
            asked_poll,
            deaf: false,
            deaf_said: false,
            known: Vec::new(),
            last: Last::Nothing,
        }
    }

    /// The first look, with the watches set before it.
    pub(super) fn begin(&mut self, shared: &Shared) {
        self.arm_or_say(shared);
        let path = self.path.clone();
        let found = self.open(&path, true);
        self.report(found, shared);
        // What was renamed before was never followed: forget it.
        self.take_hints();
        self.route.forget_aliases();
        self.look(shared);
    }

    /// Looks until the run is stopped.
    pub(super) fn keep_looking(&mut self, shared: &Shared) {
        while !shared.is_stopped() {
            let waited = wait(&shared.lookout, self.hints.as_ref().map(AsFd::as_fd), None, self.poll());
            if waited == Waited::Input {
                self.take_hints();
            }
            if self.route.take_news() || waited == Waited::TimeOut {
                self.look(shared);
            }
        }
    }

    /// Looks until nothing is new.
    fn look(&mut self, shared: &Shared) {
        loop {
            self.arm_or_say(shared);
            self.look_once(shared);
            if !self.route.take_news() || shared.is_stopped() {
                return;
            }
        }
    }

    /// Reports what the name leads to, and what it led to since the last look, in that order.
    fn look_once(&mut self, shared: &Shared) {
        for found in self.find() {
            self.report(found, shared);
        }
    }

    /// What the name leads to, and what it led to since the last look, oldest first.
    fn find(&mut self) -> Vec<io::Result<Found>> {
        let path = self.path.clone();
        // Held from try to try: whatever was seen once may be deleted by now.
        let mut seen: Vec<io::Result<Found>> = Vec::new();
        for _ in 0..MAX_TRIES {
            let version = self.route.aliases_version();
            let own = self.open(&path, true);
            let others = self.route.aliases().into_iter().map(|alias| self.open(&alias, false)).collect();
            // Whatever lost the name before it led there has its hint in the queue by now. If the aliases
            // moved on meanwhile, what was opened may not be what was meant.
            self.take_hints();
            if self.route.aliases_version() == version {
                self.route.forget_aliases();
                seen.push(own);
                return in_order(seen, others);
            }
            seen.extend(matches!(own, Ok(Found::File(..))).then_some(own));
        }
        seen.push(self.open(&path, true));
        seen
    }

    fn take_hints(&mut self) {
        if let Some(hints) = &self.hints
            && hints.drain_all(|hint| self.route.take(&hint)).is_err()
        {
            self.route.take(&Hint::Lost);
        }
    }

    /// How often to look without a hint: never, where the kernel tells everything.
    fn poll(&self) -> Option<Duration> {
        let folder = || rustix::fs::open(self.route.folder(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let told = !self.deaf && folder().is_ok_and(is_local);
        self.asked_poll.or((!told).then_some(TAIL_POLL))
    }

    /// Sets the watches for where the name leads now.
    fn arm_or_say(&mut self, shared: &Shared) {
        let armed = self.arm();
        self.deaf = armed.is_err();
        if let Err(error) = armed
            && !std::mem::replace(&mut self.deaf_said, true)
        {
            shared.push(Sighting::Polling(error));
        }
    }

    fn arm(&mut self) -> io::Result<()> {
        let hints = match self.hints.take() {
            Some(hints) => hints,
            None => Hints::new()?,
        };
        self.route.arm(self.hints.insert(hints), &self.path)
    }

    /// Reports what was found, if that is news.
    fn report(&mut self, found: io::Result<Found>, shared: &Shared) {
        let (last, sighting) = match found {
            Ok(Found::Known(_)) => return,
            Ok(Found::File(file, identity)) => (Last::File(identity), Sighting::File { file, identity }),
            Ok(Found::Other(kind)) => (Last::Untailable, Sighting::Untailable(kind)),
            Err(error) => (Last::Missing, Sighting::Missing(error)),
        };
        if matches!(last, Last::File(_)) || last != self.last {
            self.last = last;
            shared.push(sighting);
        }
    }

    /// What `path` leads to. It is the followed name, or another name of a file that was under it.
    fn open(&mut self, path: &Path, own_name: bool) -> io::Result<Found> {
        let (identity, kind) = describe(&rustix::fs::stat(path)?);
        if kind != FileKind::Seekable {
            return Ok(Found::Other(kind));
        }
        self.known.retain(|(_, file)| file.strong_count() > 0);
        let known = self.known.iter().find(|(known, _)| *known == identity);
        if let Some(file) = known.and_then(|(_, file)| file.upgrade()) {
            let came_back = own_name && self.last != Last::File(identity);
            return Ok(if came_back { Found::File(file, identity) } else { Found::Known(identity) });
        }
        let file = open_to_read(path)?;
        // Another file may have taken its place since.
        let (identity, kind) = describe(&rustix::fs::fstat(&file)?);
        if kind != FileKind::Seekable {
            return Ok(Found::Other(kind));
        }
        let file = Arc::new(file);
        self.known.push((identity, Arc::downgrade(&file)));
        Ok(Found::File(file, identity))
    }
}

/// What a path leads to.
#[derive(Debug)]
enum Found {
    /// A file that the reader has, or will have.
    Known(Identity),
    /// A file that is news.
    File(Arc<OwnedFd>, Identity),
    Other(FileKind),
}

impl Found {
    fn identity(&self) -> Option<Identity> {
        match self {
            Self::Known(identity) | Self::File(_, identity) => Some(*identity),
            Self::Other(_) => None,
        }
    }
}

/// All files, oldest first: `seen` under the name itself, one after the other, the last of them what
/// the name leads to now; and `others`, which have left it, found by the names that they have now.
///
/// A file in both left the name after it was seen, and the others behind it had the name after it. One
/// that is only seen is gone: it came in front of the next that was seen.
fn in_order(seen: Vec<io::Result<Found>>, others: Vec<io::Result<Found>>) -> Vec<io::Result<Found>> {
    let identity = |found: &io::Result<Found>| found.as_ref().ok().and_then(Found::identity);
    let mut files: Vec<io::Result<Found>> =
        others.into_iter().filter(|other| identity(other).is_some()).collect();
    let mut next = files.len();
    for found in seen.into_iter().rev() {
        let own = identity(&found);
        let place = files.iter().position(|file| own.is_some() && identity(file) == own);
        match place.and_then(|place| files.get_mut(place)) {
            // A file that was found again is known the second time.
            Some(file) if matches!(found, Ok(Found::File(..))) => *file = found,
            Some(_) => {}
            None => files.insert(next, found),
        }
        next = place.unwrap_or(next);
    }
    files
}

/// Opens `path` without waiting for the other end of a FIFO, and without taking a terminal over.
pub(super) fn open_to_read(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?)
}

/// Identity and kind, as far as following goes: a block device has no end either.
pub(super) fn describe(stat: &Stat) -> (Identity, FileKind) {
    let identity = Identity { device: stat.st_dev, inode: stat.st_ino };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::Seekable,
        FileType::Directory => FileKind::Directory,
        FileType::Fifo | FileType::Socket => FileKind::Pollable,
        _ => FileKind::Device,
    };
    (identity, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(inode: u64) -> Found {
        Found::Known(Identity { device: 0, inode })
    }

    fn file(inode: u64) -> Option<Found> {
        let file = std::fs::File::open("/dev/null").ok()?;
        Some(Found::File(Arc::new(file.into()), Identity { device: 0, inode }))
    }

    /// Inodes; negative for files that are known, 0 for nothing.
    fn ordered(seen: Vec<Option<Found>>, others: Vec<Option<Found>>) -> Vec<i64> {
        let result = |found: Option<Found>| found.ok_or_else(|| io::ErrorKind::NotFound.into());
        let number = |found: io::Result<Found>| match found {
            Ok(Found::Known(identity)) => -identity.inode.cast_signed(),
            Ok(Found::File(_, identity)) => identity.inode.cast_signed(),
            Ok(Found::Other(_)) | Err(_) => 0,
        };
        let files =
            in_order(seen.into_iter().map(result).collect(), others.into_iter().map(result).collect());
        files.into_iter().map(number).collect()
    }

    #[test]
    fn files_that_left_the_name_come_in_front_of_what_it_leads_to() {
        assert_eq!(ordered(vec![file(3)], vec![Some(known(1)), file(2)]), [-1, 2, 3]);
        assert_eq!(ordered(vec![None], vec![file(1), None]), [1, 0]);
        assert_eq!(ordered(vec![Some(known(1))], vec![]), [-1]);
    }

    #[test]
    fn a_file_that_left_the_name_after_it_was_seen_keeps_its_place() {
        assert_eq!(ordered(vec![file(2)], vec![file(1), Some(known(2)), file(3)]), [1, 2, 3]);
        assert_eq!(ordered(vec![file(2), None], vec![file(1), Some(known(2)), file(3)]), [1, 2, 3, 0]);
    }

    #[test]
    fn a_file_that_was_seen_and_is_gone_comes_in_front_of_the_next() {
        assert_eq!(ordered(vec![file(1), file(2)], vec![]), [1, 2]);
        assert_eq!(ordered(vec![file(1), file(3), None], vec![file(2), Some(known(3))]), [2, 1, 3, 0]);
        assert_eq!(ordered(vec![file(1), Some(known(1))], vec![]), [1]);
    }
}
