//! Large reads of text: read, checked and decoded on other threads, straight into the string that is
//! returned.

use super::{
    Core, File,
    large::{fill, is_split, read_to_end},
    state::Need,
    text::{Codec, Newline, Seen, Text, translated},
};
use crate::{
    driver::{CancelFlag, Finish, Operation, job, pool},
    memory::{NewString, Unit},
};
use afx_core::{buffer::Slot, engine::Descriptor};
use pyo3::prelude::*;
use std::{borrow::Cow, io, mem::MaybeUninit, sync::Arc, thread};

/// Bytes that are looked at for where one character ends and the next begins: no character is so long.
const BOUNDARY_BYTES: usize = 16;

/// Bytes that a thread works on before it gives way: some 50 µs, and what its own cache holds.
const RUN_BYTES: usize = 256 * 1024;

/// Bytes that are copied at once where they are plain ASCII.
const BLOCK_BYTES: usize = 32;

/// Bytes that were read and found to be valid text, in one piece or in two.
pub(crate) struct Scanned {
    pieces: Vec<Piece>,
    /// Each byte is a character.
    latin1: bool,
}

struct Piece {
    text: Valid,
    /// Bytes of the file that it came from.
    bytes: u64,
    chars: usize,
    max_char: u32,
    seen: Seen,
}

/// Who owns the bytes of a [`Piece`].
enum Valid {
    AsRead(Slot),
    Translated(Vec<u8>),
}

impl Valid {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::AsRead(slot) => slot.filled(),
            Self::Translated(bytes) => bytes,
        }
    }
}

/// What the bytes mean.
#[derive(Clone, Copy)]
struct Form {
    codec: Codec,
    newline: Newline,
    /// The bytes follow a `\r` that was read before.
    after_cr: bool,
}

impl Form {
    fn of(text: Option<&Text>) -> Self {
        match text {
            Some(text) => Self { codec: text.codec, newline: text.newline, after_cr: text.seen.held_cr },
            None => Self { codec: Codec::Utf8, newline: Newline::Lf, after_cr: false },
        }
    }
}

/// The rest of a file that is to be read, with what was read before.
struct Rest {
    file: Arc<Descriptor>,
    head: Vec<u8>,
    /// Where the bytes in `head` stand in the file.
    offset: u64,
    /// Bytes that there are about, `head` included.
    len: usize,
}

impl File {
    /// Reads the rest of the file, about `len` bytes, and checks that it is text.
    pub(super) fn read_large_text(&self, py: Python<'_>, len: usize) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let (rest, form) = {
            let mut state = core.lock(py);
            let head = state.read.bytes().to_vec();
            let rest = Rest {
                file: state.descriptor()?.clone(),
                offset: state.position,
                len: len.max(head.len()),
                head,
            };
            let form = Form::of(state.text.as_ref());
            state.unfinished.need = None;
            (rest, form)
        };
        let cancel = CancelFlag::default();
        let flag = cancel.clone();
        let work = move || -> Finish {
            let outcome = rest.read(form, &flag);
            Box::new(move |py| {
                let outcome = outcome.map_err(|error| core.os_error(py, &error))?;
                core.take_text(py, outcome);
                Ok(py.None())
            })
        };
        job(py, Some(cancel), work)
    }

    /// Fills a fresh string with text that was scanned.
    pub(super) fn decode_large(&self, py: Python<'_>, scanned: Scanned) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let Scanned { pieces, latin1 } = scanned;
        let chars = pieces.iter().map(|piece| piece.chars).sum();
        let max_char = pieces.iter().map(|piece| piece.max_char).max().unwrap_or(0x7f);
        let string = NewString::new(py, chars, max_char)?;
        let mut part = string.part();
        let width = string.width();
        let work = move || -> Finish {
            let one_byte_each = latin1 || max_char < 0x80;
            match width {
                1 => decode_pieces::<u8>(&pieces, part.units(), one_byte_each),
                2 => decode_pieces::<u16>(&pieces, part.units(), one_byte_each),
                _ => decode_pieces::<u32>(&pieces, part.units(), one_byte_each),
            }
            let consumed: u64 = pieces.iter().map(|piece| piece.bytes).sum();
            let mut seen = Seen::default();
            for piece in &pieces {
                seen.add(piece.seen);
            }
            // Freed here: giving back hundreds of megabytes takes tens of milliseconds.
            drop(pieces);
            Box::new(move |py| {
                let mut state = core.lock(py);
                state.unfinished.parts.push(string.finish().into_any());
                state.unfinished.parts_bytes += consumed;
                state.unfinished.parts_ended = true;
                if let Some(text) = &mut state.text {
                    text.seen.add(seen);
                }
                Ok(py.None())
            })
        };
        job(py, None, work)
    }
}

