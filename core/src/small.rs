//! Whole regular files in the fewest system calls: at once where nothing has to be waited for, otherwise on
//! a thread that may wait for a disk.
//!
//! There four calls read a small file (`stat`, `open`, `preadv2`, `close`) and four write one. What is no
//! regular file is not even opened: opening a FIFO or a device does something, or waits for somebody. Should
//! the name lead to one between two calls, `O_NONBLOCK` keeps the thread from waiting for it.

use crate::{
    buffer::{Chunk, Slot},
    engine::{Descriptor, FileKind},
    limits::TRANSFER_BYTES,
};
use rustix::{
    fs::{Advice, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fadvise, fstat, open, openat2, stat},
    io::Errno,
};
use std::{
    ffi::{CStr, CString},
    io,
    ops::Range,
    os::fd::OwnedFd,
    sync::Arc,
};

/// Files that are open at the same time, in one call, until the disk has brought what is in them.
const AWAITED_FILES: usize = 16;

/// What came of reading a file into the room of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// All of it is there, in this part of the slot.
    Whole(Range<usize>),
    /// Nothing: it does not fit, even with the slot to itself.
    TooLarge,
    /// Nothing: it is no regular file, or one that has to be waited for in another way.
    Other,
}

/// Appends the content of the file `path` to `slot`, which must have room for that and a byte, if no disk
/// has to be waited for. `None` when it is not known what that would come to.
///
/// # Errors
///
/// Those of `open(2)` and `read(2)`; the slot is as before.
///
/// # Platform
///
/// Linux 5.12 and newer; always `None` elsewhere.
pub fn read_cached(path: &CStr, slot: &mut Slot) -> io::Result<Option<Read>> {
    let Some(path_only) = open_cached(path, OFlags::PATH)? else { return Ok(None) };
    let Some(size) = regular_size(&fstat(&path_only)?) else { return Ok(Some(Read::Other)) };
    if size >= slot.spare_len() {
        return Ok(Some(Read::TooLarge));
    }
    drop(path_only);
    let Some(file) = open_cached(path, OFlags::RDONLY | OFlags::NONBLOCK)? else { return Ok(None) };
    let file = Descriptor::own_as(file, FileKind::Seekable);
    Ok(Some(read_at_once(&file, size, slot)?.unwrap_or(Read::Other)))
}

/// Opens a file if every part of the path is in memory; `None` when that is not so, or not known.
///
/// # Errors
///
/// Those of `open(2)`.
///
/// # Platform
///
/// Linux 5.12 and newer; always `None` elsewhere.
pub fn open_cached(path: &CStr, flags: OFlags) -> io::Result<Option<OwnedFd>> {
    match openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED) {
        Ok(file) => Ok(Some(file)),
        // Not in memory, or no such call.
        Err(Errno::AGAIN | Errno::NOSYS | Errno::INVAL | Errno::PERM) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Appends the content of the files `paths` to `slot`, waiting for disks where need be: they are asked for
/// the content of several files at a time.
///
/// Ends early, with fewer results than paths, at a file that does not fit any more behind the others.
///
/// # Errors
///
/// Those of each file, `open(2)` and `read(2)`, in its place.
///
/// # Cancel safety
///
/// `cancelled` is asked before each file; it ends the call early.
///
/// # Platform
///
/// A size of zero is not believed, as `/proc` says that of everything.
pub fn read_many(paths: &[CString], slot: &mut Slot, cancelled: impl Fn() -> bool) -> Vec<io::Result<Read>> {
    let mut batch =
        Batch { slot, results: Vec::with_capacity(paths.len()), awaited: Vec::new(), reserved: 0 };
    for path in paths {
        if cancelled() {
            break;
        }
        match batch.read(path) {
            Ok(Step::Fits(read)) => batch.results.push(Ok(read)),
            Ok(Step::Full) => break,
            Err(error) => batch.results.push(Err(error)),
        }
        if batch.awaited.len() == AWAITED_FILES {
            batch.read_awaited();
        }
    }
    batch.read_awaited();
    batch.results
}

/// Files that are read into one slot.
struct Batch<'a> {
    slot: &'a mut Slot,
    results: Vec<io::Result<Read>>,
    awaited: Vec<Awaited>,
    /// Room that belongs to those awaited.
    reserved: usize,
}

/// A file whose content the disk was asked for.
struct Awaited {
    file: Arc<Descriptor>,
    size: usize,
    /// Indexes the results.
    number: usize,
}

enum Step {
    Fits(Read),
    /// Does not fit behind what is there.
    Full,
}

