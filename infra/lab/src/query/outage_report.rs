//! Outages that are over, as their devices handed them over: one row each, for half an hour.
//!
//! The half hour is there for rows that arrive late, and for an evaluation that does not take place. A
//! stateful rule mails each outage once in it. That the same id comes again changes nothing: its first
//! row within 48 hours counts, for what it says and for when.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    QueryError, Row, Trace,
    silence::{RANGE, tenths},
    template::{Captures, Template, quote},
    text,
};

/// `infra/queries/outage-report.kql`.
pub const TEMPLATE: Template = Template {
    name: "outage-report.kql",
    text: include_str!("../../../queries/outage-report.kql"),
    placeholders: &["MINIMUM_MINUTES"],
};

/// The column that a rule measures, in minutes.
pub const MEASURED_COLUMN: &str = "downtimeMinutes";

/// How long an outage is in the result, from its first row on.
pub const SHOWN_FOR: SignedDuration = SignedDuration::from_mins(30);

/// Causes that are no time without internet, whatever their line says.
const NO_DOWNTIME: [&str; 4] = ["endpoint", "credentials", "clock", "degraded"];

/// The query and its parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutageReport {
    /// The minutes of downtime from which an outage is reported.
    pub minimum_minutes: u32,
}

impl OutageReport {
    pub(super) fn from_captures(captures: &Captures) -> Result<Self, QueryError> {
        let minutes = |text: &str| text.parse().ok().filter(|minutes| *minutes > 0);
        let minimum_minutes =
            captures.one("MINIMUM_MINUTES", minutes, "a whole number of minutes, 1 or more")?;
        Ok(Self { minimum_minutes })
    }

    pub(super) fn text(&self) -> String {
        TEMPLATE.fill(&[("MINIMUM_MINUTES", quote(&self.minimum_minutes.to_string()))])
    }

    /// One row for each incident that was first handed over in the last half hour and in which the
    /// internet was down for long enough.
    pub fn evaluate(&self, now: Timestamp, rows: &[Trace]) -> Vec<Row> {
        let mut first: HashMap<String, (Timestamp, Value)> = HashMap::new();
        for row in rows.iter().filter(|row| row.timestamp > now - RANGE) {
            let Some(line) = outage(&row.message) else { continue };
            let id = text(&line["id"]);
            if first.get(&id).is_none_or(|(known, _)| row.timestamp < *known) {
                first.insert(id, (row.timestamp, line));
            }
        }
        first
            .into_iter()
            .filter(|(_, (seen, _))| *seen > now - SHOWN_FOR)
            .filter_map(|(id, (_, line))| self.report(id, &line))
            .collect()
    }

    /// The row of an outage, if it is one that is reported.
    fn report(&self, id: String, line: &Value) -> Option<Row> {
        let failure = text(&line["cause"]);
        let seconds = whole(&line["downtime_s"])?;
        let reported = text(&line["kind"]) == "incident"
            && !NO_DOWNTIME.contains(&failure.as_str())
            && seconds >= 60 * i64::from(self.minimum_minutes);
        let dimension = |name: &str, value| (name.to_owned(), value);
        reported.then(|| Row {
            dimensions: vec![
                dimension("cause", cause(&failure, line)),
                dimension("device", text(&line["device"])),
                dimension("duration", format!("{}{}", duration(seconds), one_family(line))),
                dimension("end", time(&line["ended"])),
                dimension("id", id),
                dimension("start", time(&line["started"])),
            ],
            value: tenths(seconds as f64 / 60.0),
        })
    }
}

/// The line as JSON, when it is that of a handed-over incident or gap.
fn outage(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    (text(&line["event"]) == "outage").then_some(line)
}

/// What failed and whose part it is: `captive portal (other)`.
fn cause(failure: &str, line: &Value) -> String {
    let whose = match text(&line["party"]) {
        party if party.is_empty() => party,
        party => format!(" ({party})"),
    };
    format!("{}{whose}", failure.replace('_', " "))
}

/// For how long one address family was down beside the downtime, from a minute on:
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

/// Seconds in their two largest units: `20 min 3 s`, `2 h 5 min`, `1 d 1 h`.
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

/// A time as the function writes it, `2026-11-24T02:10:07.123Z`, as `2026-11-24 02:10:07 UTC`.
fn time(value: &Value) -> String {
    let text = text(value);
    let part = |from, length| text.chars().skip(from).take(length).collect::<String>();
    format!("{} {} UTC", part(0, 10), part(11, 8))
}

