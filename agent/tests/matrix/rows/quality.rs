//! A connection that works, but badly.

use std::{fs, os::unix::fs::chown, time::Duration};

use ispmon_agent::{
    clock::{self, BootId, Stamp},
    journal::{Digest, Entry, FORMAT, Quantiles, Record, Summary},
    outage::{Cause, Scope},
};

use crate::play::{
    agent::USER,
    fault::Fault,
    finding::{Expected, Finding, Measure, difference},
    forwarder::Impairment,
    rows::{Play, Row},
    settings::Settings,
    stage::{Run, Stage, recorded_incidents},
};

/// Determines which packets are lost.
pub(super) const SEED: u64 = 0x6973_706d_6f6e;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "loss",
            title: "30 % of the packets from the house are lost.",
            scaled: "a probe each second; without waiting for the end",
            seconds: [350, 800],
            play: Play::Own(loss),
        },
        Row {
            name: "slow",
            title: "The round trip takes 2 s, after a day of 20 ms.",
            scaled: "a probe each second; without waiting for the end",
            seconds: [350, 800],
            play: Play::Own(slow),
        },
        Row {
            name: "slower",
            title: "The round trip takes 400 ms, after a day of 20 ms.",
            scaled: "a probe each second; without waiting for the end",
            seconds: [350, 800],
            play: Play::Own(slower),
        },
    ]
}

fn loss(run: &Run, name: &str) -> Result<Finding, String> {
    let stage = Stage::build(run, name)?;
    let mut finding = degrade(stage, Impairment { loss: 0.3, ..Impairment::default() })?;
    finding.judge();
    Ok(finding)
}

fn slow(run: &Run, name: &str) -> Result<Finding, String> {
    slowed(run, name, Duration::from_secs(1))
}

fn slower(run: &Run, name: &str) -> Result<Finding, String> {
    slowed(run, name, Duration::from_millis(200))
}

fn slowed(run: &Run, name: &str, delay: Duration) -> Result<Finding, String> {
    let stage = Stage::build(run, name)?;
    write_yesterday(&stage)?;
    let mut finding = degrade(stage, Impairment { delay, ..Impairment::default() })?;
    finding.judge();
    Ok(finding)
}

/// Degrades the connection until that is recorded, and in full until its end is recorded.
fn degrade(mut stage: Stage<'_>, weather: Impairment) -> Result<Finding, String> {
    let full = stage.run.full;
    let probe = Duration::from_secs(if full { 5 } else { 1 });
    stage.world.insert_forwarder(SEED).map_err(|error| format!("the forwarder: {error}"))?;
    stage.world.wait_until_working()?;
    stage.start(&Settings { probe, ..Settings::default() })?;
    stage.wait_until_up()?;
    let bad = stage.inject(Fault::Line(weather))?;
    // The quality is that of the last five minutes, and no probe was bad before.
    let patience = Duration::from_mins(7);
    stage
        .until_incident("the record of the degradation", patience, |story| story.opened_at > bad)?;
    stage.sleep(Duration::from_secs(if full { 60 } else { 20 }))?;
    let count = stage.world.forwarder().count();
    if full {
        stage.repair(Fault::Line(weather))?;
        stage.until_incident("the record of the end", patience, |story| {
            story.newest.ended.is_some()
        })?;
    }
    let stories = recorded_incidents(&stage.finish()?);
    let expected = Expected::new(Cause::Degraded, None, Scope::Quality);
    let mut finding = Finding { expected: Some(expected), ..Finding::default() };
    let [story] = stories.as_slice() else {
        let all: Vec<_> = stories.iter().map(|story| story.newest.cause.as_str()).collect();
        return Err(format!("expected one incident, got {all:?}"));
    };
    let incident = &story.newest;
    finding.got = Some(Expected::of(incident));
    finding.detection = Measure { value: Some(difference(story.opened_at, bad)), limit: None };
    finding
        .require(incident.downtime_ms == 0, || format!("{} ms of downtime", incident.downtime_ms));
    finding.notes.push(format!("the connection lost {} of {} packets", count.lost, count.sent));
    Ok(finding)
}

/// Writes a journal whose last day has a usual round-trip time of 20 ms.
fn write_yesterday(stage: &Stage<'_>) -> Result<(), String> {
    const HOURS: u64 = 26;
    let boot: BootId =
        "0190b5d4-6f8a-7c3e-9b1d-2f4a6c8e0a1b".parse().expect("the constant is a UUID");
    let hour = Duration::from_hours(1);
    let now = clock::now();
    let begin =
        now - jiff::SignedDuration::from_hours(i64::try_from(HOURS).expect("a few hours fit"));
    let start = Stamp { boot, boot_ms: 60_000, wall: begin };
    let mut entries = vec![
        (
            start,
            Entry::ChainStarted {
                format: FORMAT,
                device: "matrix".to_owned(),
                reason: None,
                set_aside: Vec::new(),
                after: None,
            },
        ),
        (start, Entry::AgentStarted { version: "0.1.0".to_owned(), device: "matrix".to_owned() }),
    ];
    let mut from = start;
    for _ in 1..HOURS {
        let to = from.later(hour);
        let summary = Summary {
            from,
            to,
            observed_ms: 3_600_000,
            rounds: 0,
            rounds_failed: 0,
            probes: 1_440,
            lost: 0,
            rtt_ms: Some(Quantiles { p50: 20.0, p95: 25.0, max: 60.0 }),
            beats: 60,
            beats_failed: 0,
            blips: 0,
        };
        entries.push((to, Entry::Hour { summary }));
        from = to;
    }
    entries.push((from, Entry::AgentStopped { reason: "SIGTERM".to_owned() }));
    let mut prev = Digest::none();
    let mut text = String::new();
    for (seq, (at, entry)) in (1..).zip(entries) {
        let line = serde_json::to_string(&Record { seq, prev, at, entry });
        let line = line.map_err(|error| format!("the journal of yesterday: {error}"))?;
        prev = Digest::of(line.as_bytes());
        text.push_str(&line);
        text.push('\n');
    }
    let path = stage.desk.state().join("journal.ndjson");
    fs::write(&path, text)
        .and_then(|()| chown(&path, Some(USER), Some(USER)))
        .map_err(|error| format!("{}: {error}", path.display()))
}
