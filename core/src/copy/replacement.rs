//! A file that a program writes, and that takes a name when it is complete.

use super::{
    CopyOptions, Durability, End, copy,
    placing::{Asked, NotBeside, new_file_for},
    plan::{InPlace, Plan, plan},
    target::Target,
    temporary::{NoTemporary, Taken, Temporary},
};
use crate::{
    cancel::{Cancel, cancelled},
    engine::Engine,
    error::{Context, Error, Operation, Result},
};
use rustix::{
    fs::{Mode, OFlags, SeekFrom, fchmod, fdatasync, fsync, open, seek},
    io::Errno,
};
use std::{
    env, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

/// How a [`Replacement`] is made.
#[derive(Clone, Debug, Default)]
pub struct ReplacementOptions {
    /// Fail where the name is taken, now or when the file is complete.
    pub is_new: bool,
    /// Write to the target itself, when everything is there, where a new file would break something.
    pub in_place: bool,
    /// Set to stop; the old target stays, the new file goes.
    pub cancel: Cancel,
}

/// A new file beside a target, which takes its name with [`commit`](Self::commit) and is gone when dropped.
///
/// What is kept of the old target, and what a rename would break, is as with [`copy`](super::copy()).
#[derive(Debug)]
pub struct Replacement {
    target: Target,
    way: Way,
    options: ReplacementOptions,
}

#[derive(Debug)]
enum Way {
    Beside {
        temporary: Temporary,
        mode: Mode,
    },
    /// In a file without a name, to be copied to the target.
    Spooled {
        file: Arc<OwnedFd>,
    },
}

impl Replacement {
    /// Makes a new, empty file for the name `path`, and removes those that writers who died left there.
    ///
    /// # Errors
    ///
    /// `EISDIR` for a directory, `EEXIST` where the name is taken and was to be new, and what else stands
    /// against writing to the target or beside it. Kind `Unsupported` where a new file would break something
    /// (see [`InPlace`]) and the target may not be written [`in_place`](ReplacementOptions::in_place); kind
    /// `Interrupted` once the cancel flag is set.
    pub fn begin(path: &Path, options: ReplacementOptions) -> Result<Self> {
        let target = Target::look_up(path)?;
        if options.is_new && target.stat.is_some() {
            return Err(Errno::EXIST).operation(Operation::Open, path);
        }
        let way = match plan(target.existing) {
            Plan::Refuse(errno) => return Err(errno).operation(Operation::Open, path),
            Plan::InPlace(reason) => spooled(path, reason, &options)?,
            Plan::Replace => beside(&target, &options)?,
        };
        Ok(Self { target, way, options })
    }

    /// The file to write to, which can be read and sought in as well.
    pub fn file(&self) -> BorrowedFd<'_> {
        match &self.way {
            Way::Beside { temporary, .. } => temporary.file(),
            Way::Spooled { file } => file.as_fd(),
        }
    }

    /// Gives the file the target's name. What had that name is gone.
    ///
    /// # Errors
    ///
    /// Those of the system calls behind it; `EEXIST` where the name was to be new and is taken by now; kind
    /// `Interrupted` once the cancel flag is set. The old target is whole after any of them, unless it is
    /// written in place.
    ///
    /// # Durability
    ///
    /// As asked for.
    pub fn commit<E: Engine>(self, durability: Durability) -> Result<()> {
        let Self { target, way, options } = self;
        let path = target.path.as_path();
        if options.cancel.is_cancelled() {
            return Err(cancelled(Operation::Write, path));
        }
        match way {
            Way::Beside { temporary, mode } => {
                fchmod(temporary.file(), mode).operation(Operation::SetMetadata, path)?;
                match durability {
                    Durability::None => Ok(()),
                    Durability::Data => fdatasync(temporary.file()),
                    Durability::Full => fsync(temporary.file()),
                }
                .operation(Operation::Sync, path)?;
                if options.cancel.is_cancelled() {
                    return Err(cancelled(Operation::Write, path));
                }
                take_name(temporary, &target, &options)?;
                if durability == Durability::Full {
                    target.place.sync().operation(Operation::Sync, path)?;
                }
                Ok(())
            }
            Way::Spooled { file } => {
                seek(&file, SeekFrom::Start(0)).operation(Operation::Read, path)?;
                let source = End::Open(file, path.to_path_buf());
                let cancel = options.cancel.clone();
                let copying = CopyOptions { durability, cancel, ..CopyOptions::default() };
                copy::<E>(&source, &[path.into()], &copying).map(drop)
            }
        }
    }
}

fn take_name(temporary: Temporary, target: &Target, options: &ReplacementOptions) -> Result<()> {
    let taken = if options.is_new {
        temporary.take_free_name(&target.place.name)
    } else {
        temporary.take_name(&target.place.name).map(|()| Taken::Yes)
    };
    match taken.operation(Operation::Rename, &target.path)? {
        Taken::Yes => Ok(()),
        Taken::No => Err(Errno::EXIST).operation(Operation::Rename, &target.path),
    }
}

fn beside(target: &Target, options: &ReplacementOptions) -> Result<Way> {
    let everybody = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
    let asked = Asked { new_mode: everybody, partial: None, keeps_attributes: true };
    match new_file_for(target, &asked, &options.cancel) {
        Ok((temporary, mode)) => Ok(Way::Beside { temporary, mode }),
        Err(NotBeside::Cancelled) => Err(cancelled(Operation::Open, &target.path)),
        Err(NotBeside::InPlace(reason)) => spooled(&target.path, reason, options),
        Err(NotBeside::Failed(error)) => Err(error),
    }
}

/// A file without a name, where temporary files go: the target's own directory may take none.
fn spooled(path: &Path, reason: InPlace, options: &ReplacementOptions) -> Result<Way> {
    if !options.in_place {
        let why = format!("it cannot be replaced in one step: {reason}");
        return Err(Error::refused(Operation::Rename, io::ErrorKind::Unsupported, why).with_path(path));
    }
    let folder = env::temp_dir();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(&folder, flags, Mode::empty()).operation(Operation::Open, &folder)?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    let mode = Mode::RUSR | Mode::WUSR;
    let temporary = match Temporary::create(&Arc::new(directory), name, mode, &options.cancel) {
        Ok(temporary) => temporary,
        Err(NoTemporary::Cancelled) => return Err(cancelled(Operation::Open, path)),
        Err(NoTemporary::System(errno)) => return Err(errno).operation(Operation::Open, &folder),
    };
    // Its name goes with the temporary file, at once.
    let file = temporary.file().try_clone_to_owned().operation(Operation::Open, &folder)?;
    Ok(Way::Spooled { file: Arc::new(file) })
}
