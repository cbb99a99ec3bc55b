//! Reading a journal of one year.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use ispmon_agent::{
    clock::Stamp,
    journal::{Digest, Entry, FORMAT, Quantiles, Record, Summary, verify},
    outage::{Cause, Incident, IncidentId, Observation, Party, ProbeKind, Scope, Segment},
};
use tokio::time::Instant;

use super::child::at;

const HOURS: u64 = 8_760;
const INCIDENTS: u64 = 2_000;
const HOUR: Duration = Duration::from_hours(1);

/// Writes a year with an incident now and then into one file; the split into files does not matter here.
fn write_year(folder: &Path) {
    let mut text = String::new();
    let mut last = (0, Digest::none());
    let mut add = |at: Stamp, entry: Entry| {
        let record = Record { seq: last.0 + 1, prev: last.1.clone(), at, entry };
        let line = serde_json::to_string(&record).expect("records serialize");
        last = (record.seq, Digest::of(line.as_bytes()));
        writeln!(text, "{line}").expect("writing to memory succeeds");
    };
    let device = "dl-home".to_owned();
    let (reason, set_aside, after) = (None, Vec::new(), None);
    add(at(0), Entry::ChainStarted { format: FORMAT, device, reason, set_aside, after });
    let mut incidents = 0;
    for hour in 0..HOURS {
        let from = at(0).later(HOUR * u32::try_from(hour).expect("a year"));
        while incidents * HOURS < hour * INCIDENTS {
            let incident = incident(incidents, from);
            let opened = Incident { ended: None, ..incident.clone() };
            add(from.later(Duration::from_secs(9)), Entry::IncidentOpened { incident: opened });
            add(from.later(Duration::from_mins(9)), Entry::IncidentClosed { incident });
            incidents += 1;
        }
        add(from.later(HOUR), Entry::Hour { summary: summary(from) });
    }
    fs::write(folder.join("journal.ndjson"), text).expect("the journal is written");
}

fn incident(number: u64, started: Stamp) -> Incident {
    let ended = started.later(Duration::from_mins(9));
    let observation = |target: &str| Observation {
        probe: ProbeKind::Tcp,
        target: target.to_owned(),
        family: None,
        answer: "timeout".to_owned(),
        ms: Some(2_500),
        at: started,
    };
    Incident {
        id: IncidentId(uuid::Uuid::from_u128(u128::from(number))),
        scope: Scope::Internet,
        cause: Cause::Isp,
        party: Some(Party::Provider),
        started,
        last_ok: Some(started.earlier(Duration::from_secs(5))),
        ended: Some(ended),
        downtime_ms: 540_000,
        one_family_ms: 0,
        failures: 1,
        segments: vec![Segment {
            scope: Scope::Internet,
            cause: Cause::Isp,
            from: started,
            to: ended,
        }],
        evidence: ["1.1.1.1:443", "8.8.8.8:443", "9.9.9.9:443"].map(observation).to_vec(),
    }
}

fn summary(from: Stamp) -> Summary {
    Summary {
        from,
        to: from.later(HOUR),
        observed_ms: 3_600_000,
        rounds: 3,
        rounds_failed: 1,
        probes: 720,
        lost: 2,
        rtt_ms: Some(Quantiles { p50: 9.1, p95: 22.4, max: 310.0 }),
        beats: 60,
        beats_failed: 1,
        blips: 1,
    }
}

/// Prints its duration; `cargo test --release -p ispmon-agent --test agent year -- --nocapture`.
#[test]
fn a_year_of_records_is_read_and_every_hash_is_checked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_year(folder.path());
    let start = Instant::now();
    let verified = verify(folder.path()).expect("the journal exists");
    let took = start.elapsed();
    assert_eq!(verified.problems, 0);
    assert_eq!(verified.records, 1 + HOURS + 2 * verified_incidents());
    println!("{} records of a year read and verified in {took:?}", verified.records);
}

/// The number of incidents that `write_year` writes; those of the last hour are not among them.
fn verified_incidents() -> u64 {
    (0..HOURS).map(|hour| (hour * INCIDENTS).div_ceil(HOURS)).max().unwrap_or_default()
}
