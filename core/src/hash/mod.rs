//! Digests of files, and the check files that list them.
//!
//! [`hash_file`] reads on one thread and hashes on another. What it prints and reads back, and how
//! names with a newline in them survive that, is in [`checkfile`].

mod algorithm;
mod backend;
pub mod checkfile;
mod digest;
mod hasher;

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
use std::{io, os::fd::OwnedFd, path::Path};

/// How to stop a hash, and how to see how far it is.
#[derive(Clone, Debug, Default)]
pub struct HashOptions {
    /// Set to stop.
    pub cancel: Cancel,
    /// Bytes hashed so far.
    pub progress: Progress,
}

/// A digest, and of how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The digest.
    pub digest: Digest,
    /// Bytes that were hashed; more or fewer than the file's size if it changed meanwhile.
    pub bytes: u64,
}

/// Hashes the file `path` from its start to its end. Blocks the calling thread.
///
/// Any file that can be read will do: pipes, devices, and files of `/proc`, whose size says nothing.
/// Holes are hashed as zeros without being read.
///
/// # Errors
///
/// Those of `open(2)` and `read(2)`, naming the offset; kind `Interrupted` once
/// [`cancel`](HashOptions::cancel) is set.
pub fn hash_file<E: Engine>(path: &Path, algorithm: Algorithm, options: &HashOptions) -> Result<Hashed> {
    let source = open_cancellable(path, OFlags::RDONLY, &options.cancel)?;
    hash_with::<E>(source, false, path, algorithm, options)
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
    algorithm: Algorithm,
    options: &HashOptions,
) -> Result<Hashed> {
    hash_with::<E>(file, true, name, algorithm, options)
}

fn hash_with<E: Engine>(
    source: OwnedFd,
    from_own_position: bool,
    name: &Path,
    algorithm: Algorithm,
    options: &HashOptions,
) -> Result<Hashed> {
    let HashOptions { cancel, progress } = options;
    let from = if from_own_position { Place::Own } else { Place::default() };
    let pipeline = Pipeline {
        input: Input {
            file: source,
            options: SourceOptions { from, ..SourceOptions::default() },
            rate: None,
        },
        compression: None,
        hashers: Hashers::new(&[algorithm]),
        outputs: Vec::new(),
        together: Together::ALL_OR_NONE,
        cancel,
        progress,
    };
    match pipeline.run::<E>().map(|flow| (flow.read, flow.hashers.finish().first().copied())) {
        Ok((bytes, Some(digest))) => Ok(Hashed { digest, bytes }),
        Ok((_, None)) => {
            let cause = io::Error::other("the pipeline was asked for a digest and gave none");
            Err(Error::new(Operation::Read, cause).with_path(name))
        }
        Err(Stop::Engine(cause)) => Err(Error::new(Operation::StartEngine, cause)),
        Err(Stop::Read(cause, offset) | Stop::Write(cause, offset)) => {
            Err(Error::new(Operation::Read, cause).with_path(name).with_offset(offset))
        }
        Err(Stop::Sync(cause) | Stop::Transform(cause, _)) => {
            Err(Error::new(Operation::Read, cause).with_path(name))
        }
        Err(Stop::Cancelled | Stop::LeftBehind(_)) => Err(cancelled(Operation::Read, name)),
    }
}
