//! Which pages to take for large fresh memory.

use std::time::Duration;

/// Bytes of a huge page on the machines that matter; elsewhere the advice finds no page and does nothing.
pub const HUGE_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Steps before the slower kind is tried a second time; twice as many before the third, and so on: a bad
/// step costs ten good ones.
const STEPS_TO_SECOND_TRIAL: u32 = 32;

/// The two kinds of pages that memory can be made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pages {
    /// Pages of [`HUGE_PAGE_BYTES`], by `madvise(2)` with `MADV_HUGEPAGE`.
    Huge,
    /// Whatever the kernel gives unasked.
    Default,
}

/// Finds out, step by step while memory is filled, which pages are filled faster.
///
/// Huge pages make the first touch of memory three times as cheap, except in a virtual machine whose
/// host takes back what its guest leaves free (free page reporting): whole free huge pages go to the
/// host, and one that comes back costs up to twenty times as much. No setting tells which it is, so the
/// first step takes huge pages, the second does not, and the rest follow the faster.
#[derive(Debug)]
pub struct PageTrial {
    huge: Option<Duration>,
    default: Option<Duration>,
    steps_to_trial: u32,
    steps_between_trials: u32,
}

impl Default for PageTrial {
    fn default() -> Self {
        let steps = STEPS_TO_SECOND_TRIAL;
        Self { huge: None, default: None, steps_to_trial: steps, steps_between_trials: steps }
    }
}

impl PageTrial {
    /// The pages for the next step. Steps should be of the same size, best of one huge page.
    pub fn next_pages(&mut self) -> Pages {
        let (faster, slower) = match (self.huge, self.default) {
            (None, _) => return Pages::Huge,
            (_, None) => return Pages::Default,
            (Some(huge), Some(default)) if default < huge => (Pages::Default, Pages::Huge),
            _ => (Pages::Huge, Pages::Default),
        };
        if self.steps_to_trial > 0 {
            self.steps_to_trial -= 1;
            return faster;
        }
        self.steps_between_trials = self.steps_between_trials.saturating_mul(2);
        self.steps_to_trial = self.steps_between_trials;
        slower
    }

    /// Tells what a step took: the thread's own CPU time, in which waiting does not count.
    pub fn took(&mut self, pages: Pages, time: Duration) {
        match pages {
            Pages::Huge => self.huge = Some(time),
            Pages::Default => self.default = Some(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of each kind that a trial takes where they cost this much.
    fn steps(count: usize, huge: u64, default: u64) -> (usize, usize) {
        let mut trial = PageTrial::default();
        let mut taken = (0, 0);
        for _ in 0..count {
            let pages = trial.next_pages();
            let micros = match pages {
                Pages::Huge => {
                    taken.0 += 1;
                    huge
                }
                Pages::Default => {
                    taken.1 += 1;
                    default
                }
            };
            trial.took(pages, Duration::from_micros(micros));
        }
        taken
    }

    #[test]
    fn both_kinds_are_tried_and_the_faster_is_kept() {
        assert_eq!(steps(10, 300, 900), (9, 1));
        assert_eq!(steps(10, 4_000, 900), (1, 9));
        assert_eq!(steps(10, 500, 500), (9, 1), "huge pages where neither is faster");
    }

    #[test]
    fn the_slower_kind_is_tried_again_ever_more_rarely() {
        assert_eq!(steps(2 + 32 + 1 + 64 + 1 + 128, 4_000, 900), (1 + 2, 1 + 32 + 64 + 128));
    }

    #[test]
    fn one_odd_figure_costs_the_steps_to_the_next_trial() {
        let mut trial = PageTrial::default();
        let mut huge = 0;
        for step in 0..100 {
            let pages = trial.next_pages();
            let micros = if pages == Pages::Default { 900 } else { 300 };
            trial.took(pages, Duration::from_micros(if step == 4 { 4_000 } else { micros }));
            huge += u32::from(pages == Pages::Huge);
        }
        assert!(huge > 60, "{huge} of 100");
    }

    #[test]
    fn a_kind_that_becomes_slow_is_left() {
        let mut trial = PageTrial::default();
        trial.took(Pages::Huge, Duration::from_micros(300));
        trial.took(Pages::Default, Duration::from_micros(900));
        assert_eq!(trial.next_pages(), Pages::Huge);
        trial.took(Pages::Huge, Duration::from_millis(4));
        assert_eq!(trial.next_pages(), Pages::Default);
    }
}
