use super::{
    assumptions::Assumptions,
    run::{self, Log, SimulatedMailKind},
    score::Score,
    settings::SimulationSettings,
    time::{DAY, HOUR, MINUTE, Millis, SECOND, Span},
    world::{Absence, AbsenceKind, SimulatedOutage, World},
};
use crate::{
    query::{LONGEST_RANGE, Trace},
    rules::{self, Rule, index::TraceSource as _},
};

const DEFAULT: SimulationSettings =
    SimulationSettings { threshold: 5.0, evaluation_minutes: 5, interval_s: 60 };

fn rules_for(settings: &SimulationSettings) -> Vec<Rule> {
    run::rules(&rules::deployed().expect("rules"), settings).expect("a frequency")
}

fn span(from: Millis, length: Millis) -> Span {
    Span { from, to: from + length }
}

fn outage(from: Millis, length: Millis) -> SimulatedOutage {
    SimulatedOutage { span: span(from, length), is_power_cut: false }
}

fn absence(kind: AbsenceKind, from: Millis, length: Millis, quiet: Millis) -> Absence {
    Absence { span: span(from, length), quiet, kind }
}

/// Simulates a world for `days` with the default settings. Only the first evaluations, the
/// intervals of heartbeats and the agent's reaction times are random, from a fixed seed.
fn play(days: i64, world: World) -> (Log, Score) {
    let world = World { length: days * DAY, ..world };
    let log = run::run(&world, &Assumptions::without_events(), &DEFAULT, &rules_for(&DEFAULT), 7);
    let score = Score::of(&world, &DEFAULT, &log);
    (log, score)
}

/// The numbers of mails about silence, resolved mails, reminders and reports.
fn mails(score: &Score) -> [usize; 4] {
    [score.silent_mails, score.resolved_mails, score.reminders, score.reports]
}

#[test]
fn a_day_without_events_has_no_mail() {
    let (log, score) = play(3, World::default());
    assert_eq!(log.mails, []);
    assert_eq!(score, Score { observed: 3 * DAY, ..Score::default() });
}

#[test]
fn an_outage_of_twenty_minutes_is_mailed_once_and_reported() {
    let outages = vec![outage(5 * HOUR, 20 * MINUTE)];
    let (log, score) = play(1, World { outages, ..World::default() });
    assert_eq!((score.outages, score.mailed, score.missed), (1, 1, 0));
    // Reminders at 10 and 15 minutes of silence, perhaps at 20.
    let [silent, resolved, reminders, reports] = mails(&score);
    assert_eq!([silent, resolved, reports], [1, 1, 1]);
    assert!((2..=3).contains(&reminders), "{reminders}");
    assert_eq!(
        (score.false_alarms, score.false_resolves, score.alarms_about_short_outages),
        (0, 0, 0)
    );
    let first = i64::from(score.first_mails[0]) * SECOND;
    // The threshold of 5 min counts from the last heartbeat; an evaluation follows within 5 min.
    assert!((4 * MINUTE..11 * MINUTE).contains(&first), "{first}");
    let SimulatedMailKind::Silent { since } = log.mails[0].kind else { panic!("{log:?}") };
    // The last heartbeat came up to one interval before; the mail truncates the silence to 0.1 min.
    assert!((5 * HOUR - 70 * SECOND..5 * HOUR + 6 * SECOND).contains(&since), "{since}");
}

#[test]
fn an_outage_that_is_too_short_is_neither_mailed_nor_counted() {
    let outages = vec![outage(5 * HOUR, 3 * MINUTE)];
    let (log, score) = play(1, World { outages, ..World::default() });
    assert_eq!((score.outages, log.mails.len()), (0, 0));
}

#[test]
fn an_announced_silence_raises_no_alarm_and_an_outage_in_it_counts_from_its_end() {
    let absences = vec![absence(AbsenceKind::Pause, 5 * HOUR, 2 * HOUR, 2 * HOUR)];
    let world = World { absences, ..World::default() };
    let (log, _) = play(1, world.clone());
    assert_eq!(log.mails, []);
    assert_eq!(log.announcements.len(), 1);
    let within = vec![outage(6 * HOUR, 30 * MINUTE)];
    let (_, score) = play(1, World { outages: within, ..world.clone() });
    assert_eq!((score.outages, score.silent_mails), (0, 0));
    // The pause ends at 7:00, the outage at 7:40.
    let beyond = vec![outage(6 * HOUR, 100 * MINUTE)];
    let (_, score) = play(1, World { outages: beyond, ..world });
    assert_eq!((score.outages, score.mailed, score.silent_mails), (1, 1, 1));
    assert!(i64::from(score.first_mails[0]) * SECOND < 11 * MINUTE, "{score:?}");
}

