//! One file to another: a clone where the file system can, a pipeline of threads elsewhere; hashed on
//! the way if asked; the target replaced in one step, or not at all.

mod attributes;
mod plan;
mod target;
mod temporary;

pub use plan::InPlace;

use crate::{
    cancel::{Cancel, cancelled},
    engine::Engine,
    error::{Context, Error, Operation, Result},
    hash::{Algorithm, Digest},
    pipeline::{Flow, Pipeline},
    progress::Progress,
    source::{Stop, is_sparse, open_cancellable},
};
use attributes::Attributes;
use plan::{Plan, plan};
use rustix::{
    fs::{
        FallocateFlags, FileType, Mode, OFlags, Stat, fallocate, fchmod, fstat, ftruncate, ioctl_ficlone,
        openat, stat,
    },
    io::Errno,
};
use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};
use target::Target;
use temporary::{NoTemporary, Temporary};

/// How a file is copied.
#[derive(Clone, Default)]
pub struct CopyOptions {
    /// Hash the bytes in the same pass.
    pub hash: Option<Algorithm>,
    /// Set to stop; the old target stays, the temporary file goes.
    pub cancel: Cancel,
    /// Bytes written so far.
    pub progress: Progress,
    /// Told before the target is written to in place, since a failure then leaves a part of the source
    /// in it.
    pub on_in_place: Option<Arc<dyn Fn(InPlace) + Send + Sync>>,
}

/// What a copy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyReport {
    /// Bytes of the target.
    pub bytes: u64,
    /// The digest of these bytes, if it was asked for.
    pub digest: Option<Digest>,
    /// How the bytes got there.
    pub method: CopyMethod,
    /// Why the target was not replaced in one step, if so.
    pub in_place: Option<InPlace>,
}

/// How the bytes got to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CopyMethod {
    /// The file system lets both files share the blocks (`FICLONE`).
    Clone,
    /// Read and written.
    Pipeline,
}

impl CopyMethod {
    /// The name that programs know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Pipeline => "pipeline",
        }
    }
}

impl fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions")
            .field("hash", &self.hash)
            .field("cancel", &self.cancel)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// Copies the content of `source` to `target`. Blocks the calling thread.
///
/// Links are followed on both sides. A new target gets the source's permissions under the creation
/// mask, as with `cp`; an existing one keeps its owner, permissions, access control list and extended
/// attributes. The new content is written to a temporary file in the target's directory, which takes
/// the target's name when it is complete; where that would break something, the target is written in
/// place (see [`InPlace`]). Holes of the source stay holes.
///
/// # Errors
///
/// Those of the system calls behind it, naming the file and, for reads and writes, the first byte not
/// done. `EISDIR` for a directory on either side; kind `InvalidInput` when both are the same file,
/// before either is touched; kind `Interrupted` once [`cancel`](CopyOptions::cancel) is set. The old
/// target is whole after any of them, unless it was written in place.
///
/// # Durability
///
/// None, as with `cp`: after the process dies the target is old or new; after a power loss it may be
/// incomplete.
pub fn copy_file<E: Engine>(source: &Path, target: &Path, options: &CopyOptions) -> Result<CopyReport> {
    let source_stat = stat(source).operation(Operation::Open, source)?;
    if FileType::from_raw_mode(source_stat.st_mode) == FileType::Directory {
        return Err(Error::new(Operation::Copy, Errno::ISDIR.into()).with_path(source));
    }
    let target = Target::look_up(target)?;
    if target.is_same_file(&source_stat) {
        return Err(same_file(source));
    }
    let plan = plan(target.existing);
    if let Plan::Refuse(errno) = plan {
        return Err(Error::new(Operation::Open, errno.into()).with_path(&target.path));
    }
    let file = open_cancellable(source, OFlags::RDONLY, &options.cancel)?;
    let stat = fstat(&file).operation(Operation::Stat, source)?;
    let source = Source { path: source.to_path_buf(), file, stat };
    let copy = Copy { source, target, options };
    match plan {
        Plan::InPlace(reason) => copy.in_place::<E>(reason),
        Plan::Replace | Plan::Refuse(_) => copy.replace::<E>(),
    }
}

