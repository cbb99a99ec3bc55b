use super::*;
use crate::{
    outage::IncidentId,
    probe::Family,
    status::{ClockStatus, HandOverProblem, JournalStatus, LastHeartbeat, LinkStatus},
};

const BOOT: &str = "9d0f1a3c-8a51-4e0b-9a52-1d1b5d1f0001";

/// A moment of the boot in which all tests run, in seconds since that boot.
fn at(seconds: u64) -> Stamp {
    let wall = "2026-11-24T07:00:00Z".parse::<Timestamp>().expect("a time");
    let boot = BOOT.parse().expect("a boot id");
    Stamp { boot, boot_ms: 0, wall }.later(Duration::from_secs(seconds))
}

/// The status of an agent that has been running for three hours, with the internet up.
pub(crate) fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        device: "dl-home".to_owned(),
        pid: 4711,
        started: at(60),
        written: at(10_860),
        fresh_ms: 150_000,
        state_dir: "/var/lib/ispmon".into(),
        condition: ConnectivityStatus::Up,
        blind: None,
        paused_until: None,
        families: vec![
            FamilyStatus {
                family: Family::Ipv4,
                condition: ConnectivityStatus::Up,
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
                condition: ConnectivityStatus::Unused,
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
                advice: None,
            }),
            last_delivered: Some(at(10_860)),
            expected: Some(true),
        }),
        wan_address: "203.0.113.7".parse().ok(),
        blips: 0,
        quality: Some(QualityStatus {
            over_s: 300,
            probes: 60,
            lost: 0,
            p50_ms: Some(12.3),
            p95_ms: Some(22.4),
        }),
        journal: JournalStatus {
            seq: 41,
            head: "a".repeat(64),
            waiting: 0,
            problem: None,
            advice: None,
        },
        hand_over_pending: 0,
        hand_over_problem: None,
        clock: ClockStatus::default(),
    }
}

fn outage() -> Status {
    let mut status = status();
    status.condition = ConnectivityStatus::Down;
    status.families[0].condition = ConnectivityStatus::Down;
    status.incidents = vec![IncidentStatus {
        id: IncidentId(uuid::Uuid::from_u128(1)),
        scope: Scope::Internet,
        cause: Cause::Isp,
        party: Some(Party::Provider),
        reason: "ISP (router answered, nothing beyond it)".to_owned(),
        started: at(10_600),
        failing: Some(Scope::Internet),
        failures: 1,
        durable: true,
    }];
    let heartbeat = status.heartbeat.as_mut().expect("the agent sends heartbeats");
    heartbeat.last = Some(LastHeartbeat {
        at: at(10_850),
        delivered: false,
        sentence: "No answer came from dl.example:443 in 30 s.".to_owned(),
        advice: None,
    });
    heartbeat.last_delivered = Some(at(10_570));
    status.quality =
        Some(QualityStatus { over_s: 300, probes: 60, lost: 52, p50_ms: None, p95_ms: None });
    status
}

#[test]
fn the_remainder_of_an_outage_does_not_contradict_that_the_internet_works() {
    let mut status = outage();
    status.condition = ConnectivityStatus::Up;
    status.families[0].condition = ConnectivityStatus::Up;
    status.families[1].condition = ConnectivityStatus::Down;
    status.incidents[0].failing = Some(Scope::Ipv6);
    let text = shown(&status, Presence::Running);
    let first: Vec<_> = text.lines().take(2).collect();
    insta::assert_snapshot!(first.join("\n"), @"
    dl-home: the internet works, but not by IPv6.
    IPv6 outage, the rest of an internet outage since 2026-11-24 10:56:40+01:00 (4 min 32 s so far), cause: ISP (router answered, nothing beyond it). That is your provider's part.
    ");
}

/// The text twelve seconds later, at UTC+1.
fn shown(status: &Status, presence: Presence) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    let now = status.written.later(Duration::from_secs(12));
    render(status, &DisplayContext { now, zone: &zone, presence }, None, "[how to start it]")
}

