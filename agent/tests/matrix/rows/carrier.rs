//! Short losses of the carrier, as with a loose plug or bad Wi-Fi.

use std::time::Duration;

use ispmon_agent::outage::Cause;

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding},
    rows::{Play, Row},
    settings::Settings,
    stage::{Run, Stage, recorded_incidents},
};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "carrier-2s",
            title: "The carrier is lost for 2 s, thirty times.",
            scaled: "ten times",
            seconds: [120, 330],
            play: Play::Own(|run, name| losses(run, name, Duration::from_secs(2))),
        },
        Row {
            name: "carrier-3.7s",
            title: "The carrier is lost for 3.7 s, thirty times.",
            scaled: "ten times",
            seconds: [120, 360],
            play: Play::Own(|run, name| losses(run, name, Duration::from_millis(3_700))),
        },
    ]
}

fn losses(run: &Run, name: &str, lost: Duration) -> Result<Finding, String> {
    const GOOD: Duration = Duration::from_secs(6);
    let times = if run.full { 30 } else { 10 };
    let mut stage = Stage::build(run, name)?;
    stage.start(&Settings::default())?;
    stage.wait_until_up()?;
    for _ in 0..times {
        let pulled = stage.inject_unverified(Fault::CablePulled)?;
        stage.sleep_until(pulled + lost)?;
        let plugged = stage.repair(Fault::CablePulled)?;
        stage.sleep_until(plugged + GOOD)?;
    }
    stage.sleep(Duration::from_secs(10))?;
    let blips = stage.agent().blips()?;
    let quality = stage.agent().read_status()?["quality"].clone();
    let records = stage.finish()?;
    let mut finding = Finding::default();
    for story in recorded_incidents(&records) {
        let incident = &story.newest;
        // So much loss may be recorded as a degraded connection.
        if incident.cause == Cause::Degraded {
            finding.notes.push("recorded as degraded".to_owned());
        } else {
            finding.got = Some(Expected::of(incident));
        }
    }
    finding.require(blips.abs_diff(times) <= 1, || format!("expected {times} blips, got {blips}"));
    let lost = quality["lost"].as_u64().unwrap_or(0);
    finding.require(lost > 0, || format!("no loss is visible: {quality}"));
    finding.notes.push(format!("{blips} blips, {lost} of {} probes lost", quality["probes"]));
    finding.judge();
    Ok(finding)
}
