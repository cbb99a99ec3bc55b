//! One rule at work: what it remembers from one evaluation to the next, and what it sends.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    MonitorCondition, Notification, Rule,
    condition::Dimensions,
    index::{TraceIndex, TraceSource},
    settings::Memory,
    stateful::{AlertChange, StatefulRule},
    stateless::StatelessRule,
};
use crate::query::{Query, Trace, outage_report};

/// A rule with its memory.
#[derive(Debug)]
pub struct RunningRule {
    pub(super) rule: Rule,
    memory: RuleMemory,
}

#[derive(Debug)]
enum RuleMemory {
    Stateful(StatefulRule),
    Stateless(StatelessRule),
}

impl RunningRule {
    /// A rule that was never evaluated.
    pub fn new(rule: Rule) -> Self {
        let failing = rule.settings.condition.failing;
        let memory = match rule.settings.memory {
            Memory::Stateful { healthy_evaluations } => {
                RuleMemory::Stateful(StatefulRule::new(failing, healthy_evaluations))
            }
            Memory::Stateless => RuleMemory::Stateless(StatelessRule::new(failing)),
        };
        Self { rule, memory }
    }

    /// The rule.
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Evaluates the rule at `at`, on all rows that can be queried by then, in any order, and returns
    /// what goes out. What an alert processing rule removes does not go out.
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
        all.into_iter().filter(|each| !each.rule.untold.contains(&each.condition)).collect()
    }

    /// The same on an index that holds the lines that are visible at `at`, for evaluations in the order of
    /// time.
    ///
    /// An evaluation that can neither meet the condition nor change what the rule remembers does not take
    /// place: when every device has been heard of lately enough, or when nothing that has come can still be
    /// reported.
    pub fn evaluate_indexed<L: TraceSource>(
        &mut self,
        at: Timestamp,
        index: &mut TraceIndex<L>,
    ) -> Vec<Notification> {
        index.expire(at);
        if self.is_at_rest() && self.is_without_news(at, index) {
            return Vec::new();
        }
        let rows = if self.is_report() { index.outages() } else { index.heartbeats() };
        self.evaluate(at, rows)
    }

    /// Whether no condition was met of late and no alert has fired.
    fn is_at_rest(&self) -> bool {
        match &self.memory {
            RuleMemory::Stateful(rule) => rule.is_at_rest(),
            RuleMemory::Stateless(rule) => rule.is_at_rest(),
        }
    }

    /// Whether the query asks about outages, not about silence.
    pub(super) const fn is_report(&self) -> bool {
        matches!(self.rule.query, Query::OutageReport(_))
    }

    fn is_without_news<L: TraceSource>(&self, at: Timestamp, index: &TraceIndex<L>) -> bool {
        if self.is_report() {
            // A line shows for so long at most from the beginning of the hour in which it came.
            let is_over = |newest| at.duration_since(newest) >= outage_report::SHOWN_FOR;
            return index.newest_other().is_none_or(is_over);
        }
        self.rule
            .least_silence()
            .zip(index.all_alive_since())
            .is_some_and(|(least, alive)| at.duration_since(alive) < least)
    }
}
