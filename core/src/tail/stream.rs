//! Pipes, terminals and other files without an end that could be looked for.

use super::{
    emit::{Emitter, Halt},
    extent::{FromStart, Ring},
    options::{Ended, Follow, Start, Tail, TailEvent},
    wait::{Waited, wait},
};
use crate::{
    error::{Error, Operation, Result},
    limits::{CHUNK_BYTES, TAIL_STREAM_BYTES},
    lines::Splitter,
};
use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};
use std::{
    io,
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
};

/// Reads `file` to its end, which for a FIFO that is followed never comes.
pub(super) fn run(
    tail: &Tail,
    file: &OwnedFd,
    adopted: bool,
    sink: impl FnMut(TailEvent<'_>) -> ControlFlow<()>,
) -> Result<Ended> {
    let emitter = Emitter::new(sink, &tail.options);
    let splitter = emitter.splitter(0);
    let mut stream =
        Stream { tail, file, emitter, splitter, offset: 0, buffer: vec![0; CHUNK_BYTES], keeper: None };
    match stream.work(adopted) {
        Ok(ended) | Err(Halt::Ended(ended)) => Ok(ended),
        Err(Halt::Failed(error)) => Err(error),
    }
}

struct Stream<'t, S> {
    tail: &'t Tail,
    file: &'t OwnedFd,
    emitter: Emitter<S>,
    splitter: Splitter,
    /// Bytes read.
    offset: u64,
    buffer: Vec<u8>,
    /// A writer of our own, which keeps a FIFO from ending.
    keeper: Option<OwnedFd>,
}

impl<S: FnMut(TailEvent<'_>) -> ControlFlow<()>> Stream<'_, S> {
    fn work(&mut self, adopted: bool) -> Result<Ended, Halt> {
        let options = &self.tail.options;
        match options.start {
            Start::LastLines(wanted) => self.last_lines(Ring::new(options.terminator, wanted))?,
            Start::Line(number) => {
                let left_out = number.saturating_sub(1);
                self.pass_on(FromStart::new(options.terminator, left_out))?;
            }
        }
        if !adopted && options.follow != Follow::No && self.keep_open() {
            self.pass_on(FromStart::new(options.terminator, 0))?;
        }
        self.emitter.rest(0, &mut self.splitter)?;
        Ok(Ended::Finished)
    }

    /// Reads to the end, then puts out the last lines.
    fn last_lines(&mut self, mut ring: Ring) -> Result<(), Halt> {
        loop {
            let count = self.read()?;
            if count == 0 {
                break;
            }
            ring.push(self.buffer.get(..count).unwrap_or_default());
            self.offset += count as u64;
            if ring.len() > TAIL_STREAM_BYTES {
                let reason = "the lines asked for do not fit into a gigabyte of memory";
                return Err(self.failed(io::Error::new(io::ErrorKind::OutOfMemory, reason)));
            }
        }
        let mut offset = self.offset - ring.len() as u64;
        let held = ring.len();
        let pieces: Vec<Vec<u8>> = ring.into_pieces().collect();
        offset += (held - pieces.iter().map(Vec::len).sum::<usize>()) as u64;
        for piece in pieces {
            self.emitter.bytes(0, &mut self.splitter, (&piece, offset), false)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Puts out what comes, but for the first lines.
    fn pass_on(&mut self, mut lines: FromStart) -> Result<(), Halt> {
        loop {
            let count = self.read()?;
            if count == 0 {
                return Ok(());
            }
            let bytes = self.buffer.get(..count).unwrap_or_default();
            let at = lines.block(bytes);
            let (_, wanted) = bytes.split_at(at);
            if !wanted.is_empty() {
                let place = (wanted, self.offset + at as u64);
                self.emitter.bytes(0, &mut self.splitter, place, false)?;
            }
            self.offset += count as u64;
        }
    }

    /// Waits for bytes; 0 is the end.
    fn read(&mut self) -> Result<usize, Halt> {
        let output = self.tail.output.as_ref().map(AsFd::as_fd);
        loop {
            if self.tail.shared.is_stopped() {
                return Err(Halt::Ended(Ended::Stopped));
            }
            match wait(&self.tail.shared.reader, Some(self.file.as_fd()), output, None) {
                Waited::Bell | Waited::TimeOut => continue,
                Waited::OutputClosed => return Err(Halt::Ended(Ended::OutputClosed)),
                Waited::Input => {}
            }
            match rustix::io::read(self.file, &mut *self.buffer) {
                Ok(count) => return Ok(count),
                Err(Errno::INTR | Errno::WOULDBLOCK) => {}
                Err(cause) => return Err(self.failed(cause.into())),
            }
        }
    }

    /// Makes a FIFO wait for its next writer instead of ending; false for anything else.
    fn keep_open(&mut self) -> bool {
        let is_fifo = rustix::fs::fstat(self.file)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        self.keeper =
            is_fifo.then(|| rustix::fs::open(&self.tail.options.path, flags, Mode::empty()).ok()).flatten();
        self.keeper.is_some()
    }

    fn failed(&self, cause: io::Error) -> Halt {
        let error = Error::new(Operation::Read, cause).with_path(&self.tail.options.path);
        Halt::Failed(error.with_offset(self.offset))
    }
}
