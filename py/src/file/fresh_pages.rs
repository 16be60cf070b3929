//! Which pages a large read takes for the memory that it fills.

use crate::memory::NewBytes;
use afx_core::pages::{HUGE_PAGE_BYTES, PageTrial, Pages};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The fresh memory of one reading thread, stepped through huge page by huge page.
pub(super) struct FreshPages<'a> {
    object: &'a NewBytes,
    /// Where in the object this thread's part starts.
    start: usize,
    trial: PageTrial,
    step: Option<(Pages, Duration)>,
}

impl<'a> FreshPages<'a> {
    pub(super) fn new(object: &'a NewBytes, start: usize) -> Self {
        Self { object, start, trial: PageTrial::default(), step: None }
    }

    /// Prepares the memory behind the first `filled` bytes; returns how many bytes the step is to fill.
    pub(super) fn begin_step(&mut self, filled: usize) -> usize {
        let from = self.start + filled;
        let to = self.object.huge_page_end(from);
        // A part of a page is no trial.
        if to - from == HUGE_PAGE_BYTES {
            let pages = self.trial.next_pages();
            if pages == Pages::Huge {
                self.object.advise_huge_page(from);
            }
            self.step = Some((pages, thread_time()));
        }
        to - from
    }

    /// The step's memory is filled.
    pub(super) fn end_step(&mut self) {
        if let Some((pages, began)) = self.step.take() {
            self.trial.took(pages, thread_time().saturating_sub(began));
        }
    }
}

/// CPU time of this thread: what the pages cost, without waiting for the disk or for a CPU.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}
