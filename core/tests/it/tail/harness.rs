//! A run in a thread, a sink that can be made to wait, and a log that is written to and rotated.

use afx_core::tail::{Ended, Follow, Notice, Stop, Tail, TailEvent, TailOptions};
use std::{
    fmt::Write as _,
    fs::{self, File, Metadata},
    io::Write,
    ops::{ControlFlow, Range},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Longer than any wait takes on a machine that works.
const BOUND: Duration = Duration::from_secs(30);

/// What the sink was given.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Generation, offset and bytes of each event.
    pub(super) pieces: Vec<(u64, u64, Vec<u8>)>,
    notices: String,
    paused: bool,
    /// The thread of the run.
    thread: i32,
    /// Whether the sink waits because it is paused.
    waiting: bool,
}

pub(super) struct Followed {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    stop: Stop,
    run: Option<JoinHandle<afx_core::Result<Ended>>>,
}

impl Followed {
    pub(super) fn start(options: TailOptions) -> Self {
        let tail = Tail::new(options).unwrap();
        let stop = tail.stop();
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let sink = seen.clone();
        let run = std::thread::spawn(move || {
            sink.0.lock().unwrap().thread = rustix::thread::gettid().as_raw_nonzero().get();
            sink.1.notify_all();
            tail.run(|event| {
                let (lock, changed) = &*sink;
                let mut seen = lock.lock().unwrap();
                seen.take(event);
                changed.notify_all();
                while seen.paused {
                    seen.waiting = true;
                    changed.notify_all();
                    seen = changed.wait(seen).unwrap();
                }
                seen.waiting = false;
                ControlFlow::Continue(())
            })
        });
        Self { seen, stop, run: Some(run) }
    }

    pub(super) fn stop(mut self) -> Ended {
        self.stop.stop();
        let run = self.run.take().unwrap();
        until("the run has ended", || run.is_finished());
        run.join().unwrap().unwrap()
    }

    /// From the next event on, the sink does not return.
    pub(super) fn pause(&self) {
        self.lock().paused = true;
    }

    pub(super) fn resume(&self) {
        self.lock().paused = false;
        self.seen.1.notify_all();
    }

    pub(super) fn expect_paused(&self) {
        self.wait_until("the sink is paused", |seen| seen.waiting);
    }

    /// Waits until all bytes together are `text`.
    pub(super) fn expect(&self, text: &str) {
        self.wait_until(&format!("{} bytes are put out", text.len()), |seen| seen.text().len() >= text.len());
        let found = self.lock().text();
        assert!(found == text, "expected {:?}\n   found {:?}", end_of(text), end_of(&found));
    }

    /// As [`expect`](Self::expect), for lines whose order is open.
    pub(super) fn expect_sorted(&self, text: &str) {
        let sorted = |text: &str| {
            let mut bytes: Vec<char> = text.chars().collect();
            bytes.sort_unstable();
            bytes
        };
        self.wait_until("all lines are put out", |seen| sorted(&seen.text()) == sorted(text));
    }

    pub(super) fn expect_notices(&self, notices: &str) {
        self.wait_until(&format!("notices are {notices:?}"), |seen| seen.notices == notices);
    }

    pub(super) fn notices(&self) -> String {
        self.lock().notices.clone()
    }

    /// The generation of each piece.
    pub(super) fn generations(&self) -> Vec<u64> {
        self.lock().pieces.iter().map(|(generation, ..)| *generation).collect()
    }

    /// Waits until the run watches the content of the file and sleeps.
    pub(super) fn wait_until_idle(&self, path: &Path) {
        let inode = format!("ino:{:x} ", fs::metadata(path).unwrap().ino());
        until("the file is watched", || {
            let infos = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
            infos.filter_map(|info| fs::read_to_string(info.path()).ok()).any(|info| info.contains(&inode))
        });
        self.wait_until("the run has a thread", |seen| seen.thread > 0);
        let thread = self.lock().thread;
        until("the run sleeps", || {
            let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
            stat.rsplit(") ").next().unwrap().starts_with('S')
        });
    }

    pub(super) fn wait_until(&self, what: &str, is_met: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + BOUND;
        let mut seen = self.lock();
        while !is_met(&seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "it never came that {what}: notices {:?}, {:?}",
                seen.notices,
                end_of(&seen.text())
            );
            seen = self.seen.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.0.lock().unwrap()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.stop.stop();
        if let Ok(mut seen) = self.seen.0.lock() {
            seen.paused = false;
        }
        self.seen.1.notify_all();
        if let Some(run) = self.run.take() {
            let _ = run.join();
        }
    }
}

