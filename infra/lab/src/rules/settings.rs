//! The settings of a deployed rule, read from the evaluated deployment.
//!
//! `bicep snapshot` evaluates the whole deployment offline into the resources that Azure would get.
//! The lab reads its rules only from that file, so it evaluates exactly what is deployed. An
//! unsupported setting is an error, never a guess: a rule that behaved differently here and in
//! Azure would prove nothing.

mod document;
mod processing;
mod unsupported;

use jiff::{SignedDuration, SpanRelativeTo, fmt::temporal::SpanParser};

use super::{
    condition::{Aggregation, AlertCondition},
    failing::{FailingPeriods, FailingPeriodsError},
    monitor_condition::MonitorCondition,
    resolve::{self, FrequencyError},
};
use crate::query::LONGEST_RANGE;
use document::{ActionGroup, Resource, ScheduledQueryRule, Snapshot};
use processing::ProcessingRule;
pub use processing::ProcessingRuleError;
pub use unsupported::UnsupportedValue;
use unsupported::unsupported;

const RULE_TYPE: &str = "Microsoft.Insights/scheduledQueryRules";
const PROCESSING_RULE_TYPE: &str = "Microsoft.AlertsManagement/actionRules";
const ACTION_GROUP_TYPE: &str = "Microsoft.Insights/actionGroups";
/// The table of the workspace's own operational events, which the lab does not store: rules on it
/// monitor the workspace, not the devices.
const NOTICES_TABLE: &str = "_LogOperation";

/// The validated settings of one rule, with the defaults of the resource provider filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSettings {
    /// The resource id of the rule.
    pub id: String,
    /// The name of the rule.
    pub name: String,
    /// The rule's description; empty when it has none.
    pub description: String,
    /// 0 (critical) to 4 (verbose).
    pub severity: u8,
    /// The resource that the rule monitors; its mails call it the affected resource.
    pub scope: String,
    /// The query text as deployed.
    pub query: String,
    /// The condition for an alert.
    pub condition: AlertCondition,
    /// The time between two evaluations.
    pub frequency: SignedDuration,
    /// The time range of the query, at most 48 hours.
    pub range: SignedDuration,
    /// Stateful or stateless.
    pub mode: RuleMode,
    /// The mails' subject, with `${data…}` paths into the common alert schema; `None` for Azure's
    /// own.
    pub subject: Option<String>,
    /// The mail addresses of all action groups of the rule, in order, without duplicates.
    pub receivers: Vec<String>,
    /// The monitor conditions whose notifications an alert processing rule suppresses.
    pub suppressed: Vec<MonitorCondition>,
}

/// Whether alerts are stateful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleMode {
    /// `autoMitigate: true`: an alert fires once and resolves after a number of consecutive healthy
    /// evaluations.
    Stateful {
        /// See [`resolve::healthy_evaluations`].
        healthy_evaluations: u32,
    },
    /// `autoMitigate: false`: an alert fires at each evaluation that meets the condition, and never
    /// resolves.
    Stateless,
}

