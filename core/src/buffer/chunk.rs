//! Bytes that several consumers hold at once.

use super::{
    Slot,
    raw::{Block, Memory, StableMemory},
};
use std::{
    fmt,
    ops::Range,
    ptr::NonNull,
    sync::{Arc, Weak},
};

/// A range of a shared, immutable buffer. Cloning it copies no bytes.
#[derive(Clone)]
pub struct Chunk {
    memory: Arc<Memory>,
    /// Indexes initialised bytes of `memory`.
    range: Range<usize>,
}

impl Chunk {
    pub(super) fn new(memory: Memory, len: usize) -> Self {
        Self { memory: Arc::new(memory), range: 0..len }
    }

    /// All of somebody else's memory, which must be initialised and not change until the last clone
    /// of the chunk is gone.
    ///
    /// # Safety
    ///
    /// Every byte of `memory` must be initialised.
    #[allow(unsafe_code, reason = "the caller vouches for initialisation")]
    pub unsafe fn from_memory(memory: Box<dyn StableMemory>) -> Self {
        let len = memory.capacity();
        Self::new(Memory::Foreign(memory), len)
    }

    /// A chunk with a copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut memory = Memory::own(Block::new(bytes.len()), Weak::new());
        memory.fill(0, bytes);
        Self::new(memory, bytes.len())
    }

    /// The bytes.
    #[allow(unsafe_code, reason = "a view of the initialised part")]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `range` covers initialised bytes only (set in `new`, narrowed in `advance` and `slice`),
        // and no chunk gives write access, so nobody writes while the slice lives.
        unsafe { self.memory.bytes(self.range.start, self.range.end) }
    }

    /// Bytes in this chunk.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether no byte is left.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Drops the first `count` bytes, as after a short write.
    ///
    /// # Panics
    ///
    /// If the chunk has fewer.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "cannot advance {count} bytes in a chunk of {}", self.len());
        self.range.start += count;
    }

    /// The bytes `range` of this chunk, sharing its memory.
    ///
    /// # Panics
    ///
    /// If the range reaches past the end.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len());
        let start = self.range.start;
        Self { memory: self.memory.clone(), range: start + range.start..start + range.end }
    }

    /// The memory as an empty slot again.
    ///
    /// # Errors
    ///
    /// The chunk itself, while somebody else still holds the memory or it is not ours.
    pub fn try_into_slot(self) -> Result<Slot, Self> {
        match Arc::try_unwrap(self.memory) {
            Ok(memory @ Memory::Own { .. }) => Ok(Slot::from_parts(memory)),
            // Foreign memory may be read-only for us: never write to it.
            Ok(memory) => Err(Self { memory: Arc::new(memory), range: self.range }),
            Err(memory) => Err(Self { memory, range: self.range }),
        }
    }

    /// First byte, for the kernel to read from.
    #[allow(unsafe_code, reason = "an address inside the allocation")]
    pub(crate) fn address(&self) -> NonNull<u8> {
        // SAFETY: `range.start` is at most the capacity, so the result stays inside the allocation.
        unsafe { self.memory.address().add(self.range.start) }
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Self::copy_of(&bytes)
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({:?} of {:?})", self.range, self.memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_writes_advance_without_copying() {
        let mut chunk = Chunk::copy_of(b"hello world");
        let shared = chunk.clone();
        chunk.advance(6);
        assert_eq!(chunk.bytes(), b"world");
        assert_eq!(chunk.slice(1..3).bytes(), b"or");
        assert_eq!(shared.bytes(), b"hello world");
    }

    #[test]
    fn a_shared_chunk_is_not_written_to_again() {
        let chunk = Chunk::copy_of(b"x");
        let shared = chunk.clone();
        let chunk = chunk.try_into_slot().unwrap_err();
        drop(shared);
        assert!(chunk.try_into_slot().is_ok());
    }
}
