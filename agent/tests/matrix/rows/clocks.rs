//! Starts, suspends, and clocks that step.

use std::{process::Command, time::Duration};

use ispmon_agent::{
    clock::{self, Stamp},
    journal::Entry,
    outage::{Cause, GapCause, Party, Scope},
};

use jiff::Timestamp;
use serde_json::Value;

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding},
    rows::{
        Play, Row,
        truth::{Truth, compare, moment, short_grace, until_ended},
    },
    settings::Settings,
    stage::{Run, Stage, gaps, recorded_incidents},
};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "start-offline",
            title: "The agent starts without a network.",
            scaled: "20 s instead of 60 s of grace",
            seconds: [60, 120],
            play: Play::Own(start_offline),
        },
        Row {
            name: "resume",
            title: "The device sleeps for 8 h and wakes with a working connection.",
            scaled: "",
            seconds: [50, 50],
            play: Play::Own(resume),
        },
        Row {
            name: "sleep-in-outage",
            title: "The device sleeps for 8 h in an outage, which goes on after it.",
            scaled: "20 s instead of 60 s of grace",
            seconds: [80, 150],
            play: Play::Own(sleep_in_outage),
        },
        Row {
            name: "clock-step",
            title: "The wall clock is set 3 h ahead in an outage.",
            scaled: "",
            seconds: [60, 60],
            play: Play::Own(clock_step),
        },
        Row {
            name: "clock-unset",
            title: "The device starts in 1970 with the connection down, and gets the time when it is back.",
            scaled: "20 s instead of 60 s of grace",
            seconds: [60, 120],
            play: Play::Own(clock_unset),
        },
    ]
}

const HOURS_8: i64 = 8 * 3_600_000;
const HOURS_3: i64 = 3 * 3_600_000;

fn start_offline(run: &Run, name: &str) -> Result<Finding, String> {
    let settings = short_grace(run);
    let mut stage = Stage::build(run, name)?;
    stage.inject(Fault::CablePulled)?;
    let started = clock::boot_time();
    stage.start(&settings)?;
    let patience = settings.grace + Duration::from_secs(20);
    stage.until_incident("the record of the outage", patience, |_| true)?;
    stage.sleep(Duration::from_secs(10))?;
    let whole = stage.repair(Fault::CablePulled)?;
    until_ended(&mut stage)?;
    let truth = Truth {
        expected: Expected::new(Cause::Link, Some(Party::Yours), Scope::Internet),
        broken: started,
        // It may open once the grace period is over, and not before.
        findable: started + settings.grace,
        whole,
        start_limit: Duration::from_secs(2),
    };
    let (mut finding, _) = compare(&stage.finish()?, &truth)?;
    finding.judge();
    Ok(finding)
}

fn resume(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.start_with_shifted_clock(&Settings::default())?;
    stage.wait_until_up()?;
    // A machine that wakes has no network at first.
    stage.inject_unverified(Fault::CablePulled)?;
    stage.shift(HOURS_8, HOURS_8)?;
    stage.sleep(Duration::from_secs(3))?;
    stage.repair(Fault::CablePulled)?;
    stage.sleep(Duration::from_secs(20))?;
    let records = stage.finish()?;
    let mut finding = Finding::default();
    for story in recorded_incidents(&records) {
        finding.failures.push(format!("an incident was recorded: {}", story.newest.cause));
    }
    require_sleep(&mut finding, &gaps(&records));
    finding.judge();
    Ok(finding)
}

fn sleep_in_outage(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.start_with_shifted_clock(&short_grace(run))?;
    stage.wait_until_up()?;
    let broken = stage.inject(Fault::IspSilent)?;
    stage.until_incident("the record of the outage", Duration::from_secs(20), |_| true)?;
    stage.shift(HOURS_8, HOURS_8)?;
    stage.sleep(Duration::from_secs(if run.full { 80 } else { 40 }))?;
    let whole = stage.repair(Fault::IspSilent)?;
    let slept = Duration::from_millis(HOURS_8.unsigned_abs());
    until_ended(&mut stage)?;
    let records = stage.finish()?;
    let (mut finding, incident) = compare(&records, &Truth::of_provider(broken, whole + slept))?;
    require_sleep(&mut finding, &gaps(&records));
    // The time asleep is no downtime, because it was not monitored.
    let truth = whole.saturating_sub(broken);
    let recorded = incident.downtime();
    finding.require(recorded.abs_diff(truth) <= Duration::from_secs(8), || {
        format!(
            "{recorded:?} of downtime, but in monitored time the connection was down for {truth:?}"
        )
    });
    finding.judge();
    Ok(finding)
}

