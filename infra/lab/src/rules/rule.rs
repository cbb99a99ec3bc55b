//! An alert rule of the deployment, with its query.

use std::{borrow::Cow, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::{
    condition::{Aggregation, Operator},
    resolve::{self, FrequencyError},
    settings::{self, RuleMode, RuleSettings, RuleSettingsError},
};
use crate::query::{DeviceSilentReminder, Query, QueryError, Trace};

/// The evaluated deployment, at the same commit as this source.
const SNAPSHOT: &str = include_str!("../../../main.snapshot.json");

/// A rule whose query is recognized.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) settings: Arc<RuleSettings>,
    pub(super) query: Query,
}

/// Why the rules cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The rules' settings could not be read.
    #[error("cannot read the alert rules")]
    Settings(#[from] RuleSettingsError),
    /// The lab has no native implementation of a rule's query.
    #[error("cannot evaluate the query of the rule `{rule}`")]
    Query {
        /// The name of the rule.
        rule: String,
        /// The reason.
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

/// The rules of the evaluated deployment in this repository.
pub fn deployed() -> Result<Vec<Rule>, RulesError> {
    from_snapshot(SNAPSHOT)
}

/// The rules of any evaluated deployment, as `bicep snapshot` writes it.
pub fn from_snapshot(snapshot: &str) -> Result<Vec<Rule>, RulesError> {
    settings::read(snapshot)?.into_iter().map(Rule::new).collect()
}

impl Rule {
    /// Creates a rule: recognizes its query and checks that the query has the measured column.
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

    /// The recognized query.
    pub const fn query(&self) -> &Query {
        &self.query
    }

    /// The settings as deployed.
    pub fn settings(&self) -> &RuleSettings {
        &self.settings
    }

    /// The rows that an evaluation at `at` sees: those in the rule's time range, which ends at
    /// `at`.
    pub(super) fn visible<'rows>(
        &self,
        at: Timestamp,
        rows: &'rows [Trace],
    ) -> Cow<'rows, [Trace]> {
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

    /// The same rule as the templates would deploy it for another silence threshold, in minutes,
    /// and another evaluation frequency: a divisor of an hour at which a stateful rule can run.
    pub fn with_timing(
        &self,
        silence_minutes: f64,
        frequency_minutes: u32,
    ) -> Result<Self, FrequencyError> {
        let frequency = SignedDuration::from_mins(frequency_minutes.into());
        let mut settings = RuleSettings::clone(&self.settings);
        settings.frequency = frequency;
        if let RuleMode::Stateful { healthy_evaluations } = &mut settings.mode {
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

    /// The shortest silence that can meet the condition, for the rules that measure silence; `None`
    /// when there is no such silence.
    pub(super) fn least_silence(&self) -> Option<SignedDuration> {
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