#[test]
fn a_lost_announcement_is_a_false_alarm() {
    let absences = vec![absence(AbsenceKind::Pause, 5 * HOUR, 2 * HOUR, 2 * HOUR)];
    // The host exits 20 s after the announcement, before it has sent that line on.
    let lost_buffers = vec![5 * HOUR + 20 * SECOND];
    let (_, score) = play(1, World { absences, lost_buffers, ..World::default() });
    assert_eq!((score.silent_mails, score.false_alarms), (1, 1));
}

#[test]
fn a_reboot_raises_no_alarm() {
    let reboot = absence(AbsenceKind::Reboot, 5 * HOUR, 90 * SECOND, 30 * MINUTE);
    let restart = absence(AbsenceKind::AgentRestart, 9 * HOUR, 3 * SECOND, 30 * MINUTE);
    let world = World { absences: vec![reboot, restart], ..World::default() };
    assert_eq!(play(1, world).0.mails, []);
}

#[test]
fn a_power_cut_is_an_outage_without_a_report() {
    let outages = vec![SimulatedOutage { span: span(5 * HOUR, HOUR), is_power_cut: true }];
    let (_, score) = play(1, World { outages, ..World::default() });
    assert_eq!(
        (score.mailed, score.silent_mails, score.resolved_mails, score.reports),
        (1, 1, 1, 0)
    );
}

#[test]
fn an_outage_longer_than_the_query_range_resolves_only_at_its_end() {
    let outages = vec![outage(5 * HOUR, 50 * HOUR)];
    let (log, score) = play(4, World { outages, ..World::default() });
    assert_eq!((score.outages, score.mailed, score.silent_mails), (1, 1, 1));
    assert_eq!((score.resolved_mails, score.false_resolves, score.reports), (1, 0, 1));
    let resolved =
        log.mails.iter().find(|mail| matches!(mail.kind, SimulatedMailKind::Resolved { .. }));
    let resolved = resolved.expect("a resolved mail").at;
    // The third evaluation without silence resolves the alert; there is one every 5 min.
    assert!((55 * HOUR + 10 * MINUTE..55 * HOUR + 17 * MINUTE).contains(&resolved), "{resolved}");
    // Every 5 min from 10 to 60 min (11), every hour from 2 to 24 h (23), then daily at 8:00 (1).
    assert!((34..=36).contains(&score.reminders), "{}", score.reminders);
}

#[test]
fn an_ingestion_delay_of_203_s_raises_no_alarm_and_one_of_ten_minutes_does() {
    // 203 s is the longest measured delay.
    let late = |length| World { ingestion_down: vec![span(5 * HOUR, length)], ..World::default() };
    assert_eq!(play(1, late(203 * SECOND)).0.mails, []);
    let (_, score) = play(1, late(10 * MINUTE + 30 * SECOND));
    assert_eq!(
        (score.silent_mails, score.alarms_while_azure_failed, score.false_alarms),
        (1, 1, 0)
    );
}

#[test]
fn an_outage_while_no_rule_is_evaluated_is_missed_because_of_azure() {
    let outages = vec![outage(5 * HOUR, 20 * MINUTE)];
    let rules_down = vec![span(5 * HOUR - MINUTE, 25 * MINUTE)];
    let (_, score) = play(1, World { outages, rules_down, ..World::default() });
    assert_eq!(
        (score.outages, score.mailed, score.missed, score.missed_while_azure_failed),
        (1, 0, 0, 1)
    );
}

#[test]
fn mails_beyond_the_limit_are_suppressed() {
    let outages = vec![outage(5 * HOUR, 5 * HOUR)];
    let world = World { length: DAY, outages, ..World::default() };
    let assumptions = Assumptions { mail_limit: 3, ..Assumptions::without_events() };
    let log = run::run(&world, &assumptions, &DEFAULT, &rules_for(&DEFAULT), 7);
    let in_first_hour = log.mails.iter().filter(|mail| mail.at < 6 * HOUR).count();
    assert_eq!(in_first_hour, 3);
    assert!(log.kept_back > 5, "{}", log.kept_back);
}