impl Seen {
    fn take(&mut self, event: TailEvent<'_>) {
        match event {
            TailEvent::Bytes { bytes, offset, generation } => {
                self.pieces.push((generation, offset, bytes.to_vec()));
            }
            TailEvent::Line { line, generation } => {
                self.pieces.push((generation, line.offset, line.bytes.to_vec()));
            }
            TailEvent::Notice(notice) => {
                self.notices += match notice {
                    Notice::Truncated => "truncated ",
                    Notice::Replaced => "replaced ",
                    Notice::Appeared => "appeared ",
                    Notice::Missing(_) => "missing ",
                    Notice::Inaccessible(_) => "inaccessible ",
                    Notice::Untailable(_) => "untailable ",
                    Notice::Unreadable(_) => "unreadable ",
                    Notice::Dropped(_) => "dropped ",
                    Notice::Polling(_) => "polling ",
                    _ => "unknown ",
                };
            }
            _ => unreachable!(),
        }
    }

    pub(super) fn text(&self) -> String {
        self.pieces.iter().map(|(.., bytes)| String::from_utf8_lossy(bytes)).collect()
    }
}

fn end_of(text: &str) -> &str {
    text.get(text.len().saturating_sub(300)..).unwrap_or(text)
}

/// A log in a folder of its own.
pub(super) struct Log {
    folder: tempfile::TempDir,
    path: PathBuf,
    rotations: u32,
}

impl Log {
    /// An empty log.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        File::create(&path).unwrap();
        Self { folder, path, rotations: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn options(&self) -> TailOptions {
        TailOptions::new(&self.path)
    }

    /// Creates the log if it is missing, as a program that logs does.
    pub(super) fn append(&mut self, text: &str) {
        let mut file = File::options().append(true).create(true).open(&self.path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Renames the log and creates a new one; returns the old one, to be written to.
    pub(super) fn rotate(&mut self) -> File {
        self.rotations += 1;
        let old = self.folder.path().join(format!("log.{}", self.rotations));
        fs::rename(&self.path, &old).unwrap();
        File::create(&self.path).unwrap();
        File::options().append(true).open(old).unwrap()
    }

    pub(super) fn truncate(&mut self) {
        File::options().write(true).truncate(true).open(&self.path).unwrap();
    }

    pub(super) fn copy_and_truncate(&mut self) {
        self.rotations += 1;
        fs::copy(&self.path, self.folder.path().join(format!("copy.{}", self.rotations))).unwrap();
        self.truncate();
    }

    pub(super) fn delete(&mut self) -> Metadata {
        let metadata = fs::metadata(&self.path).unwrap();
        fs::remove_file(&self.path).unwrap();
        metadata
    }
}

/// Following the name, with a long linger.
pub(super) fn follow(log: &Log) -> TailOptions {
    TailOptions { follow: Follow::Name, linger: Duration::from_mins(10), ..log.options() }
}

pub(super) fn lines(numbers: Range<u32>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        writeln!(text, "line {number}").unwrap();
        text
    })
}

/// Waits for a condition that nobody tells of.
pub(super) fn until(what: &str, is_met: impl Fn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !is_met() {
        assert!(Instant::now() < deadline, "it never came that {what}");
        std::thread::yield_now();
    }
}

/// Whether this process holds the file open.
pub(super) fn is_open(file: &Metadata) -> bool {
    let fds = fs::read_dir("/proc/self/fd").unwrap().flatten();
    fds.filter_map(|fd| fs::metadata(fd.path()).ok())
        .any(|open| (open.dev(), open.ino()) == (file.dev(), file.ino()))
}

pub(super) fn make_fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[allow(unsafe_code, reason = "a change that inotify does not tell of")]
pub(super) fn write_through_a_map(path: &Path, offset: usize, bytes: &[u8]) {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    let file = File::options().read(true).write(true).open(path).unwrap();
    let len = usize::try_from(file.metadata().unwrap().len()).unwrap();
    assert!(offset + bytes.len() <= len);
    // SAFETY: a new mapping at an address of the kernel's choice.
    let map = unsafe {
        mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)
    };
    let map = map.unwrap();
    // SAFETY: the range is inside the mapping (asserted), which nobody else knows of.
    unsafe { map.cast::<u8>().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    // SAFETY: the mapping made above, which is not used any more.
    unsafe { munmap(map, len) }.unwrap();
}
