//! Where in an open file to begin.

use super::{
    extent::{FromEnd, FromStart, Ring},
    options::Start,
    state::Marker,
};
use rustix::fs::fstat;
use std::{io, os::fd::OwnedFd};

/// Bytes of one read backwards. Of a larger file no more is read than the wanted lines lie in; a
/// smaller one is read whole, and so is one that claims no size, as in `/proc` and `/sys`.
const BLOCK: usize = 64 * 1024;

/// The offset that `start` means in `file`, of which only what is behind `base` counts.
pub(super) fn find_start(file: &OwnedFd, start: Start, terminator: u8, base: u64) -> io::Result<u64> {
    match start {
        Start::Line(number) => skip_lines(file, FromStart::new(terminator, number.saturating_sub(1)), base),
        Start::LastLines(wanted) => {
            let size = u64::try_from(fstat(file)?.st_size).unwrap_or(0);
            if size > base.saturating_add(BLOCK as u64) {
                last_lines(file, FromEnd::new(terminator, wanted), base..size)
            } else {
                last_lines_of_small(file, Ring::new(terminator, wanted), base)
            }
        }
    }
}

/// What stands in front of `offset`.
pub(super) fn marker_at(file: &OwnedFd, offset: u64) -> io::Result<Marker> {
    let mut bytes = [0; Marker::MAX];
    let len = usize::try_from(offset).unwrap_or(usize::MAX).min(Marker::MAX);
    let bytes = bytes.get_mut(..len).unwrap_or_default();
    let read = read_block(file, bytes, offset - len as u64)?;
    // Less, if it got shorter since: then nothing is known of it.
    Ok(Marker::of(if read.len() == len { read } else { &[] }))
}

fn skip_lines(file: &OwnedFd, mut lines: FromStart, base: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut offset = base;
    loop {
        let bytes = read_block(file, &mut block, offset)?;
        let at = lines.block(bytes);
        offset += at as u64;
        if at < bytes.len() || bytes.len() < BLOCK {
            return Ok(offset);
        }
    }
}

fn last_lines(file: &OwnedFd, mut lines: FromEnd, range: std::ops::Range<u64>) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut end = range.end;
    while end > range.start {
        // Aligned, as the page cache is.
        let start = ((end - 1) / BLOCK as u64 * BLOCK as u64).max(range.start);
        let len = usize::try_from(end - start).unwrap_or(BLOCK);
        let bytes = read_block(file, block.get_mut(..len).unwrap_or_default(), start)?;
        if let Some(at) = lines.block(bytes) {
            return Ok(start + at as u64);
        }
        end = start;
    }
    Ok(range.start)
}

fn last_lines_of_small(file: &OwnedFd, mut lines: Ring, base: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut end = base;
    loop {
        let bytes = read_block(file, &mut block, end)?;
        lines.push(bytes);
        end += bytes.len() as u64;
        if bytes.len() < BLOCK {
            break;
        }
    }
    let wanted: usize = lines.into_pieces().map(|piece| piece.len()).sum();
    Ok(end - wanted as u64)
}

/// Reads until `block` is full or the file ends.
fn read_block<'a>(file: &OwnedFd, block: &'a mut [u8], offset: u64) -> io::Result<&'a [u8]> {
    let mut len = 0;
    while let Some(room) = block.get_mut(len..).filter(|room| !room.is_empty()) {
        match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *room, offset + len as u64))? {
            0 => break,
            count => len += count,
        }
    }
    Ok(block.get(..len).unwrap_or_default())
}
