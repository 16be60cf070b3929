//! One stream to many places, as it comes.

use crate::{
    cancel::{Cancel, cancelled},
    compress::Compression,
    copy::{End, is_same_file, same_file},
    engine::Engine,
    error::{Context, Error, Operation, Result},
    hash::{Algorithm, Digest, Hashers},
    pipeline::{Input, OnFailed, Output, Pipeline, StopOn, Together},
    progress::Progress,
    sink::{Holes, SinkOptions},
    source::{Place, SourceOptions, Stop, open_cancellable},
};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open, stat};
use std::{fmt, io, os::fd::OwnedFd, path::Path, sync::Arc, time::Duration};

/// How long a target may take nothing before it is left behind, where that was asked for.
pub const SLOW: Duration = Duration::from_secs(1);

/// What becomes of a target that does not keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnSlow {
    /// All wait for it.
    #[default]
    Wait,
    /// It is left behind once a queue of 16 MiB (shared out to all targets) is full and it has taken nothing for
    /// [`SLOW`]. What it got is a prefix of the stream: nothing is missing from the middle.
    Detach,
}

/// Which failure of a target ends it for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// Only that of the last.
    #[default]
    GoOn,
    /// A pipe that nobody reads any more.
    StopAtBrokenPipe,
    /// That of any but a pipe that nobody reads any more.
    StopUnlessBrokenPipe,
    /// That of any.
    Stop,
}

/// How a stream is shared out.
#[derive(Clone, Default)]
pub struct TeeOptions {
    /// Write behind what is in the files. With [`compression`](Self::compression) they are read first: one that was
    /// cut off, or is none of its kind, is refused.
    pub append: bool,
    /// Hash the bytes that are written.
    pub hashes: Vec<Algorithm>,
    /// What is done to the bytes on their way.
    pub compression: Option<Compression>,
    /// What becomes of a target that does not keep up.
    pub on_slow: OnSlow,
    /// Which failure ends it for all.
    pub on_failure: OnFailure,
    /// Set to stop, also where a target takes nothing: each has a prefix of the stream, and a file that is
    /// compressed has the end that others can be appended behind.
    pub cancel: Cancel,
    /// Bytes read so far.
    pub progress: Progress,
    /// Told, by any thread, why a target gets no more while the others go on: when that is known.
    pub on_target_failed: Option<TellFailed>,
}

/// Told why a target gets no more.
pub type TellFailed = Arc<dyn Fn(&Error) + Send + Sync>;

impl fmt::Debug for TeeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeeOptions")
            .field("append", &self.append)
            .field("hashes", &self.hashes)
            .field("compression", &self.compression)
            .field("on_slow", &self.on_slow)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Debug)]
pub struct TeeReport {
    /// Bytes read.
    pub bytes: u64,
    /// The digests of the whole stream, in the order in which they were asked for. None where failures ended it
    /// for all before it was known that the others have the whole stream.
    pub digests: Vec<Digest>,
    /// Bytes written to each target, or why it has not all: in the order of the targets.
    pub targets: Vec<Result<u64>>,
}

/// Writes what `source` gives to each of `targets` as it comes, until it ends. Blocks the calling thread.
///
/// Files are created, or emptied first; with [`append`](TeeOptions::append) they are written behind their end. Each
/// target is for itself: where one cannot be opened or written, or is the source, the others go on.
///
/// # Errors
///
/// What ends the reading: those of `open(2)` and `read(2)`, naming the offset, and kind `Interrupted` once
/// [`cancel`](TeeOptions::cancel) is set. What ends a target is in [`TeeReport::targets`].
///
/// # Durability
///
/// None: the bytes are the kernel's.
///
/// Source: `tee(1)`.
pub fn tee<E: Engine>(source: &End, targets: &[End], options: &TeeOptions) -> Result<TeeReport> {
    let (file, from) = open_source(source, options)?;
    let read = fstat(&file).operation(Operation::Stat, source.name())?;
    let mut opened = Vec::with_capacity(targets.len());
    let mut outputs = Vec::with_capacity(targets.len());
    let mut telling = Telling { source: source.name(), targets: Vec::new(), options };
    for target in targets {
        let output = refuse_same_file(&read, target)
            .and_then(|()| refuse_cut_off::<E>(target, options))
            .and_then(|()| open_target(target, options));
        match output {
            Ok(output) => {
                outputs.push(output);
                telling.targets.push(target.name());
                opened.push(None);
            }
            Err(error) if matches!(options.on_failure, OnFailure::Stop | OnFailure::StopUnlessBrokenPipe) => {
                return Err(error);
            }
            Err(error) => {
                telling.tell(&error);
                opened.push(Some(error));
            }
        }
    }
    let stop_on = match options.on_failure {
        OnFailure::GoOn => StopOn::LastFailure,
        OnFailure::StopAtBrokenPipe => StopOn::BrokenPipe,
        OnFailure::StopUnlessBrokenPipe => StopOn::OtherThanBrokenPipe,
        OnFailure::Stop => StopOn::AnyFailure,
    };
    let together =
        Together { stop_on, gives_up: false, patience: (options.on_slow == OnSlow::Detach).then_some(SLOW) };
    let pipeline = Pipeline {
        input: Input {
            file,
            options: SourceOptions { from, ends_at_cancel: true, ..SourceOptions::default() },
            rate: None,
        },
        compression: options.compression,
        hashers: Hashers::new(&options.hashes),
        outputs,
        together,
        cancel: &options.cancel,
        progress: &options.progress,
        on_failed: Some(&telling),
    };
    // Whoever ends the process by a signal waits until the files have what was read.
    let hold = options.cancel.hold().ok_or_else(|| cancelled(Operation::Read, source.name()))?;
    let flow = pipeline.run::<E>().map_err(|stop| failure(stop, source.name(), source.name()))?;
    drop(hold);
    let is_whole = is_whole(&flow.sinks, together);
    let mut written = flow.sinks.into_iter();
    let mut reports = Vec::with_capacity(targets.len());
    for (target, not_opened) in targets.iter().zip(opened) {
        reports.push(match not_opened {
            Some(error) => Err(error),
            None => written
                .next()
                .unwrap_or(Err(Stop::Cancelled))
                .map_err(|stop| failure(stop, source.name(), target.name())),
        });
    }
    let digests = if is_whole { flow.hashers.finish() } else { Vec::new() };
    Ok(TeeReport { bytes: flow.read, digests, targets: reports })
}

