//! One read of a source, with everything that is done to its bytes: one thread per stage.
//!
//! `source → transformation → hash → sinks`: hashing happens on the calling thread, each sink has a thread of its own.
//! Between two stages stands a bounded channel, so the slowest stage sets the pace and memory stays the
//! same whatever the size of the file. A file of one chunk is done by the calling thread alone: starting
//! the others takes longer.

mod fan_out;
mod pace;
mod stages;
mod transform;

use crate::{
    buffer::Pool,
    cancel::Cancel,
    compress::Compression,
    engine::Engine,
    hash::Hashers,
    limits::CHUNK_BYTES,
    progress::Progress,
    sink::{FileSink, SinkOptions},
    source::{FileSource, Piece, SourceOptions, Stop, has_peer},
};
use fan_out::{FanOut, Outlet};
use flume::{Receiver, bounded};
use pace::Pace;
use rustix::fs::{FileType, fstat};
use stages::{HOLE_STEP_BYTES, Hashing, Reading, hash_stage, read_stage, write_stage};
use std::{
    fmt, io,
    num::NonZeroU64,
    os::fd::OwnedFd,
    panic::resume_unwind,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
    thread::{self, Scope, ScopedJoinHandle},
    time::Duration,
};
use transform::{Transforming, transform_stage};

/// Pieces that wait between two stages: enough to even out their pace, few enough that they are still
/// in a CPU's cache when their turn comes.
const QUEUED_PIECES: usize = 1;

/// Pieces that wait for all the sinks together, where one that is slow is left behind.
const QUEUED_FOR_SLOW: usize = 64;

/// What is read.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) file: OwnedFd,
    pub(crate) options: SourceOptions,
    /// The most bytes a second, on average.
    pub(crate) rate: Option<NonZeroU64>,
}

/// Where bytes go.
#[derive(Debug)]
pub(crate) struct Output {
    /// An empty file, one that is written from [`SinkOptions::to`] on, or one without offsets.
    pub(crate) file: OwnedFd,
    pub(crate) options: SinkOptions,
}

/// What becomes of the other sinks when one fails or is slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Together {
    pub(crate) stop_on: StopOn,
    /// Whether the others get nothing more then, not even what was read: nobody uses what they have.
    pub(crate) gives_up: bool,
    /// A sink that takes nothing for so long is left behind; without it, all wait for the slowest.
    pub(crate) patience: Option<Duration>,
}

/// Which failure ends it for all sinks. What was read until then still goes to the others, unless all is
/// [given up](Together::gives_up).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopOn {
    /// That of any.
    AnyFailure,
    /// A pipe that nobody reads any more.
    BrokenPipe,
    /// That of any other sink than such a pipe.
    OtherThanBrokenPipe,
    /// That of the last.
    LastFailure,
}

impl Together {
    /// All sinks get everything, or the whole work fails.
    pub(crate) const ALL_OR_NONE: Self = Self { stop_on: StopOn::AnyFailure, gives_up: true, patience: None };

    /// Whether a sink that ends by `stop` ends it for all.
    pub(crate) fn ends_all(self, stop: &Stop) -> bool {
        let is_broken_pipe =
            matches!(stop, Stop::Write(error, _) if error.kind() == io::ErrorKind::BrokenPipe);
        match self.stop_on {
            StopOn::AnyFailure => true,
            StopOn::BrokenPipe => is_broken_pipe,
            StopOn::OtherThanBrokenPipe => !is_broken_pipe,
            StopOn::LastFailure => false,
        }
    }
}

/// Told at once when a sink ends before the source, by any thread.
pub(crate) trait OnFailed: fmt::Debug + Sync {
    /// The sink of this `number` ended because of `stop`.
    fn failed(&self, number: usize, stop: &Stop);
}

/// What is read, and what is done with it.
#[derive(Debug)]
pub(crate) struct Pipeline<'a> {
    pub(crate) input: Input,
    /// What is done to the bytes before they are hashed and written.
    pub(crate) compression: Option<Compression>,
    /// States to take the bytes into: fresh ones, or what came in front.
    pub(crate) hashers: Hashers,
    pub(crate) outputs: Vec<Output>,
    pub(crate) together: Together,
    pub(crate) cancel: &'a Cancel,
    /// Bytes of the source that were handed on, those in front of it included.
    pub(crate) progress: &'a Progress,
    pub(crate) on_failed: Option<&'a dyn OnFailed>,
}

