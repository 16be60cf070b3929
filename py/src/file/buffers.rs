//! The bytes of a file that are in this process: read ahead, or not yet written.

use crate::{configuration, driver::pool::run};
use afx_core::{
    buffer::{Chunk, Pool, Slot},
    engine::staged_bytes,
    limits::{FIRST_FILL_BYTES, LAST_FILL_BYTES},
};
use std::{io, sync::OnceLock};

/// Bytes that are moved or given back on the loop's thread at once: 1 ms.
pub(crate) const MOVED_BYTES: usize = 1024 * 1024;

/// Bytes that a thread reads of small files before it hands them over: that takes the loop 50 µs.
pub(crate) const ARENA_BYTES: usize = 256 * 1024;

/// An empty buffer for the content of many small files.
pub(crate) fn arena() -> Slot {
    pools().nth(2).map_or_else(|| Slot::with_capacity(ARENA_BYTES), Pool::acquire)
}

/// Buffers of three sizes, and what share of the unused ones' bytes each may keep, in sixths.
static POOLS: [(usize, usize, OnceLock<Pool>); 3] = [
    (FIRST_FILL_BYTES, 1, OnceLock::new()),
    (LAST_FILL_BYTES, 4, OnceLock::new()),
    (ARENA_BYTES, 1, OnceLock::new()),
];

fn pools() -> impl Iterator<Item = &'static Pool> {
    POOLS.iter().map(|(bytes, share, pool)| {
        pool.get_or_init(|| Pool::new(*bytes, configuration::idle_bytes() / 6 * share / bytes))
    })
}

fn pool(bytes: usize) -> Option<&'static Pool> {
    match bytes {
        ..=FIRST_FILL_BYTES => pools().next(),
        bytes if bytes <= LAST_FILL_BYTES => pools().nth(1),
        _ => None,
    }
}

/// Has the pools keep as many unused buffers as may be kept now.
pub(crate) fn trim() {
    for ((bytes, share, _), pool) in POOLS.iter().zip(pools()) {
        pool.keep(configuration::idle_bytes() / 6 * share / bytes);
    }
}

/// Whether the buffers in use leave room for so many bytes more.
pub(crate) fn has_room_for(bytes: usize) -> bool {
    in_use_bytes() + bytes <= configuration::buffer_bytes()
}

/// Bytes of the buffers in use.
pub(crate) fn in_use_bytes() -> usize {
    pools().map(Pool::outstanding_bytes).sum::<usize>() + staged_bytes()
}

/// Bytes of unused buffers that are kept.
pub(crate) fn idle_bytes() -> usize {
    pools().map(Pool::idle_bytes).sum()
}

/// An empty buffer of at least `bytes`.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn slot_of(bytes: usize) -> io::Result<Slot> {
    pool(bytes).map_or_else(|| Slot::try_with_capacity(bytes), |pool| Ok(pool.acquire()))
}

/// Buffers of the process that are in use.
pub(crate) fn outstanding() -> usize {
    pools().map(Pool::outstanding).sum()
}

/// Bytes read and not yet asked for.
#[derive(Default)]
pub(crate) struct ReadBuffer {
    slot: Option<Slot>,
    /// Indexes the slot: bytes before it were consumed.
    start: usize,
    /// Bytes behind `start` known to hold no line end.
    pub(crate) scanned: usize,
    /// The last read found the end of the file. Forgotten when an operation returns: the file may grow.
    pub(crate) ended: bool,
    next_fill: usize,
}