fn clock_step(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.start_with_shifted_clock(&Settings::default())?;
    stage.wait_until_up()?;
    let broken = stage.inject(Fault::IspSilent)?;
    stage.until_incident("the record of the outage", Duration::from_secs(20), |_| true)?;
    stage.shift(0, HOURS_3)?;
    stage.sleep(Duration::from_secs(8))?;
    let whole = stage.repair(Fault::IspSilent)?;
    until_ended(&mut stage)?;
    let records = stage.finish()?;
    let (mut finding, _) = compare(&records, &Truth::of_provider(broken, whole))?;
    let steps: Vec<i64> = records
        .iter()
        .filter_map(|record| match record.entry {
            Entry::ClockStepped { by_ms, .. } => Some(by_ms),
            _ => None,
        })
        .collect();
    finding.require(matches!(steps[..], [by] if (by - HOURS_3).abs() < 2_000), || {
        format!("expected one step of 3 h, recorded were steps of {steps:?} ms")
    });
    finding.require(gaps(&records).is_empty(), || "a gap was recorded".to_owned());
    finding.judge();
    Ok(finding)
}

fn clock_unset(run: &Run, name: &str) -> Result<Finding, String> {
    let settings = short_grace(run);
    let mut stage = Stage::build(run, name)?;
    stage.inject(Fault::IspSilent)?;
    let before = Stamp::now();
    // A board without a battery-backed clock starts in 1970.
    stage.shift(0, -before.wall.as_millisecond())?;
    stage.start_with_shifted_clock(&settings)?;
    let patience = settings.grace + Duration::from_secs(20);
    stage.until_incident("the record of the outage", patience, |_| true)?;
    stage.sleep(Duration::from_secs(8))?;
    let whole = stage.repair(Fault::IspSilent)?;
    stage.sleep(Duration::from_secs(2))?;
    // The time server has answered.
    stage.shift(0, 0)?;
    until_ended(&mut stage)?;
    let records = stage.finish()?;
    let (mut finding, incident) = compare(
        &records,
        &Truth {
            findable: moment(before) + settings.grace,
            start_limit: Duration::from_secs(2),
            ..Truth::of_provider(moment(before), whole)
        },
    )?;
    let recorded = incident.started.wall;
    finding.require(recorded.as_second() < 3_600, || {
        format!("the start was recorded as {recorded}, but the clock did not show that time")
    });
    let shown = shown_starts(&stage)?;
    match shown[..] {
        [start] if start.duration_since(before.wall).abs().as_secs() <= 3 => {
            finding.notes.push(format!("recorded as {recorded}, shown as {start}"));
        }
        _ => finding
            .failures
            .push(format!("it started after {}, but `outages` shows {shown:?}", before.wall)),
    }
    finding.judge();
    Ok(finding)
}

/// Start times of the outages in the journal, as `outages` shows them.
fn shown_starts(stage: &Stage<'_>) -> Result<Vec<Timestamp>, String> {
    let mut command = Command::new(&stage.run.program);
    command.args(["outages", "--json", "--state-dir"]).arg(stage.desk.state()).env_clear();
    let output = command.output().map_err(|error| format!("`outages` does not start: {error}"))?;
    let shown: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("`outages --json` printed no JSON: {error}"))?;
    let incidents = shown["incidents"].as_array().ok_or("`outages --json` lists no incidents")?;
    let start = |incident: &Value| incident["started"].as_str().and_then(|text| text.parse().ok());
    incidents.iter().map(|one| start(one).ok_or("an incident has no start".to_owned())).collect()
}

/// Requires one gap of eight hours.
fn require_sleep(finding: &mut Finding, gaps: &[ispmon_agent::outage::Gap]) {
    let [gap] = gaps else {
        return finding.failures.push(format!("expected one gap, got {}", gaps.len()));
    };
    let length = gap.ended.since(&gap.started).unwrap_or_default();
    let off = length.abs_diff(Duration::from_millis(HOURS_8.unsigned_abs()));
    finding.require(gap.cause == GapCause::Suspended && off < Duration::from_secs(3), || {
        format!("expected a sleep of 8 h, got {} of {length:?}", gap.cause)
    });
    finding.notes.push(format!("a gap of {:.3} h", length.as_secs_f64() / 3_600.0));
}
