//! One item of telemetry, in the format in which the Functions host sends it to Application
//! Insights.
//!
//! The format was recorded with Functions host 4.1037; a test compares it with those recordings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

/// The most characters (UTF-16 units) that Application Insights keeps of a message.
///
/// Source: "Trace/exception message length" in the service limits of Application Insights.
pub const MESSAGE_UNITS: usize = 32_768;
/// The most characters (UTF-16 units) that Application Insights keeps of a property's value.
///
/// Source: "Property and metric value string length" in the service limits of Application Insights.
pub const PROPERTY_UNITS: usize = 8_192;

/// One item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TelemetryItem {
    /// The workspace table that stores the item.
    pub name: Table,
    /// When it happened: for a trace, when the host read the line; for a request, when it began.
    #[serde(serialize_with = "ticks")]
    pub time: Timestamp,
    /// Origin and correlation.
    pub tags: Tags,
    /// The contents.
    pub data: Data,
}

/// The tables that the host writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Table {
    /// `traces`, in the workspace `AppTraces`.
    AppTraces,
    /// `requests`, in the workspace `AppRequests`.
    AppRequests,
}

/// Origin and correlation of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// The instance of the function app.
    #[serde(rename = "ai.cloud.roleInstance")]
    pub role_instance: String,
    /// The trace id of the request, 32 hexadecimal digits; absent for console lines.
    #[serde(rename = "ai.operation.id", skip_serializing_if = "Option::is_none", default)]
    pub operation_id: Option<String>,
    /// The span that the item belongs to, 16 hexadecimal digits.
    #[serde(rename = "ai.operation.parentId", skip_serializing_if = "Option::is_none", default)]
    pub operation_parent_id: Option<String>,
    /// The name of the function.
    #[serde(rename = "ai.operation.name", skip_serializing_if = "Option::is_none", default)]
    pub operation_name: Option<String>,
    /// The client's address; Application Insights stores `0.0.0.0` instead.
    #[serde(rename = "ai.location.ip")]
    pub location: String,
    /// The host's version.
    #[serde(rename = "ai.internal.sdkVersion")]
    pub sdk_version: String,
}

/// The contents of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "baseType", content = "baseData")]
pub enum Data {
    /// A row of `traces`.
    MessageData(TraceItem),
    /// A row of `requests`.
    RequestData(RequestItem),
}

/// A row of `traces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceItem {
    /// The version of the schema.
    pub ver: u8,
    /// The text; for a line that the function wrote, exactly that line.
    pub message: String,
    /// The severity.
    #[serde(rename = "severityLevel")]
    pub severity: Severity,
    /// `customDimensions` of the row.
    pub properties: BTreeMap<String, String>,
}

/// A row of `requests`: one invocation of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestItem {
    /// The version of the schema.
    pub ver: u8,
    /// The span of the invocation, 16 hexadecimal digits.
    pub id: String,
    /// The name of the function.
    pub name: String,
    /// The duration, `hh:mm:ss.fffffff`.
    pub duration: String,
    /// Whether the host could invoke the function; a response of 500 from the function is a
    /// success.
    pub success: bool,
    /// The HTTP status.
    #[serde(rename = "responseCode")]
    pub response_code: String,
    /// The URL without its query, so that no key is stored.
    pub url: String,
    /// `customDimensions` of the row.
    pub properties: BTreeMap<String, String>,
}

/// The severity of a trace, which is also the log level by which it is filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// `Verbose`: log levels Trace and Debug.
    Verbose,
    /// `Information`.
    Information,
    /// `Warning`.
    Warning,
    /// `Error`.
    Error,
    /// `Critical`.
    Critical,
}

impl Severity {
    /// The name of the level, as in `LogLevel`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verbose => "Debug",
            Self::Information => "Information",
            Self::Warning => "Warning",
            Self::Error => "Error",
            Self::Critical => "Critical",
        }
    }
}

/// Cuts a text to the number of UTF-16 units that Application Insights keeps, never inside a
/// character.
pub fn cut(text: &str, units: usize) -> &str {
    if text.len() <= units {
        return text;
    }
    let mut room = units;
    for (at, character) in text.char_indices() {
        match room.checked_sub(character.len_utf16()) {
            Some(left) => room = left,
            None => return &text[..at],
        }
    }
    text
}

/// Serializes a timestamp with the seven decimal places of .NET's ticks.
fn ticks<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.7}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = include_str!("../../tests/fixtures/functions-host/telemetry.jsonl");

    #[test]
    fn every_recorded_item_is_parsed_and_written_back_unchanged() {
        let mut items = 0;
        for line in RECORDED.lines() {
            let item: TelemetryItem = serde_json::from_str(line).expect(line);
            let written: serde_json::Value = serde_json::to_value(&item).expect("an item");
            let recorded: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(written, recorded);
            items += 1;
        }
        assert_eq!(items, 7);
    }

    #[test]
    fn texts_are_cut_by_utf16_units_and_never_inside_a_character() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc");
        assert_eq!(cut("äöü", 2), "äö");
        // Each emoji takes two units.
        assert_eq!(cut("😀😀", 4), "😀😀");
        assert_eq!(cut("😀😀", 3), "😀");
        assert_eq!(cut("😀", 1), "");
    }
}