/// Whether the stream went on to its end: no failure ended it for all.
fn is_whole(sinks: &[Result<u64, Stop>], together: Together) -> bool {
    let mut failures = sinks.iter().filter_map(|sink| sink.as_ref().err());
    let has_survivor = sinks.is_empty() || sinks.iter().any(Result::is_ok);
    has_survivor && !failures.any(|stop| together.ends_all(stop))
}

/// Tells of targets that fail.
#[derive(Debug)]
struct Telling<'a> {
    source: &'a Path,
    /// Those that are open.
    targets: Vec<&'a Path>,
    options: &'a TeeOptions,
}

impl Telling<'_> {
    fn tell(&self, error: &Error) {
        if let Some(tell) = &self.options.on_target_failed {
            tell(error);
        }
    }
}

impl OnFailed for Telling<'_> {
    fn failed(&self, number: usize, stop: &Stop) {
        let again = |cause: &io::Error| match cause.raw_os_error() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::new(cause.kind(), cause.to_string()),
        };
        let stop = match stop {
            // The report has it still.
            Stop::Write(cause, offset) => Stop::Write(again(cause), *offset),
            Stop::LeftBehind(offset) => Stop::LeftBehind(*offset),
            Stop::Engine(cause) => Stop::Engine(again(cause)),
            // Not the target's.
            Stop::Sync(_) | Stop::Read(..) | Stop::Transform(..) | Stop::Cancelled => return,
        };
        if let Some(target) = self.targets.get(number) {
            self.tell(&failure(stop, self.source, target));
        }
    }
}

fn open_source(source: &End, options: &TeeOptions) -> Result<(OwnedFd, Place)> {
    match source {
        End::Path(path) => Ok((open_cancellable(path, OFlags::RDONLY, &options.cancel)?, Place::default())),
        End::Open(file, name) => Ok((file.try_clone().operation(Operation::Open, name)?, Place::Own)),
    }
}

/// A file that is written while it is read is emptied first, or grows as it is read.
fn refuse_same_file(source: &Stat, target: &End) -> Result<()> {
    let found = match target {
        End::Path(path) => stat(path),
        End::Open(file, _) => fstat(file),
    };
    let is_same = is_regular(source) && found.is_ok_and(|found| is_same_file(&found, source));
    if is_same { Err(same_file(Operation::Open, target.name())) } else { Ok(()) }
}

/// Behind a compressed stream without an end nothing could be read, and of zstd often nothing in front of it.
/// All of the file is read for that: no other way tells.
fn refuse_cut_off<E: Engine>(target: &End, options: &TeeOptions) -> Result<()> {
    let (true, Some(Compression::Compress { codec, .. }), End::Path(path)) =
        (options.append, options.compression, target)
    else {
        return Ok(());
    };
    if !stat(path).is_ok_and(|found| is_regular(&found) && found.st_size > 0) {
        return Ok(());
    }
    // One that may be written and not read is believed.
    let Ok(file) = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return Ok(()) };
    let restoring = Pipeline {
        input: Input { file, options: SourceOptions::default(), rate: None },
        compression: Some(Compression::Decompress(Some(codec))),
        hashers: Hashers::new(&[]),
        outputs: Vec::new(),
        together: Together::ALL_OR_NONE,
        cancel: &options.cancel,
        progress: &Progress::new(),
        on_failed: None,
    };
    match restoring.run::<E>() {
        Ok(_) => Ok(()),
        Err(Stop::Transform(cause, _)) => {
            let reason = format!("nothing can be appended to it: {cause}");
            Err(Error::refused(Operation::Open, cause.kind(), reason).with_path(path))
        }
        Err(stop) => Err(failure(stop, path, path)),
    }
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn open_target(target: &End, options: &TeeOptions) -> Result<Output> {
    let (file, to) = match target {
        End::Path(path) => (create(path, options)?, Place::default()),
        End::Open(file, name) => (file.try_clone().operation(Operation::Open, name)?, Place::Own),
    };
    Ok(Output { file, options: SinkOptions { to, holes: Holes::Fill, ..SinkOptions::default() } })
}

fn create(path: &Path, options: &TeeOptions) -> Result<OwnedFd> {
    if stat(path).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Fifo) {
        // Waits for a reader.
        return open_cancellable(path, OFlags::WRONLY, &options.cancel);
    }
    let how = if options.append { OFlags::APPEND } else { OFlags::TRUNC };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | how;
    open(path, flags, Mode::from_raw_mode(0o666)).operation(Operation::Open, path)
}

fn failure(stop: Stop, source: &Path, target: &Path) -> Error {
    match stop {
        Stop::Cancelled => cancelled(Operation::Read, source),
        stop => crate::copy::pipeline_error(stop, source, target),
    }
}
