//! The queries of the alert rules, in Rust.
//!
//! A query is recognized by its text: it must be exactly one of the templates in `infra/queries`
//! with values for the placeholders. So the lab can never evaluate another query than the deployed
//! one. `infra/queries/compare.py` proves that the Rust and the Kusto text yield the same rows, on
//! the timelines that [`crate::timelines`] generates.
//!
//! - [`device_silent_minute`] is another form of [`device_silent`], with the same result.
//! - [`silence`] computes from the heartbeats since when a device is silent.
//! - [`device_silent`], [`device_silent_reminder`] and [`outage_report`] are one query each.
//! - [`table`] has the rows that a query reads and returns.
//! - [`template`] parses parameters out of a query's text, and renders a text with parameters.

pub mod device_silent;
pub mod device_silent_minute;
pub mod device_silent_reminder;
pub mod outage_report;
pub mod silence;
pub mod table;
pub mod template;

use jiff::Timestamp;

pub use device_silent::DeviceSilent;
pub use device_silent_reminder::DeviceSilentReminder;
pub use outage_report::OutageReportQuery;
pub use table::{LONGEST_RANGE, Row, Trace, message};
pub use template::{QueryError, Template};

/// A query with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// How long every expected device has been silent.
    DeviceSilent(DeviceSilent),
    /// All silent devices, at the times of reminders.
    DeviceSilentReminder(DeviceSilentReminder),
    /// Outages that have ended.
    OutageReport(OutageReportQuery),
}

/// The text of every query that the lab implements, by file name.
pub const TEMPLATES: [&Template; 4] = [
    &device_silent::TEMPLATE,
    &device_silent_minute::TEMPLATE,
    &device_silent_reminder::TEMPLATE,
    &outage_report::TEMPLATE,
];

