//! DNS failures that differ from a plain one.

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
            play: Play::Own(names_late),
        },
        Row {
            name: "dns-1s-back",
            title: "The name servers are dead, answer for 1 s after 25 s, and are dead again.",
            scaled: "heartbeat every 5 s, for at most 8 s",
            seconds: [95, 95],
            play: Play::Own(one_good_second),
        },
        Row {
            name: "clock-names",
            title: "The device starts in 1970, and its name server fails because of that.",
            scaled: "20 s instead of 60 s of grace, heartbeat every 5 s",
            seconds: [85, 150],
            play: Play::Own(clock_and_names),
        },
    ]
}

fn names_late(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.inject(Fault::NamesSilent)?;
    stage.start(&Settings::default())?;
    stage.sleep(Duration::from_secs(20))?;
    stage.repair(Fault::NamesSilent)?;
    stage.wait_until_up()?;
    stage.sleep(Duration::from_secs(15))?;
    Ok(nothing(&stage.finish()?))
}

fn one_good_second(run: &Run, name: &str) -> Result<Finding, String> {
    const DEAD: Duration = Duration::from_secs(25);
    let (heartbeat, timeout) = (Duration::from_secs(5), Duration::from_secs(8));
    let settings = Settings { heartbeat, timeout, ..Settings::default() };
    let mut stage = Stage::build(run, name)?;
    stage.start(&settings)?;
    stage.wait_until_up()?;
    let broken = stage.inject(Fault::NamesSilent)?;
    stage.sleep_until(broken + DEAD)?;
    let back = stage.repair(Fault::NamesSilent)?;
    stage.sleep_until(back + Duration::from_secs(1))?;
    let gone = stage.inject_unverified(Fault::NamesSilent)?;
    stage.sleep_until(gone + DEAD)?;
    let whole = stage.repair(Fault::NamesSilent)?;
    stage.sleep(Duration::from_secs(20))?;
    let stories = recorded_incidents(&stage.finish()?);
    let expected = Expected::new(Cause::Dns, Some(Party::Provider), Scope::Internet);
    let mut finding = Finding { expected: Some(expected), ..Finding::default() };
    let [story] = stories.as_slice() else {
        return Err(format!("expected one incident, got {}", list(&stories)));
    };
    finding.got = Some(Expected::of(&story.newest));
    let late = difference(moment(story.newest.started), broken);
    finding.start = Measure::of(late, heartbeat.mul_f64(1.1));
    if let Some(ended) = story.newest.ended {
        finding.end = Measure::of(difference(moment(ended), whole), Duration::from_secs(2));
    } else {
        finding.failures.push("the incident has not ended".to_owned());
    }
    finding.judge();
    Ok(finding)
}

fn clock_and_names(run: &Run, name: &str) -> Result<Finding, String> {
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
    // The time server has answered, and the name server can validate signatures again.
    stage.shift(0, 0)?;
    stage.repair(Fault::NamesFail)?;
    let closing = heartbeat.mul_f64(1.1) + Duration::from_secs(35);
    stage.until_incident("the record of the end", closing, |story| story.newest.ended.is_some())?;
    let stories = recorded_incidents(&stage.finish()?);
    let expected = Expected::new(Cause::Clock, Some(Party::Yours), Scope::Heartbeat);
    let mut finding = Finding { expected: Some(expected), ..Finding::default() };
    for story in &stories {
        finding.got = Some(Expected::of(&story.newest));
        let downtime = story.newest.downtime_ms;
        finding.require(downtime == 0, || format!("{downtime} ms of downtime"));
    }
    finding.require(stories.len() == 1, || format!("recorded: {}", list(&stories)));
    finding.judge();
    Ok(finding)
}
