//! A unique buffer that is read into.

use super::{Chunk, raw::Block, raw::Memory, raw::StableMemory};
use std::{io, ptr::NonNull, sync::Weak};

/// A unique buffer: `len` initialised bytes at its start, room for more up to its capacity.
///
/// A read appends: it fills the room behind what is there, so that a short read is continued by
/// handing the same slot to the next one.
#[derive(Debug)]
pub struct Slot {
    memory: Memory,
    len: usize,
    /// Where reads stop; never above the memory's own capacity.
    limit: usize,
}

impl Slot {
    /// An empty slot of its own memory, aligned for `O_DIRECT`.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::from_owned(Memory::own(Block::new(capacity), Weak::new()))
    }

    /// As [`with_capacity`](Self::with_capacity), for a capacity that a file or a peer asked for.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, where the memory cannot be had.
    pub fn try_with_capacity(capacity: usize) -> io::Result<Self> {
        let block = Block::try_new(capacity).ok_or_else(|| io::Error::from(rustix::io::Errno::NOMEM))?;
        Ok(Self::from_owned(Memory::own(block, Weak::new())))
    }

    /// An empty slot over somebody else's memory, which is dropped with the slot.
    pub fn from_memory(memory: Box<dyn StableMemory>) -> Self {
        Self::from_owned(Memory::Foreign(memory))
    }

    pub(super) fn from_owned(memory: Memory) -> Self {
        let limit = memory.capacity();
        Self { memory, len: 0, limit }
    }

    /// Bytes that were read or put in so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was read or put in.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most bytes that this slot takes.
    pub fn capacity(&self) -> usize {
        self.limit
    }

    /// Room left, in bytes.
    pub fn spare_len(&self) -> usize {
        self.limit - self.len
    }

    /// Takes at most `capacity` bytes from now on, until [`clear`](Self::clear).
    ///
    /// # Panics
    ///
    /// If the slot holds more already, or its memory is smaller.
    pub fn limit(&mut self, capacity: usize) {
        assert!(capacity >= self.len && capacity <= self.memory.capacity());
        self.limit = capacity;
    }

    /// Takes as much as its memory holds again.
    pub fn unlimit(&mut self) {
        self.limit = self.memory.capacity();
    }

    /// The bytes read so far.
    #[allow(unsafe_code, reason = "a view of the initialised part")]
    pub fn filled(&self) -> &[u8] {
        // SAFETY: the first `len` bytes were initialised by `set_len` or `extend_from_slice`; the slot
        // is their only owner, and `&self` keeps writers away.
        unsafe { self.memory.bytes(0, self.len) }
    }

    /// The bytes read so far, to change in place.
    #[allow(unsafe_code, reason = "a view of the initialised part")]
    pub fn filled_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `filled`, and `&mut self` keeps readers away too.
        unsafe { self.memory.bytes_mut(0, self.len) }
    }

    /// Appends what fits of `bytes`; returns how many did.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> usize {
        let fits = bytes.len().min(self.spare_len());
        let (fitting, _) = bytes.split_at(fits);
        self.memory.fill(self.len, fitting);
        self.len += fits;
        fits
    }

    /// Forgets all bytes behind the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets everything, and any [`limit`](Self::limit).
    pub fn clear(&mut self) {
        self.len = 0;
        self.limit = self.memory.capacity();
    }

    /// The bytes as a shared chunk.
    pub fn freeze(self) -> Chunk {
        Chunk::new(self.memory, self.len)
    }

    /// First byte of the room left.
    #[allow(unsafe_code, reason = "an address inside the allocation")]
    pub(crate) fn spare_address(&mut self) -> NonNull<u8> {
        // SAFETY: `len <= capacity`, so the result is inside the allocation or one past its end.
        unsafe { self.memory.address().add(self.len) }
    }

    /// Counts `read` more bytes as initialised.
    ///
    /// # Safety
    ///
    /// The kernel (or whoever was given [`spare_address`](Self::spare_address)) must have written them.
    #[allow(unsafe_code, reason = "the engine's side of a completed read")]
    pub(crate) unsafe fn advance(&mut self, read: usize) {
        debug_assert!(read <= self.spare_len());
        self.len = (self.len + read).min(self.limit);
    }

    pub(super) fn from_parts(memory: Memory) -> Self {
        Self::from_owned(memory)
    }
}
