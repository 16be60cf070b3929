//! Blocks of one size that are used again instead of being freed.

use super::{Slot, raw::Block, raw::Memory};
use std::sync::{
    Arc, Mutex, MutexGuard, TryLockError,
    atomic::{AtomicUsize, Ordering},
};

/// A pool of buffers of one size.
///
/// It hands out as many slots as are asked for and keeps at most `kept` of those that come back;
/// how many are out at once is the caller's to bound. It never waits: where somebody else is at the unused
/// ones, or was when this process was forked from another, it does without them.
#[derive(Clone)]
pub struct Pool {
    shelf: Arc<Shelf>,
}

pub(super) struct Shelf {
    blocks: Mutex<Vec<Block>>,
    block_bytes: usize,
    kept: AtomicUsize,
    outstanding: AtomicUsize,
}

impl Pool {
    /// A pool of buffers of `block_bytes` bytes that keeps at most `kept` unused ones.
    pub fn new(block_bytes: usize, kept: usize) -> Self {
        let shelf = Shelf {
            blocks: Mutex::default(),
            block_bytes,
            kept: AtomicUsize::new(kept),
            outstanding: AtomicUsize::new(0),
        };
        Self { shelf: Arc::new(shelf) }
    }

    /// An empty slot, from the pool if it has one, newly allocated otherwise.
    pub fn acquire(&self) -> Slot {
        let block = self.shelf.try_lock().and_then(|mut blocks| blocks.pop());
        let block = block.unwrap_or_else(|| Block::new(self.shelf.block_bytes));
        self.shelf.outstanding.fetch_add(1, Ordering::Relaxed);
        Slot::from_owned(Memory::own(block, Arc::downgrade(&self.shelf)))
    }

    /// Keeps at most `kept` unused buffers from now on.
    pub fn keep(&self, kept: usize) {
        self.shelf.kept.store(kept, Ordering::Relaxed);
        if let Some(mut blocks) = self.shelf.try_lock() {
            blocks.truncate(kept);
        }
    }

    /// Bytes of the unused buffers that are kept.
    pub fn idle_bytes(&self) -> usize {
        self.shelf.try_lock().map_or(0, |blocks| blocks.len() * self.shelf.block_bytes)
    }

    /// Bytes of the buffers handed out.
    pub fn outstanding_bytes(&self) -> usize {
        self.outstanding() * self.shelf.block_bytes
    }

    /// Buffers handed out and not yet back: zero when nothing leaked.
    pub fn outstanding(&self) -> usize {
        self.shelf.outstanding.load(Ordering::Relaxed)
    }
}

impl Shelf {
    pub(super) fn put_back(&self, block: Block) {
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut blocks) = self.try_lock()
            && blocks.len() < self.kept.load(Ordering::Relaxed)
            && block.capacity() == self.block_bytes
        {
            blocks.push(block);
        }
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Vec<Block>>> {
        match self.blocks.try_lock() {
            Ok(blocks) => Some(blocks),
            // A panic between lock and unlock cannot leave the list half changed.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("block_bytes", &self.shelf.block_bytes)
            .field("outstanding", &self.outstanding())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_can_be_changed_at_any_time() {
        let pool = Pool::new(4096, 2);
        drop([pool.acquire(), pool.acquire(), pool.acquire()]);
        assert_eq!(pool.idle_bytes(), 2 * 4096);
        pool.keep(1);
        assert_eq!(pool.idle_bytes(), 4096);
        pool.keep(0);
        let slot = pool.acquire();
        assert_eq!((pool.idle_bytes(), pool.outstanding_bytes()), (0, 4096));
        drop(slot);
        assert_eq!((pool.idle_bytes(), pool.outstanding_bytes()), (0, 0));
    }

    #[test]
    fn a_slot_comes_back_when_the_last_chunk_of_it_is_dropped() {
        let pool = Pool::new(4096, 1);
        let mut slot = pool.acquire();
        slot.extend_from_slice(b"abc");
        let chunk = slot.freeze();
        let other = chunk.clone();
        drop(chunk);
        assert_eq!(pool.outstanding(), 1);
        assert_eq!(other.bytes(), b"abc");
        drop(other);
        assert_eq!(pool.outstanding(), 0);
        assert_eq!(pool.shelf.try_lock().unwrap().len(), 1);
        drop((pool.acquire(), pool.acquire()));
        assert_eq!(pool.shelf.try_lock().unwrap().len(), 1, "no more than `kept` are kept");
    }

    #[test]
    fn who_finds_the_unused_ones_locked_does_without_them() {
        let pool = Pool::new(4096, 1);
        drop(pool.acquire());
        let held = pool.shelf.try_lock().unwrap();
        let slot = pool.acquire();
        assert_eq!((slot.capacity(), held.len()), (4096, 1));
        drop(slot);
        assert_eq!((pool.outstanding(), held.len()), (0, 1));
    }
}
