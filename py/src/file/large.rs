//! Large reads: on other threads, straight into the object that is returned.

use super::{
    File,
    fresh_pages::FreshPages,
    state::Need,
    text::{Codec, Newline, Seen, translated},
};
use crate::{
    driver::{CancelFlag, Finish, Operation, job, pool},
    memory::{NewBytes, NewString, StringPart, Unit, WritableBuffer},
};
use afx_core::{buffer::Slot, engine::Descriptor};
use pyo3::prelude::*;
use std::{borrow::Cow, io, mem::MaybeUninit, sync::Arc, thread};

/// From here on a read is split over two threads, in bytes: below it, starting a thread costs more than
/// it saves.
const SPLIT_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of one system call, between two looks at whether the read was cancelled: 1 to 4 ms.
const STEP_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that were read and found to be valid text.
pub(crate) struct Scanned {
    text: Valid,
    /// Bytes of the file that it came from.
    bytes: u64,
    chars: usize,
    max_char: u32,
    latin1: bool,
    seen: Seen,
}

/// Who owns the bytes of a [`Scanned`].
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

impl File {
    /// Reads `len` bytes from the position on into one `bytes` object.
    pub(super) fn read_large(&self, py: Python<'_>, len: usize) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let (file, head, offset) = {
            let state = core.lock(py);
            let buffered = if state.unfinished.parts.is_empty() { state.read.bytes() } else { &[] };
            let head = buffered.get(..buffered.len().min(len)).unwrap_or_default().to_vec();
            let offset = state.position + state.unfinished.parts_bytes + head.len() as u64;
            (state.descriptor()?.clone(), head, offset)
        };
        let object = NewBytes::new(py, len)?;
        let mut start = Slot::from_memory(Box::new(object.part(0, head.len())));
        start.extend_from_slice(&head);
        let cancel = CancelFlag::default();
        let flag = cancel.clone();
        let work = move || -> Finish {
            let from = head.len();
            let read = read_split(&file, &object, from..len, offset, &flag);
            Box::new(move |py| {
                let read = read.map_err(|error| core.os_error(py, &error))?;
                let bytes = object.finish(py, from + read)?;
                let mut state = core.lock(py);
                state.unfinished.parts.push(bytes.into_any());
                state.unfinished.parts_bytes += (from + read) as u64;
                state.unfinished.parts_ended = from + read < len;
                Ok(py.None())
            })
        };
        job(py, Some(cancel), work)
    }

    /// Reads into a buffer of the caller's until it is full or the file ends; gives the bytes read. The
    /// position stays: whoever is cancelled meanwhile reads the same bytes again.
    pub(super) fn read_into(
        &self,
        py: Python<'_>,
        target: WritableBuffer,
        start: usize,
    ) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let (file, offset) = {
            let state = core.lock(py);
            (state.descriptor()?.clone(), state.position)
        };
        let cancel = CancelFlag::default();
        let flag = cancel.clone();
        job(py, Some(cancel), move || {
            let slot = Slot::from_memory(Box::new(target.part(start, usize::MAX)));
            let read = fill(&file, slot, offset, &flag, None).map(|slot| slot.len());
            Box::new(move |py| {
                drop(target);
                let read = read.map_err(|error| core.os_error(py, &error))?;
                Ok(read.into_pyobject(py)?.into_any().unbind())
            })
        })
    }

    /// Reads the rest of the file, about `len` bytes, and checks that it is text.
    pub(super) fn read_large_text(&self, py: Python<'_>, len: usize) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let (file, slot, offset, codec, newline) = {
            let mut state = core.lock(py);
            let file = state.descriptor()?.clone();
            let offset = state.position + state.read.len() as u64;
            let (codec, newline) =
                state.text.as_ref().map_or((Codec::Utf8, Newline::Lf), |text| (text.codec, text.newline));
            let slot = Slot::try_with_capacity(len.max(state.read.len()));
            let mut slot = slot.map_err(|error| core.os_error(py, &error))?;
            slot.extend_from_slice(state.read.bytes());
            state.unfinished.need = None;
            (file, slot, offset, codec, newline)
        };
        let cancel = CancelFlag::default();
        let flag = cancel.clone();
        let work = move || -> Finish {
            let outcome = read_to_end(&file, slot, offset, &flag).map(|slot| scan(slot, codec, newline));
            Box::new(move |py| {
                let outcome = outcome.map_err(|error| core.os_error(py, &error))?;
                let mut state = core.lock(py);
                match outcome {
                    Ok(scanned) => state.unfinished.need = Some(Need::Decode(Box::new(scanned))),
                    // Not valid: the attempt decodes it with the error handler, which needs the interpreter.
                    Err(slot) => {
                        state.read.put_back(slot);
                        state.read.ended = true;
                        state.unfinished.undecodable = true;
                    }
                }
                Ok(py.None())
            })
        };
        job(py, Some(cancel), work)
    }

    /// Fills a fresh string with text that was scanned.
    pub(super) fn decode_large(&self, py: Python<'_>, scanned: Box<Scanned>) -> PyResult<Py<Operation>> {
        let core = self.core.clone();
        let string = NewString::new(py, scanned.chars, scanned.max_char)?;
        let mut part = string.part();
        let width = string.width();
        let work = move || -> Finish {
            let bytes = scanned.text.bytes();
            match width {
                1 => decode_into::<u8>(bytes, &mut part, scanned.latin1 || scanned.max_char < 0x80),
                2 => decode_into::<u16>(bytes, &mut part, false),
                _ => decode_into::<u32>(bytes, &mut part, false),
            }
            let (consumed, seen) = (scanned.bytes, scanned.seen);
            // Freed here: giving back hundreds of megabytes takes tens of milliseconds.
            drop(scanned);
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

/// Fills `range` of `object` from `offset` on, on two threads where that pays. Returns the bytes up to
/// the first that could not be read: what lies behind a short piece is not part of the file.
pub(super) fn read_split(
    file: &Arc<Descriptor>,
    object: &NewBytes,
    range: std::ops::Range<usize>,
    offset: u64,
    cancel: &CancelFlag,
) -> io::Result<usize> {
    let len = range.len();
    let read = |part: std::ops::Range<usize>| {
        let at = offset + (part.start - range.start) as u64;
        let slot = Slot::from_memory(Box::new(object.part(part.start, part.end)));
        let pages = FreshPages::new(object, part.start);
        fill(file, slot, at, cancel, Some(pages)).map(|slot| slot.len())
    };
    if len < SPLIT_BYTES || pool::parallelism() < 2 {
        return read(range.clone());
    }
    // Between two huge pages, so that both threads do not fault the same one in.
    let middle = object.huge_page_end(range.start + len / 2).min(range.end);
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| read(middle..range.end));
        let first = read(range.start..middle);
        let second = second.join().unwrap_or_else(|_| Err(io::Error::other("a reading thread panicked")));
        (first, second)
    });
    match first? {
        whole if whole == middle - range.start => Ok(whole + second?),
        short => Ok(short),
    }
}

