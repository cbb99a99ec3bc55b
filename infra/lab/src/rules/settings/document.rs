//! The format of an evaluated deployment, as far as rules, processing rules and action groups go.
//!
//! The names are those of the resource provider's API (azure-rest-api-specs,
//! `scheduledQueryRule_API.json` 2025-01-01-preview; `ActionGroupsApi/models.tsp`;
//! alertsmanagement, `AlertProcessingRules.json` 2021-08-08).

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::rules::condition::{Aggregation, Dimension, Operator};

/// The output of `bicep snapshot`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Snapshot {
    /// The resources that Azure would get.
    pub(super) predicted_resources: Vec<Resource>,
}

/// One resource of the deployment.
#[derive(Debug, Deserialize)]
pub(super) struct Resource {
    pub(super) id: String,
    #[serde(rename = "type")]
    of_type: String,
    pub(super) name: String,
    pub(super) kind: Option<String>,
    #[serde(default)]
    properties: Value,
}

impl Resource {
    /// Whether the resource has this type; Azure compares resource types case-insensitively.
    pub(super) fn is(&self, resource_type: &str) -> bool {
        self.of_type.eq_ignore_ascii_case(resource_type)
    }

    pub(super) fn properties_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.properties)
    }
}

/// The properties of a rule.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScheduledQueryRule {
    #[serde(default)]
    pub(super) description: String,
    pub(super) severity: u8,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    pub(super) scopes: Vec<String>,
    pub(super) evaluation_frequency: String,
    pub(super) window_size: String,
    pub(super) override_query_time_range: Option<String>,
    pub(super) mute_actions_duration: Option<String>,
    /// The provider's default is true.
    #[serde(default = "yes")]
    pub(super) auto_mitigate: bool,
    pub(super) criteria: Criteria,
    #[serde(default)]
    pub(super) actions: Actions,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Criteria {
    pub(super) all_of: Vec<Criterion>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Criterion {
    #[serde(rename = "criterionType")]
    pub(super) of_type: Option<String>,
    pub(super) query: String,
    pub(super) time_aggregation: Aggregation,
    pub(super) metric_measure_column: Option<String>,
    pub(super) operator: Operator,
    pub(super) threshold: f64,
    #[serde(default)]
    pub(super) dimensions: Vec<Dimension>,
    pub(super) failing_periods: Option<Periods>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Periods {
    pub(super) number_of_evaluation_periods: u8,
    pub(super) min_failing_periods_to_alert: u8,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Actions {
    pub(super) action_groups: Vec<String>,
    pub(super) action_properties: ActionProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ActionProperties {
    #[serde(rename = "Email.Subject")]
    pub(super) email_subject: Option<String>,
}

/// The properties of an action group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActionGroup {
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) email_receivers: Vec<EmailReceiver>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EmailReceiver {
    pub(super) email_address: String,
}

/// The properties of an alert processing rule.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActionRule {
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) conditions: Vec<Filter>,
    pub(super) actions: Vec<ActionDocument>,
    pub(super) schedule: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    pub(super) field: String,
    pub(super) operator: String,
    pub(super) values: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActionDocument {
    pub(super) action_type: String,
}

const fn yes() -> bool {
    true
}
