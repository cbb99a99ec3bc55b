use std::time::Duration;

use jiff::{
    Timestamp,
    tz::{self, TimeZone},
};
use proptest::prelude::*;

use super::*;
use crate::{
    clock::{BootId, Stamp},
    journal::{Digest, Entry, Record},
    outage::{Cause, Gap, GapCause, Incident, IncidentId, Party, Scope, Segment},
    probe::Family,
};

/// The start of the journal.
const BEGIN: i64 = 1_767_225_600; // 2026-01-01T00:00:00Z

fn boot(number: u8) -> BootId {
    format!("00000000-0000-0000-0000-0000000000{number:02}").parse().expect("a boot id")
}

/// A moment of the first boot, in seconds after its start.
fn at(second: u64) -> Stamp {
    let wall = Timestamp::from_second(BEGIN).expect("a time") + Duration::from_secs(second);
    Stamp { boot: boot(1), boot_ms: second * 1_000, wall }
}

fn between(from: u64, to: u64) -> Interval {
    Interval::new(at(from).wall, at(to).wall)
}

fn record(at: Stamp, entry: Entry) -> Record {
    Record { seq: 1, prev: Digest::none(), at, entry }
}

fn started() -> Record {
    record(at(0), Entry::AgentStarted { version: "0.1.0".into(), device: "dl-home".into() })
}

fn incident(cause: Cause, party: Option<Party>, from: u64, causes: &[(Cause, u64)]) -> Incident {
    let mut segments = Vec::new();
    let mut now = from;
    for (cause, seconds) in causes {
        segments.push(Segment {
            scope: Scope::Internet,
            cause: *cause,
            from: at(now),
            to: at(now + seconds),
        });
        now += seconds;
    }
    Incident {
        id: IncidentId(uuid::Uuid::from_u128(from.into())),
        scope: Scope::Internet,
        cause,
        party,
        started: at(from),
        last_ok: None,
        ended: Some(at(now)),
        downtime_ms: 0,
        one_family_ms: 0,
        failures: 1,
        segments,
        evidence: vec![],
    }
}

fn concern(incident: &mut Incident, scope: Scope) {
    incident.scope = scope;
    for segment in &mut incident.segments {
        segment.scope = scope;
    }
}

fn closed(incident: Incident) -> Record {
    record(incident.ended.expect("the incident is closed"), Entry::IncidentClosed { incident })
}

fn isp(from: u64, seconds: u64) -> Incident {
    incident(Cause::Isp, Some(Party::Provider), from, &[(Cause::Isp, seconds)])
}

fn gap(from: u64, to: u64) -> Record {
    let id = IncidentId(uuid::Uuid::from_u128(to.into()));
    let cause = GapCause::Suspended;
    let gap = Gap { id, cause, started: at(from), ended: at(to), uncertain_s: 0, reason: None };
    record(at(to), Entry::Gap { gap })
}

/// The history of these records; `alive` is the last moment at which the agent is known to have run.
fn collected(
    records: impl IntoIterator<Item = Record>,
    alive: Option<Stamp>,
    now: Timestamp,
) -> History {
    let mut collector = Collector::default();
    for record in records {
        collector.add(record);
    }
    collector.finish(alive, now)
}