#[test]
fn every_outage_is_mailed_or_missed_and_equal_seeds_give_equal_worlds() {
    let assumptions = Assumptions { outages: 600.0, ..SimulationSettings::default_assumptions() };
    let rules = rules_for(&DEFAULT);
    let mut outages = 0;
    for seed in 0..6 {
        let play = || {
            let world = World { length: 30 * DAY, ..World::random(&assumptions, 1, seed) };
            let log = run::run(&world, &assumptions, &DEFAULT, &rules, seed);
            (Score::of(&world, &DEFAULT, &log), log)
        };
        let (score, log) = play();
        assert_eq!(score.mailed + score.missed + score.missed_while_azure_failed, score.outages);
        assert!(
            score.false_alarms + score.alarms_while_azure_failed + score.alarms_about_short_outages
                <= score.silent_mails
        );
        assert_eq!(score.mails(), log.mails.len());
        assert_eq!((score.clone(), log), play());
        outages += score.outages;
    }
    assert!(outages > 60, "{outages}");
}

/// Without the index, each evaluation reads all lines of the last 48 hours.
#[test]
fn mails_are_the_same_with_and_without_the_index() {
    let assumptions = Assumptions {
        outages: 2_000.0,
        restarts: 1_000.0,
        pauses: 500.0,
        heartbeat_loss: 0.05,
        lost_buffers: 2_000.0,
        ..SimulationSettings::default_assumptions()
    };
    let settings = SimulationSettings { interval_s: 120, ..DEFAULT };
    let rules = rules_for(&settings);
    let mut mails = 0;
    for seed in 0..4 {
        let world = World { length: 16 * HOUR, ..World::random(&assumptions, 1, seed) };
        let mut all: Vec<Trace> = Vec::new();
        let without_index =
            run::run_with(&world, &assumptions, &settings, &rules, seed, |rule, now, lines| {
                all.extend(lines.iter().map(super::lines::SimulatedLine::to_trace));
                all.retain(|row| row.timestamp > now - LONGEST_RANGE);
                rule.evaluate(now, &all)
            });
        assert_eq!(without_index, run::run(&world, &assumptions, &settings, &rules, seed));
        mails += without_index.mails.len();
    }
    assert!(mails > 12, "{mails}");
}

#[test]
fn the_deployed_timing_changes_no_rule_and_another_reaches_settings_and_queries() {
    let deployed = rules::deployed().expect("rules");
    let (threshold, evaluation_minutes) = run::timing(&deployed);
    let settings = SimulationSettings { threshold, evaluation_minutes, interval_s: 60 };
    for (rule, same) in deployed.iter().zip(rules_for(&settings)) {
        let expected = rule.with_devices(&[super::lines::DEVICE.to_owned()]);
        assert_eq!(same.settings().condition, expected.settings().condition);
        assert_eq!(same.settings().mode, expected.settings().mode);
        assert_eq!(same.settings().frequency, expected.settings().frequency);
    }
    let rarer =
        rules_for(&SimulationSettings { threshold: 6.5, evaluation_minutes: 15, ..settings });
    assert_eq!(run::timing(&rarer), (6.5, 15));
    let reminder = rarer.iter().find(|rule| rule.settings().name.ends_with("reminder"));
    let query = &reminder.expect("a reminder").settings().query;
    assert!(query.contains("todouble('6.5')") && query.contains("todouble('15')"), "{query}");
}

/// By default a year has 52 outages with a median of 6 min, 48 absences, and 4.4 h in which a part
/// of Azure is down.
#[test]
fn random_worlds_match_the_default_assumptions() {
    let assumptions = SimulationSettings::default_assumptions();
    let years = 200;
    let world = World::random(&assumptions, years, 3);
    let yearly = |count: usize| count as f64 / f64::from(years);
    let outages: Vec<Span> = world.outages.iter().map(|outage| outage.span).collect();
    assert!((50.0..54.0).contains(&yearly(outages.len())), "{}", outages.len());
    let mut lengths: Vec<_> = outages.iter().map(|span| span.length()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!((5 * MINUTE + 40 * SECOND..6 * MINUTE + 20 * SECOND).contains(&median), "{median}");
    assert!(lengths[0] >= SECOND && *lengths.last().expect("an outage") > DAY);
    let down: Millis = world.platform_down().map(Span::length).sum();
    let hours = down as f64 / HOUR as f64 / f64::from(years);
    assert!((3.9..4.9).contains(&hours), "{hours}");
    let absences: Vec<Span> = world.absences.iter().map(|absence| absence.span).collect();
    assert!((46.0..50.0).contains(&yearly(absences.len())), "{}", absences.len());
    for spans in [&outages, &absences, &world.function_down, &world.rules_down] {
        assert!(spans.windows(2).all(|pair| pair[0].to < pair[1].from), "sorted, without overlaps");
    }
}
