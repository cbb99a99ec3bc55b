//! When incidents count as handed over, and what happens to those that the cloud does not accept.

use std::{collections::HashSet, fs, process::Output};

use ispmon_agent::{
    clock::Stamp,
    outage::{Cause, Party, Scope},
};
use ispmon_wire::OutageReport;
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use serde_json::Value;
use uuid::Uuid;

use super::server::{OK, Server};
use crate::{
    process::{Agent, Folder, PATIENCE, POLL_INTERVAL},
    record::JournalBuilder,
};

/// A folder with a journal of this many outages, and their ids.
fn folder(server: &Server, outages: i64) -> (Folder, Vec<Uuid>) {
    let folder = Folder::with("");
    configure(&folder, server);
    let begin: Timestamp = "2026-11-01T00:00:00Z".parse().expect("a time");
    let mut journal = JournalBuilder::start(7, "dl-home", &begin.to_string());
    let ids = (1..=outages).map(|number| {
        let from = begin + SignedDuration::from_mins(30 * number);
        let provider = Some(Party::Provider);
        journal.incident(Scope::Internet, Cause::Isp, provider, from, &[(Cause::Isp, 60)]).0
    });
    let ids = ids.collect();
    journal.write(&folder.path().join("state"));
    (folder, ids)
}

fn configure(folder: &Folder, server: &Server) {
    folder.configure(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '500ms'\n[log]\nlevel = 'debug'\n",
        server.url()
    ));
}

