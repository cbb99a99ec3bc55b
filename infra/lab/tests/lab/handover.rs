//! Recorded outages handed over to the real function: one mail for each outage, however often it is
//! handed over.
//!
//! Cloud and function are real; a minute of the story takes one second.

use std::{fs, net::SocketAddr};

use ispmon_lab::{
    clock::{Scale, StoryClock},
    cloud::{Cloud, CloudEvent},
    rules::MonitorCondition,
};
use ispmon_wire::{IncidentKind, OUTAGES_PATH, OutageReport, ReportedIncident, ReportedSegment};
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::{
    http::Connection,
    stage::{self, DEVICE, HANG, KEY},
};

const REPORT: &str = "ispmon-outage-report";

/// A cloud and its events so far.
struct Stage {
    cloud: Cloud,
    clock: StoryClock,
    home: TempDir,
    reports: Vec<Report>,
    lines: usize,
    starts: usize,
    evaluations: usize,
}

/// A mailed report.
#[derive(Debug)]
struct Report {
    condition: MonitorCondition,
    subject: String,
    dimensions: Vec<(String, String)>,
}

impl Report {
    fn dimension(&self, name: &str) -> &str {
        &self.dimensions.iter().find(|(each, _)| each == name).expect(name).1
    }
}

impl Stage {
    async fn set() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let clock = StoryClock::start_on_the_hour(Scale::FASTEST);
        let cloud = stage::start_cloud(&home, clock).await;
        Self { cloud, clock, home, reports: vec![], lines: 0, starts: 0, evaluations: 0 }
    }

    /// Processes events until `enough` returns true.
    async fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + HANG;
        while !enough(self) {
            let event = timeout_at(deadline, self.cloud.next_event()).await;
            match event.expect("the event arrives in time") {
                CloudEvent::OutageWritten(_) => self.lines += 1,
                CloudEvent::FunctionReady { .. } => self.starts += 1,
                CloudEvent::Evaluated { .. } => self.evaluations += 1,
                CloudEvent::Mail { notification, mail, .. } if mail.rule == REPORT => {
                    self.reports.push(Report {
                        condition: mail.condition,
                        subject: mail.subject,
                        dimensions: notification.dimensions,
                    });
                }
                CloudEvent::HostStopped { reason } => panic!("the host has stopped: {reason}"),
                _ => {}
            }
        }
    }

    /// Posts the report as a device does, and waits until its log lines are written.
    async fn hand_over(&mut self, report: &OutageReport) {
        let wanted = self.lines + report.incidents.len();
        let posted = tokio::task::spawn_blocking({
            let (address, report) = (self.cloud.address(), report.clone());
            move || post(address, &report)
        });
        self.until(|stage| stage.lines >= wanted).await;
        posted.await.expect("the report is accepted");
    }

    /// Kills the function, and waits until the host has restarted it.
    async fn restart_function(&mut self) {
        let wanted = self.starts + 1;
        for function in functions() {
            kill_process(function, Signal::KILL).expect("the function is running");
        }
        self.until(|stage| stage.starts >= wanted).await;
    }

    async fn evaluations(&mut self, more: usize) {
        let wanted = self.evaluations + more;
        self.until(|stage| stage.evaluations >= wanted).await;
    }

    /// The number of mail files of the rule.
    fn files(&self) -> usize {
        let files = fs::read_dir(self.home.path().join("mail")).expect("a folder");
        let names = files.map(|file| file.expect("a file").file_name());
        names.filter(|name| name.to_string_lossy().contains(REPORT)).count()
    }
}

