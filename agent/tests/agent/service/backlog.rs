//! A record that has waited for a long time, and is handed over at last.

use std::collections::HashSet;

use ispmon_agent::outage::{Cause, Party, Scope};
use ispmon_wire::{IncidentKind, limits};
use jiff::Timestamp;
use rustix::process::Signal;

use super::server::{OK, Server};
use crate::{process::Folder, record::Maker};

const INCIDENTS: i64 = 1_234;

/// The record of a machine that ran for some weeks without telling anybody.
fn record() -> Maker {
    let begin: Timestamp = "2026-09-01T00:00:00Z".parse().expect("a time");
    let mut record = Maker::begin(7, "dl-home", &begin.to_string());
    for number in 1..=INCIDENTS {
        let from = begin + jiff::SignedDuration::from_mins(30 * number);
        let provider = Some(Party::Provider);
        record.incident(Scope::Internet, Cause::Isp, provider, from, &[(Cause::Isp, 60)]);
    }
    record
}

#[test]
fn a_long_record_is_handed_over_whole_in_few_requests() {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    record().write(&folder.path().join("state"));
    let mut agent = folder.run();
    let (mut ids, mut newest, mut requests) = (HashSet::new(), None, 0);
    while ids.len() < INCIDENTS as usize {
        let report = server.report();
        requests += 1;
        assert!(report.incidents.len() <= limits::INCIDENTS, "{}", report.incidents.len());
        for told in report.incidents.iter().filter(|told| told.kind == IncidentKind::Incident) {
            assert!(ids.insert(told.id), "{} was sent twice", told.id);
            assert!(newest < Some(told.started), "{} is out of order", told.started);
            newest = Some(told.started);
        }
    }
    assert_eq!(requests, INCIDENTS as usize / limits::INCIDENTS + 1);
    agent.logged("The cloud has accepted");
    agent.signal(Signal::TERM);
    let (status, log) = agent.end();
    assert!(status.success(), "{status}: {log}");

    // Nothing of it is sent again; what the new run has to tell is the time between.
    let agent = folder.run();
    let report = server.report();
    assert!(report.incidents.iter().all(|told| !ids.contains(&told.id)), "{report:?}");
    agent.signal(Signal::TERM);
    agent.end();
}
