//! The time over which quality is judged: connectivity was up, and the agent monitored it.

use std::collections::VecDeque;

/// The most stretches that are kept. Flapping connectivity becomes one incident after six outages, so
/// five minutes rarely contain more than a few.
const MOST_STRETCHES: usize = 64;

/// Up-time: a clock in milliseconds that stops during outages and gaps.
///
/// A *moment* is a time since boot; a *position* is the up-time elapsed until a moment.
#[derive(Debug)]
pub(super) struct UpTime {
    /// In chronological order, never empty. Only the last one may have no end: then the clock runs.
    stretches: VecDeque<Stretch>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    from_ms: u64,
    /// Exclusive; `None` while the stretch continues.
    to_ms: Option<u64>,
    /// The position of its start.
    position: u64,
}

impl Stretch {
    /// The position of a moment that is not before the stretch.
    fn position_at(&self, moment_ms: u64) -> u64 {
        let until_ms = self.to_ms.map_or(moment_ms, |to_ms| to_ms.min(moment_ms));
        self.position + until_ms.saturating_sub(self.from_ms)
    }
}

impl UpTime {
    /// A clock that starts at `moment_ms` with position zero.
    pub(super) fn new(moment_ms: u64) -> Self {
        Self { stretches: [Stretch { from_ms: moment_ms, to_ms: None, position: 0 }].into() }
    }

    /// The up-time elapsed until a moment.
    pub(super) fn elapsed(&self, until_ms: u64) -> u64 {
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.from_ms <= until_ms);
        match stretch {
            Some(stretch) => stretch.position_at(until_ms),
            None => self.stretches.front().map_or(0, |first| first.position),
        }
    }

    /// The position of a moment; `None` if the clock was stopped then.
    pub(super) fn position(&self, moment_ms: u64) -> Option<u64> {
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.from_ms <= moment_ms)?;
        let is_inside = stretch.to_ms.is_none_or(|to_ms| moment_ms < to_ms);
        is_inside.then(|| stretch.position_at(moment_ms))
    }

    /// The moment of a position.
    pub(super) fn moment(&self, position: u64) -> u64 {
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.position <= position);
        stretch.or(self.stretches.front()).map_or(0, |stretch| {
            stretch.from_ms.saturating_add(position.saturating_sub(stretch.position))
        })
    }

    /// The moment at which the clock was stopped; `None` while it runs.
    pub(super) fn stopped_at(&self) -> Option<u64> {
        self.stretches.back().and_then(|last| last.to_ms)
    }

    /// Stops the clock at a moment, possibly in the past: then it is set back to that position.
    pub(super) fn stop(&mut self, moment_ms: u64) {
        while self.stretches.len() > 1
            && self.stretches.back().is_some_and(|last| last.from_ms >= moment_ms)
        {
            self.stretches.pop_back();
        }
        if let Some(last) = self.stretches.back_mut() {
            let to_ms = last.to_ms.map_or(moment_ms, |to_ms| to_ms.min(moment_ms));
            last.to_ms = Some(to_ms.max(last.from_ms));
        }
    }

    /// Restarts a stopped clock.
    pub(super) fn restart(&mut self, moment_ms: u64) {
        let Some(to_ms) = self.stopped_at() else { return };
        let position = self.elapsed(u64::MAX);
        self.stretches.retain(|stretch| stretch.to_ms != Some(stretch.from_ms));
        if self.stretches.len() == MOST_STRETCHES {
            self.stretches.pop_front();
        }
        let from_ms = moment_ms.max(to_ms);
        self.stretches.push_back(Stretch { from_ms, to_ms: None, position });
    }

    /// Drops the stretches that no position from `position` on needs.
    pub(super) fn forget_before(&mut self, position: u64) {
        while self.stretches.get(1).is_some_and(|second| second.position <= position) {
            self.stretches.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stops_between_stretches() {
        let mut time = UpTime::new(1_000);
        assert_eq!((time.elapsed(500), time.elapsed(3_000)), (0, 2_000));
        assert_eq!((time.position(500), time.position(1_000)), (None, Some(0)));
        time.stop(4_000);
        assert_eq!((time.elapsed(9_000), time.position(3_999)), (3_000, Some(2_999)));
        assert_eq!(time.position(4_000), None);
        time.restart(10_000);
        assert_eq!((time.elapsed(9_000), time.elapsed(10_500)), (3_000, 3_500));
        assert_eq!((time.moment(2_999), time.moment(3_000)), (3_999, 10_000));
    }

    #[test]
    fn a_stop_in_the_past_sets_the_clock_back() {
        let mut time = UpTime::new(0);
        time.stop(1_000);
        time.restart(2_000);
        time.stop(5_000);
        time.stop(4_000);
        assert_eq!((time.elapsed(u64::MAX), time.stopped_at()), (3_000, Some(4_000)));
        time.stop(500);
        assert_eq!((time.elapsed(u64::MAX), time.stopped_at()), (500, Some(500)));
        time.restart(600);
        assert_eq!(time.elapsed(700), 600);
    }

    #[test]
    fn memory_is_bounded() {
        let mut time = UpTime::new(0);
        for second in 0..10_000 {
            time.stop(second * 1_000 + 500);
            time.restart(second * 1_000 + 1_000);
        }
        assert_eq!(time.stretches.len(), MOST_STRETCHES);
        assert_eq!(time.elapsed(10_000_000), 5_000_000);
        time.forget_before(5_000_000);
        assert_eq!((time.stretches.len(), time.elapsed(10_000_100)), (1, 5_000_100));
    }
}
