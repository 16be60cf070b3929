//! Pure: what to do next with the generations of a followed file.
//!
//! A generation is a file that the followed name led to, from its first byte seen to its last. The
//! driver asks [`State::next`] for an [`Action`], does it, and reports what it saw; no file, no clock
//! and no thread is known here.
//!
//! The rules:
//! - The current generation is read to its end *after* its successor was seen, and only then does
//!   the successor become current: output is in the order of generations.
//! - A generation that is no longer current is late. It stays open for [`Rules::linger`] after its
//!   last byte, and what still comes is put out, in whole lines.
//! - Where the output stands in the middle of a line of one generation, the others wait for its
//!   end, but for no longer than [`Rules::line_wait`].
//! - A generation that is shorter than what was read of it, or holds other bytes there, was
//!   truncated and is read again from its start.

use std::{collections::VecDeque, time::Duration};

/// Device and inode: names a file for as long as it is held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// Counts the generations of one run, from 0.
pub(super) type Number = u64;

/// Time since the run began.
pub(super) type Now = Duration;

/// The bytes in front of an offset, by which a file is known again.
///
/// Leading content would not do: logs open with equal banners, and some programs change a header in
/// place. What stood just before the next byte is different after every rewrite that matters, and
/// comes with the read of that byte at no cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Marker {
    /// Most bytes of a marker: a time stamp and some of the line behind it.
    pub(super) const MAX: usize = 64;

    /// The end of `read`.
    pub(super) fn of(read: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX];
        let len = read.len().min(Self::MAX);
        for (to, from) in bytes.iter_mut().zip(read.iter().skip(read.len() - len)) {
            *to = *from;
        }
        Self { bytes, len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The times of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// How long a generation that is not current stays open after its last byte.
    pub(super) linger: Duration,
    /// How long other generations wait for the end of a line that was put out in part.
    pub(super) line_wait: Duration,
    /// Late generations kept; of more, the oldest is closed.
    pub(super) max_late: usize,
}

/// What became of the followed name, or of a generation, that a person wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The generation got shorter, or was written anew; it is read again from its start.
    Truncated,
    /// The name leads to another file.
    Replaced,
    /// The name leads to a file again, or for the first time.
    Appeared,
}

/// What the driver is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Say that something changed.
    Report(Change),
    /// Read the generation from `offset` and report it with [`State::read`]; the first `marker` bytes
    /// are known.
    Read { number: Number, offset: u64, marker: usize },
    /// See what the name leads to now, and report it with [`State::opened`] or [`State::gone`], if
    /// there is news.
    Ask,
    /// Put out what is held of the generation's last line, and close it.
    Close { number: Number },
    /// Nothing to do until a hint comes, or this time.
    Wait { until: Option<Now> },
}

/// What a read of a generation showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// New bytes, to be put out; only in whole lines if so said.
    Bytes { bytes: &'a [u8], offset: u64, whole_lines: bool },
    /// Nothing new.
    End,
    /// The generation starts again: what is held of its last line is put out first.
    Restart,
}

#[derive(Clone, Copy, Debug)]
struct Generation {
    number: Number,
    identity: Identity,
    /// The next byte to read.
    offset: u64,
    /// The bytes in front of `offset`.
    marker: Marker,
    /// Whether it may hold bytes that were not read.
    unread: bool,
    /// When its last byte was read, or when it ceased to be current.
    quiet_since: Now,
}

/// The generations of a followed file.
#[derive(Debug)]
pub(super) struct State {
    rules: Rules,
    current: Option<Generation>,
    /// Becomes current once the current one is read to its end, with what is to be said then.
    successor: Option<(Generation, Option<Change>)>,
    /// Oldest first.
    late: Vec<Generation>,
    /// Whether the name leads nowhere, as far as reported.
    missing: bool,
    /// Whether the current generation has no name at all.
    deleted: bool,
    /// Whether the driver may have news of the name.
    ask: bool,
    /// The generation in whose line the output stands, and since when.
    mid_line: Option<(Number, Now)>,
    changes: VecDeque<Change>,
    generations: Number,
}

