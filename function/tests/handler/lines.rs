//! One event, one log line: ASCII JSON with the content of the message.

use std::net::IpAddr;

use ispmon_function::line::{self, MAX_LINE_CHARACTERS, TraceLine};
use ispmon_wire::{
    AgentInfo, AgentState, Device, Heartbeat, IncidentKind, JournalHead, LinkQuality,
    ReportedIncident, ReportedSegment, RoundTrip, limits,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

fn check(line: &TraceLine) -> Result<Value, TestCaseError> {
    let text = std::str::from_utf8(line.as_bytes()).expect("text");
    let text = text.strip_suffix('\n').expect("a line feed at the end");
    prop_assert!(text.chars().all(|character| matches!(character, ' '..='~')), "{:?}", text);
    prop_assert!(text.len() <= MAX_LINE_CHARACTERS, "{} characters", text.len());
    Ok(serde_json::from_str(text).expect("JSON"))
}

fn text(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..=most).prop_map(String::from_iter)
}

fn heartbeat() -> impl Strategy<Value = Heartbeat> {
    let state = proptest::sample::select(vec![
        AgentState::Running,
        AgentState::Sleeping,
        AgentState::Unknown,
    ]);
    let agent = (text(64), text(64), any::<u64>(), state, 0..=limits::QUIET_SECONDS).prop_map(
        |(version, boot, seq, state, quiet_s)| AgentInfo { version, boot, seq, state, quiet_s },
    );
    let journal = (any::<u64>(), text(64)).prop_map(|(seq, head)| JournalHead { seq, head });
    let tenths = || (0..10_000_000_u32).prop_map(|tenths| f64::from(tenths) / 10.0);
    let rtt_ms = proptest::option::of((tenths(), tenths()))
        .prop_map(|rtt| rtt.map(|(p50, p95)| RoundTrip { p50, p95 }));
    let link = (any::<u64>(), any::<u64>(), rtt_ms)
        .prop_map(|(probes, lost, rtt_ms)| LinkQuality { probes, lost, rtt_ms });
    (
        proptest::option::of(text(500)),
        proptest::option::of(agent),
        proptest::option::of(journal),
        proptest::option::of(link),
    )
        .prop_map(|(note, agent, journal, link)| Heartbeat {
            device: None,
            note,
            agent,
            journal,
            link,
        })
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-60_000_000_000_i64..250_000_000_000, 0_i32..1_000_000_000)
        .prop_map(|(second, nano)| Timestamp::new(second, nano).expect("a time"))
}

