//! Whole files: read into memory, or made to hold what is in memory.
//!
//! [`fill`] is the loop beneath: it continues short reads until a buffer is full or the file ends.
//! [`fill_blocking`] is the same loop in plain system calls, for a thread that has no engine and may
//! wait.

use crate::{
    buffer::{Chunk, Slot},
    engine::{Descriptor, Engine, FileKind, blocking},
    error::{Context, Error, Operation, Result},
    limits::{TRANSFER_BYTES, UNKNOWN_SIZE_BYTES},
};
use rustix::fs::{Mode, OFlags};
use std::{ffi::CString, io, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

/// Reads at `offset` until `slot` is full or the file ends.
///
/// Returns how many bytes arrived, which is less than the room only at end of file. After an error
/// the slot holds what arrived before it.
///
/// # Errors
///
/// Those of `pread(2)`.
///
/// # Cancel safety
///
/// A dropped call loses the bytes it read; the file's own position is not used, so a new call at the
/// same offset finds them again.
pub async fn fill<E: Engine>(file: &E::File, slot: Slot, offset: u64) -> (io::Result<usize>, Slot) {
    fill_from::<E>(file, slot, Some(offset)).await
}

/// [`fill`] in plain system calls on this thread.
///
/// For a cached file nothing is faster; for any other the thread waits, so never call it on the
/// thread of an event loop.
///
/// # Errors
///
/// Those of `pread(2)`.
pub fn fill_blocking(file: &Arc<Descriptor>, mut slot: Slot, offset: u64) -> (io::Result<usize>, Slot) {
    let end = slot.capacity();
    let start = slot.len();
    loop {
        let read = slot.len() - start;
        if slot.len() == end {
            return (Ok(read), slot);
        }
        slot.limit(end.min(slot.len().saturating_add(TRANSFER_BYTES)));
        let (result, back) = blocking::read(file, slot, Some(offset.saturating_add(read as u64)));
        slot = back;
        slot.limit(end);
        match result {
            Ok(0) => return (Ok(read), slot),
            Ok(_) => {}
            Err(error) => return (Err(error), slot),
        }
    }
}

/// The whole content of the file `path`.
///
/// A size of zero is not believed, and neither is one of a file that grows: the file is read until
/// it ends, so `/proc`, pipes and terminals work as well.
///
/// # Errors
///
/// Those of `open(2)`, `read(2)` and, where memory for the size that the file claims cannot be had,
/// `ENOMEM`; a read names the offset it failed at.
///
/// # Cancel safety
///
/// Nothing is changed; bytes taken from a pipe are lost.
pub async fn read<E: Engine>(path: &Path) -> Result<Chunk> {
    let file = open::<E>(path, OFlags::RDONLY).await?;
    let (positional, size) = shape::<E>(&file).operation(Operation::Stat, path)?;
    // One byte more than the size, so that the end is seen without growing.
    let capacity = size.checked_add(1).filter(|_| size > 0).unwrap_or(UNKNOWN_SIZE_BYTES);
    let mut slot = Slot::try_with_capacity(capacity).operation(Operation::Read, path)?;
    loop {
        let offset = slot.len() as u64;
        let (result, back) = fill_from::<E>(&file, slot, positional.then_some(offset)).await;
        let failed_at = back.len() as u64;
        result.operation(Operation::Read, path).map_err(|error| error.with_offset(failed_at))?;
        if back.spare_len() > 0 {
            return Ok(back.freeze());
        }
        let capacity = back.capacity().saturating_mul(2);
        slot = Slot::try_with_capacity(capacity).operation(Operation::Read, path)?;
        slot.extend_from_slice(back.filled());
    }
}

/// Makes `content` the whole content of the file `path`, which is created if it is missing.
///
/// # Errors
///
/// Those of `open(2)` and `write(2)`; a write names the offset it failed at, below which the file
/// holds `content`.
///
/// # Cancel safety
///
/// A dropped call may leave any prefix of `content`.
///
/// # Durability
///
/// None: the bytes are the kernel's. The old content is gone at once; `copy` replaces atomically.
pub async fn write<E: Engine>(path: &Path, mut content: Chunk) -> Result<()> {
    let file = open::<E>(path, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC).await?;
    let (positional, _) = shape::<E>(&file).operation(Operation::Stat, path)?;
    let mut offset = 0;
    while !content.is_empty() {
        let part = content.slice(0..content.len().min(TRANSFER_BYTES));
        let (result, _) =
            if positional { E::write_at(&file, part, offset).await } else { E::write(&file, part).await };
        let written = result
            .and_then(|count| if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) })
            .operation(Operation::Write, path)
            .map_err(|error| error.with_offset(offset))?;
        content.advance(written);
        offset += written as u64;
    }
    E::close(file).await.operation(Operation::Close, path)
}

async fn open<E: Engine>(path: &Path, flags: OFlags) -> Result<E::File> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        Error::refused(Operation::Open, io::ErrorKind::InvalidInput, "the name holds a NUL byte")
            .with_path(path)
    })?;
    E::open(name, flags, Mode::from_raw_mode(0o666)).await.operation(Operation::Open, path)
}

/// Whether offsets mean anything for `file`, and the size it claims to have.
fn shape<E: Engine>(file: &E::File) -> io::Result<(bool, usize)> {
    let positional = FileKind::of(E::as_fd(file))? == FileKind::Seekable;
    let size = rustix::fs::fstat(E::as_fd(file))?.st_size;
    Ok((positional, usize::try_from(size).unwrap_or(0)))
}

/// Reads from `offset`, or whatever comes next, until `slot` is full or the file ends.
async fn fill_from<E: Engine>(
    file: &E::File,
    mut slot: Slot,
    offset: Option<u64>,
) -> (io::Result<usize>, Slot) {
    let end = slot.capacity();
    let start = slot.len();
    loop {
        let read = slot.len() - start;
        if slot.len() == end {
            return (Ok(read), slot);
        }
        slot.limit(end.min(slot.len().saturating_add(TRANSFER_BYTES)));
        let (result, back) = match offset {
            Some(offset) => E::read_at(file, slot, offset.saturating_add(read as u64)).await,
            None => E::read(file, slot).await,
        };
        slot = back;
        slot.limit(end);
        match result {
            Ok(0) => return (Ok(read), slot),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(error), slot),
        }
    }
}