impl Core {
    fn take_text(&self, py: Python<'_>, outcome: Result<Scanned, Slot>) {
        let mut state = self.lock(py);
        match outcome {
            Ok(scanned) => state.unfinished.need = Some(Need::Decode(scanned)),
            // Not valid: the attempt decodes it with the error handler, which needs the interpreter.
            Err(slot) => {
                state.read.put_back(slot);
                state.read.ended = true;
                state.unfinished.undecodable = true;
            }
        }
    }
}

impl Rest {
    /// Reads and checks everything, on two threads where that pays. Gives the bytes back where they are not
    /// valid.
    fn read(&self, form: Form, cancel: &CancelFlag) -> io::Result<Result<Scanned, Slot>> {
        let latin1 = form.codec == Codec::Latin1;
        let middle = if is_split(self.len) { self.middle() } else { None };
        if let Some(middle) = middle
            && let Some(pieces) = self.read_in_two(middle, form, cancel)?
        {
            return Ok(Ok(Scanned { pieces, latin1 }));
        }
        let slot = read_to_end(&self.file, self.start(self.len)?, self.after_head(), cancel)?;
        Ok(scan(slot, form).map(|piece| Scanned { pieces: vec![piece], latin1 }))
    }

    /// As [`read`](Self::read), the bytes before and behind `middle` at the same time. `None` where they are
    /// not valid, or the file ends before.
    fn read_in_two(&self, middle: usize, form: Form, cancel: &CancelFlag) -> io::Result<Option<Vec<Piece>>> {
        let before = self.start(middle)?;
        let behind = Slot::try_with_capacity(self.len - middle)?;
        let at = self.offset + middle as u64;
        let first = || {
            let slot = fill(&self.file, before, self.offset, cancel, None)?;
            Ok(if slot.len() < middle { Err(slot) } else { scan(slot, form) })
        };
        let form_behind = Form { after_cr: false, ..form };
        let second = || read_to_end(&self.file, behind, at, cancel).map(|slot| scan(slot, form_behind));
        let (first, second): (io::Result<_>, _) = pool::both(first, second);
        Ok(first?.ok().zip(second?.ok()).map(|(first, second)| vec![first, second]))
    }

    /// An empty slot, but for what was read before.
    fn start(&self, capacity: usize) -> io::Result<Slot> {
        let mut slot = Slot::try_with_capacity(capacity)?;
        slot.limit(capacity);
        slot.extend_from_slice(&self.head);
        Ok(slot)
    }

    fn after_head(&self) -> u64 {
        self.offset + self.head.len() as u64
    }

    /// A place in the middle, counted from the first byte, between two characters that are no line's end.
    fn middle(&self) -> Option<usize> {
        let about = self.len / 2;
        let mut slot = Slot::with_capacity(BOUNDARY_BYTES);
        slot.limit(BOUNDARY_BYTES);
        self.file.read_blocking(&mut slot, Some(self.offset + about as u64)).ok()?;
        let is_between = |pair: &[u8]| match pair {
            [before, after] => *before != b'\r' && *after != b'\n' && (after & 0xc0) != 0x80,
            _ => false,
        };
        let middle = about + 1 + slot.filled().windows(2).position(is_between)?;
        (middle > self.head.len()).then_some(middle)
    }
}

/// Finds out what string the bytes will be; gives them back where they are not valid.
fn scan(slot: Slot, form: Form) -> Result<Piece, Slot> {
    let bytes = slot.len() as u64;
    let Some(Found { chars, max_char, seen, changed }) = look_through(slot.filled(), form) else {
        return Err(slot);
    };
    let text = changed.map_or_else(|| Valid::AsRead(slot), Valid::Translated);
    Ok(Piece { text, bytes, chars, max_char, seen })
}

/// What is found out about valid bytes.
struct Found {
    chars: usize,
    max_char: u32,
    seen: Seen,
    /// All of them, where line ends were translated.
    changed: Option<Vec<u8>>,
}

/// Looks at the bytes once. `None` where they are not valid.
fn look_through(bytes: &[u8], form: Form) -> Option<Found> {
    let counts_ends = matches!(form.newline, Newline::Translated | Newline::Universal);
    let seen = Seen { held_cr: counts_ends && form.after_cr, ..Seen::default() };
    let mut found = Found { chars: 0, max_char: 0x7f, seen, changed: None };
    let mut at = 0;
    for run in runs(bytes) {
        if !form.codec.holds(run) {
            return None;
        }
        if counts_ends {
            found.seen.add(Seen::of(run, found.seen.held_cr));
        }
        let text = if form.newline == Newline::Translated { translated(run) } else { Cow::Borrowed(run) };
        if matches!(text, Cow::Owned(_)) && found.changed.is_none() {
            let mut changed = Vec::with_capacity(bytes.len());
            changed.extend_from_slice(bytes.get(..at).unwrap_or_default());
            found.changed = Some(changed);
        }
        if let Some(changed) = &mut found.changed {
            changed.extend_from_slice(&text);
        }
        let (chars, max_char) = measure(&text, form.codec == Codec::Latin1);
        found.chars += chars;
        found.max_char = found.max_char.max(max_char);
        at += run.len();
    }
    Some(found)
}

