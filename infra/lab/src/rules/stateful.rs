//! Stateful rules: one alert per combination of dimension values, which fires once and resolves.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    condition::{Dimensions, Measurement},
    failing::{FailingPeriods, RecentPeriods},
};

/// The alert of one combination: not fired, or fired and counting healthy evaluations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatefulAlert {
    recent: RecentPeriods,
    healthy_to_resolve: u32,
    state: AlertState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AlertState {
    Quiet,
    Fired {
        since: Timestamp,
        /// Evaluations since the condition was last met.
        healthy: u32,
    },
}

/// The change that an evaluation caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// The alert fired.
    Fired,
    /// The alert resolved.
    Resolved {
        /// The time of the evaluation at which it had fired.
        fired: Timestamp,
    },
}

impl StatefulAlert {
    /// Creates an alert that has not fired; it resolves after `healthy_to_resolve` consecutive
    /// healthy evaluations, at least 1.
    pub const fn new(failing: FailingPeriods, healthy_to_resolve: u32) -> Self {
        Self { recent: RecentPeriods::new(failing), healthy_to_resolve, state: AlertState::Quiet }
    }

    /// Records the evaluation at `at`.
    pub fn observe(&mut self, at: Timestamp, met: bool) -> Option<AlertChange> {
        match (self.state, self.recent.observe(met)) {
            (AlertState::Quiet, false) => None,
            (AlertState::Quiet, true) => {
                self.state = AlertState::Fired { since: at, healthy: 0 };
                Some(AlertChange::Fired)
            }
            (AlertState::Fired { since, .. }, true) => {
                self.state = AlertState::Fired { since, healthy: 0 };
                None
            }
            (AlertState::Fired { since, healthy }, false)
                if healthy + 1 < self.healthy_to_resolve =>
            {
                self.state = AlertState::Fired { since, healthy: healthy + 1 };
                None
            }
            (AlertState::Fired { since, .. }, false) => {
                self.state = AlertState::Quiet;
                Some(AlertChange::Resolved { fired: since })
            }
        }
    }

    /// Whether the alert has fired and not yet resolved.
    pub const fn is_fired(&self) -> bool {
        matches!(self.state, AlertState::Fired { .. })
    }

    /// Whether the state equals that of a new alert.
    fn is_initial(&self) -> bool {
        !self.is_fired() && self.recent.is_clear()
    }
}

/// All alerts of one stateful rule.
#[derive(Clone, Debug)]
pub struct StatefulRule {
    failing: FailingPeriods,
    healthy_to_resolve: u32,
    alerts: BTreeMap<Dimensions, StatefulAlert>,
}

impl StatefulRule {
    /// Creates a rule without alerts.
    pub const fn new(failing: FailingPeriods, healthy_to_resolve: u32) -> Self {
        Self { failing, healthy_to_resolve, alerts: BTreeMap::new() }
    }

    /// Whether no alert has fired or is about to fire.
    pub fn is_idle(&self) -> bool {
        self.alerts.is_empty()
    }

