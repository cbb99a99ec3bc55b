use jiff::Timestamp;

use super::{builder::*, *};
use crate::{
    journal::{Digest, Entry, Record, alive::Alive},
    outage::{Cause, IncidentId, Scope, Segment},
};
use std::time::Duration;

fn stamp(boot: u8, second: u64, wall: &str) -> Stamp {
    let boot: BootId =
        format!("00000000-0000-0000-0000-0000000000{boot:02}").parse().expect("a boot id");
    let wall: Timestamp = wall.parse().expect("a time");
    Stamp { boot, boot_ms: second * 1_000, wall }
}

#[test]
fn devices_are_compared_as_the_cloud_compares_them() {
    for (one, other, same) in
        [("dl-home", " DL-Home ", true), ("ΟΔΟΣ", "οδοσ", true), ("dl-home", "dl-home2", false)]
    {
        assert_eq!(super::is_same_device(one, other), same, "{one} {other}");
    }
}

fn pause(at: Stamp, time: Duration) -> Record {
    record(1, at, Entry::Paused { until: at.later(time) })
}

#[test]
fn a_second_request_moves_the_end_of_a_pause_but_not_its_start() {
    let mut history = RecoveredBuilder::default();
    let first = stamp(1, 0, "2026-11-24T10:00:00Z");
    let second = stamp(1, 3_600, "2026-11-24T11:00:00Z");
    history.apply(pause(first, Duration::from_hours(2)));
    history.apply(pause(second, Duration::from_hours(2)));
    let now = stamp(1, 5_400, "2026-11-24T11:30:00Z");
    let found = history.finish("dl-home", None, now, Vec::new()).pause.expect("a pause");
    assert_eq!(found, Pause::new(first, second.later(Duration::from_hours(2))));
    assert_eq!(found.time_left(&now), Duration::from_mins(90));
}

fn record(seq: u64, at: Stamp, entry: Entry) -> Record {
    Record { seq, prev: Digest::none(), at, entry }
}

fn second(second: u64) -> Stamp {
    let begin = stamp(1, 0, "2026-11-24T10:00:00Z");
    begin.later(Duration::from_secs(second))
}

fn incident(number: u128, scope: Scope, cause: Cause, from: u64, to: u64) -> Incident {
    Incident {
        id: IncidentId(uuid::Uuid::from_u128(number)),
        scope,
        cause,
        party: None,
        started: second(from),
        last_ok: None,
        ended: None,
        downtime_ms: if cause.is_downtime() { (to - from) * 1_000 } else { 0 },
        one_family_ms: 0,
        failures: 1,
        segments: vec![Segment { scope, cause, from: second(from), to: second(to) }],
        evidence: Vec::new(),
    }
}

fn opened(incident: &Incident) -> Entry {
    Entry::IncidentOpened { incident: incident.clone() }
}

fn alive(at: Stamp) -> Alive {
    Alive::new(at, 1, &Digest::none())
}

#[test]
fn only_the_newest_open_incident_of_a_kind_stays_open() {
    let mut history = RecoveredBuilder::default();
    let all = [
        incident(1, Scope::Ipv4, Cause::Isp, 10, 20),
        incident(2, Scope::Heartbeat, Cause::Endpoint, 30, 40),
        incident(3, Scope::Ipv6, Cause::Isp, 50, 60),
        incident(4, Scope::Internet, Cause::Dns, 70, 80),
    ];
    for (seq, one) in (1..).zip(&all) {
        let at = one.segments[0].to;
        history.apply(record(seq, at, opened(one)));
    }
    let found = history.finish("dl-home", None, second(100), Vec::new());
    let open: Vec<_> = found.open.iter().map(|one| one.id).collect();
    assert_eq!(open, [all[1].id, all[3].id]);
    let ended = found.superseded.iter().map(|one| (one.id, one.ended, one.downtime_ms));
    let wanted = [(all[0].id, Some(second(20)), 10_000), (all[2].id, Some(second(60)), 10_000)];
    assert_eq!(ended.collect::<Vec<_>>(), wanted);
}

#[test]
fn an_open_incident_extends_to_the_alive_file_unless_it_is_unstable() {
    // Six outages of 7 s each; the last one ended and was recorded long ago.
    let mut unstable = incident(1, Scope::Internet, Cause::Unstable, 0, 7);
    unstable.downtime_ms = 42_000;
    unstable.segments[0].cause = Cause::Isp;
    let outage = incident(2, Scope::Internet, Cause::Isp, 0, 7);
    for (open, down_ms) in [(unstable, 42_000), (outage, 120_000)] {
        let mut history = RecoveredBuilder::default();
        history.apply(record(1, second(7), opened(&open)));
        let now = second(300);
        let found = history.finish("dl-home", Some(alive(second(120))), now, Vec::new());
        assert_eq!(found.open[0].downtime_ms, down_ms, "{:?}", open.cause);
    }
}

