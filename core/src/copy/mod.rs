//! One file to others: a clone where the file system can, a pipeline of threads elsewhere; hashed on the
//! way if asked; each target replaced in one step, or not at all.

mod attributes;
mod dry_run;
mod method;
mod options;
mod placing;
mod plan;
mod replacement;
mod resume;
mod target;
mod temporary;
mod verify;

pub use dry_run::{DryRun, dry_run};
pub use options::{
    CopyMethod, CopyOptions, CopyReport, Durability, End, Outcome, Overwrite, ReadBack, Reflink, Skip,
    Sparse, TargetReport, TellInPlace, Writing,
};
pub use plan::InPlace;
pub use replacement::{Replacement, ReplacementOptions};
pub(crate) use resume::Journal;

use crate::{
    cancel::cancelled,
    compress::Compression,
    engine::Engine,
    error::{Context, Error, Operation, Result},
    hash::{Algorithm, Digest, Hashers},
    pipeline::{Input, Output, Pipeline, Together},
    sink::{Checkpoint, Holes, SinkOptions},
    source::{Place, SourceOptions, Stop, is_sparse, open_cancellable},
};
use attributes::Attributes;
use method::{clone_to, is_offloaded, offload_to};
use placing::{Placing, admit};
use resume::{RECORD_EVERY_BYTES, Resumed, is_unchanged, resume};
use rustix::{
    fs::{
        Access, AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, Stat, accessat, fallocate, fstat,
        ftruncate, stat,
    },
    io::Errno,
};
use std::{
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};
use target::Target;
pub(crate) use target::is_same_file;
use tracing::debug;

/// What verifies a copy whose digest nobody asked for.
const VERIFYING: Algorithm = Algorithm::Blake3;

/// Copies the content of the file `source` to `target`: [`copy`] of one name to another.
///
/// # Errors
///
/// Those of [`copy`].
pub fn copy_file<E: Engine>(source: &Path, target: &Path, options: &CopyOptions) -> Result<CopyReport> {
    copy::<E>(&source.into(), &[target.into()], options)
}

/// Copies the content of `source` to each of `targets`, in one pass. Blocks the calling thread.
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
/// done. `EISDIR` for a directory on either side; kind `InvalidInput` when two ends are the same file, or
/// options contradict each other, before any is touched; kind `Interrupted` once
/// [`cancel`](CopyOptions::cancel) is set; kind `InvalidData` where a target that is read back differs.
/// Every old target is whole after any of them, unless it was written in place; only where the last
/// rename fails for one target, others may be new already.
///
/// # Durability
///
/// That of [`CopyOptions::durability`].
pub fn copy<E: Engine>(source: &End, targets: &[End], options: &CopyOptions) -> Result<CopyReport> {
    let (looked_up, source) = prepare_ends(source, targets, options, Source::open)?;
    let mut skipped = Vec::with_capacity(targets.len());
    for target in &looked_up {
        skipped.push(target.as_ref().map(|target| admit(target, &source, options)).transpose()?.flatten());
    }
    let mut placings = Vec::new();
    for ((end, target), skip) in targets.iter().zip(&looked_up).zip(&skipped) {
        match (end, target) {
            _ if skip.is_some() => {}
            (End::Open(file, name), _) => placings.push(Placing::open(file, name, &source)?),
            (End::Path(_), Some(target)) => placings.push(Placing::prepare(target, &source, options)?),
            (End::Path(_), None) => {}
        }
    }
    debug!(source = ?source.path, size = source.whole_size(), targets = placings.len(), "copy begins");
    let mut copy = Copy { source, options, placings };
    let filled = if copy.placings.is_empty() { Filled::default() } else { copy.fill::<E>()? };
    debug!(
        method = filled.method.name(),
        bytes = filled.bytes,
        resumed_at = filled.resumed_at,
        "targets filled"
    );
    copy.complete::<E>(filled.digests.first())?;
    let mut done = Vec::new();
    for placing in copy.placings {
        done.push(placing.commit(options)?);
    }
    let mut done = done.into_iter();
    let reports = targets.iter().zip(skipped).filter_map(|(end, skip)| match skip {
        Some(skip) => {
            let path = end.name().to_path_buf();
            Some(TargetReport { path, outcome: Outcome::Skipped(skip), verified: None })
        }
        None => done.next(),
    });
    let targets = reports.collect();
    let Filled { bytes, mut digests, method, resumed_at } = filled;
    // What only verified the copy was not asked for.
    digests.truncate(options.hashes.len());
    Ok(CopyReport { bytes, digests, method, resumed_at, targets })
}