/// Why the rules could not be read from the evaluated deployment.
#[derive(Debug, thiserror::Error)]
pub enum RuleSettingsError {
    /// The file is not what `bicep snapshot` writes.
    #[error("the evaluated deployment is not the output of `bicep snapshot`; generate it again")]
    Document(#[source] serde_json::Error),
    /// The deployment has no enabled rule.
    #[error("the evaluated deployment holds no enabled resource of type `{RULE_TYPE}`")]
    NoRules,
    /// One rule is invalid or not supported.
    #[error("the rule `{rule}` of the evaluated deployment is not supported")]
    Rule {
        /// The name of the rule.
        rule: String,
        /// The reason.
        #[source]
        source: RuleError,
    },
    /// One alert processing rule is invalid or not supported.
    #[error("the alert processing rule `{rule}` of the evaluated deployment is not supported")]
    ProcessingRule {
        /// The name of the processing rule.
        rule: String,
        /// The reason.
        #[source]
        source: ProcessingRuleError,
    },
    /// An action group does not have the expected format.
    #[error("the action group `{group}` of the evaluated deployment cannot be read")]
    ActionGroup {
        /// The name of the action group.
        group: String,
        /// The parse error.
        #[source]
        source: serde_json::Error,
    },
}

/// Why the lab cannot evaluate a rule as Azure would.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// A property is missing or has another type or value than the resource provider accepts.
    #[error("its properties are not those of a log alert")]
    Shape(#[source] serde_json::Error),
    /// The lab does not support the value of a property.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedValue),
    /// A duration that is not ISO 8601 or not positive.
    #[error(
        "its `{property}` is `{value}`, which is not a positive ISO 8601 duration such as PT5M"
    )]
    Duration {
        /// The name of the property.
        property: &'static str,
        /// Its value.
        value: String,
    },
    /// The query's range is longer than allowed, or shorter than the rule needs.
    #[error(
        "its query would see {range:#} back, but that must be at least {window:#} (the window) and at most 48 h"
    )]
    Range {
        /// The query's range.
        range: SignedDuration,
        /// The windows that it must cover.
        window: SignedDuration,
    },
    /// The evaluations would leave periods that no evaluation covers.
    #[error("it is evaluated every {frequency:#} but its windows cover only {window:#}")]
    Frequency {
        /// The time between two evaluations.
        frequency: SignedDuration,
        /// The time covered by the windows of one evaluation.
        window: SignedDuration,
    },
    /// The aggregation needs a measure, or must not have one.
    #[error(
        "its aggregation and its `metricMeasureColumn` do not go together: every aggregation but Count needs one, Count has none"
    )]
    Measure,
    /// Impossible failing periods.
    #[error("its failing periods are not possible")]
    FailingPeriods(#[source] FailingPeriodsError),
    /// A stateful rule that would never resolve.
    #[error("it is stateful, but would never resolve")]
    Resolve(#[source] FrequencyError),
    /// An action group that is not part of the deployment.
    #[error("its action group `{0}` is not part of the evaluated deployment")]
    UnknownActionGroup(String),
}

/// Reads all enabled rules about devices from the output of `bicep snapshot`, in the file's order.
pub fn read(snapshot: &str) -> Result<Vec<RuleSettings>, RuleSettingsError> {
    let snapshot: Snapshot = serde_json::from_str(snapshot).map_err(RuleSettingsError::Document)?;
    let resources = &snapshot.predicted_resources;
    let groups = action_groups(resources)?;
    let processing = processing_rules(resources)?;
    let mut rules = Vec::new();
    for resource in resources.iter().filter(|each| each.is(RULE_TYPE)) {
        let settings = rule(resource, &groups)
            .map_err(|source| RuleSettingsError::Rule { rule: resource.name.clone(), source })?;
        rules.extend(settings);
    }
    for rule in &mut rules {
        rule.suppressed = processing
            .iter()
            .flat_map(|each| each.removed(&rule.id, &rule.scope))
            .copied()
            .collect();
    }
    if rules.is_empty() { Err(RuleSettingsError::NoRules) } else { Ok(rules) }
}

fn processing_rules(resources: &[Resource]) -> Result<Vec<ProcessingRule>, RuleSettingsError> {
    let rules = resources.iter().filter(|each| each.is(RULE_TYPE));
    let ids: Vec<&str> = rules.map(|rule| rule.id.as_str()).collect();
    resources
        .iter()
        .filter(|resource| resource.is(PROCESSING_RULE_TYPE))
        .filter_map(|resource| {
            let failed = |source| {
                let rule = resource.name.clone();
                RuleSettingsError::ProcessingRule { rule, source }
            };
            ProcessingRule::read(resource, &ids).map_err(failed).transpose()
        })
        .collect()
}

fn action_groups(resources: &[Resource]) -> Result<Vec<(&str, ActionGroup)>, RuleSettingsError> {
    resources
        .iter()
        .filter(|resource| resource.is(ACTION_GROUP_TYPE))
        .map(|resource| {
            let group = resource.properties_as().map_err(|source| {
                RuleSettingsError::ActionGroup { group: resource.name.clone(), source }
            })?;
            Ok((resource.id.as_str(), group))
        })
        .collect()
}

/// Reads one rule; `None` when it is disabled or not about devices.
fn rule(
    resource: &Resource,
    groups: &[(&str, ActionGroup)],
) -> Result<Option<RuleSettings>, RuleError> {
    let properties: ScheduledQueryRule = resource.properties_as().map_err(RuleError::Shape)?;
    if !properties.enabled {
        return Ok(None);
    }
    let table = properties.criteria.all_of.first().and_then(|first| first.query.lines().next());
    if table == Some(NOTICES_TABLE) {
        return Ok(None);
    }
    let kind = resource.kind.as_deref().unwrap_or("LogAlert");
    if kind != "LogAlert" {
        return Err(unsupported("kind", kind, "`LogAlert`"));
    }
    if let Some(mute) = &properties.mute_actions_duration {
        return Err(unsupported("muteActionsDuration", mute, "rules without it"));
    }
    let [criterion] = properties.criteria.all_of.as_slice() else {
        let count = properties.criteria.all_of.len().to_string();
        return Err(unsupported("criteria.allOf", &count, "exactly one criterion"));
    };
    let [scope] = properties.scopes.as_slice() else {
        let count = properties.scopes.len().to_string();
        return Err(unsupported("scopes", &count, "exactly one resource"));
    };
    if let Some(kind) = &criterion.of_type
        && kind != "StaticThresholdCriterion"
    {
        return Err(unsupported("criterionType", kind, "`StaticThresholdCriterion`"));
    }
    if (criterion.time_aggregation == Aggregation::Count)
        == criterion.metric_measure_column.is_some()
    {
        return Err(RuleError::Measure);
    }

    let frequency = duration("evaluationFrequency", &properties.evaluation_frequency)?;
    let window = duration("windowSize", &properties.window_size)?;
    let failing = match &criterion.failing_periods {
        Some(periods) => FailingPeriods::new(
            periods.number_of_evaluation_periods,
            periods.min_failing_periods_to_alert,
        )
        .map_err(RuleError::FailingPeriods)?,
        None => FailingPeriods::SINGLE,
    };
    if failing.evaluations() > 1 && frequency != window {
        let value = failing.evaluations().to_string();
        let supported = "1 where the frequency differs from the window, as a period is a window";
        return Err(unsupported("numberOfEvaluationPeriods", &value, supported));
    }
    let windows = window * i32::from(failing.evaluations());
    if frequency > windows {
        return Err(RuleError::Frequency { frequency, window: windows });
    }
    let range = match &properties.override_query_time_range {
        Some(text) => duration("overrideQueryTimeRange", text)?,
        None => windows,
    };
    if range < windows || range > LONGEST_RANGE {
        return Err(RuleError::Range { range, window: windows });
    }
    let mode = if properties.auto_mitigate {
        let healthy_evaluations =
            resolve::healthy_evaluations(frequency).map_err(RuleError::Resolve)?;
        RuleMode::Stateful { healthy_evaluations }
    } else {
        RuleMode::Stateless
    };

    Ok(Some(RuleSettings {
        id: resource.id.clone(),
        name: resource.name.clone(),
        description: properties.description,
        severity: properties.severity,
        scope: scope.clone(),
        query: criterion.query.clone(),
        condition: AlertCondition {
            aggregation: criterion.time_aggregation,
            measure: criterion.metric_measure_column.clone(),
            operator: criterion.operator,
            threshold: criterion.threshold,
            dimensions: criterion.dimensions.clone(),
            failing,
        },
        frequency,
        range,
        mode,
        subject: properties.actions.action_properties.email_subject,
        receivers: receivers(&properties.actions.action_groups, groups)?,
        suppressed: Vec::new(),
    }))
}

/// The addresses of the groups `ids`; a disabled group has none.
fn receivers(ids: &[String], groups: &[(&str, ActionGroup)]) -> Result<Vec<String>, RuleError> {
    let mut receivers = Vec::new();
    for id in ids {
        let (_, group) = groups
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(id))
            .ok_or_else(|| RuleError::UnknownActionGroup(id.clone()))?;
        for receiver in group.email_receivers.iter().filter(|_| group.enabled) {
            if !receivers.contains(&receiver.email_address) {
                receivers.push(receiver.email_address.clone());
            }
        }
    }
    Ok(receivers)
}

fn duration(property: &'static str, value: &str) -> Result<SignedDuration, RuleError> {
    SpanParser::new()
        .parse_span(value)
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .ok()
        .filter(SignedDuration::is_positive)
        .ok_or_else(|| RuleError::Duration { property, value: value.to_owned() })
}

#[cfg(test)]
mod tests;