/// Reads until `slot` is full or the file ends, step by step; `pages` where the memory is fresh.
fn fill(
    file: &Descriptor,
    mut slot: Slot,
    offset: u64,
    cancel: &CancelFlag,
    mut pages: Option<FreshPages<'_>>,
) -> io::Result<Slot> {
    let capacity = slot.capacity();
    while slot.len() < capacity {
        if cancel.is_raised() {
            return Err(io::Error::from_raw_os_error(libc::ECANCELED));
        }
        let step = pages.as_mut().map_or(STEP_BYTES, |pages| pages.begin_step(slot.len()));
        slot.limit(capacity.min(slot.len() + step));
        let at = offset + slot.len() as u64;
        if file.read_blocking(&mut slot, Some(at))? == 0 {
            break;
        }
        if let Some(pages) = &mut pages {
            pages.end_step();
        }
    }
    Ok(slot)
}

/// Reads to the end of the file, into more memory where the file has grown meanwhile.
fn read_to_end(file: &Descriptor, slot: Slot, offset: u64, cancel: &CancelFlag) -> io::Result<Slot> {
    let base = offset.saturating_sub(slot.len() as u64);
    let mut slot = fill(file, slot, base, cancel, None)?;
    while slot.spare_len() == 0 {
        let mut larger = Slot::try_with_capacity(slot.capacity() * 2)?;
        larger.extend_from_slice(slot.filled());
        slot = fill(file, larger, base, cancel, None)?;
    }
    Ok(slot)
}

/// Finds out what string the bytes will be; gives them back where they are not valid.
fn scan(slot: Slot, codec: Codec, newline: Newline) -> Result<Scanned, Slot> {
    let valid = match codec {
        Codec::Latin1 => true,
        Codec::Ascii => slot.filled().is_ascii(),
        Codec::Utf8 => simdutf8::basic::from_utf8(slot.filled()).is_ok(),
    };
    if !valid {
        return Err(slot);
    }
    let bytes = slot.len() as u64;
    let seen = match newline {
        Newline::Translated | Newline::Universal => Seen::of(slot.filled()),
        _ => Seen::default(),
    };
    let text = match newline {
        Newline::Translated => match translated(slot.filled()) {
            Cow::Owned(translated) => Valid::Translated(translated),
            Cow::Borrowed(_) => Valid::AsRead(slot),
        },
        _ => Valid::AsRead(slot),
    };
    let latin1 = codec == Codec::Latin1;
    let (chars, max_char) = measure(text.bytes(), latin1);
    Ok(Scanned { text, bytes, chars, max_char, latin1, seen })
}

/// Characters of the text, and the bound of their code points that CPython chooses a width by.
fn measure(bytes: &[u8], latin1: bool) -> (usize, u32) {
    if bytes.is_ascii() {
        return (bytes.len(), 0x7f);
    }
    if latin1 {
        return (bytes.len(), 0xff);
    }
    let chars = bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80).count();
    let largest = bytes.iter().copied().max().unwrap_or(0);
    let max_char = match largest {
        0xf0.. => 0x0010_ffff,
        0xc4.. => 0xffff,
        _ => 0xff,
    };
    (chars, max_char)
}

fn decode_into<T: Unit>(bytes: &[u8], part: &mut StringPart, one_byte_each: bool) {
    let units = part.units::<T>();
    if one_byte_each {
        for (unit, byte) in units.iter_mut().zip(bytes) {
            *unit = MaybeUninit::new(T::of(char::from(*byte)));
        }
        return;
    }
    let text = simdutf8::basic::from_utf8(bytes).unwrap_or_default();
    for (unit, character) in units.iter_mut().zip(text.chars()) {
        *unit = MaybeUninit::new(T::of(character));
    }
}
