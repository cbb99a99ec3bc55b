//! Starting on a journal that an earlier run has left unfinished.

use std::{path::Path, time::Duration};

use ispmon_agent::outage::{Cause, Party};
use rustix::process::Signal;
use serde_json::Value;

use super::edits::{count_starts, ispmon, run};
use crate::{
    process::{Agent, Folder, PATIENCE},
    record::JournalBuilder,
};

fn outages(state: &Path) -> Value {
    let (code, json) = ispmon(state, &["outages", "--json", "--all"]);
    assert_eq!(code, Some(0), "{json}");
    serde_json::from_str(&json).expect("valid JSON")
}

#[test]
fn a_start_closes_older_open_incidents() {
    let root = tempfile::tempdir().expect("a folder");
    let state = root.path().join("state");
    let mut journal = JournalBuilder::start(1, "dl-home", "2026-10-24T00:00:00Z");
    let time = |text: &str| text.parse().expect("a time");
    for from in ["2026-10-24T01:00:00Z", "2026-10-24T02:00:00Z", "2026-10-24T03:00:00Z"] {
        journal.open_incident(Cause::Gateway, Party::Yours, time(from));
    }
    journal.write(&state);
    let open = |outages: &Value| {
        let all = outages["incidents"].as_array().expect("a list");
        all.iter().map(|one| one["open"].as_bool().expect("a boolean")).collect::<Vec<_>>()
    };
    assert_eq!(open(&outages(&state)), [false, false, true], "before any start");
    run(&state);
    let after = outages(&state);
    assert_eq!(open(&after)[..2], [false, false]);
    for one in after["incidents"].as_array().expect("a list") {
        assert_eq!(one["downtime_s"], 5.0, "no more downtime than was observed: {one}");
    }
    let text = std::fs::read_to_string(state.join("journal.ndjson")).expect("the journal is UTF-8");
    let closed = text.lines().filter(|line| line.contains("\"kind\":\"incident_closed\""));
    assert!(closed.count() >= 2, "they are recorded, and so handed over, as closed");
}

#[test]
fn a_crash_during_a_pause_is_recorded_as_a_crash() {
    let root = tempfile::tempdir().expect("a folder");
    let state = root.path().join("state");
    std::fs::create_dir(&state).expect("a folder");
    let folder = Folder::with("device = \"dl-home\"\n");
    let mut command = folder.command(["run"]);
    command.env("ISPMON_STATE_DIR", &state);
    let wait = |what: &str, condition: &dyn Fn() -> bool| {
        let start = tokio::time::Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let agent = Agent::spawn(&mut command);
    wait("the agent starts", &|| count_starts(&state) == 1);
    wait("it can be paused", &|| ispmon(&state, &["pause", "2h"]).0 == Some(0));
    agent.signal(Signal::KILL);
    drop(agent);
    let agent = Agent::spawn(&mut command);
    wait("the agent starts again", &|| count_starts(&state) == 2);
    wait("it can be resumed", &|| ispmon(&state, &["resume"]).0 == Some(0));
    agent.signal(Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{log}");
    let outages = outages(&state);
    let gaps = outages["gaps"].as_array().expect("a list");
    let causes: Vec<_> = gaps.iter().map(|gap| gap["cause"].as_str().expect("a cause")).collect();
    assert_eq!(causes[..3], ["paused", "crashed", "paused"], "{outages:#}");
}