/// The targets that have names, and the open source.
fn prepare_ends(
    source: &End,
    targets: &[End],
    options: &CopyOptions,
    open: impl FnOnce(&End, &CopyOptions) -> Result<Source>,
) -> Result<(Vec<Option<Target>>, Source)> {
    options.check(source, targets)?;
    let found = status_of(source)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return Err(Error::new(Operation::Copy, Errno::ISDIR.into()).with_path(source.name()));
    }
    let looked_up = look_up(source, &found, targets)?;
    Ok((looked_up, open(source, options)?))
}

fn status_of(end: &End) -> Result<Stat> {
    match end {
        End::Path(path) => stat(path).operation(Operation::Open, path),
        End::Open(file, name) => fstat(file).operation(Operation::Stat, name),
    }
}

/// The targets that have names, none of them the source or another's.
fn look_up(source: &End, found: &Stat, targets: &[End]) -> Result<Vec<Option<Target>>> {
    let mut looked_up: Vec<Option<Target>> = Vec::with_capacity(targets.len());
    let mut written: Vec<Stat> = Vec::new();
    for end in targets {
        let (target, stat) = match end {
            End::Path(path) => {
                let target = Target::look_up(path)?;
                let stat = target.stat;
                (Some(target), stat)
            }
            End::Open(file, name) => (None, Some(fstat(file).operation(Operation::Stat, name)?)),
        };
        if let Some(stat) = stat.filter(is_regular) {
            if is_same_file(&stat, found) {
                return Err(same_file(Operation::Copy, source.name()));
            }
            if written.iter().any(|other| is_same_file(other, &stat)) {
                return Err(given_twice(end));
            }
            written.push(stat);
        }
        if target.as_ref().is_some_and(|one| looked_up.iter().flatten().any(|other| one.is_same_place(other)))
        {
            return Err(given_twice(end));
        }
        looked_up.push(target);
    }
    Ok(looked_up)
}

fn given_twice(end: &End) -> Error {
    let reason = "it is given twice as a target";
    Error::refused(Operation::Copy, io::ErrorKind::InvalidInput, reason).with_path(end.name())
}

/// The open source.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    file: OwnedFd,
    stat: Stat,
    place: Place,
}

impl Source {
    fn open(end: &End, options: &CopyOptions) -> Result<Self> {
        let path = end.name();
        let (file, place) = match end {
            End::Path(path) => (open_cancellable(path, OFlags::RDONLY, &options.cancel)?, Place::default()),
            End::Open(file, _) => (file.try_clone().operation(Operation::Open, path)?, Place::Own),
        };
        let stat = fstat(&file).operation(Operation::Stat, path)?;
        Ok(Self { path: path.to_path_buf(), file, stat, place })
    }

    /// [`open`](Self::open), only to look at it: what is no regular file is not opened for reading, which may
    /// wait for a writer, wake one, or do something to a device.
    fn look_at(end: &End, options: &CopyOptions) -> Result<Self> {
        let End::Path(path) = end else { return Self::open(end, options) };
        let stat = stat(path).operation(Operation::Open, path)?;
        if is_regular(&stat) {
            return Self::open(end, options);
        }
        accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS).operation(Operation::Open, path)?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).operation(Operation::Open, path)?;
        Ok(Self { path: path.clone(), file, stat, place: Place::default() })
    }

    /// What a new target gets of its mode.
    fn permissions(&self) -> Mode {
        Mode::from_raw_mode(self.stat.st_mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO)
    }

    fn attributes(&self) -> std::result::Result<Attributes, Errno> {
        Attributes::of_open(self.file.as_fd(), &self.stat)
    }

    /// Its bytes from its start on, if that is what is read.
    fn whole_size(&self) -> Option<u64> {
        let is_whole = self.place == Place::default() && is_regular(&self.stat);
        is_whole.then(|| u64::try_from(self.stat.st_size).unwrap_or(0))
    }
}

