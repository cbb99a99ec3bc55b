//! Which outages are reported, and the text of the report.

use std::collections::BTreeSet;

use ispmon_agent::outage::Cause;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

/// A line that was written `minutes_ago`, with `fields` replacing the default ones.
fn line(minutes_ago: f64, fields: Value) -> Trace {
    let mut line = json!({
        "device": "dl-home", "id": "a", "kind": "incident", "cause": "isp",
        "party": "provider", "started": "2026-11-24T02:10:07.9Z",
        "ended": "2026-11-24T02:30:10Z", "downtime_s": 1203,
    });
    let (Some(line_fields), Value::Object(fields)) = (line.as_object_mut(), fields) else {
        panic!("fields");
    };
    line_fields.extend(fields);
    Trace {
        timestamp: now() - SignedDuration::from_secs_f64(minutes_ago * 60.0),
        message: line.to_string().replacen('{', r#"{"event":"outage","#, 1),
    }
}

fn evaluate(rows: &[Trace]) -> Vec<Row> {
    let devices = ["dl-home", "Office"].map(str::to_owned).to_vec();
    OutageReportQuery { devices, minimum_minutes: 5 }.evaluate(now(), rows)
}

fn value(row: &Row, name: &str) -> String {
    row.dimensions.iter().find(|(column, _)| column == name).unwrap().1.clone()
}

#[test]
fn a_report_has_cause_party_times_and_duration() {
    let [row] = &evaluate(&[line(1.0, json!({}))])[..] else { panic!("one row") };
    let texts: Vec<_> =
        row.dimensions.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    Cause: isp (provider)
    Computer: dl-home
    Duration: 20 min 3 s
    End: 2026-11-24 02:30:10 UTC
    Id: a
    Start: 2026-11-24 02:10:07 UTC
    ");
    assert!((row.value - 20.0).abs() < 1e-9);
}

#[test]
fn causes_are_shown_in_words_with_their_party() {
    for (fields, expected) in [
        (json!({"cause": "gateway", "party": "yours"}), "gateway (yours)"),
        (json!({"cause": "firewall", "party": "yours"}), "firewall (yours)"),
        (json!({"cause": "captive_portal", "party": "other"}), "captive portal (other)"),
        (json!({"cause": "unstable", "party": null}), "unstable"),
    ] {
        let [row] = &evaluate(&[line(1.0, fields)])[..] else { panic!("one row") };
        assert_eq!(value(row, "Cause"), expected);
    }
}

#[test]
fn the_downtime_of_one_family_is_shown_next_to_the_downtime() {
    let of = |scopes: &[&str]| {
        json!(
            scopes.iter().map(|scope| json!({"cause": "isp", "scope": scope})).collect::<Vec<_>>()
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
        assert_eq!(value(row, "Duration"), expected);
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
fn causes_without_downtime_are_those_of_the_agent() {
    let readme = include_str!("../../../../README.md");
    // The downtime of a flapping connection is that of its segments; `up` is the cause of a segment only.
    let others = [Cause::Unstable, Cause::Up];
    let expected: BTreeSet<_> = Cause::ALL
        .into_iter()
        .filter(|cause| !cause.is_downtime() && !others.contains(cause))
        .map(Cause::as_str)
        .collect();
    assert_eq!(BTreeSet::from(NO_DOWNTIME), expected);
    let quoted = NO_DOWNTIME.map(|cause| format!("'{cause}'")).join(", ");
    let condition = format!("causeCode !in ({quoted})");
    assert!(TEMPLATE.text.contains(&condition), "outage-report.kql: {condition}");
    let [first @ .., last] = &NO_DOWNTIME.map(|cause| format!("`{cause}`"));
    let sentence = format!("the causes {} and {last} are never reported", first.join(", "));
    assert!(readme.contains(&sentence), "infra/README.md: {sentence}");
}

#[test]
fn gaps_short_outages_and_incidents_without_downtime_are_not_reported() {
    for fields in [
        json!({"kind": "gap", "cause": "suspended"}),
        json!({"kind": "unknown"}),
        json!({"downtime_s": 299}),
        json!({"downtime_s": null}),
        json!({"device": "stranger"}),
        json!({"key": "d:stranger"}),
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
fn only_the_first_row_counts_and_it_is_shown_for_six_hours() {
    let other = json!({"downtime_s": 5_000});
    let again = |minutes_ago| line(minutes_ago, other.clone());
    // It is three o'clock, so the hour that began six hours ago has been in the result for that
    // long.
    for (first, shown) in [(359.9, true), (360.0, true), (360.1, false)] {
        let ended = json!({"ended": "2026-11-24T02:30:10Z"});
        let rows = [again(3.0), line(first, ended), again(1.0)];
        assert_eq!(evaluate(&rows).len(), usize::from(shown), "first seen {first} min ago");
    }
    // Rows older than 48 hours are outside the query's range.
    for (first, shown) in [(2_879.0, false), (2_880.0, true)] {
        let rows = [again(3.0), line(first, json!({})), again(1.0)];
        assert_eq!(evaluate(&rows).len(), usize::from(shown), "first seen {first} min ago");
    }
    let [row] = &evaluate(&[again(1.0), line(3.0, json!({}))])[..] else { panic!("one row") };
    assert_eq!(value(row, "Duration"), "20 min 3 s");
}

/// `count` outages of a device, ten minutes each, handed over one per minute.
fn flood(device: &str, count: usize, minutes_ago: f64) -> Vec<Trace> {
    let one = |number: usize| {
        let fields = json!({
            "id": format!("{device}-{number:04}"), "device": device, "downtime_s": 600,
            "cause": if number.is_multiple_of(2) { "isp" } else { "dns" },
        });
        line(minutes_ago - number as f64 / 1_000.0, fields)
    };
    (0..count).map(one).collect()
}

fn texts(rows: &[Row], name: &str) -> Vec<String> {
    let mut texts: Vec<_> = rows.iter().map(|row| value(row, name)).collect();
    texts.sort();
    texts
}

#[test]
fn of_many_outages_ten_get_a_row_each_and_the_rest_a_summary_after_the_hour() {
    let rows = flood("dl-home", 400, 50.0);
    let singles = evaluate(&rows);
    let expected: Vec<_> = (0..10).map(|number| format!("dl-home-{number:04}")).collect();
    assert_eq!(texts(&singles, "Id"), expected);

    let rows = flood("dl-home", 400, 75.0);
    let all = evaluate(&rows);
    assert_eq!(all.len(), 11);
    let summary = all.iter().find(|row| value(row, "Id").starts_with("summary")).unwrap();
    let texts: Vec<_> =
        summary.dimensions.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    Cause: various causes
    Computer: dl-home
    Duration: 390 more outages, 2 d 17 h in all
    End: 2026-11-24 02:30:10 UTC
    Id: summary of 2026-11-24 01:00 UTC
    Start: 2026-11-24 02:10:07 UTC
    ");
    assert!((summary.value - 3_900.0).abs() < 1e-9);
}

#[test]
fn a_summary_waits_until_its_hour_is_over_and_its_lines_have_arrived() {
    let query = OutageReportQuery { devices: vec!["dl-home".to_owned()], minimum_minutes: 5 };
    let old = json!({"ended": "2026-11-22T02:30:10Z"});
    for seen in ["2026-11-24T01:00:00Z", "2026-11-24T01:59:59Z"] {
        let row = Trace { timestamp: seen.parse().unwrap(), ..line(0.0, old.clone()) };
        let shown =
            |at: &str| query.evaluate(at.parse().unwrap(), std::slice::from_ref(&row)).len();
        assert_eq!(shown("2026-11-24T02:01:59.999Z"), 0);
        assert_eq!(shown("2026-11-24T02:02:00Z"), 1);
        assert_eq!(shown("2026-11-24T07:59:59.999Z"), 1);
        assert_eq!(shown("2026-11-24T08:00:00Z"), 0);
    }
}

#[test]
fn an_outage_that_ended_more_than_a_day_before_it_was_handed_over_is_only_summed_up() {
    let of = |id: &str, ended: &str| line(70.0, json!({"id": id, "ended": ended}));
    let rows = [
        of("new", "2026-11-23T01:50:01Z"),
        of("old", "2026-11-23T01:50:00Z"),
        of("older", "2026-11-03T01:50:00Z"),
        of("no time", "soon"),
    ];
    let shown = evaluate(&rows);
    assert_eq!(texts(&shown, "Duration"), ["20 min 3 s", "3 more outages, 1 h in all"]);
    let one = evaluate(&rows[1..2]);
    assert_eq!(texts(&one, "Duration"), ["1 more outage, 20 min 3 s"]);
    assert_eq!(texts(&one, "Id"), ["summary of 2026-11-24 01:00 UTC"]);
}

#[test]
fn all_devices_together_never_have_more_rows_than_a_rule_can_take() {
    let devices: Vec<_> = (0..200).map(|number| format!("d{number:03}")).collect();
    let query = OutageReportQuery { devices: devices.clone(), minimum_minutes: 5 };
    let mut rows = Vec::new();
    for hour in 0..9 {
        for (number, device) in devices.iter().enumerate() {
            let mut some = flood(device, 5 + number % 20, 60.0 * f64::from(hour) - 20.0);
            for row in &mut some {
                row.message = row.message.replace(r#""id":""#, &format!(r#""id":"{hour}-"#));
            }
            rows.extend(some);
        }
    }
    // The most recent of the seven hours is not over.
    let shown = query.evaluate(now() + SignedDuration::from_mins(29), &rows);
    assert_eq!(shown.len(), 7 * 24 + 6 * 11);
    let others = shown.iter().filter(|row| value(row, "Computer") == "190 more devices");
    assert_eq!(others.count(), 6);
}

#[test]
fn outages_of_two_devices_and_two_of_one_are_apart() {
    let rows = [
        line(1.0, json!({"id": "a"})),
        line(1.0, json!({"id": "b"})),
        line(1.0, json!({"id": "c", "device": "office"})),
    ];
    let mut ids: Vec<_> = evaluate(&rows).iter().map(|row| value(row, "Id")).collect();
    ids.sort();
    assert_eq!(ids, ["a", "b", "c"]);
}
