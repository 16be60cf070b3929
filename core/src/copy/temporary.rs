//! The file that takes the target's name when it is complete.

use super::resume::remove_journal;
use crate::{
    cancel::{Cancel, Hold},
    hash::{Algorithm, Hasher},
};
use rustix::{
    fs::{
        AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat, fchmod, flock, fstat, linkat,
        openat, renameat, renameat_with, statat, unlinkat,
    },
    io::{Errno, retry_on_intr},
};
use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::Arc,
};

/// Copies to one target that may be under way at once, each with a temporary file of its own.
const MAX_WRITERS: usize = 64;

/// Names that nobody has in a row, behind which no more are looked for: of so many copies at the same time that
/// died, all are found, whichever of them had ended before.
const MAX_GAP: usize = 8;

/// Digits of the target's digest in the name: short enough for any file system, long enough that two
/// targets of a directory share them by design only.
const NAME_DIGITS: usize = 16;

/// A locked file beside the target, removed when dropped unless it took the target's name.
///
/// Its name is derived from the target's, so that the next copy finds what a killed one left behind;
/// the lock says whether its writer still lives.
#[derive(Debug)]
pub(super) struct Temporary {
    directory: Arc<OwnedFd>,
    name: OsString,
    file: OwnedFd,
    /// Whether it still has its own name.
    is_beside: bool,
    /// Whether it stays when it does not become the target.
    is_partial: bool,
    /// The mode that the system gives a new file here, by the creation mask and the directory.
    created_mode: Mode,
    /// Given back after the file is gone.
    _hold: Hold,
}

/// Whether a temporary file got the name that it was to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// Somebody else has it.
    No,
}

/// Why there is no temporary file.
#[derive(Debug)]
pub(super) enum NoTemporary {
    Cancelled,
    System(Errno),
}

impl From<Errno> for NoTemporary {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

impl Temporary {
    /// Creates one for the target `name` in `directory`, open for reading and writing, and removes
    /// those that writers who died left there.
    ///
    /// `mode` is asked for as of any new file: what the system makes of it, by the creation mask or the
    /// directory's default access control list, is in [`created_mode`](Self::created_mode).
    pub(super) fn create(
        directory: &Arc<OwnedFd>,
        name: &OsStr,
        mode: Mode,
        cancel: &Cancel,
    ) -> Result<Self, NoTemporary> {
        let hold = cancel.hold().ok_or(NoTemporary::Cancelled)?;
        let mut names = names(name);
        let (name, file) = loop {
            let name = names.next().ok_or(Errno::BUSY)?;
            if let Some(file) = try_create(directory.as_fd(), &name, mode)? {
                break (name, file);
            }
        };
        let mut temporary = Self {
            directory: directory.clone(),
            name,
            file,
            is_beside: true,
            is_partial: false,
            created_mode: mode,
            _hold: hold,
        };
        let found = fstat(&temporary.file)?;
        temporary.created_mode = Mode::from_raw_mode(found.st_mode);
        // Others that died, behind this one's number.
        let mut gap = 0;
        while gap < MAX_GAP
            && let Some(name) = names.next()
        {
            let is_there = matches!(remove_stale(directory.as_fd(), &name), Ok(true));
            gap = if is_there { 0 } else { gap + 1 };
        }
        Ok(temporary)
    }

    /// The one for the target `name` that stays when the copy fails, with what is in it already.
    ///
    /// `EBUSY` while somebody else works on it; `EEXIST` if what has its name is not of our making: it would
    /// be written to, and be the target. One of our making belongs to one of `owners`.
    pub(super) fn create_partial(
        directory: &Arc<OwnedFd>,
        target: &OsStr,
        mode: Mode,
        owners: &[u32],
        cancel: &Cancel,
    ) -> Result<Self, NoTemporary> {
        let hold = cancel.hold().ok_or(NoTemporary::Cancelled)?;
        let name: OsString = format!(".afx-{}.partial", digits(target)).into();
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let (file, is_new) = match openat(directory, &name, flags | OFlags::CREATE | OFlags::EXCL, mode) {
            Err(Errno::EXIST) => match openat(directory, &name, flags, Mode::empty()) {
                // Whoever worked on it has just given it the target's name.
                Err(Errno::NOENT) => return Err(Errno::BUSY.into()),
                opened => (opened?, false),
            },
            created => (created?, true),
        };
        let found = fstat(&file)?;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        if !(is_new || (is_file && found.st_nlink <= 1 && owners.contains(&found.st_uid))) {
            return Err(Errno::EXIST.into());
        }
        if !(lock(&file)? && names_it(directory.as_fd(), &name, &found)) {
            return Err(Errno::BUSY.into());
        }
        let created_mode = if is_new {
            Mode::from_raw_mode(found.st_mode)
        } else {
            // It was made private, and no longer shows what a new file gets here.
            Self::create(directory, target, mode, cancel)?.created_mode()
        };
        let directory = directory.clone();
        Ok(Self { directory, name, file, is_beside: true, is_partial: true, created_mode, _hold: hold })
    }

