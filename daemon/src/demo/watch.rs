//! How far the target is behind, seen from outside: samples of the source's log, compared with the target's position.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Rates are taken over this long.
const RATE_OVER: Duration = Duration::from_secs(3);
const SAMPLES_MAX: usize = 10_000;

/// The source at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    /// Where its log ends, as a number that grows.
    end: u64,
    /// Changes committed until then.
    changes: u64,
}

/// What the source had at which time, for as long as the target has not passed it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    samples: VecDeque<Sample>,
    /// When the target had been seen to hold how many changes.
    arrivals: VecDeque<(Instant, u64)>,
}

/// What [`Watch::target`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lag {
    pub(super) distance: u64,
    pub(super) age: Duration,
}

impl Watch {
    /// The source's log ends at `end`, with `changes` committed.
    pub(super) fn source(&mut self, at: Instant, end: u64, changes: u64) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at, end, changes });
    }

    /// The target holds everything up to `position`.
    pub(super) fn target(&mut self, now: Instant, position: u64) -> Option<Lag> {
        let last = *self.samples.back()?;
        let held = self
            .samples
            .iter()
            .rev()
            .find(|sample| sample.end <= position)
            .map_or(0, |sample| sample.changes);
        self.arrivals.push_back((now, held));
        while self.arrivals.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER) {
            self.arrivals.pop_front();
        }
        let first_missing = self.samples.iter().find(|sample| sample.end > position);
        let age = first_missing.map_or(Duration::ZERO, |sample| now.duration_since(sample.at));
        Some(Lag { distance: last.end.saturating_sub(position), age })
    }

    /// Changes per second at the source, and into the target.
    pub(super) fn rates(&self, now: Instant) -> (u64, u64) {
        let recent = self.samples.iter().find(|sample| now.duration_since(sample.at) <= RATE_OVER);
        let source = recent
            .zip(self.samples.back())
            .map(|(first, last)| (first.at, first.changes, last.at, last.changes));
        let target = self.arrivals.front().zip(self.arrivals.back());
        let target = target.map(|(first, last)| (first.0, first.1, last.0, last.1));
        (source.map_or(0, rate), target.map_or(0, rate))
    }
}

fn rate((first_at, first, last_at, last): (Instant, u64, Instant, u64)) -> u64 {
    let millis = last_at.duration_since(first_at).as_millis();
    let changes = u128::from(last.saturating_sub(first)) * 1000;
    changes.checked_div(millis).and_then(|rate| u64::try_from(rate).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_age_of_the_oldest_change_that_is_missing() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(watch.target(at(0), 1), None);
        for step in 0..=20 {
            watch.source(at(step * 100), step * 10, step * 50);
        }
        assert_eq!(watch.target(at(2000), 150), Some(Lag { distance: 50, age: Duration::from_millis(400) }));
        assert_eq!(watch.target(at(2000), 200), Some(Lag { distance: 0, age: Duration::ZERO }));
        assert_eq!(watch.rates(at(2000)).0, 500);
    }

    #[test]
    fn arrivals_are_counted_in_changes_of_the_source() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        watch.source(at(0), 10, 100);
        watch.source(at(100), 20, 300);
        watch.target(at(100), 10);
        watch.target(at(1100), 25);
        assert_eq!(watch.rates(at(1100)).1, 200);
    }
}