/// A copy whose ends are ready.
#[derive(Debug)]
struct Copy<'a> {
    source: Source,
    options: &'a CopyOptions,
    placings: Vec<Placing<'a>>,
}

/// What came to the targets.
#[derive(Debug)]
struct Filled {
    bytes: u64,
    /// Those that were asked for, and at least one if the target is verified.
    digests: Vec<Digest>,
    method: CopyMethod,
    resumed_at: Option<u64>,
}

impl Default for Filled {
    fn default() -> Self {
        Self { bytes: 0, digests: Vec::new(), method: CopyMethod::None, resumed_at: None }
    }
}

impl Copy<'_> {
    /// Brings the source's bytes into the targets.
    fn fill<E: Engine>(&self) -> Result<Filled> {
        // The last moment at which what is written in place is still whole.
        self.refuse_clone()?;
        if self.options.cancel.is_cancelled() {
            return Err(cancelled(Operation::Copy, &self.source.path));
        }
        self.placings.iter().try_for_each(|placing| placing.begin(self.options))?;
        match self.placings.as_slice() {
            [single] if self.options.resume => self.go_on::<E>(single),
            [single] if self.can_share(single) => match self.share::<E>(single)? {
                Some(filled) => Ok(filled),
                None => self.pump::<E>(None),
            },
            _ => self.pump::<E>(None),
        }
    }

    /// Leaves the copying to the file system, where it can.
    fn share<E: Engine>(&self, single: &Placing<'_>) -> Result<Option<Filled>> {
        let (source, options) = (&self.source, self.options);
        if single.is_beside() && clone_to(source, single.file(), single.path, options)? {
            // Of the clone: the source may have changed since.
            return self.shared::<E>(single, CopyMethod::Clone).map(Some);
        }
        if self.hashers().is_empty() && is_offloaded(source, single.file(), options) {
            let offloaded = offload_to(source, single.file(), single.path, options)?;
            return offloaded.map(|_| self.shared::<E>(single, CopyMethod::Offload)).transpose();
        }
        Ok(None)
    }

    /// Whether the file system may be left to do it.
    fn can_share(&self, single: &Placing<'_>) -> bool {
        single.is_regular() && self.source.whole_size().is_some() && self.is_as_it_is()
    }

    /// Where nothing can be cloned, and nothing else will do.
    fn refuse_clone(&self) -> Result<()> {
        let [single] = self.placings.as_slice() else { return Ok(()) };
        let hopeless = !(single.is_beside() && self.can_share(single));
        if hopeless && self.options.reflink == Reflink::Always {
            return Err(Error::new(Operation::Clone, Errno::NOTSUP.into()).with_path(single.path));
        }
        Ok(())
    }

    fn shared<E: Engine>(&self, single: &Placing<'_>, method: CopyMethod) -> Result<Filled> {
        let stat = fstat(single.file()).operation(Operation::Stat, single.path)?;
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        let digests = if self.hashers().is_empty() {
            Vec::new()
        } else {
            self.digests_of::<E>(single, self.hashers())?.finish()
        };
        self.options.progress.set(bytes);
        Ok(Filled { bytes, digests, method, resumed_at: None })
    }

    /// The states of `hashers` behind all of a target.
    fn digests_of<E: Engine>(&self, single: &Placing<'_>, hashers: Hashers) -> Result<Hashers> {
        let file = single.file().try_clone_to_owned().operation(Operation::Open, single.path)?;
        let input = Input { file, options: self.reading(Place::default()), rate: None };
        self.hash::<E>(input, hashers, single.path)
    }

    /// The states of `hashers` behind what an earlier copy left. What is verified is the source, since nobody knows
    /// what became of the copy meanwhile.
    fn digests_of_kept<E: Engine>(
        &self,
        single: &Placing<'_>,
        hashers: Hashers,
        watermark: u64,
    ) -> Result<Hashers> {
        if !self.options.verify {
            return self.digests_of::<E>(single, hashers);
        }
        let source = &self.source;
        let file = source.file.try_clone().operation(Operation::Open, &source.path)?;
        let options = SourceOptions { until: watermark, ..self.reading(Place::default()) };
        self.hash::<E>(Input { file, options, rate: self.options.rate }, hashers, &source.path)
    }

    fn hash<E: Engine>(&self, input: Input, hashers: Hashers, path: &Path) -> Result<Hashers> {
        if hashers.is_empty() {
            return Ok(hashers);
        }
        let pipeline = Pipeline {
            input,
            compression: None,
            hashers,
            outputs: Vec::new(),
            together: Together::ALL_OR_NONE,
            cancel: &self.options.cancel,
            progress: &self.options.progress,
            on_failed: None,
        };
        let flow = pipeline.run::<E>().map_err(|stop| pipeline_error(stop, path, path))?;
        Ok(flow.hashers)
    }

    fn reading(&self, from: Place) -> SourceOptions {
        SourceOptions {
            from,
            tells_holes: self.options.sparse != Sparse::Never,
            drops_cache: self.options.drop_cache,
            ..SourceOptions::default()
        }
    }

    /// Goes on behind what is in the partial file.
    fn go_on<E: Engine>(&self, single: &Placing<'_>) -> Result<Filled> {
        let partial = single.temporary().filter(|_| self.source.whole_size().is_some());
        let Some(partial) = partial else {
            let reason = "only the copy of one regular file to another can be resumed";
            let refused = Error::refused(Operation::Copy, io::ErrorKind::Unsupported, reason);
            return Err(refused.with_path(&self.source.path));
        };
        let resumed = resume(partial, &self.source, single.path)?;
        let filled = self.pump::<E>(Some(&resumed))?;
        if is_unchanged(&self.source) {
            return Ok(filled);
        }
        let reason = "it was changed while it was copied";
        Err(Error::refused(Operation::Copy, io::ErrorKind::InvalidData, reason).with_path(&self.source.path))
    }

    /// Whether the targets get the bytes of the source and no others.
    fn is_as_it_is(&self) -> bool {
        self.options.compression.is_none()
    }

    fn hashers(&self) -> Hashers {
        let hashes = &self.options.hashes;
        let verifies = self.options.verify.then_some(VERIFYING).filter(|_| hashes.is_empty());
        Hashers::new(&hashes.iter().copied().chain(verifies).collect::<Vec<_>>())
    }

    /// Reads and writes.
    fn pump<E: Engine>(&self, resumed: Option<&Resumed>) -> Result<Filled> {
        let (source, options) = (&self.source, self.options);
        let watermark = resumed.map(|resumed| resumed.watermark).filter(|watermark| *watermark > 0);
        let mut hashers = self.hashers();
        if let (Some(watermark), Some(single)) = (watermark, self.placings.first()) {
            hashers = self.digests_of_kept::<E>(single, hashers, watermark)?;
        }
        let mut outputs = Vec::with_capacity(self.placings.len());
        for placing in &self.placings {
            self.preallocate(placing)?;
            let file = placing.file().try_clone_to_owned().operation(Operation::Open, placing.path)?;
            outputs.push(Output { file, options: self.sink_options(placing, resumed) });
        }
        let place = watermark.map_or(source.place, Place::Offset);
        let file = source.file.try_clone().operation(Operation::Open, &source.path)?;
        let pipeline = Pipeline {
            input: Input { file, options: self.reading(place), rate: options.rate },
            compression: options.compression,
            hashers,
            outputs,
            together: Together::ALL_OR_NONE,
            cancel: &options.cancel,
            progress: &options.progress,
            on_failed: None,
        };
        let flow = pipeline.run::<E>().map_err(|stop| pipeline_error(stop, &source.path, &source.path))?;
        let bytes = self.written(flow.sinks)?;
        let digests = flow.hashers.finish();
        Ok(Filled { bytes, digests, method: CopyMethod::Pipeline, resumed_at: watermark })
    }

    fn sink_options(&self, placing: &Placing<'_>, resumed: Option<&Resumed>) -> SinkOptions {
        let to = match resumed {
            _ if placing.is_open() => Place::Own,
            Some(resumed) => Place::Offset(resumed.watermark),
            None => Place::default(),
        };
        let restores = matches!(self.options.compression, Some(Compression::Decompress(_)));
        let holes = match self.options.sparse {
            // A compressed file does not tell where holes were.
            Sparse::Auto if restores => Holes::Make,
            Sparse::Auto => Holes::Keep,
            Sparse::Always => Holes::Make,
            Sparse::Never => Holes::Fill,
        };
        let checkpoint =
            resumed.map(|resumed| Checkpoint::new(&resumed.journal, RECORD_EVERY_BYTES, resumed.watermark));
        SinkOptions { to, holes, drops_cache: self.options.drop_cache, checkpoint }
    }

    /// How many bytes every target has; makes regular ones end behind them.
    fn written(&self, sinks: Vec<Result<u64, Stop>>) -> Result<u64> {
        let mut bytes = 0;
        let mut failure = None;
        for (sink, placing) in sinks.into_iter().zip(&self.placings) {
            match sink {
                Ok(written) => bytes = written,
                // One that fails takes the others with it, which know nothing of the reason.
                Err(stop) => {
                    let error = pipeline_error(stop, &self.source.path, placing.path);
                    failure = failure.or(Some(error));
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let is_too_much_reserved = self.source.whole_size().is_some_and(|size| size > bytes);
        for placing in self.placings.iter().filter(|placing| placing.is_regular()) {
            let size = fstat(placing.file()).operation(Operation::Stat, placing.path)?.st_size;
            // Not for nothing: XFS fetches the last page for it, which may just have been given back.
            if is_too_much_reserved || u64::try_from(size) != Ok(bytes) {
                ftruncate(placing.file(), bytes).operation(Operation::Truncate, placing.path)?;
            }
        }
        Ok(bytes)
    }

    /// Reserves the source's size, which makes the writes faster and finds a full disk at once. The
    /// file's own size grows with the writes, so that a failure leaves what was written and no more.
    fn preallocate(&self, placing: &Placing<'_>) -> Result<()> {
        let wanted = match self.options.sparse {
            Sparse::Auto => !is_sparse(&self.source.stat),
            Sparse::Always => false,
            Sparse::Never => true,
        };
        let size = self.source.whole_size().filter(|size| wanted && *size > 0 && self.is_as_it_is());
        let Some(size) = size.filter(|_| placing.is_regular()) else { return Ok(()) };
        match rustix::io::retry_on_intr(|| fallocate(placing.file(), FallocateFlags::KEEP_SIZE, 0, size)) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(error).operation(Operation::Write, placing.path).map_err(|error| error.with_offset(0))
            }
            // Where the file system has no such call, the writes will find out.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes every target what it is to be, all but its name.
    fn complete<E: Engine>(&mut self, digest: Option<&Digest>) -> Result<()> {
        for placing in &mut self.placings {
            placing.complete::<E>(&self.source, digest, self.options)?;
        }
        if self.options.cancel.is_cancelled() && self.placings.iter().any(Placing::is_beside) {
            return Err(cancelled(Operation::Copy, &self.source.path));
        }
        Ok(())
    }
}

/// What ended a pipeline, in the words of whoever began it.
pub(crate) fn pipeline_error(stop: Stop, source: &Path, target: &Path) -> Error {
    match stop {
        Stop::Engine(cause) => Error::new(Operation::StartEngine, cause),
        Stop::Read(cause, offset) => Error::new(Operation::Read, cause).with_path(source).with_offset(offset),
        Stop::Write(cause, offset) => {
            Error::new(Operation::Write, cause).with_path(target).with_offset(offset)
        }
        Stop::Transform(cause, offset) => {
            Error::new(Operation::Transform, cause).with_path(source).with_offset(offset)
        }
        Stop::Sync(cause) => Error::new(Operation::Sync, cause).with_path(target),
        Stop::LeftBehind(offset) => {
            let reason = "it took nothing for too long";
            let refused = Error::refused(Operation::Write, io::ErrorKind::TimedOut, reason);
            refused.with_path(target).with_offset(offset)
        }
        Stop::Cancelled => cancelled(Operation::Copy, source),
    }
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// The cause of an error of kind `InvalidInput`: source and target are the same file.
#[derive(Debug)]
pub struct SameFile;

impl fmt::Display for SameFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("source and target are the same file")
    }
}

impl std::error::Error for SameFile {}

pub(crate) fn same_file(operation: Operation, path: &Path) -> Error {
    Error::new(operation, io::Error::new(io::ErrorKind::InvalidInput, SameFile)).with_path(path)
}
