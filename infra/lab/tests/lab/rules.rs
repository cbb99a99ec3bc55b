//! The deployed rules on virtual time: which mails are sent, and when.

use ispmon_lab::{
    mail::Mail,
    query::Trace,
    rules::{self, MonitorCondition, Notification, RuleEngine, settings::RuleMode},
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const SILENT: &str = "ispmon-device-silent";
const REMINDER: &str = "ispmon-device-silent-reminder";
const REPORT: &str = "ispmon-outage-report";

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a valid time")
}

fn minute(minutes: f64) -> Timestamp {
    start() + SignedDuration::from_secs_f64(minutes * 60.0)
}

fn engine(devices: &[&str]) -> RuleEngine {
    let devices: Vec<String> = devices.iter().map(|&device| device.to_owned()).collect();
    let rules = rules::deployed().expect("the lab can evaluate the deployed rules");
    RuleEngine::new(rules.iter().map(|rule| rule.with_devices(&devices)).collect(), start())
}

/// A heartbeat of `device` that announces `quiet` seconds of silence, as the function logs it.
fn heartbeat(device: &str, at: f64, quiet: u32) -> Trace {
    let message = format!(
        r#"{{"event":"heartbeat","device":"{device}","note":"","state":"running","quiet_s":{quiet}}}"#
    );
    Trace { timestamp: minute(at), message }
}

/// A heartbeat in each of these minutes, half a minute past it.
fn heartbeats(device: &str, minutes: std::ops::Range<u32>) -> Vec<Trace> {
    minutes.map(|minute| heartbeat(device, f64::from(minute) + 0.5, 0)).collect()
}

/// The log line of an outage of ten minutes before minute `at`, as the function logs it.
fn outage(id: &str, at: f64) -> Trace {
    let (started, ended) = (minute(at - 10.0), minute(at));
    let message = format!(
        r#"{{"event":"outage","device":"dl-home","id":"{id}","kind":"incident","cause":"isp","party":"provider","started":"{started}","ended":"{ended}","downtime_s":600}}"#
    );
    Trace { timestamp: minute(at), message }
}

/// The same log line, written again later.
fn again(trace: &Trace, at: f64) -> Trace {
    Trace { timestamp: minute(at), message: trace.message.clone() }
}

/// The notifications of `REPORT`: minute and outage id of each.
fn reports(sent: &[Notification]) -> Vec<(i64, &str)> {
    let sent = sent.iter().filter(|each| each.rule.name == REPORT);
    sent.map(|each| {
        let minutes = each.evaluated.duration_since(start()).as_mins();
        let id = each.dimensions.iter().find(|(name, _)| name == "Id").expect("an id");
        (minutes, id.1.as_str())
    })
    .collect()
}

/// Evaluates the rules until minute `until` and returns all notifications; `rows` are queryable at
/// once.
fn play(engine: &mut RuleEngine, rows: &[Trace], until: f64) -> Vec<Notification> {
    let mut sent = Vec::new();
    while let Some(at) = engine.next_evaluation().filter(|at| *at <= minute(until)) {
        let seen: Vec<Trace> = rows.iter().filter(|row| row.timestamp <= at).cloned().collect();
        sent.extend(engine.evaluate(at, &seen));
    }
    sent
}

/// Rule, condition and minute of each notification.
fn summary(sent: &[Notification]) -> Vec<(&str, MonitorCondition, i64)> {
    sent.iter()
        .map(|each| {
            let minutes = each.evaluated.duration_since(start()).as_mins();
            (each.rule.name.as_str(), each.condition, minutes)
        })
        .collect()
}

use MonitorCondition::{Fired, Resolved};

#[test]
fn an_outage_is_an_alert_reminders_and_a_resolved_mail() {
    let mut rows = heartbeats("dl-home", 0..7);
    rows.extend(heartbeats("dl-home", 27..60));
    let sent = play(&mut engine(&["dl-home"]), &rows, 60.0);
    assert_eq!(
        summary(&sent),
        [(SILENT, Fired, 15), (REMINDER, Fired, 20), (REMINDER, Fired, 25), (SILENT, Resolved, 40),]
    );
    let minutes: Vec<Option<f64>> = sent.iter().map(|each| each.value).collect();
    assert_eq!(minutes, [Some(8.5), Some(13.5), Some(18.5), Some(0.5)]);
    assert_eq!(sent[3].fired, sent[0].evaluated);
}

