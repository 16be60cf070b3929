//! From bytes read to events for the sink.

use super::options::{Ended, Notice, TailEvent, TailOptions, Unit};
use crate::{
    error::Error,
    lines::{Line, Splitter},
};
use std::ops::ControlFlow;

/// Why a run ends early.
#[derive(Debug)]
pub(super) enum Halt {
    Ended(Ended),
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The sink, and the form that it wants bytes in.
#[derive(Debug)]
pub(super) struct Emitter<S> {
    sink: S,
    unit: Unit,
    terminator: u8,
    max_line_bytes: usize,
}

impl<S: FnMut(TailEvent<'_>) -> ControlFlow<()>> Emitter<S> {
    pub(super) fn new(sink: S, options: &TailOptions) -> Self {
        Self {
            sink,
            unit: options.unit,
            terminator: options.terminator,
            max_line_bytes: options.max_line_bytes,
        }
    }

    /// A splitter for a generation read from `offset` on.
    pub(super) fn splitter(&self, offset: u64) -> Splitter {
        Splitter::new()
            .with_terminator(self.terminator)
            .with_max_line_bytes(self.max_line_bytes)
            .with_offset(offset)
    }

    /// Puts bytes out; with `whole_lines`, all but a last line that has not ended, which `splitter`
    /// holds. Returns whether the output ends in the middle of a line.
    pub(super) fn bytes(
        &mut self,
        generation: u64,
        splitter: &mut Splitter,
        (mut bytes, offset): (&[u8], u64),
        whole_lines: bool,
    ) -> Result<bool, Halt> {
        if self.unit == Unit::Bytes && !whole_lines && splitter.held_len() == 0 {
            self.tell(TailEvent::Bytes { bytes, offset, generation })?;
            return Ok(bytes.last() != Some(&self.terminator));
        }
        if splitter.held_len() == 0 {
            *splitter = self.splitter(offset);
        }
        while let Some(line) = splitter.next_line(&mut bytes) {
            self.line(generation, line)?;
        }
        Ok(false)
    }

    /// Puts out what `splitter` holds of a line that will not end.
    pub(super) fn rest(&mut self, generation: u64, splitter: &mut Splitter) -> Result<(), Halt> {
        splitter.finish().map_or(Ok(()), |line| self.line(generation, line))
    }

    pub(super) fn notice(&mut self, notice: Notice) -> Result<(), Halt> {
        self.tell(TailEvent::Notice(notice))
    }

    fn line(&mut self, generation: u64, line: Line<'_>) -> Result<(), Halt> {
        match self.unit {
            Unit::Lines => self.tell(TailEvent::Line { line, generation }),
            Unit::Bytes => self.tell(TailEvent::Bytes { bytes: line.bytes, offset: line.offset, generation }),
        }
    }

    fn tell(&mut self, event: TailEvent<'_>) -> Result<(), Halt> {
        match (self.sink)(event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Halt::Ended(Ended::Broken)),
        }
    }
}
