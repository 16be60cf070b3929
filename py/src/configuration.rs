//! What a program may set, in force for the whole process.

use crate::file::{self, ARENA_BYTES};
use afx_core::engine::limit_staged_bytes;
use afx_core::limits::{IDLE_BUFFER_BYTES, IN_FLIGHT_BYTES, RING_ENTRIES};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

static QUEUE_DEPTH: AtomicU32 = AtomicU32::new(RING_ENTRIES);
static BUFFER_BYTES: AtomicUsize = AtomicUsize::new(IN_FLIGHT_BYTES);
static IDLE_BYTES: AtomicUsize = AtomicUsize::new(IDLE_BUFFER_BYTES);

/// The most operations that one call has in flight, and the entries of rings that are made.
pub(crate) fn queue_depth() -> u32 {
    QUEUE_DEPTH.load(Ordering::Relaxed)
}

/// Bytes of buffers in use above which no more is read ahead.
pub(crate) fn buffer_bytes() -> usize {
    BUFFER_BYTES.load(Ordering::Relaxed)
}

/// Bytes of unused buffers that are kept.
pub(crate) fn idle_bytes() -> usize {
    IDLE_BYTES.load(Ordering::Relaxed)
}

/// Puts settings in force that were found valid.
#[pyfunction]
pub(crate) fn configure(queue_depth: u32, buffer_bytes: usize, idle_bytes: usize) {
    QUEUE_DEPTH.store(queue_depth, Ordering::Relaxed);
    BUFFER_BYTES.store(buffer_bytes, Ordering::Relaxed);
    IDLE_BYTES.store(idle_bytes, Ordering::Relaxed);
    limit_staged_bytes(buffer_bytes);
    file::trim();
}

/// Bytes of the buffers in use.
#[pyfunction]
pub(crate) fn buffer_bytes_in_use() -> usize {
    file::in_use_bytes()
}

/// Bytes of the unused buffers that are kept.
#[pyfunction]
pub(crate) fn idle_buffer_bytes() -> usize {
    file::idle_bytes()
}

/// Whether there is room for the buffer of one more thread that reads many files.
#[pyfunction]
pub(crate) fn has_arena() -> bool {
    file::has_room_for(ARENA_BYTES)
}