#[test]
fn an_open_incident_does_not_extend_into_an_unmonitored_period() {
    let outage = incident(2, Scope::Internet, Cause::Isp, 0, 7);
    let device = "dl-home".to_owned();
    let version = "0.1.0".to_owned();
    for entry in [
        Entry::AgentStarted { version, device },
        Entry::AgentStopped { reason: "SIGTERM".to_owned() },
        Entry::Paused { until: second(7_200) },
    ] {
        let mut history = RecoveredBuilder::default();
        history.apply(record(1, second(7), opened(&outage)));
        history.apply(record(2, second(20), entry));
        let found = history.finish("dl-home", Some(alive(second(120))), second(300), Vec::new());
        assert_eq!(found.open, std::slice::from_ref(&outage));
    }
}

#[test]
fn a_clock_that_was_set_back_gets_another_boot_id() {
    let mut history = RecoveredBuilder::default();
    history.apply(record(1, second(5_000), Entry::AgentStopped { reason: "x".to_owned() }));
    let now = second(100);
    let found = history.clone().finish("dl-home", None, now, Vec::new());
    let boot = found.boot.expect("another boot id");
    assert_ne!(boot, now.boot);
    assert!(boot.is_same_of_system(now.boot));
    // The next run finds the moments of this one, and they are in order.
    let later = Stamp { boot, ..second(200) };
    history.apply(record(2, later, Entry::Hour { summary: hour(later) }));
    let found = history.clone().finish("dl-home", None, second(300), Vec::new());
    assert_eq!(found.boot, Some(boot));
    assert_eq!(found.last_run.map(|last| last.cause), Some(GapCause::Crashed));
    let found = history.finish("dl-home", None, second(150), Vec::new());
    assert_eq!(found.boot, Some(boot.set_back()));
    let last = found.last_run.expect("a run");
    assert_eq!(last.cause, GapCause::PowerLost, "the same as for any other boot");
}

fn hour(at: Stamp) -> Summary {
    Summary {
        from: at,
        to: at,
        observed_ms: 0,
        rounds: 0,
        rounds_failed: 0,
        probes: 0,
        lost: 0,
        rtt_ms: None,
        beats: 0,
        beats_failed: 0,
        blips: 0,
    }
}

#[test]
fn a_crash_during_a_pause_ends_the_pause() {
    let started = |entry: Entry, alive: Option<Alive>, now: Stamp| {
        let mut history = RecoveredBuilder::default();
        history.apply(pause(second(100), Duration::from_hours(1)));
        if !matches!(entry, Entry::Hour { .. }) {
            history.apply(record(2, second(110), entry));
        }
        history.finish("dl-home", alive, now, Vec::new()).start(now)
    };
    let nothing = || Entry::Hour { summary: hour(second(0)) };
    let gap = |cause, from, to, uncertain_s| PastGap {
        cause,
        started: second(from),
        ended: second(to),
        uncertain_s,
    };
    let crashed = started(nothing(), Some(alive(second(110))), second(140));
    let gaps = [gap(GapCause::Paused, 100, 110, 0), gap(GapCause::Crashed, 110, 140, 60)];
    assert_eq!(crashed.gaps, gaps);
    let until = second(100 + 3_600);
    let whole = Pause::new(second(100), until);
    let again = whole.continued(second(140)).starting(second(140));
    assert_eq!(crashed.pause, Some(again));
    assert!(crashed.must_record_pause);
    let over = started(nothing(), Some(alive(second(110))), second(4_000));
    assert_eq!((over.gaps.len(), over.pause, over.must_record_pause), (2, None, false));
    // A clean stop does not affect the pause.
    let stop = || Entry::AgentStopped { reason: "SIGTERM".to_owned() };
    let stopped = started(stop(), None, second(140));
    let pause = Some(whole.continued(second(140)));
    assert_eq!(stopped, Start { gaps: vec![], pause, must_record_pause: false });
    let over = started(stop(), None, second(4_000));
    assert_eq!(over.gaps, [gap(GapCause::Paused, 100, 4_000, 0)]);
}