fn incident() -> impl Strategy<Value = ReportedIncident> {
    let scope = || proptest::option::of(text(limits::SCOPE_CHARACTERS));
    let segment = (text(64), scope(), time(), time())
        .prop_map(|(cause, scope, from, to)| ReportedSegment { cause, scope, from, to });
    let kind = proptest::sample::select(vec![IncidentKind::Incident, IncidentKind::Gap]);
    (
        (any::<u128>(), kind, text(64), proptest::option::of(text(64)), scope()),
        (time(), time(), any::<u64>(), any::<u64>()),
        proptest::collection::vec(segment, 0..=limits::SEGMENTS),
    )
        .prop_map(
            |((id, kind, cause, party, scope), (started, ended, down, one), segments)| {
                ReportedIncident {
                    id: Uuid::from_u128(id),
                    kind,
                    cause,
                    party,
                    scope,
                    started,
                    ended,
                    downtime_s: down,
                    one_family_s: one,
                    segments,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_heartbeat_s_log_line_has_all_fields_of_the_heartbeat(
        device in text(100),
        address in any::<Option<IpAddr>>(),
        heartbeat in heartbeat(),
    ) {
        let device = Device::choose(Some(&device), None);
        let line = line::heartbeat(&device, address, &heartbeat);
        let start = br#"{"event":"heartbeat","device":""#;
        prop_assert!(line.as_bytes().starts_with(start));
        let value = check(&line)?;
        prop_assert_eq!(&value["device"], device.as_str());
        prop_assert_eq!(&value["key"], &device.comparison_key());
        prop_assert_eq!(value["note"].as_str(), heartbeat.note.as_deref());
        let said: Option<IpAddr> = value["ip"].as_str().map(|ip| ip.parse().expect("an address"));
        prop_assert_eq!(said, address);
        let agent = heartbeat.agent.as_ref();
        prop_assert_eq!(value["seq"].as_u64(), agent.map(|agent| agent.seq));
        prop_assert_eq!(value["state"].as_str(), agent.map(|agent| agent.state.as_str()));
        prop_assert_eq!(value["quiet_s"].as_u64(), agent.map(|agent| agent.quiet_s.into()));
        prop_assert_eq!(value["version"].as_str().unwrap_or_default(),
            agent.map(|agent| agent.version.as_str()).unwrap_or_default());
        prop_assert_eq!(value["boot"].as_str().unwrap_or_default(),
            agent.map(|agent| agent.boot.as_str()).unwrap_or_default());
        let parts: Heartbeat = serde_json::from_value(value).expect("the same shape");
        prop_assert_eq!(parts.journal, heartbeat.journal);
        prop_assert_eq!(parts.link, heartbeat.link);
    }

    #[test]
    fn an_incident_s_log_line_has_all_fields_of_the_incident(
        device in text(100),
        incident in incident(),
        journal in proptest::option::of((any::<u64>(), text(64))),
    ) {
        let device = Device::choose(Some(&device), None);
        let journal = journal.map(|(seq, head)| JournalHead { seq, head });
        let line = line::outage(&device, &incident, journal.as_ref());
        let start = br#"{"event":"outage","device":""#;
        prop_assert!(line.as_bytes().starts_with(start));
        let value = check(&line)?;
        prop_assert_eq!(&value["device"], device.as_str());
        prop_assert_eq!(&value["key"], &device.comparison_key());
        let parts: Heartbeat = serde_json::from_value(value.clone()).expect("the same shape");
        prop_assert_eq!(parts.journal, journal);
        prop_assert_eq!(serde_json::from_value::<ReportedIncident>(value).expect("an incident"), incident);
    }

    #[test]
    fn a_failure_s_line_is_bounded(message in any::<String>(), times in 0..2_000_usize) {
        let line = line::failure(&message.repeat(times));
        prop_assert_eq!(&check(&line)?["event"], "failure");
    }
}

/// Four bytes of UTF-8, twelve characters as JSON: no character is longer.
fn worst(characters: usize) -> String {
    "\u{10ffff}".repeat(characters)
}

#[test]
fn the_longest_log_lines_fit_into_application_insights() {
    let head = JournalHead { seq: u64::MAX, head: worst(limits::TOKEN_CHARACTERS) };
    let device = Device::from(worst(limits::DEVICE_CHARACTERS).as_str());
    let heartbeat = Heartbeat {
        device: None,
        note: Some(worst(limits::NOTE_CHARACTERS)),
        agent: Some(AgentInfo {
            version: worst(limits::TOKEN_CHARACTERS),
            boot: worst(limits::TOKEN_CHARACTERS),
            seq: u64::MAX,
            state: AgentState::Sleeping,
            quiet_s: limits::QUIET_SECONDS,
        }),
        journal: Some(head.clone()),
        link: Some(LinkQuality {
            probes: u64::MAX,
            lost: u64::MAX,
            rtt_ms: Some(RoundTrip { p50: f64::MAX, p95: f64::MIN_POSITIVE }),
        }),
    };
    let segment = ReportedSegment {
        cause: worst(limits::TOKEN_CHARACTERS),
        scope: Some(worst(limits::SCOPE_CHARACTERS)),
        from: Timestamp::MIN,
        to: Timestamp::MAX,
    };
    let incident = ReportedIncident {
        id: Uuid::max(),
        kind: IncidentKind::Incident,
        cause: worst(limits::TOKEN_CHARACTERS),
        party: Some(worst(limits::TOKEN_CHARACTERS)),
        scope: Some(worst(limits::SCOPE_CHARACTERS)),
        started: Timestamp::MIN,
        ended: Timestamp::MAX,
        downtime_s: u64::MAX,
        one_family_s: u64::MAX,
        segments: vec![segment; limits::SEGMENTS],
    };
    let address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().expect("an address");
    for line in [
        line::heartbeat(&device, Some(address), &heartbeat),
        line::outage(&device, &incident, Some(&head)),
    ] {
        check(&line).expect("a line");
    }
}

#[test]
fn separators_controls_and_emoji_are_escaped_as_utf_16() {
    let heartbeat = Heartbeat {
        note: Some("\"\\\n\r\u{0}\u{7f}\u{85}\u{a0}\u{2028}\u{2029}\u{fc}\u{1f600}{0}".to_owned()),
        ..Heartbeat::default()
    };
    let line = line::heartbeat(&Device::from("a"), None, &heartbeat);
    let expected = concat!(
        r#"{"event":"heartbeat","device":"a","key":"d:a","note":"\"\\\n\r\u0000\u007f\u0085\u00a0"#,
        r#"\u2028\u2029\u00fc\ud83d\ude00{0}"}"#,
        "\n"
    );
    assert_eq!(std::str::from_utf8(line.as_bytes()), Ok(expected));
}
