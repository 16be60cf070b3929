//! What is said of the progress: a bar as wide as the terminal, or a sentence. Pure.

use crate::size::human;
use std::time::Duration;

/// How fast older samples lose their weight: after this time, to 37 %.
const MEMORY: Duration = Duration::from_secs(5);

/// A bar that is shorter than this says nothing.
const MIN_BAR_COLUMNS: usize = 10;

/// How far the work is.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// Bytes done.
    pub(super) done: u64,
    /// Bytes to do, where that is known.
    pub(super) total: Option<u64>,
    /// Since the start.
    pub(super) elapsed: Duration,
    /// Bytes per second.
    pub(super) rate: f64,
}

/// Bytes per second of late, as a mean that forgets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Speed {
    mean: f64,
    elapsed: Duration,
    done: u64,
}

impl Speed {
    /// Takes in that `done` bytes were done `elapsed` after the start, and says how fast it goes.
    #[allow(clippy::cast_precision_loss, reason = "a speed is never exact")]
    pub(super) fn update(&mut self, elapsed: Duration, done: u64) -> f64 {
        let interval = elapsed.saturating_sub(self.elapsed).as_secs_f64();
        if interval > 0.0 {
            let weight = (-interval / MEMORY.as_secs_f64()).exp();
            let rate = done.saturating_sub(self.done) as f64 / interval;
            self.mean = self.mean * weight + rate * (1.0 - weight);
            (self.elapsed, self.done) = (elapsed, done);
        }
        // The mean began at 0, which counts for less and less.
        let known = 1.0 - (-self.elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        if known > 0.0 { self.mean / known } else { 0.0 }
    }
}

impl State {
    /// Percent done.
    fn percent(&self) -> Option<u64> {
        let total = self.total.filter(|total| *total > 0)?;
        let percent = u128::from(self.done) * 100 / u128::from(total);
        // A source that grows may have more than it said.
        Some(u64::try_from(percent).unwrap_or(100).min(100))
    }

    /// The time that is left at this speed.
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    fn left(&self) -> Option<Duration> {
        let left = self.total?.saturating_sub(self.done) as f64 / self.rate;
        Duration::try_from_secs_f64(left).ok()
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    fn speed(&self) -> String {
        format!("{}/s", human(self.rate as u64))
    }

    /// One line of at most `columns` columns. The fields keep their places while the numbers change.
    pub(super) fn bar(&self, columns: usize) -> String {
        let (done, speed) = (human(self.done), self.speed());
        let Some((percent, total)) = self.percent().zip(self.total) else {
            let elapsed = clock(self.elapsed);
            return first_that_fits(
                columns,
                [format!("{done:>10}  {speed:>12}  {elapsed}"), format!("{done}  {speed}"), done],
            );
        };
        let (total, left) = (human(total), self.left().map_or("-:--".to_owned(), clock));
        let numbers = format!("{done:>10} of {total}  {speed:>12}  {left:>7}");
        // "100% [", "] ".
        let bar_columns = columns.saturating_sub(numbers.len() + 8);
        if bar_columns >= MIN_BAR_COLUMNS {
            return format!("{percent:>3}% [{}] {numbers}", filled(percent, bar_columns));
        }
        first_that_fits(
            columns,
            [
                format!("{percent:>3}% {numbers}"),
                format!("{percent:>3}% {done} of {total} {speed} {left}"),
                format!("{percent:>3}% {speed} {left}"),
                format!("{percent:>3}% {left}"),
                format!("{percent:>3}%"),
            ],
        )
    }

    /// A sentence.
    pub(super) fn sentence(&self) -> String {
        let (done, speed, elapsed) = (human(self.done), self.speed(), clock(self.elapsed));
        match self.percent().zip(self.total) {
            Some((percent, total)) => {
                let left = self.left().map(|left| format!(", {} left", clock(left))).unwrap_or_default();
                format!("{done} of {} ({percent}%) in {elapsed}, {speed}{left}", human(total))
            }
            None => format!("{done} in {elapsed}, {speed}"),
        }
    }
}

fn first_that_fits<const N: usize>(columns: usize, choices: [String; N]) -> String {
    choices.into_iter().find(|text| text.len() <= columns).unwrap_or_default()
}

/// `=====>    `
fn filled(percent: u64, columns: usize) -> String {
    let done = usize::try_from(percent).unwrap_or(100) * columns / 100;
    match done {
        0 => " ".repeat(columns),
        _ if done == columns => "=".repeat(columns),
        _ => format!("{}>{}", "=".repeat(done - 1), " ".repeat(columns - done)),
    }
}

/// `1:05`, `2:01:05`, `3d 02h`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{:02}", seconds % 60),
        (0, _) => format!("{hours}:{:02}:{:02}", minutes % 60, seconds % 60),
        (1..=999, _) => format!("{days}d {:02}h", hours % 24),
        _ => "-:--".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn state(done: u64, total: Option<u64>) -> State {
        State { done, total, elapsed: Duration::from_secs(65), rate: 10_485_760.0 }
    }

