//! Packet loss that is no outage.

use std::time::Duration;

use ispmon_agent::outage::{Cause, Incident};

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding},
    forwarder::Impairment,
    rows::{Play, Row, quality::SEED, quiet::nothing},
    settings::Settings,
    stage::{Run, Stage, recorded_incidents},
};

pub(super) fn rows() -> Vec<Row> {
    const SCALED: &str = "2 min instead of 10, a probe each second and a heartbeat every 5 s";
    vec![
        Row {
            name: "lossy-15",
            title: "15 % of the packets are lost in each direction for 10 min.",
            scaled: SCALED,
            seconds: [145, 630],
            play: Play::Own(|run, name| {
                lossy(
                    run,
                    name,
                    Impairment { loss: 0.15, loss_back: 0.15, ..Impairment::default() },
                )
            }),
        },
        Row {
            name: "lossy-35",
            title: "35 % of the packets from the house are lost for 10 min.",
            scaled: SCALED,
            seconds: [145, 630],
            play: Play::Own(|run, name| {
                lossy(run, name, Impairment { loss: 0.35, ..Impairment::default() })
            }),
        },
        Row {
            name: "lossy-25-both",
            title: "25 % of the packets are lost in each direction for 10 min.",
            scaled: SCALED,
            seconds: [145, 630],
            play: Play::Own(|run, name| {
                lossy(
                    run,
                    name,
                    Impairment { loss: 0.25, loss_back: 0.25, ..Impairment::default() },
                )
            }),
        },
        Row {
            name: "lossy-beats",
            title: "35 % of the packets from the house are lost for 10 min, and heartbeats have 8 s.",
            scaled: SCALED,
            seconds: [145, 630],
            play: Play::Own(lossy_heartbeats),
        },
        Row {
            name: "anchor-dead",
            title: "One of three anchors is dead for 2 min, after 3 good minutes.",
            scaled: "a probe each second",
            seconds: [355, 355],
            play: Play::Own(anchor_dead),
        },
    ]
}

fn lossy(run: &Run, name: &str, weather: Impairment) -> Result<Finding, String> {
    let settings = if run.full {
        Settings::default()
    } else {
        let (probe, heartbeat) = (Duration::from_secs(1), Duration::from_secs(5));
        Settings { heartbeat, probe, ..Settings::default() }
    };
    let (mut finding, incidents) = play_loss(run, name, &settings, weather)?;
    for incident in incidents {
        if incident.cause == Cause::Degraded {
            finding.notes.push("recorded as degraded".to_owned());
        } else {
            finding.got = Some(Expected::of(&incident));
        }
    }
    finding.judge();
    Ok(finding)
}

/// Heartbeats with less time than a lookup may need, so that some fail while the connection works.
fn lossy_heartbeats(run: &Run, name: &str) -> Result<Finding, String> {
    let (probe, heartbeat) = (Duration::from_secs(1), Duration::from_secs(5));
    let timeout = Duration::from_secs(8);
    let settings = Settings { heartbeat, timeout, probe, ..Settings::default() };
    let weather = Impairment { loss: 0.35, ..Impairment::default() };
    let (mut finding, incidents) = play_loss(run, name, &settings, weather)?;
    for incident in incidents {
        let (what, downtime) = (Expected::of(&incident), incident.downtime());
        finding.notes.push(format!("recorded as {what}"));
        finding.require(downtime.is_zero(), || format!("{what} with {downtime:?} of downtime"));
    }
    Ok(finding)
}

/// Runs with packet loss, and returns the recorded incidents.
fn play_loss(
    run: &Run,
    name: &str,
    settings: &Settings,
    weather: Impairment,
) -> Result<(Finding, Vec<Incident>), String> {
    let mut stage = Stage::build(run, name)?;
    stage.world.insert_forwarder(SEED).map_err(|error| format!("the forwarder: {error}"))?;
    stage.world.wait_until_working()?;
    stage.start(settings)?;
    stage.wait_until_up()?;
    stage.inject(Fault::Line(weather))?;
    stage.sleep(Duration::from_secs(if run.full { 600 } else { 120 }))?;
    let count = stage.world.forwarder().count();
    let records = stage.finish()?;
    let mut finding = Finding::default();
    finding.notes.push(format!("the connection lost {} of {} packets", count.lost, count.sent));
    Ok((finding, recorded_incidents(&records).into_iter().map(|story| story.newest).collect()))
}

fn anchor_dead(run: &Run, name: &str) -> Result<Finding, String> {
    let probe = Duration::from_secs(if run.full { 5 } else { 1 });
    let mut stage = Stage::build(run, name)?;
    stage.start(&Settings { probe, ..Settings::default() })?;
    stage.wait_until_up()?;
    // The quality is that of the last five minutes, and is not reported before.
    stage.sleep(Duration::from_mins(3))?;
    stage.inject(Fault::OneAnchorDead)?;
    stage.sleep(Duration::from_mins(2))?;
    stage.repair(Fault::OneAnchorDead)?;
    stage.sleep(Duration::from_secs(40))?;
    Ok(nothing(&stage.finish()?))
}
