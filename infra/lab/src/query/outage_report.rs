//! Handed-over outages that have ended: one row each for the first ones of an hour, and one row per
//! device and hour for the others.
//!
//! A stateful rule mails each row once, so a row must not change while the query returns it, and
//! there must not be too many: Azure does not evaluate more than 300, and an address that received
//! 100 mails in an hour gets no more, also none from other rules. So outages are grouped by the
//! hour in which their first line was written, which never changes. Each hour stays in the result
//! until six hours after its end, because lines can arrive late. A repeated id changes nothing:
//! only its first row within 48 hours counts, for both contents and time.

mod selection;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    silence::tenths,
    table::{LONGEST_RANGE, Row, Trace, device_key, event, text},
    template::{Captures, QueryError, Template, quote, quote_all},
};
use ispmon_wire::comparison_key;
use selection::{ReportEntry, SelectedOutage};

/// `infra/queries/outage-report.kql`.
pub const TEMPLATE: Template = Template {
    name: "outage-report.kql",
    text: include_str!("../../../queries/outage-report.kql"),
    placeholders: &["DEVICES", "MINIMUM_MINUTES"],
};

/// The column that the rule measures, in minutes.
pub const MEASURED_COLUMN: &str = "downtimeMinutes";

/// How long an hour is in the result, counted from its beginning.
pub const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(7);

/// How long after its beginning the summary of an hour appears: when the hour is over and its lines
/// have arrived.
pub const SUMMED_UP_AFTER: SignedDuration = SignedDuration::from_mins(62);

/// The text by which the query finds the log lines of outages.
pub(crate) const OUTAGE_PREFIX: &str = r#"{"event":"outage""#;

/// The maximum time from the end of an outage to its first line for a row of its own.
const FRESH: SignedDuration = SignedDuration::from_hours(24);

/// Causes that are no internet downtime, whatever their line reports, as in the query's text.
const NO_DOWNTIME: [&str; 4] = ["endpoint", "credentials", "clock", "degraded"];

/// The query and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutageReportQuery {
    /// The expected devices, at most 200 per rule; others are not reported.
    pub devices: Vec<String>,
    /// The minimum minutes of downtime to report.
    pub minimum_minutes: u32,
}

impl OutageReportQuery {
    pub(super) fn from_captures(captures: &Captures) -> Result<Self, QueryError> {
        let minutes = |text: &str| text.parse().ok().filter(|minutes| *minutes > 0);
        let minimum_minutes =
            captures.one("MINIMUM_MINUTES", minutes, "a whole number of minutes, 1 or more")?;
        Ok(Self { devices: captures.texts("DEVICES")?, minimum_minutes })
    }

    pub(super) fn text(&self) -> String {
        TEMPLATE.fill(&[
            ("DEVICES", quote_all(&self.devices)),
            ("MINIMUM_MINUTES", quote(&self.minimum_minutes.to_string())),
        ])
    }

    /// Returns the rows for the incidents that were first handed over in the last hours and had
    /// enough internet downtime: at most 35 for each of seven hours.
    pub fn evaluate(&self, now: Timestamp, rows: &[Trace]) -> Vec<Row> {
        let expected: HashMap<_, _> =
            self.devices.iter().map(|device| (comparison_key(device), device)).collect();
        let mut first: HashMap<String, (Timestamp, &String, Value)> = HashMap::new();
        for row in rows.iter().filter(|row| row.timestamp > now - LONGEST_RANGE) {
            let Some(line) = event(&row.message, OUTAGE_PREFIX, "outage") else {
                continue;
            };
            let Some(&device) = expected.get(&device_key(&line)) else { continue };
            let id = text(&line["id"]);
            if first.get(&id).is_none_or(|(known, ..)| row.timestamp < *known) {
                first.insert(id, (row.timestamp, device, line));
            }
        }
        let outages = first
            .into_iter()
            .filter(|(_, (seen, ..))| selection::hour(*seen) > now - SHOWN_FOR)
            .filter_map(|(id, (seen, device, line))| self.outage(id, seen, device, &line))
            .collect();
        selection::entries(outages)
            .filter(|entry| entry.is_single() || now >= entry.hour + SUMMED_UP_AFTER)
            .map(|entry| row(&entry))
            .collect()
    }

