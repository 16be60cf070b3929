//! One large file hashed by several threads: BLAKE3 only, whose tree allows it.
//!
//! Each thread takes the next block of the file, reads it and hashes it where it has just been read to.
//! No thread waits for another, and no byte goes from one CPU to another, unless one is far behind.

use super::{
    Algorithm, Digest,
    tree::{BLOCK_BYTES, Leaf, Tree, leaf},
};
use crate::{
    buffer::Slot,
    cancel::Cancel,
    engine::{Descriptor, Engine},
    limits::HASH_THREADS,
    progress::Progress,
    source::{Stop, is_sparse},
};
use rustix::fs::{FileType, fstat};
use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Files from here on are worth the start of other threads.
const MIN_BYTES: usize = 16 * BLOCK_BYTES;

/// Blocks that are taken in front of the first that is not done: a thread that a device keeps waiting
/// holds up the others when they are so far ahead. The values of so many blocks take some 100 KiB.
const MAX_BLOCKS_AHEAD: u64 = 1024;

/// Whether `algorithms` can be computed of `file` in this way, by more than one thread.
pub(super) fn suits(file: &OwnedFd, algorithms: &[Algorithm], threads: usize) -> io::Result<bool> {
    if algorithms != [Algorithm::Blake3] || threads < 2 {
        return Ok(false);
    }
    let stat = fstat(file)?;
    let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let is_large = usize::try_from(stat.st_size).is_ok_and(|size| size >= MIN_BYTES);
    // Holes need not be read to be hashed.
    Ok(is_regular && is_large && !is_sparse(&stat))
}

/// Hashes `file` from its start to its end on this thread and others, `threads` in all. Gives the digest,
/// and of how many bytes.
pub(super) fn hash<E: Engine>(
    file: OwnedFd,
    threads: usize,
    cancel: &Cancel,
    progress: &Progress,
) -> Result<(Digest, u64), Stop> {
    let file = Descriptor::own(file).map_err(Stop::Engine)?;
    let blocks = Blocks { file, cancel, progress, state: Mutex::default(), changed: Condvar::new() };
    let threads = threads.min(HASH_THREADS);
    thread::scope(|scope| {
        for _ in 1..threads {
            let other = thread::Builder::new().name("afx-hash".to_owned());
            // Where there are no more threads, those that there are do all of it.
            if other.spawn_scoped(scope, || blocks.work::<E>()).is_err() {
                break;
            }
        }
        blocks.work::<E>();
    });
    blocks.conclude()
}

/// A file, and how far the threads are with it.
struct Blocks<'a> {
    file: Arc<Descriptor>,
    cancel: &'a Cancel,
    progress: &'a Progress,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Blocks that threads have taken: the number of the next.
    taken: u64,
    /// Blocks that are in `tree`.
    done: u64,
    tree: Tree,
    bytes: u64,
    /// Blocks that were hashed before one in front of them.
    early: BTreeMap<u64, Block>,
    /// Threads that wait for `done` to go on: waking nobody takes a system call, too.
    waiting: usize,
    /// Set when no block needs to be taken any more.
    ended: bool,
    /// What ended the file, once all blocks in front of that are in `tree`.
    end: Option<io::Result<()>>,
}

/// A block that was read and hashed.
struct Block {
    leaf: Option<Leaf>,
    len: usize,
    /// What ended the file behind these bytes: an error, or its end.
    ended: Option<io::Result<()>>,
}

