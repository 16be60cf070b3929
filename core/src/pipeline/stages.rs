//! What each thread of a pipeline does.

use super::{FanOut, Input, Output, Pace, run_stage};
use crate::{
    buffer::Pool,
    cancel::Cancel,
    engine::Engine,
    hash::Hashers,
    limits::{CHUNK_BYTES, PIPELINE_SLOTS},
    progress::Progress,
    sink::FileSink,
    source::{FileSource, Piece, Stop, has_peer},
};
use flume::Receiver;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// Zeros of a hole that are hashed or compressed between two looks at the cancel flag.
pub(super) const HOLE_STEP_BYTES: u64 = 64 * 1024 * 1024;

/// What the reading thread works with.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) input: Input,
    pub(super) pace: Option<Pace>,
    pub(super) cancel: &'a Cancel,
    /// Set when nobody takes pieces any more.
    pub(super) abandoned: &'a Cancel,
    pub(super) progress: &'a Progress,
    /// Of a hole, in one piece.
    pub(super) hole_bytes: u64,
    /// To be set when the source has come to its end, before the stages behind see that no more comes.
    pub(super) is_whole: &'a AtomicBool,
}

/// Gives what the source has; ends early, without an error, when nobody takes it any more.
pub(super) fn read_stage<E: Engine>(reading: Reading<'_>, mut next: FanOut) -> Result<u64, Stop> {
    let Reading { input, mut pace, cancel, abandoned, progress, hole_bytes, is_whole } = reading;
    let begun = Instant::now();
    let piece_bytes = pace.as_ref().map_or(CHUNK_BYTES, |pace| pace.piece_bytes().min(CHUNK_BYTES));
    let pool = Pool::new(CHUNK_BYTES, PIPELINE_SLOTS);
    let waits = has_peer(&input.file).map_err(Stop::Engine)?;
    let ends_at_cancel = input.options.ends_at_cancel;
    run_stage::<E>(waits, async {
        let mut source = FileSource::<E>::new(input.file, input.options).map_err(Stop::Engine)?;
        source.limit_pieces(piece_bytes);
        source.limit_holes(hole_bytes);
        while let Some(given) = abandoned.unless_cancelled(source.next(&pool, cancel)).await {
            if ends_at_cancel && matches!(given, Err(Stop::Cancelled)) {
                is_whole.store(true, Ordering::Release);
            }
            let Some(piece) = given? else {
                is_whole.store(true, Ordering::Release);
                break;
            };
            let wait = pace.as_mut().map(|pace| pace.take(piece.stored_len(), begun.elapsed()));
            if !next.send(&piece) {
                break;
            }
            progress.set(source.offset());
            // Whoever abandons it waits no longer than for this piece.
            if wait.is_some_and(|wait| cancel.wait(wait)) {
                return Err(Stop::Cancelled);
            }
        }
        Ok(source.offset())
    })
}

/// Writes what comes; ends early where it is left behind, and without an error when all is given up: whoever
/// gave it up knows why.
pub(super) fn write_stage<E: Engine>(
    output: Output,
    pieces: &Receiver<Piece>,
    cancel: &Cancel,
    left_behind: &Cancel,
    given_up: &Cancel,
) -> Result<u64, Stop> {
    let waits = has_peer(&output.file).map_err(Stop::Engine)?;
    run_stage::<E>(waits, async {
        let mut sink =
            FileSink::<E>::new(output.file, output.options, cancel.clone()).map_err(Stop::Engine)?;
        while let Ok(piece) = pieces.recv() {
            let put = given_up.unless_cancelled(left_behind.unless_cancelled(sink.put(piece)));
            match put.await {
                Some(Some(put)) => put?,
                Some(None) => return Err(Stop::LeftBehind(sink.offset())),
                None => break,
            }
        }
        if left_behind.is_cancelled() {
            return Err(Stop::LeftBehind(sink.offset()));
        }
        Ok(sink.finish())
    })
}

/// Hashes everything that comes and hands it on; ends early when nobody takes it any more.
pub(super) fn hash_stage(
    mut hashing: Hashing<'_>,
    pieces: &Receiver<Piece>,
    mut next: FanOut,
) -> Result<Hashers, Stop> {
    while let Ok(piece) = pieces.recv() {
        hashing.take(&piece)?;
        if !next.is_empty() && !next.send(&piece) {
            break;
        }
    }
    Ok(hashing.into_states())
}

/// Hashes under way, which look at the cancel flag.
#[derive(Debug)]
pub(super) struct Hashing<'a> {
    hashers: Hashers,
    cancel: &'a Cancel,
}

impl<'a> Hashing<'a> {
    pub(super) fn new(hashers: Hashers, cancel: &'a Cancel) -> Self {
        Self { hashers, cancel }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashers.is_empty()
    }

    pub(super) fn take(&mut self, piece: &Piece) -> Result<(), Stop> {
        match piece {
            Piece::Data(chunk) => self.hashers.update(chunk.bytes()),
            Piece::Hole(len) => self.take_zeros(*len)?,
        }
        Ok(())
    }

    fn take_zeros(&mut self, len: u64) -> Result<(), Stop> {
        let mut left = if self.hashers.is_empty() { 0 } else { len };
        // A hole may be large enough to keep a CPU busy for hours.
        while left > 0 {
            if self.cancel.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            let part = left.min(HOLE_STEP_BYTES);
            self.hashers.update_zeros(part);
            left -= part;
        }
        Ok(())
    }

    pub(super) fn into_states(self) -> Hashers {
        self.hashers
    }
}
