//! What changes while a file is open.

use super::{
    Access,
    behind::{Behind, Piece},
    buffers::{ReadBuffer, WriteBuffer},
    fifo::Fifo,
    large_text::Scanned,
    text::Text,
};
use crate::{
    driver::LoopHandle,
    errors::{closed, unsupported},
    joining::Joining,
};
use afx_core::{
    buffer::{Chunk, Slot},
    engine::{Descriptor, FileKind},
};
use pyo3::prelude::*;
use rustix::fs::{OFlags, SeekFrom, fcntl_getfl, fstat, seek};
use std::{
    io,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
    sync::Arc,
};

/// Least that is sent on its way by itself, in bytes: for less, waking a thread costs more than it saves.
const LEAST_BEHIND_BYTES: usize = 2048;

/// The state of an open file; one lock guards all of it.
#[allow(clippy::struct_excessive_bools, reason = "independent facts about one file")]
pub(crate) struct State {
    /// None once closed.
    pub(crate) file: Option<Arc<Descriptor>>,
    /// The byte that the next read returns or the next write replaces; meaningless where the kernel
    /// keeps the position ([`State::is_positional`]).
    pub(crate) position: u64,
    /// Where a text file of `io` would have read to, since it was opened, written to or its position set.
    pub(crate) fetched: u64,
    pub(crate) read: ReadBuffer,
    /// What an operation of many steps took out of a pipe so far, to be given back should it not end.
    pub(crate) kept: Option<Vec<u8>>,
    pub(crate) write: WriteBuffer,
    /// What was in the write buffer and is on its way to the kernel.
    pub(crate) behind: Behind,
    /// The buffer has been full once: the program writes a stream, and what it writes need not wait for
    /// the buffer to be full again.
    streams: bool,
    /// Bytes for which there was no room last.
    pub(crate) wanted: usize,
    /// Bytes that may be on their way while the program goes on, besides the buffer; 0 for as many as the
    /// buffer holds, and only from there.
    pub(crate) write_behind_bytes: usize,
    pub(crate) text: Option<Text>,
    /// Something was read, and neither the end met nor the position set or written at since.
    pub(crate) reading: bool,
    pub(crate) fifo: Fifo,
    pub(crate) unfinished: Unfinished,
    /// What is left of a large write; forgotten when that fails or is cancelled.
    pub(crate) outgoing: Option<Chunk>,
    /// The program may change it meanwhile.
    pub(crate) outgoing_changes: bool,
    /// Whether the file system takes writes that promise not to wait.
    pub(crate) tries_cached_writes: bool,
    /// Somebody closes this pipe: what it may still bring is not waited for.
    pub(crate) closing: bool,
    access: Access,
    seekable: bool,
    /// What was read can be read again.
    goes_back: bool,
    own_fd: bool,
}

/// What an operation has half done while it waits; forgotten when it fails or is cancelled.
#[derive(Default)]
pub(crate) struct Unfinished {
    /// What the last attempt of the owner was missing.
    pub(crate) need: Option<Need>,
    /// Where the file goes back to when it is left.
    pub(crate) start: Option<u64>,
    /// What `fetched` was then.
    pub(crate) fetched: u64,
    /// Tells the operation that set `start` from others; 0 when none did.
    pub(crate) mark: u64,
    /// Parts of a large read that have arrived, for the attempt that asked for them.
    pub(crate) parts: Vec<Py<PyAny>>,
    /// Bytes of the file in `parts`; the position moves past them when they are asked for.
    pub(crate) parts_bytes: u64,
    /// The last of `parts` was short: nothing follows.
    pub(crate) parts_ended: bool,
    /// `parts` of text on their way to be one; they are there until it is.
    pub(crate) joining: Option<Joining>,
    /// The read buffer holds the rest of the file, which is not valid text.
    pub(crate) undecodable: bool,
}

