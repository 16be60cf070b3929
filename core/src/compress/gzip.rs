//! Gzip members on flate2.

use super::transformer::{Finish, Step};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use std::io;

/// Of data behind a member.
const NO_OTHER: &str = "what follows the last gzip member is not another";

/// Of data that does not begin as a member does.
pub(super) const NOT_GZIP: &str = "not in gzip format";

/// The base-2 logarithm of deflate's largest window, in bytes.
const WINDOW_BITS: u8 = 15;

/// Bytes of room that a flush has. In less than its mark takes, five bytes, deflate writes one mark after the other
/// and never has room left, which is how it says that it is done.
const FLUSH_ROOM: usize = 64;

/// One member in the making.
pub(super) struct Compressor {
    deflate: Compress,
    /// What a flush wrote beyond the caller's room.
    held: Held,
    /// Whether a flush has only what is held to give.
    is_flushed: bool,
}

impl Compressor {
    pub(super) fn new(level: i32) -> Self {
        let level = flate2::Compression::new(level.unsigned_abs());
        let deflate = Compress::new_gzip(level, WINDOW_BITS);
        Self { deflate, held: Held::default(), is_flushed: false }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        self.is_flushed = false;
        if !self.held.is_empty() {
            return Ok(Step { consumed: 0, produced: self.held.give(output) });
        }
        Ok(self.deflate(input, output, FlushCompress::None)?.0)
    }

    pub(super) fn flush(&mut self, output: &mut [u8]) -> io::Result<Finish> {
        let mut produced = self.held.give(output);
        while self.held.is_empty() && !self.is_flushed {
            let room = output.get_mut(produced..).unwrap_or_default();
            if room.is_empty() {
                break;
            }
            produced += self.flush_into(room)?;
        }
        let done = self.is_flushed && self.held.is_empty();
        self.is_flushed = self.is_flushed && !done;
        Ok(Finish { produced, done })
    }

    fn flush_into(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.len() >= FLUSH_ROOM {
            let (step, _) = self.deflate(&[], room, FlushCompress::Sync)?;
            self.is_flushed = step.produced < room.len();
            return Ok(step.produced);
        }
        let mut held = Held::default();
        let (step, _) = self.deflate(&[], &mut held.bytes, FlushCompress::Sync)?;
        self.is_flushed = step.produced < held.bytes.len();
        held.end = step.produced;
        self.held = held;
        Ok(self.held.give(room))
    }

    pub(super) fn finish(&mut self, output: &mut [u8]) -> io::Result<Finish> {
        let given = self.held.give(output);
        let room = output.get_mut(given..).unwrap_or_default();
        if room.is_empty() {
            return Ok(Finish { produced: given, done: false });
        }
        let (step, status) = self.deflate(&[], room, FlushCompress::Finish)?;
        Ok(Finish { produced: given + step.produced, done: status == Status::StreamEnd })
    }

    fn deflate(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        flush: FlushCompress,
    ) -> io::Result<(Step, Status)> {
        let before = (self.deflate.total_in(), self.deflate.total_out());
        let status = self.deflate.compress(input, output, flush).map_err(io::Error::other)?;
        Ok((step_since(before, (self.deflate.total_in(), self.deflate.total_out())), status))
    }
}

/// A few bytes that wait for room.
struct Held {
    bytes: [u8; FLUSH_ROOM],
    start: usize,
    end: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self { bytes: [0; FLUSH_ROOM], start: 0, end: 0 }
    }
}

impl Held {
    fn give(&mut self, output: &mut [u8]) -> usize {
        let bytes = self.bytes.get(self.start..self.end).unwrap_or_default();
        let given = bytes.len().min(output.len());
        output.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.start += given;
        given
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// Members that follow one another, with zeros between and behind them, as tapes and Python's `gzip` have it.
pub(super) struct Decompressor {
    /// None between two members.
    member: Option<Decompress>,
    /// Whether there was a whole member.
    has_member: bool,
}

impl Decompressor {
    pub(super) fn new() -> Self {
        Self { member: None, has_member: false }
    }

    pub(super) fn is_between(&self) -> bool {
        self.member.is_none()
    }

    pub(super) fn has_member(&self) -> bool {
        self.has_member
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        if self.member.is_none() {
            match input.first() {
                None => return Ok(Step::default()),
                Some(0) if self.has_member => {
                    let zeros = input.iter().take_while(|byte| **byte == 0).count();
                    return Ok(Step { consumed: zeros, produced: 0 });
                }
                Some(0x1f) => {}
                Some(_) if self.has_member => {
                    return Err(invalid_data(NO_OTHER));
                }
                Some(_) => return Err(invalid_data(NOT_GZIP)),
            }
        }
        let member = self.member.get_or_insert_with(|| Decompress::new_gzip(WINDOW_BITS));
        let before = (member.total_in(), member.total_out());
        let status = member.decompress(input, output, FlushDecompress::None);
        let status = status.map_err(|error| match error.message() {
            // The second byte is not that of gzip either.
            Some("incorrect header check") => invalid_data(if self.has_member { NO_OTHER } else { NOT_GZIP }),
            _ => invalid_data(&format!("broken gzip data: {error}")),
        })?;
        let step = step_since(before, (member.total_in(), member.total_out()));
        if status == Status::StreamEnd {
            (self.member, self.has_member) = (None, true);
        }
        Ok(step)
    }
}

/// What happened between two states of the totals of what went in and came out.
fn step_since(before: (u64, u64), after: (u64, u64)) -> Step {
    let len = |before, after: u64| usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX);
    Step { consumed: len(before.0, after.0), produced: len(before.1, after.1) }
}

fn invalid_data(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
