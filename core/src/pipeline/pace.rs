//! No more than so many bytes a second. Pure.

use std::{num::NonZeroU64, time::Duration};

/// What may be done at once after a rest, as time at the full rate.
const BURST: Duration = Duration::from_millis(100);

/// A token bucket that is filled at a rate, and holds what flows in [`BURST`].
///
/// Source: the leaky bucket as a meter, ITU-T I.371.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: NonZeroU64,
    /// When all that was taken so far is paid for, since the beginning.
    paid: Duration,
}

impl Pace {
    pub(super) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, paid: Duration::ZERO }
    }

    /// The most bytes to take at once, so that they flow evenly and nobody waits for long.
    pub(super) fn piece_bytes(&self) -> usize {
        let burst = u128::from(self.bytes_per_second.get()) * BURST.as_nanos() / 1_000_000_000;
        usize::try_from(burst).unwrap_or(usize::MAX).max(1)
    }

    /// Takes `bytes` at the time `now` since the beginning; returns how long to wait before the next.
    pub(super) fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // What was not used for longer than a burst is lost.
        self.paid = self.paid.max(now.saturating_sub(BURST)).saturating_add(cost);
        self.paid.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn the_average_is_the_rate_whatever_the_pieces() {
        for piece in [1_000, 64 * 1024, MIB] {
            let mut pace = Pace::new(NonZeroU64::new(10 * MIB).unwrap());
            let (mut now, mut taken) = (Duration::ZERO, 0);
            while taken < 100 * MIB {
                now += pace.take(piece, now);
                taken += piece;
            }
            let seconds = now.as_secs_f64();
            assert!((9.9..10.2).contains(&seconds), "{seconds} s for pieces of {piece}");
        }
    }

    #[test]
    fn a_rest_is_not_made_up_for_beyond_a_burst() {
        let mut pace = Pace::new(NonZeroU64::new(MIB).unwrap());
        let rested = Duration::from_mins(1);
        assert_eq!(pace.take(MIB / 16, rested), Duration::ZERO);
        assert!(pace.take(MIB, rested) > Duration::from_millis(900));
    }
}
