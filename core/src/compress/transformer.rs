//! One stream in one direction, whatever the codec.

use super::{
    codec::{Codec, Compression, Level, invalid},
    gzip::{self, NOT_GZIP},
    zstd::{self, NOT_ZSTD},
};
use std::{fmt, io};

/// Of data that begins as that of no codec does.
const NEITHER: &str = "neither in zstd nor in gzip format";

/// What one step took and gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// Bytes of the output that are filled, from its start.
    pub produced: usize,
}

/// What the end of the input, or a flush, gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finish {
    /// Bytes of the output that are filled, from its start.
    pub produced: usize,
    /// Whether nothing is left to come.
    pub done: bool,
}

/// A stream that is compressed or decompressed.
///
/// Give [`step`](Self::step) the input piece by piece until all of it is consumed, then call
/// [`finish`](Self::finish) until it is done. A step with an empty input gives what is there already. After an error
/// every call fails with the same.
#[allow(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Transformer {
    state: State,
    /// Whether the first byte tells the codec.
    guesses: bool,
    /// Whether the last call had room left, so that without more input there is nothing to give.
    is_drained: bool,
    /// Whether a compressor took anything since the last flush.
    is_dirty: bool,
    /// Whether the end has been given.
    is_finished: bool,
    failure: Option<(io::ErrorKind, String)>,
}

enum State {
    ZstdCompressor(zstd::Compressor),
    GzipCompressor(Box<gzip::Compressor>),
    /// A decompressor before its first byte, which is to tell the codec.
    Undecided,
    ZstdDecompressor(zstd::Decompressor),
    GzipDecompressor(Box<gzip::Decompressor>),
}

impl Transformer {
    /// A transformer for `compression`.
    ///
    /// # Errors
    ///
    /// Those of [`compressor`](Self::compressor) and [`decompressor`](Self::decompressor).
    pub fn new(compression: Compression) -> io::Result<Self> {
        match compression {
            Compression::Compress { codec, level } => Self::compressor(codec, level),
            Compression::Decompress(codec) => Self::decompressor(codec),
        }
    }

    /// One that makes one frame of zstd with a checksum, or one member of gzip without name and time, so that the
    /// same bytes give the same result.
    ///
    /// # Errors
    ///
    /// Kind `InvalidInput` if the level is none of this codec; `OutOfMemory` if there is not enough.
    pub fn compressor(codec: Codec, level: Level) -> io::Result<Self> {
        let level = Level::new(codec, level.get())?.get();
        Ok(Self::of(match codec {
            Codec::Zstd => State::ZstdCompressor(zstd::Compressor::new(level)?),
            Codec::Gzip => State::GzipCompressor(Box::new(gzip::Compressor::new(level))),
        }))
    }

    /// One that restores the content of all frames or members together; without a codec, of the one that the first
    /// byte tells.
    ///
    /// # Errors
    ///
    /// Kind `OutOfMemory` if there is not enough.
    pub fn decompressor(codec: Option<Codec>) -> io::Result<Self> {
        Ok(Self::of(match codec {
            None => State::Undecided,
            Some(codec) => State::decompressor(codec)?,
        }))
    }

    fn of(state: State) -> Self {
        let guesses = matches!(state, State::Undecided);
        Self { state, guesses, is_drained: true, is_dirty: false, is_finished: false, failure: None }
    }

