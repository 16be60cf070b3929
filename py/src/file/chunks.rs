//! How far a text file of `io` would have read by now.
//!
//! It reads and decodes whole chunks, and writes behind the last of them, wherever the characters that it
//! handed out end. Programs live by that without knowing it: they read the first line of a small file,
//! write, and have appended.

use super::{File, state::State, text::Newline};
use pyo3::prelude::*;
use rustix::fs::fstat;
use std::io;

/// Bytes of a chunk: `TextIOWrapper._CHUNK_SIZE` of `io`.
const CHUNK_BYTES: u64 = 8192;

impl State {
    fn reads_in_chunks(&self) -> bool {
        let access = self.access();
        self.text.is_some() && access.readable && access.writable && self.is_positional()
    }

    /// Counts the chunks that the bytes up to the position came with, `last` being the last of them.
    pub(super) fn fetch_chunks(&mut self, last: Option<u8>) {
        let Some(text) = self.text.as_ref().filter(|_| self.reads_in_chunks()) else { return };
        // At the end of a chunk, a carriage return waits for what follows it.
        let universal = matches!(text.newline, Newline::Translated | Newline::Universal);
        let waits = universal && last == Some(b'\r');
        let wanted = self.position + u64::from(waits);
        if wanted > self.fetched {
            self.fetched = self.chunk_end(wanted);
        }
    }

    /// Where the chunk ends that brings the bytes up to `wanted`.
    fn chunk_end(&self, wanted: u64) -> u64 {
        let chunks = (wanted - self.fetched).div_ceil(CHUNK_BYTES);
        let size = self.file.as_ref().and_then(|file| fstat(&**file).ok()).map(|stat| stat.st_size);
        let size = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        (self.fetched + chunks * CHUNK_BYTES).min(size).max(self.position)
    }

    /// Where a text file of `io` would write now, which is where it has read to; the position of others.
    pub(super) fn place_of_writing(&self) -> u64 {
        if self.reads_in_chunks() { self.position.max(self.fetched) } else { self.position }
    }

    /// Goes there, and forgets what was read ahead: it is older than what is written now.
    pub(super) fn turn_to_writing(&mut self) -> io::Result<()> {
        if !self.access().readable {
            return Ok(());
        }
        let place = self.place_of_writing();
        if place > self.position {
            self.read.clear();
            self.position = place;
        }
        self.give_back_read_ahead()
    }

    /// Moves the position behind `len` bytes of the large object that is being written.
    pub(super) fn count_outgoing(&mut self, len: usize) {
        if let Some(rest) = &mut self.outgoing {
            rest.advance(len.min(rest.len()));
        }
        self.count_written(len);
    }

    /// Moves the position behind `len` bytes that were written.
    pub(super) fn count_written(&mut self, len: usize) {
        self.position += len as u64;
        self.fetched = self.position;
    }
}

#[pymethods]
impl File {
    /// Has the next write go to the position, as behind a seek to it.
    fn _stay(&self, py: Python<'_>) {
        let mut state = self.core.lock(py);
        state.fetched = state.position;
    }
}
