//! What is asked for, and what comes back.

use super::{
    lookout::{describe, open_to_read},
    reader,
    sightings::Shared,
    stream,
};
use crate::{
    engine::FileKind,
    error::{Context, Error, Operation, Result},
    limits::{MAX_LINE_BYTES, TAIL_LINE_WAIT, TAIL_LINGER},
    lines::Line,
};
use std::{
    io,
    ops::ControlFlow,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Where in the file to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the last so many lines; a last line without terminator counts.
    LastLines(u64),
    /// With this line, counted from 1; 0 is the first as well.
    Line(u64),
}

/// What to do at the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Stop.
    No,
    /// Wait for more in the same file, whatever it is called by then.
    Descriptor,
    /// Wait for more in whatever file has the name.
    Name,
}

/// What the bytes come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// [`TailEvent::Bytes`], at once: a line may come in several pieces.
    Bytes,
    /// [`TailEvent::Line`], each when its terminator was read. A last line without one comes when its
    /// file is done with: at the end when nothing is followed, or some time after the name has left it.
    Lines,
}

/// What to follow, and how.
#[derive(Clone, Debug)]
pub struct TailOptions {
    /// The file, which also names it in errors.
    pub path: PathBuf,
    /// Where to begin.
    pub start: Start,
    /// What to do at its end.
    pub follow: Follow,
    /// What the bytes come in.
    pub unit: Unit,
    /// The byte that ends a line.
    pub terminator: u8,
    /// With [`Unit::Lines`], bytes after which a line is cut.
    pub max_line_bytes: usize,
    /// Also look this often without a hint. Needed for changes that the kernel does not tell of, such
    /// as those through a memory map; network file systems are recognised.
    pub poll: Option<Duration>,
    /// How long a file that the name has left stays open after its last byte.
    pub linger: Duration,
    /// How long bytes of one file wait for the end of a line of another that was put out in part.
    pub line_wait: Duration,
}

impl TailOptions {
    /// The last ten lines of `path`, in pieces as they come, without following.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            start: Start::LastLines(10),
            follow: Follow::No,
            unit: Unit::Bytes,
            terminator: b'\n',
            max_line_bytes: MAX_LINE_BYTES,
            poll: None,
            linger: TAIL_LINGER,
            line_wait: TAIL_LINE_WAIT,
        }
    }
}

/// Something that the sink is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum TailEvent<'a> {
    /// Bytes of the file, with [`Unit::Bytes`].
    Bytes {
        /// The bytes.
        bytes: &'a [u8],
        /// Where they stand in their file, or in the stream.
        offset: u64,
        /// Which file they are of: counted from 0, one more for each that the name led to.
        generation: u64,
    },
    /// A line of the file, with [`Unit::Lines`].
    Line {
        /// The line.
        line: Line<'a>,
        /// As for `Bytes`.
        generation: u64,
    },
    /// Something happened to the file.
    Notice(Notice),
}

/// Something happened to a followed file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// It got shorter, or was written anew; it is read again from its start.
    Truncated,
    /// The name leads to another file, whose content follows.
    Replaced,
    /// The name leads to a file again, whose content follows.
    Appeared,
    /// The name leads to nothing that can be opened, yet. It is waited for.
    Missing(Error),
    /// The name leads to nothing that can be opened, any more. It is waited for.
    Inaccessible(Error),
    /// The name leads to something without an end. Another file is waited for.
    Untailable(FileKind),
    /// A file could not be read any further. Another is waited for.
    Unreadable(Error),
    /// The name led to more files than can be held open before any of them was read; so many, of
    /// which nothing came before this, are lost.
    Dropped(u64),
    /// The kernel cannot be asked to tell of changes, so the file is looked at again and again.
    Polling(Error),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// At the end of the file or stream.
    Finished,
    /// By a [`Stop`] handle.
    Stopped,
    /// By the sink.
    Broken,
    /// Nobody reads the output any more.
    OutputClosed,
}

/// Ends a run from anywhere.
#[derive(Clone, Debug)]
pub struct Stop {
    shared: Arc<Shared>,
}

impl Stop {
    /// Ends the run as soon as the sink returns; a run that has not begun ends when it begins.
    pub fn stop(&self) {
        self.shared.stop();
    }
}