impl ReadBuffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.slot.as_ref().and_then(|slot| slot.filled().get(self.start..)).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.slot.as_ref().map_or(0, |slot| slot.len() - self.start)
    }

    /// Counts `count` bytes as asked for; the memory goes back to the pool with the last one.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count.min(self.len());
        self.scanned = self.scanned.saturating_sub(count);
        if self.len() == 0 {
            if let Some(slot) = self.slot.take_if(|slot| slot.len() > MOVED_BYTES) {
                // To give back hundreds of megabytes takes tens of milliseconds.
                run(move || drop(slot));
            }
            self.slot = None;
            self.start = 0;
        }
    }

    /// Goes back by `count` bytes; `false` when they are not here any more.
    pub(crate) fn rewind(&mut self, count: usize) -> bool {
        let here = self.slot.is_some() && count <= self.start;
        if here {
            self.start -= count;
            self.scanned = 0;
        }
        here
    }

    /// Forgets everything, as after a seek or a write.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether room for `wanted` more bytes takes moving more than the loop should wait for.
    pub(crate) fn is_long_to_move(&self, wanted: usize) -> bool {
        self.len() > MOVED_BYTES && !self.has_room(wanted)
    }

    fn has_room(&self, wanted: usize) -> bool {
        self.start == 0 && self.slot.as_ref().is_some_and(|slot| slot.spare_len() >= wanted)
    }

    /// Makes room for at least `wanted` more bytes, however many must be moved for that.
    pub(crate) fn make_room(&mut self, wanted: usize) -> io::Result<()> {
        let roomy = self.take_for_reading(wanted)?;
        self.put_back(roomy);
        Ok(())
    }

    /// Takes the buffer out with room for at least `wanted` more bytes, the bytes still to be asked for
    /// at its start. The next such room is larger: the reading is sequential.
    pub(crate) fn take_for_reading(&mut self, wanted: usize) -> io::Result<Slot> {
        let fill = self.next_fill.max(FIRST_FILL_BYTES);
        self.next_fill = (fill * 2).min(LAST_FILL_BYTES);
        let rest = self.len();
        let room = if fill > FIRST_FILL_BYTES && !has_room_for(LAST_FILL_BYTES) {
            // So many files are read at the same time that what is read ahead has to be shared out.
            FIRST_FILL_BYTES.saturating_sub(rest).max(wanted)
        } else {
            fill.max(wanted)
        };
        if rest > 0
            && self.has_room(wanted)
            && let Some(slot) = self.slot.take()
        {
            return Ok(slot);
        }
        if rest == 0 {
            self.slot = None;
            self.start = 0;
            return slot_of(room);
        }
        // Twice what is there: a line of many megabytes is moved a few times, not once for each read.
        let mut roomy = slot_of((rest + room).max(rest * 2))?;
        roomy.extend_from_slice(self.bytes());
        self.slot = None;
        self.start = 0;
        Ok(roomy)
    }

    /// Takes the buffer out with room for exactly `wanted` more bytes: what is read here moves the file's
    /// own position, which others see.
    pub(crate) fn take_for_reading_exactly(&mut self, wanted: usize) -> io::Result<Slot> {
        let rest = self.len();
        let fits = rest > 0 && self.has_room(wanted);
        let mut slot = if let Some(slot) = self.slot.take_if(|_| fits) {
            slot
        } else {
            // More than is wanted, as above, but no more than that is read.
            let mut roomy = slot_of(rest.saturating_add(wanted).max(rest * 2))?;
            roomy.extend_from_slice(self.bytes());
            roomy
        };
        slot.limit(rest + wanted);
        self.slot = None;
        self.start = 0;
        Ok(slot)
    }

    /// Puts the buffer back with what was read.
    pub(crate) fn put_back(&mut self, mut slot: Slot) {
        slot.unlimit();
        self.start = 0;
        self.slot = (!slot.is_empty()).then_some(slot);
    }

    /// Puts bytes that were asked for back in front of the others.
    pub(crate) fn give_back(&mut self, bytes: &[u8]) {
        let room = bytes.len() + self.len();
        // They were in memory a moment ago; without it they would be lost.
        let mut slot = slot_of(room).unwrap_or_else(|_| Slot::with_capacity(room));
        slot.extend_from_slice(bytes);
        slot.extend_from_slice(self.bytes());
        self.scanned = 0;
        self.put_back(slot);
    }

    /// Keeps `bytes` that were read into somebody else's memory.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut slot = self.take_for_reading(bytes.len())?;
        slot.extend_from_slice(bytes);
        self.put_back(slot);
        Ok(())
    }
}

/// Bytes written by the program that the kernel does not have yet.
pub(crate) struct WriteBuffer {
    slot: Option<Slot>,
    capacity: usize,
}

impl WriteBuffer {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { slot: None, capacity }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.slot.as_ref().map_or(0, Slot::len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.slot.as_ref().map(Slot::filled).unwrap_or_default()
    }

    /// Whether it holds more than it should when an operation has ended.
    pub(crate) fn is_stretched(&self) -> bool {
        self.len() > self.capacity
    }

    /// Makes room for `room` bytes in all, until they are taken.
    pub(crate) fn stretch(&mut self, room: usize) -> io::Result<()> {
        if self.slot.as_ref().is_none_or(|slot| slot.capacity() < room) {
            let mut roomy = slot_of(room)?;
            roomy.extend_from_slice(self.bytes());
            self.slot = Some(roomy);
        }
        Ok(())
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(slot) = &mut self.slot {
            slot.extend_from_slice(bytes);
        } else {
            let mut slot = slot_of(self.capacity)?;
            slot.extend_from_slice(bytes);
            self.slot = Some(slot);
        }
        Ok(())
    }

    /// Takes the bytes out to be written.
    pub(crate) fn take(&mut self) -> Option<Chunk> {
        self.slot.take().map(Slot::freeze)
    }

    /// Takes back what was to be written, of which the kernel took `written` bytes.
    pub(crate) fn put_back(&mut self, mut chunk: Chunk, written: usize) {
        chunk.advance(written.min(chunk.len()));
        if !chunk.is_empty() {
            // As much was granted before; without it these bytes would be lost.
            let room = self.capacity.max(chunk.len());
            let mut slot = slot_of(room).unwrap_or_else(|_| Slot::with_capacity(chunk.len()));
            slot.extend_from_slice(chunk.bytes());
            self.slot = Some(slot);
        }
    }

    /// Counts `written` bytes as the kernel's.
    pub(crate) fn consume(&mut self, written: usize) {
        if let Some(chunk) = self.take() {
            self.put_back(chunk, written);
        }
    }
}
