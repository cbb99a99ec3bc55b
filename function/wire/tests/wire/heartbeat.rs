//! The body of `POST /api/ping`.

use ispmon_wire::{
    AgentInfo, AgentState, Heartbeat, JournalHead, LinkQuality, MessageError, RoundTrip, limits,
};
use proptest::prelude::*;

use crate::strategies::{self, cleaned, journal, json_object, text};

fn parse(body: &str) -> Heartbeat {
    Heartbeat::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn refusal(body: &[u8]) -> String {
    Heartbeat::parse(body).expect_err("a refusal").to_string()
}

#[test]
fn all_fields_of_an_agent_are_parsed() {
    let body = r#"{"device":"dl-home","note":"any string",
        "agent":{"version":"0.1.0","boot":"b7","seq":123,"state":"stopping","quiet_s":1800},
        "journal":{"seq":41,"head":"ab12"},
        "link":{"probes":12,"lost":1,"rtt_ms":{"p50":9.1,"p95":22.4}}}"#;
    assert_eq!(
        parse(body),
        Heartbeat {
            device: Some("dl-home".to_owned()),
            note: Some("any string".to_owned()),
            agent: Some(AgentInfo {
                version: "0.1.0".to_owned(),
                boot: "b7".to_owned(),
                seq: 123,
                state: AgentState::Stopping,
                quiet_s: 1800,
            }),
            journal: Some(JournalHead { seq: 41, head: "ab12".to_owned() }),
            link: Some(LinkQuality {
                probes: 12,
                lost: 1,
                rtt_ms: Some(RoundTrip { p50: 9.1, p95: 22.4 }),
            }),
        }
    );
}

