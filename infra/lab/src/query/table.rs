//! The rows that queries read and return, and the values in a row's message.

use ispmon_wire::comparison_key;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The maximum time range of an alert rule's query, whatever the query specifies: "the query only
/// scans up to two days"
/// (<https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule>).
pub const LONGEST_RANGE: SignedDuration = SignedDuration::from_hours(48);

/// One row of the table `traces`: a line that the function wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// When the line was written.
    pub timestamp: Timestamp,
    /// The line.
    pub message: String,
}

/// Converts a line of the function to a message as the host passes it on: without the line feed.
pub fn message(line: &ispmon_function::line::TraceLine) -> String {
    String::from_utf8_lossy(line.as_bytes()).trim_end().to_owned()
}

/// One row of a query's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The columns by which a rule splits its alerts, as name and value.
    pub dimensions: Vec<(String, String)>,
    /// The measured column, in the unit of the query.
    pub value: f64,
}

/// Parses the JSON in a message from `mark` on, if its event is `name`.
///
/// Text before `mark` is skipped, in case a later host writes a prefix.
pub(crate) fn event(message: &str, mark: &str, name: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(&message[message.find(mark)?..]).ok()?;
    (text(&line["event"]) == name).then_some(line)
}

/// The key of the device that sent a line. Lines of older versions contain only the name.
pub(super) fn device_key(line: &Value) -> String {
    match text(&line["key"]) {
        key if key.is_empty() => comparison_key(&text(&line["device"])),
        key => key,
    }
}

/// Converts a JSON value as Kusto's `tostring` does.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
