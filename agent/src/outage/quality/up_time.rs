//! The time that quality is judged over: connectivity was up, and the agent monitored it.

use std::collections::VecDeque;

/// The most stretches that are remembered. Flapping connectivity is one incident after six, so that
/// five minutes seldom consist of more than a few.
const MOST_STRETCHES: usize = 64;

/// Up-time: a clock in milliseconds that stands still during incidents and gaps.
///
/// A *moment* is a time since boot, a *position* is the up-time until then.
#[derive(Debug)]
pub(super) struct UpTime {
    /// In order, never empty. Only the last may be without an end: then the clock runs.
    stretches: VecDeque<Stretch>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    from_ms: u64,
    /// Excluded; `None` while it lasts.
    to_ms: Option<u64>,
    /// The position of its beginning.
    position: u64,
}

impl Stretch {
    /// The up-time until a moment that does not lie before it.
    fn position_at(&self, moment_ms: u64) -> u64 {
        let until_ms = self.to_ms.map_or(moment_ms, |to_ms| to_ms.min(moment_ms));
        self.position + until_ms.saturating_sub(self.from_ms)
    }
}

impl UpTime {
    /// A clock that runs from `moment_ms` on, and shows zero then.
    pub(super) fn new(moment_ms: u64) -> Self {
        Self { stretches: [Stretch { from_ms: moment_ms, to_ms: None, position: 0 }].into() }
    }

    /// The up-time until a moment.
    pub(super) fn elapsed(&self, until_ms: u64) -> u64 {
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.from_ms <= until_ms);
        match stretch {
            Some(stretch) => stretch.position_at(until_ms),
            None => self.stretches.front().map_or(0, |first| first.position),
        }
    }

    /// The position of a moment; `None` when the clock stood still then.
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

    /// Stops the clock, which may lie in the past: it is set back to what it showed then.
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

    /// Has a clock that was stopped go on.
    pub(super) fn go_on(&mut self, moment_ms: u64) {
        let Some(to_ms) = self.stopped_at() else { return };
        let position = self.elapsed(u64::MAX);
        self.stretches.retain(|stretch| stretch.to_ms != Some(stretch.from_ms));
        if self.stretches.len() == MOST_STRETCHES {
            self.stretches.pop_front();
        }
        let from_ms = moment_ms.max(to_ms);
        self.stretches.push_back(Stretch { from_ms, to_ms: None, position });
    }

    /// Forgets what no position from `position` on needs.
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
    fn it_stands_still_between_stretches() {
        let mut time = UpTime::new(1_000);
        assert_eq!((time.elapsed(500), time.elapsed(3_000)), (0, 2_000));
        assert_eq!((time.position(500), time.position(1_000)), (None, Some(0)));
        time.stop(4_000);
        assert_eq!((time.elapsed(9_000), time.position(3_999)), (3_000, Some(2_999)));
        assert_eq!(time.position(4_000), None);
        time.go_on(10_000);
        assert_eq!((time.elapsed(9_000), time.elapsed(10_500)), (3_000, 3_500));
        assert_eq!((time.moment(2_999), time.moment(3_000)), (3_999, 10_000));
    }

    #[test]
    fn it_is_set_back_when_it_should_have_been_stopped_earlier() {
        let mut time = UpTime::new(0);
        time.stop(1_000);
        time.go_on(2_000);
        time.stop(5_000);
        time.stop(4_000);
        assert_eq!((time.elapsed(u64::MAX), time.stopped_at()), (3_000, Some(4_000)));
        time.stop(500);
        assert_eq!((time.elapsed(u64::MAX), time.stopped_at()), (500, Some(500)));
        time.go_on(600);
        assert_eq!(time.elapsed(700), 600);
    }

    #[test]
    fn it_needs_bounded_memory() {
        let mut time = UpTime::new(0);
        for second in 0..10_000 {
            time.stop(second * 1_000 + 500);
            time.go_on(second * 1_000 + 1_000);
        }
        assert_eq!(time.stretches.len(), MOST_STRETCHES);
        assert_eq!(time.elapsed(10_000_000), 5_000_000);
        time.forget_before(5_000_000);
        assert_eq!((time.stretches.len(), time.elapsed(10_000_100)), (1, 5_000_100));
    }
}
