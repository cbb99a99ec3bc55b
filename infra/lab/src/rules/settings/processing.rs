//! Alert processing rules: which notifications do not reach an action group.
//!
//! A processed alert fires and resolves as usual, but sends no notification (Microsoft Learn,
//! "Alert processing rules"). The lab supports rules that always remove all action groups, filtered
//! by alert rule and by monitor condition; any other is an error.

use super::{
    document::{ActionRule, Resource},
    unsupported::{UnsupportedValue, unsupported},
};
use crate::rules::monitor_condition::MonitorCondition;

/// Why an alert processing rule is refused.
#[derive(Debug, thiserror::Error)]
pub enum ProcessingRuleError {
    /// A property is missing or has another type than the resource provider accepts.
    #[error("its properties are not those of an alert processing rule")]
    Shape(#[source] serde_json::Error),
    /// The lab does not support the value of a property.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedValue),
    /// It refers to an alert rule that is not deployed, so it would have no effect.
    #[error("its alert rule `{0}` is not part of the evaluated deployment")]
    UnknownRule(String),
}

/// A processing rule that suppresses notifications.
#[derive(Debug)]
pub(super) struct ProcessingRule {
    /// Resource ids; alerts about these resources and about resources in them are processed.
    scopes: Vec<String>,
    /// The ids of the rules whose alerts are processed; `None` for all.
    rules: Option<Vec<String>>,
    /// The monitor conditions whose notifications are suppressed.
    removed: Vec<MonitorCondition>,
}

impl ProcessingRule {
    /// Reads the rule; `None` when it is disabled. `deployed` are the ids of all alert rules.
    pub(super) fn read(
        resource: &Resource,
        deployed: &[&str],
    ) -> Result<Option<Self>, ProcessingRuleError> {
        let properties: ActionRule =
            resource.properties_as().map_err(ProcessingRuleError::Shape)?;
        if !properties.enabled {
            return Ok(None);
        }
        if let Some(schedule) = properties.schedule {
            let supported = "rules that hold at all times";
            return Err(unsupported("schedule", &schedule.to_string(), supported));
        }
        for action in &properties.actions {
            if action.action_type != "RemoveAllActionGroups" {
                let supported = "`RemoveAllActionGroups`";
                return Err(unsupported("actions[].actionType", &action.action_type, supported));
            }
        }
        let mut rule = Self {
            scopes: properties.scopes,
            rules: None,
            removed: vec![MonitorCondition::Fired, MonitorCondition::Resolved],
        };
        for condition in properties.conditions {
            if condition.operator != "Equals" {
                let supported = "`Equals`";
                return Err(unsupported("conditions[].operator", &condition.operator, supported));
            }
            match condition.field.as_str() {
                "AlertRuleId" => rule.rules = Some(known(condition.values, deployed)?),
                "MonitorCondition" => {
                    rule.removed = condition
                        .values
                        .iter()
                        .map(|value| monitor_condition(value))
                        .collect::<Result<_, _>>()?;
                }
                field => {
                    let supported = "`AlertRuleId` and `MonitorCondition`";
                    return Err(unsupported("conditions[].field", field, supported));
                }
            }
        }
        Ok(Some(rule))
    }

    /// The monitor conditions whose notifications are suppressed for alerts of the alert rule `rule`
    /// about the resource `resource`, both resource ids.
    pub(super) fn removed(&self, rule: &str, resource: &str) -> &[MonitorCondition] {
        let in_scope = self.scopes.iter().any(|scope| contains(scope, resource));
        let named = self
            .rules
            .as_ref()
            .is_none_or(|ids| ids.iter().any(|id| id.eq_ignore_ascii_case(rule)));
        if in_scope && named { &self.removed } else { &[] }
    }
}

/// Returns the ids; an error if one is not deployed.
fn known(ids: Vec<String>, deployed: &[&str]) -> Result<Vec<String>, ProcessingRuleError> {
    let unknown =
        ids.iter().find(|id| !deployed.iter().any(|deployed| deployed.eq_ignore_ascii_case(id)));
    match unknown {
        Some(id) => Err(ProcessingRuleError::UnknownRule(id.clone())),
        None => Ok(ids),
    }
}

fn monitor_condition(value: &str) -> Result<MonitorCondition, ProcessingRuleError> {
    [MonitorCondition::Fired, MonitorCondition::Resolved]
        .into_iter()
        .find(|condition| condition.as_str() == value)
        .ok_or_else(|| unsupported("conditions[].values", value, "`Fired` and `Resolved`"))
}

/// Whether the resource with the id `inner` is, or is contained in, the one with the id `outer`.
fn contains(outer: &str, inner: &str) -> bool {
    let (outer, inner) = (outer.to_ascii_lowercase(), inner.to_ascii_lowercase());
    inner.strip_prefix(&outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
