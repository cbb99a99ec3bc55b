//! The alert rules as Azure Monitor would run them, on virtual time.
//!
//! [`deployed`] reads the rules from the evaluated deployment; a [`RuleEngine`] evaluates them when
//! they are due and says which notifications go out. Nothing here reads a clock, waits or writes.

pub mod condition;
pub mod failing;
pub mod index;
pub mod resolve;
pub mod running;
pub mod settings;
pub mod stateful;
pub mod stateless;

use std::{borrow::Cow, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use crate::query::{DeviceSilentReminder, Query, QueryError, Trace};
use condition::{Aggregation, Dimensions, Operator};
use resolve::FrequencyError;
use running::RunningRule;
use settings::{Memory, RuleSettings, RuleSettingsError};

/// The evaluated deployment that belongs to this source.
const SNAPSHOT: &str = include_str!("../../main.snapshot.json");

/// A rule whose query is understood.
#[derive(Clone, Debug)]
pub struct Rule {
    settings: Arc<RuleSettings>,
    query: Query,
}

/// Why the rules cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The rules' settings could not be read.
    #[error("cannot read the alert rules")]
    Settings(#[from] RuleSettingsError),
    /// The query of a rule is none that the lab has a native implementation of.
    #[error("cannot play the query of the rule `{rule}`")]
    Query {
        /// The name of the rule.
        rule: String,
        /// Why.
        #[source]
        source: QueryError,
    },
    /// The rule measures a column that its query does not have.
    #[error("the rule `{rule}` measures the column `{measured}`, but its query yields `{yielded}`")]
    Measure {
        /// The name of the rule.
        rule: String,
        /// The column in the rule's settings.
        measured: String,
        /// The column of the query.
        yielded: &'static str,
    },
}

/// The rules of the evaluated deployment that belongs to this source.
pub fn deployed() -> Result<Vec<Rule>, RulesError> {
    from_snapshot(SNAPSHOT)
}

/// The rules of any evaluated deployment, as `bicep snapshot` writes it.
pub fn from_snapshot(snapshot: &str) -> Result<Vec<Rule>, RulesError> {
    settings::read(snapshot)?.into_iter().map(Rule::new).collect()
}

impl Rule {
    /// A rule with its query recognised and its measured column found in it.
    pub fn new(settings: RuleSettings) -> Result<Self, RulesError> {
        let query = Query::parse(&settings.query)
            .map_err(|source| RulesError::Query { rule: settings.name.clone(), source })?;
        let yielded = query.measured_column();
        match &settings.condition.measure {
            Some(measured) if measured != yielded => Err(RulesError::Measure {
                rule: settings.name.clone(),
                measured: measured.clone(),
                yielded,
            }),
            _ => Ok(Self { settings: Arc::new(settings), query }),
        }
    }

    /// The query, as the lab understands it.
    pub const fn query(&self) -> &Query {
        &self.query
    }

    /// The settings as deployed.
    pub fn settings(&self) -> &RuleSettings {
        &self.settings
    }

    /// The rows that an evaluation at `at` sees: those of the rule's range, which ends at `at`.
    fn visible<'rows>(&self, at: Timestamp, rows: &'rows [Trace]) -> Cow<'rows, [Trace]> {
        let from = at.saturating_sub(self.settings.range).unwrap_or(Timestamp::MIN);
        let sees = |row: &Trace| row.timestamp > from && row.timestamp <= at;
        if rows.iter().all(sees) {
            Cow::Borrowed(rows)
        } else {
            Cow::Owned(rows.iter().filter(|row| sees(row)).cloned().collect())
        }
    }

    /// The same rule for other devices than those of the evaluated deployment.
    #[must_use]
    pub fn with_devices(&self, devices: &[String]) -> Self {
        Self { settings: Arc::clone(&self.settings), query: self.query.with_devices(devices) }
    }

    /// The same rule as the templates would deploy it for another threshold of silence, in minutes, and
    /// another time between two evaluations: a divisor of an hour at which a stateful rule can run.
    pub fn with_timing(
        &self,
        silence_minutes: f64,
        frequency_minutes: u32,
    ) -> Result<Self, FrequencyError> {
        let frequency = SignedDuration::from_mins(frequency_minutes.into());
        let mut settings = RuleSettings::clone(&self.settings);
        settings.frequency = frequency;
        if let Memory::Stateful { healthy_evaluations } = &mut settings.memory {
            *healthy_evaluations = resolve::healthy_evaluations(frequency)?;
        }
        let query = match &self.query {
            Query::DeviceSilentReminder(query) => {
                Query::DeviceSilentReminder(DeviceSilentReminder {
                    silence_minutes,
                    frequency_minutes,
                    ..query.clone()
                })
            }
            query => query.clone(),
        };
        if matches!(query, Query::DeviceSilent(_)) {
            settings.condition.threshold = silence_minutes;
        }
        settings.query = query.text();
        Ok(Self { settings: Arc::new(settings), query })
    }

    /// The silence below which the query yields nothing that meets the condition, for the rules that ask
    /// about silence; `None` when there is no such silence.
    fn least_silence(&self) -> Option<SignedDuration> {
        let condition = &self.settings.condition;
        let is_upward =
            matches!(condition.operator, Operator::GreaterThan | Operator::GreaterThanOrEqual)
                && condition.threshold >= 0.0;
        let is_per_row = matches!(
            condition.aggregation,
            Aggregation::Average | Aggregation::Minimum | Aggregation::Maximum
        );
        let minutes = match &self.query {
            Query::DeviceSilent(_) if is_upward && is_per_row => condition.threshold,
            Query::DeviceSilentReminder(query) if is_per_row => query.silence_minutes,
            _ => return None,
        };
        SignedDuration::try_from_secs_f64(minutes * 60.0).ok().filter(SignedDuration::is_positive)
    }
}

