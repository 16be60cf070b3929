//! Buffers on loan to the kernel through monoio.
#![allow(unsafe_code, reason = "monoio's buffer traits are promises about raw memory")]

use super::{
    super::{descriptor::Descriptor, direct::MAX_TRANSFER_BYTES},
    run::InFlight,
};
use crate::buffer::{Chunk, Slot};
use monoio::buf::{IoBuf, IoBufMut};
use std::sync::Arc;

/// A buffer with what must last as long as the kernel has it. monoio keeps it until the completion, also when the
/// future of the operation is dropped, and a run does not end before (see [`run`](super::run)).
pub(super) struct Lent<B> {
    buffer: B,
    /// Its number is not used again meanwhile.
    _file: Arc<Descriptor>,
    _in_flight: InFlight,
}

impl<B> Lent<B> {
    pub(super) fn new(buffer: B, file: &Arc<Descriptor>, in_flight: InFlight) -> Self {
        Self { buffer, _file: file.clone(), _in_flight: in_flight }
    }

    /// The buffer, whose operation has completed.
    pub(super) fn give_back(self) -> B {
        self.buffer
    }
}

// SAFETY: the address lies in the slot's own memory on the heap, which stays in place when the slot moves, has
// room for `spare_len` bytes, and belongs to the slot alone until it is dropped.
unsafe impl IoBufMut for Lent<Slot> {
    fn write_ptr(&mut self) -> *mut u8 {
        self.buffer.spare_address().as_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        self.buffer.spare_len().min(MAX_TRANSFER_BYTES)
    }

    unsafe fn set_init(&mut self, read: usize) {
        // SAFETY: monoio says so after a completion only: the kernel wrote `read` bytes to `write_ptr`.
        unsafe { self.buffer.advance(read) }
    }
}

// SAFETY: the address lies in memory that the chunk keeps alive and in place, with `len` initialised bytes behind
// it which only the kernel looks at here.
unsafe impl IoBuf for Lent<Chunk> {
    fn read_ptr(&self) -> *const u8 {
        self.buffer.address().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.buffer.len().min(MAX_TRANSFER_BYTES)
    }
}
