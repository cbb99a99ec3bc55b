//! The common alert schema: the document to which a subject's `${data…}` paths refer.
//!
//! The format is that of a log alert whose `monitoringService` is "Log Alerts V2" (Microsoft Learn,
//! "Sample alert payloads"). The search results and the links to them are left out: they never
//! reach a mail.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::resource_id::ResourceId;
use crate::rules::{MonitorCondition, Notification};

/// The id of a notification's alert: the same when it fires and when it resolves.
pub(super) fn alert_id(notification: &Notification) -> Uuid {
    let Notification { rule, dimensions, fired, .. } = notification;
    let name = json!([rule.id, dimensions, fired.as_nanosecond().to_string()]).to_string();
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
}

/// The alert's configuration item: the value of the dimension `Computer`, else the rule's scope
/// (Microsoft Learn, "Common alert schema"). A mail shows it whatever its subject is.
pub(super) fn configuration_item(notification: &Notification) -> String {
    let computer = notification.dimensions.iter().find(|(name, _)| name == "Computer");
    computer.map_or_else(|| notification.rule.scope.to_lowercase(), |(_, value)| value.clone())
}

/// The whole document.
pub(super) fn document(notification: &Notification) -> Value {
    let Notification { rule, condition, dimensions, value, fired, evaluated } = notification;
    let scope = ResourceId::new(&rule.scope);
    let resolved = (*condition == MonitorCondition::Resolved).then(|| time(*evaluated));
    let dimensions: Vec<Value> =
        dimensions.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let window_start = evaluated.saturating_sub(rule.range).unwrap_or(Timestamp::MIN);
    json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": format!(
                    "/subscriptions/{}/providers/Microsoft.AlertsManagement/alerts/{}",
                    scope.subscription,
                    alert_id(notification),
                ),
                "alertRule": rule.name,
                "alertRuleID": rule.id,
                "severity": format!("Sev{}", rule.severity),
                "signalType": "Log",
                "monitorCondition": condition.as_str(),
                "monitoringService": "Log Alerts V2",
                "alertTargetIDs": [rule.scope.to_lowercase()],
                "configurationItems": [configuration_item(notification)],
                "firedDateTime": time(*fired),
                "resolvedDateTime": resolved,
                "description": rule.description,
                "essentialsVersion": "1.0",
                "alertContextVersion": "1.0",
            },
            "alertContext": {
                "properties": null,
                "conditionType": "LogQueryCriteria",
                "condition": {
                    "windowSize": rule.range.to_string(),
                    "allOf": [{
                        "searchQuery": rule.query,
                        "metricMeasureColumn": rule.condition.measure,
                        "targetResourceTypes": format!("['{}']", scope.resource_type),
                        "operator": rule.condition.operator.as_str(),
                        "threshold": rule.condition.threshold.to_string(),
                        "timeAggregation": rule.condition.aggregation.as_str(),
                        "dimensions": dimensions,
                        "metricValue": value,
                        "failingPeriods": {
                            "numberOfEvaluationPeriods": rule.condition.failing.evaluations(),
                            "minFailingPeriodsToAlert": rule.condition.failing.minimum(),
                        },
                    }],
                    "windowStartTime": time(window_start),
                    "windowEndTime": time(*evaluated),
                },
            },
            "customProperties": null,
        },
    })
}

/// Formats a time as the schema's samples do.
fn time(at: Timestamp) -> String {
    format!("{at:.7}")
}
