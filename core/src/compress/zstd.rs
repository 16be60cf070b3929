//! Zstandard frames on libzstd.

use super::transformer::{Finish, Step};
use crate::limits::ZSTD_WINDOW_LOG_MAX;
use std::io;
use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, Operation, OutBuffer};

/// Of data that does not begin as a frame does.
pub(super) const NOT_ZSTD: &str = "not in zstd format";

/// One frame in the making.
pub(super) struct Compressor(Encoder<'static>);

impl Compressor {
    pub(super) fn new(level: i32) -> io::Result<Self> {
        let mut encoder = Encoder::new(level)?;
        encoder.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self(encoder))
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let status = self.0.run_on_buffers(input, output)?;
        Ok(Step { consumed: status.bytes_read, produced: status.bytes_written })
    }

    pub(super) fn flush(&mut self, output: &mut [u8]) -> io::Result<Finish> {
        let mut output = OutBuffer::around(output);
        let left = self.0.flush(&mut output)?;
        Ok(Finish { produced: output.pos(), done: left == 0 })
    }

    pub(super) fn finish(&mut self, output: &mut [u8]) -> io::Result<Finish> {
        let mut output = OutBuffer::around(output);
        let left = self.0.finish(&mut output, true)?;
        Ok(Finish { produced: output.pos(), done: left == 0 })
    }
}

/// Frames that follow one another, skippable ones left out.
pub(super) struct Decompressor {
    decoder: Decoder<'static>,
    /// Whether all of the last frame has been given out, and nothing of the next has come.
    is_between: bool,
    /// Whether there was a whole frame.
    has_frame: bool,
}

impl Decompressor {
    pub(super) fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
        Ok(Self { decoder, is_between: true, has_frame: false })
    }

    pub(super) fn is_between(&self) -> bool {
        self.is_between
    }

    pub(super) fn has_frame(&self) -> bool {
        self.has_frame
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let status = self.decoder.run_on_buffers(input, output).map_err(|error| self.explain(&error))?;
        // With nothing done it tells what it would like to have of the next frame.
        if status.remaining == 0 {
            (self.is_between, self.has_frame) = (true, true);
        } else if status.bytes_read > 0 || status.bytes_written > 0 {
            self.is_between = false;
        }
        Ok(Step { consumed: status.bytes_read, produced: status.bytes_written })
    }

    /// The library's words for an error, where they do not mislead.
    fn explain(&self, error: &io::Error) -> io::Error {
        let reason = match error.to_string().as_str() {
            "Frame requires too much memory for decoding" => format!(
                "the zstd frame needs a window of more than {} MiB",
                (1_u64 << ZSTD_WINDOW_LOG_MAX) / (1024 * 1024)
            ),
            "Unknown frame descriptor" if self.has_frame => {
                "what follows the last zstd frame is not another".to_owned()
            }
            "Unknown frame descriptor" => NOT_ZSTD.to_owned(),
            other => format!("broken zstd data: {other}"),
        };
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }
}