    #[test]
    fn a_bar_fills_the_line_and_gives_up_one_thing_after_the_other_where_it_is_narrow() {
        let half = state(512 * MIB, Some(1024 * MIB));
        let at = |columns| half.bar(columns);
        assert_eq!(at(72), " 50% [=========>          ]  512.0 MiB of 1.0 GiB    10.0 MiB/s     0:51");
        assert_eq!(at(72).len(), 72);
        assert_eq!(at(55), " 50%  512.0 MiB of 1.0 GiB    10.0 MiB/s     0:51");
        assert_eq!(at(45), " 50% 512.0 MiB of 1.0 GiB 10.0 MiB/s 0:51");
        assert_eq!(at(30), " 50% 10.0 MiB/s 0:51");
        assert_eq!((at(10), at(4), at(3)), (" 50% 0:51".into(), " 50%".into(), String::new()));
    }

    #[test]
    fn an_unknown_total_is_told_by_what_is_done() {
        let state = state(512 * MIB, None);
        assert_eq!(state.bar(80), " 512.0 MiB    10.0 MiB/s  1:05");
        assert_eq!(state.bar(25), "512.0 MiB  10.0 MiB/s");
        assert_eq!(state.sentence(), "512.0 MiB in 1:05, 10.0 MiB/s");
    }

    #[test]
    fn a_sentence_says_it_all() {
        let state = state(512 * MIB, Some(1024 * MIB));
        assert_eq!(state.sentence(), "512.0 MiB of 1.0 GiB (50%) in 1:05, 10.0 MiB/s, 0:51 left");
        let stalled = State { rate: 0.0, ..state };
        assert_eq!(stalled.sentence(), "512.0 MiB of 1.0 GiB (50%) in 1:05, 0 B/s");
    }

    #[test]
    fn times_are_short_whatever_their_length() {
        let shown =
            [0, 59, 60, 3600, 86_399, 86_400, u64::MAX].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0:00", "0:59", "1:00", "1:00:00", "23:59:59", "1d 00h", "-:--"]);
    }

    #[test]
    fn the_speed_is_the_mean_at_first_and_follows_a_change_within_seconds() {
        let mut speed = Speed::default();
        let mut done = 0;
        let mut rate = 0.0;
        for tick in 1..=100_u64 {
            done += 100;
            rate = speed.update(Duration::from_millis(tick * 100), done);
            assert!((rate - 1000.0).abs() < 1.0, "{tick}: {rate}");
        }
        for tick in 101..=300_u64 {
            done += 10;
            rate = speed.update(Duration::from_millis(tick * 100), done);
        }
        assert!((90.0..120.0).contains(&rate), "{rate}");
        assert!(speed.update(Duration::from_secs(30), done) > 0.0, "no time has passed");
    }

    proptest! {
        #[test]
        fn a_line_is_never_wider_than_asked(
            done: u64, total: Option<u64>, seconds: u32, rate in 0.0..1e30_f64, columns in 0_usize..200,
        ) {
            let state = State { done, total, elapsed: Duration::from_secs(seconds.into()), rate };
            let bar = state.bar(columns);
            prop_assert!(bar.is_ascii() && bar.len() <= columns);
            prop_assert!(state.sentence().is_ascii());
        }
    }
}
