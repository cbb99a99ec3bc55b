//! Failing periods: how many of the last evaluations must meet the condition.

use std::collections::VecDeque;

/// "At least `minimum` of the last `evaluations`", both 1 to 6.
///
/// The range is that of `criteria.allOf[].failingPeriods` (azure-rest-api-specs,
/// `scheduledQueryRule_API.json`). There a period is a window; when the window is as long as the
/// frequency, as [`super::settings`] requires for more than one period, it is also an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailingPeriods {
    evaluations: u8,
    minimum: u8,
}

/// Failing periods out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{minimum} of {evaluations} periods: both must be 1 to 6 and the first at most the second")]
pub struct FailingPeriodsError {
    evaluations: u8,
    minimum: u8,
}

impl FailingPeriods {
    /// A single evaluation decides.
    pub const SINGLE: Self = Self { evaluations: 1, minimum: 1 };

    /// Creates "at least `minimum` of the last `evaluations`"; an error unless 1 ≤ minimum ≤
    /// evaluations ≤ 6.
    pub const fn new(evaluations: u8, minimum: u8) -> Result<Self, FailingPeriodsError> {
        if 1 <= minimum && minimum <= evaluations && evaluations <= 6 {
            Ok(Self { evaluations, minimum })
        } else {
            Err(FailingPeriodsError { evaluations, minimum })
        }
    }

    /// How many evaluations are considered, 1 to 6.
    pub const fn evaluations(self) -> u8 {
        self.evaluations
    }

    /// How many of them must meet the condition, 1 to 6.
    pub const fn minimum(self) -> u8 {
        self.minimum
    }
}

/// The last evaluations of one dimension combination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentPeriods {
    periods: FailingPeriods,
    met: VecDeque<bool>,
}

impl RecentPeriods {
    /// Creates a history without evaluations.
    pub const fn new(periods: FailingPeriods) -> Self {
        Self { periods, met: VecDeque::new() }
    }

    /// Records whether this evaluation met the condition, and returns whether enough recent ones
    /// did.
    pub fn observe(&mut self, met: bool) -> bool {
        self.met.push_back(met);
        if self.met.len() > usize::from(self.periods.evaluations) {
            self.met.pop_front();
        }
        self.met.iter().filter(|met| **met).count() >= usize::from(self.periods.minimum)
    }

    /// Whether none of the considered evaluations met the condition.
    pub fn is_clear(&self) -> bool {
        !self.met.contains(&true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn impossible_periods_are_refused() {
        for (evaluations, minimum) in [(0, 0), (1, 0), (1, 2), (7, 1), (3, 4)] {
            assert!(
                FailingPeriods::new(evaluations, minimum).is_err(),
                "{minimum} of {evaluations}"
            );
        }
    }

    #[test]
    fn two_of_three() {
        let mut recent = RecentPeriods::new(FailingPeriods::new(3, 2).expect("possible"));
        let met = [true, false, true, false, false, true, true, false, false];
        let failing = met.map(|met| recent.observe(met));
        assert_eq!(failing, [false, false, true, false, false, false, true, true, false]);
    }

    proptest! {
        #[test]
        fn only_the_last_periods_count(
            (evaluations, minimum) in (1_u8..=6).prop_flat_map(|all| (Just(all), 1..=all)),
            history in prop::collection::vec(any::<bool>(), 1..40),
        ) {
            let mut recent = RecentPeriods::new(FailingPeriods::new(evaluations, minimum).expect("possible"));
            for (index, met) in history.iter().enumerate() {
                let seen = &history[(index + 1).saturating_sub(usize::from(evaluations))..=index];
                let expected = seen.iter().filter(|met| **met).count() >= usize::from(minimum);
                prop_assert_eq!(recent.observe(*met), expected);
                prop_assert_eq!(recent.is_clear(), !seen.contains(&true));
            }
        }
    }
}
