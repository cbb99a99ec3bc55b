use super::*;
use crate::{
    outage::IncidentId,
    probe::Family,
    status::{ClockStatus, JournalStatus, LastHeartbeat, LinkStatus},
};

const BOOT: &str = "9d0f1a3c-8a51-4e0b-9a52-1d1b5d1f0001";

/// A moment of the boot that all tests are in, by its clock.
fn at(seconds: u64) -> Stamp {
    let wall = "2026-11-24T07:00:00Z".parse::<Timestamp>().expect("a time");
    let boot = BOOT.parse().expect("a boot id");
    Stamp { boot, boot_ms: 0, wall }.later(Duration::from_secs(seconds))
}

/// An agent that has been running for three hours, on a line that works.
pub(in crate::status) fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        device: "dl-home".to_owned(),
        pid: 4711,
        started: at(60),
        written: at(10_860),
        fresh_ms: 150_000,
        state_dir: "/var/lib/ispmon".into(),
        condition: Condition::Up,
        paused_until: None,
        families: vec![
            FamilyStatus {
                family: Family::Ipv4,
                condition: Condition::Up,
                last_ok: Some(at(10_858)),
                link: Some(LinkStatus {
                    state: "routed".to_owned(),
                    interface: Some("eth0".to_owned()),
                    source: "192.168.1.20".parse().ok(),
                    gateway: "192.168.1.1".parse().ok(),
                    tunnel: false,
                }),
            },
            FamilyStatus {
                family: Family::Ipv6,
                condition: Condition::Unused,
                last_ok: None,
                link: Some(LinkStatus {
                    state: "no_address".to_owned(),
                    interface: None,
                    source: None,
                    gateway: None,
                    tunnel: false,
                }),
            },
        ],
        incidents: Vec::new(),
        heartbeat: Some(HeartbeatStatus {
            url: "https://dl.example/api/ping".to_owned(),
            last: Some(LastHeartbeat {
                at: at(10_860),
                delivered: true,
                sentence: "Heartbeat delivered in 132 ms.".to_owned(),
            }),
            last_delivered: Some(at(10_860)),
            expected: Some(true),
        }),
        wan_address: "203.0.113.7".parse().ok(),
        blips: 0,
        quality: Some(Quality {
            over_s: 300,
            probes: 60,
            lost: 0,
            p50_ms: Some(12.3),
            p95_ms: Some(22.4),
        }),
        journal: JournalStatus { seq: 41, head: "a".repeat(64), waiting: 0, problem: None },
        hand_over_pending: 0,
        clock: ClockStatus::default(),
    }
}

fn outage() -> Status {
    let mut status = status();
    status.condition = Condition::Down;
    status.families[0].condition = Condition::Down;
    status.incidents = vec![OpenIncident {
        id: IncidentId(uuid::Uuid::from_u128(1)),
        scope: Scope::Internet,
        cause: Cause::Isp,
        party: Some(Party::Provider),
        started: at(10_600),
        failures: 1,
        durable: true,
    }];
    let heartbeat = status.heartbeat.as_mut().expect("there are heartbeats");
    heartbeat.last = Some(LastHeartbeat {
        at: at(10_850),
        delivered: false,
        sentence: "No answer came from dl.example:443 in 30 s.".to_owned(),
    });
    heartbeat.last_delivered = Some(at(10_570));
    status.quality =
        Some(Quality { over_s: 300, probes: 60, lost: 52, p50_ms: None, p95_ms: None });
    status
}

/// The text twelve seconds later, in Berlin.
fn shown(status: &Status, presence: Presence) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    let now = status.written.later(Duration::from_secs(12));
    render(status, &View { now, zone: &zone, presence }).replace(START_ADVICE, "[how to start it]")
}

#[test]
fn a_working_line() {
    insta::assert_snapshot!(shown(&status(), Presence::Running), @"");
}

#[test]
fn an_outage_is_told_in_the_first_line() {
    insta::assert_snapshot!(shown(&outage(), Presence::Running), @"");
}
