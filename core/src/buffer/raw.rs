//! The only unsafe memory code of this crate: allocation, and the views of [`Memory`].
#![allow(unsafe_code, reason = "raw allocations, each with its note")]

use super::pool::Shelf;
use crate::limits::BLOCK_ALIGN;
use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    fmt,
    mem::ManuallyDrop,
    ptr::NonNull,
    sync::Weak,
};

/// Memory of another owner, such as a Python `bytes` object, that the kernel may be given.
///
/// # Safety
///
/// `address` must stay the same, valid for reads and writes of `capacity` bytes (reads only if the
/// memory is never made a [`Slot`](super::Slot)), and untouched by anyone else (but see
/// [`Chunk::from_changing_memory`](super::Chunk::from_changing_memory)), until the value is dropped. The
/// value may be dropped on any thread.
pub unsafe trait StableMemory: Send + Sync + 'static {
    /// The first byte.
    fn address(&self) -> NonNull<u8>;
    /// Bytes from `address` on that belong to this value.
    fn capacity(&self) -> usize;
}

/// One aligned allocation.
pub(super) struct Block {
    address: NonNull<u8>,
    capacity: usize,
}

// SAFETY: a `Block` is the only owner of its allocation; nothing in it is tied to a thread.
unsafe impl Send for Block {}
// SAFETY: a shared `Block` gives out no access at all; `Memory` decides who may read or write.
unsafe impl Sync for Block {}

impl Block {
    pub(super) fn new(capacity: usize) -> Self {
        Self::try_new(capacity).unwrap_or_else(|| handle_alloc_error(Self::layout(capacity)))
    }

    /// `None` where the memory cannot be had.
    pub(super) fn try_new(capacity: usize) -> Option<Self> {
        let layout = Layout::from_size_align(capacity.max(1), BLOCK_ALIGN).ok()?;
        // SAFETY: the size was raised to at least one byte, so it is not zero.
        let address = unsafe { alloc(layout) };
        NonNull::new(address).map(|address| Self { address, capacity })
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    fn layout(capacity: usize) -> Layout {
        // A capacity that does not fit is one that no allocator has: let it say so.
        match Layout::from_size_align(capacity.max(1), BLOCK_ALIGN) {
            Ok(layout) => layout,
            Err(_) => handle_alloc_error(Layout::new::<u8>()),
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout, and freed only here.
        unsafe { dealloc(self.address.as_ptr(), Self::layout(self.capacity)) }
    }
}

/// Where a buffer's bytes are, and who gets the memory back.
pub(super) enum Memory {
    /// Ours; a pooled block goes back to its shelf.
    Own { block: ManuallyDrop<Block>, shelf: Weak<Shelf> },
    /// Somebody else's; dropped with the buffer.
    Foreign(Box<dyn StableMemory>),
    /// As foreign, and its owner may write to it: only the kernel may read it.
    Changing(Box<dyn StableMemory>),
}

impl Memory {
    pub(super) fn own(block: Block, shelf: Weak<Shelf>) -> Self {
        Self::Own { block: ManuallyDrop::new(block), shelf }
    }

    pub(super) fn capacity(&self) -> usize {
        match self {
            Self::Own { block, .. } => block.capacity,
            Self::Foreign(memory) | Self::Changing(memory) => memory.capacity(),
        }
    }

    pub(super) fn address(&self) -> NonNull<u8> {
        match self {
            Self::Own { block, .. } => block.address,
            Self::Foreign(memory) | Self::Changing(memory) => memory.address(),
        }
    }

    /// The bytes from `start` to `end`.
    ///
    /// # Safety
    ///
    /// The range must be initialised, and nobody may write to it while the slice lives.
    pub(super) unsafe fn bytes(&self, start: usize, end: usize) -> &[u8] {
        debug_assert!(start <= end && end <= self.capacity());
        // SAFETY: the range lies inside the memory (checked by every caller's invariant `end <= capacity`);
        // the caller vouches for initialisation and against writers.
        unsafe { std::slice::from_raw_parts(self.address().as_ptr().add(start), end - start) }
    }

    /// The bytes from `start` to `end`, writable.
    ///
    /// # Safety
    ///
    /// As [`bytes`](Self::bytes), and nobody else may read the range either.
    pub(super) unsafe fn bytes_mut(&mut self, start: usize, end: usize) -> &mut [u8] {
        debug_assert!(start <= end && end <= self.capacity());
        // SAFETY: as in `bytes`; `&mut self` of the only owner makes the slice unique.
        unsafe { std::slice::from_raw_parts_mut(self.address().as_ptr().add(start), end - start) }
    }

    /// Copies `source` to the bytes from `start` on, which need not be initialised.
    pub(super) fn fill(&mut self, start: usize, source: &[u8]) {
        assert!(source.len() <= self.capacity() - start, "more bytes than the buffer has room for");
        // SAFETY: the target lies inside the memory (asserted) and `&mut self` means that nobody else
        // touches it; source and target cannot overlap, since `source` is borrowed from elsewhere.
        unsafe {
            self.address().as_ptr().add(start).copy_from_nonoverlapping(source.as_ptr(), source.len());
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Self::Own { block, shelf } = self {
            // SAFETY: `drop` runs once, and nothing reads `block` after this.
            let block = unsafe { ManuallyDrop::take(block) };
            if let Some(shelf) = shelf.upgrade() {
                shelf.put_back(block);
            }
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = match self {
            Self::Own { .. } => "own",
            Self::Foreign(_) => "foreign",
            Self::Changing(_) => "changing",
        };
        write!(f, "{owner} memory of {} bytes", self.capacity())
    }
}
