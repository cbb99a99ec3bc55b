//! One rule with its state between evaluations.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    condition::Dimensions,
    index::{TraceIndex, TraceSource},
    monitor_condition::MonitorCondition,
    notification::Notification,
    rule::Rule,
    settings::RuleMode,
    stateful::{AlertChange, StatefulRule},
    stateless::StatelessRule,
};
use crate::query::{Query, Trace, outage_report};

/// A rule with its state.
#[derive(Debug)]
pub struct RunningRule {
    rule: Rule,
    memory: RuleMemory,
}

#[derive(Debug)]
enum RuleMemory {
    Stateful(StatefulRule),
    Stateless(StatelessRule),
}

impl RunningRule {
    /// Creates a rule without history.
    pub fn new(rule: Rule) -> Self {
        let failing = rule.settings.condition.failing;
        let memory = match rule.settings.mode {
            RuleMode::Stateful { healthy_evaluations } => {
                RuleMemory::Stateful(StatefulRule::new(failing, healthy_evaluations))
            }
            RuleMode::Stateless => RuleMemory::Stateless(StatelessRule::new(failing)),
        };
        Self { rule, memory }
    }

    /// The rule.
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Evaluates the rule at `at`, on all rows that are visible by then, in any order, and returns
    /// the notifications, without those that an alert processing rule suppresses.
    pub fn evaluate(&mut self, at: Timestamp, rows: &[Trace]) -> Vec<Notification> {
        let settings = &self.rule.settings;
        let rows = self.rule.visible(at, rows);
        let measured = settings.condition.measure(&self.rule.query.evaluate(at, &rows));
        let notification = |condition, dimensions: Dimensions, fired| Notification {
            rule: Arc::clone(settings),
            condition,
            value: measured.get(&dimensions).map(|measurement| measurement.value),
            dimensions,
            fired,
            evaluated: at,
        };
        let all: Vec<_> = match &mut self.memory {
            RuleMemory::Stateless(rule) => rule
                .observe(&measured)
                .into_iter()
                .map(|dimensions| notification(MonitorCondition::Fired, dimensions, at))
                .collect(),
            RuleMemory::Stateful(rule) => rule
                .observe(at, &measured)
                .into_iter()
                .map(|(dimensions, change)| match change {
                    AlertChange::Fired => notification(MonitorCondition::Fired, dimensions, at),
                    AlertChange::Resolved { fired } => {
                        notification(MonitorCondition::Resolved, dimensions, fired)
                    }
                })
                .collect(),
        };
        all.into_iter().filter(|each| !each.rule.suppressed.contains(&each.condition)).collect()
    }

    /// The same on an index of the lines that are visible at `at`; evaluations must be in order of
    /// time.
    ///
    /// Skips an evaluation that can neither meet the condition nor change the state: when every
    /// device sent a heartbeat recently enough, or when no line can still be reported.
    pub fn evaluate_indexed<L: TraceSource>(
        &mut self,
        at: Timestamp,
        index: &mut TraceIndex<L>,
    ) -> Vec<Notification> {
        index.expire(at);
        if self.is_idle() && self.is_without_news(at, index) {
            return Vec::new();
        }
        let rows = if self.is_report() { index.outages() } else { index.heartbeats() };
        self.evaluate(at, rows)
    }

    /// Whether no recent evaluation met the condition and no alert has fired.
    fn is_idle(&self) -> bool {
        match &self.memory {
            RuleMemory::Stateful(rule) => rule.is_idle(),
            RuleMemory::Stateless(rule) => rule.is_idle(),
        }
    }

    /// Whether the query is about outages, not about silence.
    pub(super) const fn is_report(&self) -> bool {
        matches!(self.rule.query, Query::OutageReport(_))
    }

    fn is_without_news<L: TraceSource>(&self, at: Timestamp, index: &TraceIndex<L>) -> bool {
        if self.is_report() {
            // A line is in the result for at most this long from the start of the hour in which it
            // was written.
            let is_over = |newest| at.duration_since(newest) >= outage_report::SHOWN_FOR;
            return index.newest_other().is_none_or(is_over);
        }
        self.rule
            .least_silence()
            .zip(index.all_alive_since())
            .is_some_and(|(least, alive)| at.duration_since(alive) < least)
    }
}
