//! Trouble on the line that is no outage, whatever it looks like at times.

use std::time::Duration;

use ispmon_agent::outage::Cause;

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding},
    forwarder::Weather,
    rows::{Play, Row, quality::SEED, quiet::nothing},
    settings::Settings,
    stage::{Run, Stage, stories},
};

pub(super) fn rows() -> Vec<Row> {
    const SCALED: &str = "2 min instead of 10, a probe each second and a heartbeat every 5 s";
    vec![
        Row {
            name: "lossy-15",
            title: "15 % of the packets from the house are lost for 10 min.",
            scaled: SCALED,
            seconds: [145, 630],
            play: Play::Own(|run, name| lossy(run, name, 0.15)),
        },
        Row {
            name: "lossy-35",
            title: "35 % of the packets from the house are lost for 10 min.",
            scaled: SCALED,
            seconds: [145, 630],
            play: Play::Own(|run, name| lossy(run, name, 0.35)),
        },
        Row {
            name: "anchor-dead",
            title: "One of three anchors is dead for 2 min, after 3 good ones.",
            scaled: "a probe each second",
            seconds: [355, 355],
            play: Play::Own(anchor_dead),
        },
    ]
}

fn lossy(run: &Run, name: &str, loss: f64) -> Result<Finding, String> {
    let settings = if run.full {
        Settings::default()
    } else {
        let (probe, heartbeat) = (Duration::from_secs(1), Duration::from_secs(5));
        Settings { heartbeat, probe, ..Settings::default() }
    };
    let mut stage = Stage::build(run, name)?;
    stage.world.insert_forwarder(SEED).map_err(|error| format!("the forwarder: {error}"))?;
    stage.world.wait_until_working()?;
    stage.start(&settings)?;
    stage.wait_until_up()?;
    stage.strike(Fault::Line(Weather { loss, delay: Duration::ZERO }))?;
    stage.sleep(Duration::from_secs(if run.full { 600 } else { 120 }))?;
    let count = stage.world.forwarder().count();
    let records = stage.finish()?;
    let mut finding = Finding::default();
    for story in stories(&records) {
        let incident = &story.newest;
        if incident.cause == Cause::Degraded {
            finding.notes.push("recorded as degraded".to_owned());
        } else {
            finding.got = Some(Expected::of(incident));
        }
    }
    finding.notes.push(format!("the line lost {} of {} packets", count.lost, count.sent));
    finding.judge();
    Ok(finding)
}

fn anchor_dead(run: &Run, name: &str) -> Result<Finding, String> {
    let probe = Duration::from_secs(if run.full { 5 } else { 1 });
    let mut stage = Stage::build(run, name)?;
    stage.start(&Settings { probe, ..Settings::default() })?;
    stage.wait_until_up()?;
    // The probes of five minutes say how good the line is, and nothing is said before.
    stage.sleep(Duration::from_mins(3))?;
    stage.strike(Fault::OneAnchorDead)?;
    stage.sleep(Duration::from_mins(2))?;
    stage.repair(Fault::OneAnchorDead)?;
    stage.sleep(Duration::from_secs(40))?;
    Ok(nothing(&stage.finish()?))
}
