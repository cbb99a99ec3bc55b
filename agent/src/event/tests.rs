use std::{path::Path, time::Duration};

use super::*;
use crate::{
    clock::{BootId, Stamp, StepSource},
    heartbeat::{AnswerRefusal, HeartbeatOutcome, tests::refused_with},
    outage::IncidentId,
    probe::LocalFailure,
};

#[derive(Debug, thiserror::Error)]
#[error("the id of this boot cannot be read")]
struct Outer(#[source] std::io::Error);

#[test]
fn each_event_is_a_sentence_with_its_level() {
    let url = "https://ispmon.example/api/ping";
    let device = "dl-home";
    let refused = |status, refusal| refused_with(status, refusal, None);
    let outcome = &refused(401, AnswerRefusal::Status);
    let unavailable = &refused(503, AnswerRefusal::Status);
    let (expected, answer) = ("{\"accepted\":1}".to_owned(), "Welcome!".to_owned());
    let other = &refused(200, AnswerRefusal::OtherAnswer { expected, answer });
    let delivered = &HeartbeatOutcome::Delivered {
        client_address: None,
        expected: Some(true),
        date: None,
        proof: None,
        took: Duration::from_millis(132),
    };
    let id = IncidentId(uuid::Uuid::from_u128(7));
    let wait = Duration::from_secs(62);
    let took = Duration::from_millis(132);
    let client_address = "203.0.113.7".parse().ok();
    let events: &[&dyn LogEvent] = &[
        &AgentStarted { device, url: &url, interval: Duration::from_mins(1) },
        &AgentStartedLocally { device },
        &Advice { advice: &"The device is named after its operating system." },
        &BootIdUnknown { error: &Outer(std::io::Error::other("no such file")) },
        &FirstHeartbeatDelivered { url: &url, client_address, took },
        &FirstHeartbeatDelivered { url: &url, client_address: None, took },
        &HeartbeatDelivered { outcome: delivered },
        &HeartbeatFailed { outcome, wait },
        &HeartbeatFailed { outcome: unavailable, wait },
        &HeartbeatFailedAgain { outcome, failures: 2, wait },
        &HeartbeatsRecovered { failures: 1, after: wait },
        &DeviceNotExpected { device },
        &DeviceExpected { device },
        &ConfigReloaded,
        &ConfigUnchanged,
        &ReloadRefused { problem: &"agent.toml, line 3: heartbeat.interval is \"1ms\"" },
        &OldConfigKept,
        &AgentStopping { signal: "SIGTERM" },
        &SilenceAnnounced { device, quiet: Duration::from_mins(30) },
        &StopAnnounced,
        &SilenceNotAnnounced { outcome },
        &StatusNotWritten {
            path: Path::new("/run/ispmon/status.json"),
            error: &std::io::Error::other("no space left on device"),
        },
        &IncidentsHandedOver { count: 1 },
        &IncidentsHandedOverAgain { count: 12 },
        &IncidentsNotHandedOver { reason: &other.reason(), advice: other.hand_over_advice() },
        &IncidentPassedOver { id, reason: &"the answer was 400" },
        &LogLinesDropped { count: 1 },
        &LogLinesDropped { count: 12 },
        &AgentPanicked { what: "panicked at src/x.rs:1:1:\nindex out of bounds" },
    ];
    let lines = events.iter().map(|event| format!("{} {event}", event.kind().level));
    let text = lines.collect::<Vec<_>>().join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(text, @r#"
    INFO ispmon-agent VERSION sends a heartbeat for dl-home to https://ispmon.example/api/ping every 1 min.
    INFO ispmon-agent VERSION monitors dl-home locally: no heartbeat URL is set, so no mail will come when the connection fails. Set `heartbeat.url` to change that.
    WARN The device is named after its operating system.
    WARN Heartbeats are sent without the boot's id: the id of this boot cannot be read: no such file.
    INFO The first heartbeat reached https://ispmon.example/api/ping in 132 ms; the cloud saw it come from 203.0.113.7.
    INFO The first heartbeat reached https://ispmon.example/api/ping in 132 ms.
    DEBUG Heartbeat delivered in 132 ms.
    WARN Heartbeat refused: the answer was 401 Unauthorized. Check the function key, which a service gets only when it starts, or the whole URL if it is a plain heartbeat. An app that is just starting may answer so too. Next attempt in 1 min 2 s; further failures of this kind are logged at level debug.
    WARN Heartbeat refused: the answer was 503 Service Unavailable. Next attempt in 1 min 2 s; further failures of this kind are logged at level debug.
    DEBUG Heartbeat refused: the answer was 401 Unauthorized. Failure 2 in a row. Next attempt in 1 min 2 s.
    INFO Heartbeats work again after 1 failed attempt in 1 min 2 s.
    WARN The cloud does not expect a device named dl-home, so no mail would come if it fell silent. Correct `device`, or add this name to the devices that the cloud was deployed with.
    INFO The cloud expects a device named dl-home now.
    INFO The new configuration is in use.
    INFO The configuration was read again; nothing in it has changed.
    ERROR The new configuration is refused: agent.toml, line 3: heartbeat.interval is "1ms"
    ERROR The agent goes on with the old configuration.
    INFO SIGTERM: the agent stops.
    INFO The cloud knows that dl-home stops, and raises no alarm for 30 min.
    INFO The cloud knows of this stop, but raises the alarm as usual: `heartbeat.quiet_after_stop` is 0.
    WARN This stop could not be announced to the cloud, which raises the alarm if it lasts: Heartbeat refused: the answer was 401 Unauthorized.
    WARN `ispmon-agent status` shows an old status until /run/ispmon/status.json can be written: no space left on device.
    INFO The cloud has accepted 1 recorded incident.
    DEBUG The cloud has accepted 12 recorded incidents a second time, in case one was lost there.
    WARN Recorded incidents could not be handed over: the answer was 200 OK, but "Welcome!" in place of {"accepted":1}. Heartbeats arrive, but the address beside theirs, which ends in `outages`, is not that of ispmon's function, or something on the way answers in its place. The agent will retry.
    WARN The cloud accepts others but refuses the incident or gap 00000000-0000-0000-0000-000000000007: the answer was 400. It is passed over, so there will be no mail about it; it stays in the journal.
    WARN 1 log line was dropped here: the log is not read fast enough.
    WARN 12 log lines were dropped here: the log is not read fast enough.
    ERROR This is a defect of ispmon-agent VERSION: panicked at src/x.rs:1:1:
    index out of bounds
    "#);
}

#[test]
fn each_event_of_monitoring_pause_and_sleep_is_a_sentence_with_its_level() {
    let at = |wall: &str| wall.parse().expect("a time");
    let until = Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall: at("2027-01-01T04:10:07Z") };
    let zone = &jiff::tz::TimeZone::UTC;
    let error = &std::io::Error::other("permission denied");
    let problem = "The journal cannot be written: no space left on device.";
    let events: &[&dyn LogEvent] = &[
        &AgentPaused { until: &until, caller: &"root", zone },
        &AgentResumed { caller: Some(&"root") },
        &AgentResumed { caller: None },
        &ControlUnavailable { error },
        &SleepAnnounced { device: "dl-home", quiet: Duration::from_hours(12) },
        &SleepNotAnnounced { error },
        &ClockStepped { by_ms: -3_600_000, source: StepSource::System },
        &ClockStepped { by_ms: 90_000, source: StepSource::Heartbeat },
        &AnchorsBlocked,
        &MonitoringBlind { reason: LocalFailure::NoMemory },
        &JournalNotWritten { problem, advice: Some("Free some space."), waiting: 1 },
        &JournalWritten,
    ];
    let lines = events.iter().map(|event| format!("{} {event}", event.kind().level));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    INFO Paused by root until 2027-01-01 04:10:07 +00:00: nothing is monitored or sent.
    INFO The pause was ended by root.
    INFO The pause is over.
    WARN The agent cannot be paused: permission denied.
    INFO The cloud knows that dl-home sleeps, and raises no alarm for 12 h.
    DEBUG This machine's sleep is not announced: permission denied.
    WARN The system's clock was set back by 1 h.
    WARN The system's clock is wrong: by the answer to a heartbeat, times are moved forward by 1 min 30 s. Check that the clock is set from the network (NTP).
    WARN Heartbeats are delivered, but no anchor has ever answered: this network blocks them. Outages are not detected before a heartbeat fails; set `probe.anchors` to servers that can be reached from here.
    WARN Nothing can be monitored: this device has no memory left for network connections. Find the program that uses so much memory, and see net.ipv4.tcp_mem.
    WARN The journal cannot be written: no space left on device. 1 record waits in memory until that is solved. Free some space.
    INFO The journal can be written again and holds what waited in memory.
    "#);
}

#[test]
fn every_event_is_constructed_in_a_test() {
    for source in SOURCES {
        // `outage.rs` has tests of its own.
        let (code, own_tests) = source.split_once("mod tests").unwrap_or((source, ""));
        for event in code.split(" LogEvent for ").skip(1) {
            let is_name = |character: char| character.is_ascii_alphanumeric();
            let name = event.split(|character| !is_name(character)).next().unwrap_or_default();
            let is_made = [include_str!("tests.rs"), own_tests]
                .iter()
                .any(|tests| tests.split(|it| !is_name(it)).any(|word| word == name));
            assert!(is_made, "no test shows the sentence of {name}");
        }
    }
}
