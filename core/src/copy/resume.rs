//! A copy that goes on where another one ended: what is remembered beside the partial file.

use super::{Source, target::is_same_file, temporary::Temporary};
use crate::error::{Context, Error, Operation, Result};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fdatasync, fstat, ftruncate, openat, unlinkat},
    io::Errno,
    process::geteuid,
};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The first words of a journal: what it is, and of which form.
const MAGIC: &str = "afx-copy 1";

/// Bytes of the beginning and of the end of a journal that are read: more than the first line, and more than a
/// record.
const JOURNAL_END_BYTES: u64 = 4096;

/// Bytes between two records. Each costs a sync of the partial file.
pub(super) const RECORD_EVERY_BYTES: u64 = 64 * 1024 * 1024;

/// Where a file was when a copy of it was begun: if any of it is another, its content may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The journal of a copy that is under way. A record says that everything below an offset is in the partial
/// file, and on the device.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
}

/// What was done before.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) journal: Arc<Journal>,
    /// Bytes of the partial file that are good.
    pub(super) watermark: u64,
}

impl Fingerprint {
    #[allow(clippy::useless_conversion, reason = "the types differ between machines")]
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: u64::from(stat.st_dev),
            inode: u64::from(stat.st_ino),
            size: i64::from(stat.st_size),
            modified: (i64::from(stat.st_mtime), nanos(stat.st_mtime_nsec)),
            changed: (i64::from(stat.st_ctime), nanos(stat.st_ctime_nsec)),
        }
    }

    fn line(&self) -> String {
        let Self { device, inode, size, modified, changed } = self;
        format!(
            "{MAGIC} device {device} inode {inode} size {size} modified {}.{} changed {}.{}\n",
            modified.0, modified.1, changed.0, changed.1
        )
    }
}

fn nanos(nanos: impl TryInto<i64>) -> i64 {
    nanos.try_into().unwrap_or(0)
}

/// The last whole record of a journal of `source`: `None` where the journal is of another source, or of
/// none. Pure.
fn last_record(journal: &str, source: &Fingerprint) -> Option<u64> {
    let mut lines = journal.split_inclusive('\n');
    if lines.next() != Some(source.line().as_str()) {
        return None;
    }
    // What was being written when the process died has no end.
    let records = lines.filter_map(|line| line.strip_prefix("done ")?.strip_suffix('\n')?.parse().ok());
    Some(records.fold(0, |_, offset| offset))
}

impl Journal {
    /// Records that everything below `offset` is in `partial`, once it is on the device.
    ///
    /// # Errors
    ///
    /// Those of `fdatasync(2)` and `write(2)`.
    pub(crate) fn record(&self, partial: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
        fdatasync(partial)?;
        (&self.file).write_all(format!("done {offset}\n").as_bytes())
    }
}

/// Opens the journal beside `partial`, and cuts `partial` off behind what is known to be good.
///
/// # Errors
///
/// Those of the system calls; kind `InvalidData` where it is the journal of another source than this, or of
/// what this was before.
pub(super) fn resume(partial: &Temporary, source: &Source, target: &Path) -> Result<Resumed> {
    let name = partial.journal_name();
    let flags = OFlags::RDWR
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::APPEND
        | OFlags::CLOEXEC;
    let file: OwnedFd = openat(partial.directory(), &name, flags, Mode::RUSR | Mode::WUSR)
        .operation(Operation::Open, target)?;
    // Nobody else's: to write to it might be to write to another file, and it is believed. Whoever owns the
    // partial file needs no journal to change what is in it.
    let found = fstat(&file).operation(Operation::Stat, target)?;
    let begun = fstat(partial.file()).operation(Operation::Stat, target)?;
    let is_ours = [geteuid().as_raw(), begun.st_uid].contains(&found.st_uid);
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || found.st_nlink > 1 || !is_ours {
        return Err(Error::new(Operation::Open, Errno::EXIST.into()).with_path(target));
    }
    let mut file = File::from(file);
    let content = read_ends(&file).operation(Operation::Read, target)?;
    // A power loss may leave anything behind the last record that reached the device.
    let content = String::from_utf8_lossy(&content);
    let fingerprint = Fingerprint::of(&source.stat);
    let size = begun.st_size;
    // What tells of another source matters only if something of that is there.
    let watermark = if content.contains('\n') && size > 0 {
        last_record(&content, &fingerprint).ok_or_else(|| changed(source, partial))?
    } else {
        // A new one, or one of which nothing was written before its process died.
        file.set_len(0).operation(Operation::Truncate, target)?;
        file.write_all(fingerprint.line().as_bytes()).operation(Operation::Write, target)?;
        0
    };
    let watermark = watermark.min(u64::try_from(size).unwrap_or(0));
    ftruncate(partial.file(), watermark).operation(Operation::Truncate, target)?;
    Ok(Resumed { journal: Arc::new(Journal { file }), watermark })
}