impl Blocks<'_> {
    /// Reads and hashes blocks as long as there are any.
    fn work<E: Engine>(&self) {
        let _wakes = WakesOthers(self);
        let mut slot = Slot::with_capacity(BLOCK_BYTES);
        while let Some(number) = self.take() {
            let ended;
            (ended, slot) = self.read::<E>(slot, number * BLOCK_BYTES as u64);
            let block = Block { leaf: leaf(number, slot.filled()), len: slot.len(), ended };
            slot.clear();
            self.put(number, block);
        }
    }

    /// The number of the next block, or `None` at the end.
    fn take(&self) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.ended || self.cancel.is_cancelled() {
                return None;
            }
            if state.taken - state.done < MAX_BLOCKS_AHEAD {
                state.taken += 1;
                return Some(state.taken - 1);
            }
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    /// Reads until the slot is full. Says what ended the file, if something did.
    fn read<E: Engine>(&self, mut slot: Slot, offset: u64) -> (Option<io::Result<()>>, Slot) {
        while slot.spare_len() > 0 {
            let place = offset + slot.len() as u64;
            let (result, back) = E::read_here(&self.file, slot, Some(place));
            slot = back;
            match result {
                Ok(0) => return (Some(Ok(())), slot),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Some(Err(error)), slot),
            }
        }
        (None, slot)
    }

    /// Hands a block over, and brings all that are next in order into the tree.
    fn put(&self, number: u64, block: Block) {
        let mut state = self.lock();
        state.ended |= block.ended.is_some();
        state.early.insert(number, block);
        let state = &mut *state;
        // What is behind the end, as some other thread saw it, is not there.
        while let Some(block) = state.early.remove(&state.done).filter(|_| state.end.is_none()) {
            if let Some(leaf) = block.leaf {
                state.tree.push(leaf);
            }
            state.done += 1;
            state.bytes += block.len as u64;
            state.end = block.ended;
        }
        self.progress.set(state.bytes);
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn conclude(self) -> Result<(Digest, u64), Stop> {
        let State { tree, bytes, end, .. } = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match end {
            Some(Ok(())) => Ok((Digest::of(Algorithm::Blake3, tree.finish().as_bytes()), bytes)),
            Some(Err(error)) => Err(Stop::Read(error, bytes)),
            None => Err(Stop::Cancelled),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the work of the others when one thread panics, whose block they would wait for.
struct WakesOthers<'a, 'b>(&'a Blocks<'b>);

impl Drop for WakesOthers<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().ended = true;
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Compio;
    use std::{fs::File, io::Write};

    const LEN: usize = 20 * BLOCK_BYTES + 5;

    /// A file of so many bytes, and these.
    fn file_of(len: usize) -> (File, Vec<u8>) {
        let content: Vec<u8> = (0..len).map(|index| u8::try_from(index % 253).unwrap()).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        (file, content)
    }

    fn hash_of(file: &File, threads: usize) -> Result<(String, u64), Stop> {
        let progress = Progress::new();
        let file = file.try_clone().unwrap().into();
        let (digest, bytes) = hash::<Compio>(file, threads, &Cancel::new(), &progress)?;
        assert_eq!(progress.bytes(), bytes);
        Ok((digest.to_string(), bytes))
    }

    fn suits(file: &File, algorithms: &[Algorithm], threads: usize) -> bool {
        super::suits(&file.try_clone().unwrap().into(), algorithms, threads).unwrap()
    }

    #[test]
    fn only_blake3_alone_of_a_large_file_with_threads_to_spare_and_no_holes_is_hashed_so() {
        let (file, _) = file_of(LEN);
        let blake3 = &[Algorithm::Blake3][..];
        assert!(suits(&file, blake3, 2));
        assert!(!suits(&file, blake3, 1));
        assert!(!suits(&file, &[Algorithm::Sha256], 2));
        assert!(!suits(&file, &[Algorithm::Blake3, Algorithm::Sha256], 2));
        file.set_len(1 << 30).unwrap();
        assert!(!suits(&file, blake3, 2));
        let (small, _) = file_of(MIN_BYTES - 1);
        assert!(!suits(&small, blake3, 2));
    }

    #[test]
    fn a_file_that_shrinks_or_grows_meanwhile_is_hashed_to_the_end_that_it_has_then() {
        let (mut file, mut content) = file_of(LEN);
        for threads in [1, 2, 3, 1000] {
            let expected = (blake3::hash(&content).to_string(), content.len() as u64);
            assert_eq!(hash_of(&file, threads).unwrap(), expected);
        }
        content.extend(b"more");
        file.write_all(b"more").unwrap();
        for len in [content.len(), 7 * BLOCK_BYTES, BLOCK_BYTES + 1, BLOCK_BYTES, 1, 0] {
            file.set_len(len as u64).unwrap();
            let expected = (blake3::hash(&content[..len]).to_string(), len as u64);
            assert_eq!(hash_of(&file, 3).unwrap(), expected, "{len} bytes");
        }
    }

    #[test]
    fn a_cancelled_hash_gives_no_digest() {
        let (file, _) = file_of(LEN);
        let cancel = Cancel::new();
        cancel.cancel();
        let result = hash::<Compio>(file.into(), 2, &cancel, &Progress::new());
        assert!(matches!(result, Err(Stop::Cancelled)), "{result:?}");
    }

    fn empty_blocks<'a>(cancel: &'a Cancel, progress: &'a Progress) -> Blocks<'a> {
        let file = Descriptor::own(tempfile::tempfile().unwrap().into()).unwrap();
        Blocks { file, cancel, progress, state: Mutex::default(), changed: Condvar::new() }
    }

    #[test]
    fn nobody_gets_further_ahead_of_a_thread_that_waits_for_its_device_than_the_limit() {
        let (cancel, progress) = (Cancel::new(), Progress::new());
        let blocks = empty_blocks(&cancel, &progress);
        for number in 0..MAX_BLOCKS_AHEAD {
            assert_eq!(blocks.take(), Some(number));
        }
        thread::scope(|scope| {
            let taker = scope.spawn(|| (blocks.take(), blocks.lock().done));
            while blocks.lock().waiting == 0 && !taker.is_finished() {
                thread::yield_now();
            }
            for number in (0..MAX_BLOCKS_AHEAD).rev() {
                assert_eq!(blocks.lock().done, 0);
                blocks.put(number, Block { leaf: leaf(number, b"x"), len: BLOCK_BYTES, ended: None });
            }
            assert_eq!(taker.join().unwrap(), (Some(MAX_BLOCKS_AHEAD), MAX_BLOCKS_AHEAD));
        });
        assert_eq!(progress.bytes(), MAX_BLOCKS_AHEAD * BLOCK_BYTES as u64);
    }

    #[test]
    fn what_other_threads_read_behind_the_end_is_not_there() {
        let (cancel, progress) = (Cancel::new(), Progress::new());
        let block =
            |number, bytes: &[u8], ended| Block { leaf: leaf(number, bytes), len: bytes.len(), ended };
        for (ended, fails) in [(Ok(()), false), (Err(io::Error::from_raw_os_error(libc::EIO)), true)] {
            let blocks = empty_blocks(&cancel, &progress);
            blocks.put(2, block(2, b"later", Some(Ok(()))));
            blocks.put(1, block(1, b"more", None));
            blocks.put(0, block(0, b"first", Some(ended)));
            match blocks.conclude() {
                Ok((digest, bytes)) => {
                    assert_eq!((digest.to_string(), bytes), (blake3::hash(b"first").to_string(), 5));
                    assert!(!fails);
                }
                Err(stop) => assert!(fails && matches!(stop, Stop::Read(_, 5)), "{stop:?}"),
            }
        }
    }

    #[test]
    fn a_thread_that_panics_ends_the_wait_of_the_others_for_its_block() {
        let (cancel, progress) = (Cancel::new(), Progress::new());
        let blocks = empty_blocks(&cancel, &progress);
        while blocks.lock().taken < MAX_BLOCKS_AHEAD {
            blocks.take();
        }
        thread::scope(|scope| {
            let waiting = scope.spawn(|| blocks.take());
            let panicking = scope.spawn(|| {
                let _wakes = WakesOthers(&blocks);
                panic!("as a bug would");
            });
            assert!(panicking.join().is_err());
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
