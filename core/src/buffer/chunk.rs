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

    /// All of somebody else's memory, whose owner may write to it meanwhile. The kernel can be given it;
    /// [`bytes`](Self::bytes) cannot show it.
    ///
    /// # Safety
    ///
    /// Every byte of `memory` must be initialised.
    #[allow(unsafe_code, reason = "the caller vouches for initialisation")]
    pub unsafe fn from_changing_memory(memory: Box<dyn StableMemory>) -> Self {
        let len = memory.capacity();
        Self::new(Memory::Changing(memory), len)
    }

    /// A chunk with a copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut memory = Memory::own(Block::new(bytes.len()), Weak::new());
        memory.fill(0, bytes);
        Self::new(memory, bytes.len())
    }

    /// The bytes.
    ///
    /// # Panics
    ///
    /// If the chunk was made by [`from_changing_memory`](Self::from_changing_memory).
    #[allow(unsafe_code, reason = "a view of the initialised part")]
    pub fn bytes(&self) -> &[u8] {
        assert!(!matches!(*self.memory, Memory::Changing(_)), "bytes that may change cannot be borrowed");
        // SAFETY: `range` covers initialised bytes only (set in `new`, narrowed in `advance` and `slice`),
        // and no chunk gives write access, nor has anybody else (asserted), so nobody writes while the
        // slice lives.
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

    /// Whether the memory is ours, and may be freed anywhere.
    pub fn is_ours(&self) -> bool {
        matches!(*self.memory, Memory::Own { .. })
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
    use crate::engine::{Descriptor, blocking};
    use std::{
        io::{Read, Seek},
        sync::atomic::{AtomicU8, Ordering},
    };

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
    #[allow(unsafe_code, reason = "memory that two may write to")]
    fn bytes_that_may_change_are_written_and_never_borrowed() {
        struct Static;
        static MEMORY: [AtomicU8; 4] = [const { AtomicU8::new(b'x') }; 4];
        // SAFETY: a static stays in place; who writes to it does so atomically.
        unsafe impl StableMemory for Static {
            fn address(&self) -> NonNull<u8> {
                NonNull::from_ref(&MEMORY).cast()
            }
            fn capacity(&self) -> usize {
                MEMORY.len()
            }
        }
        // SAFETY: initialised above.
        let chunk = unsafe { Chunk::from_changing_memory(Box::new(Static)) };
        MEMORY[1].store(b'y', Ordering::Relaxed);
        let mut file = tempfile::tempfile().unwrap();
        let descriptor = Descriptor::own(file.try_clone().unwrap().into()).unwrap();
        let (written, chunk) = blocking::write(&descriptor, chunk, None);
        assert_eq!(written.unwrap(), 4);
        // Some file systems cannot promise not to wait.
        let cached = descriptor.write_chunk_cached(&chunk.slice(1..2), Some(4)).unwrap();
        let mut bytes = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut bytes).unwrap();
        assert_eq!(bytes, if cached.is_some() { "xyxxy" } else { "xyxx" });
        assert!(std::thread::spawn(move || chunk.bytes().len()).join().is_err());
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
