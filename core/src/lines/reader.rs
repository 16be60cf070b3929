//! The async face: an engine's file, one read ahead of the caller.

use super::splitter::{Line, Splitter};
use crate::{
    buffer::Slot,
    engine::{Engine, FileKind},
    error::{Context, Error, Operation, Result},
    limits::{CHUNK_BYTES, MAX_LINE_BYTES},
};
use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    path::{Path, PathBuf},
    pin::Pin,
    rc::Rc,
    task::Poll,
};

/// How a file is cut into lines.
#[derive(Clone, Debug)]
pub struct LinesOptions {
    /// The byte that ends a line: `\n`, or `\0` as `find -print0` writes it.
    pub terminator: u8,
    /// Bytes after which a line is cut, its terminator not counted.
    pub max_line_bytes: usize,
    /// Bytes of one read; two are held.
    pub chunk_bytes: usize,
    /// The first byte to read. A file without offsets, such as a pipe, is read from where it is.
    pub offset: u64,
}

impl Default for LinesOptions {
    fn default() -> Self {
        Self { terminator: b'\n', max_line_bytes: MAX_LINE_BYTES, chunk_bytes: CHUNK_BYTES, offset: 0 }
    }
}

type Arrival = (io::Result<usize>, Slot);

/// The lines of an open file.
///
/// While the lines of one chunk are handed out, the next chunk is being read.
pub struct Lines<E: Engine> {
    file: Rc<E::File>,
    path: PathBuf,
    splitter: Splitter,
    /// The chunk whose lines are being handed out, from byte `used` on.
    chunk: Slot,
    used: usize,
    /// The read of the chunk after it, started but not awaited.
    ahead: Option<Pin<Box<dyn Future<Output = Arrival>>>>,
    /// The buffer for the next read, while none is in flight.
    spare: Option<Slot>,
    /// Where the next read starts; `None` for a file without offsets.
    offset: Option<u64>,
}

impl<E: Engine> Lines<E> {
    /// The lines of `file`; `path` names it in errors.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub fn new(file: E::File, path: &Path, options: &LinesOptions) -> Result<Self> {
        let kind = FileKind::of(E::as_fd(&file)).operation(Operation::Stat, path)?;
        let positional = kind == FileKind::Seekable;
        let offset = if positional { options.offset } else { 0 };
        let splitter = Splitter::new()
            .with_terminator(options.terminator)
            .with_max_line_bytes(options.max_line_bytes)
            .with_offset(offset);
        let chunk_bytes = options.chunk_bytes.max(1);
        Ok(Self {
            file: Rc::new(file),
            path: path.to_path_buf(),
            splitter,
            chunk: Slot::with_capacity(chunk_bytes),
            used: 0,
            ahead: None,
            spare: Some(Slot::with_capacity(chunk_bytes)),
            offset: positional.then_some(offset),
        })
    }

    /// The next line, or `None` at the end of the file.
    ///
    /// The end is asked for again by the next call: a file that grew has more lines. A last line
    /// without terminator is given when the file ends, and what is appended to it later is a line
    /// of its own.
    ///
    /// # Errors
    ///
    /// Those of `read(2)`, with the offset; the lines in front of it have been handed out, and the
    /// next call tries again.
    ///
    /// # Cancel safety
    ///
    /// Safe: the read goes on, and the next call finds it.
    pub async fn next(&mut self) -> Result<Option<Line<'_>>> {
        let cut = loop {
            let rest = self.chunk.filled().get(self.used..).unwrap_or_default();
            if let Some(cut) = self.splitter.scan(rest) {
                break cut;
            }
            self.used = self.chunk.len();
            if !self.refill().await? {
                return Ok(self.splitter.finish());
            }
        };
        let start = self.used;
        self.used += cut.len;
        let end = self.chunk.filled().get(start..self.used).unwrap_or_default();
        Ok(Some(self.splitter.take(end, cut)))
    }

    /// Waits for the chunk read ahead and starts the read after it; false at end of file.
    async fn refill(&mut self) -> Result<bool> {
        let started_ahead = self.ahead.is_some();
        let mut arrival = self.arrival().await;
        if started_ahead && matches!(arrival, (Ok(0), _)) {
            // The file ended when the read was started; that was a chunk ago.
            self.spare = Some(arrival.1);
            arrival = self.arrival().await;
        }
        let (result, slot) = arrival;
        let count = match result {
            Ok(0) => {
                self.spare = Some(slot);
                return Ok(false);
            }
            Ok(count) => count,
            Err(cause) => {
                self.spare = Some(slot);
                return Err(self.failed(cause));
            }
        };
        self.offset = self.offset.map(|offset| offset + count as u64);
        self.spare = Some(std::mem::replace(&mut self.chunk, slot));
        self.used = 0;
        // A pipe is not read ahead: the read might wait long after the caller has gone away, and
        // take bytes that are then lost.
        if self.offset.is_some() {
            self.read_ahead();
            start(self.ahead.as_mut()).await;
        }
        Ok(true)
    }

    /// The read in flight, or a new one, to its end.
    async fn arrival(&mut self) -> Arrival {
        self.read_ahead();
        match &mut self.ahead {
            Some(ahead) => {
                let arrival = ahead.await;
                self.ahead = None;
                arrival
            }
            None => unreachable!("a read was started above"),
        }
    }

    fn failed(&self, cause: io::Error) -> Error {
        let error = Error::new(Operation::Read, cause).with_path(&self.path);
        match self.offset {
            Some(offset) => error.with_offset(offset),
            None => error,
        }
    }

    /// Prepares the next read unless one is in flight.
    fn read_ahead(&mut self) {
        if self.ahead.is_some() {
            return;
        }
        let Some(mut slot) = self.spare.take() else { return };
        slot.clear();
        let (file, offset) = (Rc::clone(&self.file), self.offset);
        self.ahead = Some(Box::pin(async move {
            match offset {
                Some(offset) => E::read_at(&file, slot, offset).await,
                None => E::read(&file, slot).await,
            }
        }));
    }
}

/// Hands a read to the engine without waiting for it: polled once, then one turn of the engine, which
/// is when submissions reach the kernel.
///
/// A future that is ready at once must not be polled again, so its output is put back behind it.
async fn start(ahead: Option<&mut Pin<Box<dyn Future<Output = Arrival>>>>) {
    let Some(ahead) = ahead else { return };
    let mut polled = false;
    poll_fn(|context| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        if let Poll::Ready(arrival) = ahead.as_mut().poll(context) {
            *ahead = Box::pin(std::future::ready(arrival));
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<E: Engine> fmt::Debug for Lines<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("path", &self.path)
            .field("offset", &self.offset)
            .field("splitter", &self.splitter)
            .finish_non_exhaustive()
    }
}
