//! Many outages at once, evaluated by the deployed rules on virtual time: the number of mails is
//! bounded, and every silence is mailed.

use ispmon_function::line;
use ispmon_lab::{
    query::{Trace, message},
    rules::{self, MonitorCondition, Notification, RuleEngine},
};
use ispmon_wire::{AgentInfo, AgentState, Device, Heartbeat, IncidentKind, ReportedIncident};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

const SILENT: &str = "ispmon-device-silent";
const REPORT: &str = "ispmon-outage-report";

/// Azure's limit of mails to one address in an hour.
const MAILS_AN_HOUR: usize = 100;
/// Limit of the alerts of a stateful rule in one evaluation.
const ALERTS_AN_EVALUATION: usize = 300;
/// The limit in the query: 24 single reports, 10 summaries of one device each and one of all others.
const REPORTS_AN_HOUR: usize = 24 + 10 + 1;

fn start() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().expect("a valid time")
}

fn minute(minutes: f64) -> Timestamp {
    start() + SignedDuration::from_secs_f64(minutes * 60.0)
}

/// Heartbeats of a device in these minutes, as the function logs them.
fn heartbeats(device: &str, minutes: std::ops::Range<u32>) -> impl Iterator<Item = Trace> {
    minutes.map(move |number| {
        let agent = AgentInfo {
            version: "0.1.0".to_owned(),
            boot: "b".to_owned(),
            seq: u64::from(number) + 1,
            state: AgentState::Running,
            quiet_s: 0,
        };
        let heartbeat = Heartbeat { agent: Some(agent), ..Heartbeat::default() };
        let message = message(&line::heartbeat(&Device::from(device), None, &heartbeat));
        Trace { timestamp: minute(f64::from(number) + 0.5), message }
    })
}

/// An outage of ten minutes that ended this many hours before the start.
fn outage(device: &str, number: usize, ended_hours_ago: f64) -> String {
    let ended = start() - SignedDuration::from_secs_f64(ended_hours_ago * 3_600.0);
    let incident = ReportedIncident {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{device} {number}").as_bytes()),
        kind: IncidentKind::Incident,
        cause: "isp".to_owned(),
        party: Some("provider".to_owned()),
        scope: Some("internet".to_owned()),
        started: ended - SignedDuration::from_mins(10),
        ended,
        downtime_s: 600,
        one_family_s: 0,
        segments: vec![],
    };
    message(&line::outage(&Device::from(device), &incident, None))
}

/// Evaluates the rules until minute `until` and returns all notifications; `rows` are queryable at
/// once.
fn evaluate(devices: &[String], rows: &[Trace], until: f64) -> Vec<Notification> {
    let rules = rules::deployed().expect("the lab can evaluate the deployed rules");
    let rules = rules.iter().map(|rule| rule.with_devices(devices)).collect();
    let mut engine = RuleEngine::new(rules, start());
    let mut sent = Vec::new();
    while let Some(at) = engine.next_evaluation().filter(|at| *at <= minute(until)) {
        let seen: Vec<Trace> = rows.iter().filter(|row| row.timestamp <= at).cloned().collect();
        sent.extend(engine.evaluate(at, &seen));
    }
    sent
}

fn names(devices: &[&str]) -> Vec<String> {
    devices.iter().map(|&device| device.to_owned()).collect()
}

fn of_rule<'sent>(sent: &'sent [Notification], rule: &str) -> Vec<&'sent Notification> {
    sent.iter().filter(|each| each.rule.name == rule).collect()
}

fn value<'sent>(report: &'sent Notification, name: &str) -> &'sent str {
    &report.dimensions.iter().find(|(dimension, _)| dimension == name).expect("a dimension").1
}

/// The highest number of mails within any hour.
fn most_in_an_hour(sent: &[&Notification]) -> usize {
    let hour = SignedDuration::from_hours(1);
    let within = |first: &Notification| {
        let last = first.evaluated + hour;
        sent.iter()
            .filter(|each| each.evaluated >= first.evaluated && each.evaluated < last)
            .count()
    };
    sent.iter().map(|first| within(first)).max().unwrap_or_default()
}

/// The number of outages in the reports.
fn outages_in(reports: &[&Notification]) -> usize {
    let count = |report: &&Notification| match value(report, "Duration").split_once(" more outage")
    {
        Some((count, _)) => count.parse::<usize>().expect("a number"),
        None => 1,
    };
    reports.iter().map(count).sum()
}