    /// Takes what it can of `input` and fills what it can of `output`.
    ///
    /// If it consumes less than all, `output` is full, or the next call fails.
    ///
    /// # Errors
    ///
    /// Kind `InvalidData` for what is neither of the formats, is broken, or is a zstd frame with a window above
    /// [`ZSTD_WINDOW_LOG_MAX`](crate::limits::ZSTD_WINDOW_LOG_MAX). What comes before the bad place is given first,
    /// as far as whole calls of the library go. Kind `InvalidInput` for input after the end was given.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        self.check()?;
        if self.is_finished && !input.is_empty() {
            return Err(invalid("input after the end of the compressed stream".to_owned()));
        }
        let mut done = Step::default();
        loop {
            let input = input.get(done.consumed..).unwrap_or_default();
            let room = output.get_mut(done.produced..).unwrap_or_default();
            if room.is_empty() || input.is_empty() && self.is_drained {
                return Ok(done);
            }
            let room_bytes = room.len();
            let step = match self.state.step(input, room) {
                Ok(step) => step,
                Err(error) => {
                    let error = self.fail(&error);
                    return if done == Step::default() { Err(error) } else { Ok(done) };
                }
            };
            self.is_drained = step.produced < room_bytes;
            self.is_dirty |= step.consumed > 0;
            if step == Step::default() {
                return Ok(done);
            }
            done.consumed += step.consumed;
            done.produced += step.produced;
        }
    }

    /// Gives what makes everything readable that was taken so far, without an end: for a log whose lines are to
    /// arrive. Each flush costs some bytes, one with nothing new none. A decompressor gives what it has anyway.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn flush(&mut self, output: &mut [u8]) -> io::Result<Finish> {
        self.check()?;
        if !self.is_compressor() {
            let step = self.step(&[], output)?;
            return Ok(Finish { produced: step.produced, done: self.is_drained });
        }
        if !self.is_dirty || self.is_finished {
            return Ok(Finish { produced: 0, done: true });
        }
        if output.is_empty() {
            return Ok(Finish::default());
        }
        let flushed = self.state.flush(output).map_err(|error| self.fail(&error))?;
        (self.is_drained, self.is_dirty) = (flushed.done, !flushed.done);
        Ok(flushed)
    }

    /// Tells that no input is left, and gives what is; done when that was all.
    ///
    /// # Errors
    ///
    /// Of a decompressor, kind `UnexpectedEof` if the input ended within a frame or a member, or was empty.
    pub fn finish(&mut self, output: &mut [u8]) -> io::Result<Finish> {
        self.check()?;
        if self.is_finished {
            return Ok(Finish { produced: 0, done: true });
        }
        if self.is_compressor() {
            if output.is_empty() {
                return Ok(Finish::default());
            }
            let finish = self.state.finish(output).map_err(|error| self.fail(&error))?;
            self.is_finished = finish.done;
            return Ok(finish);
        }
        let Step { produced, .. } = self.step(&[], output)?;
        if !self.is_drained || self.failure.is_some() {
            return Ok(Finish { produced, done: false });
        }
        if let Some(reason) = self.state.missing() {
            let error = self.fail(&io::Error::new(io::ErrorKind::UnexpectedEof, reason));
            return if produced == 0 { Err(error) } else { Ok(Finish { produced, done: false }) };
        }
        self.is_finished = true;
        Ok(Finish { produced, done: true })
    }

    fn is_compressor(&self) -> bool {
        matches!(self.state, State::ZstdCompressor(_) | State::GzipCompressor(_))
    }

    /// Fails again, if it failed.
    fn check(&self) -> io::Result<()> {
        match &self.failure {
            None => Ok(()),
            Some((kind, reason)) => Err(io::Error::new(*kind, reason.clone())),
        }
    }

    /// Keeps an error for the next calls.
    fn fail(&mut self, error: &io::Error) -> io::Error {
        let reason = error.to_string();
        // One byte may be that of a format by chance.
        let is_neither = self.guesses && [NOT_ZSTD, NOT_GZIP].contains(&reason.as_str());
        let reason = if is_neither { NEITHER.to_owned() } else { reason };
        let (kind, reason) = self.failure.insert((error.kind(), reason));
        io::Error::new(*kind, reason.clone())
    }
}

impl State {
    fn decompressor(codec: Codec) -> io::Result<Self> {
        Ok(match codec {
            Codec::Zstd => Self::ZstdDecompressor(zstd::Decompressor::new()?),
            Codec::Gzip => Self::GzipDecompressor(Box::new(gzip::Decompressor::new())),
        })
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        match self {
            Self::ZstdCompressor(compressor) => compressor.step(input, output),
            Self::GzipCompressor(compressor) => compressor.step(input, output),
            Self::ZstdDecompressor(decompressor) => decompressor.step(input, output),
            Self::GzipDecompressor(decompressor) => decompressor.step(input, output),
            Self::Undecided => {
                let Some(first) = input.first() else { return Ok(Step::default()) };
                let codec = Codec::of_first_byte(*first)
                    .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, NEITHER))?;
                *self = Self::decompressor(codec)?;
                self.step(input, output)
            }
        }
    }

    fn flush(&mut self, output: &mut [u8]) -> io::Result<Finish> {
        match self {
            Self::ZstdCompressor(compressor) => compressor.flush(output),
            Self::GzipCompressor(compressor) => compressor.flush(output),
            _ => Ok(Finish { produced: 0, done: true }),
        }
    }

    fn finish(&mut self, output: &mut [u8]) -> io::Result<Finish> {
        match self {
            Self::ZstdCompressor(compressor) => compressor.finish(output),
            Self::GzipCompressor(compressor) => compressor.finish(output),
            _ => Ok(Finish { produced: 0, done: true }),
        }
    }

    /// What a decompressor lacks if nothing more comes.
    fn missing(&self) -> Option<&'static str> {
        match self {
            Self::Undecided => Some("no data where zstd or gzip data should be"),
            Self::ZstdDecompressor(zstd) if !zstd.is_between() => Some("the zstd data ends within a frame"),
            Self::ZstdDecompressor(zstd) if !zstd.has_frame() => Some("no data where zstd data should be"),
            Self::GzipDecompressor(gzip) if !gzip.is_between() => Some("the gzip data ends within a member"),
            Self::GzipDecompressor(gzip) if !gzip.has_member() => Some("no data where gzip data should be"),
            _ => None,
        }
    }
}

impl fmt::Debug for Transformer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::ZstdCompressor(_) => "ZstdCompressor",
            State::GzipCompressor(_) => "GzipCompressor",
            State::Undecided => "Undecided",
            State::ZstdDecompressor(_) => "ZstdDecompressor",
            State::GzipDecompressor(_) => "GzipDecompressor",
        };
        f.debug_struct("Transformer")
            .field("state", &state)
            .field("is_finished", &self.is_finished)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
