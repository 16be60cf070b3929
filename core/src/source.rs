//! Bytes at this offset into this buffer.

use crate::{
    buffer::{Chunk, Pool, Slot},
    cancel::{Cancel, cancelled},
    engine::{Descriptor, Engine, FileKind},
    error::{Context, Operation, Result as CrateResult},
    fifo::Opened,
};
use rustix::{
    fs::{FileType, Mode, OFlags, SeekFrom, Stat, fstat, open, seek, stat},
    io::Errno,
};
use std::{
    ffi::CString,
    future::{Future, poll_fn},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

/// How long a read that was cancelled may still bring something, where that must not be lost: many times what a
/// finished one takes to be told of.
const ON_THE_WAY: Duration = Duration::from_millis(20);

/// What a source gives, in order.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// The next bytes.
    Data(Chunk),
    /// So many bytes of value zero, which the source does not store.
    Hole(u64),
}

/// Why the way from a source to a sink ended before the source did.
#[derive(Debug)]
pub(crate) enum Stop {
    /// No thread, no engine, or the file cannot be attached to it.
    Engine(io::Error),
    /// Reading failed at this offset; everything below it was given.
    Read(io::Error, u64),
    /// Writing failed at this offset; everything below it was written.
    Write(io::Error, u64),
    /// Compressing or restoring failed behind this many bytes of the source.
    Transform(io::Error, u64),
    /// Bringing what was written to the device failed; how much of it is there, nobody knows.
    Sync(io::Error),
    /// It took nothing for too long; everything below this offset was written.
    LeftBehind(u64),
    /// Somebody said so.
    Cancelled,
}

/// How a source is read.
#[allow(clippy::struct_excessive_bools, reason = "none follows from another")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceOptions {
    /// Where it is read from.
    pub(crate) from: Place,
    /// Whether holes are told of instead of read.
    pub(crate) tells_holes: bool,
    /// Whether nothing is left in the page cache that was not there before.
    pub(crate) drops_cache: bool,
    /// Whether the device is asked, whatever the page cache holds; where that cannot be, it is not.
    pub(crate) past_cache: bool,
    /// The offset at which it ends, where the file does not end before.
    pub(crate) until: u64,
    /// Whether what was read until somebody stops it is all that was to be read.
    pub(crate) ends_at_cancel: bool,
}

/// Where the first byte comes from, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The file's own position, which moves, as programs expect of standard input and output.
    Own,
    /// An offset, where the file takes any; whatever comes next elsewhere.
    Offset(u64),
}

impl Default for Place {
    fn default() -> Self {
        Self::Offset(0)
    }
}

impl Place {
    /// Whether offsets are used, and the first.
    pub(crate) fn begin(self) -> (bool, u64) {
        match self {
            Self::Own => (false, 0),
            Self::Offset(offset) => (true, offset),
        }
    }
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            from: Place::default(),
            tells_holes: true,
            drops_cache: false,
            past_cache: false,
            until: u64::MAX,
            ends_at_cancel: false,
        }
    }
}

/// A file that is read from an offset on, or from its own position if it has no offsets.
#[allow(clippy::struct_excessive_bools, reason = "none follows from another")]
pub(crate) struct FileSource<E: Engine> {
    file: Handle<E>,
    /// Whether it is read at offsets.
    positional: bool,
    /// What the system says at the start.
    size: u64,
    /// Whether it stores fewer bytes than its size, and holes are told of.
    sparse: bool,
    drops_cache: bool,
    /// The offset at which it ends.
    until: u64,
    /// Whether what was read until it is cancelled is to be given.
    ends_at_cancel: bool,
    /// The most bytes of a piece.
    piece_bytes: usize,
    /// The most bytes of a hole that come in one piece.
    hole_bytes: u64,
    /// Bytes given so far, and in a positional file the offset of the next.
    offset: u64,
    /// The extent that `offset` lies in, once it was asked for.
    extent: Extent,
    /// What ended the last read behind its bytes: an error, or the end of the file.
    ended: Option<io::Result<()>>,
}

/// How calls reach a file.
pub(crate) enum Handle<E: Engine> {
    /// By plain calls on the stage's own thread. It has nothing else to do while it waits for a device,
    /// and cached bytes are not handed from one CPU to another.
    Here(Arc<Descriptor>),
    /// By the engine, since a peer may keep it waiting for ever and waiting must end when cancelled.
    Engine(E::File),
}