/// Something that Azure would mail.
///
/// An alert is known by its rule, its dimensions and the time at which it fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The rule that sends it.
    pub rule: Arc<RuleSettings>,
    /// Whether the alert fired or resolved.
    pub condition: MonitorCondition,
    /// The dimension values that the alert is about.
    pub dimensions: Dimensions,
    /// The measured value; `None` when the query gave no row for these dimensions any more.
    pub value: Option<f64>,
    /// When the alert fired.
    pub fired: Timestamp,
    /// When the evaluation took place that the notification is about.
    pub evaluated: Timestamp,
}

/// `monitorCondition` of the common alert schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonitorCondition {
    /// The condition is met.
    Fired,
    /// The condition has gone for long enough.
    Resolved,
}

impl MonitorCondition {
    /// The name in the common alert schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "Fired",
            Self::Resolved => "Resolved",
        }
    }
}

/// All rules of a deployment, running.
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
    /// Rules that were deployed at `start`; each is evaluated first when one frequency has passed.
    pub fn new(rules: Vec<Rule>, start: Timestamp) -> Self {
        let scheduled = |rule: Rule| {
            let due = later(start, rule.settings.frequency);
            ScheduledRule { running: RunningRule::new(rule), due }
        };
        Self { rules: rules.into_iter().map(scheduled).collect() }
    }

    /// When the next evaluation is due; `None` only without rules.
    pub fn next_evaluation(&self) -> Option<Timestamp> {
        self.rules.iter().map(|each| each.due).min()
    }

    /// Evaluates every rule that is due, on the rows that can be queried at `now`, and returns what
    /// goes out, in the order of the rules. What an alert processing rule removes does not go out.
    ///
    /// An evaluation counts as done at the time it was due, however late it is called: marks that
    /// depend on the time must neither be missed nor repeated. Evaluations that were missed
    /// altogether, because the machine slept, are skipped. `rows` may come in any order.
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
    /// The latest time at or before `now` at which an evaluation was due, if any; moves on to the next.
    fn take_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        let frequency = self.running.rule.settings.frequency;
        let mut at = None;
        while self.due <= now {
            at = Some(self.due);
            self.due = later(self.due, frequency);
        }
        at
    }
}

/// A frequency later; the end of time stays the end of time.
fn later(at: Timestamp, frequency: SignedDuration) -> Timestamp {
    at.saturating_add(frequency).unwrap_or(Timestamp::MAX)
}
