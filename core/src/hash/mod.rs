//! Digests of files, and the check files that list them.
//!
//! [`hash_file`] reads on one thread and hashes on another, several algorithms in one pass if asked. A
//! large file is hashed by all CPUs where the algorithm allows it (BLAKE3). What is printed and read back,
//! and how names with a newline in them survive that, is in [`checkfile`].

mod algorithm;
mod backend;
pub mod checkfile;
mod digest;
mod hasher;
mod parallel;
mod tree;

pub use algorithm::Algorithm;
pub use backend::cpu_backend;
pub use digest::Digest;
pub use hasher::{Hasher, Hashers};

use crate::{
    cancel::{Cancel, cancelled},
    engine::Engine,
    error::{Error, Operation, Result},
    pipeline::{Input, Pipeline, Together},
    progress::Progress,
    source::{Place, SourceOptions, Stop, open_cancellable},
};
use rustix::fs::OFlags;
use std::{num::NonZero, os::fd::OwnedFd, path::Path, thread};
use tracing::debug;

/// How to stop a hash, how to see how far it is, and what it may use.
#[derive(Clone, Debug, Default)]
pub struct HashOptions {
    /// Set to stop.
    pub cancel: Cancel,
    /// Bytes hashed so far.
    pub progress: Progress,
    /// Threads that work on the file, the calling one included; `None` for as many as there are CPUs.
    /// With one, which is best where several files are hashed at the same time, each byte is hashed where
    /// it has just been read to.
    pub threads: Option<NonZero<usize>>,
}

/// Digests, and of how many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// One digest for each algorithm, in their order.
    pub digests: Vec<Digest>,
    /// Bytes that were hashed; more or fewer than the file's size if it changed meanwhile.
    pub bytes: u64,
}

/// Hashes the file `path` from its start to its end, with all `algorithms` in one pass. Blocks the calling
/// thread.
///
/// Any file that can be read will do: pipes, devices, and files of `/proc`, whose size says nothing.
/// Holes are hashed as zeros without being read. An algorithm that is named more than once has one digest.
///
/// # Errors
///
/// Those of `open(2)` and `read(2)`, naming the offset; kind `Interrupted` once
/// [`cancel`](HashOptions::cancel) is set.
pub fn hash_file<E: Engine>(path: &Path, algorithms: &[Algorithm], options: &HashOptions) -> Result<Hashed> {
    let source = open_cancellable(path, OFlags::RDONLY, &options.cancel)?;
    hash_with::<E>(source, false, algorithms, options).map_err(|stop| error(stop, path))
}

/// Hashes an open file from its own position to its end, which becomes its position. `name` stands
/// in errors. Blocks the calling thread.
///
/// # Errors
///
/// Those of [`hash_file`], without opening.
pub fn hash_open_file<E: Engine>(
    file: OwnedFd,
    name: &Path,
    algorithms: &[Algorithm],
    options: &HashOptions,
) -> Result<Hashed> {
    hash_with::<E>(file, true, algorithms, options).map_err(|stop| error(stop, name))
}

fn hash_with<E: Engine>(
    source: OwnedFd,
    from_own_position: bool,
    algorithms: &[Algorithm],
    options: &HashOptions,
) -> Result<Hashed, Stop> {
    let HashOptions { cancel, progress, threads } = options;
    let threads = threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
    if !from_own_position && parallel::suits(&source, algorithms, threads).map_err(Stop::Engine)? {
        debug!(threads, "hashing pieces of one file");
        let (digest, bytes) = parallel::hash::<E>(source, threads, cancel, progress)?;
        return Ok(Hashed { digests: vec![digest], bytes });
    }
    debug!(threads = if threads == 1 { 1 } else { 2 }, "hashing from start to end");
    let from = if from_own_position { Place::Own } else { Place::default() };
    let options = SourceOptions { from, ..SourceOptions::default() };
    let pipeline = Pipeline {
        input: Input { file: source, options, rate: None },
        compression: None,
        hashers: Hashers::new(algorithms),
        outputs: Vec::new(),
        together: Together::ALL_OR_NONE,
        cancel,
        progress,
        on_failed: None,
    };
    let flow = if threads == 1 { pipeline.run_on_one_thread::<E>() } else { pipeline.run::<E>() }?;
    Ok(Hashed { digests: flow.hashers.finish(), bytes: flow.read })
}

fn error(stop: Stop, name: &Path) -> Error {
    match stop {
        Stop::Engine(cause) => Error::new(Operation::StartEngine, cause),
        Stop::Read(cause, offset) | Stop::Write(cause, offset) => {
            Error::new(Operation::Read, cause).with_path(name).with_offset(offset)
        }
        Stop::Sync(cause) | Stop::Transform(cause, _) => Error::new(Operation::Read, cause).with_path(name),
        Stop::Cancelled | Stop::LeftBehind(_) => cancelled(Operation::Read, name),
    }
}
