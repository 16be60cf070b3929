//! One target on its way: prepared, written to by others, completed, and given its name.

use super::{
    Source,
    attributes::Attributes,
    is_regular,
    options::{CopyOptions, Durability, Outcome, Overwrite, ReadBack, Skip, TargetReport, Writing},
    plan::{Existing, InPlace, Plan, plan},
    same_file,
    target::{self, Target},
    temporary::{NoTemporary, Taken, Temporary},
    verify::read_back,
};
use crate::{
    cancel::{Cancel, cancelled},
    engine::Engine,
    error::{Context, Error, Operation, Result},
    hash::Digest,
    source::open_cancellable,
};
use rustix::{
    fs::{AtFlags, Mode, OFlags, fchmod, fdatasync, fstat, fsync, ftruncate, openat, unlinkat},
    io::Errno,
    process::geteuid,
};
use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

/// A target that is being written.
#[derive(Debug)]
pub(super) struct Placing<'a> {
    /// The name in errors.
    pub(super) path: &'a Path,
    way: Way<'a>,
    is_regular: bool,
    verified: Option<ReadBack>,
}

#[derive(Debug)]
enum Way<'a> {
    /// In a new file beside it.
    Beside { target: &'a Target, temporary: Temporary, mode: Mode },
    /// In the target itself.
    InPlace { target: &'a Target, file: OwnedFd, reason: InPlace, fresh: Option<Fresh<'a>> },
    /// In a file that somebody else has open.
    Open { file: Arc<OwnedFd> },
}

/// A new file that is written in place: removed when dropped, unless something was written to it.
#[derive(Debug)]
struct Fresh<'a> {
    target: &'a Target,
    is_begun: Cell<bool>,
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if !self.is_begun.get() {
            let Target { place, .. } = self.target;
            let _ = unlinkat(&place.directory, &place.name, AtFlags::empty());
        }
    }
}

/// Whether a target is to be written, before anything is done to it.
pub(super) fn admit(target: &Target, source: &Source, options: &CopyOptions) -> Result<Option<Skip>> {
    let is_directory = matches!(target.existing, Existing::Directory);
    let Some(existing) = target.stat.filter(|_| !is_directory) else { return refuse_or_go(target) };
    let modified = |stat: &rustix::fs::Stat| (i128::from(stat.st_mtime), i128::from(stat.st_mtime_nsec));
    match options.overwrite {
        Overwrite::Never => return Ok(Some(Skip::Exists)),
        Overwrite::Older if modified(&existing) >= modified(&source.stat) => return Ok(Some(Skip::NotOlder)),
        _ => {}
    }
    refuse_or_go(target)
}

fn refuse_or_go(target: &Target) -> Result<Option<Skip>> {
    match plan(target.existing) {
        Plan::Refuse(errno) => Err(Error::new(Operation::Open, errno.into()).with_path(&target.path)),
        Plan::Replace | Plan::InPlace(_) => Ok(None),
    }
}

impl<'a> Placing<'a> {
    /// Makes ready to write `target`, and leaves its content alone.
    pub(super) fn prepare(target: &'a Target, source: &Source, options: &CopyOptions) -> Result<Self> {
        let reason = match (plan(target.existing), options.writing) {
            (_, Writing::InPlace) => Some(InPlace::Asked),
            (Plan::InPlace(reason), _) => Some(reason),
            _ => None,
        };
        match reason {
            Some(reason) => Self::in_place(target, source, options, reason),
            None => Self::beside(target, source, options),
        }
    }

    /// Writes to a file that is open.
    pub(super) fn open(file: &Arc<OwnedFd>, path: &'a Path, source: &Source) -> Result<Self> {
        let stat = fstat(file).operation(Operation::Stat, path)?;
        if is_regular(&stat) && target::is_same_file(&stat, &source.stat) {
            return Err(same_file(Operation::Copy, &source.path));
        }
        Ok(Self { path, way: Way::Open { file: file.clone() }, is_regular: false, verified: None })
    }