#[test]
fn all_fields_are_optional() {
    for body in ["", " \r\n", "{}", r#"{"device":null,"note":"","agent":null}"#] {
        assert_eq!(parse(body), Heartbeat::default(), "{body:?}");
    }
    assert_eq!(parse(r#"{"agent":{}}"#).agent, Some(AgentInfo::default()));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(parse("\u{feff}{\"device\":\"a\"}").device.as_deref(), Some("a"));
    assert_eq!(parse("\u{feff}"), Heartbeat::default());
}

#[test]
fn unknown_fields_of_a_newer_agent_are_ignored() {
    let newer = parse(
        r#"{"device":"a","mood":{"deep":[1,{"er":null}]},"agent":{"seq":1,"state":"dreaming","x":[]}}"#,
    );
    assert_eq!(newer.device(), Some("a"));
    let agent = newer.agent.expect("an agent");
    assert_eq!((agent.seq, agent.state), (1, AgentState::Unknown));
}

#[test]
fn long_texts_are_cut_and_control_characters_removed() {
    let (device, note) = ("é".repeat(101), "😀".repeat(501));
    let heartbeat =
        parse(&format!(r#"{{"device":"a\n{device}","note":"\u0000\u001b[31m{note}"}}"#));
    assert_eq!(heartbeat.device, Some(format!("a{}", "é".repeat(99))));
    assert_eq!(heartbeat.note, Some(format!("[31m{}", "😀".repeat(496))));
    let agent =
        parse(&format!(r#"{{"agent":{{"version":"{0}","boot":"{0}\u007f"}}}}"#, "v".repeat(65)));
    let cut = "v".repeat(64);
    assert_eq!(
        agent.agent,
        Some(AgentInfo { version: cut.clone(), boot: cut, ..AgentInfo::default() })
    );
}

#[test]
fn out_of_range_numbers_are_clamped() {
    for (quiet, expected) in [
        ("0", 0),
        ("1800", 1800),
        ("86400", 86_400),
        ("86401", 86_400),
        ("18446744073709551616", 86_400),
        ("1e300", 86_400),
        ("2.9", 2),
        ("-5", 0),
        ("-0.1", 0),
        ("null", 0),
    ] {
        let heartbeat = parse(&format!(r#"{{"agent":{{"quiet_s":{quiet},"seq":{quiet}}}}}"#));
        assert_eq!(heartbeat.agent.map(|agent| agent.quiet_s), Some(expected), "{quiet}");
    }
    let link = parse(r#"{"link":{"probes":-1,"lost":null,"rtt_ms":{"p50":null,"p95":-3}}}"#).link;
    assert_eq!(
        link,
        Some(LinkQuality { rtt_ms: Some(RoundTrip::default()), ..LinkQuality::default() })
    );
}

#[test]
fn an_invalid_body_is_rejected_with_a_message() {
    for (body, sentence) in [
        ("hello", "The body is not a valid message: expected value at line 1 column 1."),
        (
            "{\"a\":1",
            "The body is not a valid message: EOF while parsing an object at line 1 column 6.",
        ),
        ("{} x", "The body is not a valid message: trailing characters at line 1 column 4."),
        (
            r#"{"device":5}"#,
            "The body is not a valid message: invalid type: integer `5`, expected a string at line 1 column 11.",
        ),
        (
            r#"{"agent":{"quiet_s":"long"}}"#,
            "The body is not a valid message: invalid type: string \"long\", expected a number at line 1 column 26.",
        ),
    ] {
        let advice = "Send JSON in UTF-8 such as {\"device\":\"dl-home\"}, or nothing.";
        assert_eq!(refusal(body.as_bytes()), format!("{sentence} {advice}"));
    }
    for body in ["[]", "[1,2", "null", "5", "-1", "true", "\"text\""] {
        let error = Heartbeat::parse(body.as_bytes()).expect_err("a refusal");
        assert!(
            matches!(error, MessageError::NotAnObject | MessageError::Malformed(_)),
            "{body}: {error:?}"
        );
    }
    assert_eq!(
        refusal(b"null"),
        "The body must be a JSON object such as {\"device\":\"dl-home\"}, or empty."
    );
}

#[test]
fn a_rejection_is_one_short_line_with_any_quotation() {
    let long = format!(r#"{{"agent":"{}\n"}}"#, "\u{2029}x".repeat(5_000));
    let sentence = refusal(long.as_bytes());
    assert!(sentence.chars().count() < 300, "{sentence}");
}

#[test]
fn a_body_has_64_kib_at_most() {
    let mut body = br#"{"note":""#.to_vec();
    body.resize(limits::BODY_BYTES - 2, b'x');
    body.extend_from_slice(b"\"}");
    assert_eq!(
        Heartbeat::parse(&body).expect("the body fits").note.map(|note| note.len()),
        Some(500)
    );
    body.push(b' ');
    assert_eq!(Heartbeat::parse(&body), Err(MessageError::TooLong));
    assert_eq!(refusal(&body), "The body is longer than 65536 bytes.");
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    for body in [
        format!(r#"{{"x":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000)),
        "[".repeat(limits::BODY_BYTES),
        r#"{"a":"#.repeat(13_000),
        r#"{"agent":"#.repeat(7_000),
    ] {
        let _ = Heartbeat::parse(body.as_bytes());
    }
}

#[test]
fn states_have_the_same_name_everywhere() {
    for state in [
        AgentState::Running,
        AgentState::Stopping,
        AgentState::Sleeping,
        AgentState::Paused,
        AgentState::Resumed,
        AgentState::Unknown,
    ] {
        let json = serde_json::to_string(&state).expect("JSON");
        assert_eq!(json, format!("\"{}\"", state.as_str()));
        assert_eq!(serde_json::from_str::<AgentState>(&json).expect("a state"), state);
    }
}

fn state() -> impl Strategy<Value = AgentState> {
    proptest::sample::select(vec![
        AgentState::Running,
        AgentState::Stopping,
        AgentState::Sleeping,
        AgentState::Paused,
        AgentState::Resumed,
    ])
}

fn agent() -> impl Strategy<Value = AgentInfo> {
    (text(64), text(64), any::<u64>(), state(), 0..=limits::QUIET_SECONDS).prop_map(
        |(version, boot, seq, state, quiet_s)| AgentInfo { version, boot, seq, state, quiet_s },
    )
}

fn link() -> impl Strategy<Value = LinkQuality> {
    let tenths = || (0..10_000_000_u32).prop_map(|tenths| f64::from(tenths) / 10.0);
    let round_trip = (tenths(), tenths()).prop_map(|(p50, p95)| RoundTrip { p50, p95 });
    (any::<u64>(), any::<u64>(), proptest::option::of(round_trip))
        .prop_map(|(probes, lost, rtt_ms)| LinkQuality { probes, lost, rtt_ms })
}

fn heartbeat() -> impl Strategy<Value = Heartbeat> {
    let present = |most| {
        proptest::option::of(text(most).prop_filter("not blank", |text| !text.trim().is_empty()))
    };
    (
        present(limits::DEVICE_CHARACTERS),
        present(limits::NOTE_CHARACTERS),
        proptest::option::of(agent()),
        proptest::option::of(journal()),
        proptest::option::of(link()),
    )
        .prop_map(|(device, note, agent, journal, link)| Heartbeat {
            device,
            note,
            agent,
            journal,
            link,
        })
}

proptest! {
    #[test]
    fn any_bytes_give_a_heartbeat_or_a_message(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&body)?;
    }

    #[test]
    fn any_json_gives_a_heartbeat_or_a_message(
        body in json_object(&["device", "note", "agent", "journal", "link", "version", "boot", "seq",
            "state", "quiet_s", "head", "probes", "lost", "rtt_ms", "p50", "p95"]),
    ) {
        check(body.to_string().as_bytes())?;
    }

    #[test]
    fn a_serialised_heartbeat_parses_back(heartbeat in heartbeat()) {
        let body = serde_json::to_vec(&heartbeat).expect("JSON");
        prop_assert_eq!(Heartbeat::parse(&body), Ok(heartbeat));
    }

    #[test]
    fn unknown_fields_change_nothing(heartbeat in heartbeat(), extra in json_object(&["new", "newer"])) {
        let mut body = serde_json::to_value(&heartbeat).expect("JSON");
        for (place, object) in [("/agent", &extra), ("/journal", &extra), ("", &extra)] {
            if let Some(target) = body.pointer_mut(place).and_then(|value| value.as_object_mut()) {
                target.insert("something_new".to_owned(), object.clone());
            }
        }
        prop_assert_eq!(Heartbeat::parse(body.to_string().as_bytes()), Ok(heartbeat));
    }
}

fn check(body: &[u8]) -> Result<(), TestCaseError> {
    match Heartbeat::parse(body) {
        Ok(heartbeat) => {
            prop_assert!(
                heartbeat.device.is_none_or(|device| cleaned(&device, limits::DEVICE_CHARACTERS))
            );
            prop_assert!(heartbeat.note.is_none_or(|note| cleaned(&note, limits::NOTE_CHARACTERS)));
            if let Some(agent) = heartbeat.agent {
                prop_assert!(cleaned(&agent.version, limits::TOKEN_CHARACTERS));
                prop_assert!(cleaned(&agent.boot, limits::TOKEN_CHARACTERS));
                prop_assert!(agent.quiet_s <= limits::QUIET_SECONDS);
            }
        }
        Err(error) => strategies::check_sentence(&error)?,
    }
    Ok(())
}