#[test]
fn four_hundred_outages_at_once_are_eleven_mails_and_do_not_suppress_a_silence_alert() {
    let devices = names(&["dl-home", "office"]);
    let mut rows: Vec<_> =
        heartbeats("dl-home", 0..600).chain(heartbeats("office", 0..20)).collect();
    rows.extend((0..400).map(|number| Trace {
        timestamp: minute(22.0 + number as f64 / 1_000.0),
        message: outage("dl-home", number, number as f64 / 20.0),
    }));
    let sent = evaluate(&devices, &rows, 600.0);

    let reports = of_rule(&sent, REPORT);
    assert_eq!(reports.len(), 11);
    assert_eq!(outages_in(&reports), 400);
    let summary = reports.last().expect("a report");
    assert_eq!(value(summary, "Computer"), "dl-home");
    assert_eq!(value(summary, "Duration"), "390 more outages, 2 d 17 h in all");
    assert_eq!(summary.evaluated, minute(65.0), "when the hour is over");
    assert!(reports[..10].iter().all(|report| report.evaluated == minute(25.0)));
    assert!(reports.iter().all(|report| report.condition == MonitorCondition::Fired));

    let silence = of_rule(&sent, SILENT);
    assert_eq!(value(silence[0], "Computer"), "office");
    assert_eq!(silence[0].evaluated, minute(25.0), "in the same evaluation as the flood");
    let everything: Vec<_> = sent.iter().collect();
    assert!(most_in_an_hour(&everything) < MAILS_AN_HOUR);
}

/// Its journal has an outage every four hours for three weeks. The connection is so bad that handing
/// all of it over takes four hours, and most of it is handed over again and again.
#[test]
fn a_backlog_of_three_weeks_over_a_bad_connection_is_few_mails_and_loses_no_outage() {
    let devices = names(&["dl-home"]);
    let outages = 21 * 24 / 4;
    let mut rows: Vec<_> = heartbeats("dl-home", 0..900).collect();
    for number in 0..outages {
        let message = outage("dl-home", number, (outages - number) as f64 * 4.0 - 3.0);
        for again in 0..=number % 5 {
            let at = 240.0 * number as f64 / outages as f64 + again as f64 * 37.0;
            rows.push(Trace { timestamp: minute(at), message: message.clone() });
        }
    }
    let sent = evaluate(&devices, &rows, 900.0);
    let reports = of_rule(&sent, REPORT);
    assert_eq!(sent.len(), reports.len(), "no other mails");
    assert_eq!(outages_in(&reports), outages);
    // One summary for each of the four hours; outages that ended within the last day are reported
    // singly.
    assert_eq!(reports.len(), 4 + 5);
}

#[test]
fn forty_devices_that_flood_for_six_hours_do_not_exhaust_the_mail_limit() {
    let devices: Vec<_> = (0..40).map(|number| format!("device-{number:03}")).collect();
    let mut rows = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        for number in 0..30 {
            // Evenly spread, and more at once than Azure would accept.
            let at = 360.0 * number as f64 / 30.0 + index as f64 / 20.0;
            let message = outage(device, number, 0.5);
            rows.push(Trace { timestamp: minute(at), message });
        }
    }
    // All devices but one are alive; that one falls silent in the middle of the flood.
    for device in &devices[1..] {
        rows.extend((0..130).map(|step| Trace {
            timestamp: minute(f64::from(step) * 4.0),
            message: message(&line::heartbeat(
                &Device::from(device.as_str()),
                None,
                &Heartbeat::default(),
            )),
        }));
    }
    rows.extend(heartbeats(&devices[0], 0..200));
    let sent = evaluate(&devices, &rows, 480.0);
    let reports = of_rule(&sent, REPORT);
    assert_eq!(outages_in(&reports), 40 * 30);
    assert!(most_in_an_hour(&reports) <= 2 * REPORTS_AN_HOUR - 24, "{}", most_in_an_hour(&reports));
    let silent = of_rule(&sent, SILENT);
    assert_eq!(silent.len(), 1);
    assert_eq!(silent[0].evaluated, minute(205.0));
    let everything: Vec<_> = sent.iter().collect();
    assert!(most_in_an_hour(&everything) < MAILS_AN_HOUR);

    let rules = rules::deployed().expect("the lab can evaluate the deployed rules");
    let rule = rules.iter().find(|rule| rule.settings().name == REPORT).expect("the rule");
    let query = ispmon_lab::query::Query::parse(&rule.settings().query).expect("the query");
    let query = query.with_devices(&devices);
    for step in [72, 75, 78, 83, 84, 85] {
        let now = minute(f64::from(step) * 5.0);
        let seen: Vec<Trace> = rows.iter().filter(|row| row.timestamp <= now).cloned().collect();
        assert!(query.evaluate(now, &seen).len() <= 7 * REPORTS_AN_HOUR);
    }
    const { assert!(7 * REPORTS_AN_HOUR < ALERTS_AN_EVALUATION) };
}
