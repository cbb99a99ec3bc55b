//! DNS failures at a start, with a short recovery, and because of a wrong clock.

use std::time::Duration;

use ispmon_agent::{
    clock::Stamp,
    outage::{Cause, Party, Scope},
};

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding, Measure, difference},
    rows::{
        Play, Row,
        quiet::nothing,
        truth::{moment, short_grace},
    },
    settings::Settings,
    stage::{Run, Stage, list, recorded_incidents},
};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "names-late",
            title: "The name servers start 20 s after the agent.",
            scaled: "",
            seconds: [75, 75],
            play: Play::Own(name_servers_start_late),
        },
        Row {
            name: "dns-1s-back",
            title: "The name servers stop answering, answer for 1 s after 25 s, and stop again for 25 s.",
            scaled: "heartbeat every 5 s, timeout 8 s",
            seconds: [95, 95],
            play: Play::Own(name_servers_answer_for_one_second),
        },
        Row {
            name: "clock-names",
            title: "The clock starts in 1970, so the name server cannot validate signatures and fails.",
            scaled: "20 s instead of 60 s of grace, heartbeat every 5 s",
            seconds: [85, 150],
            play: Play::Own(wrong_clock_breaks_dns),
        },
    ]
}

fn name_servers_start_late(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.inject(Fault::NamesSilent)?;
    stage.start(&Settings::default())?;
    stage.sleep(Duration::from_secs(20))?;
    stage.repair(Fault::NamesSilent)?;
    stage.wait_until_up()?;
    stage.sleep(Duration::from_secs(15))?;
    Ok(nothing(&stage.finish()?))
}

fn name_servers_answer_for_one_second(run: &Run, name: &str) -> Result<Finding, String> {
    const FAILURE: Duration = Duration::from_secs(25);
    let (heartbeat, timeout) = (Duration::from_secs(5), Duration::from_secs(8));
    let settings = Settings { heartbeat, timeout, ..Settings::default() };
    let mut stage = Stage::build(run, name)?;
    stage.start(&settings)?;
    stage.wait_until_up()?;
    let failed = stage.inject(Fault::NamesSilent)?;
    stage.sleep_until(failed + FAILURE)?;
    let recovered = stage.repair(Fault::NamesSilent)?;
    stage.sleep_until(recovered + Duration::from_secs(1))?;
    // The first injection was verified.
    let failed_again = stage.inject_unverified(Fault::NamesSilent)?;
    stage.sleep_until(failed_again + FAILURE)?;
    let repaired = stage.repair(Fault::NamesSilent)?;
    stage.sleep(Duration::from_secs(20))?;
    let incidents = recorded_incidents(&stage.finish()?);
    let expected = Expected::new(Cause::Dns, Some(Party::Provider), Scope::Internet);
    let mut finding = Finding { expected: Some(expected), ..Finding::default() };
    let [incident] = incidents.as_slice() else {
        return Err(format!("expected one incident, got {}", list(&incidents)));
    };
    finding.got = Some(Expected::of(&incident.newest));
    let start_error = difference(moment(incident.newest.started), failed);
    // The first failed heartbeat shows the failure, and the intervals vary by 10 %.
    finding.start = Measure::of(start_error, heartbeat.mul_f64(1.1));
    if let Some(ended) = incident.newest.ended {
        finding.end = Measure::of(difference(moment(ended), repaired), Duration::from_secs(2));
    } else {
        finding.failures.push("the incident has not ended".to_owned());
    }
    finding.judge();
    Ok(finding)
}

fn wrong_clock_breaks_dns(run: &Run, name: &str) -> Result<Finding, String> {
    let heartbeat = Duration::from_secs(if run.full { 60 } else { 5 });
    let settings = Settings { heartbeat, ..short_grace(run) };
    let mut stage = Stage::build(run, name)?;
    stage.inject(Fault::NamesFail)?;
    let before = Stamp::now();
    stage.shift(0, -before.wall.as_millisecond())?;
    stage.start_with_shifted_clock(&settings)?;
    let patience = settings.grace + heartbeat + Duration::from_secs(30);
    stage.until_incident("the record of the wrong clock", patience, |_| true)?;
    stage.sleep(Duration::from_secs(10))?;
    // As after an answer of the time server: the clock is right, so signatures can be validated.
    stage.shift(0, 0)?;
    stage.repair(Fault::NamesFail)?;
    let limit = heartbeat.mul_f64(1.1) + Duration::from_secs(35);
    stage.until_incident("the record of the end", limit, |incident| {
        incident.newest.ended.is_some()
    })?;
    let incidents = recorded_incidents(&stage.finish()?);
    let expected = Expected::new(Cause::Clock, Some(Party::Yours), Scope::Heartbeat);
    let mut finding = Finding { expected: Some(expected), ..Finding::default() };
    for incident in &incidents {
        finding.got = Some(Expected::of(&incident.newest));
        let downtime = incident.newest.downtime_ms;
        finding.require(downtime == 0, || format!("{downtime} ms of downtime"));
    }
    finding.require(incidents.len() == 1, || format!("recorded: {}", list(&incidents)));
    finding.judge();
    Ok(finding)
}
