//! This buffer at this offset.

use crate::{
    buffer::Chunk,
    cancel::Cancel,
    copy::Journal,
    engine::Engine,
    source::{Handle, Piece, Place, Stop},
    zeros::runs,
};
use rustix::fs::{FallocateFlags, FileType, OFlags, fallocate, fcntl_getfl, fstat, ftruncate};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

/// Bytes of zeros that are written at once where a sink cannot keep a hole.
const ZEROS_BYTES: usize = 64 * 1024;

/// Bytes that are written back while the next are written, where they are not to stay in the page cache.
const WRITE_BACK_BYTES: u64 = 8 * 1024 * 1024;

/// How a sink is written.
#[derive(Debug, Default)]
pub(crate) struct SinkOptions {
    /// Where the first byte goes; what lies in front of an offset is there already.
    pub(crate) to: Place,
    pub(crate) holes: Holes,
    /// Whether nothing of it is left in the page cache.
    pub(crate) drops_cache: bool,
    /// Where it is remembered how far it is.
    pub(crate) checkpoint: Option<Checkpoint>,
}

/// How far a sink is, written down every so many bytes.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    journal: Arc<Journal>,
    every: u64,
    last: u64,
}

impl Checkpoint {
    /// To `journal`, which says `last` already.
    pub(crate) fn new(journal: &Arc<Journal>, every: u64, last: u64) -> Self {
        Self { journal: journal.clone(), every, last }
    }
}

/// What becomes of zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Holes {
    /// Holes stay holes.
    #[default]
    Keep,
    /// Zeros that fill a block become holes as well.
    Make,
    /// All is written.
    Fill,
}

/// A file that is written from an offset on, or at its own position if it has no offsets.
pub(crate) struct FileSink<E: Engine> {
    file: Handle<E>,
    /// Whether it takes offsets.
    positional: bool,
    /// What is done with zeros: [`Holes::Fill`] where bytes that are skipped do not read as zero.
    holes: Holes,
    /// Bytes written so far, and in a positional file the offset of the next.
    offset: u64,
    /// Whether what lies in front of `offset` was skipped.
    ends_in_hole: bool,
    /// Up to where it was written back and dropped, if it is to be.
    dropped: Option<u64>,
    checkpoint: Option<Checkpoint>,
    cancel: Cancel,
}

impl<E: Engine> FileSink<E> {
    /// Writes to `file`, which must not reach beyond the offset where it begins if it is a regular file.
    pub(crate) fn new(file: OwnedFd, options: SinkOptions, cancel: Cancel) -> io::Result<Self> {
        let appends = fcntl_getfl(&file)?.contains(OFlags::APPEND);
        let is_regular = FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile;
        let file = Handle::new(file)?;
        let (takes_offsets, offset) = options.to.begin();
        let positional = takes_offsets && matches!(file, Handle::Here(_)) && !appends;
        let holes = if positional && is_regular { options.holes } else { Holes::Fill };
        let dropped = (positional && options.drops_cache).then_some(offset);
        let checkpoint = options.checkpoint;
        Ok(Self { file, positional, holes, offset, ends_in_hole: false, dropped, checkpoint, cancel })
    }

    /// Bytes written so far, and those in front of where it began.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes all of a piece, behind those written before.
    ///
    /// # Cancel safety
    ///
    /// The last write may or may not happen.
    pub(crate) async fn put(&mut self, piece: Piece) -> Result<(), Stop> {
        match piece {
            Piece::Data(chunk) if self.holes == Holes::Make => self.write_runs(&chunk).await?,
            Piece::Data(chunk) => self.write_all(chunk).await?,
            Piece::Hole(len) if self.holes == Holes::Fill => self.write_zeros(len).await?,
            Piece::Hole(len) => self.skip(len),
        }
        self.drop_written(WRITE_BACK_BYTES);
        self.record()
    }

    /// Nothing more comes. Returns how far it was written.
    pub(crate) fn finish(mut self) -> u64 {
        self.reach_offset();
        self.drop_written(0);
        self.offset
    }

    /// Makes a hole at the end count, so that the file is as long as it is said to be.
    fn reach_offset(&self) {
        if let (Handle::Here(file), true) = (&self.file, self.ends_in_hole) {
            // If this fails, so does whatever else is done to its length, and that is reported.
            let _ = ftruncate(file, self.offset);
        }
    }

    /// Gives back the page cache of all but the last `kept` bytes, at least; those are being written back.
    fn drop_written(&mut self, kept: u64) {
        let (Some(from), Handle::Here(file)) = (self.dropped, &self.file) else { return };
        if self.offset - from < 2 * kept {
            return;
        }
        let until = self.offset - kept;
        file.write_back(from, until - from, true);
        file.drop_cached(from, until - from);
        file.write_back(until, kept, false);
        self.dropped = Some(until);
    }

    /// Writes down how far it is, if it is time.
    fn record(&mut self) -> Result<(), Stop> {
        let (Some(checkpoint), Handle::Here(file)) = (&mut self.checkpoint, &self.file) else {
            return Ok(());
        };
        if self.offset - checkpoint.last < checkpoint.every {
            return Ok(());
        }
        checkpoint.last = self.offset;
        checkpoint.journal.record(file.as_fd(), self.offset).map_err(Stop::Sync)
    }

    fn skip(&mut self, len: u64) {
        if let (Handle::Here(file), false) = (&self.file, self.ends_in_hole) {
            // Some file systems, XFS for one, reserve more behind what is written, and the next write behind
            // the hole would make that stay. Where it cannot be given back, the hole is smaller.
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = fallocate(file, flags, self.offset, len);
        }
        self.offset += len;
        self.ends_in_hole |= len > 0;
    }

    async fn write_runs(&mut self, chunk: &Chunk) -> Result<(), Stop> {
        let mut start = 0;
        for run in runs(chunk.bytes(), self.offset) {
            let end = start + run.len;
            if run.is_zero {
                self.skip(run.len as u64);
            } else {
                self.write_all(chunk.slice(start..end)).await?;
            }
            start = end;
        }
        Ok(())
    }

    async fn write_zeros(&mut self, len: u64) -> Result<(), Stop> {
        let zeros = Chunk::copy_of(&vec![0; ZEROS_BYTES]);
        let mut left = len;
        while left > 0 {
            // A hole may be large enough to take hours.
            if self.cancel.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
            self.write_all(zeros.slice(0..part)).await?;
            left -= part as u64;
        }
        Ok(())
    }

    async fn write_all(&mut self, mut chunk: Chunk) -> Result<(), Stop> {
        while !chunk.is_empty() {
            let (result, back) = self.write(chunk).await.ok_or(Stop::Cancelled)?;
            chunk = back;
            match result {
                Ok(0) => return Err(self.failed(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    chunk.advance(count);
                    self.offset += count as u64;
                    self.ends_in_hole = false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> Stop {
        self.reach_offset();
        Stop::Write(error, self.offset)
    }

    /// `None` when it is cancelled while a peer takes nothing. A file has no peer: it gets all that was read.
    async fn write(&self, chunk: Chunk) -> Option<(io::Result<usize>, Chunk)> {
        match &self.file {
            Handle::Here(file) => Some(E::write_here(file, chunk, self.positional.then_some(self.offset))),
            Handle::Engine(file) => self.cancel.unless_cancelled(E::write(file, chunk)).await,
        }
    }
}
