//! Bytes that become others on their way: compressed, or restored.

use super::FanOut;
use crate::{
    buffer::{Pool, Slot},
    cancel::Cancel,
    compress::{Compression, Transformer},
    limits::{CHUNK_BYTES, PIPELINE_SLOTS},
    source::{Piece, Stop},
};
use flume::Receiver;
use std::sync::atomic::{AtomicBool, Ordering};

/// Zeros that stand for a part of a hole.
const ZEROS: &[u8] = &[0; 64 * 1024];

/// Transforms everything that comes and hands the result on; ends early when nobody takes it any more.
/// Of a source that `waits`, what is compressed arrives at once where no more comes for now; of a file, the same
/// bytes make the same result, however fast they are read. It gets an end only if the source came to its own, which
/// `is_whole` says when no more pieces come.
pub(super) fn transform_stage(
    mut transforming: Transforming<'_>,
    pieces: &Receiver<Piece>,
    waits: bool,
    is_whole: &AtomicBool,
) -> Result<(), Stop> {
    while let Ok(piece) = pieces.recv() {
        if !transforming.take(&piece)? || (waits && pieces.is_empty() && !transforming.flush()?) {
            return Ok(());
        }
    }
    if is_whole.load(Ordering::Acquire) {
        return transforming.finish();
    }
    if transforming.cancel.is_cancelled() {
        return Err(Stop::Cancelled);
    }
    // Whoever reads the result must see that something is missing: no end that looks like one.
    transforming.flush().map(drop)
}

/// A transformer on its way from piece to piece.
pub(super) struct Transforming<'a> {
    transformer: Transformer,
    next: FanOut,
    cancel: &'a Cancel,
    pool: Pool,
    /// What was produced and not handed on yet.
    slot: Slot,
    /// The transformer's own output.
    scratch: Vec<u8>,
    /// Bytes taken so far.
    taken: u64,
}

impl<'a> Transforming<'a> {
    pub(super) fn new(compression: Compression, next: FanOut, cancel: &'a Cancel) -> Result<Self, Stop> {
        let transformer = Transformer::new(compression).map_err(|error| Stop::Transform(error, 0))?;
        let pool = Pool::new(CHUNK_BYTES, PIPELINE_SLOTS);
        let slot = pool.acquire();
        Ok(Self { transformer, next, cancel, pool, slot, scratch: vec![0; CHUNK_BYTES], taken: 0 })
    }

    /// Whether it makes sense to go on.
    fn take(&mut self, piece: &Piece) -> Result<bool, Stop> {
        match piece {
            Piece::Data(chunk) => self.take_bytes(chunk.bytes()),
            Piece::Hole(len) => {
                let mut left = *len;
                while left > 0 {
                    if self.cancel.is_cancelled() {
                        return Err(Stop::Cancelled);
                    }
                    let part = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
                    if !self.take_bytes(ZEROS.split_at(part).0)? {
                        return Ok(false);
                    }
                    left -= part as u64;
                }
                Ok(true)
            }
        }
    }

    fn take_bytes(&mut self, bytes: &[u8]) -> Result<bool, Stop> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.slot.spare_len().min(self.scratch.len());
            let step = self.transformer.step(rest, self.scratch.split_at_mut(room).0);
            let step = step.map_err(|error| Stop::Transform(error, self.taken))?;
            self.taken += step.consumed as u64;
            rest = rest.split_at(step.consumed).1;
            if !self.keep(step.produced) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands everything on that was taken so far. Only a stream that waits is worth the bytes that it costs.
    fn flush(&mut self) -> Result<bool, Stop> {
        loop {
            let room = self.slot.spare_len().min(self.scratch.len());
            let flushed = self.transformer.flush(self.scratch.split_at_mut(room).0);
            let flushed = flushed.map_err(|error| Stop::Transform(error, self.taken))?;
            if !self.keep(flushed.produced) {
                return Ok(false);
            }
            if flushed.done {
                return Ok(self.hand_on());
            }
        }
    }

    fn finish(mut self) -> Result<(), Stop> {
        loop {
            let room = self.slot.spare_len().min(self.scratch.len());
            let finish = self.transformer.finish(self.scratch.split_at_mut(room).0);
            let finish = finish.map_err(|error| Stop::Transform(error, self.taken))?;
            if !self.keep(finish.produced) {
                return Ok(());
            }
            if finish.done {
                self.hand_on();
                return Ok(());
            }
        }
    }

    /// Keeps what was produced, and hands it on when it fills a chunk.
    fn keep(&mut self, produced: usize) -> bool {
        self.slot.extend_from_slice(self.scratch.split_at(produced).0);
        self.slot.spare_len() > 0 || self.hand_on()
    }

    fn hand_on(&mut self) -> bool {
        if self.slot.is_empty() {
            return true;
        }
        let full = std::mem::replace(&mut self.slot, self.pool.acquire());
        self.next.send(&Piece::Data(full.freeze()))
    }
}