/// A file about to be followed.
///
/// # Examples
///
/// ```
/// use afx_core::tail::{Ended, Start, Tail, TailEvent, TailOptions};
/// use std::ops::ControlFlow;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("log");
/// std::fs::write(&path, "one\ntwo\nthree\n")?;
/// let options = TailOptions { start: Start::LastLines(2), ..TailOptions::new(&path) };
/// let mut found = Vec::new();
/// let ended = Tail::new(options)?.run(|event| {
///     if let TailEvent::Bytes { bytes, .. } = event {
///         found.extend_from_slice(bytes);
///     }
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!((found.as_slice(), ended), (b"two\nthree\n".as_slice(), Ended::Finished));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tail {
    pub(super) options: TailOptions,
    /// An open file in place of the path.
    file: Option<OwnedFd>,
    pub(super) output: Option<OwnedFd>,
    pub(super) shared: Arc<Shared>,
}

impl Tail {
    /// Prepares a run; the file is opened by [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// When no descriptor is left to wake the run with.
    pub fn new(options: TailOptions) -> Result<Self> {
        let shared = Shared::new().operation(Operation::Watch, &options.path)?;
        Ok(Self { options, file: None, output: None, shared: Arc::new(shared) })
    }

    /// Takes this open file, from its position on, in place of the one that the path leads to, which
    /// then only names it. A name that is not its own cannot be followed: [`Follow::Name`] is taken
    /// as [`Follow::Descriptor`].
    #[must_use]
    pub fn with_file(mut self, file: OwnedFd) -> Self {
        self.file = Some(file);
        self
    }

    /// Ends the run when nobody reads `output`, a pipe or socket that the sink writes to, any more:
    /// with nothing to write, no write would tell.
    #[must_use]
    pub fn with_output(mut self, output: OwnedFd) -> Self {
        self.output = Some(output);
        self
    }

    /// A handle that ends the run.
    pub fn stop(&self) -> Stop {
        Stop { shared: self.shared.clone() }
    }

    /// Runs on this thread until the file ends, or, when following, until it is told to end.
    ///
    /// `sink` is called on this thread, and may take its time: what happens to the name meanwhile is
    /// seen by another. Output is in the order of generations; when a name has left a file, late
    /// lines of that file come whole, between those of its successor.
    ///
    /// Pipes and other streams are read to their end; [`Follow`] then waits only at a FIFO, for its
    /// next writer.
    ///
    /// # Errors
    ///
    /// Those of `open(2)` and `read(2)`, with the offset. When a name is followed, most are notices.
    ///
    /// # Platform
    ///
    /// Woken by inotify; where statfs says that a file system is not local, or does not say, the
    /// file is looked at every second as well.
    pub fn run(mut self, sink: impl FnMut(TailEvent<'_>) -> ControlFlow<()>) -> Result<Ended> {
        let adopted = self.file.is_some();
        if adopted && self.options.follow == Follow::Name {
            self.options.follow = Follow::Descriptor;
        }
        let file = match self.file.take() {
            Some(file) => file,
            None if self.options.follow == Follow::Name && self.is_followed_by_name() => {
                return reader::follow_name(&self, sink);
            }
            None => open_to_read(&self.options.path).operation(Operation::Open, &self.options.path)?,
        };
        let path = &self.options.path;
        match FileKind::of(&file).operation(Operation::Stat, path)? {
            FileKind::Seekable => {
                let start = if adopted { position(&file, path)? } else { 0 };
                reader::read_one(&self, file, start, sink)
            }
            _ => stream::run(&self, &file, adopted, sink),
        }
    }

    /// Whether the name leads, or may come to lead, to a file with an end.
    fn is_followed_by_name(&self) -> bool {
        let kind = rustix::fs::stat(&self.options.path).map(|stat| describe(&stat).1);
        !matches!(kind, Ok(FileKind::Pollable | FileKind::Device | FileKind::Directory))
    }
}

fn position(file: &OwnedFd, path: &Path) -> Result<u64> {
    let position = rustix::fs::seek(file, rustix::fs::SeekFrom::Current(0)).map_err(io::Error::from);
    position.operation(Operation::Stat, path)
}