    /// Records the evaluation of all combinations at `at` and returns the changes, by combination.
    ///
    /// A combination that fired earlier and is no longer measured does not meet the condition.
    pub fn observe(
        &mut self,
        at: Timestamp,
        measured: &BTreeMap<Dimensions, Measurement>,
    ) -> Vec<(Dimensions, AlertChange)> {
        for dimensions in measured.keys() {
            self.alerts
                .entry(dimensions.clone())
                .or_insert_with(|| StatefulAlert::new(self.failing, self.healthy_to_resolve));
        }
        let mut changes = Vec::new();
        self.alerts.retain(|dimensions, alert| {
            let met = measured.get(dimensions).is_some_and(|measurement| measurement.met);
            changes.extend(alert.observe(at, met).map(|change| (dimensions.clone(), change)));
            !alert.is_initial()
        });
        changes
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    /// The time of the evaluation with this number.
    fn at(evaluation: usize) -> Timestamp {
        let evaluation = i32::try_from(evaluation).expect("a short history");
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(5) * evaluation
    }

    fn changes(alert: &mut StatefulAlert, history: &[bool]) -> Vec<Option<AlertChange>> {
        history.iter().enumerate().map(|(index, met)| alert.observe(at(index), *met)).collect()
    }

    fn device(name: &str) -> Dimensions {
        vec![("device".to_owned(), name.to_owned())]
    }

    fn measured(devices: &[(&str, bool)]) -> BTreeMap<Dimensions, Measurement> {
        let measurement = |met: bool| Measurement { value: f64::from(u8::from(met)), met };
        devices.iter().map(|(name, met)| (device(name), measurement(*met))).collect()
    }

    #[test]
    fn fires_once_and_resolves_at_the_third_healthy_evaluation() {
        let mut alert = StatefulAlert::new(FailingPeriods::SINGLE, 3);
        let history = [false, true, true, true, false, false, false, false];
        let fired = Some(AlertChange::Fired);
        let resolved = Some(AlertChange::Resolved { fired: at(1) });
        let expected = [None, fired, None, None, None, None, resolved, None];
        assert_eq!(changes(&mut alert, &history), expected);
    }

    #[test]
    fn a_relapse_starts_the_count_of_healthy_evaluations_again() {
        let mut alert = StatefulAlert::new(FailingPeriods::SINGLE, 3);
        let history = [true, false, false, true, false, false, false];
        let resolved = Some(AlertChange::Resolved { fired: at(0) });
        let expected = [Some(AlertChange::Fired), None, None, None, None, None, resolved];
        assert_eq!(changes(&mut alert, &history), expected);
    }

    #[test]
    fn with_two_of_three_periods_one_failing_evaluation_fires_no_alert() {
        let mut alert = StatefulAlert::new(FailingPeriods::new(3, 2).expect("possible"), 1);
        let expected = [None, None, None, None, Some(AlertChange::Fired)];
        assert_eq!(changes(&mut alert, &[true, false, false, true, true]), expected);
    }

    #[test]
    fn devices_fire_and_resolve_separately() {
        let mut rule = StatefulRule::new(FailingPeriods::SINGLE, 1);
        let evaluations = [
            ([("attic", true), ("cellar", false)], ("attic", AlertChange::Fired)),
            ([("attic", true), ("cellar", true)], ("cellar", AlertChange::Fired)),
            (
                [("attic", false), ("cellar", true)],
                ("attic", AlertChange::Resolved { fired: at(0) }),
            ),
            (
                [("attic", false), ("cellar", false)],
                ("cellar", AlertChange::Resolved { fired: at(1) }),
            ),
        ];
        for (index, (devices, (name, change))) in evaluations.into_iter().enumerate() {
            assert_eq!(rule.observe(at(index), &measured(&devices)), [(device(name), change)]);
        }
    }

    #[test]
    fn a_device_that_drops_out_of_the_result_is_healthy() {
        let mut rule = StatefulRule::new(FailingPeriods::SINGLE, 2);
        assert_eq!(rule.observe(at(0), &measured(&[("attic", true)])).len(), 1);
        assert_eq!(rule.observe(at(1), &measured(&[])), []);
        let resolved = AlertChange::Resolved { fired: at(0) };
        assert_eq!(rule.observe(at(2), &measured(&[])), [(device("attic"), resolved)]);
        assert!(rule.alerts.is_empty(), "a resolved alert is forgotten");
    }

    fn failing_periods() -> impl Strategy<Value = FailingPeriods> {
        (1_u8..=6).prop_flat_map(|all| {
            (1..=all).prop_map(move |least| FailingPeriods::new(all, least).expect("possible"))
        })
    }

    proptest! {
        #[test]
        fn fired_and_resolved_alternate_beginning_with_fired(
            failing in failing_periods(),
            healthy in 1_u32..=10,
            history in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut alert = StatefulAlert::new(failing, healthy);
            let mut since = None;
            for (index, change) in changes(&mut alert, &history).into_iter().enumerate() {
                match change {
                    None => {}
                    Some(AlertChange::Fired) => prop_assert_eq!(since.replace(at(index)), None),
                    Some(AlertChange::Resolved { fired }) => prop_assert_eq!(since.take(), Some(fired)),
                }
            }
            prop_assert_eq!(alert.is_fired(), since.is_some());
        }

        #[test]
        fn with_single_periods_the_changes_follow_from_the_history(
            healthy in 1_usize..=10,
            history in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut alert = StatefulAlert::new(FailingPeriods::SINGLE, healthy as u32);
            let mut since = None;
            for (index, met) in history.iter().enumerate() {
                let tail = (index + 1).checked_sub(healthy).map(|from| &history[from..=index]);
                let expected = match (since, met) {
                    (None, true) => Some(AlertChange::Fired),
                    (Some(fired), false) if tail.is_some_and(|tail| !tail.contains(&true)) => {
                        Some(AlertChange::Resolved { fired })
                    }
                    _ => None,
                };
                prop_assert_eq!(alert.observe(at(index), *met), expected);
                since = match expected {
                    Some(AlertChange::Fired) => Some(at(index)),
                    Some(AlertChange::Resolved { .. }) => None,
                    None => since,
                };
            }
        }

        #[test]
        fn dropping_inactive_combinations_changes_nothing(
            failing in failing_periods(),
            history in prop::collection::vec(prop::option::of(any::<bool>()), 0..100),
        ) {
            let mut rule = StatefulRule::new(failing, 3);
            let mut alert = StatefulAlert::new(failing, 3);
            for (index, seen) in history.into_iter().enumerate() {
                let measured = seen.map_or_else(BTreeMap::new, |met| measured(&[("attic", met)]));
                let expected: Vec<_> = alert
                    .observe(at(index), seen.unwrap_or_default())
                    .map(|change| (device("attic"), change))
                    .into_iter()
                    .collect();
                prop_assert_eq!(rule.observe(at(index), &measured), expected);
            }
        }
    }
}