impl Batch<'_> {
    fn read(&mut self, path: &CStr) -> io::Result<Step> {
        let alone = self.slot.is_empty() && self.reserved == 0;
        let too_large = if alone { Step::Fits(Read::TooLarge) } else { Step::Full };
        let room = self.slot.spare_len().saturating_sub(self.reserved);
        let Some(size) = regular_size(&stat(path)?) else { return Ok(Step::Fits(Read::Other)) };
        if size >= room {
            return Ok(too_large);
        }
        let Some(file) = open_regular(path, OFlags::RDONLY)? else { return Ok(Step::Fits(Read::Other)) };
        self.slot.limit(self.slot.len() + room);
        let read = if size == 0 {
            // No disk is behind that, whatever it is.
            read_to_end(&file, size, self.slot).map(Some)
        } else {
            read_at_once(&file, size, self.slot)
        };
        self.slot.unlimit();
        match read? {
            Some(Read::TooLarge) => Ok(too_large),
            Some(read) => Ok(Step::Fits(read)),
            None => {
                // Only advice: without it the disk is asked by the read.
                let _ = fadvise(&*file, 0, None, Advice::WillNeed);
                self.reserved += size + 1;
                self.awaited.push(Awaited { file, size, number: self.results.len() });
                Ok(Step::Fits(Read::Other))
            }
        }
    }

    /// Waits for what the disk was asked for.
    fn read_awaited(&mut self) {
        self.reserved = 0;
        for Awaited { file, size, number } in std::mem::take(&mut self.awaited) {
            self.slot.limit(self.slot.len() + size + 1);
            let read = read_to_end(&file, size, self.slot);
            self.slot.unlimit();
            if let Some(result) = self.results.get_mut(number) {
                *result = read;
            }
        }
    }
}

/// Reads a file if its content is in memory; `None` when it is not, or nobody knows.
fn read_at_once(file: &Descriptor, size: usize, slot: &mut Slot) -> io::Result<Option<Read>> {
    let not_now = |read: Option<usize>| read.ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock));
    read_by(slot, size, |slot, offset| file.read_cached(slot, Some(offset)).and_then(not_now))
}

fn read_to_end(file: &Descriptor, size: usize, slot: &mut Slot) -> io::Result<Read> {
    // A file without a disk, like `/proc/kmsg`, waits for somebody.
    let read = read_by(slot, size, |slot, _| file.read_blocking(slot, None));
    read.map(|read| read.unwrap_or(Read::Other))
}

/// Reads a file of about `size` bytes to its end by calls of `read`; `None` when one of them would wait.
fn read_by(
    slot: &mut Slot,
    size: usize,
    read: impl Fn(&mut Slot, u64) -> io::Result<usize>,
) -> io::Result<Option<Read>> {
    let start = slot.len();
    let outcome = loop {
        let room = slot.spare_len();
        if room == 0 {
            break Ok(Some(Read::TooLarge));
        }
        let offset = slot.len() - start;
        match read(slot, offset as u64) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(None),
            Err(error) => break Err(error),
            // Fewer than asked for, and as many as there should be: that was the end.
            Ok(count) if count == 0 || (offset + count == size && count < room) => {
                return Ok(Some(Read::Whole(start..slot.len())));
            }
            Ok(_) => {}
        }
    };
    slot.truncate(start);
    outcome
}

