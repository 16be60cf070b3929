//! Large reads: on other threads, straight into the object that is returned.

use super::{File, fresh_pages::FreshPages};
use crate::{
    driver::{CancelFlag, Finish, Operation, job, pool},
    memory::NewBytes,
};
use afx_core::{
    buffer::Slot,
    engine::Descriptor,
    limits::{READ_CALL_BYTES, SPLIT_BYTES, TRANSFER_BYTES},
};
use pyo3::prelude::*;
use std::{io, sync::Arc};

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
}

/// Whether two threads share the work on so many bytes.
pub(super) fn is_split(len: usize) -> bool {
    len >= SPLIT_BYTES && pool::parallelism() >= 2
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
    if !is_split(len) {
        return read(range.clone());
    }
    // Between two huge pages, so that both threads do not fault the same one in.
    let middle = object.huge_page_end(range.start + len / 2).min(range.end);
    let (first, second) = pool::both(|| read(range.start..middle), || read(middle..range.end));
    match first? {
        whole if whole == middle - range.start => Ok(whole + second?),
        short => Ok(short),
    }
}

/// Reads until `slot` is full or the file ends, step by step; `pages` where the memory is fresh.
pub(super) fn fill(
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
        let step = pages.as_mut().map_or(TRANSFER_BYTES, |pages| pages.begin_step(slot.len()));
        let end = capacity.min(slot.len() + step);
        if !fill_up_to(file, &mut slot, end, offset)? {
            break;
        }
        if let Some(pages) = &mut pages {
            pages.end_step();
        }
    }
    Ok(slot)
}

/// Reads until `slot` holds `end` bytes, the first of them from `offset`. Returns whether there were so many.
fn fill_up_to(file: &Descriptor, slot: &mut Slot, end: usize, offset: u64) -> io::Result<bool> {
    while slot.len() < end {
        slot.limit(end.min(slot.len() + READ_CALL_BYTES));
        let at = offset + slot.len() as u64;
        if file.read_blocking(slot, Some(at))? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads to the end of the file, into more memory where the file has grown meanwhile.
pub(super) fn read_to_end(
    file: &Descriptor,
    slot: Slot,
    offset: u64,
    cancel: &CancelFlag,
) -> io::Result<Slot> {
    let base = offset.saturating_sub(slot.len() as u64);
    let mut slot = fill(file, slot, base, cancel, None)?;
    while slot.spare_len() == 0 {
        let mut larger = Slot::try_with_capacity(slot.capacity() * 2)?;
        larger.extend_from_slice(slot.filled());
        slot = fill(file, larger, base, cancel, None)?;
    }
    Ok(slot)
}