impl State {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            current: None,
            successor: None,
            late: Vec::new(),
            missing: false,
            deleted: false,
            ask: true,
            mid_line: None,
            changes: VecDeque::new(),
            generations: 0,
        }
    }

    /// The number that the next new generation gets from [`opened`](Self::opened).
    pub(super) fn next_number(&self) -> Number {
        self.generations
    }

    /// The generation that the name leads to, as far as taken up.
    pub(super) fn current_number(&self) -> Option<Number> {
        self.current.map(|current| current.number)
    }

    /// The open generation of this identity.
    pub(super) fn number_of(&self, identity: Identity) -> Option<Number> {
        self.open().find(|generation| generation.identity == identity).map(|generation| generation.number)
    }

    /// What to do next.
    pub(super) fn next(&mut self, now: Now) -> Action {
        if let Some(change) = self.changes.pop_front() {
            return Action::Report(change);
        }
        if let Some(generation) = self.readable(now) {
            return Action::Read {
                number: generation.number,
                offset: generation.offset - generation.marker.len() as u64,
                marker: generation.marker.len(),
            };
        }
        if let Some(number) = self.one_too_many() {
            return Action::Close { number };
        }
        if self.current.is_none_or(|current| !current.unread) {
            if let Some((successor, change)) = self.successor.take() {
                self.supersede(now);
                self.current = Some(successor);
                self.changes.extend(change);
                return self.next(now);
            }
            if std::mem::take(&mut self.ask) {
                return Action::Ask;
            }
        }
        self.close_or_wait(now)
    }

    /// The name leads to a file: a new one, read from `start` on, or one that is open already.
    pub(super) fn opened(&mut self, identity: Identity, start: u64, marker: Marker, now: Now) {
        // More may be waiting behind this.
        self.ask = true;
        let change =
            if self.missing { Some(Change::Appeared) } else { self.current.map(|_| Change::Replaced) };
        self.missing = false;
        self.deleted = false;
        if let Some(current) = &mut self.current {
            // Whatever was written before the successor was seen comes before it.
            current.unread = true;
            current.quiet_since = now;
            if current.identity == identity {
                self.changes.extend(change.filter(|change| *change == Change::Appeared));
                return;
            }
        }
        let at = self.late.iter().position(|generation| generation.identity == identity);
        let mut generation = match at {
            Some(at) => self.late.remove(at),
            None => self.new_generation(identity, start, marker, now),
        };
        generation.unread = true;
        self.successor = Some((generation, change));
    }

    /// The name leads nowhere; `deleted` says that no other name leads to the current generation,
    /// which keeps its space for as long as it is open. True when that is news.
    pub(super) fn gone(&mut self, deleted: bool, now: Now) -> bool {
        self.ask = true;
        self.deleted = deleted;
        if let Some(current) = &mut self.current {
            current.quiet_since = now;
        }
        !std::mem::replace(&mut self.missing, true)
    }

    /// There may be news of the name.
    pub(super) fn hint_name(&mut self) {
        self.ask = true;
    }

    /// The generation may have changed; `None`: any of them.
    pub(super) fn hint(&mut self, number: Option<Number>) {
        let open = self.current.iter_mut().chain(self.late.iter_mut());
        for generation in open.filter(|generation| number.is_none_or(|number| number == generation.number)) {
            generation.unread = true;
        }
    }

    /// `bytes` were read where [`Action::Read`] said.
    pub(super) fn read<'a>(&mut self, number: Number, bytes: &'a [u8], now: Now) -> Seen<'a> {
        let whole_lines = self.current.is_none_or(|current| current.number != number);
        let open = self.current.iter_mut().chain(self.late.iter_mut());
        let Some(generation) = open.into_iter().find(|generation| generation.number == number) else {
            return Seen::End;
        };
        let marker = generation.marker.bytes();
        let Some(fresh) = bytes.strip_prefix(marker) else {
            generation.offset = 0;
            generation.marker = Marker::of(&[]);
            generation.quiet_since = now;
            self.changes.push_back(Change::Truncated);
            self.mid_line = self.mid_line.filter(|(other, _)| *other != number);
            return Seen::Restart;
        };
        if fresh.is_empty() {
            generation.unread = false;
            return Seen::End;
        }
        let offset = generation.offset;
        generation.offset += fresh.len() as u64;
        generation.marker = Marker::of(bytes);
        generation.quiet_since = now;
        Seen::Bytes { bytes: fresh, offset, whole_lines }
    }

    /// The generation cannot be read any more, and is closed by the driver.
    pub(super) fn failed(&mut self, number: Number) {
        self.current = self.current.filter(|current| current.number != number);
        self.late.retain(|generation| generation.number != number);
        self.mid_line = self.mid_line.filter(|(other, _)| *other != number);
    }

    /// Output of the generation ended, in the middle of a line or not.
    pub(super) fn put_out(&mut self, number: Number, mid_line: bool, now: Now) {
        self.mid_line = mid_line.then_some((number, now));
    }

    /// The oldest generation that may hold unread bytes and may put them out.
    fn readable(&self, now: Now) -> Option<Generation> {
        let mid_line = self.mid_line.filter(|(_, since)| now < *since + self.rules.line_wait);
        let may_put_out = |number| mid_line.is_none_or(|(only, _)| only == number);
        let mut open = self.late.iter().chain(&self.current);
        open.find(|generation| generation.unread && may_put_out(generation.number)).copied()
    }

    /// The oldest late generation, if it is one too many.
    fn one_too_many(&mut self) -> Option<Number> {
        let at = self.late.iter().position(|generation| !generation.unread)?;
        (self.late.len() > self.rules.max_late).then(|| self.forget_late(at))
    }

    fn forget_late(&mut self, at: usize) -> Number {
        let number = self.late.remove(at).number;
        self.mid_line = self.mid_line.filter(|(other, _)| *other != number);
        number
    }

    /// Makes the current generation a late one.
    fn supersede(&mut self, now: Now) {
        if let Some(mut current) = self.current.take() {
            current.quiet_since = now;
            self.late.push(current);
        }
    }

    fn close_or_wait(&mut self, now: Now) -> Action {
        let linger = self.rules.linger;
        let ended = |generation: &Generation| !generation.unread && now >= generation.quiet_since + linger;
        if let Some(at) = self.late.iter().position(ended) {
            return Action::Close { number: self.forget_late(at) };
        }
        if let Some(current) = self.current.filter(|current| self.deleted && ended(current)) {
            self.failed(current.number);
            return Action::Close { number: current.number };
        }
        Action::Wait { until: self.deadline() }
    }

    /// When time alone changes what is to be done.
    fn deadline(&self) -> Option<Now> {
        let deleted = self.current.iter().filter(|_| self.deleted);
        let quiet = self.late.iter().chain(deleted).filter(|generation| !generation.unread);
        let closing = quiet.map(|generation| generation.quiet_since + self.rules.linger).min();
        let waiting = self.late.iter().chain(&self.current).any(|generation| generation.unread);
        let line = self.mid_line.filter(|_| waiting).map(|(_, since)| since + self.rules.line_wait);
        closing.into_iter().chain(line).min()
    }

    fn new_generation(&mut self, identity: Identity, start: u64, marker: Marker, now: Now) -> Generation {
        let number = self.generations;
        self.generations += 1;
        Generation { number, identity, offset: start, marker, unread: true, quiet_since: now }
    }

    fn open(&self) -> impl Iterator<Item = &Generation> {
        let successor = self.successor.iter().map(|(generation, _)| generation);
        self.late.iter().chain(&self.current).chain(successor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules =
        Rules { linger: Duration::from_secs(10), line_wait: Duration::from_secs(1), max_late: 2 };

    fn at(seconds: u64) -> Now {
        Duration::from_secs(seconds)
    }

    fn file(inode: u64) -> Identity {
        Identity { device: 1, inode }
    }

    fn open(state: &mut State, inode: u64, now: Now) {
        state.opened(file(inode), 0, Marker::of(&[]), now);
    }

    /// A state whose first generation holds `text`, all of it read and put out.
    fn following(text: &[u8]) -> State {
        let mut state = State::new(RULES);
        assert_eq!(state.next(at(0)), Action::Ask);
        open(&mut state, 1, at(0));
        assert_eq!(state.next(at(0)), Action::Read { number: 0, offset: 0, marker: 0 });
        give(&mut state, 0, b"", text, at(0));
        assert_eq!(settle(&mut state, at(0)), [Action::Ask, Action::Wait { until: None }]);
        state
    }

    /// Answers a read of `number` with `marker` and then `text`, and puts it out.
    fn give(state: &mut State, number: Number, marker: &[u8], text: &[u8], now: Now) {
        let bytes = [marker, text].concat();
        assert!(matches!(state.read(number, &bytes, now), Seen::Bytes { bytes, .. } if bytes == text));
        state.put_out(number, text.last() != Some(&b'\n'), now);
    }

    /// What is done when reads find nothing new and the name has no news.
    fn settle(state: &mut State, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        loop {
            let action = state.next(now);
            if let Action::Read { number, .. } = action {
                let known = state.open().find(|open| open.number == number).map(|open| open.marker);
                assert_eq!(state.read(number, known.unwrap().bytes(), now), Seen::End);
                continue;
            }
            actions.push(action);
            if matches!(action, Action::Wait { .. }) {
                return actions;
            }
        }
    }

    #[test]
    fn nothing_is_waited_for_with_a_timer_while_one_file_is_followed() {
        let mut state = following(b"one\n");
        assert_eq!(state.next(at(99)), Action::Wait { until: None });
        state.hint(Some(0));
        assert_eq!(state.next(at(99)), Action::Read { number: 0, offset: 0, marker: 4 });
        give(&mut state, 0, b"one\n", b"two, begun", at(99));
        assert_eq!(settle(&mut state, at(99)), [Action::Wait { until: None }]);
    }

    #[test]
    fn a_successor_is_read_only_after_the_current_generation_was_read_once_more() {
        let mut state = following(b"one\n");
        state.hint_name();
        assert_eq!(state.next(at(1)), Action::Ask);
        open(&mut state, 2, at(1));
        assert_eq!(state.next(at(1)), Action::Read { number: 0, offset: 0, marker: 4 });
        give(&mut state, 0, b"one\n", b"late\n", at(1));
        assert_eq!(state.next(at(1)), Action::Read { number: 0, offset: 0, marker: 9 });
        assert_eq!(state.read(0, b"one\nlate\n", at(1)), Seen::End);
        assert_eq!(state.next(at(1)), Action::Report(Change::Replaced));
        assert_eq!(state.next(at(1)), Action::Read { number: 1, offset: 0, marker: 0 });
    }

    #[test]
    fn a_late_generation_lingers_after_its_last_byte_and_is_put_out_in_whole_lines() {
        let mut state = following(b"one\n");
        open(&mut state, 2, at(1));
        let wait = Action::Wait { until: Some(at(11)) };
        assert_eq!(settle(&mut state, at(1)), [Action::Report(Change::Replaced), Action::Ask, wait]);
        state.hint(Some(0));
        assert_eq!(state.next(at(5)), Action::Read { number: 0, offset: 0, marker: 4 });
        let seen = state.read(0, b"one\ntwo\nthr", at(5));
        assert_eq!(seen, Seen::Bytes { bytes: b"two\nthr", offset: 4, whole_lines: true });
        state.put_out(0, false, at(5));
        assert_eq!(settle(&mut state, at(5)), [Action::Wait { until: Some(at(15)) }]);
        assert_eq!(settle(&mut state, at(14)), [Action::Wait { until: Some(at(15)) }]);
        assert_eq!(settle(&mut state, at(15)), [Action::Close { number: 0 }, Action::Wait { until: None }]);
    }

    #[test]
    fn of_too_many_late_generations_the_oldest_is_closed() {
        let mut state = following(b"one\n");
        let mut closed = Vec::new();
        for inode in 2..7 {
            open(&mut state, inode, at(1));
            closed.extend(
                settle(&mut state, at(1)).into_iter().filter(|action| matches!(action, Action::Close { .. })),
            );
        }
        assert_eq!(closed, [0, 1, 2].map(|number| Action::Close { number }));
    }

    #[test]
    fn another_generation_waits_for_the_end_of_a_line_but_not_for_ever() {
        for end in [at(3), at(2)] {
            let mut state = following(b"one\n");
            open(&mut state, 2, at(1));
            settle(&mut state, at(1));
            state.hint(Some(1));
            give(&mut state, 1, b"", b"two, beg", at(1));
            state.hint(Some(0));
            assert_eq!(state.next(at(1)), Action::Read { number: 1, offset: 0, marker: 8 });
            assert_eq!(state.read(1, b"two, beg", at(1)), Seen::End);
            assert_eq!(state.next(at(1)), Action::Wait { until: Some(at(2)) });
            if end == at(3) {
                state.hint(Some(1));
                give(&mut state, 1, b"two, beg", b"un\n", at(1));
                assert_eq!(state.next(at(1)), Action::Read { number: 0, offset: 0, marker: 4 });
            } else {
                assert_eq!(state.next(end), Action::Read { number: 0, offset: 0, marker: 4 });
            }
        }
    }

    #[test]
    fn other_or_fewer_bytes_in_front_of_the_offset_mean_a_new_start() {
        for found in [b"on".as_slice(), b"", b"onE\n", b"onE\nmore\n"] {
            let mut state = following(b"one\n");
            state.hint(Some(0));
            assert_eq!(state.read(0, found, at(1)), Seen::Restart);
            assert_eq!(state.next(at(1)), Action::Report(Change::Truncated));
            assert_eq!(state.next(at(1)), Action::Read { number: 0, offset: 0, marker: 0 });
            give(&mut state, 0, b"", b"new\n", at(1));
            assert_eq!(state.next(at(1)), Action::Read { number: 0, offset: 0, marker: 4 });
        }
    }

    #[test]
    fn a_marker_is_the_end_of_what_was_read_however_much_that_was() {
        let mut state = following(&[b'x'; 1000]);
        state.hint(None);
        let len = Marker::MAX;
        assert_eq!(state.next(at(0)), Action::Read { number: 0, offset: 1000 - len as u64, marker: len });
        assert_eq!(state.read(0, &[b'x'; 1000][..len], at(0)), Seen::End);
    }

    #[test]
    fn a_generation_that_comes_back_goes_on_where_it_was_left() {
        let mut state = following(b"one\n");
        open(&mut state, 2, at(1));
        settle(&mut state, at(1));
        open(&mut state, 1, at(2));
        let actions = settle(&mut state, at(2));
        assert_eq!(actions.first(), Some(&Action::Report(Change::Replaced)));
        assert_eq!((state.current_number(), state.number_of(file(2))), (Some(0), Some(1)));
        state.hint(Some(0));
        assert_eq!(state.next(at(2)), Action::Read { number: 0, offset: 0, marker: 4 });
    }

    #[test]
    fn a_name_that_leads_nowhere_is_news_once_and_its_file_stays_open_while_it_has_another() {
        let mut state = following(b"one\n");
        assert!(state.gone(false, at(1)) && !state.gone(false, at(1)));
        assert_eq!(settle(&mut state, at(99)), [Action::Ask, Action::Wait { until: None }]);
        open(&mut state, 1, at(100));
        assert_eq!(state.next(at(100)), Action::Report(Change::Appeared));
        assert!(state.gone(true, at(101)));
        assert_eq!(settle(&mut state, at(101)), [Action::Ask, Action::Wait { until: Some(at(111)) }]);
        assert_eq!(settle(&mut state, at(111)), [Action::Close { number: 0 }, Action::Wait { until: None }]);
        assert_eq!(state.number_of(file(1)), None);
    }
}