/// Makes `content` the whole content of the file `path`, which is made if it is missing; returns the bytes
/// written, `None` when it is no regular file, or has to be waited for: nothing is done then.
///
/// # Errors
///
/// Those of `open(2)`, `write(2)` and `close(2)`; `ECANCELED` when `cancelled` says so.
///
/// # Cancel safety
///
/// `cancelled` is asked before the file is opened and between two pieces of it. A file that was begun holds
/// a beginning of `content`, possibly nothing.
///
/// # Durability
///
/// None: the bytes are the kernel's. The old content is gone at once; `copy` replaces atomically.
pub fn write(path: &CStr, mut content: Chunk, cancelled: impl Fn() -> bool) -> io::Result<Option<usize>> {
    let go_on = || if cancelled() { Err(io::Error::from(Errno::CANCELED)) } else { Ok(()) };
    go_on()?;
    if stat(path).is_ok_and(|stat| regular_size(&stat).is_none()) {
        return Ok(None);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let Some(file) = open_regular(path, flags)? else { return Ok(None) };
    let mut total = 0;
    while !content.is_empty() {
        let piece = content.slice(0..content.len().min(TRANSFER_BYTES));
        let written = file.write_chunk_blocking(&piece, None)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        content.advance(written);
        total += written;
        if !content.is_empty() {
            go_on()?;
        }
    }
    Descriptor::close(file)?;
    Ok(Some(total))
}

/// Opens what was a regular file a moment ago; `None` while another process has a lease on it.
fn open_regular(path: &CStr, flags: OFlags) -> io::Result<Option<Arc<Descriptor>>> {
    let careful = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::io::retry_on_intr(|| open(path, careful, Mode::from_raw_mode(0o666))) {
        Ok(file) => Ok(Some(Descriptor::own_as(file, FileKind::Seekable))),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The size of a regular file; `None` for everything else.
fn regular_size(stat: &Stat) -> Option<usize> {
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    regular.then(|| usize::try_from(stat.st_size).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::CString, fs, os::unix::ffi::OsStrExt, path::Path};

    fn name(path: &Path) -> CString {
        CString::new(path.as_os_str().as_bytes()).unwrap()
    }

    /// One file, both ways.
    fn read(path: &CStr, slot: &mut Slot) -> io::Result<Read> {
        let cached = read_cached(path, &mut Slot::with_capacity(slot.capacity()));
        let read = read_many(&[path.to_owned()], slot, || false).pop().unwrap();
        if let (Ok(Some(cached @ (Read::Whole(_) | Read::TooLarge))), Ok(read)) = (cached, &read) {
            assert_eq!(cached, *read);
        }
        read
    }

    fn files(folder: &Path, contents: &[&[u8]]) -> Vec<CString> {
        let make = |(number, content): (usize, &&[u8])| {
            let path = folder.join(number.to_string());
            fs::write(&path, content).unwrap();
            name(&path)
        };
        contents.iter().enumerate().map(make).collect()
    }

    #[test]
    fn small_files_are_appended_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let paths = files(folder.path(), &[b"first", b"", b"third"]);
        let mut slot = Slot::with_capacity(4096);
        let results = read_many(&paths, &mut slot, || false);
        let parts: Vec<Read> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(parts, [0..5, 5..5, 5..10].map(Read::Whole));
        assert_eq!(slot.filled(), b"firstthird");
    }

    #[test]
    fn files_whose_content_is_not_in_memory_are_read_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let contents: Vec<Vec<u8>> =
            (1..=40_u8).map(|number| vec![number; usize::from(number) * 10]).collect();
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let paths = files(folder.path(), &contents);
        for path in &paths {
            let file = open(path.as_c_str(), OFlags::RDONLY, Mode::empty()).unwrap();
            rustix::fs::fsync(&file).unwrap();
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        }
        let mut slot = Slot::with_capacity(64 * 1024);
        let results = read_many(&paths, &mut slot, || false);
        assert_eq!(results.len(), contents.len());
        for (result, content) in results.into_iter().zip(contents) {
            let Ok(Read::Whole(range)) = result else { panic!("not read: {result:?}") };
            assert_eq!(slot.filled().get(range).unwrap(), content);
        }
    }

    #[test]
    fn a_file_is_too_large_from_the_byte_on_that_leaves_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let paths = files(folder.path(), &[&b"x".repeat(100)]);
        for (capacity, expected) in [(4096, Read::Whole(0..100)), (100, Read::TooLarge), (8, Read::TooLarge)]
        {
            let mut slot = Slot::with_capacity(capacity);
            assert_eq!(read(&paths[0], &mut slot).unwrap(), expected, "room for {capacity}");
            assert_eq!(slot.len(), if expected == Read::TooLarge { 0 } else { 100 });
        }
    }

    #[test]
    fn what_does_not_fit_behind_the_others_is_left_for_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let paths = files(folder.path(), &[&b"x".repeat(60), &b"y".repeat(60), b"z"]);
        let mut slot = Slot::with_capacity(100);
        let results = read_many(&paths, &mut slot, || false);
        assert_eq!(results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [Read::Whole(0..60)]);
    }

    #[test]
    fn a_cancelled_call_ends_early() {
        let folder = tempfile::tempdir().unwrap();
        let paths = files(folder.path(), &[b"x", b"y"]);
        let asked = std::cell::Cell::new(0);
        let results = read_many(&paths, &mut Slot::with_capacity(100), || asked.replace(1) == 1);
        assert_eq!(results.len(), 1);
    }

    #[test]
    fn a_size_of_zero_is_not_believed() {
        let mut slot = Slot::with_capacity(64 * 1024);
        let read = read_many(&[c"/proc/self/status".to_owned()], &mut slot, || false).pop().unwrap();
        assert_eq!(read.unwrap(), Read::Whole(0..slot.len()));
        assert!(slot.filled().starts_with(b"Name:"));
        // Larger than its room, and nobody could know.
        let mut small = Slot::with_capacity(10);
        let read = read_many(&[c"/proc/self/status".to_owned()], &mut small, || false).pop().unwrap();
        assert_eq!(read.unwrap(), Read::TooLarge);
        assert!(small.is_empty());
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for path in [name(&fifo), name(folder.path()), c"/dev/null".to_owned()] {
            assert_eq!(read(&path, &mut Slot::with_capacity(4096)).unwrap(), Read::Other);
            assert_eq!(write(&path, Chunk::copy_of(b"x"), || false).unwrap(), None);
        }
    }

    #[test]
    fn a_write_replaces_and_makes_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for content in [&b"a longer content"[..], b"short", b""] {
            assert_eq!(write(&name(&path), Chunk::copy_of(content), || false).unwrap(), Some(content.len()));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_write_that_is_cancelled_in_time_does_not_begin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let error = write(&name(&path), Chunk::copy_of(b"new"), || true).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn errors_keep_their_number() {
        let missing = c"/missing/file";
        let error = read(missing, &mut Slot::with_capacity(4096)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        let error = write(missing, Chunk::copy_of(b"x"), || false).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