    /// Parses an outage if it is to be reported.
    fn outage(
        &self,
        id: String,
        seen: Timestamp,
        device: &str,
        line: &Value,
    ) -> Option<SelectedOutage> {
        let failure = text(&line["cause"]);
        let seconds = whole(&line["downtime_s"])?;
        let reported = text(&line["kind"]) == "incident"
            && !NO_DOWNTIME.contains(&failure.as_str())
            && seconds >= 60 * i64::from(self.minimum_minutes);
        let ended = time(&line["ended"]);
        reported.then(|| SelectedOutage {
            id,
            seen,
            device: device.to_owned(),
            is_fresh: ended.is_some_and(|ended| ended > seen - FRESH),
            seconds,
            only: one_family(line),
            cause: cause(&failure, line),
            began: time(&line["started"]),
            ended,
        })
    }
}

fn row(entry: &ReportEntry) -> Row {
    let dimension = |name: &str, value| (name.to_owned(), value);
    let sum = &entry.sum;
    let lasted = duration(sum.seconds);
    let duration = match (entry.is_single(), sum.outages) {
        (true, _) => format!("{lasted}{}", sum.only),
        (false, 1) => format!("1 more outage, {lasted}"),
        (false, outages) => format!("{outages} more outages, {lasted} in all"),
    };
    let computer = match (&*entry.device, entry.devices) {
        ("", 1) => "1 more device".to_owned(),
        ("", devices) => format!("{devices} more devices"),
        (device, _) => device.to_owned(),
    };
    let id = match &*entry.id {
        "" => format!("summary of {}", entry.hour.strftime("%Y-%m-%d %H:%M UTC")),
        id => id.to_owned(),
    };
    Row {
        dimensions: vec![
            dimension("Cause", sum.cause().to_owned()),
            dimension("Computer", computer),
            dimension("Duration", duration),
            dimension("End", time_text(sum.ended)),
            dimension("Id", id),
            dimension("Start", time_text(sum.began)),
        ],
        value: tenths(sum.seconds as f64 / 60.0),
    }
}

/// Formats cause and party: `captive portal (other)`.
fn cause(failure: &str, line: &Value) -> String {
    let whose = match text(&line["party"]) {
        party if party.is_empty() => party,
        party => format!(" ({party})"),
    };
    format!("{}{whose}", failure.replace('_', " "))
}

/// Formats how long one address family was down in addition to the downtime, if at least a minute:
/// `, IPv6 only for another 12 min`.
fn one_family(line: &Value) -> String {
    let alone = whole(&line["one_family_s"]).unwrap_or(0);
    if alone < 60 {
        return String::new();
    }
    let segments = line["segments"].to_string();
    let family = match (segments.contains("ipv4"), segments.contains("ipv6")) {
        (true, false) => "IPv4",
        (false, true) => "IPv6",
        _ => "one address family",
    };
    let (hours, minutes) = (alone / 3_600, alone / 60);
    if hours > 0 {
        format!(", {family} only for another {hours} h {} min", minutes % 60)
    } else {
        format!(", {family} only for another {minutes} min")
    }
}

/// Formats seconds in their two largest units: `20 min 3 s`, `2 h 5 min`, `1 d 1 h`.
fn duration(seconds: i64) -> String {
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let largest = units[..2].iter().position(|(count, _)| *count > 0).unwrap_or(2);
    let (whole, part) = (units[largest], units[largest + 1]);
    let rest = if part.0 > 0 { format!(" {} {}", part.0, part.1) } else { String::new() };
    format!("{} {}{rest}", whole.0, whole.1)
}

/// Parses a time as the function writes it, in whole seconds: `2026-11-24T02:10:07.123Z` without
/// `.123`.
fn time(value: &Value) -> Option<Timestamp> {
    let seconds: String = text(value).chars().take(19).collect();
    format!("{seconds}Z").parse().ok()
}

fn time_text(time: Option<Timestamp>) -> String {
    let time = time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    format!("{} UTC", time.unwrap_or_default())
}

/// Converts a JSON number as Kusto's `tolong` does, truncated to a whole one.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}

#[cfg(test)]
mod tests;