/// What an attempt cannot go on without.
pub(crate) enum Need {
    /// More bytes in the read buffer, this many at the least if there are as many.
    Fill { bytes: usize },
    /// The write buffer in the kernel.
    Flush,
    /// So many bytes as one object.
    Bytes { len: usize },
    /// So many bytes, and the rest of the file, decoded.
    Text { len: usize },
    /// So many bytes of the read buffer as one object, copied elsewhere.
    Copy { len: usize },
    /// Bytes that were found to be valid, as a string.
    Decode(Scanned),
}

impl Unfinished {
    /// Puts the parts of a text together; `None` when there is more to do, after the loop has turned.
    pub(crate) fn join_step<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut joining = if let Some(joining) = self.joining.take() {
            joining
        } else {
            let parts = std::mem::take(&mut self.parts);
            if let [only] = parts.as_slice() {
                return Ok(Some(only.bind(py).clone()));
            }
            Joining::new(py, parts)?
        };
        if joining.step(py)? {
            return Ok(Some(joining.finish(py).into_any()));
        }
        self.joining = Some(joining);
        Ok(None)
    }
}

impl State {
    /// The state of a regular file that was just opened: nothing about it has to be asked.
    ///
    /// # Errors
    ///
    /// Those of `lseek(2)`, for a file that is appended to; it is closed then.
    pub(crate) fn of_fresh(
        file: OwnedFd,
        access: Access,
        buffer_bytes: usize,
        text: Option<Text>,
    ) -> io::Result<Self> {
        let position = if access.append { seek(&file, SeekFrom::End(0))? } else { 0 };
        Ok(Self {
            file: Some(Descriptor::own_as(file, FileKind::Seekable)),
            position,
            fetched: position,
            write: WriteBuffer::new(if access.raw { 0 } else { buffer_bytes }),
            text,
            seekable: true,
            goes_back: true,
            own_fd: true,
            ..Self::empty(access)
        })
    }

    /// The state of a file that the program had open, or of any that was just opened. After an error the
    /// descriptor is as open as before: it is the caller's still.
    #[allow(unsafe_code, reason = "a descriptor number that Python gave us")]
    pub(crate) fn adopt(
        fd: RawFd,
        closefd: bool,
        mut access: Access,
        buffer_bytes: usize,
        text: Option<Text>,
    ) -> io::Result<Self> {
        // SAFETY: the kernel is asked about the number; one that is not open is an error.
        let asked = unsafe { BorrowedFd::borrow_raw(fd) };
        let kind = FileKind::of(asked)?;
        let position = seek(asked, SeekFrom::Current(0));
        let seekable = position.is_ok();
        let mut position = position.unwrap_or(0);
        if access.append && seekable {
            position = seek(asked, SeekFrom::End(0))?;
        }
        // Whatever the mode says: every write goes to the end with this flag, and only with it.
        access.append = fcntl_getfl(asked)?.contains(OFlags::APPEND);
        let one_way = !(access.readable && access.writable);
        let goes_back = seekable && (kind == FileKind::Seekable || moves(asked, position)?);
        let file = if closefd {
            // SAFETY: the caller hands the descriptor over, as with `open(fd, closefd=True)`. Nothing
            // fails from here on, so that it has one owner whatever happens.
            Descriptor::own_as(unsafe { OwnedFd::from_raw_fd(fd) }, kind)
        } else {
            // SAFETY: the caller keeps it open, as `closefd=False` demands.
            unsafe { Descriptor::borrow(fd)? }
        };
        let mut fifo = Fifo::default();
        fifo.set_two_sides(!goes_back && (one_way || access.raw));
        Ok(Self {
            fifo,
            file: Some(file),
            position,
            fetched: position,
            write: WriteBuffer::new(if access.raw { 0 } else { buffer_bytes }),
            text,
            seekable,
            goes_back,
            own_fd: closefd,
            ..Self::empty(access)
        })
    }

    /// The state of a file that is a blocking one from the start.
    pub(crate) fn without_descriptor(access: Access) -> Self {
        let mut state = Self::empty(access);
        state.fifo.refuse_attempts();
        state
    }