/// A JSON number as `tolong` of the Kusto query language reads it, cut off to a whole one.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T03:00:00Z".parse().unwrap()
    }

    /// A line that was written so many minutes ago, with these fields in place of the usual ones.
    fn line(minutes_ago: f64, fields: Value) -> Trace {
        let mut line = json!({
            "event": "outage", "device": "dl-home", "id": "a", "kind": "incident", "cause": "isp",
            "party": "provider", "started": "2026-11-24T02:10:07.9Z",
            "ended": "2026-11-24T02:30:10Z", "downtime_s": 1203,
        });
        let (Some(line_fields), Value::Object(fields)) = (line.as_object_mut(), fields) else {
            panic!("fields");
        };
        line_fields.extend(fields);
        Trace {
            timestamp: now() - SignedDuration::from_secs_f64(minutes_ago * 60.0),
            message: line.to_string(),
        }
    }

    fn evaluate(rows: &[Trace]) -> Vec<Row> {
        OutageReport { minimum_minutes: 5 }.evaluate(now(), rows)
    }

    fn value(row: &Row, name: &str) -> String {
        row.dimensions.iter().find(|(column, _)| column == name).unwrap().1.clone()
    }

    #[test]
    fn a_report_says_what_failed_whose_it_is_when_and_for_how_long() {
        let [row] = &evaluate(&[line(1.0, json!({}))])[..] else { panic!("one row") };
        let texts: Vec<_> =
            row.dimensions.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
        cause: isp (provider)
        device: dl-home
        duration: 20 min 3 s
        end: 2026-11-24 02:30:10 UTC
        id: a
        start: 2026-11-24 02:10:07 UTC
        ");
        assert!((row.value - 20.0).abs() < 1e-9);
    }

    #[test]
    fn causes_are_words_with_their_party() {
        for (fields, expected) in [
            (json!({"cause": "gateway", "party": "yours"}), "gateway (yours)"),
            (json!({"cause": "firewall", "party": "yours"}), "firewall (yours)"),
            (json!({"cause": "captive_portal", "party": "other"}), "captive portal (other)"),
            (json!({"cause": "unstable", "party": null}), "unstable"),
        ] {
            let [row] = &evaluate(&[line(1.0, fields)])[..] else { panic!("one row") };
            assert_eq!(value(row, "cause"), expected);
        }
    }

    #[test]
    fn the_time_in_which_one_family_was_down_stands_beside_the_downtime() {
        let of = |scopes: &[&str]| {
            json!(
                scopes
                    .iter()
                    .map(|scope| json!({"cause": "isp", "scope": scope}))
                    .collect::<Vec<_>>()
            )
        };
        let both = "one address family";
        for (alone, segments, expected) in [
            (
                json!(720),
                of(&["internet", "ipv6"]),
                "20 min 3 s, IPv6 only for another 12 min".to_owned(),
            ),
            (
                json!(60),
                of(&["ipv4", "internet"]),
                "20 min 3 s, IPv4 only for another 1 min".to_owned(),
            ),
            (
                json!(5_700),
                of(&["ipv6", "internet", "ipv4"]),
                format!("20 min 3 s, {both} only for another 1 h 35 min"),
            ),
            (json!(180), Value::Null, format!("20 min 3 s, {both} only for another 3 min")),
            (json!(59), of(&["internet", "ipv6"]), "20 min 3 s".to_owned()),
            (Value::Null, of(&["internet", "ipv6"]), "20 min 3 s".to_owned()),
        ] {
            let fields = json!({"scope": "internet", "one_family_s": alone, "segments": segments});
            let [row] = &evaluate(&[line(1.0, fields)])[..] else { panic!("one row") };
            assert_eq!(value(row, "duration"), expected);
            assert!((row.value - 20.0).abs() < 1e-9, "only the downtime is measured");
        }
    }

    #[test]
    fn an_outage_of_one_family_is_reported_for_its_internet_downtime_alone() {
        let of = |downtime| {
            let part = |scope| json!({"cause": "isp", "scope": scope});
            let fields = json!({
                "scope": if downtime > 0 { "internet" } else { "ipv6" }, "downtime_s": downtime,
                "one_family_s": 7_200, "segments": [part("ipv6"), part("internet")],
            });
            evaluate(&[line(1.0, fields)]).len()
        };
        assert_eq!((of(0), of(299), of(300)), (0, 0, 1));
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, expected) in [
            (60, "1 min"),
            (1_203, "20 min 3 s"),
            (3_600, "1 h"),
            (3_659, "1 h"),
            (7_500, "2 h 5 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn gaps_short_outages_and_what_is_no_downtime_are_not_reported() {
        for fields in [
            json!({"kind": "gap", "cause": "suspended"}),
            json!({"kind": "unknown"}),
            json!({"downtime_s": 299}),
            json!({"downtime_s": null}),
            json!({"event": "heartbeat"}),
            json!({"cause": "endpoint"}),
            json!({"cause": "credentials"}),
            json!({"cause": "clock"}),
            json!({"cause": "degraded"}),
        ] {
            assert_eq!(evaluate(&[line(1.0, fields.clone())]), [], "{fields}");
        }
        assert_eq!(evaluate(&[line(1.0, json!({"downtime_s": 300}))]).len(), 1);
    }

    #[test]
    fn an_outage_is_shown_for_half_an_hour_from_its_first_row_on_which_alone_counts() {
        let other = json!({"downtime_s": 5_000});
        let again = |minutes_ago| line(minutes_ago, other.clone());
        for (first, shown) in [(29.9, true), (30.0, false), (2_879.0, false), (2_880.0, true)] {
            let rows = [again(3.0), line(first, json!({})), again(1.0)];
            assert_eq!(evaluate(&rows).len(), usize::from(shown), "first seen {first} min ago");
        }
        let [row] = &evaluate(&[again(1.0), line(3.0, json!({}))])[..] else { panic!("one row") };
        assert_eq!(value(row, "duration"), "20 min 3 s");
    }

    #[test]
    fn outages_of_two_devices_and_two_of_one_are_apart() {
        let rows = [
            line(1.0, json!({"id": "a"})),
            line(1.0, json!({"id": "b"})),
            line(1.0, json!({"id": "c", "device": "office"})),
        ];
        let mut ids: Vec<_> = evaluate(&rows).iter().map(|row| value(row, "id")).collect();
        ids.sort();
        assert_eq!(ids, ["a", "b", "c"]);
    }
}
