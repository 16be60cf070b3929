//! How far long work is: a bar on a terminal, a line every few seconds elsewhere, and a line at once
//! for SIGUSR1.
//!
//! The bar is drawn here and not by indicatif, whose bar leaves pieces behind when the terminal is
//! made narrower: it counts the lines to erase as they were before.

mod line;
mod screen;

pub(crate) use screen::{above_bar, leave};

use crate::output::say;
use afx_core::Progress;
use line::{Speed, State};
use rustix::fs::{SeekFrom, fstat, seek};
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileTypeExt,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Between two pictures of the bar: ten in a second.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// Between two lines, where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// What a command has done and has to do. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    shared: Arc<Shared>,
}

/// Shows a meter until it is dropped.
#[derive(Debug)]
pub(crate) struct Display {
    meter: Meter,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    start: Instant,
    counts: Mutex<Counts>,
    /// The display is to end.
    ended: Condvar,
}

#[derive(Debug)]
struct Counts {
    /// Of the files that are done.
    done: u64,
    /// Of the file that is being worked on.
    current: Progress,
    /// Of files that are worked on beside each other, by numbers of their own.
    beside: BTreeMap<u64, Progress>,
    next_number: u64,
    total: Option<u64>,
    speed: Speed,
    has_ended: bool,
}

impl Meter {
    /// Nothing done, `total` to do, where that is known.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let counts = Counts {
            done: 0,
            current: Progress::new(),
            beside: BTreeMap::new(),
            next_number: 0,
            total,
            speed: Speed::default(),
            has_ended: false,
        };
        let shared = Shared { start: Instant::now(), counts: Mutex::new(counts), ended: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// The count of the next file, which is added to those before it.
    pub(crate) fn next_file(&self) -> Progress {
        let mut counts = self.lock();
        counts.done += counts.current.bytes();
        counts.current = Progress::new();
        counts.current.clone()
    }

    /// The count of one more file that is worked on beside others, until it is dropped.
    pub(crate) fn file_beside(&self) -> FileCount {
        let mut counts = self.lock();
        let number = counts.next_number;
        counts.next_number += 1;
        counts.beside.insert(number, Progress::new());
        FileCount { meter: self.clone(), number }
    }

    /// Says on standard error how far it is.
    pub(crate) fn tell(&self) {
        let sentence = self.state(&mut self.lock()).sentence();
        say(sentence);
    }

    fn state(&self, counts: &mut Counts) -> State {
        let beside = counts.beside.values().map(Progress::bytes).sum();
        let done = counts.done.saturating_add(counts.current.bytes()).saturating_add(beside);
        let elapsed = self.shared.start.elapsed();
        State { done, total: counts.total, elapsed, rate: counts.speed.update(elapsed, done) }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Nothing in it is ever half done.
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows how far it is until the result is dropped: on a terminal by a bar, elsewhere by lines.
    /// The bar needs the terminal's last line, so there is none where other data ends up on it.
    pub(crate) fn show(&self, has_data_on_stdout: bool) -> io::Result<Display> {
        let is_shared = has_data_on_stdout && rustix::termios::isatty(rustix::stdio::stdout());
        let has_bar = screen::can_show_bar() && !is_shared;
        let meter = self.clone();
        let thread = thread::Builder::new().name("afx-progress".to_owned());
        let thread = thread.spawn(move || if has_bar { meter.draw_bars() } else { meter.print_lines() })?;
        Ok(Display { meter: self.clone(), thread: Some(thread) })
    }

    fn draw_bars(&self) {
        while let Some(state) = self.after(BAR_INTERVAL) {
            screen::draw(|columns| state.bar(columns));
        }
        above_bar(|| ());
    }

    fn print_lines(&self) {
        while let Some(state) = self.after(LINE_INTERVAL) {
            say(state.sentence());
        }
    }

    /// How far it is after `interval`, if it has not ended by then.
    fn after(&self, interval: Duration) -> Option<State> {
        let waited = self.shared.ended.wait_timeout_while(self.lock(), interval, |counts| !counts.has_ended);
        let (mut counts, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!counts.has_ended).then(|| self.state(&mut counts))
    }
}

/// The count of a file that is worked on beside others.
#[derive(Debug)]
pub(crate) struct FileCount {
    meter: Meter,
    number: u64,
}

impl FileCount {
    /// What counts its bytes.
    pub(crate) fn progress(&self) -> Progress {
        self.meter.lock().beside.entry(self.number).or_default().clone()
    }
}

impl Drop for FileCount {
    fn drop(&mut self) {
        let mut counts = self.meter.lock();
        if let Some(file) = counts.beside.remove(&self.number) {
            counts.done += file.bytes();
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.meter.lock().has_ended = true;
        self.meter.shared.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The bytes of all `files` together; `-` is standard input. Nothing if one does not say, as pipes do.
pub(crate) fn total_of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Option<u64> {
    files.into_iter().try_fold(0_u64, |sum, file| sum.checked_add(bytes_of(file)?))
}

/// The bytes that reading `file` will give; 0 if it cannot be read, of which more is said later.
fn bytes_of(file: &Path) -> Option<u64> {
    if file == "-" {
        let size = u64::try_from(fstat(rustix::stdio::stdin()).ok()?.st_size).ok()?;
        let position = seek(rustix::stdio::stdin(), SeekFrom::Current(0)).ok()?;
        return Some(size.saturating_sub(position));
    }
    let Ok(metadata) = file.metadata() else { return Some(0) };
    let kind = metadata.file_type();
    if kind.is_block_device() {
        return seek(File::open(file).ok()?, SeekFrom::End(0)).ok();
    }
    kind.is_file().then_some(metadata.len())
}