    fn empty(access: Access) -> Self {
        Self {
            file: None,
            position: 0,
            fetched: 0,
            read: ReadBuffer::default(),
            kept: None,
            write: WriteBuffer::new(0),
            behind: Behind::default(),
            streams: false,
            wanted: 0,
            write_behind_bytes: 0,
            text: None,
            reading: false,
            fifo: Fifo::default(),
            unfinished: Unfinished::default(),
            outgoing: None,
            outgoing_changes: false,
            tries_cached_writes: true,
            closing: false,
            access,
            seekable: false,
            goes_back: false,
            own_fd: false,
        }
    }

    pub(crate) fn descriptor(&self) -> PyResult<&Arc<Descriptor>> {
        self.file.as_ref().ok_or_else(closed)
    }

    /// Whether we say where each read and write goes. Otherwise the file's own position in the kernel does.
    pub(crate) fn is_positional(&self) -> bool {
        let regular = self.file.as_ref().is_some_and(|file| file.kind() == FileKind::Seekable);
        regular && !self.access.raw
    }

    pub(crate) fn is_seekable(&self) -> bool {
        self.seekable
    }

    /// What the mode allows, and what the descriptor's own flags add to it.
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    pub(crate) fn owns_fd(&self) -> bool {
        self.own_fd
    }

    /// Where the next read starts that fills the read buffer.
    pub(crate) fn read_offset(&self) -> Option<u64> {
        self.is_positional().then(|| self.position + self.read.len() as u64)
    }

    /// Where the bytes of the write buffer go.
    pub(crate) fn write_offset(&self) -> Option<u64> {
        let positional = self.is_positional() && !self.access.append;
        positional.then(|| self.position.saturating_sub(self.write.len() as u64))
    }

    pub(crate) fn check_readable(&self, py: Python<'_>) -> PyResult<()> {
        self.check_readable_for(py, "read")
    }

    /// As [`check_readable`](Self::check_readable), for a method of this name.
    pub(crate) fn check_readable_for(&self, py: Python<'_>, method: &'static str) -> PyResult<()> {
        self.descriptor()?;
        if self.closing {
            return Err(closed());
        }
        if self.access.readable {
            Ok(())
        } else {
            Err(unsupported(py, self.wording(["not readable", method, "File not open for reading"])))
        }
    }

    pub(crate) fn check_writable(&self, py: Python<'_>) -> PyResult<()> {
        self.check_writable_as(py, ["not writable", "write", "File not open for writing"])
    }

