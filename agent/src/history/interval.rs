//! Time intervals.

use std::time::Duration;

use jiff::Timestamp;

/// A half-open interval: `from` is included, `to` is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The start.
    pub from: Timestamp,
    /// The end, never before `from`.
    pub to: Timestamp,
}

impl Interval {
    /// The interval between two moments; an empty one at `from` if `to` is earlier.
    pub fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to: to.max(from) }
    }

    /// The length.
    pub fn duration(&self) -> Duration {
        self.to.duration_since(self.from).try_into().unwrap_or_default()
    }

    /// Whether it contains no moment.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Whether the two overlap. An empty interval overlaps one that contains its position: an
    /// incident that opened and closed at the same moment still belongs to its day.
    pub fn touches(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to
            || self.is_empty() && other.from <= self.from && self.from < other.to
    }

    /// The overlap of the two; empty if there is none.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        Self::new(self.from.max(other.from).min(other.to.max(self.from)), self.to.min(other.to))
    }

    /// The remaining parts without `holes`, which are in order and do not overlap.
    pub fn without(&self, holes: &[Self]) -> Vec<Self> {
        let mut rest = Vec::new();
        let mut from = self.from;
        let first = holes.partition_point(|hole| hole.to <= self.from);
        for hole in holes[first..].iter().take_while(|hole| hole.from < self.to) {
            if from < hole.from {
                rest.push(Self::new(from, hole.from));
            }
            from = from.max(hole.to);
        }
        if from < self.to {
            rest.push(Self::new(from, self.to));
        }
        rest
    }

    /// The union of `intervals`, in order and without overlap.
    pub fn union(mut intervals: Vec<Self>) -> Vec<Self> {
        intervals.retain(|interval| !interval.is_empty());
        intervals.sort_by_key(|interval| interval.from);
        let mut union: Vec<Self> = Vec::with_capacity(intervals.len());
        for interval in intervals {
            match union.last_mut() {
                Some(last) if interval.from <= last.to => last.to = last.to.max(interval.to),
                _ => union.push(interval),
            }
        }
        union
    }

    /// The sum of the lengths.
    pub fn total(intervals: &[Self]) -> Duration {
        intervals.iter().map(Self::duration).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn between(from: i64, to: i64) -> Interval {
        let second = |second| Timestamp::from_second(second).expect("a time");
        Interval::new(second(from), second(to))
    }

    #[test]
    fn holes_are_cut_out() {
        let holes = [between(-5, 1), between(3, 4), between(8, 20)];
        assert_eq!(between(0, 10).without(&holes), [between(1, 3), between(4, 8)]);
        assert_eq!(between(3, 4).without(&holes), []);
        assert_eq!(between(20, 30).without(&holes), [between(20, 30)]);
    }

    #[test]
    fn the_overlap_of_disjoint_intervals_is_empty() {
        assert!(between(0, 5).within(&between(5, 9)).is_empty());
        assert!(between(7, 9).within(&between(0, 5)).is_empty());
        assert_eq!(between(0, 5).within(&between(3, 9)), between(3, 5));
        assert!(!between(0, 5).touches(&between(5, 9)));
        assert!(between(5, 5).touches(&between(5, 9)));
    }

    proptest! {
        #[test]
        fn the_holes_and_the_rest_add_up_to_the_whole(
            pairs in prop::collection::vec((0_i64..100, 0_i64..20), 0..8),
            from in 0_i64..100,
            length in 0_i64..60,
        ) {
            let holes = Interval::union(
                pairs.into_iter().map(|(from, length)| between(from, from + length)).collect(),
            );
            for pair in holes.windows(2) {
                prop_assert!(pair[0].to < pair[1].from);
            }
            let whole = between(from, from + length);
            let cut: Vec<_> = holes.iter().map(|hole| hole.within(&whole)).collect();
            let rest = whole.without(&holes);
            prop_assert_eq!(Interval::total(&cut) + Interval::total(&rest), whole.duration());
        }
    }
}
