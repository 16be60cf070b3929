//! One read of a source, with everything that is done to its bytes: one thread per stage.
//!
//! Hashing happens on the calling thread. Between two stages stands a bounded channel, so the slowest
//! stage sets the pace and memory stays the same whatever the size of the file. A file of one chunk is
//! done by the calling thread alone: starting the others takes longer.

use crate::{
    buffer::Pool,
    cancel::Cancel,
    engine::Engine,
    hash::{Algorithm, Digest, Hasher},
    limits::{CHUNK_BYTES, PIPELINE_SLOTS},
    progress::Progress,
    sink::FileSink,
    source::{FileSource, Piece, Stop, has_peer},
};
use flume::{Receiver, Sender, bounded};
use rustix::fs::{FileType, fstat};
use std::{
    io,
    os::fd::OwnedFd,
    panic::resume_unwind,
    pin::pin,
    task::{Context, Poll, Waker},
    thread::{self, Scope, ScopedJoinHandle},
};

/// Pieces that wait between two stages: enough to even out their pace, few enough that they are still
/// in a CPU's cache when their turn comes.
const QUEUED_PIECES: usize = 1;

/// Zeros of a hole that are hashed between two looks at the cancel flag.
const HOLE_STEP_BYTES: u64 = 64 * 1024 * 1024;

/// What is read, and what is done with it.
#[derive(Debug)]
pub(crate) struct Pipeline<'a> {
    pub(crate) source: OwnedFd,
    /// Read from the file's own position instead of its start.
    pub(crate) from_own_position: bool,
    /// An empty file, or one without offsets.
    pub(crate) sink: Option<OwnedFd>,
    pub(crate) hash: Option<Algorithm>,
    pub(crate) cancel: &'a Cancel,
    pub(crate) progress: &'a Progress,
}

/// What went through a pipeline.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) bytes: u64,
    pub(crate) digest: Option<Digest>,
}

impl Pipeline<'_> {
    /// Runs to the end of the source. Blocks the calling thread.
    pub(crate) fn run<E: Engine>(self) -> Result<Flow, Stop> {
        if self.is_short().map_err(Stop::Engine)? {
            now(self.run_here::<E>())
        } else {
            self.run_stages::<E>()
        }
    }

    /// Whether one thread does it, waiting for no peer.
    fn is_short(&self) -> io::Result<bool> {
        let waits = has_peer(&self.source)? || self.sink.as_ref().map(has_peer).transpose()?.unwrap_or(false);
        let stat = fstat(&self.source)?;
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(!waits && is_regular && usize::try_from(stat.st_size).is_ok_and(|size| size <= CHUNK_BYTES))
    }

    async fn run_here<E: Engine>(self) -> Result<Flow, Stop> {
        let Self { source, from_own_position, sink, hash, cancel, progress } = self;
        let pool = Pool::new(CHUNK_BYTES, 1);
        let mut source = FileSource::<E>::new(source, from_own_position).map_err(Stop::Engine)?;
        let sink = sink.map(|sink| FileSink::<E>::new(sink, progress.clone(), cancel.clone())).transpose();
        let mut sink = sink.map_err(Stop::Engine)?;
        let mut hashing = hash.map(|algorithm| Hashing::new(algorithm, cancel));
        while let Some(piece) = source.next(&pool, cancel).await? {
            if let Some(hashing) = &mut hashing {
                hashing.take(&piece)?;
            }
            match &mut sink {
                Some(sink) => sink.put(piece).await?,
                None => progress.set(source.offset()),
            }
        }
        Ok(Flow { bytes: source.offset(), digest: hashing.map(Hashing::finish) })
    }

    fn run_stages<E: Engine>(self) -> Result<Flow, Stop> {
        let Self { source, from_own_position, sink, hash, cancel, progress } = self;
        // Set when nobody takes pieces any more, while the reader may be waiting for its peer.
        let abandoned = &Cancel::new();
        let read =
            |pieces: Sender<Piece>| read_stage::<E>(source, from_own_position, &pieces, [cancel, abandoned]);
        let write = |sink: OwnedFd, pieces: Receiver<Piece>| {
            let written = write_stage::<E>(sink, &pieces, cancel, progress);
            abandoned.cancel();
            written
        };
        let hash_all =
            |hashing: Option<Hashing<'_>>, pieces: Receiver<Piece>, forward: Option<Sender<Piece>>| {
                let digest = hash_stage(hashing, &pieces, forward.as_ref(), progress);
                abandoned.cancel();
                digest.transpose()
            };
        let hashing = hash.map(|algorithm| Hashing::new(algorithm, cancel));
        thread::scope(|scope| {
            let (give, pieces) = bounded(QUEUED_PIECES);
            let reader = start(scope, "afx-read", move || read(give))?;
            let (written, digest) = match sink {
                None => (None, hash_all(hashing, pieces, None)),
                Some(sink) if hashing.is_none() => {
                    let writer = start(scope, "afx-write", move || write(sink, pieces));
                    let writer = writer.inspect_err(|_| abandoned.cancel())?;
                    (Some(join(writer)), None)
                }
                Some(sink) => {
                    let (forward, handed_on) = bounded(QUEUED_PIECES);
                    let writer = start(scope, "afx-write", move || write(sink, handed_on));
                    let writer = writer.inspect_err(|_| abandoned.cancel())?;
                    let digest = hash_all(hashing, pieces, Some(forward));
                    (Some(join(writer)), digest)
                }
            };
            conclude(join(reader), written, digest)
        })
    }
}