/// What went through a pipeline.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Bytes of the source up to its end, or to where nobody took them any more.
    pub(crate) read: u64,
    /// The states behind the last byte.
    pub(crate) hashers: Hashers,
    /// How far each sink came, in their order.
    pub(crate) sinks: Vec<Result<u64, Stop>>,
}

impl Pipeline<'_> {
    /// Runs to the end of the source. Blocks the calling thread.
    ///
    /// # Errors
    ///
    /// Whatever ends the reading; what ends a sink is in [`Flow::sinks`].
    pub(crate) fn run<E: Engine>(self) -> Result<Flow, Stop> {
        if self.is_short().map_err(Stop::Engine)? {
            now(self.run_here::<E>())
        } else {
            self.run_stages::<E>()
        }
    }

    /// [`run`](Self::run) by the calling thread alone, which is best where other threads do the same with
    /// other files. Where it would wait for a peer, or compress, each stage has a thread all the same.
    pub(crate) fn run_on_one_thread<E: Engine>(self) -> Result<Flow, Stop> {
        if self.can_run_here().map_err(Stop::Engine)? {
            now(self.run_here::<E>())
        } else {
            self.run_stages::<E>()
        }
    }

    /// Whether one thread can do it, waiting for no peer.
    fn can_run_here(&self) -> io::Result<bool> {
        for file in self.outputs.iter().map(|output| &output.file).chain([&self.input.file]) {
            if has_peer(file)? {
                return Ok(false);
            }
        }
        Ok(self.compression.is_none())
    }

    /// Whether one thread does it.
    fn is_short(&self) -> io::Result<bool> {
        if !self.can_run_here()? {
            return Ok(false);
        }
        if self.input.rate.is_some() {
            return Ok(false);
        }
        let stat = fstat(&self.input.file)?;
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(is_regular && usize::try_from(stat.st_size).is_ok_and(|size| size <= CHUNK_BYTES))
    }

    async fn run_here<E: Engine>(self) -> Result<Flow, Stop> {
        let Self { input, hashers, outputs, together, cancel, progress, on_failed, .. } = self;
        let pool = Pool::new(CHUNK_BYTES, 1);
        let mut source = FileSource::<E>::new(input.file, input.options).map_err(Stop::Engine)?;
        let mut hashing = Hashing::new(hashers, cancel);
        if !hashing.is_empty() {
            source.limit_holes(HOLE_STEP_BYTES);
        }
        let mut sinks: Vec<Result<FileSink<E>, Stop>> = outputs
            .into_iter()
            .map(|output| FileSink::new(output.file, output.options, cancel.clone()).map_err(Stop::Engine))
            .collect();
        while let Some(piece) = source.next(&pool, cancel).await? {
            hashing.take(&piece)?;
            for (number, place) in sinks.iter_mut().enumerate() {
                if let Ok(sink) = place
                    && let Err(stop) = sink.put(piece.clone()).await
                {
                    if let Some(told) = on_failed {
                        told.failed(number, &stop);
                    }
                    *place = Err(stop);
                }
            }
            progress.set(source.offset());
            let mut failures = sinks.iter().filter_map(|sink| sink.as_ref().err());
            let is_last = !sinks.is_empty() && sinks.iter().all(Result::is_err);
            if is_last || failures.any(|stop| together.ends_all(stop)) {
                break;
            }
        }
        let mut ended = Vec::with_capacity(sinks.len());
        for sink in sinks {
            ended.push(match sink {
                Ok(sink) => Ok(sink.finish()),
                Err(stop) => Err(stop),
            });
        }
        Ok(Flow { read: source.offset(), hashers: hashing.into_states(), sinks: ended })
    }

    fn run_stages<E: Engine>(self) -> Result<Flow, Stop> {
        let Self { input, compression, hashers, outputs, together, cancel, progress, on_failed } = self;
        // Set when nobody takes pieces any more, while the reader may be waiting for its peer.
        let abandoned = &Cancel::new();
        // Set when one sink failed for all: another may be waiting for its peer.
        let given_up = &Cancel::new();
        // Set when the source came to its end.
        let is_whole = &AtomicBool::new(false);
        let left = &AtomicUsize::new(outputs.len());
        let hashing = Hashing::new(hashers, cancel);
        let hashes_here = !hashing.is_empty() || outputs.is_empty();
        let queued = match together.patience {
            Some(_) => QUEUED_FOR_SLOW.div_ceil(outputs.len().max(1)),
            None => QUEUED_PIECES,
        };
        let at_panic = [abandoned, given_up];
        let pace = input.rate.map(Pace::new);
        let comes_when_it_comes = has_peer(&input.file).map_err(Stop::Engine)?;
        let has_work_with_zeros = !hashing.is_empty() || compression.is_some();
        let hole_bytes = if has_work_with_zeros { HOLE_STEP_BYTES } else { u64::MAX };
        let reading = Reading { input, pace, cancel, abandoned, progress, hole_bytes, is_whole };
        thread::scope(|scope| {
            let _alarm = Alarm(at_panic);
            let mut outlets = Vec::new();
            let mut writers = Vec::new();
            for (number, output) in outputs.into_iter().enumerate() {
                let (give, pieces) = bounded(queued);
                let left_behind = Cancel::new();
                outlets.push(Outlet::new(give, left_behind.clone()));
                let write = move || {
                    let written = write_stage::<E>(output, &pieces, cancel, &left_behind, given_up);
                    let is_last = left.fetch_sub(1, Ordering::AcqRel) == 1;
                    let ends_all = written.as_ref().is_err_and(|stop| together.ends_all(stop));
                    if ends_all && together.gives_up {
                        given_up.cancel();
                    }
                    if is_last || ends_all {
                        abandoned.cancel();
                    }
                    if let (Err(stop), Some(told)) = (&written, on_failed) {
                        told.failed(number, stop);
                    }
                    written
                };
                writers.push(start(scope, at_panic, "afx-write", write).inspect_err(|_| abandoned.cancel())?);
            }
            let mut next = FanOut::new(outlets, together);
            let mut here = None;
            if hashes_here {
                let (give, pieces): (_, Receiver<Piece>) = bounded(QUEUED_PIECES);
                here = Some((pieces, std::mem::replace(&mut next, FanOut::to_one(give))));
            }
            let mut transforming = None;
            if let Some(compression) = compression {
                let (give, pieces) = bounded(QUEUED_PIECES);
                let forward = std::mem::replace(&mut next, FanOut::to_one(give));
                let transform = move || {
                    let ended = Transforming::new(compression, forward, cancel).and_then(|transforming| {
                        transform_stage(transforming, &pieces, comes_when_it_comes, is_whole)
                    });
                    abandoned.cancel();
                    ended
                };
                let started = start(scope, at_panic, "afx-compress", transform);
                transforming = Some(started.inspect_err(|_| abandoned.cancel())?);
            }
            let reader = start(scope, at_panic, "afx-read", move || read_stage::<E>(reading, next));
            let reader = reader.inspect_err(|_| abandoned.cancel())?;
            let hashed = match here {
                Some((pieces, forward)) => hash_stage(hashing, &pieces, forward),
                None => Ok(Hashers::new(&[])),
            };
            if hashes_here && (hashed.is_err() || left.load(Ordering::Acquire) == 0) {
                abandoned.cancel();
            }
            let sinks = writers.into_iter().map(join).collect();
            let outcome = transforming.map_or(Ok(()), join);
            let read = join(reader)?;
            outcome?;
            Ok(Flow { read, hashers: hashed?, sinks })
        })
    }
}

/// Runs a stage on this thread: on an engine if it may have to wait for a peer.
fn run_stage<E: Engine>(waits: bool, stage: impl Future<Output = Result<u64, Stop>>) -> Result<u64, Stop> {
    if waits { E::run(stage).map_err(Stop::Engine)? } else { now(stage) }
}

/// The output of a future that waits for nobody.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("plain calls do not suspend"),
    }
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    at_panic: [&'scope Cancel; 2],
    name: &str,
    stage: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Stop> {
    let stage = move || {
        let _alarm = Alarm(at_panic);
        stage()
    };
    thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, stage).map_err(Stop::Engine)
}

/// Goes off in a stage that panics: the others end, also where they wait for a peer, and the panic comes through.
#[derive(Debug)]
struct Alarm<'a>([&'a Cancel; 2]);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.iter().for_each(|flag| flag.cancel());
        }
    }
}

fn join<T>(stage: ScopedJoinHandle<'_, T>) -> T {
    stage.join().unwrap_or_else(|panic| resume_unwind(panic))
}