    fn beside(target: &'a Target, source: &Source, options: &CopyOptions) -> Result<Self> {
        let asked = Asked {
            new_mode: created_with(source, options),
            partial: options
                .resume
                .then_some(Partial { becomes: options.preserve.then_some(source.stat.st_uid) }),
            keeps_attributes: !options.preserve,
        };
        let (temporary, mode) = match new_file_for(target, &asked, &options.cancel) {
            Ok(made) => made,
            Err(NotBeside::Cancelled) => return Err(cancelled(Operation::Copy, &source.path)),
            Err(NotBeside::InPlace(reason)) => return Self::in_place(target, source, options, reason),
            Err(NotBeside::Failed(error)) => return Err(error),
        };
        let path = &target.path;
        let way = Way::Beside { target, temporary, mode };
        Ok(Self { path, way, is_regular: true, verified: None })
    }

    fn in_place(target: &'a Target, source: &Source, options: &CopyOptions, reason: InPlace) -> Result<Self> {
        let path = &target.path;
        check_in_place(target, options, reason)?;
        let file = open_in_place(target, source, options, reason)?;
        let is_fresh = target.stat.is_none();
        let fresh = is_fresh.then(|| Fresh { target, is_begun: Cell::new(false) });
        let opened = fstat(&file).operation(Operation::Stat, path)?;
        // It may have become the source since it was looked up, and truncating would empty both.
        if target::is_same_file(&opened, &source.stat) {
            return Err(same_file(Operation::Copy, &source.path));
        }
        let way = Way::InPlace { target, file, reason, fresh };
        Ok(Self { path, way, is_regular: is_regular(&opened), verified: None })
    }

    /// Empties a target that is written in place. From here on a failure leaves a part of the source in it.
    pub(super) fn begin(&self, options: &CopyOptions) -> Result<()> {
        let Way::InPlace { file, reason, fresh, .. } = &self.way else { return Ok(()) };
        if let Some(fresh) = fresh {
            fresh.is_begun.set(true);
        }
        if *reason != InPlace::Asked
            && let Some(tell) = &options.on_in_place
        {
            tell(self.path, *reason);
        }
        if self.is_regular { ftruncate(file, 0).operation(Operation::Truncate, self.path) } else { Ok(()) }
    }

