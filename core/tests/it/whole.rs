use crate::Tested;
use afx_core::{
    Operation,
    buffer::{Chunk, Slot},
    engine::{Descriptor, Engine},
    whole,
};
use rustix::fs::{Mode, OFlags};
use std::{
    io::{self, Write},
    path::Path,
};

fn read(path: &Path) -> afx_core::Result<Chunk> {
    Tested::run(whole::read::<Tested>(path)).unwrap()
}

fn write(path: &Path, content: &[u8]) -> afx_core::Result<()> {
    Tested::run(whole::write::<Tested>(path, Chunk::copy_of(content))).unwrap()
}

/// Bytes without a period that a block size could hide.
fn sample(len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
}

#[test]
fn what_is_written_is_read_back_whatever_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let transfer = afx_core::limits::TRANSFER_BYTES;
    for len in [0, 1, 4095, 4096, 65536, transfer - 1, transfer, 2 * transfer + 3, 5] {
        let content = sample(len);
        write(&path, &content).unwrap();
        assert!(std::fs::read(&path).unwrap() == content, "{len} bytes on disk differ");
        assert!(read(&path).unwrap().bytes() == content, "{len} bytes read differ");
    }
}

#[test]
fn a_file_that_claims_no_size_is_read_all_the_same() {
    let status = read(Path::new("/proc/self/status")).unwrap();
    assert!(status.bytes().starts_with(b"Name:"));
}

#[test]
fn a_fifo_is_read_until_its_writer_closes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .unwrap();
    let content = sample(300_000);
    std::thread::scope(|scope| {
        scope.spawn(|| std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(&content));
        assert!(read(&path).unwrap().bytes() == content);
    });
}

#[test]
fn an_error_names_operation_path_and_offset() {
    let missing = Path::new("/nonexistent/file");
    let error = read(missing).unwrap_err();
    assert_eq!(
        (error.operation(), error.path(), error.raw_os_error()),
        (Operation::Open, Some(missing), Some(libc::ENOENT))
    );
    let error = read(Path::new("/")).unwrap_err();
    assert_eq!((error.operation(), error.raw_os_error()), (Operation::Read, Some(libc::EISDIR)));
    let error = write(Path::new("/dev/full"), b"x").unwrap_err();
    assert_eq!(
        (error.operation(), error.offset(), error.raw_os_error()),
        (Operation::Write, Some(0), Some(libc::ENOSPC))
    );
    let error = read(Path::new("a\0b")).unwrap_err();
    assert_eq!((error.operation(), error.kind()), (Operation::Open, io::ErrorKind::InvalidInput));
}

#[test]
fn a_size_that_no_memory_holds_is_an_error_and_no_abort() {
    // More than any address space, which a file in memory may claim.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = folder.path().join("sparse");
    std::fs::File::create(&path).unwrap().set_len(1 << 62).unwrap();
    let error = read(&path).unwrap_err();
    assert_eq!((error.operation(), error.raw_os_error()), (Operation::Read, Some(libc::ENOMEM)));
}

#[test]
fn filling_stops_at_the_end_of_the_file_and_at_the_end_of_the_slot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let content = sample(afx_core::limits::TRANSFER_BYTES + 1000);
    std::fs::write(&path, &content).unwrap();
    let descriptor = Descriptor::own(std::fs::File::open(&path).unwrap().into()).unwrap();
    for (capacity, offset) in
        [(10, 0), (10, 5), (content.len() - 1, 1), (content.len() + 5, 7), (9, u64::MAX >> 2)]
    {
        let start = usize::try_from(offset).unwrap().min(content.len());
        let expected = &content[start..content.len().min(start + capacity)];
        let mut slot = Slot::with_capacity(capacity + 3);
        slot.extend_from_slice(b"abc");
        let (result, slot) = whole::fill_blocking(&descriptor, slot, offset);
        assert_eq!(result.unwrap(), expected.len());
        assert!(&slot.filled()[3..] == expected && slot.capacity() == capacity + 3);
        let (result, slot) = Tested::run(async {
            let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
            let file = Tested::open(path, OFlags::RDONLY, Mode::empty()).await.unwrap();
            whole::fill::<Tested>(&file, Slot::with_capacity(capacity), offset).await
        })
        .unwrap();
        assert_eq!(result.unwrap(), expected.len());
        assert!(slot.filled() == expected);
    }
}

#[test]
fn filling_from_a_closed_end_is_an_error_that_keeps_what_came_before() {
    let write_only = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    let descriptor = Descriptor::own(write_only.into()).unwrap();
    let mut slot = Slot::with_capacity(8);
    slot.extend_from_slice(b"kept");
    let (result, slot) = whole::fill_blocking(&descriptor, slot, 0);
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBADF));
    assert_eq!(slot.filled(), b"kept");
}
