//! The caller's thread: reads what the state machine asks for and puts it out.

use super::{
    emit::{Emitter, Halt},
    hints::{Hint, Hints, Interest, Watch},
    locality::is_local,
    lookout::{Lookout, describe},
    options::{Ended, Follow, Notice, Start, Tail, TailEvent},
    sightings::{Shared, Sighting},
    start::{find_start, marker_at},
    state::{Action, Change, Identity, Marker, Now, Number, Rules, Seen, State},
    wait::{Waited, wait},
};
use crate::{
    error::{Context, Error, Operation, Result},
    limits::{CHUNK_BYTES, TAIL_LATE_GENERATIONS, TAIL_POLL},
    lines::Splitter,
};
use rustix::io::Errno;
use std::{
    io,
    ops::ControlFlow,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Reads `file`, whatever its name, from `base` on.
pub(super) fn read_one(
    tail: &Tail,
    file: OwnedFd,
    base: u64,
    sink: impl FnMut(TailEvent<'_>) -> ControlFlow<()>,
) -> Result<Ended> {
    let stat = rustix::fs::fstat(&file).operation(Operation::Stat, &tail.options.path)?;
    tail.shared.push(Sighting::File { file: Arc::new(file), identity: describe(&stat).0 });
    Reader::new(tail, base, sink).run()
}

/// Reads whatever file the name leads to, one after the other.
pub(super) fn follow_name(tail: &Tail, sink: impl FnMut(TailEvent<'_>) -> ControlFlow<()>) -> Result<Ended> {
    let mut lookout = Lookout::new(&tail.options.path, tail.options.poll);
    lookout.begin(&tail.shared);
    thread::scope(|scope| {
        // The scope waits for the lookout, also when the sink panics.
        let _stop = StopOnDrop(&tail.shared);
        thread::Builder::new()
            .name("afx-tail".to_owned())
            .spawn_scoped(scope, || lookout.keep_looking(&tail.shared))
            .operation(Operation::Watch, &tail.options.path)?;
        Reader::new(tail, 0, sink).run()
    })
}

struct StopOnDrop<'a>(&'a Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct Reader<'t, S> {
    tail: &'t Tail,
    emitter: Emitter<S>,
    state: State,
    /// The generations that `state` has open.
    open: Vec<Open>,
    /// `None` when there is nothing to wait for, or hints cannot be had.
    hints: Option<Hints>,
    /// How often to look without a hint.
    poll: Option<Duration>,
    polling_said: bool,
    /// Where to begin in the first file, if it is there from the beginning, and where that begins.
    start: Option<(Start, u64)>,
    began: Instant,
    buffer: Vec<u8>,
}

struct Open {
    number: Number,
    file: Arc<OwnedFd>,
    watch: Option<Watch>,
    splitter: Splitter,
}

impl<'t, S: FnMut(TailEvent<'_>) -> ControlFlow<()>> Reader<'t, S> {
    fn new(tail: &'t Tail, base: u64, sink: S) -> Self {
        let options = &tail.options;
        let rules =
            Rules { linger: options.linger, line_wait: options.line_wait, max_late: TAIL_LATE_GENERATIONS };
        Self {
            tail,
            emitter: Emitter::new(sink, options),
            state: State::new(rules),
            open: Vec::new(),
            hints: None,
            poll: options.poll,
            polling_said: false,
            start: Some((options.start, base)),
            began: Instant::now(),
            buffer: vec![0; CHUNK_BYTES],
        }
    }

    fn run(mut self) -> Result<Ended> {
        match self.work() {
            Ok(ended) | Err(Halt::Ended(ended)) => Ok(ended),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    fn work(&mut self) -> Result<Ended, Halt> {
        while !self.tail.shared.is_stopped() {
            let now = self.began.elapsed();
            match self.state.next(now) {
                Action::Report(change) => self.report(change)?,
                Action::Read { number, offset, marker } => self.read(number, (offset, marker), now)?,
                Action::Ask => self.ask(now)?,
                Action::Close { number } => self.close(number)?,
                Action::Wait { .. } if self.tail.options.follow == Follow::No => {
                    while let Some(open) = self.open.first() {
                        self.close(open.number)?;
                    }
                    return Ok(Ended::Finished);
                }
                Action::Wait { until } => self.wait(until.map(|until| until.saturating_sub(now)))?,
            }
        }
        Ok(Ended::Stopped)
    }

    fn report(&mut self, change: Change) -> Result<(), Halt> {
        self.emitter.notice(match change {
            Change::Truncated => Notice::Truncated,
            Change::Replaced => Notice::Replaced,
            Change::Appeared => Notice::Appeared,
        })
    }

    fn read(&mut self, number: Number, (offset, marker): (u64, usize), now: Now) -> Result<(), Halt> {
        let Some(open) = self.open.iter_mut().find(|open| open.number == number) else {
            self.state.failed(number);
            return Ok(());
        };
        let count = match rustix::io::pread(&*open.file, &mut *self.buffer, offset) {
            Ok(count) => count,
            Err(Errno::INTR) => return Ok(()),
            Err(cause) => return self.unreadable(number, offset + marker as u64, cause.into()),
        };
        let bytes = self.buffer.get(..count).unwrap_or_default();
        match self.state.read(number, bytes, now) {
            Seen::End => {}
            Seen::Bytes { bytes, offset, whole_lines } => {
                let mid_line =
                    self.emitter.bytes(number, &mut open.splitter, (bytes, offset), whole_lines)?;
                self.state.put_out(number, mid_line, self.began.elapsed());
            }
            Seen::Restart => {
                self.emitter.rest(number, &mut open.splitter)?;
                open.splitter = self.emitter.splitter(0);
            }
        }
        Ok(())
    }

    /// One file that fails ends a run that follows nothing else.
    fn unreadable(&mut self, number: Number, offset: u64, cause: io::Error) -> Result<(), Halt> {
        let error = Error::new(Operation::Read, cause).with_path(self.path()).with_offset(offset);
        if self.tail.options.follow != Follow::Name {
            return Err(error.into());
        }
        self.state.failed(number);
        self.close(number)?;
        self.emitter.notice(Notice::Unreadable(error))
    }

    fn ask(&mut self, now: Now) -> Result<(), Halt> {
        let dropped = self.tail.shared.take_dropped();
        if dropped > 0 {
            self.emitter.notice(Notice::Dropped(dropped))?;
        }
        match self.tail.shared.pop() {
            None => Ok(()),
            Some(Sighting::File { file, identity }) => self.take_up(file, identity, now),
            Some(Sighting::Missing(cause)) => {
                let error = Error::new(Operation::Open, cause).with_path(self.path());
                let never_there = self.start.is_some();
                let notice = if never_there { Notice::Missing(error) } else { Notice::Inaccessible(error) };
                self.gone(notice, now)
            }
            Some(Sighting::Untailable(kind)) => self.gone(Notice::Untailable(kind), now),
            Some(Sighting::Polling(cause)) => {
                self.state.hint_name();
                self.say_polling(cause)
            }
        }
    }

    fn gone(&mut self, notice: Notice, now: Now) -> Result<(), Halt> {
        self.start = None;
        let current = self.state.current_number();
        let current = self.open.iter().find(|open| Some(open.number) == current);
        let stat = current.and_then(|open| rustix::fs::fstat(&*open.file).ok());
        let is_news = self.state.gone(stat.is_some_and(|stat| stat.st_nlink == 0), now);
        if is_news { self.emitter.notice(notice) } else { Ok(()) }
    }

    fn take_up(&mut self, file: Arc<OwnedFd>, identity: Identity, now: Now) -> Result<(), Halt> {
        if self.state.number_of(identity).is_some() {
            self.state.opened(identity, 0, Marker::of(&[]), now);
            return Ok(());
        }
        let number = self.state.next_number();
        // Watched before it is first read: what is appended in between is not missed.
        let watch = self.watch(&file)?;
        let start = self.start.take().unwrap_or((Start::Line(1), 0));
        let found = self.begin_in(&file, start);
        let (offset, marker) = found.operation(Operation::Read, self.path())?;
        let splitter = self.emitter.splitter(offset);
        self.open.push(Open { number, file, watch, splitter });
        self.state.opened(identity, offset, marker, now);
        Ok(())
    }

    fn begin_in(&self, file: &OwnedFd, (start, base): (Start, u64)) -> io::Result<(u64, Marker)> {
        let offset = find_start(file, start, self.tail.options.terminator, base)?;
        Ok((offset, marker_at(file, offset)?))
    }

    fn watch(&mut self, file: &OwnedFd) -> Result<Option<Watch>, Halt> {
        if self.tail.options.follow == Follow::No {
            return Ok(None);
        }
        if !is_local(file) {
            self.poll.get_or_insert(TAIL_POLL);
        }
        match self.try_watch(file) {
            Ok(watch) => Ok(Some(watch)),
            Err(cause) => {
                self.poll.get_or_insert(TAIL_POLL);
                self.say_polling(cause)?;
                Ok(None)
            }
        }
    }

    fn try_watch(&mut self, file: &OwnedFd) -> io::Result<Watch> {
        let hints = match self.hints.take() {
            Some(hints) => hints,
            None => Hints::new()?,
        };
        // The file that is open, whatever has its name by now.
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.hints.insert(hints).watch(&path, Interest::Content)
    }

    fn say_polling(&mut self, cause: io::Error) -> Result<(), Halt> {
        if std::mem::replace(&mut self.polling_said, true) {
            return Ok(());
        }
        let error = Error::new(Operation::Watch, cause).with_path(self.path());
        self.emitter.notice(Notice::Polling(error))
    }

    fn close(&mut self, number: Number) -> Result<(), Halt> {
        let Some(at) = self.open.iter().position(|open| open.number == number) else { return Ok(()) };
        let mut closed = self.open.remove(at);
        if let (Some(hints), Some(watch)) = (&self.hints, closed.watch)
            && !self.open.iter().any(|open| open.watch == Some(watch))
        {
            hints.unwatch(watch);
        }
        self.emitter.rest(number, &mut closed.splitter)
    }

    fn wait(&mut self, time: Option<Duration>) -> Result<(), Halt> {
        let time = time.into_iter().chain(self.poll).min();
        let hints = self.hints.as_ref().map(AsFd::as_fd);
        let output = self.tail.output.as_ref().map(AsFd::as_fd);
        match wait(&self.tail.shared.reader, hints, output, time) {
            Waited::Bell => self.state.hint_name(),
            Waited::Input => self.take_hints(),
            Waited::OutputClosed => return Err(Halt::Ended(Ended::OutputClosed)),
            Waited::TimeOut if self.poll.is_some() => self.state.hint(None),
            Waited::TimeOut => {}
        }
        Ok(())
    }

    fn take_hints(&mut self) {
        let (state, open) = (&mut self.state, &self.open);
        let drained = self.hints.as_ref().map_or(Ok(false), |hints| {
            hints.drain(|hint| match hint {
                Hint::Itself(watch) => {
                    let of_watch = open.iter().filter(|open| open.watch == Some(watch));
                    of_watch.for_each(|open| state.hint(Some(open.number)));
                }
                Hint::Lost | Hint::Name { .. } => state.hint(None),
            })
        });
        if drained.is_err() {
            self.state.hint(None);
        }
    }

    fn path(&self) -> &'t std::path::Path {
        &self.tail.options.path
    }
}