/// Where a file has bytes, and where only a hole.
#[derive(Clone, Copy)]
struct Extent {
    end: u64,
    is_hole: bool,
}

/// No extent: nothing lies in it.
const NOT_ASKED: Extent = Extent { end: 0, is_hole: false };

/// Data as far as anybody knows.
const ALL_DATA: Extent = Extent { end: u64::MAX, is_hole: false };

/// Whether a peer may keep reads or writes of `file` waiting for ever.
pub(crate) fn has_peer(file: impl AsFd) -> io::Result<bool> {
    Ok(matches!(FileKind::of(file)?, FileKind::Pollable | FileKind::Device))
}

impl<E: Engine> Handle<E> {
    pub(crate) fn new(file: OwnedFd) -> io::Result<Self> {
        if has_peer(&file)? {
            E::adopt(file).map(Self::Engine)
        } else {
            Descriptor::own(file).map(Self::Here)
        }
    }
}

impl<E: Engine> FileSource<E> {
    pub(crate) fn new(file: OwnedFd, options: SourceOptions) -> io::Result<Self> {
        let stat = fstat(&file)?;
        let file = Handle::new(file)?;
        let (takes_offsets, offset) = options.from.begin();
        let positional =
            takes_offsets && matches!(&file, Handle::Here(file) if stat.st_size > 0 || can_seek(file));
        if let Handle::Here(file) = &file
            && options.past_cache
        {
            // If it cannot, whoever asked knows: it was tried before.
            let _ = file.go_direct();
        }
        Ok(Self {
            file,
            positional,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            sparse: positional && options.tells_holes && is_sparse(&stat),
            drops_cache: options.drops_cache && positional,
            until: options.until,
            ends_at_cancel: options.ends_at_cancel,
            piece_bytes: usize::MAX,
            hole_bytes: u64::MAX,
            offset,
            extent: NOT_ASKED,
            ended: None,
        })
    }

    /// Gives no more than `bytes` in a piece.
    pub(crate) fn limit_pieces(&mut self, bytes: usize) {
        self.piece_bytes = bytes;
    }

    /// Gives no more than `bytes` of a hole in a piece: whoever has work with zeros is told of it step by
    /// step, and so is who asks how far it is.
    pub(crate) fn limit_holes(&mut self, bytes: u64) {
        self.hole_bytes = bytes;
    }