fn stop(agent: Agent) -> String {
    agent.signal(Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{status}: {log}");
    log
}

/// Receives reports until all of these ids have arrived; returns all received ids in order.
fn receive(server: &Server, ids: &[Uuid]) -> Vec<Uuid> {
    let (mut missing, mut received) = (ids.iter().copied().collect::<HashSet<_>>(), Vec::new());
    while !missing.is_empty() {
        for id in ids_in(&server.report()) {
            missing.remove(&id);
            received.push(id);
        }
    }
    received
}

/// Waits until the log shows that this many incidents were accepted the first time, and this many the second
/// time.
fn logged_accepted(agent: &mut Agent, first: usize, second: usize) {
    let mut missing = [first, second].map(|count| i64::try_from(count).expect("a small number"));
    while missing.iter().any(|count| *count > 0) {
        let line = agent.wait_for_log("The cloud has accepted ");
        let number = line.split("has accepted ").nth(1).and_then(|rest| rest.split(' ').next());
        let is_second = line.contains("a second time, in case one was lost there");
        missing[usize::from(is_second)] -=
            number.and_then(|number| number.parse::<i64>().ok()).expect("a number");
    }
}

fn ids_in(report: &OutageReport) -> Vec<Uuid> {
    report.incidents.iter().map(|incident| incident.id).collect()
}

/// Makes the second hand-over due, as if minutes had passed. The run before must have handed over the gap
/// before it: otherwise nothing may wait for a second time.
fn let_minutes_pass(folder: &Folder) {
    let path = folder.path().join("state/handed-over.json");
    let mut noted: Value =
        serde_json::from_slice(&fs::read(&path).expect("the file exists")).expect("valid JSON");
    let since: Stamp = serde_json::from_value(noted["due"]["since"].clone()).expect("a stamp");
    let earlier = Stamp { boot_ms: 0, wall: since.wall - SignedDuration::from_hours(1), ..since };
    noted["due"]["since"] = serde_json::to_value(earlier).expect("valid JSON");
    fs::write(&path, noted.to_string()).expect("the file is written");
}

fn run_command(folder: &Folder, arguments: &[&str]) -> Output {
    folder.command(arguments).output().expect("the command runs")
}

/// The hand-over row of the status, once it shows a failure.
#[allow(clippy::disallowed_methods, reason = "it only limits a test that hangs")]
fn row_of_status(folder: &Folder) -> String {
    let start = std::time::Instant::now();
    loop {
        let shown = run_command(folder, &["status"]);
        let shown = String::from_utf8(shown.stdout).expect("valid UTF-8");
        let row = shown.lines().find(|row| row.starts_with("Hand-over")).unwrap_or_default();
        if row.contains("the last try failed") {
            return row.to_owned();
        }
        assert!(start.elapsed() < PATIENCE, "{shown}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

#[test]
fn every_incident_is_handed_over_exactly_twice_across_restarts() {
    let server = Server::start(OK);
    let (folder, ids) = folder(&server, 130);
    let mut agent = folder.run();
    assert_eq!(receive(&server, &ids)[..130], ids, "the first time");
    logged_accepted(&mut agent, 130, 0);
    stop(agent);

    // The second hand-over is not due yet.
    let mut agent = folder.run();
    agent.wait_for_log("The cloud has accepted 1 recorded incident.");
    stop(agent);
    for report in server.pending_reports() {
        assert!(ids_in(&report).iter().all(|id| !ids.contains(id)), "{report:?}");
    }

    // The thirty incidents after the first hundred have a second hand-over of their own.
    for again in [&ids[..100], &ids[100..]] {
        let_minutes_pass(&folder);
        let mut agent = folder.run();
        receive(&server, again);
        logged_accepted(&mut agent, 1, again.len());
        stop(agent);
    }

    for _ in 0..2 {
        let_minutes_pass(&folder);
        let mut agent = folder.run();
        logged_accepted(&mut agent, 1, 1);
        stop(agent);
    }
    for report in server.pending_reports() {
        assert!(ids_in(&report).iter().all(|id| !ids.contains(id)), "{report:?}");
    }
}

#[test]
fn only_the_answer_of_the_function_counts_as_hand_over() {
    for (status, body, words) in [
        (
            "200 OK",
            "<html>Welcome to our Wi-Fi!</html>",
            "but \"<html>Welcome to our Wi-Fi!</html>\"",
        ),
        (
            "200 OK",
            "ok",
            "200 OK, but \"ok\" in place of {\"accepted\":SENT}. Heartbeats arrive, but",
        ),
        (
            "200 OK",
            "{\"accepted\":11}",
            "but \"{\"accepted\":11}\" in place of {\"accepted\":SENT}",
        ),
        ("200 OK", "", "200 OK, but empty in place of {\"accepted\":SENT}"),
        ("202 Accepted", "{\"accepted\":13}", "202 Accepted. Heartbeats arrive, but"),
        ("401 Unauthorized", "", "401 Unauthorized. Check the function key"),
        ("404 Not Found", "", "404 Not Found. Heartbeats arrive, but"),
        ("429 Too Many Requests", "", "429 Too Many Requests."),
        ("500 Internal Server Error", "", "500 Internal Server Error."),
        // The function accepts an empty report, so the refusal of one comes from another server.
        ("400 Bad Request", "", "400 Bad Request. Heartbeats arrive, but"),
        ("413 Content Too Large", "", "413 Payload Too Large."),
    ] {
        let server = Server::start_taking(move |_| Some((status, body)));
        let (folder, ids) = folder(&server, 12);
        let mut agent = folder.run();
        let logged =
            agent.wait_for_log("Recorded incidents could not be handed over: the answer was");
        let sizes: Vec<_> =
            server.pending_reports().iter().map(|one| one.incidents.len()).collect();
        let is_refusal = status.starts_with("400") || status.starts_with("413");
        // Includes the gap before this run if it was in the journal in time.
        assert!([12, 13].contains(&sizes[0]), "{sizes:?}");
        let expected = if is_refusal { &[0][..] } else { &[] };
        assert_eq!(&sizes[1..], expected, "no report is split: {status} {body}");
        assert!(logged.contains(&words.replace("SENT", &sizes[0].to_string())), "{logged}");
        let row = row_of_status(&folder);
        assert!(row.contains("outages and gaps wait") && row.contains(&status[..3]), "{row}");
        let doctor = run_command(&folder, &["doctor"]);
        let doctor = String::from_utf8(doctor.stdout).expect("valid UTF-8");
        let row = doctor.lines().find(|row| row.contains("hand-over")).unwrap_or_default();
        assert!(row.starts_with("FAIL") && row.contains(&status[..3]), "{doctor}");
        stop(agent);

        let server = Server::start(OK);
        configure(&folder, &server);
        let agent = folder.run();
        assert_eq!(receive(&server, &ids)[..12], ids, "nothing was lost: {status} {body}");
        stop(agent);
    }
}

#[test]
fn a_refused_incident_is_found_logged_and_skipped_for_good() {
    let bad = std::sync::Arc::new(std::sync::OnceLock::<Uuid>::new());
    let known = bad.clone();
    let server = Server::start_taking(move |report| {
        let is_bad = ids_in(report).contains(known.get().expect("set before the agent runs"));
        is_bad.then_some(("400 Bad Request", "The incident ends before it starts."))
    });
    let (folder, ids) = folder(&server, 12);
    bad.set(ids[7]).expect("set only once");
    let mut agent = folder.run();
    let logged = agent.wait_for_log("It is passed over");
    assert!(logged.contains(&ids[7].to_string()) && logged.contains("400 Bad Request"), "{logged}");
    let others: Vec<Uuid> = ids.iter().copied().filter(|id| *id != ids[7]).collect();
    receive(&server, &others);
    agent.wait_for_log("The cloud has accepted");
    stop(agent);
    let listed = run_command(&folder, &["outages", "--json", "--since", "2026-10-01"]);
    let listed = String::from_utf8(listed.stdout).expect("valid UTF-8");
    assert!(listed.contains(&ids[7].to_string()), "it stays in the journal: {listed}");

    // Neither the next run nor a second hand-over sends it again.
    drop(server.pending_reports());
    let mut taken = HashSet::new();
    for _ in 0..3 {
        let_minutes_pass(&folder);
        let mut agent = folder.run();
        logged_accepted(&mut agent, 1, 1);
        let log = stop(agent);
        assert!(!log.contains("passed over"), "{log}");
        taken.extend(server.pending_reports().iter().flat_map(ids_in));
    }
    assert!(!taken.contains(&ids[7]) && others.iter().all(|id| taken.contains(id)), "{taken:?}");
}

#[test]
fn a_report_that_is_too_large_is_split() {
    let server = Server::start_taking(|report| {
        (report.incidents.len() > 5).then_some(("413 Content Too Large", ""))
    });
    let (folder, ids) = folder(&server, 12);
    let agent = folder.run();
    receive(&server, &ids);
    let log = stop(agent);
    assert!(!log.contains("passed over"), "{log}");
}