    /// The directory that it is in.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Its own name.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// The name of what is remembered about a partial file.
    pub(super) fn journal_name(&self) -> OsString {
        let mut name = self.name.clone();
        name.push(".journal");
        name
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Keeps everybody else out until the file is complete.
    pub(super) fn make_private(&self) -> Result<(), Errno> {
        fchmod(&self.file, Mode::RUSR | Mode::WUSR)
    }

    /// What the system made of the mode that was asked for.
    pub(super) fn created_mode(&self) -> Mode {
        self.created_mode
    }

    /// Has nobody go on with it: what is in it is wrong.
    pub(super) fn discard(&mut self) {
        if std::mem::take(&mut self.is_partial) {
            // Without the journal nothing of the file is believed.
            let _ = remove_journal(self.directory.as_fd(), &self.journal_name());
        }
    }

    /// Gives it the target's name; what had that name is gone.
    pub(super) fn take_name(mut self, name: &OsStr) -> Result<(), Errno> {
        renameat(&self.directory, &self.name, &self.directory, name)?;
        self.left_its_name()
    }

    /// As [`take_name`](Self::take_name), unless somebody has that name.
    pub(super) fn take_free_name(mut self, name: &OsStr) -> Result<Taken, Errno> {
        let flags = RenameFlags::NOREPLACE;
        let renamed = match renameat_with(&self.directory, &self.name, &self.directory, name, flags) {
            // The file system knows no such flag; a link is never made over another name.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                linkat(&self.directory, &self.name, &self.directory, name, AtFlags::empty())
                    .and_then(|()| unlinkat(&self.directory, &self.name, AtFlags::empty()))
            }
            renamed => renamed,
        };
        match renamed {
            Ok(()) => self.left_its_name().map(|()| Taken::Yes),
            Err(Errno::EXIST) => Ok(Taken::No),
            Err(error) => Err(error),
        }
    }

    fn left_its_name(&mut self) -> Result<(), Errno> {
        self.is_beside = false;
        if self.is_partial { remove_journal(self.directory.as_fd(), &self.journal_name()) } else { Ok(()) }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_beside && !self.is_partial {
            // If this fails, the next copy to the same target removes it.
            let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
    }
}

/// The names for the target `name`, in the order in which they are tried.
fn names(name: &OsStr) -> impl Iterator<Item = OsString> + use<> {
    let digits = digits(name);
    (0..MAX_WRITERS).map(move |number| format!(".afx-{digits}.{number}").into())
}

fn digits(name: &OsStr) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(name.as_bytes());
    hasher.finish().to_string().chars().take(NAME_DIGITS).collect()
}

/// Creates and locks `name`; `None` if somebody else is at work there.
fn try_create(directory: BorrowedFd<'_>, name: &OsStr, mode: Mode) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, mode) {
        Err(Errno::EXIST) if remove_stale(directory, name)? => openat(directory, name, flags, mode),
        opened => opened,
    };
    let file = match file {
        Err(Errno::EXIST) => return Ok(None),
        opened => opened?,
    };
    // Between creation and lock, another copy may have taken it for stale and removed it.
    let found = fstat(&file)?;
    match lock(&file) {
        Ok(is_locked) => Ok((is_locked && names_it(directory, name, &found)).then_some(file)),
        Err(error) => {
            if names_it(directory, name, &found) {
                let _ = unlinkat(directory, name, AtFlags::empty());
            }
            Err(error)
        }
    }
}

/// Removes `name` if its writer is gone. Returns whether a file had that name; it stays if its writer
/// lives, or if it cannot be told.
fn remove_stale(directory: BorrowedFd<'_>, name: &OsStr) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(false),
        Err(_) => return Ok(true),
    };
    let is_stale = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    // It may have got the target's name since it was opened, and another file this one.
    if is_stale && names_it(directory, name, &fstat(&file)?) {
        unlinkat(directory, name, AtFlags::empty())?;
    }
    Ok(true)
}

/// Whether we have the lock. A file system without locks has no stale files either: nobody can tell.
fn lock(file: &OwnedFd) -> Result<bool, Errno> {
    // Where a server is asked, it is waited for.
    match retry_on_intr(|| flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK | Errno::NOSYS) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error),
    }
}

fn names_it(directory: BorrowedFd<'_>, name: &OsStr, file: &Stat) -> bool {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| super::target::is_same_file(&found, file))
}