/// The bytes in runs of about [`RUN_BYTES`], between which this thread gives way to whoever wants its CPU: the
/// loop, where all CPUs are busy with this. None ends in a character of UTF-8 or in a `\r\n`.
fn runs(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts_nothing = |bytes: &[u8], end: usize| match bytes.get(end - 1..=end) {
        Some([before, after]) => (after & 0xc0) != 0x80 && (*before, *after) != (b'\r', b'\n'),
        _ => true,
    };
    std::iter::from_fn(move || {
        // What goes on for longer than a character is not UTF-8, and can be cut anywhere.
        let ends = RUN_BYTES..RUN_BYTES + BOUNDARY_BYTES;
        let end = ends.clone().find(|end| parts_nothing(bytes, *end)).unwrap_or(ends.end);
        let (run, rest) = bytes.split_at(end.min(bytes.len()));
        bytes = rest;
        thread::yield_now();
        (!run.is_empty()).then_some(run)
    })
}

/// Characters of the text, and the bound of their code points that CPython chooses a width by.
fn measure(bytes: &[u8], latin1: bool) -> (usize, u32) {
    if bytes.is_ascii() {
        return (bytes.len(), 0x7f);
    }
    if latin1 {
        return (bytes.len(), 0xff);
    }
    // In runs whose count fits in a byte: the compiler makes vectors of them.
    let begins = |run: &[u8]| run.iter().map(|byte| u8::from((byte & 0xc0) != 0x80)).sum::<u8>();
    let chars = bytes.chunks(usize::from(u8::MAX)).map(|run| usize::from(begins(run))).sum();
    let largest = bytes.iter().copied().max().unwrap_or(0);
    let max_char = match largest {
        0xf0.. => 0x0010_ffff,
        0xc4.. => 0xffff,
        _ => 0xff,
    };
    (chars, max_char)
}

/// Fills `units` with the characters of all pieces, one or two, each on a thread of its own.
fn decode_pieces<T: Unit + Send>(pieces: &[Piece], units: &mut [MaybeUninit<T>], one_byte_each: bool) {
    let Some((first, others)) = pieces.split_first() else { return };
    let (here, there) = units.split_at_mut(first.chars.min(units.len()));
    let first = || {
        let mut units = here;
        for run in runs(first.text.bytes()) {
            let units_of_run = std::mem::take(&mut units);
            units = if one_byte_each {
                widen(run, units_of_run)
            } else {
                decode(simdutf8::basic::from_utf8(run).unwrap_or_default(), units_of_run)
            };
        }
    };
    if others.is_empty() {
        first();
    } else {
        pool::both(first, || decode_pieces(others, there, one_byte_each));
    }
}

/// Fills `units` with characters of one byte each. Returns the units behind them.
fn widen<'a, T: Unit>(bytes: &[u8], units: &'a mut [MaybeUninit<T>]) -> &'a mut [MaybeUninit<T>] {
    let (now, later) = units.split_at_mut(bytes.len().min(units.len()));
    for (unit, byte) in now.iter_mut().zip(bytes) {
        *unit = MaybeUninit::new(T::of(char::from(*byte)));
    }
    later
}

/// Fills `units` with the characters of `text`. Returns the units behind them.
fn decode<'a, T: Unit>(mut text: &str, mut units: &'a mut [MaybeUninit<T>]) -> &'a mut [MaybeUninit<T>] {
    while !text.is_empty() {
        let block = text.as_bytes().first_chunk::<BLOCK_BYTES>().filter(|block| block.is_ascii());
        let mut end = text.len().min(BLOCK_BYTES);
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let (now, later) = text.split_at(end);
        text = later;
        units = if let Some(block) = block { widen(block, units) } else { spread(now, units) };
    }
    units
}

/// Fills `units` with characters of any width. Returns the units behind them.
fn spread<'a, T: Unit>(text: &str, units: &'a mut [MaybeUninit<T>]) -> &'a mut [MaybeUninit<T>] {
    let mut count = 0;
    for (unit, character) in units.iter_mut().zip(text.chars()) {
        *unit = MaybeUninit::new(T::of(character));
        count += 1;
    }
    units.split_at_mut(count).1
}
