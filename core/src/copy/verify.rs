//! What was written, read back past the page cache.

use super::{
    options::{CopyOptions, ReadBack},
    pipeline_error,
};
use crate::{
    engine::{Descriptor, Engine},
    error::{Context, Error, Operation, Result},
    hash::{Digest, Hashers},
    pipeline::{Input, Pipeline, Together},
    progress::Progress,
    source::SourceOptions,
};
use rustix::{
    fs::{Advice, Mode, OFlags, SeekFrom, fadvise, fstat, open, seek},
    io::Errno,
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

/// Bytes between two looks at what the page cache holds.
const LOOK_EVERY_BYTES: u64 = 1024 * 1024;

/// Between two attempts to have the kernel forget pages: so short in all that it does not matter where there is
/// only the cache, as on tmpfs.
const DROP_PAUSES: [Duration; 3] =
    [Duration::from_millis(1), Duration::from_millis(3), Duration::from_millis(6)];

/// Reads the synced `file` back and compares it with `expected`.
///
/// # Errors
///
/// Those of `read(2)`; kind `InvalidData` where the bytes are others than those that were written.
pub(super) fn read_back<E: Engine>(
    file: BorrowedFd<'_>,
    path: &Path,
    expected: &Digest,
    options: &CopyOptions,
) -> Result<ReadBack> {
    let (input, from) = past_the_cache(file).operation(Operation::Open, path)?;
    let source = SourceOptions { past_cache: true, ..SourceOptions::default() };
    let pipeline = Pipeline {
        input: Input { file: input, options: source, rate: None },
        compression: None,
        hashers: Hashers::new(&[expected.algorithm()]),
        outputs: Vec::new(),
        together: Together::ALL_OR_NONE,
        cancel: &options.cancel,
        progress: &Progress::new(),
        on_failed: None,
    };
    let flow = pipeline.run::<E>().map_err(|stop| pipeline_error(stop, path, path))?;
    if options.drop_cache {
        // It may have gone through the page cache all the same.
        let _ = fadvise(file, 0, None, Advice::DontNeed);
    }
    if flow.hashers.finish().first() == Some(expected) {
        return Ok(from);
    }
    let reason = "what was read back is not what was written";
    Err(Error::refused(Operation::Verify, io::ErrorKind::InvalidData, reason).with_path(path))
}

/// The file once more, to be read from the device if that can be.
///
/// It is read with `O_DIRECT` where it takes that, but that alone says little: tmpfs takes it, and other file
/// systems read through the page cache all the same. What counts is that the page cache holds nothing of it.
fn past_the_cache(file: BorrowedFd<'_>) -> io::Result<(OwnedFd, ReadBack)> {
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    let again = open(&again, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(io::Error::from)?;
    let from = if is_dropped(&again)? { ReadBack::Device } else { ReadBack::Cache };
    Ok((again, from))
}

/// Has the kernel forget the clean pages of `file`; whether it did. A page that somebody looks at in this moment
/// stays, so it is tried again.
fn is_dropped(file: &OwnedFd) -> io::Result<bool> {
    for pause in DROP_PAUSES {
        if is_dropped_now(file)? {
            return Ok(true);
        }
        thread::sleep(pause);
    }
    is_dropped_now(file)
}

fn is_dropped_now(file: &OwnedFd) -> io::Result<bool> {
    let size = u64::try_from(fstat(file)?.st_size).unwrap_or(0);
    // Looked at, it would come back.
    let _ = fadvise(file, 0, None, Advice::Random);
    let file: Arc<Descriptor> = Descriptor::own(file.as_fd().try_clone_to_owned()?)?;
    file.drop_cached(0, size);
    let mut offset = 0;
    // A hole is read without the device, and would look as if it were cached.
    while let Some(data) = data_from(&file, offset).filter(|data| *data < size) {
        if file.is_cached(data)? {
            return Ok(false);
        }
        offset = data.saturating_add(LOOK_EVERY_BYTES);
    }
    Ok(true)
}

/// Where the file has bytes, from `offset` on; `None` when there is only a hole left, or nothing.
fn data_from(file: &Descriptor, offset: u64) -> Option<u64> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Some(data),
        Err(Errno::NXIO) => None,
        // The file system keeps no such list.
        Err(_) => Some(offset),
    }
}