/// The open source.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    file: OwnedFd,
    stat: Stat,
}

/// A copy whose two ends are known.
#[derive(Debug)]
struct Copy<'a> {
    source: Source,
    target: Target,
    options: &'a CopyOptions,
}

impl Copy<'_> {
    /// Writes a new file and gives it the target's name.
    fn replace<E: Engine>(&self) -> Result<CopyReport> {
        let Ok(kept) = self.kept_attributes() else { return self.in_place::<E>(InPlace::Attributes) };
        let asked_mode = match kept {
            Some(_) => Mode::RUSR | Mode::WUSR,
            None => Mode::from_raw_mode(self.source.stat.st_mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO),
        };
        let (Target { place, path, .. }, cancel) = (&self.target, &self.options.cancel);
        let temporary = match Temporary::create(place.directory.as_fd(), &place.name, asked_mode, cancel) {
            Ok(temporary) => temporary,
            Err(NoTemporary::Cancelled) => return Err(cancelled(Operation::Copy, &self.source.path)),
            // Some file systems, sysfs for one, take no new names, whatever the permissions say.
            Err(NoTemporary::System(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NOTSUP))
                if kept.is_some() =>
            {
                return self.in_place::<E>(InPlace::Directory);
            }
            Err(NoTemporary::System(errno)) => return Err(errno).operation(Operation::Open, path),
        };
        if let Some(kept) = &kept
            && kept.give_to(temporary.file()).is_err()
        {
            drop(temporary);
            return self.in_place::<E>(InPlace::Attributes);
        }
        // While it was open to others, if it was, it was so for those only whom the mode that it ends
        // with allows as much.
        temporary.make_private().operation(Operation::SetMetadata, path)?;
        let (flow, method) = self.fill_new::<E>(temporary.file())?;
        let mode = kept.map_or(temporary.created_mode(), |kept| kept.mode());
        fchmod(temporary.file(), mode).operation(Operation::SetMetadata, path)?;
        if cancel.is_cancelled() {
            return Err(cancelled(Operation::Copy, &self.source.path));
        }
        temporary.take_name(&place.name).operation(Operation::Rename, path)?;
        Ok(CopyReport { bytes: flow.bytes, digest: flow.digest, method, in_place: None })
    }

    /// What an existing target keeps.
    fn kept_attributes(&self) -> Result<Option<Attributes>, Errno> {
        let Target { place, stat, .. } = &self.target;
        stat.as_ref().map(|stat| Attributes::of(&place.path(), stat)).transpose()
    }

    /// Writes into the target itself.
    fn in_place<E: Engine>(&self, reason: InPlace) -> Result<CopyReport> {
        let file = self.open_in_place(reason)?;
        if let Some(tell) = &self.options.on_in_place {
            tell(reason);
        }
        let Flow { bytes, digest } = self.fill::<E>(file.as_fd())?;
        Ok(CopyReport { bytes, digest, method: CopyMethod::Pipeline, in_place: Some(reason) })
    }

    /// Opens the target, and empties it if it is a regular file.
    fn open_in_place(&self, reason: InPlace) -> Result<OwnedFd> {
        let Target { place, path, .. } = &self.target;
        let file = if reason == InPlace::Special {
            open_cancellable(path, OFlags::WRONLY, &self.options.cancel)?
        } else {
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(&place.directory, &place.name, flags, Mode::empty()).operation(Operation::Open, path)?
        };
        let opened = fstat(&file).operation(Operation::Stat, path)?;
        // It may have become the source since it was looked up, and truncating would empty both.
        if target::is_same_file(&opened, &self.source.stat) {
            return Err(same_file(&self.source.path));
        }
        if is_regular(&opened) {
            ftruncate(&file, 0).operation(Operation::Truncate, path)?;
        }
        Ok(file)
    }

    /// Brings the source's bytes into `file`, which is new and open for reading as well.
    fn fill_new<E: Engine>(&self, file: BorrowedFd<'_>) -> Result<(Flow, CopyMethod)> {
        if !is_regular(&self.source.stat) || !self.clone_to(file)? {
            return Ok((self.fill::<E>(file)?, CopyMethod::Pipeline));
        }
        let target = &self.target.path;
        let flow = if self.options.hash.is_some() {
            // Of the clone: the source may have changed since.
            self.pipe::<E>(file, None)?
        } else {
            let bytes = u64::try_from(fstat(file).operation(Operation::Stat, target)?.st_size).unwrap_or(0);
            Flow { bytes, digest: None }
        };
        self.options.progress.set(flow.bytes);
        Ok((flow, CopyMethod::Clone))
    }

    /// Brings the source's bytes into `file`, which is empty or has no offsets.
    fn fill<E: Engine>(&self, file: BorrowedFd<'_>) -> Result<Flow> {
        let target = &self.target.path;
        let is_regular = is_regular(&fstat(file).operation(Operation::Stat, target)?);
        if is_regular {
            self.preallocate(file)?;
        }
        let flow = self.pipe::<E>(self.source.file.as_fd(), Some(file))?;
        if is_regular {
            // Gives back what was allocated too much, and makes a hole at the end count.
            ftruncate(file, flow.bytes).operation(Operation::Truncate, target)?;
        }
        Ok(flow)
    }

    /// Lets `file` share the source's blocks; false where that cannot be.
    fn clone_to(&self, file: BorrowedFd<'_>) -> Result<bool> {
        match ioctl_ficlone(file, &self.source.file) {
            Ok(()) => Ok(true),
            // Not a question of what the file system can do: reading and writing would hide it.
            Err(error @ (Errno::IO | Errno::NOMEM | Errno::NOSPC | Errno::DQUOT)) => {
                Err(error).operation(Operation::Copy, &self.target.path)
            }
            Err(_) => Ok(false),
        }
    }

    /// Reserves the source's size, which makes the writes faster and finds a full disk at once. The
    /// file's own size grows with the writes, so that a failure leaves what was written and no more.
    fn preallocate(&self, file: BorrowedFd<'_>) -> Result<()> {
        let size = u64::try_from(self.source.stat.st_size).unwrap_or(0);
        if size == 0 || !is_regular(&self.source.stat) || is_sparse(&self.source.stat) {
            return Ok(());
        }
        match rustix::io::retry_on_intr(|| fallocate(file, FallocateFlags::KEEP_SIZE, 0, size)) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error)
                .operation(Operation::Write, &self.target.path)
                .map_err(|error| error.with_offset(0)),
            // Where the file system has no such call, the writes will find out.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn pipe<E: Engine>(&self, source: BorrowedFd<'_>, sink: Option<BorrowedFd<'_>>) -> Result<Flow> {
        let (source_path, target_path) = (&self.source.path, &self.target.path);
        let CopyOptions { hash, cancel, progress, .. } = self.options;
        let source = source.try_clone_to_owned().operation(Operation::Open, source_path)?;
        let sink = sink.map(|sink| sink.try_clone_to_owned()).transpose();
        let sink = sink.operation(Operation::Open, target_path)?;
        let pipeline = Pipeline { source, from_own_position: false, sink, hash: *hash, cancel, progress };
        pipeline.run::<E>().map_err(|stop| match stop {
            Stop::Engine(cause) => Error::new(Operation::StartEngine, cause),
            Stop::Read(cause, offset) => {
                Error::new(Operation::Read, cause).with_path(source_path).with_offset(offset)
            }
            Stop::Write(cause, offset) => {
                Error::new(Operation::Write, cause).with_path(target_path).with_offset(offset)
            }
            Stop::Cancelled => cancelled(Operation::Copy, source_path),
        })
    }
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn same_file(source: &Path) -> Error {
    let reason = "source and target are the same file";
    Error::refused(Operation::Copy, io::ErrorKind::InvalidInput, reason).with_path(source)
}