#[test]
fn silence_is_mailed_after_five_to_ten_minutes() {
    for tenths in 0..50 {
        let last = 10.0 + f64::from(tenths) / 10.0;
        let mut rows = heartbeats("dl-home", 0..10);
        rows.push(heartbeat("dl-home", last, 0));
        let sent = play(&mut engine(&["dl-home"]), &rows, 30.0);
        let fired = sent.iter().find(|each| each.rule.name == SILENT).expect("an alert");
        let silence = fired.evaluated.duration_since(minute(last)).as_secs_f64() / 60.0;
        assert!((5.0..10.0).contains(&silence), "{silence} min after a last heartbeat at {last}");
    }
}

#[test]
fn a_resolved_mail_comes_with_the_third_healthy_evaluation() {
    for back in [21, 22, 23, 24] {
        let mut rows = heartbeats("dl-home", 0..3);
        rows.extend(heartbeats("dl-home", back..60));
        let sent = play(&mut engine(&["dl-home"]), &rows, 60.0);
        assert_eq!(summary(&sent).last(), Some(&(SILENT, Resolved, 35)), "back in minute {back}");
    }
}

#[test]
fn announced_silence_is_no_alert_until_it_is_over() {
    let mut rows = heartbeats("dl-home", 0..4);
    rows.push(heartbeat("dl-home", 4.2, 30 * 60));
    let back: Vec<Trace> = rows.iter().cloned().chain(heartbeats("dl-home", 33..60)).collect();
    assert_eq!(play(&mut engine(&["dl-home"]), &back, 60.0), []);

    let sent = play(&mut engine(&["dl-home"]), &rows, 50.0);
    assert_eq!(summary(&sent), [(SILENT, Fired, 40), (REMINDER, Fired, 45), (REMINDER, Fired, 50)]);
}

#[test]
fn a_device_that_never_reported_is_silent_and_an_unexpected_one_is_ignored() {
    let sent = play(&mut engine(&["dl-home"]), &heartbeats("elsewhere", 0..20), 20.0);
    assert_eq!(sent[0].value, Some(2880.0));
    assert_eq!(sent[0].dimensions, [("Computer".to_owned(), "dl-home".to_owned())]);
    assert!(sent.iter().all(|each| each.rule.name == SILENT), "{:?}", summary(&sent));
    assert_eq!(sent.len(), 1);
}

#[test]
fn silence_beyond_the_time_range_of_the_query_does_not_resolve() {
    let hours = 80.0;
    let sent = play(&mut engine(&["dl-home"]), &heartbeats("dl-home", 0..7), hours * 60.0);
    assert!(sent.iter().all(|each| each.condition == Fired), "{:?}", summary(&sent));
    assert_eq!(sent.iter().filter(|each| each.rule.name == SILENT).count(), 1);
}

#[test]
fn two_devices_are_two_alerts_but_one_reminder() {
    let mut rows = heartbeats("attic", 0..7);
    rows.extend(heartbeats("Cellar", 0..8));
    let sent = play(&mut engine(&["attic", "cellar"]), &rows, 20.0);
    assert_eq!(summary(&sent), [(SILENT, Fired, 15), (SILENT, Fired, 15), (REMINDER, Fired, 20)]);
    let devices: Vec<&str> = sent.iter().map(|each| each.dimensions[0].1.as_str()).collect();
    assert_eq!(devices, ["attic", "cellar", "attic for 13 min, cellar for 12 min"]);
}

