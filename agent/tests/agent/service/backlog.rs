//! Hand-over of a journal that has grown for a long time.

use std::collections::HashSet;

use ispmon_agent::outage::{Cause, Party, Scope};
use ispmon_wire::{IncidentKind, limits};
use jiff::Timestamp;
use rustix::process::Signal;

use super::server::{OK, Server};
use crate::{process::Folder, record::JournalBuilder};

const INCIDENTS: i64 = 1_234;

/// The journal of a machine that ran for some weeks without a hand-over.
fn journal() -> JournalBuilder {
    let begin: Timestamp = "2026-09-01T00:00:00Z".parse().expect("a time");
    let mut journal = JournalBuilder::start(7, "dl-home", &begin.to_string());
    for number in 1..=INCIDENTS {
        let from = begin + jiff::SignedDuration::from_mins(30 * number);
        let provider = Some(Party::Provider);
        journal.incident(Scope::Internet, Cause::Isp, provider, from, &[(Cause::Isp, 60)]);
    }
    journal
}

#[test]
fn a_long_journal_is_handed_over_completely_in_few_requests() {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    journal().write(&folder.path().join("state"));
    let mut agent = folder.run();
    let (mut ids, mut newest, mut requests) = (HashSet::new(), None, 0);
    while ids.len() < INCIDENTS as usize {
        let report = server.report();
        requests += 1;
        assert!(report.incidents.len() <= limits::INCIDENTS, "{}", report.incidents.len());
        for incident in
            report.incidents.iter().filter(|incident| incident.kind == IncidentKind::Incident)
        {
            assert!(ids.insert(incident.id), "{} was sent twice", incident.id);
            assert!(newest < Some(incident.started), "{} is out of order", incident.started);
            newest = Some(incident.started);
        }
    }
    assert_eq!(requests, INCIDENTS as usize / limits::INCIDENTS + 1);
    agent.wait_for_log("The cloud has accepted");
    agent.signal(Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{status}: {log}");

    // None of it is sent again; the new run reports only the gap between the runs.
    let agent = folder.run();
    let report = server.report();
    assert!(report.incidents.iter().all(|incident| !ids.contains(&incident.id)), "{report:?}");
    agent.signal(Signal::TERM);
    agent.wait_for_exit();
}
