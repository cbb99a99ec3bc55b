//! The body of a mail, with the rows of Azure's mail about a log alert.

use jiff::Timestamp;

use super::{resource_id::ResourceId, schema, subject};
use crate::rules::{MonitorCondition, Notification};

/// The width of the column of names, in characters.
const NAMES: usize = 28;

/// Renders the whole body.
pub(super) fn render(notification: &Notification) -> String {
    let Notification { rule, condition, dimensions, value, fired, evaluated } = notification;
    let scope = ResourceId::new(&rule.scope);
    let mut rows = MailRows::default();
    rows.heading(&subject::azure_default(notification));
    rows.row("Alert name", &rule.name);
    rows.row("Severity", &format!("Sev{}", rule.severity));
    rows.row("Monitor condition", condition.as_str());
    rows.row("Affected resource", scope.name);
    if dimensions.iter().any(|(name, _)| name == "Computer") {
        rows.row("Configuration items", &schema::configuration_item(notification));
    }
    rows.row("Resource type", &scope.resource_type);
    rows.row("Resource group", scope.group);
    rows.row("Subscription", scope.subscription);
    rows.row("Description", &rule.description);
    rows.row("Monitoring service", "Log Alerts V2");
    rows.row("Signal type", "Log");
    rows.row("Fired time", &time(*fired));
    if *condition == MonitorCondition::Resolved {
        rows.row("Resolved time", &time(*evaluated));
    }
    rows.row("Alert ID", &schema::alert_id(notification).to_string());
    rows.row("Alert rule ID", &rule.id);
    rows.heading("Alert condition");
    for (name, value) in dimensions {
        rows.row(&format!("Dimension {name}"), value);
    }
    if let Some(value) = value {
        rows.row("Metric value", &value.to_string());
    }
    rows.row("Metric measure column", rule.condition.measure.as_deref().unwrap_or_default());
    rows.row("Time aggregation", rule.condition.aggregation.as_str());
    rows.row("Operator", rule.condition.operator.as_str());
    rows.row("Threshold", &rule.condition.threshold.to_string());
    rows.row("Number of violations", &rule.condition.failing.minimum().to_string());
    rows.row("Number of examined periods", &rule.condition.failing.evaluations().to_string());
    rows.0
}

/// Formats a time as Azure's mails do.
fn time(at: Timestamp) -> String {
    at.strftime("%B %-d, %Y %-H:%M UTC").to_string()
}

/// Lines with a name and a value, under headings.
#[derive(Default)]
struct MailRows(String);

impl MailRows {
    fn heading(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(text);
        self.0.push_str("\n\n");
    }

    /// Adds a row; omits one without a value.
    fn row(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let row = format!("{name:<NAMES$}{value}").replace(char::is_control, " ");
            self.0.push_str(row.trim_end());
            self.0.push('\n');
        }
    }
}
