//! Random histories of a log, against a model of what must be put out.

use super::harness::{Followed, Log, follow, is_open, until};
use afx_core::tail::{Start, TailOptions, Unit};
use proptest::prelude::*;
use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write,
};

#[derive(Clone, Copy, Debug)]
enum Action {
    Append(u16),
    AppendPartial,
    /// To the file that the name led to before.
    AppendLate,
    Rotate,
    Delete,
    Truncate,
    CopyTruncate,
    Pause,
    Resume,
    /// Let the reader catch up.
    Read,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1..20_u16).prop_map(Action::Append),
        1 => Just(Action::Append(5000)),
        3 => Just(Action::AppendPartial),
        2 => Just(Action::AppendLate),
        4 => Just(Action::Rotate),
        1 => Just(Action::Delete),
        1 => Just(Action::Truncate),
        1 => Just(Action::CopyTruncate),
        2 => Just(Action::Pause),
        2 => Just(Action::Resume),
        3 => Just(Action::Read),
    ]
}

/// What was written to one file from an empty start on, until it was truncated or the end.
#[derive(Debug, Default)]
struct Epoch {
    content: Vec<u8>,
    truncated: bool,
    /// Bytes of whole lines when the reader last caught up.
    required: usize,
}

impl Epoch {
    fn whole_lines(&self) -> &[u8] {
        let end = self.content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        &self.content[..end]
    }
}

struct Model {
    log: Log,
    /// In the order in which they began.
    epochs: Vec<Epoch>,
    /// The epoch of the file that has the name.
    current: Option<usize>,
    late: Option<(File, usize)>,
    lines_written: u64,
    late_lines: bool,
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            log: Log::new(),
            epochs: vec![],
            current: None,
            late: None,
            lines_written: 0,
            late_lines: false,
        };
        model.current = Some(model.begin());
        model
    }

    /// An epoch of the file that has the name now.
    fn begin(&mut self) -> usize {
        self.epochs.push(Epoch::default());
        self.epochs.len() - 1
    }

    /// Text that occurs once in the history.
    fn line(&mut self, end: &str) -> String {
        self.lines_written += 1;
        format!("line {:08}{end}", self.lines_written)
    }

    fn append(&mut self, text: &str) {
        self.log.append(text);
        let current = self.current.unwrap_or_else(|| self.begin());
        self.current = Some(current);
        self.epochs[current].content.extend_from_slice(text.as_bytes());
    }

    fn truncated(&mut self) {
        if let Some(current) = self.current {
            self.epochs[current].truncated = true;
            self.current = Some(self.begin());
        }
    }

    fn act(&mut self, action: Action, followed: &Followed) {
        match action {
            Action::Append(count) => {
                let text: String = (0..count).map(|_| self.line("\n")).collect();
                self.append(&text);
            }
            Action::AppendPartial => {
                let text = self.line(" ");
                self.append(&text);
            }
            Action::AppendLate => {
                let text = self.line("\n");
                if let Some((file, epoch)) = &mut self.late {
                    file.write_all(text.as_bytes()).unwrap();
                    self.epochs[*epoch].content.extend_from_slice(text.as_bytes());
                    self.late_lines = true;
                }
            }
            Action::Rotate => {
                if let Some(current) = self.current {
                    self.late = Some((self.log.rotate(), current));
                    self.current = Some(self.begin());
                }
            }
            Action::Delete => {
                if self.current.take().is_some() {
                    // One that was never seen cannot be found again.
                    let file = fs::metadata(self.log.path()).unwrap();
                    until("the file is opened", || is_open(&file));
                    self.log.delete();
                }
            }
            Action::Truncate | Action::CopyTruncate if self.current.is_some() => {
                if matches!(action, Action::Truncate) {
                    self.log.truncate();
                } else {
                    self.log.copy_and_truncate();
                }
                self.truncated();
            }
            Action::Truncate | Action::CopyTruncate => {}
            Action::Pause => followed.pause(),
            Action::Resume => followed.resume(),
            Action::Read => self.catch_up(followed),
        }
    }

    fn catch_up(&mut self, followed: &Followed) {
        followed.resume();
        for epoch in self.epochs.iter_mut().filter(|epoch| !epoch.truncated) {
            epoch.required = epoch.whole_lines().len();
        }
        let last: Vec<&[u8]> = self.epochs.iter().filter_map(last_required_line).collect();
        followed.wait_until("the reader has caught up", |seen| {
            let text = seen.text();
            last.iter().all(|line| text.contains(std::str::from_utf8(line).unwrap()))
        });
    }

    fn check(&self, followed: &Followed) {
        let seen = followed.lock();
        // A file put out again from offset 0 is another epoch of it.
        let mut put_out: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut newest = HashMap::new();
        for (generation, offset, bytes) in &seen.pieces {
            let at = match newest.get(generation) {
                Some(at) if *offset > 0 => *at,
                _ => {
                    put_out.push((*generation, Vec::new()));
                    put_out.len() - 1
                }
            };
            newest.insert(*generation, at);
            assert_eq!(put_out[at].1.len() as u64, *offset, "bytes of one epoch follow each other");
            put_out[at].1.extend_from_slice(bytes);
        }
        let mut found = vec![0; self.epochs.len()];
        for (generation, bytes) in &put_out {
            let is_it = |epoch: &Epoch| epoch.content.starts_with(bytes);
            let at = self.epochs.iter().position(is_it);
            let at = at.unwrap_or_else(|| {
                panic!("generation {generation} was never {:?}", String::from_utf8_lossy(bytes))
            });
            assert_eq!(found[at], 0, "epoch {at} was put out twice");
            found[at] = bytes.len();
        }
        for (epoch, found) in self.epochs.iter().zip(found) {
            assert!(found >= epoch.required, "{found} of {} bytes: {epoch:?}", epoch.required);
            assert!(epoch.truncated || found == epoch.whole_lines().len());
        }
        if !self.late_lines {
            let generations = seen.pieces.iter().map(|(generation, ..)| generation);
            assert!(generations.is_sorted(), "output is in the order of generations");
        }
        drop(seen);
    }
}

fn last_required_line(epoch: &Epoch) -> Option<&[u8]> {
    let required = &epoch.content[..epoch.required];
    required.split_inclusive(|byte| *byte == b'\n').next_back()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_line_of_every_generation_comes_once_and_in_order(
        actions in prop::collection::vec(action(), 1..40),
    ) {
        let mut model = Model::new();
        let options = TailOptions { unit: Unit::Lines, start: Start::Line(1), ..follow(&model.log) };
        let followed = Followed::start(options);
        model.act(Action::Append(1), &followed);
        model.act(Action::Read, &followed);
        for action in actions {
            model.act(action, &followed);
        }
        model.catch_up(&followed);
        model.check(&followed);
    }
}