/// The first line and the last records of a journal, however long it is.
fn read_ends(mut file: &File) -> io::Result<Vec<u8>> {
    let line_end = |bytes: &[u8]| memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
    let mut content = Vec::new();
    file.take(JOURNAL_END_BYTES).read_to_end(&mut content)?;
    let len = file.seek(SeekFrom::End(0))?;
    if len <= JOURNAL_END_BYTES {
        return Ok(content);
    }
    content.truncate(line_end(&content));
    file.seek(SeekFrom::Start(len - JOURNAL_END_BYTES))?;
    let mut tail = Vec::new();
    file.take(JOURNAL_END_BYTES).read_to_end(&mut tail)?;
    // It begins within a line.
    content.extend(tail.drain(line_end(&tail)..));
    Ok(content)
}

fn changed(source: &Source, partial: &Temporary) -> Error {
    let directory = directory_of(partial);
    let reason = format!(
        "it is not what it was when the copy was begun: remove {} and {} to begin anew",
        directory.join(partial.name()).display(),
        directory.join(partial.journal_name()).display(),
    );
    Error::refused(Operation::Copy, io::ErrorKind::InvalidData, reason).with_path(&source.path)
}

/// Where a partial file is, behind all links; nothing if that cannot be told.
fn directory_of(partial: &Temporary) -> PathBuf {
    let link = format!("/proc/self/fd/{}", partial.directory().as_raw_fd());
    fs::read_link(link).unwrap_or_default()
}

/// Whether the source is still what it was when it was opened.
pub(super) fn is_unchanged(source: &Source) -> bool {
    fstat(&source.file).is_ok_and(|now| {
        is_same_file(&now, &source.stat) && Fingerprint::of(&now) == Fingerprint::of(&source.stat)
    })
}

/// Removes the journal `name`, if there is one.
pub(super) fn remove_journal(directory: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    match unlinkat(&directory, name, AtFlags::empty()) {
        // Another, who began when the partial file had just left its name, may have ended before us.
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    const SOURCE: Fingerprint =
        Fingerprint { device: 1, inode: 2, size: 3, modified: (4, 5), changed: (6, 7) };

    #[test]
    fn the_last_whole_record_counts_and_one_of_another_source_does_not() {
        let journal = SOURCE.line() + "done 10\ndone 20\n";
        assert_eq!(last_record(&journal, &SOURCE), Some(20));
        assert_eq!(last_record(&SOURCE.line(), &SOURCE), Some(0));
        for other in [
            Fingerprint { device: 0, ..SOURCE },
            Fingerprint { inode: 0, ..SOURCE },
            Fingerprint { size: 0, ..SOURCE },
            Fingerprint { modified: (4, 0), ..SOURCE },
            Fingerprint { changed: (6, 0), ..SOURCE },
        ] {
            assert_eq!(last_record(&journal, &other), None, "{other:?}");
        }
    }

    #[test]
    fn of_a_long_journal_the_first_line_and_the_last_record_are_read_and_no_more() {
        for records in [0, 1, 300, 400, 700, 100_000] {
            let mut journal = SOURCE.line();
            for record in 0..records {
                writeln!(journal, "done {}", 1_000_000 + record).unwrap();
            }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(journal.as_bytes()).unwrap();
            file.rewind().unwrap();
            let ends = read_ends(&file).unwrap();
            assert!(ends.len() <= 2 * usize::try_from(JOURNAL_END_BYTES).unwrap());
            let last = last_record(std::str::from_utf8(&ends).unwrap(), &SOURCE);
            assert_eq!(last, Some(if records > 0 { 999_999 + records } else { 0 }));
        }
    }

    proptest! {
        #[test]
        fn a_journal_that_ends_anywhere_tells_of_a_record_that_was_written_whole(
            records in prop::collection::vec(1_u64..1_000_000, 0..5), cut in 0_usize..200,
        ) {
            let mut journal = SOURCE.line();
            let head = journal.len();
            for offset in &records {
                writeln!(journal, "done {offset}").unwrap();
            }
            journal.truncate(cut);
            let found = last_record(&journal, &SOURCE);
            if cut < head {
                prop_assert_eq!(found, None);
            } else {
                prop_assert!(found == Some(0) || records.contains(&found.unwrap()));
            }
        }
    }
}