#[test]
fn a_working_internet_is_reported_in_the_first_line() {
    insta::assert_snapshot!(shown(&status(), Presence::Running), @r"
    dl-home: the internet works.

    Agent       0.1.0, process 4711, started 2026-11-24 08:01:00+01:00 (3 h ago)
    IPv4        works, by eth0 through 192.168.1.1
    IPv6        not used, because this device has no address
    Quality     12 ms at the median, 22 ms at the 95th percentile; 0 of 60 probes lost in 5 min
    Heartbeats  12 s ago: Heartbeat delivered in 132 ms.
    Address     203.0.113.7, as the cloud sees it
    Journal     41 records in /var/lib/ispmon
    Hand-over   nothing waits to be handed to the cloud
    ");
}

#[test]
fn an_outage_is_shown_with_its_cause_and_time() {
    insta::assert_snapshot!(shown(&outage(), Presence::Running), @"
    dl-home: THE INTERNET IS DOWN.
    Internet outage since 2026-11-24 10:56:40+01:00 (4 min 32 s so far), cause: ISP (router answered, nothing beyond it). That is your provider's part.

    Agent       0.1.0, process 4711, started 2026-11-24 08:01:00+01:00 (3 h ago)
    IPv4        DOWN, by eth0 through 192.168.1.1, last answer 14 s ago
    IPv6        not used, because this device has no address
    Quality     52 of 60 probes lost in 5 min
    Heartbeats  22 s ago: No answer came from dl.example:443 in 30 s. The last one was delivered 5 min 2 s ago.
    Address     203.0.113.7, as the cloud sees it
    Journal     41 records in /var/lib/ispmon
    Hand-over   nothing waits to be handed to the cloud
    ");
}

#[test]
fn one_family_can_fail_alone() {
    let mut status = outage();
    status.condition = ConnectivityStatus::Up;
    status.families[0].condition = ConnectivityStatus::Up;
    status.families[1] = FamilyStatus {
        family: Family::Ipv6,
        condition: ConnectivityStatus::Down,
        ..status.families[0].clone()
    };
    status.incidents[0].scope = Scope::Ipv6;
    status.incidents[0].failing = Some(Scope::Ipv6);
    let text = shown(&status, Presence::Running);
    let top: Vec<_> = text.lines().take(2).collect();
    insta::assert_snapshot!(top.join("\n"), @"
    dl-home: the internet works, but not by IPv6.
    IPv6 outage since 2026-11-24 10:56:40+01:00 (4 min 32 s so far), cause: ISP (router answered, nothing beyond it). That is your provider's part.
    ");
}

#[test]
fn doubt_pause_and_unknown_are_no_outages() {
    let first_line = |condition, paused_until| {
        let status = Status { condition, paused_until, ..status() };
        let text = shown(&status, Presence::Running);
        text.lines().next().unwrap_or_default().to_owned()
    };
    insta::assert_snapshot!(first_line(ConnectivityStatus::Unknown, None), @"dl-home: whether the internet works is not known yet.");
    insta::assert_snapshot!(first_line(ConnectivityStatus::Doubt, None), @"dl-home: the internet works, or did until a moment ago: a probe has failed, and the agent is finding out why.");
    insta::assert_snapshot!(first_line(ConnectivityStatus::Paused, Some(at(18_000))), @"dl-home: paused until 2026-11-24 13:00:00+01:00: nothing is monitored and no heartbeat is sent. To end the pause: ispmon-agent resume");
}

#[test]
fn an_agent_that_cannot_send_probes_does_not_know_the_connectivity() {
    let mut status = status();
    status.condition = ConnectivityStatus::Down;
    status.blind = Some("this device has no free file descriptors".to_owned());
    let text = shown(&status, Presence::Running);
    insta::assert_snapshot!(text.lines().next().unwrap_or_default(), @"dl-home: whether the internet works is not known, because this device has no free file descriptors.");
}

#[test]
fn an_agent_that_does_not_run_is_reported_before_its_last_state() {
    let top = |status: &Status, presence| {
        let text = shown(status, presence);
        text.lines().take(5).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(top(&status(), Presence::Gone), @"
    dl-home: the agent is not running: its process 4711 crashed or was killed.
    [how to start it]

    Last known state, 2026-11-24 11:01:00+01:00 (12 s ago): the internet works.
    ");
    insta::assert_snapshot!(top(&outage(), Presence::Rebooted), @"
    dl-home: the agent is not running: it was not started again with this machine.
    [how to start it]

    Last known state, 2026-11-24 11:01:00+01:00 (12 s ago): THE INTERNET IS DOWN.
    Internet outage since 2026-11-24 10:56:40+01:00 (4 min 20 s so far), cause: ISP (router answered, nothing beyond it). That is your provider's part.
    ");
    let hanging = Presence::Hanging(Duration::from_secs(1_203));
    insta::assert_snapshot!(top(&status(), hanging), @"
    dl-home: the agent hangs: its process 4711 has written nothing for 20 min 3 s. Stop it first.
    [how to start it]

    Last known state, 2026-11-24 11:01:00+01:00 (12 s ago): the internet works.
    ");
    let stopped = Status { condition: ConnectivityStatus::Stopped, ..status() };
    insta::assert_snapshot!(top(&stopped, Presence::Stopped), @"
    dl-home: the agent is not running: it was stopped.
    [how to start it]

    Last known state, 2026-11-24 11:01:00+01:00 (12 s ago):
    ");
}

#[test]
fn problems_are_shown_in_their_rows() {
    let mut status = status();
    status.blips = 3;
    status.hand_over_pending = 2;
    let reason = "the answer was 404 Not Found".to_owned();
    status.hand_over_problem = Some(HandOverProblem { reason, advice: None });
    status.journal.waiting = 4;
    status.journal.problem = Some("The disk is full.".to_owned());
    status.clock.correction_ms = 4_200;
    status.heartbeat.as_mut().expect("the agent sends heartbeats").expected = Some(false);
    insta::assert_snapshot!(shown(&status, Presence::Running), @r"
    dl-home: the internet works.

    Agent       0.1.0, process 4711, started 2026-11-24 08:01:00+01:00 (3 h ago)
    IPv4        works, by eth0 through 192.168.1.1
    IPv6        not used, because this device has no address
    Quality     12 ms at the median, 22 ms at the 95th percentile; 0 of 60 probes lost in 5 min
    Blips       3 failures too short to be an outage, since the start
    Heartbeats  12 s ago: Heartbeat delivered in 132 ms. THE CLOUD DOES NOT EXPECT THIS DEVICE, so no mail would come.
    Address     203.0.113.7, as the cloud sees it
    Journal     41 records in /var/lib/ispmon; 4 more not yet durable. The disk is full.
    Hand-over   2 outages and gaps wait to be handed to the cloud; the last try failed: the answer was 404 Not Found.
    Clock       4.2 s slow; the times in the journal are corrected
    ");
}

#[test]
fn without_a_url_no_heartbeat_and_no_hand_over_is_expected() {
    let status = Status { heartbeat: None, ..status() };
    let text = shown(&status, Presence::Running);
    let rest: Vec<_> = text.lines().skip(6).collect();
    insta::assert_snapshot!(rest.join("\n"), @r"
    Heartbeats  none: no heartbeat.url is set, so no mail will come when the internet fails
    Address     203.0.113.7, as the cloud sees it
    Journal     41 records in /var/lib/ispmon
    ");
}

#[test]
fn a_flapping_incident_that_is_not_durable_shows_both() {
    let mut status = outage();
    let incident = &mut status.incidents[0];
    (incident.cause, incident.failures, incident.durable) = (Cause::Unstable, 14, false);
    let text = shown(&status, Presence::Running);
    insta::assert_snapshot!(text.lines().nth(1).unwrap_or_default(), @"Internet unstable since 2026-11-24 10:56:40+01:00 (4 min 32 s so far), cause: ISP (router answered, nothing beyond it). It has failed 14 times. That is your provider's part. (not yet durable)");
}

#[test]
fn times_of_this_boot_follow_a_step_of_the_clock() {
    let status = outage();
    let zone = TimeZone::UTC;
    // The clock was an hour slow until now.
    let mut now = status.written.later(Duration::from_secs(12));
    now.wall = "2026-11-24T11:01:12Z".parse().expect("a time");
    let text = render(
        &status,
        &DisplayContext { now, zone: &zone, presence: Presence::Running },
        None,
        "",
    );
    assert!(text.contains("since 2026-11-24 10:56:40+00:00 (4 min 32 s so far)"), "{text}");
}

#[test]
fn what_systemd_knows_replaces_how_the_last_run_ended() {
    let status = status();
    let zone = TimeZone::UTC;
    let diagnosis = UnitDiagnosis {
        finding: "its service is masked".to_owned(),
        advice: "[how to unmask it]".to_owned(),
    };
    let first_lines = |presence| {
        let context = DisplayContext { now: status.written, zone: &zone, presence };
        let text = render(&status, &context, Some(&diagnosis), "[how to start it]");
        text.lines().take(2).collect::<Vec<_>>().join("\n")
    };
    for presence in [Presence::Stopped, Presence::Gone, Presence::Rebooted] {
        assert_eq!(
            first_lines(presence),
            "dl-home: the agent is not running: its service is masked.\n[how to unmask it]"
        );
    }
    assert!(first_lines(Presence::Running).starts_with("dl-home: the internet works."));
    assert!(first_lines(Presence::Hanging(Duration::from_mins(20))).contains("hangs"));
}
