//! Opening a FIFO without a thread that waits for its other end.
//!
//! `open(2)` of a FIFO waits until somebody opens the other end. Whatever waits inside of it cannot do
//! anything else, and nothing but a signal gets it out. So every open is made with `O_NONBLOCK`, and
//! what it would have waited for is asked for again and again: no descriptor tells of it.

use crate::limits::{FIFO_PAUSE_MAX, FIFO_PAUSE_MIN};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat, fstatfs, open},
    io::Errno,
    pipe::{PipeFlags, SpliceFlags, pipe_with, tee},
};
use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

/// The file system of pipes without a name, whose ends are never waited for.
const PIPEFS_MAGIC: rustix::fs::FsWord = 0x5049_5045;

/// What came of an open that does not wait.
#[derive(Debug)]
pub enum Opened {
    /// The file, as if it had been opened without `O_NONBLOCK`.
    File(OwnedFd),
    /// A FIFO whose other end nobody has opened yet.
    Waiting(FifoOpening),
}

/// A FIFO that waits for its other end to be opened. Dropping it ends the waiting.
#[derive(Debug)]
pub struct FifoOpening {
    begun: Instant,
    end: End,
}

#[derive(Debug)]
enum End {
    /// Open already, and writers know of it; what is missing is a writer.
    Read(OwnedFd),
    /// The FIFO itself, opened with `O_PATH`, so that it may lose its name meanwhile.
    Write { fifo: OwnedFd, flags: OFlags },
}

impl Opened {
    /// Opens `path` as `open(2)` does; `O_CLOEXEC` is added. It waits for disks, never for a peer.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`; `EAGAIN` while another process gives up its lease on the file.
    pub fn open(path: &CStr, flags: OFlags, mode: Mode) -> io::Result<Self> {
        let careful = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let result = rustix::io::retry_on_intr(|| open(path, careful, mode));
        Self::settle(path, flags, result.map_err(io::Error::from))
    }

    /// Goes on from the `result` of opening `path` with `flags` and `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// That of `result`, unless it says that a FIFO has no reader.
    pub fn settle(path: &CStr, flags: OFlags, result: io::Result<OwnedFd>) -> io::Result<Self> {
        let file = match result {
            Ok(file) => file,
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                return Self::without_reader(path, flags).ok_or(error);
            }
            Err(error) => return Err(error),
        };
        let reads = !flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::PATH);
        if reads && is_named_fifo(&file)? {
            return FifoOpening { begun: Instant::now(), end: End::Read(file) }.attempt();
        }
        finished(file)
    }

    fn without_reader(path: &CStr, flags: OFlags) -> Option<Self> {
        let path_only = OFlags::PATH | OFlags::CLOEXEC | (flags & OFlags::NOFOLLOW);
        let fifo = open(path, path_only, Mode::empty()).ok()?;
        is_fifo(&fifo).ok()?.then(|| {
            // It exists, and what was asked of its name has been asked.
            let flags = flags - OFlags::CREATE - OFlags::EXCL - OFlags::TRUNC - OFlags::NOFOLLOW;
            Self::Waiting(FifoOpening { begun: Instant::now(), end: End::Write { fifo, flags } })
        })
    }
}

impl FifoOpening {
    /// Asks again whether the other end is open.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`, `EMFILE` among them.
    pub fn attempt(self) -> io::Result<Opened> {
        let Self { begun, end } = self;
        match end {
            End::Read(file) if has_had_writer(&file)? => finished(file),
            End::Write { fifo, flags } => {
                let path = format!("/proc/self/fd/{}", fifo.as_raw_fd());
                let careful = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
                match rustix::io::retry_on_intr(|| open(path.as_str(), careful, Mode::empty())) {
                    Ok(file) => finished(file),
                    Err(Errno::NXIO) => Ok(Opened::Waiting(Self { begun, end: End::Write { fifo, flags } })),
                    Err(error) => Err(error.into()),
                }
            }
            end @ End::Read(_) => Ok(Opened::Waiting(Self { begun, end })),
        }
    }

    /// How long to wait before the next attempt: an eighth of the time waited so far, so that nobody
    /// waits much longer than the peer takes, and a long wait costs next to nothing.
    pub fn pause(&self) -> Duration {
        (self.begun.elapsed() / 8).clamp(FIFO_PAUSE_MIN, FIFO_PAUSE_MAX)
    }
}

/// Whether a writer has opened the FIFO since `file` did; it may be gone again.
fn has_had_writer(file: &OwnedFd) -> io::Result<bool> {
    let (_kept, scratch) = pipe_with(PipeFlags::CLOEXEC)?;
    // Without a byte to copy, `tee` says whether one could still come. It takes nothing out.
    match tee(file, &scratch, 1, SpliceFlags::NONBLOCK) {
        Ok(0) => {}
        Ok(_) | Err(Errno::AGAIN) => return Ok(true),
        Err(error) => return Err(error.into()),
    }
    // No writer. Hung up is what a writer has left; before the first one the FIFO is only empty.
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut asked = [PollFd::new(file, PollFlags::IN)];
    Ok(poll(&mut asked, Some(&now))? > 0)
}