    /// The file to write to.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        match &self.way {
            Way::Beside { temporary, .. } => temporary.file(),
            Way::InPlace { file, .. } => file.as_fd(),
            Way::Open { file } => file.as_fd(),
        }
    }

    /// Whether it is a regular file of which everything is written.
    pub(super) fn is_regular(&self) -> bool {
        self.is_regular
    }

    /// Whether it is somebody else's open file.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.way, Way::Open { .. })
    }

    /// The partial file, if the copy may be resumed.
    pub(super) fn temporary(&self) -> Option<&Temporary> {
        match &self.way {
            Way::Beside { temporary, .. } => Some(temporary),
            _ => None,
        }
    }

    /// Whether it is new, so that nothing of it can be shared yet.
    pub(super) fn is_beside(&self) -> bool {
        matches!(self.way, Way::Beside { .. })
    }

    /// Makes the written file what it is to be, all but its name.
    pub(super) fn complete<E: Engine>(
        &mut self,
        source: &Source,
        expected: Option<&Digest>,
        options: &CopyOptions,
    ) -> Result<()> {
        // Before the attributes: its mode may forbid to read it, and reading changes the time of the last.
        if let Some(expected) = expected.filter(|_| options.verify && self.is_regular) {
            self.sync(Durability::Data)?;
            let verified = read_back::<E>(self.file(), self.path, expected, options);
            if let (Way::Beside { temporary, .. }, Err(error)) = (&mut self.way, &verified)
                && error.kind() == io::ErrorKind::InvalidData
            {
                temporary.discard();
            }
            self.verified = Some(verified?);
        }
        self.set_attributes(source, options)?;
        self.sync(options.durability)
    }

    fn set_attributes(&self, source: &Source, options: &CopyOptions) -> Result<()> {
        let metadata = |result: Result<(), Errno>| result.operation(Operation::SetMetadata, self.path);
        if options.preserve && self.is_regular {
            return metadata(
                source.attributes().and_then(|found| found.preserve_on(self.file(), &source.stat)),
            );
        }
        match &self.way {
            Way::Beside { temporary, mode, .. } => metadata(fchmod(temporary.file(), *mode)),
            Way::InPlace { .. } | Way::Open { .. } => Ok(()),
        }
    }

    fn sync(&self, durability: Durability) -> Result<()> {
        let synced = match durability {
            Durability::None => return Ok(()),
            Durability::Data => fdatasync(self.file()),
            Durability::Full => fsync(self.file()),
        };
        match synced {
            // A pipe or a terminal, which keeps nothing.
            Err(Errno::INVAL) if !self.is_regular => Ok(()),
            synced => synced.operation(Operation::Sync, self.path),
        }
    }

    /// Gives a new file the target's name.
    pub(super) fn commit(self, options: &CopyOptions) -> Result<TargetReport> {
        let Self { path, way, verified, .. } = self;
        let outcome = match way {
            Way::Open { .. } => Outcome::Streamed,
            Way::InPlace { target, reason, .. } => {
                // A new one has a new name.
                if options.durability == Durability::Full && target.stat.is_none() {
                    target.place.sync().operation(Operation::Sync, path)?;
                }
                Outcome::InPlace(reason)
            }
            Way::Beside { target, temporary, .. } => {
                let taken = if options.overwrite == Overwrite::Never {
                    temporary.take_free_name(&target.place.name)
                } else {
                    temporary.take_name(&target.place.name).map(|()| Taken::Yes)
                };
                if taken.operation(Operation::Rename, path)? == Taken::No {
                    Outcome::Skipped(Skip::Exists)
                } else {
                    if options.durability == Durability::Full {
                        target.place.sync().operation(Operation::Sync, path)?;
                    }
                    Outcome::Replaced
                }
            }
        };
        Ok(TargetReport { path: path.to_path_buf(), outcome, verified })
    }
}

/// Refuses what cannot be done where the target itself is written to, with kind `Unsupported`: it is the file
/// that does not allow it.
pub(super) fn check_in_place(target: &Target, options: &CopyOptions, reason: InPlace) -> Result<()> {
    let why = if options.writing == Writing::Atomic {
        format!("it cannot be replaced in one step: {reason}")
    } else if options.resume {
        format!("a copy to it cannot be resumed, for it is written in place: {reason}")
    } else if options.verify && target.stat.is_some_and(|stat| !is_regular(&stat)) {
        "it is not a regular file, and cannot be read back to verify it".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::refused(Operation::Copy, io::ErrorKind::Unsupported, why).with_path(&target.path))
}

/// What a new file beside a target is to be.
pub(super) struct Asked {
    /// The mode that is asked for where the target is missing.
    pub(super) new_mode: Mode,
    /// It stays when it does not become the target.
    pub(super) partial: Option<Partial>,
    /// It gets the owner and the attributes of the target.
    pub(super) keeps_attributes: bool,
}

/// A new file that stays when it does not become the target.
pub(super) struct Partial {
    /// The user who gets it when it is complete, if not the target's: an earlier copy may have come so far.
    pub(super) becomes: Option<u32>,
}

/// Why there is no new file beside a target.
pub(super) enum NotBeside {
    Cancelled,
    /// The target itself is to be written to.
    InPlace(InPlace),
    Failed(Error),
}