#[test]
fn an_outage_is_reported_once_in_one_complete_mail() {
    let mut rows = heartbeats("dl-home", 0..120);
    rows.push(outage("a", 21.0));
    let sent = play(&mut engine(&["dl-home"]), &rows, 120.0);
    assert_eq!(summary(&sent), [(REPORT, Fired, 25)]);
    let mail = Mail::about(&sent[0]);
    insta::assert_snapshot!(mail.subject, @"ispmon: outage of dl-home: 10 min, isp (provider), from 2026-03-01 12:11:00 UTC");
    let (_, condition) = mail.body.split_once("Alert condition\n\n").expect("the last heading");
    insta::assert_snapshot!(condition, @r"
    Dimension Cause             isp (provider)
    Dimension Computer          dl-home
    Dimension Duration          10 min
    Dimension End               2026-03-01 12:21:00 UTC
    Dimension Id                a
    Dimension Start             2026-03-01 12:11:00 UTC
    Metric value                10
    Metric measure column       downtimeMinutes
    Time aggregation            Maximum
    Operator                    GreaterThanOrEqual
    Threshold                   5
    Number of violations        1
    Number of examined periods  1
    ");
}

#[test]
fn an_outage_that_is_handed_over_repeatedly_is_reported_once() {
    let first = outage("a", 21.0);
    let mut rows = Vec::new();
    // Within the batch's retries, while its alert is fired, while it resolves, long after, and when the
    // first line has almost left the time range of the query.
    for at in [21.1, 22.0, 27.0, 48.0, 56.0, 66.0, 500.0, 2_895.0] {
        rows.push(again(&first, at));
    }
    rows.push(first);
    let sent = play(&mut engine(&["dl-home"]), &rows, 3_000.0);
    assert_eq!(reports(&sent), [(25, "a")]);
}

#[test]
fn a_log_line_that_is_queryable_late_is_still_reported() {
    for delay in [0.0, 1.0, 3.4, 15.0, 24.0] {
        let mut engine = engine(&["dl-home"]);
        let rows = heartbeats("dl-home", 0..120);
        let late = outage("a", 21.0);
        let mut sent = Vec::new();
        while let Some(at) = engine.next_evaluation().filter(|at| *at <= minute(120.0)) {
            let mut seen: Vec<Trace> =
                rows.iter().filter(|row| row.timestamp <= at).cloned().collect();
            if at >= minute(21.0 + delay) {
                seen.push(late.clone());
            }
            sent.extend(engine.evaluate(at, &seen));
        }
        assert_eq!(reports(&sent).len(), 1, "{delay} minutes late");
        assert_eq!(summary(&sent).len(), 1, "no other mails");
    }
}

#[test]
fn outages_of_one_batch_are_a_mail_each() {
    let mut rows = heartbeats("dl-home", 0..60);
    rows.extend([outage("a", 21.0), outage("b", 21.0), outage("c", 26.0)]);
    let sent = play(&mut engine(&["dl-home"]), &rows, 60.0);
    assert_eq!(reports(&sent), [(25, "a"), (25, "b"), (30, "c")]);
}

#[test]
fn a_late_evaluation_counts_at_its_due_time_and_missed_ones_are_skipped() {
    let rows = heartbeats("dl-home", 0..7);
    let mut engine = engine(&["dl-home"]);
    assert_eq!(engine.evaluate(minute(4.9), &rows), []);
    let sent = engine.evaluate(minute(16.2), &rows);
    assert_eq!(summary(&sent), [(SILENT, Fired, 15)]);
    assert_eq!(sent[0].value, Some(8.5));
    assert_eq!(engine.evaluate(minute(19.9), &rows), []);
    assert_eq!(engine.next_evaluation(), Some(minute(20.0)));
}

#[test]
fn the_deployed_rules_are_stateful_as_intended_and_send_mail() {
    let rules = rules::deployed().expect("the lab can evaluate the deployed rules");
    let memories: Vec<_> =
        rules.iter().map(|rule| (rule.settings().name.as_str(), rule.settings().mode)).collect();
    let stateful = RuleMode::Stateful { healthy_evaluations: 3 };
    assert_eq!(memories, [(SILENT, stateful), (REMINDER, RuleMode::Stateless), (REPORT, stateful)]);
    for (rule, untold) in rules.iter().zip([&[][..], &[], &[Resolved]]) {
        assert_eq!(rule.settings().suppressed, untold);
        assert!(!rule.settings().receivers.is_empty());
        assert_eq!(rule.settings().range, SignedDuration::from_hours(48));
    }
}

#[test]
fn deployed_subjects_name_the_device_and_have_no_unresolved_path() {
    let mut rows = heartbeats("dl-home", 0..7);
    rows.extend(heartbeats("dl-home", 22..60));
    for notification in play(&mut engine(&["dl-home"]), &rows, 60.0) {
        let mail = Mail::about(&notification);
        assert!(mail.subject.contains("dl-home"), "{}", mail.subject);
        assert!(!mail.subject.contains("${"), "{}", mail.subject);
        // Azure may replace our subject with its own.
        let item = mail.body.lines().find(|line| line.starts_with("Configuration items"));
        assert!(item.is_some_and(|item| item.contains("dl-home")), "{}", mail.body);
    }
}

#[test]
fn a_snapshot_with_a_changed_query_is_rejected() {
    let snapshot = include_str!("../../../main.snapshot.json");
    let changed = snapshot.replace("rightouter", "leftouter");
    assert_ne!(snapshot, changed);
    let error = rules::from_snapshot(&changed).expect_err("the query differs from its native form");
    assert!(error.to_string().contains(SILENT), "{error}");
    let changed = snapshot.replace("ago(7h)", "ago(8h)");
    assert_ne!(snapshot, changed);
    let error = rules::from_snapshot(&changed).expect_err("the query differs from its native form");
    assert!(error.to_string().contains(REPORT), "{error}");
    let changed = snapshot.replace(
        r#""metricMeasureColumn": "silentMinutes""#,
        r#""metricMeasureColumn": "minutes""#,
    );
    assert_ne!(snapshot, changed);
    let error = rules::from_snapshot(&changed).expect_err("another column").to_string();
    assert!(error.contains("`minutes`") && error.contains("`silentMinutes`"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However often a device repeats outages within two days: one mail for each outage, with the first
    /// evaluation that sees it.
    #[test]
    fn every_outage_is_one_mail(
        outages in prop::collection::vec((0.0_f64..2_000.0, prop::collection::vec(0.0_f64..700.0, 0..6)), 1..5)
    ) {
        let mut rows = Vec::new();
        let mut expected = Vec::new();
        for (number, (at, repeats)) in outages.iter().enumerate() {
            let id = format!("{number}");
            let first = outage(&id, *at);
            rows.extend(repeats.iter().map(|after| again(&first, at + after)));
            rows.push(first);
            // An evaluation sees rows up to its own time.
            expected.push((((at / 5.0).ceil() as i64 * 5).max(5), id));
        }
        let sent = play(&mut engine(&["dl-home"]), &rows, 2_900.0);
        let mut reported: Vec<_> =
            reports(&sent).into_iter().map(|(at, id)| (at, id.to_owned())).collect();
        reported.sort();
        expected.sort();
        prop_assert_eq!(reported, expected);
    }

    /// For any heartbeats: fired and resolved alternate, an alert means 5 to 10 minutes of silence, and
    /// a resolved mail means that nothing was silent in the last three evaluations.
    #[test]
    fn alerts_follow_the_silence(gaps in prop::collection::vec(0.2_f64..25.0, 1..30)) {
        let mut at = 0.0;
        let times: Vec<f64> = gaps.iter().map(|gap| { at += gap; at }).collect();
        let rows: Vec<Trace> = times.iter().map(|at| heartbeat("dl-home", *at, 0)).collect();
        let silence = |now: f64| {
            let last = times.iter().copied().filter(|at| *at <= now).fold(f64::NEG_INFINITY, f64::max);
            now - last
        };
        let sent = play(&mut engine(&["dl-home"]), &rows, at);
        let mut expected = Fired;
        for notification in sent.iter().filter(|each| each.rule.name == SILENT) {
            let now = notification.evaluated.duration_since(start()).as_secs_f64() / 60.0;
            prop_assert_eq!(notification.condition, expected);
            expected = match expected {
                Fired => {
                    prop_assert!(silence(now) >= 5.0);
                    Resolved
                }
                Resolved => {
                    for healthy in [now, now - 5.0, now - 10.0] {
                        prop_assert!(silence(healthy) < 5.0);
                    }
                    Fired
                }
            };
        }
    }
}
