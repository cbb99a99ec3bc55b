//! Stateless rules: every evaluation that meets the condition is a separate alert.
//!
//! The documentation does not specify the cadence of repeated log alerts; one notification per
//! evaluation that meets the condition is its plain reading (Microsoft Learn, "Types of Azure
//! Monitor alerts": a stateless alert fires each time the condition is met, even if it fired
//! before).

use std::collections::BTreeMap;

use super::{
    condition::{Dimensions, Measurement},
    failing::{FailingPeriods, RecentPeriods},
};

/// The recent evaluations of one stateless rule; empty with single periods.
#[derive(Clone, Debug)]
pub struct StatelessRule {
    failing: FailingPeriods,
    recent: BTreeMap<Dimensions, RecentPeriods>,
}

impl StatelessRule {
    /// Creates a rule without history.
    pub const fn new(failing: FailingPeriods) -> Self {
        Self { failing, recent: BTreeMap::new() }
    }

    /// Whether none of the considered evaluations met the condition.
    pub fn is_idle(&self) -> bool {
        self.recent.is_empty()
    }

    /// Records one evaluation and returns the combinations that fire, in order.
    ///
    /// A combination that is not measured does not meet the condition.
    pub fn observe(&mut self, measured: &BTreeMap<Dimensions, Measurement>) -> Vec<Dimensions> {
        for dimensions in measured.keys() {
            self.recent
                .entry(dimensions.clone())
                .or_insert_with(|| RecentPeriods::new(self.failing));
        }
        let mut fired = Vec::new();
        self.recent.retain(|dimensions, recent| {
            let met = measured.get(dimensions).is_some_and(|measurement| measurement.met);
            if recent.observe(met) {
                fired.push(dimensions.clone());
            }
            !recent.is_clear()
        });
        fired
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measured(met: Option<bool>) -> BTreeMap<Dimensions, Measurement> {
        met.map(|met| (vec![], Measurement { value: 1.0, met })).into_iter().collect()
    }

    proptest! {
        #[test]
        fn each_evaluation_that_meets_the_condition_notifies(
            history in prop::collection::vec(prop::option::of(any::<bool>()), 0..200),
        ) {
            let mut rule = StatelessRule::new(FailingPeriods::SINGLE);
            for met in &history {
                let fired = rule.observe(&measured(*met)).len();
                prop_assert_eq!(fired, usize::from(*met == Some(true)));
            }
        }
    }

    #[test]
    fn failing_periods_apply_to_stateless_rules() {
        let mut rule = StatelessRule::new(FailingPeriods::new(2, 2).expect("possible"));
        let fired = [true, true, false, true].map(|met| rule.observe(&measured(Some(met))).len());
        assert_eq!(fired, [0, 1, 0, 0]);
    }
}