/// A new file that is to take the name of `target`, nobody else's until then, and the mode that it ends with.
pub(super) fn new_file_for(
    target: &Target,
    asked: &Asked,
    cancel: &Cancel,
) -> Result<(Temporary, Mode), NotBeside> {
    let kept = kept_attributes(target).map_err(|_| NotBeside::InPlace(InPlace::Attributes))?;
    let asked_mode = if kept.is_some() { Mode::RUSR | Mode::WUSR } else { asked.new_mode };
    let Target { place, path, .. } = target;
    let temporary = match &asked.partial {
        Some(partial) => {
            // Anybody else could go on writing to what becomes the target.
            let mut owners = vec![geteuid().as_raw()];
            owners.extend(partial.becomes);
            owners.extend(target.stat.map(|stat| stat.st_uid));
            Temporary::create_partial(&place.directory, &place.name, asked_mode, &owners, cancel)
        }
        None => Temporary::create(&place.directory, &place.name, asked_mode, cancel),
    };
    let temporary = temporary.map_err(|none| match none {
        NoTemporary::Cancelled => NotBeside::Cancelled,
        // Some file systems, sysfs for one, take no new names, whatever the permissions say.
        NoTemporary::System(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NOTSUP) if kept.is_some() => {
            NotBeside::InPlace(InPlace::Directory)
        }
        NoTemporary::System(errno) => {
            NotBeside::Failed(Error::new(Operation::Open, errno.into()).with_path(path))
        }
    })?;
    if let Some(kept) = &kept
        && asked.keeps_attributes
        && kept.give_to(temporary.file()).is_err()
    {
        return Err(NotBeside::InPlace(InPlace::Attributes));
    }
    // While it was open to others, if it was, it was so for those only whom the mode that it ends
    // with allows as much.
    temporary.make_private().operation(Operation::SetMetadata, path).map_err(NotBeside::Failed)?;
    let mode = kept.map_or(temporary.created_mode(), |kept| kept.mode());
    Ok((temporary, mode))
}

/// The mode that a new target is created with. Where it is to get the source's owner, nobody else has it before:
/// the group and the others of the source's mode are not those of the file that is being written.
fn created_with(source: &Source, options: &CopyOptions) -> Mode {
    if options.preserve { Mode::RUSR | Mode::WUSR } else { source.permissions() }
}

/// What an existing target keeps.
fn kept_attributes(target: &Target) -> Result<Option<Attributes>, Errno> {
    target.stat.as_ref().map(|stat| Attributes::of(&target.place.path(), stat)).transpose()
}

fn open_in_place(
    target: &Target,
    source: &Source,
    options: &CopyOptions,
    reason: InPlace,
) -> Result<OwnedFd> {
    let Target { place, path, .. } = target;
    if reason == InPlace::Special || target.stat.is_some_and(|stat| !is_regular(&stat)) {
        return open_cancellable(path, OFlags::WRONLY, &options.cancel);
    }
    let mut flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if target.stat.is_none() {
        flags |= OFlags::CREATE | OFlags::EXCL;
    }
    if options.verify {
        // It is read back through the same open file.
        flags = (flags - OFlags::WRONLY) | OFlags::RDWR;
    }
    openat(&place.directory, &place.name, flags, created_with(source, options))
        .operation(Operation::Open, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_new_file_that_gets_the_sources_owner_is_nobody_elses_from_the_first_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source");
        fs::write(&path, "new").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        for writing in [Writing::Auto, Writing::InPlace] {
            let options = CopyOptions { preserve: true, writing, ..CopyOptions::default() };
            let source = Source::open(&path.clone().into(), &options).unwrap();
            let target = Target::look_up(&folder.path().join("target")).unwrap();
            let placing = Placing::prepare(&target, &source, &options).unwrap();
            let created = placing.temporary().map(Temporary::created_mode);
            let now = Mode::from_raw_mode(fstat(placing.file()).unwrap().st_mode);
            assert_eq!((created.unwrap_or(now), now), (Mode::RUSR | Mode::WUSR, Mode::RUSR | Mode::WUSR));
        }
    }
}