fn finished(file: OwnedFd) -> io::Result<Opened> {
    let flags = fcntl_getfl(&file)?;
    if flags.contains(OFlags::NONBLOCK) {
        fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    }
    Ok(Opened::File(file))
}

fn is_fifo(file: impl AsFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(file)?.st_mode) == FileType::Fifo)
}

/// Pipes have no name of their own, but `/dev/stdin` and `/proc/self/fd` lead to them.
fn is_named_fifo(file: impl AsFd) -> io::Result<bool> {
    Ok(is_fifo(&file)? && fstatfs(&file)?.f_type != PIPEFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        ffi::CString,
        fs::File,
        io::{Read, Write},
        os::unix::ffi::OsStrExt,
        path::Path,
    };

    fn fifo(folder: &Path) -> CString {
        let path = folder.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        CString::new(path.as_os_str().as_bytes()).unwrap()
    }

    fn begin(path: &CStr, flags: OFlags) -> FifoOpening {
        waiting(Opened::open(path, flags, Mode::empty()))
    }

    fn waiting(opened: io::Result<Opened>) -> FifoOpening {
        match opened.unwrap() {
            Opened::Waiting(opening) => opening,
            Opened::File(file) => panic!("opened without a peer: {file:?}"),
        }
    }

    fn open_now(opened: io::Result<Opened>) -> File {
        match opened.unwrap() {
            Opened::File(file) => {
                assert!(!fcntl_getfl(&file).unwrap().contains(OFlags::NONBLOCK));
                file.into()
            }
            Opened::Waiting(_) => panic!("still waiting"),
        }
    }

    #[test]
    fn a_reader_waits_for_a_writer_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(folder.path());
        let reading = waiting(begin(&path, OFlags::RDONLY).attempt());
        let mut writer = open_now(Opened::open(&path, OFlags::WRONLY, Mode::empty()));
        let mut reader = open_now(reading.attempt());
        writer.write_all(b"all of it").unwrap();
        drop(writer);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "all of it");
    }

    #[test]
    fn a_writer_that_came_and_went_was_there_and_its_bytes_are() {
        for bytes in ["", "left behind"] {
            let folder = tempfile::tempdir().unwrap();
            let path = fifo(folder.path());
            let reading = begin(&path, OFlags::RDONLY);
            let mut writer = open_now(Opened::open(&path, OFlags::WRONLY, Mode::empty()));
            writer.write_all(bytes.as_bytes()).unwrap();
            drop(writer);
            let mut read = String::new();
            open_now(reading.attempt()).read_to_string(&mut read).unwrap();
            assert_eq!(read, bytes);
        }
    }

    #[test]
    fn a_writer_waits_for_a_reader_even_of_a_fifo_that_lost_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(folder.path());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let writing = waiting(begin(&path, flags).attempt());
        let reading = begin(&path, OFlags::RDONLY);
        rustix::fs::unlink(path.as_c_str()).unwrap();
        let _writer = open_now(writing.attempt());
        open_now(reading.attempt());
        assert!(rustix::fs::stat(path.as_c_str()).is_err(), "the name was created again");
    }

    #[test]
    fn both_ends_at_once_wait_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        open_now(Opened::open(&fifo(folder.path()), OFlags::RDWR, Mode::empty()));
    }

    #[test]
    fn a_pipe_without_a_name_is_not_waited_for() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        let path = CString::new(format!("/proc/self/fd/{}", reader.as_raw_fd())).unwrap();
        let mut read = Vec::new();
        let mut file = open_now(Opened::open(&path, OFlags::RDONLY, Mode::empty()));
        assert_eq!(file.read_to_end(&mut read).unwrap(), 0);
    }

    #[test]
    fn a_socket_and_a_missing_file_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let error =
            |path: &CStr| Opened::open(path, OFlags::WRONLY, Mode::empty()).unwrap_err().raw_os_error();
        assert_eq!(error(&path), Some(libc::ENXIO));
        assert_eq!(error(c"/missing/file"), Some(libc::ENOENT));
    }

    #[test]
    fn the_pause_grows_with_the_wait_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut opening = begin(&fifo(folder.path()), OFlags::RDONLY);
        assert!(opening.pause() < FIFO_PAUSE_MAX);
        opening.begun = Instant::now().checked_sub(FIFO_PAUSE_MAX * 9).unwrap();
        assert_eq!(opening.pause(), FIFO_PAUSE_MAX);
    }
}