    /// As [`check_writable`](Self::check_writable), in the words of [`wording`](Self::wording).
    pub(crate) fn check_writable_as(&self, py: Python<'_>, words: [&'static str; 3]) -> PyResult<()> {
        self.descriptor()?;
        if self.access.writable { Ok(()) } else { Err(unsupported(py, self.wording(words))) }
    }

    /// Which of the three words `io` has for a refusal: of text, of buffered bytes, of unbuffered ones.
    fn wording(&self, [text, buffered, raw]: [&'static str; 3]) -> &'static str {
        match (&self.text, self.access.raw) {
            (Some(_), _) => text,
            (None, false) => buffered,
            (None, true) => raw,
        }
    }

    /// Whether the kernel still lacks anything that was written, or nobody knows where that went.
    pub(crate) fn has_unwritten(&self) -> bool {
        !self.write.is_empty() || !self.behind.is_settled()
    }

    /// Whether `count` more bytes can be buffered; a write as large as the buffer never is.
    pub(crate) fn has_room(&mut self, count: usize) -> bool {
        let capacity = self.write.capacity();
        if self.writes_behind() {
            let is_full = self.write.len() + count > capacity;
            if count < capacity && is_full && self.may_send(self.write.len()) {
                self.send_behind();
            }
            let fits = count < capacity && self.has_room_within(count, capacity);
            if !fits {
                // What the buffer never takes needs all that is on its way written, or is an object's own.
                self.wanted = if count < capacity { count } else { usize::MAX };
            }
            return fits;
        }
        let fits = self.has_room_within(count, capacity) || (count < capacity && self.await_room(count));
        if !fits {
            (self.streams, self.wanted) = (true, count);
        }
        fits && count < capacity
    }

    /// Whether everything that is written goes on its way behind the program, large objects too.
    pub(crate) fn writes_behind(&self) -> bool {
        self.write_behind_bytes > 0
            && self.file.as_ref().is_some_and(|file| file.kind() == FileKind::Seekable)
    }

    /// Whether `len` more bytes may be on their way: more than is allowed only by themselves.
    pub(crate) fn may_send(&self, len: usize) -> bool {
        let pending = self.behind.pending();
        !self.behind.has_failed() && (pending == 0 || pending + len <= self.write_behind_bytes)
    }

    /// Whether an object of `len` bytes may be on its way, behind what is buffered.
    pub(crate) fn may_send_large(&mut self, len: usize) -> bool {
        let all = self.write.len() + len;
        self.wanted = len;
        all <= self.write_behind_bytes && self.may_send(all)
    }

    /// Sends a chunk of the program's on its way, the buffer being empty, and counts it as written.
    pub(crate) fn send(&mut self, chunk: Chunk, event_loop: LoopHandle) {
        let (file, offset, len) = (self.file.clone(), self.write_offset(), chunk.len());
        if let Some(file) = file {
            self.behind.give(Piece { file, chunk, offset }, Some(event_loop));
            self.count_written(len);
        }
    }

    /// How many bytes may still be on their way for what lacked room to have it.
    pub(crate) fn most_pending(&self) -> usize {
        let all = self.write.len().saturating_add(self.wanted);
        // Half of it at the most, or each piece would be waited for by itself.
        self.write_behind_bytes.saturating_sub(all).min(self.write_behind_bytes / 2)
    }

    /// Whether by now there is room for what lacked it.
    pub(crate) fn has_room_again(&self) -> bool {
        if self.writes_behind() {
            let all = self.write.len().saturating_add(self.wanted);
            return all <= self.write_behind_bytes && self.may_send(all);
        }
        let capacity = self.write.capacity();
        self.wanted < capacity && self.has_room_within(self.wanted, capacity)
    }

    /// Waits a moment for room for `count` more bytes, should there be some when what is on its way is
    /// written.
    fn await_room(&self, count: usize) -> bool {
        let rest = self.write.capacity().checked_sub(self.write.len() + count);
        rest.is_some_and(|rest| self.behind.pending() > 0 && self.behind.await_room(rest))
    }

    /// Bytes that can be buffered; of a stream, before half of the buffer is on its way.
    pub(crate) fn room(&self) -> usize {
        let capacity = self.write.capacity();
        let half = capacity / 2;
        let most = if self.streams && half >= LEAST_BEHIND_BYTES { half } else { capacity };
        let taken = self.write.len() + if self.writes_behind() { 0 } else { self.behind.pending() };
        if self.behind.has_failed() { 0 } else { capacity.saturating_sub(taken).min(most) }
    }

    /// Whether `count` more bytes can be buffered where all of it may take `room`.
    pub(crate) fn has_room_within(&self, count: usize, room: usize) -> bool {
        let on_its_way = if self.writes_behind() { 0 } else { self.behind.pending() };
        self.write.len() + on_its_way + count <= room && !self.behind.has_failed()
    }

    /// Sends the write buffer on its way once it is half full, if nothing else is.
    pub(crate) fn write_behind(&mut self) {
        let half = self.write.capacity() / 2;
        if self.write.len() >= half && self.goes_behind() && self.behind.pending() == 0 {
            self.send_behind();
        }
    }

    /// Whether what is written goes on its way behind the program, in pieces that are worth it. Not where
    /// the kernel takes it without waiting: there it is written at once, when the buffer is full.
    pub(crate) fn goes_behind(&self) -> bool {
        let is_regular = self.file.as_ref().is_some_and(|file| file.kind() == FileKind::Seekable);
        let half = self.write.capacity() / 2;
        is_regular
            && self.streams
            && self.write_behind_bytes == 0
            && !self.tries_cached_writes
            && half >= LEAST_BEHIND_BYTES
    }

    /// Sends the write buffer on its way, behind what is on its way already.
    pub(crate) fn send_behind(&mut self) {
        let (file, offset) = (self.file.clone(), self.write_offset());
        if let (Some(file), Some(chunk)) = (file, self.write.take()) {
            self.behind.give(Piece { file, chunk, offset }, None);
        }
    }

    /// Whether the owner must flush before it reads: a read waits for the file's own writes.
    pub(crate) fn must_flush_first(&mut self) -> bool {
        let must = self.has_unwritten();
        if must {
            self.unfinished.need = Some(Need::Flush);
        }
        must
    }

    /// Counts `count` bytes of the read buffer as asked for.
    pub(crate) fn consume(&mut self, count: usize) {
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(self.read.bytes().get(..count).unwrap_or_default());
        }
        let last = count.checked_sub(1).and_then(|last| self.read.bytes().get(last)).copied();
        self.read.consume(count);
        self.reading |= count > 0;
        self.position += count as u64;
        self.fetch_chunks(last);
    }

    /// Takes the read buffer out, with room for what is to be read.
    pub(crate) fn take_for_reading(&mut self, wanted: usize) -> io::Result<Slot> {
        if self.access.raw {
            self.read.take_for_reading_exactly(wanted)
        } else {
            self.read.take_for_reading(wanted)
        }
    }

    /// Bytes between the position and the end of the file, as far as anybody can tell; 0 where there is
    /// no position. Asks the kernel for the position of an unbuffered file.
    pub(crate) fn remaining(&mut self) -> io::Result<u64> {
        let Some(file) = self.file.clone() else { return Ok(0) };
        if file.kind() != FileKind::Seekable {
            return Ok(0);
        }
        if self.access.raw {
            self.position = seek(&*file, SeekFrom::Current(0))?.saturating_sub(self.read.len() as u64);
        }
        let size = u64::try_from(fstat(&*file)?.st_size).unwrap_or(0);
        Ok(size.saturating_sub(self.position))
    }

    /// Leaves the kernel's own position where the program believes it is, for child processes and for
    /// whoever else has the file.
    pub(crate) fn sync_kernel_position(&self) -> io::Result<()> {
        match &self.file {
            Some(file) if self.is_positional() && !self.has_unwritten() => {
                seek(&**file, SeekFrom::Start(self.position)).map(drop).map_err(io::Error::from)
            }
            _ => Ok(()),
        }
    }

    /// Whether bytes that were read can be read again.
    pub(crate) fn goes_back(&self) -> bool {
        self.goes_back
    }

    /// Forgets what was read ahead, where it can be read again; where the kernel keeps the position, that
    /// goes back to ours.
    pub(crate) fn give_back_read_ahead(&mut self) -> io::Result<()> {
        if !self.goes_back {
            return Ok(());
        }
        let ahead = i64::try_from(self.read.len()).unwrap_or(i64::MAX);
        self.read.clear();
        self.reading = false;
        match &self.file {
            Some(file) if ahead > 0 && !self.is_positional() => {
                Ok(seek(&**file, SeekFrom::Current(-ahead)).map(drop)?)
            }
            _ => Ok(()),
        }
    }

    /// Moves the kernel's own position to ours.
    pub(crate) fn set_kernel_position(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        Ok(seek(&**file, SeekFrom::Start(self.position)).map(drop)?)
    }
}

/// Whether a file that has a position can have another. Many devices take every seek and do nothing.
fn moves(file: BorrowedFd<'_>, position: u64) -> io::Result<bool> {
    let moved = seek(file, SeekFrom::Start(position + 1)).is_ok_and(|now| now != position);
    if moved {
        seek(file, SeekFrom::Start(position))?;
    }
    Ok(moved)
}
