//! This buffer at this offset.

use crate::{
    buffer::Chunk,
    cancel::Cancel,
    engine::Engine,
    progress::Progress,
    source::{Handle, Piece, Stop},
};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use std::{io, os::fd::OwnedFd};

/// Bytes of zeros that are written at once where a sink cannot keep a hole.
const ZEROS_BYTES: usize = 64 * 1024;

/// A file that is written from its start, or at its own position if it has no offsets.
pub(crate) struct FileSink<E: Engine> {
    file: Handle<E>,
    /// Whether it takes offsets.
    positional: bool,
    /// Whether bytes that are skipped read as zero.
    keeps_holes: bool,
    /// Bytes written so far, and in a positional file the offset of the next.
    offset: u64,
    progress: Progress,
    cancel: Cancel,
}

impl<E: Engine> FileSink<E> {
    /// Writes to `file`, which must be empty if it is a regular file.
    pub(crate) fn new(file: OwnedFd, progress: Progress, cancel: Cancel) -> io::Result<Self> {
        let appends = fcntl_getfl(&file)?.contains(OFlags::APPEND);
        let is_regular = FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile;
        let file = Handle::new(file)?;
        let positional = matches!(file, Handle::Here(_)) && !appends;
        Ok(Self { file, positional, keeps_holes: positional && is_regular, offset: 0, progress, cancel })
    }

    /// Bytes written so far.
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
            Piece::Data(chunk) => self.write_all(chunk).await,
            Piece::Hole(len) if self.keeps_holes => {
                self.advance(len);
                Ok(())
            }
            Piece::Hole(len) => self.write_zeros(len).await,
        }
    }

    async fn write_zeros(&mut self, len: u64) -> Result<(), Stop> {
        let zeros = Chunk::copy_of(&vec![0; ZEROS_BYTES]);
        let mut left = len;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
            self.write_all(zeros.slice(0..part)).await?;
            left -= part as u64;
        }
        Ok(())
    }

    async fn write_all(&mut self, mut chunk: Chunk) -> Result<(), Stop> {
        while !chunk.is_empty() {
            let write = self.cancel.unless_cancelled(self.write(chunk));
            let (result, back) = write.await.ok_or(Stop::Cancelled)?;
            chunk = back;
            match result {
                Ok(0) => return Err(Stop::Write(io::ErrorKind::WriteZero.into(), self.offset)),
                Ok(count) => {
                    chunk.advance(count);
                    self.advance(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::Write(error, self.offset)),
            }
        }
        Ok(())
    }

    async fn write(&self, chunk: Chunk) -> (io::Result<usize>, Chunk) {
        match &self.file {
            Handle::Here(file) => E::write_here(file, chunk, self.positional.then_some(self.offset)),
            Handle::Engine(file) => E::write(file, chunk).await,
        }
    }

    fn advance(&mut self, count: u64) {
        self.offset += count;
        self.progress.set(self.offset);
    }
}
