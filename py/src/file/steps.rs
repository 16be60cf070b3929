//! Large writes: step by step, the room for each reserved first.

use super::Core;
use afx_core::{buffer::Chunk, engine::Descriptor, limits::WRITE_STEP_BYTES};
use rustix::fs::{FallocateFlags, fallocate, fstat};
use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

/// How a file takes steps.
#[derive(Default)]
pub(super) struct Steps {
    /// The file system cannot reserve room, or has none.
    reserves_nothing: AtomicBool,
}

impl Steps {
    /// Writes the first step of `rest`: how many bytes the kernel took.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`. A step that fails, or that the process is killed in, may leave its room reserved
    /// behind the end of the file.
    pub(super) fn write(&self, file: &Descriptor, rest: &Chunk, offset: Option<u64>) -> io::Result<usize> {
        let step = rest.slice(0..rest.len().min(WRITE_STEP_BYTES));
        if let Some(offset) = offset.filter(|_| step.len() == WRITE_STEP_BYTES) {
            self.reserve(file, offset);
        }
        Core::written(file.write_chunk_blocking(&step, offset), step.len())
    }

    /// Reserves room for a step that makes the file longer, where that can be done: 4 to 6 % of the time
    /// that the step takes on ext4.
    fn reserve(&self, file: &Descriptor, offset: u64) {
        if self.reserves_nothing.load(Ordering::Relaxed) {
            return;
        }
        let size = fstat(file).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
        if size <= offset {
            // Where there is no room, the write says how much there is.
            let reserved = fallocate(file, FallocateFlags::KEEP_SIZE, offset, WRITE_STEP_BYTES as u64);
            self.reserves_nothing.store(reserved.is_err(), Ordering::Relaxed);
        }
    }
}
