//! The alert rules as Azure Monitor runs them, on virtual time.
//!
//! [`deployed`] reads the rules from the evaluated deployment; a [`RuleEngine`] evaluates them when
//! they are due and returns the notifications. Nothing here reads a clock, waits or does I/O.

pub mod condition;
pub mod failing;
pub mod index;
mod monitor_condition;
mod notification;
pub mod resolve;
mod rule;
pub mod running;
pub mod settings;
pub mod stateful;
pub mod stateless;

use jiff::{SignedDuration, Timestamp};

use crate::query::Trace;
pub use monitor_condition::MonitorCondition;
pub use notification::Notification;
pub use rule::{Rule, RulesError, deployed, from_snapshot};
use running::RunningRule;

/// All rules of a deployment, with the state of their alerts.
#[derive(Debug)]
pub struct RuleEngine {
    rules: Vec<ScheduledRule>,
}

#[derive(Debug)]
struct ScheduledRule {
    running: RunningRule,
    due: Timestamp,
}

impl RuleEngine {
    /// Creates the engine for rules that are deployed at `start`; the first evaluation of each is
    /// one period of its frequency later.
    pub fn new(rules: Vec<Rule>, start: Timestamp) -> Self {
        let scheduled = |rule: Rule| {
            let due = later(start, rule.settings().frequency);
            ScheduledRule { running: RunningRule::new(rule), due }
        };
        Self { rules: rules.into_iter().map(scheduled).collect() }
    }

    /// When the next evaluation is due; `None` only without rules.
    pub fn next_evaluation(&self) -> Option<Timestamp> {
        self.rules.iter().map(|each| each.due).min()
    }

    /// Evaluates every rule that is due, on the rows that are visible at `now`, and returns the
    /// notifications in the order of the rules, without those that an alert processing rule
    /// suppresses.
    ///
    /// Each evaluation uses the time at which it was due, however late it is called: time-based
    /// marks must neither be missed nor repeated. Evaluations that were missed altogether, because
    /// the machine was suspended, are skipped. `rows` may be in any order.
    pub fn evaluate(&mut self, now: Timestamp, rows: &[Trace]) -> Vec<Notification> {
        let mut notifications = Vec::new();
        for rule in &mut self.rules {
            if let Some(at) = rule.take_due(now) {
                notifications.extend(rule.running.evaluate(at, rows));
            }
        }
        notifications
    }
}

impl ScheduledRule {
    /// Returns the latest due time at or before `now`, if any, and schedules the next one.
    fn take_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        let frequency = self.running.rule().settings().frequency;
        let mut at = None;
        while self.due <= now {
            at = Some(self.due);
            self.due = later(self.due, frequency);
        }
        at
    }
}

/// Adds a frequency; saturates at the last representable time.
fn later(at: Timestamp, frequency: SignedDuration) -> Timestamp {
    at.saturating_add(frequency).unwrap_or(Timestamp::MAX)
}
