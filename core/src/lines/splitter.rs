//! Pure: cuts a stream of bytes into lines.

use crate::limits::{KEPT_LINE_BYTES, MAX_LINE_BYTES};

/// Why a line stops where it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At its terminator, which is its last byte.
    Terminator,
    /// At the limit: it is overlong and goes on in the line that follows.
    Overlong,
    /// At the end of the input, without a terminator.
    Input,
}

/// A line, with its terminator.
///
/// All lines of an input, put together, are the input: an overlong line comes in pieces, of which
/// each but the last ends as [`Ending::Overlong`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bytes, the terminator among them if there is one.
    pub bytes: &'a [u8],
    /// Where the first byte stands in the input.
    pub offset: u64,
    /// Why it stops here.
    pub ending: Ending,
}

/// Cuts a stream of bytes into lines.
///
/// Chunks may end anywhere. A line that lies in one chunk is not copied; one that does not is put
/// together in memory of the splitter's own, of at most the limit and one byte.
///
/// # Examples
///
/// ```
/// use afx_core::lines::Splitter;
///
/// let mut splitter = Splitter::new();
/// let mut chunk: &[u8] = b"one\ntw";
/// assert_eq!(splitter.next_line(&mut chunk).unwrap().bytes, b"one\n");
/// assert!(splitter.next_line(&mut chunk).is_none());
/// chunk = b"o\n";
/// assert_eq!(splitter.next_line(&mut chunk).unwrap().bytes, b"two\n");
/// assert!(splitter.finish().is_none());
/// ```
#[derive(Debug)]
pub struct Splitter {
    terminator: u8,
    /// Most bytes of a line, its terminator not counted; at least 1.
    max_line_bytes: usize,
    /// The line begun in earlier chunks, or, when `given`, the line last returned.
    held: Vec<u8>,
    /// Whether `held` was returned and is to be forgotten.
    given: bool,
    /// Where the next line, or the one in `held`, starts in the input.
    offset: u64,
}

/// Where the next line ends in a chunk: this many bytes from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) len: usize,
    ending: Ending,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Splitter {
    /// A splitter at `\n`, for lines of up to [`MAX_LINE_BYTES`].
    pub fn new() -> Self {
        Self { terminator: b'\n', max_line_bytes: MAX_LINE_BYTES, held: Vec::new(), given: false, offset: 0 }
    }

    /// Ends lines at `terminator` instead.
    #[must_use]
    pub fn with_terminator(mut self, terminator: u8) -> Self {
        self.terminator = terminator;
        self
    }

    /// Cuts lines that are longer than `max_line_bytes`, the terminator not counted. 0 means 1.
    #[must_use]
    pub fn with_max_line_bytes(mut self, max_line_bytes: usize) -> Self {
        self.max_line_bytes = max_line_bytes.max(1);
        self
    }

    /// Counts offsets from `offset` instead of 0.
    #[must_use]
    pub fn with_offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// The next line that ends in `chunk`, which is shortened by it.
    ///
    /// When `None` comes back, `chunk` is empty: what is left of it belongs to a line that ends in a
    /// chunk to come, and the splitter has taken it.
    pub fn next_line<'s, 'c: 's>(&'s mut self, chunk: &mut &'c [u8]) -> Option<Line<'s>> {
        let Some(cut) = self.scan(chunk) else {
            *chunk = &[];
            return None;
        };
        let (line, rest) = chunk.split_at(cut.len);
        *chunk = rest;
        Some(self.take(line, cut))
    }

    /// The line that the input ends in the middle of. The splitter is then as new, at the offset
    /// behind it.
    pub fn finish(&mut self) -> Option<Line<'_>> {
        self.forget_given();
        if self.held.is_empty() { None } else { Some(self.give(Ending::Input)) }
    }

    /// Bytes of a line that has not ended yet.
    pub fn held_len(&self) -> usize {
        if self.given { 0 } else { self.held.len() }
    }

    /// Where the next line ends in `chunk`; `None` when it does not, and then all of it is held.
    pub(super) fn scan(&mut self, chunk: &[u8]) -> Option<Cut> {
        self.forget_given();
        let room = self.max_line_bytes - self.held.len();
        // One byte more than fits: it may be the terminator.
        let window = chunk.get(..=room).unwrap_or(chunk);
        match memchr::memchr(self.terminator, window) {
            Some(at) => Some(Cut { len: at + 1, ending: Ending::Terminator }),
            None if chunk.len() > room => Some(Cut { len: room, ending: Ending::Overlong }),
            None => {
                self.held.extend_from_slice(chunk);
                None
            }
        }
    }

    /// The line that ends with `end`, the bytes in front of the cut.
    pub(super) fn take<'s>(&'s mut self, end: &'s [u8], cut: Cut) -> Line<'s> {
        if !self.held.is_empty() {
            self.held.extend_from_slice(end);
            return self.give(cut.ending);
        }
        let offset = self.offset;
        self.offset += end.len() as u64;
        Line { bytes: end, offset, ending: cut.ending }
    }

    fn give(&mut self, ending: Ending) -> Line<'_> {
        let offset = self.offset;
        self.offset += self.held.len() as u64;
        self.given = true;
        Line { bytes: &self.held, offset, ending }
    }

    fn forget_given(&mut self) {
        if std::mem::take(&mut self.given) {
            self.held.clear();
            // One long line must not cost its memory for ever.
            self.held.shrink_to(KEPT_LINE_BYTES);
        }
    }
}