impl Query {
    /// Recognizes a query by its text in an alert rule.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let silent = match device_silent::TEMPLATE.capture(text) {
            Ok(captures) => return DeviceSilent::from_captures(&captures).map(Self::DeviceSilent),
            Err(difference) => difference,
        };
        let reminder = match device_silent_reminder::TEMPLATE.capture(text) {
            Ok(captures) => {
                return DeviceSilentReminder::from_captures(&captures)
                    .map(Self::DeviceSilentReminder);
            }
            Err(difference) => difference,
        };
        let report = match outage_report::TEMPLATE.capture(text) {
            Ok(captures) => {
                return OutageReportQuery::from_captures(&captures).map(Self::OutageReport);
            }
            Err(difference) => difference,
        };
        let closest = [report, reminder].into_iter().fold(silent, |closest, other| {
            if other.offset < closest.offset { closest } else { other }
        });
        Err(closest.error)
    }

    /// The text of the query in an alert rule.
    pub fn text(&self) -> String {
        match self {
            Self::DeviceSilent(query) => query.text(),
            Self::DeviceSilentReminder(query) => query.text(),
            Self::OutageReport(query) => query.text(),
        }
    }

    /// The same query for other devices.
    #[must_use]
    pub fn with_devices(&self, devices: &[String]) -> Self {
        let devices = devices.to_vec();
        match self {
            Self::DeviceSilent(_) => Self::DeviceSilent(DeviceSilent { devices }),
            Self::DeviceSilentReminder(query) => {
                Self::DeviceSilentReminder(DeviceSilentReminder { devices, ..query.clone() })
            }
            Self::OutageReport(query) => {
                Self::OutageReport(OutageReportQuery { devices, ..query.clone() })
            }
        }
    }

    /// Evaluates the query at `now` on the rows that are visible by then.
    pub fn evaluate(&self, now: Timestamp, rows: &[Trace]) -> Vec<Row> {
        match self {
            Self::DeviceSilent(query) => query.evaluate(now, rows),
            Self::DeviceSilentReminder(query) => query.evaluate(now, rows),
            Self::OutageReport(query) => query.evaluate(now, rows),
        }
    }

    /// The name of the column that becomes [`Row::value`].
    pub fn measured_column(&self) -> &'static str {
        match self {
            Self::DeviceSilent(_) => device_silent::MEASURED_COLUMN,
            Self::DeviceSilentReminder(_) => device_silent_reminder::MEASURED_COLUMN,
            Self::OutageReport(_) => outage_report::MEASURED_COLUMN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn reminder() -> DeviceSilentReminder {
        DeviceSilentReminder {
            devices: devices(&["it's", r"back\slash", "', '"]),
            silence_minutes: 6.5,
            frequency_minutes: 5,
            marks: vec![10, 60],
            daily_hour: 8,
        }
    }

    #[test]
    fn a_query_is_parsed_back_from_its_own_text() {
        let silent = Query::DeviceSilent(DeviceSilent { devices: reminder().devices });
        assert_eq!(Query::parse(&silent.text()), Ok(silent));
        let reminder = Query::DeviceSilentReminder(reminder());
        assert_eq!(Query::parse(&reminder.text()), Ok(reminder));
        let devices = devices(&["it's"]);
        let report = Query::OutageReport(OutageReportQuery { devices, minimum_minutes: 12 });
        assert_eq!(Query::parse(&report.text()), Ok(report));
    }

    #[test]
    fn an_unknown_query_is_an_error_with_the_first_difference() {
        let text = Query::DeviceSilentReminder(reminder()).text();
        let error = Query::parse(&text.replace("== 'heartbeat'", "== 'beat'")).unwrap_err();
        insta::assert_snapshot!(error, @r#"the query is most like device-silent-reminder.kql, but where that has "heartbeat'\n| extend key = iff(isempty(to" the query has "beat'\n| extend key = iff(isempty(tostrin""#);
        let error = Query::parse(&text.replace("due > 0", "due >= 0")).unwrap_err();
        insta::assert_snapshot!(error, @r#"the query is most like device-silent-reminder.kql, but where that has " 0\n| extend moreText = iff(devices > 5, " the query has "= 0\n| extend moreText = iff(devices > 5,""#);
        let error = Query::parse(&format!("{text};")).unwrap_err();
        insta::assert_snapshot!(error, @r#"the query is most like device-silent-reminder.kql, but where that has "" the query has ";""#);
        let error = Query::parse(&text[..text.len() - 1]).unwrap_err();
        insta::assert_snapshot!(error, @r#"the query is most like device-silent-reminder.kql, but where that has "0" the query has """#);
    }

    #[test]
    fn an_unknown_query_is_compared_with_the_template_of_the_longest_common_prefix() {
        let text = Query::OutageReport(OutageReportQuery {
            devices: devices(&["one"]),
            minimum_minutes: 5,
        })
        .text();
        let error = Query::parse(&text.replace("'incident'", "'gap'")).unwrap_err();
        insta::assert_snapshot!(error, @r#"the query is most like outage-report.kql, but where that has "incident' and causeCode !in ('endpoint'," the query has "gap' and causeCode !in ('endpoint', 'cre""#);
    }

    #[test]
    fn a_parameter_out_of_range_is_an_error_that_names_it() {
        let text = Query::DeviceSilentReminder(reminder()).text();
        let error = Query::parse(&text.replace("tolong('8')", "tolong('24')")).unwrap_err();
        insta::assert_snapshot!(error, @r#"the parameter DAILY_HOUR of device-silent-reminder.kql is "24"; it must be an hour from 0 to 23"#);
        let error = Query::parse(&text.replace("[10, 60]", "['x']")).unwrap_err();
        insta::assert_snapshot!(error, @r#"the parameter MARKS of device-silent-reminder.kql is "x"; it must be a list of whole numbers"#);
        let error = Query::parse(&text.replacen("todouble('5')", "todouble('10')", 1)).unwrap_err();
        insta::assert_snapshot!(error, @r#"the parameter FREQUENCY_MINUTES of device-silent-reminder.kql is both "10" and "5""#);
        let text = Query::OutageReport(OutageReportQuery {
            devices: devices(&["one"]),
            minimum_minutes: 5,
        })
        .text();
        let error = Query::parse(&text.replace("tolong('5')", "tolong('0')")).unwrap_err();
        insta::assert_snapshot!(error, @r#"the parameter MINIMUM_MINUTES of outage-report.kql is "0"; it must be a whole number of minutes, 1 or more"#);
        let error = Query::parse(device_silent_reminder::TEMPLATE.text.trim()).unwrap_err();
        insta::assert_snapshot!(error, @r#"the parameter SILENCE_MINUTES of device-silent-reminder.kql is "SILENCE_MINUTES"; it must be a number of minutes"#);
    }

    #[test]
    fn replacing_the_devices_changes_nothing_else() {
        let one = Query::DeviceSilentReminder(reminder()).with_devices(&devices(&["one"]));
        let expected = DeviceSilentReminder { devices: devices(&["one"]), ..reminder() };
        assert_eq!(one, Query::DeviceSilentReminder(expected));
    }
}