/// The history of these records, if the agent monitored until `end`.
fn history(records: impl IntoIterator<Item = Record>, end: u64) -> History {
    collected([started()].into_iter().chain(records), Some(at(end)), at(end).wall)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn availability_is_over_the_monitored_time() {
    let history = history([closed(isp(100, 50)), gap(500, 900)], 1_000);
    let account = Account::of(&history, between(0, 1_000));
    assert_eq!(account.observed, seconds(600));
    assert_eq!(account.provider.downtime, seconds(50));
    let shown = account.availability(&account.provider).map(|ratio| ratio.to_string());
    assert_eq!(shown.as_deref(), Some("91.666 %"));
    let coverage = account.coverage().map(|ratio| ratio.to_string());
    assert_eq!(coverage.as_deref(), Some("60.000 %"));
}

#[test]
fn a_gap_within_an_incident_is_not_downtime() {
    let history = history([closed(isp(100, 300)), gap(150, 350)], 1_000);
    let account = Account::of(&history, between(0, 1_000));
    assert_eq!((account.total.count, account.total.downtime), (1, seconds(100)));
}

#[test]
fn an_incident_counts_for_its_party_and_an_unstable_one_for_each_failure() {
    let plain =
        incident(Cause::Isp, Some(Party::Provider), 100, &[(Cause::Gateway, 20), (Cause::Isp, 80)]);
    let unstable = incident(
        Cause::Unstable,
        Some(Party::Provider),
        1_000,
        &[
            (Cause::Isp, 40),
            (Cause::Up, 60),
            (Cause::Gateway, 30),
            (Cause::Up, 60),
            (Cause::Dns, 10),
            (Cause::Up, 60),
        ],
    );
    let history = history([closed(plain), closed(unstable)], 2_000);
    let account = Account::of(&history, between(0, 2_000));
    let shown = |figures: DowntimeFigures| (figures.count, figures.downtime.as_secs());
    assert_eq!(shown(account.provider), (2, 140));
    assert_eq!(shown(account.yours), (1, 30));
    assert_eq!(shown(account.other), (1, 10), "no record attributes the resolver to the provider");
    assert_eq!(shown(account.total), (4, 180));
    assert_eq!(account.provider.longest, seconds(100));
    assert_eq!(account.provider.mean_time_to_repair(), Some(seconds(70)));
}

#[test]
fn incidents_other_than_internet_outages_are_only_listed() {
    let mut ipv6 = isp(100, 50);
    concern(&mut ipv6, Scope::Ipv6);
    let mut endpoint = incident(Cause::Endpoint, Some(Party::Other), 200, &[(Cause::Endpoint, 50)]);
    concern(&mut endpoint, Scope::Heartbeat);
    let mut bad = incident(Cause::Degraded, None, 300, &[(Cause::Degraded, 50)]);
    concern(&mut bad, Scope::Quality);
    let history = history([ipv6, endpoint, bad].map(closed), 1_000);
    let account = Account::of(&history, between(0, 1_000));
    assert_eq!(account.total, DowntimeFigures::default());
    assert_eq!((account.ipv6.count, account.ipv6.downtime), (1, seconds(50)));
    assert_eq!(account.unaccounted, Unaccounted { degraded: 1, heartbeat: 1 });
    assert_eq!(history.incidents.len(), 3);
}

/// An outage of the internet, with IPv6 down before and after it.
fn partial(from: u64) -> Incident {
    let causes = [(Cause::Isp, 10), (Cause::Gateway, 20), (Cause::Isp, 40), (Cause::Isp, 80)];
    let mut partial = incident(Cause::Isp, Some(Party::Provider), from, &causes);
    (partial.segments[0].scope, partial.segments[3].scope) = (Scope::Ipv6, Scope::Ipv6);
    partial
}

#[test]
fn one_family_time_is_separate_from_the_downtime_of_its_incident() {
    let history = history([closed(partial(100)), gap(200, 220)], 1_000);
    let account = Account::of(&history, between(0, 1_000));
    assert_eq!((account.provider.count, account.provider.downtime), (1, seconds(60)));
    assert_eq!(account.total, account.provider);
    assert_eq!((account.ipv6.count, account.ipv6.downtime), (1, seconds(10 + 80 - 20)));
    assert_eq!(account.ipv4, DowntimeFigures::default());
    let only = &history.incidents[0];
    assert_eq!(history.downtime(only), seconds(60));
    let alone = history.family_downtime(only);
    assert_eq!((alone.ipv4, alone.ipv6), (seconds(0), seconds(70)));
}

#[test]
fn the_internet_is_repaired_when_one_family_is_back() {
    let mut open = partial(100);
    open.ended = None;
    let opened = record(at(250), Entry::IncidentChanged { incident: open });
    let history = history([opened], 400);
    let account = Account::of(&history, between(0, 400));
    assert_eq!((account.total.downtime, account.ipv6.downtime), (seconds(60), seconds(240)));
    assert_eq!(account.total.mean_time_to_repair(), Some(seconds(60)));
    assert_eq!(account.ipv6.mean_time_to_repair(), None);
}

#[test]
fn an_unstable_incident_counts_the_failures_of_each_scope() {
    let causes =
        [(Cause::Isp, 40), (Cause::Up, 60), (Cause::Isp, 30), (Cause::Isp, 5), (Cause::Up, 9)];
    let mut unstable = incident(Cause::Unstable, Some(Party::Provider), 100, &causes);
    unstable.segments[3].scope = Scope::Ipv4;
    unstable.failures = 2;
    let history = history([closed(unstable)], 1_000);
    let account = Account::of(&history, between(0, 1_000));
    assert_eq!((account.total.count, account.total.downtime), (2, seconds(70)));
    assert_eq!((account.ipv4.count, account.ipv4.downtime), (1, seconds(5)));
}

#[test]
fn an_open_unstable_incident_is_not_extended_after_a_change() {
    let causes = [(Cause::Isp, 7), (Cause::Up, 117), (Cause::Isp, 7)];
    let mut open = incident(Cause::Unstable, Some(Party::Provider), 100, &causes);
    open.ended = None;
    let history = history([record(at(231), Entry::IncidentChanged { incident: open })], 1_000);
    let account = Account::of(&history, between(0, 1_000));
    assert_eq!((account.total.count, account.total.downtime), (2, seconds(14)));
    assert!(history.incidents[0].is_open());
}

#[test]
fn an_open_incident_extends_to_the_last_monitored_moment() {
    let mut open = isp(100, 10);
    open.ended = None;
    let opened = record(at(110), Entry::IncidentOpened { incident: open });
    let history = history([opened], 400);
    let account = Account::of(&history, between(0, 400));
    assert_eq!((account.total.count, account.total.downtime), (1, seconds(300)));
    assert_eq!(account.total.mean_time_to_repair(), None, "the outage is not over");
}

#[test]
fn a_closed_incident_keeps_the_evidence_that_opened_it() {
    let seen = crate::outage::Observation {
        probe: crate::outage::ProbeKind::Tcp,
        target: "1.1.1.1:443".into(),
        family: None,
        answer: "timeout".into(),
        ms: None,
        at: at(101),
    };
    let opened = Incident { evidence: vec![seen.clone()], ended: None, ..isp(100, 10) };
    let opened = record(at(105), Entry::IncidentOpened { incident: opened });
    let history = history([opened, closed(isp(100, 60))], 400);
    assert_eq!(history.incidents.len(), 1);
    assert_eq!(history.incidents[0].recorded.evidence, [seen]);
    assert!(!history.incidents[0].is_open());
}

#[test]
fn after_a_stop_nothing_is_monitored() {
    let stopped = record(at(500), Entry::AgentStopped { reason: "SIGTERM".into() });
    let history = collected([started(), stopped], None, at(2_000).wall);
    let account = Account::of(&history, between(0, 2_000));
    assert_eq!(account.observed, seconds(500));
    let [gap] = &history.gaps[..] else { panic!("one gap: {:?}", history.gaps) };
    assert!(gap.is_open);
    assert_eq!((gap.cause, gap.time), (Some(GapCause::Stopped), between(500, 2_000)));
}

#[test]
fn a_clock_that_is_set_later_corrects_all_times_of_its_boot() {
    let wrong = |second: u64| Stamp {
        boot: boot(2),
        boot_ms: second * 1_000,
        wall: Timestamp::UNIX_EPOCH + seconds(second),
    };
    let right = Stamp { wall: at(1_100).wall, ..wrong(100) };
    let mut early = isp(0, 0);
    early.started = wrong(10);
    early.ended = Some(wrong(30));
    early.segments = vec![Segment { from: wrong(10), to: wrong(30), ..early.segments[0].clone() }];
    let step = Entry::ClockStepped { by_ms: 1, source: crate::journal::StepSource::System };
    let records = [
        started(),
        record(wrong(30), Entry::IncidentClosed { incident: early.clone() }),
        record(right, step),
    ];
    let history = collected(records, None, at(1_100).wall);
    assert_eq!(history.incidents[0].time, between(1_010, 1_030));
    assert!(history.incidents[0].clock_certain);

    // A clock that was never set: only the order of the boots is known.
    let records = [started(), record(wrong(30), Entry::IncidentClosed { incident: early })];
    let history = collected(records, None, at(100).wall);
    assert!(!history.incidents[0].clock_certain);
    assert!(history.incidents[0].time.to >= at(0).wall);
}

#[test]
fn days_have_23_24_or_25_hours() {
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
    let whole = Interval::new(
        "2026-03-28T12:00:00Z".parse().expect("a time"),
        "2026-03-30T12:00:00Z".parse().expect("a time"),
    );
    let hours = |part: &CalendarPart| part.time.duration().as_secs() / 3_600;
    assert_eq!(days(whole, &berlin).iter().map(hours).collect::<Vec<_>>(), [24, 23, 24]);
    assert_eq!(months(whole, &berlin).iter().map(hours).collect::<Vec<_>>(), [31 * 24 - 1]);
    let autumn = Interval::new(
        "2026-10-25T00:00:00Z".parse().expect("a time"),
        "2026-10-25T05:00:00Z".parse().expect("a time"),
    );
    assert_eq!(days(autumn, &berlin).iter().map(hours).collect::<Vec<_>>(), [25]);
}

#[test]
fn periods_are_parsed_from_everyday_notation() {
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
    let now = "2026-11-24T10:30:00Z".parse().expect("a time");
    for (since, until, from, to) in [
        ("7d", "12h", "2026-11-17T10:30:00Z", "2026-11-23T22:30:00Z"),
        ("2026-11-01", "2026-11-02", "2026-10-31T23:00:00Z", "2026-11-02T23:00:00Z"),
        ("2026-10", "2026-10", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
        ("yesterday", "yesterday", "2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z"),
        ("today", "2026-11-24T08:15", "2026-11-23T23:00:00Z", "2026-11-24T07:15:00Z"),
        ("2026-11-01T00:00:00+05:00", "90min", "2026-10-31T19:00:00Z", "2026-11-24T09:00:00Z"),
        // Calendar days, across the end of summer time.
        ("31d", "today", "2026-10-24T09:30:00Z", "2026-11-24T23:00:00Z"),
    ] {
        let moment = |text: &str| Some(text.parse().expect("a valid moment"));
        let period = Period { since: moment(since), until: moment(until) };
        let time = |text: &str| text.parse().expect("a time");
        assert_eq!(period.resolve(now, &zone), Interval::new(time(from), time(to)), "{since}");
    }
    for text in ["", "soon", "7", "d", "-7d", "7y", "2026-13", "2026-02-30", "2026-1-1"] {
        assert!(text.parse::<Moment>().is_err(), "{text:?}");
    }
}

#[test]
fn the_time_between_two_runs_is_unmonitored_even_without_a_recorded_gap() {
    let start = |second: u64| record(at(second), started().entry);
    let stop = |second| record(at(second), Entry::AgentStopped { reason: "SIGTERM".into() });
    // The gap covers part of the time between stop and start; no record covers the crash.
    let records = [stop(100), gap(150, 200), start(300), closed(isp(400, 10)), start(600)];
    let history = history(records, 1_000);
    assert_eq!(history.unmonitored(), [between(100, 300), between(410, 600)]);
    let named: Vec<_> = history.gaps.iter().map(|gap| gap.id.is_some()).collect();
    assert_eq!(named, [false, true, false, false]);
    let account = Account::of(&history, between(0, 1_000));
    assert_eq!(account.observed, seconds(1_000 - 200 - 190));
}

#[test]
fn a_recorded_gap_determines_when_a_crashed_run_ended() {
    let crash = [closed(isp(100, 10)), gap(500, 600), record(at(600), started().entry)];
    let history = history(crash, 1_000);
    assert_eq!(history.unmonitored(), [between(500, 600)]);
}

proptest! {
    /// Whatever happened, the months add up to the whole, nothing is counted in unmonitored
    /// periods, and no party has more downtime than there was time.
    #[test]
    fn the_parts_of_a_period_add_up_to_it(
        incidents in prop::collection::vec((0_u64..6_000_000, 0_u64..200_000, 0..4), 0..12),
        gaps in prop::collection::vec((0_u64..6_000_000, 0_u64..400_000), 0..6),
    ) {
        let end = 7_000_000;
        let records = incidents
            .iter()
            .map(|&(from, long, kind)| {
                closed(match kind {
                    0 => isp(from, long),
                    1 => partial(from),
                    2 => {
                        let mut ipv4 = isp(from, long);
                        (ipv4.scope, ipv4.segments[0].scope) = (Scope::Ipv4, Scope::Ipv4);
                        ipv4
                    }
                    _ => incident(Cause::Link, Some(Party::Yours), from, &[(Cause::Link, long)]),
                })
            })
            .chain(gaps.iter().map(|&(from, long)| gap(from, from + long)));
        let history = history(records, end);
        let zone = TimeZone::fixed(tz::offset(2));
        let whole = Account::of(&history, between(0, end));
        let parts: Vec<_> = months(whole.period, &zone)
            .into_iter()
            .map(|month| Account::of(&history, month.time.within(&whole.period)))
            .collect();
        let sum = |value: fn(&Account) -> Duration| parts.iter().map(value).sum::<Duration>();
        prop_assert_eq!(sum(|part| part.observed), whole.observed);
        prop_assert_eq!(sum(|part| part.total.downtime), whole.total.downtime);
        prop_assert_eq!(sum(|part| part.ipv4.downtime), whole.ipv4.downtime);
        prop_assert_eq!(sum(|part| part.ipv6.downtime), whole.ipv6.downtime);
        prop_assert_eq!(whole.provider.downtime + whole.yours.downtime, whole.total.downtime);
        prop_assert!(whole.observed <= whole.period.duration());
        for incident in &history.incidents {
            let families = Family::BOTH.map(|family| history.family_failures(incident, family));
            let failures = history.failures(incident).into_iter().chain(families.concat());
            let times: Vec<_> = failures.flat_map(|failure| failure.times).collect();
            for time in &times {
                prop_assert!(history.unmonitored().iter().all(|gap| !gap.touches(time)));
            }
            prop_assert_eq!(Interval::total(&Interval::union(times.clone())), Interval::total(&times));
        }
    }
}

#[test]
fn merged_segments_keep_their_downtime_and_failures() {
    // 20 failures of 40 s; the first 18 are merged.
    let mut unstable = incident(
        Cause::Unstable,
        Some(Party::Provider),
        0,
        &[(Cause::Unstable, 1_440), (Cause::Isp, 40), (Cause::Up, 40), (Cause::Isp, 40)],
    );
    (unstable.downtime_ms, unstable.failures) = (800_000, 20);
    let history = history([closed(unstable)], 2_000);
    let account = Account::of(&history, between(0, 2_000));
    assert_eq!((account.provider.count, account.provider.downtime), (20, seconds(800)));
    assert_eq!(history.downtime(&history.incidents[0]), seconds(800));
    // A part of the period has its share, and no intervals overlap.
    let account = Account::of(&history, between(0, 720));
    assert_eq!((account.provider.count, account.provider.downtime), (9, seconds(360)));
    let failures = history.failures(&history.incidents[0]);
    let times: Vec<_> = failures.into_iter().flat_map(|failure| failure.times).collect();
    assert_eq!(Interval::total(&Interval::union(times)), seconds(800));
}

#[test]
fn an_incident_with_merged_segments_counts_whole() {
    let mut long =
        incident(Cause::Isp, Some(Party::Provider), 0, &[(Cause::Unstable, 600), (Cause::Isp, 60)]);
    long.downtime_ms = 660_000;
    let history = history([closed(long)], 1_000);
    let account = Account::of(&history, between(0, 1_000));
    assert_eq!((account.provider.count, account.provider.downtime), (1, seconds(660)));
}

#[test]
fn merged_segments_keep_one_family_time_and_avoid_gaps() {
    // Within the merged time the internet was down for 300 s and IPv6 alone for 200 s; a gap
    // overlaps it.
    let causes = [(Cause::Unstable, 1_000), (Cause::Isp, 60), (Cause::Isp, 40)];
    let mut long = incident(Cause::Isp, Some(Party::Provider), 0, &causes);
    long.segments[2].scope = Scope::Ipv6;
    (long.downtime_ms, long.one_family_ms) = (360_000, 240_000);
    let history = history([closed(long), gap(0, 400)], 2_000);
    let account = Account::of(&history, between(0, 2_000));
    assert_eq!((account.total.count, account.total.downtime), (1, seconds(360)));
    assert_eq!((account.ipv6.count, account.ipv6.downtime), (1, seconds(240)));
    assert_eq!(account.ipv4, DowntimeFigures::default());
    let only = &history.incidents[0];
    let times =
        history.failures(only).into_iter().chain(history.family_failures(only, Family::Ipv6));
    let times: Vec<_> = times.flat_map(|failure| failure.times).collect();
    assert_eq!(Interval::total(&Interval::union(times)), seconds(600), "no intervals overlap");
}

#[test]
fn open_incidents_of_a_renamed_device_end_where_last_monitored() {
    let mut open = isp(100, 50);
    open.ended = None;
    let renamed = |second: u64| {
        record(at(second), Entry::AgentStarted { version: "0.1.0".into(), device: "attic".into() })
    };
    let history =
        history([record(at(150), Entry::IncidentOpened { incident: open }), renamed(600)], 1_000);
    assert!(!history.incidents[0].is_open());
    assert_eq!(history.incidents[0].time, between(100, 150));
    assert_eq!(history.unmonitored(), [between(150, 600)]);
    assert_eq!(history.device.as_deref(), Some("attic"));
}

#[test]
fn a_pause_continues_across_a_restart() {
    let stopped = record(at(300), Entry::AgentStopped { reason: "SIGTERM".into() });
    let restarted =
        record(at(310), Entry::AgentStarted { version: "0.1.0".into(), device: "dl-home".into() });
    let paused = |second: u64| record(at(second), Entry::Paused { until: at(second + 7_200) });
    let history = history([paused(200), paused(250), stopped, restarted], 1_000);
    assert_eq!(history.unmonitored(), [between(200, 1_000)]);
}

#[test]
fn only_the_newest_open_incident_of_a_kind_stays_open() {
    let mut records = Vec::new();
    for from in [100, 200, 300] {
        let mut open = isp(from, 20);
        open.ended = None;
        records.push(record(at(from + 20), Entry::IncidentOpened { incident: open }));
    }
    let history = history(records, 400);
    let open: Vec<_> = history.incidents.iter().map(PastIncident::is_open).collect();
    assert_eq!(open, [false, false, true]);
    let account = Account::of(&history, between(0, 400));
    assert_eq!((account.total.count, account.total.downtime), (3, seconds(20 + 20 + 100)));
}

#[test]
fn an_open_unstable_incident_is_not_extended_after_its_opening() {
    let parts = [(Cause::Isp, 7), (Cause::Up, 117), (Cause::Isp, 7)];
    let mut open = incident(Cause::Unstable, Some(Party::Provider), 100, &parts);
    open.ended = None;
    let opened = record(at(231), Entry::IncidentOpened { incident: open });
    let history = history([opened], 1_000);
    assert_eq!(Account::of(&history, between(0, 1_000)).total.downtime, seconds(14));
    assert_eq!(history.incidents[0].time, between(100, 231));
}

#[test]
fn an_incident_closed_by_a_newer_version_is_over() {
    let mut open = isp(100, 20);
    open.ended = None;
    let unknown = crate::journal::UnknownRecord {
        kind: "incident_closed".to_owned(),
        word: Some("solar_flare".to_owned()),
        incident: Some(open.id),
    };
    let opened = record(at(120), Entry::IncidentOpened { incident: open });
    let history = history([opened, record(at(150), Entry::Unknown(unknown))], 400);
    assert!(!history.incidents[0].is_open());
    assert_eq!(history.incidents[0].time, between(100, 120));
    assert_eq!(history.unknown.sentences().len(), 1);
}

#[test]
fn swapped_and_copied_lines_do_not_change_the_history() {
    let closed_first = [
        Record { seq: 4, ..closed(isp(100, 60)) },
        Record {
            seq: 3,
            ..record(
                at(110),
                Entry::IncidentOpened { incident: Incident { ended: None, ..isp(100, 10) } },
            )
        },
    ];
    let history = history(closed_first.into_iter().chain([gap(300, 350), gap(300, 350)]), 400);
    assert!(!history.incidents[0].is_open());
    assert_eq!((history.incidents.len(), history.gaps.len()), (1, 1));
}

#[test]
fn a_crash_during_a_pause_is_a_separate_gap() {
    let paused = record(at(200), Entry::Paused { until: at(7_400) });
    let history = collected([started(), paused], Some(at(260)), at(1_000).wall);
    let gaps: Vec<_> = history.gaps.iter().map(|gap| (gap.cause, gap.time, gap.is_open)).collect();
    let pause = (Some(GapCause::Paused), between(200, 260), false);
    assert_eq!(gaps, [pause, (None, between(260, 1_000), true)]);
}

#[test]
fn a_clock_corrected_only_by_the_alive_file_makes_no_gap_of_decades() {
    let wrong = |second: u64| Stamp {
        boot: boot(2),
        boot_ms: second * 1_000,
        wall: "1973-01-01T00:00:00Z".parse::<Timestamp>().expect("a time") + seconds(second),
    };
    let mut outage = isp(0, 0);
    (outage.started, outage.ended) = (wrong(10), Some(wrong(30)));
    outage.segments =
        vec![Segment { from: wrong(10), to: wrong(30), ..outage.segments[0].clone() }];
    let records = [record(wrong(5), started().entry), record(wrong(30), closed(outage).entry)];
    let alive = Stamp { wall: at(1_000).wall, ..wrong(60) };
    let history = collected(records, Some(alive), at(1_030).wall);
    assert_eq!(history.span.map(|span| span.duration()), Some(seconds(55)));
    assert_eq!(history.incidents[0].time.duration(), seconds(20));
    assert!(history.gaps.is_empty(), "{:?}", history.gaps);
}