    /// Bytes given so far, and those in front of where it began.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Bytes taken from a pipe are lost. Where the source [ends when cancelled](SourceOptions::ends_at_cancel), `cancel`
    /// loses none that are on their way.
    pub(crate) async fn next(&mut self, pool: &Pool, cancel: &Cancel) -> Result<Option<Piece>, Stop> {
        match self.ended.take() {
            None => {}
            Some(Ok(())) => return Ok(None),
            Some(Err(error)) => return Err(Stop::Read(error, self.offset)),
        }
        if self.offset >= self.until {
            return Ok(None);
        }
        if self.offset >= self.extent.end {
            self.extent = self.extent_at(self.offset);
        }
        let left = self.extent.end.min(self.until) - self.offset;
        if self.extent.is_hole {
            let part = left.min(self.hole_bytes);
            self.offset += part;
            return Ok(Some(Piece::Hole(part)));
        }
        let mut slot = pool.acquire();
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.piece_bytes);
        slot.limit(slot.capacity().min(most));
        let (ended, slot) = self.fill_unless(cancel, slot).await.ok_or(Stop::Cancelled)?;
        self.ended = ended;
        if slot.is_empty() {
            // Ended, with nothing in front of the end: the reason is due now.
            return self
                .ended
                .take()
                .unwrap_or(Ok(()))
                .map(|()| None)
                .map_err(|error| Stop::Read(error, self.offset));
        }
        self.offset += slot.len() as u64;
        Ok(Some(Piece::Data(slot.freeze())))
    }

    /// [`fill`](Self::fill), unless it is cancelled before.
    async fn fill_unless(&self, cancel: &Cancel, slot: Slot) -> Option<(Option<io::Result<()>>, Slot)> {
        if cancel.is_cancelled() {
            return None;
        }
        let mut fill = pin!(self.fill(slot));
        let filled = cancel.unless_cancelled(fill.as_mut()).await;
        if filled.is_some() || !self.ends_at_cancel {
            return filled;
        }
        // What has left the pipe cannot be read again.
        let mut no_more = pin!(E::sleep(ON_THE_WAY));
        poll_fn(|context| match fill.as_mut().poll(context) {
            Poll::Ready(filled) => Poll::Ready(Some(filled)),
            Poll::Pending => no_more.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    /// Reads until the slot is full; from a pipe or the like, what one read gives: the next may have to wait. Says
    /// what ended the file, if something did.
    async fn fill(&self, mut slot: Slot) -> (Option<io::Result<()>>, Slot) {
        loop {
            let room = slot.spare_len();
            let (result, back) = self.read(slot).await;
            slot = back;
            match result {
                Ok(0) => return (Some(Ok(())), slot),
                Ok(read) if read == room || !self.positional => return (None, slot),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Some(Err(error)), slot),
            }
        }
    }

    async fn read(&self, mut slot: Slot) -> (io::Result<usize>, Slot) {
        let place = self.offset.saturating_add(slot.len() as u64);
        match &self.file {
            Handle::Here(file) if self.drops_cache => (file.read_uncached(&mut slot, place), slot),
            Handle::Here(file) => E::read_here(file, slot, self.positional.then_some(place)),
            Handle::Engine(file) => E::read(file, slot).await,
        }
    }

    /// What is at `offset`, and how far it reaches.
    fn extent_at(&self, offset: u64) -> Extent {
        // Behind the size first seen, a file may grow faster than its holes can be asked for.
        let file = match &self.file {
            Handle::Here(file) if self.sparse && offset < self.size => file,
            _ => return ALL_DATA,
        };
        match seek(file, SeekFrom::Data(offset)) {
            Ok(data) if data > offset => Extent { end: data.min(self.size), is_hole: true },
            Ok(_) => match seek(file, SeekFrom::Hole(offset)) {
                Ok(hole) if hole > offset => Extent { end: hole, is_hole: false },
                _ => ALL_DATA,
            },
            // No data behind `offset`: a hole up to the end, which may have come nearer.
            Err(Errno::NXIO) => {
                let size = fstat(file).map_or(self.size, |now| u64::try_from(now.st_size).unwrap_or(0));
                let end = size.min(self.size);
                if end > offset { Extent { end, is_hole: true } } else { ALL_DATA }
            }
            // The file system keeps no such list.
            Err(_) => ALL_DATA,
        }
    }
}

impl Piece {
    /// Bytes that had to be read for it.
    pub(crate) fn stored_len(&self) -> u64 {
        match self {
            Self::Data(chunk) => chunk.len() as u64,
            Self::Hole(_) => 0,
        }
    }
}

/// Whether `file` takes offsets. Some regular files that the kernel makes up do not: `trace_pipe` of tracefs.
fn can_seek(file: impl AsFd) -> bool {
    seek(file, SeekFrom::Current(0)) != Err(Errno::SPIPE)
}

/// Whether the file stores fewer bytes than its size.
pub(crate) fn is_sparse(stat: &Stat) -> bool {
    // Blocks of 512 bytes, whatever the file system's own are.
    stat.st_blocks.saturating_mul(512) < stat.st_size
}

/// Opens the existing file `path`. Waiting for the other end of a FIFO ends when `cancel` is set.
pub(crate) fn open_cancellable(path: &Path, flags: OFlags, cancel: &Cancel) -> CrateResult<OwnedFd> {
    let kind = FileType::from_raw_mode(stat(path).operation(Operation::Open, path)?.st_mode);
    if kind != FileType::Fifo {
        return open(path, flags | OFlags::CLOEXEC, Mode::empty()).operation(Operation::Open, path);
    }
    let name = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
    let name = name.operation(Operation::Open, path)?;
    let mut opened = Opened::open(&name, flags, Mode::empty());
    loop {
        let opening = match opened.operation(Operation::Open, path)? {
            Opened::File(file) => return Ok(file),
            Opened::Waiting(opening) => opening,
        };
        if cancel.wait(opening.pause()) {
            return Err(cancelled(Operation::Open, path));
        }
        opened = opening.attempt();
    }
}
