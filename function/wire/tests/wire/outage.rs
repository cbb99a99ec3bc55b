//! The body of `POST /api/outages`.

use ispmon_wire::{
    Accepted, IncidentKind, JournalHead, MessageError, OutageReport, ReportedIncident,
    ReportedSegment, limits,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::strategies::{self, cleaned, journal, json_object, text};

const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

fn incident() -> Value {
    json!({
        "id": ID, "kind": "incident", "cause": "isp", "party": "provider", "scope": "internet",
        "started": "2026-11-23T02:10:07Z", "ended": "2026-11-23T02:30:10Z",
        "downtime_s": 1003, "one_family_s": 200,
        "segments": [
            {
                "cause": "isp", "scope": "internet",
                "from": "2026-11-23T02:10:07Z", "to": "2026-11-23T02:26:50Z",
            },
            {
                "cause": "isp", "scope": "ipv6",
                "from": "2026-11-23T02:26:50Z", "to": "2026-11-23T02:30:10Z",
            },
        ],
    })
}

fn report(incidents: &[Value]) -> Vec<u8> {
    json!({"device": "dl-home", "incidents": incidents}).to_string().into_bytes()
}

/// An incident with another value of one field.
fn with(field: &str, value: Value) -> Result<OutageReport, MessageError> {
    let mut incident = incident();
    incident[field] = value;
    OutageReport::parse(&report(&[incident]))
}

#[test]
fn all_fields_of_an_agent_are_parsed() {
    let body = json!({
        "device": "dl-home", "journal": {"seq": 41, "head": "ab12"}, "incidents": [incident()],
    });
    let time = |text: &str| text.parse::<Timestamp>().expect("a time");
    let (started, ended) = (time("2026-11-23T02:10:07Z"), time("2026-11-23T02:30:10Z"));
    let ipv4_is_back = time("2026-11-23T02:26:50Z");
    let segment = |scope: &str, from, to| ReportedSegment {
        cause: "isp".to_owned(),
        scope: Some(scope.to_owned()),
        from,
        to,
    };
    assert_eq!(
        OutageReport::parse(body.to_string().as_bytes()),
        Ok(OutageReport {
            device: Some("dl-home".to_owned()),
            journal: Some(JournalHead { seq: 41, head: "ab12".to_owned() }),
            incidents: vec![ReportedIncident {
                id: ID.parse().expect("an id"),
                kind: IncidentKind::Incident,
                cause: "isp".to_owned(),
                party: Some("provider".to_owned()),
                scope: Some("internet".to_owned()),
                started,
                ended,
                downtime_s: 1003,
                one_family_s: 200,
                segments: vec![
                    segment("internet", started, ipv4_is_back),
                    segment("ipv6", ipv4_is_back, ended),
                ],
            }],
        })
    );
}

#[test]
fn most_fields_are_optional() {
    assert_eq!(OutageReport::parse(b"{}"), Ok(OutageReport::default()));
    let gap = json!({
        "id": ID, "kind": "gap", "cause": "suspended",
        "started": "2026-11-23T02:10:07+01:00", "ended": "2026-11-23T02:10:07+01:00",
    });
    let report = OutageReport::parse(&report(&[gap])).expect("a report");
    let gap = &report.incidents[0];
    assert_eq!((gap.kind, gap.downtime_s, gap.segments.len()), (IncidentKind::Gap, 0, 0));
    assert_eq!(gap.started.to_string(), "2026-11-23T01:10:07Z");
}

#[test]
fn unknown_words_of_a_newer_agent_are_kept() {
    let report = with("kind", "storm".into()).expect("a report");
    assert_eq!(report.incidents[0].kind, IncidentKind::Unknown);
    assert!(with("evidence", json!({"router": "answered"})).is_ok());
    // Unknown causes and scopes are kept as they are: the queries name the ones that they match.
    let part = json!([{
        "cause": "some_new_cause", "scope": "some_new_scope",
        "from": "2026-11-23T02:10:07Z", "to": "2026-11-23T02:30:10Z",
    }]);
    let report = with("segments", part).expect("a report");
    let segment = &report.incidents[0].segments[0];
    assert_eq!(segment.cause, "some_new_cause");
    assert_eq!(segment.scope.as_deref(), Some("some_new_scope"));
}

#[test]
fn the_scope_of_a_segment_is_optional() {
    let part = json!([{
        "cause": "isp", "from": "2026-11-23T02:10:07Z", "to": "2026-11-23T02:30:10Z",
    }]);
    let report = with("segments", part).expect("a report");
    assert_eq!(report.incidents[0].segments[0].scope, None);
}

#[test]
fn a_report_with_one_invalid_incident_is_rejected_as_a_whole() {
    for (field, value, sentence) in [
        ("ended", json!("2026-11-23T02:10:06Z"), format!("Incident {ID} ends before it starts.")),
        (
            "segments",
            json!([{"cause": "isp", "from": "2026-11-23T02:10:07Z", "to": "2026-11-23T02:10:06Z"}]),
            format!("Incident {ID} ends before it starts."),
        ),
        ("downtime_s", json!(1006), format!("Incident {ID} has more downtime than it lasted.")),
        ("one_family_s", json!(203), format!("Incident {ID} has more downtime than it lasted.")),
        (
            "one_family_s",
            json!(u64::MAX),
            format!("Incident {ID} has more downtime than it lasted."),
        ),
        (
            "segments",
            Value::Array(vec![incident()["segments"][0].clone(); 21]),
            format!("Incident {ID} has 21 segments; at most 20 are accepted."),
        ),
    ] {
        assert_eq!(with(field, value).expect_err(field).to_string(), sentence);
    }
    for (field, value) in [
        ("id", json!("not-a-uuid")),
        ("kind", json!(5)),
        ("cause", Value::Null),
        ("started", json!("yesterday")),
        ("ended", json!("2026-13-01T00:00:00Z")),
        ("segments", json!("none")),
        (
            "segments",
            json!([{"cause": "isp", "scope": 6,
            "from": "2026-11-23T02:10:07Z", "to": "2026-11-23T02:30:10Z"}]),
        ),
    ] {
        let error = with(field, value).expect_err(field);
        assert!(matches!(error, MessageError::Malformed(_)), "{field}: {error:?}");
    }
}

#[test]
fn downtime_may_be_rounded_or_out_of_range() {
    for (downtime, seconds) in
        [(json!(1005), 1005), (json!(1003.9), 1003), (json!(-1), 0), (Value::Null, 0)]
    {
        let report = with("downtime_s", downtime.clone()).expect("a report");
        assert_eq!(report.incidents[0].downtime_s, seconds, "{downtime}");
    }
    let mut alone = incident();
    (alone["downtime_s"], alone["one_family_s"]) = (json!(1204), json!(0));
    assert!(OutageReport::parse(&report(&[alone.clone()])).is_ok());
    alone["downtime_s"] = json!(1205);
    assert!(OutageReport::parse(&report(&[alone])).is_err());
}

#[test]
fn a_report_holds_100_incidents_at_most() {
    let mut short = incident();
    short["segments"] = json!([]);
    let full = OutageReport::parse(&report(&vec![short.clone(); 100])).expect("a report");
    assert_eq!(full.incidents.len(), limits::INCIDENTS);
    let error = OutageReport::parse(&report(&vec![short; 101])).expect_err("a refusal");
    assert_eq!(
        error.to_string(),
        "The report holds 101 incidents; at most 100 are accepted at once."
    );
}

#[test]
fn a_body_has_64_kib_at_most() {
    let mut body = report(&[incident()]);
    body.resize(limits::BODY_BYTES, b' ');
    assert!(OutageReport::parse(&body).is_ok());
    body.push(b' ');
    assert_eq!(OutageReport::parse(&body), Err(MessageError::TooLong));
}

#[test]
fn an_empty_body_is_no_report() {
    assert!(matches!(OutageReport::parse(b""), Err(MessageError::Malformed(_))));
    assert_eq!(OutageReport::parse(b"[]"), Err(MessageError::NotAnObject));
}

#[test]
fn long_texts_are_cut() {
    let report = with("cause", "ü".repeat(65).into()).expect("a report");
    assert_eq!(report.incidents[0].cause, "ü".repeat(limits::TOKEN_CHARACTERS));
    let report = with("scope", "ü".repeat(17).into()).expect("a report");
    let scope = Some("ü".repeat(limits::SCOPE_CHARACTERS));
    assert_eq!(report.incidents[0].scope, scope);
    let part = json!([{
        "cause": "isp", "scope": "ü".repeat(17),
        "from": "2026-11-23T02:10:07Z", "to": "2026-11-23T02:30:10Z",
    }]);
    let report = with("segments", part).expect("a report");
    assert_eq!(report.incidents[0].segments[0].scope, scope);
}

#[test]
fn the_response_has_the_number_of_accepted_incidents() {
    let answer = Accepted { accepted: 3 };
    let json = serde_json::to_string(&answer).expect("JSON");
    assert_eq!(json, r#"{"accepted":3}"#);
    assert_eq!(serde_json::from_str::<Accepted>(&json).expect("a response"), answer);
    assert!(serde_json::from_str::<Accepted>(r#"{"accepted":3,"new":true}"#).is_ok());
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_102_444_800, 0_i32..1_000_000_000)
        .prop_map(|(second, nano)| Timestamp::new(second, nano).expect("a time"))
}

fn span() -> impl Strategy<Value = (Timestamp, Timestamp)> {
    (time(), 0_i64..10_000_000)
        .prop_map(|(from, seconds)| (from, from + SignedDuration::from_secs(seconds)))
}

fn any_incident() -> impl Strategy<Value = ReportedIncident> {
    let kind = prop_oneof![Just(IncidentKind::Incident), Just(IncidentKind::Gap)];
    let scope = || proptest::option::of(text(limits::SCOPE_CHARACTERS));
    let segment = (text(64), scope(), span())
        .prop_map(|(cause, scope, (from, to))| ReportedSegment { cause, scope, from, to });
    (
        any::<u128>().prop_map(Uuid::from_u128),
        kind,
        text(64),
        proptest::option::of(text(64)),
        scope(),
        span(),
        (0.0..=0.5_f64, 0.0..=0.5_f64),
        proptest::collection::vec(segment, 0..3),
    )
        .prop_map(|(id, kind, cause, party, scope, (started, ended), shares, segments)| {
            let lasted = ended.duration_since(started).as_secs_f64();
            ReportedIncident {
                id,
                kind,
                cause,
                party,
                scope,
                started,
                ended,
                downtime_s: (lasted * shares.0) as u64,
                one_family_s: (lasted * shares.1) as u64,
                segments,
            }
        })
}

proptest! {
    #[test]
    fn any_bytes_give_a_report_or_a_message(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&body)?;
    }

    #[test]
    fn any_json_gives_a_report_or_a_message(
        body in json_object(&["device", "journal", "seq", "head"]),
        incidents in proptest::collection::vec(json_object(&["id", "kind", "cause", "party", "scope",
            "started", "ended", "downtime_s", "one_family_s", "segments", "from", "to"]), 0..3),
    ) {
        let mut body = body;
        body["incidents"] = Value::Array(incidents);
        check(body.to_string().as_bytes())?;
    }

    #[test]
    fn any_field_may_hold_anything(
        field in proptest::sample::select(vec!["id", "kind", "cause", "party", "scope", "started",
            "ended", "downtime_s", "one_family_s", "segments"]),
        value in json_object(&["value"]),
    ) {
        for value in value.as_object().expect("an object").values() {
            match with(field, value.clone()) {
                Ok(report) => prop_assert_eq!(report.incidents.len(), 1),
                Err(error) => strategies::check_sentence(&error)?,
            }
        }
    }

    #[test]
    fn a_serialised_report_parses_back(
        device in proptest::option::of("[a-z]{1,100}"),
        journal in proptest::option::of(journal()),
        incidents in proptest::collection::vec(any_incident(), 0..4),
    ) {
        let report = OutageReport { device, journal, incidents };
        let body = serde_json::to_vec(&report).expect("JSON");
        prop_assert_eq!(OutageReport::parse(&body), Ok(report));
    }
}

fn check(body: &[u8]) -> Result<(), TestCaseError> {
    match OutageReport::parse(body) {
        Ok(report) => {
            prop_assert!(report.incidents.len() <= limits::INCIDENTS);
            for incident in report.incidents {
                prop_assert!(cleaned(&incident.cause, limits::TOKEN_CHARACTERS));
                prop_assert!(incident.ended >= incident.started);
            }
        }
        Err(error) => strategies::check_sentence(&error)?,
    }
    Ok(())
}