fn post(address: SocketAddr, report: &OutageReport) {
    let headers = format!("x-functions-key: {KEY}\r\nContent-Type: application/json\r\n");
    let body = serde_json::to_vec(report).expect("JSON");
    let answer = Connection::open(address).exchange("POST", OUTAGES_PATH, &headers, &body);
    let expected = format!(r#"{{"accepted":{}}}"#, report.incidents.len());
    assert_eq!((answer.status, answer.body), (200, expected.into_bytes()));
}

/// The functions that this thread has started, if /proc lists them. A test's runtime starts its
/// processes on the test's thread; the functions of other tests must not be killed.
fn functions() -> Vec<Pid> {
    let ids = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    ids.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

/// An outage that lasted this many real seconds and has just ended.
fn incident(cause: &str, seconds: i64) -> ReportedIncident {
    let ended = now();
    ReportedIncident {
        id: Uuid::new_v4(),
        kind: IncidentKind::Incident,
        cause: cause.to_owned(),
        party: Some("provider".to_owned()),
        scope: Some("internet".to_owned()),
        started: ended - SignedDuration::from_secs(seconds),
        ended,
        downtime_s: seconds.unsigned_abs(),
        one_family_s: 0,
        segments: vec![],
    }
}

/// The same outage, in which IPv6 was down for `seconds` longer than IPv4.
fn with_ipv6_for_longer(outage: ReportedIncident, seconds: u32) -> ReportedIncident {
    let ipv4_is_back = outage.ended - SignedDuration::from_secs(seconds.into());
    let part = |scope: &str, from, to| ReportedSegment {
        cause: outage.cause.clone(),
        scope: Some(scope.to_owned()),
        from,
        to,
    };
    ReportedIncident {
        party: Some("yours".to_owned()),
        downtime_s: outage.downtime_s - u64::from(seconds),
        one_family_s: seconds.into(),
        segments: vec![
            part("internet", outage.started, ipv4_is_back),
            part("ipv6", ipv4_is_back, outage.ended),
        ],
        ..outage
    }
}

#[allow(clippy::disallowed_methods, reason = "the test plays a device, which has a clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn report(incidents: Vec<ReportedIncident>) -> OutageReport {
    OutageReport { device: Some(DEVICE.to_owned()), journal: None, incidents }
}

#[tokio::test]
async fn a_batch_handed_over_five_times_is_one_mail_for_each_outage() {
    let mut stage = Stage::set().await;
    stage.until(|stage| stage.starts == 1).await;
    let long = incident("isp", 6);
    let partial = with_ipv6_for_longer(incident("gateway", 125), 5);
    // The internet worked, so nothing is mailed, however long it lasted.
    let ipv6 = ReportedIncident {
        scope: Some("ipv6".to_owned()),
        downtime_s: 0,
        one_family_s: 600,
        ..incident("isp", 600)
    };
    let gap =
        ReportedIncident { kind: IncidentKind::Gap, downtime_s: 0, ..incident("suspended", 600) };
    let batch = report(vec![
        long.clone(),
        partial.clone(),
        ipv6,
        gap,
        incident("isp", 4),
        ReportedIncident { downtime_s: 0, ..incident("endpoint", 600) },
    ]);
    stage.hand_over(&batch).await;
    stage.hand_over(&batch).await;
    if functions().is_empty() {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!(
                "SKIPPED: the function cannot be found in /proc, so it is not restarted\n"
            ),
        );
    } else {
        stage.restart_function().await;
    }
    stage.hand_over(&batch).await;
    stage.until(|stage| stage.reports.len() >= 2).await;
    stage.hand_over(&batch).await;
    stage.evaluations(2).await;
    stage.hand_over(&batch).await;
    stage.evaluations(2).await;

    stage.reports.sort_by_key(|report| report.subject.clone());
    let [of_partial, of_all] = &stage.reports[..] else {
        panic!("two mails, not {:?}", stage.reports)
    };
    assert_eq!(stage.files(), 2);
    // The device's real seconds are the story's minutes.
    let time =
        |at: Timestamp| stage.clock.at_wall(at).strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    for (report, outage, cause, duration) in [
        (of_all, &long, "isp (provider)", "6 min"),
        (of_partial, &partial, "gateway (yours)", "2 h, IPv6 only for another 5 min"),
    ] {
        assert_eq!(report.condition, MonitorCondition::Fired);
        assert_eq!(report.dimension("Computer"), DEVICE);
        assert_eq!(report.dimension("Id"), outage.id.to_string());
        assert_eq!(report.dimension("Cause"), cause);
        assert_eq!(report.dimension("Duration"), duration);
        assert_eq!(report.dimension("Start"), time(outage.started));
        assert_eq!(report.dimension("End"), time(outage.ended));
        let start = time(outage.started);
        let subject = format!("ispmon: outage of dl-home: {duration}, {cause}, from {start}");
        assert_eq!(report.subject, subject);
    }
}