/// Gives what the source has; ends early, without an error, when nobody takes it any more.
fn read_stage<E: Engine>(
    source: OwnedFd,
    from_own_position: bool,
    pieces: &Sender<Piece>,
    [cancel, abandoned]: [&Cancel; 2],
) -> Result<u64, Stop> {
    let pool = Pool::new(CHUNK_BYTES, PIPELINE_SLOTS);
    let waits = has_peer(&source).map_err(Stop::Engine)?;
    run_stage::<E>(waits, async {
        let mut source = FileSource::<E>::new(source, from_own_position).map_err(Stop::Engine)?;
        while let Some(next) = abandoned.unless_cancelled(source.next(&pool, cancel)).await {
            let Some(piece) = next? else { break };
            if pieces.send(piece).is_err() {
                break;
            }
        }
        Ok(source.offset())
    })
}

fn write_stage<E: Engine>(
    sink: OwnedFd,
    pieces: &Receiver<Piece>,
    cancel: &Cancel,
    progress: &Progress,
) -> Result<u64, Stop> {
    let waits = has_peer(&sink).map_err(Stop::Engine)?;
    run_stage::<E>(waits, async {
        let mut sink = FileSink::<E>::new(sink, progress.clone(), cancel.clone()).map_err(Stop::Engine)?;
        while let Ok(piece) = pieces.recv() {
            sink.put(piece).await?;
        }
        Ok(sink.offset())
    })
}

/// Hashes everything that comes and hands it on; ends early when nobody takes it any more.
fn hash_stage(
    mut hashing: Option<Hashing<'_>>,
    pieces: &Receiver<Piece>,
    forward: Option<&Sender<Piece>>,
    progress: &Progress,
) -> Result<Option<Digest>, Stop> {
    let mut offset = 0;
    while let Ok(piece) = pieces.recv() {
        offset += piece.len();
        if let Some(hashing) = &mut hashing {
            hashing.take(&piece)?;
        }
        match forward {
            Some(forward) if forward.send(piece).is_err() => break,
            Some(_) => {}
            None => progress.set(offset),
        }
    }
    Ok(hashing.map(Hashing::finish))
}

/// A hash under way, which looks at the cancel flag.
struct Hashing<'a> {
    hasher: Hasher,
    cancel: &'a Cancel,
}

impl<'a> Hashing<'a> {
    fn new(algorithm: Algorithm, cancel: &'a Cancel) -> Self {
        Self { hasher: Hasher::new(algorithm), cancel }
    }

    fn take(&mut self, piece: &Piece) -> Result<(), Stop> {
        let mut left = match piece {
            Piece::Data(chunk) => {
                self.hasher.update(chunk.bytes());
                return Ok(());
            }
            Piece::Hole(len) => *len,
        };
        // A hole may be large enough to keep a CPU busy for hours.
        while left > 0 {
            if self.cancel.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            let part = left.min(HOLE_STEP_BYTES);
            self.hasher.update_zeros(part);
            left -= part;
        }
        Ok(())
    }

    fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

/// What came of the stages: the first reason to stop, by the order of the stages, or what flowed.
fn conclude(
    read: Result<u64, Stop>,
    written: Option<Result<u64, Stop>>,
    digest: Option<Result<Digest, Stop>>,
) -> Result<Flow, Stop> {
    let read = read?;
    let digest = digest.transpose()?;
    let bytes = written.transpose()?.unwrap_or(read);
    Ok(Flow { bytes, digest })
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
    name: &str,
    stage: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Stop> {
    thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, stage).map_err(Stop::Engine)
}

fn join<T>(stage: ScopedJoinHandle<'_, T>) -> T {
    stage.join().unwrap_or_else(|panic| resume_unwind(panic))
}
