//! A connection that fails and returns again and again.

use std::time::Duration;

use ispmon_agent::outage::{Cause, Party, Scope};

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding, Measure, difference},
    rows::{Play, Row},
    settings::Settings,
    stage::{Run, Stage, recorded_incidents},
};

pub(super) fn rows() -> Vec<Row> {
    vec![Row {
        name: "unstable",
        title: "The connection is down for 40 s and up for 40 s, for an hour.",
        scaled: "14 s and 10 s for 4 min, a probe each second; without waiting for the 10 good minutes",
        seconds: [270, 4_300],
        play: Play::Own(unstable),
    }]
}

fn unstable(run: &Run, name: &str) -> Result<Finding, String> {
    let seconds = Duration::from_secs;
    let (gone, back, times) =
        if run.full { (seconds(40), seconds(40), 45) } else { (seconds(14), seconds(10), 10) };
    let probe = seconds(if run.full { 5 } else { 1 });
    let mut stage = Stage::build(run, name)?;
    stage.start(&Settings { probe, ..Settings::default() })?;
    stage.wait_until_up()?;
    let mut first = None;
    let mut down = Duration::ZERO;
    for _ in 0..times {
        let broken = stage.inject_unverified(Fault::IspSilent)?;
        first.get_or_insert(broken);
        stage.sleep_until(broken + gone)?;
        let whole = stage.repair(Fault::IspSilent)?;
        down += whole.saturating_sub(broken);
        stage.sleep_until(whole + back)?;
    }
    if run.full {
        // It ends once the connection has worked for ten minutes.
        stage.until_incident("the end", seconds(15 * 60), |story| {
            story.newest.cause == Cause::Unstable && story.newest.ended.is_some()
        })?;
    }
    let stories = recorded_incidents(&stage.finish()?);
    let expected = Expected::new(Cause::Unstable, Some(Party::Provider), Scope::Internet);
    let mut finding = Finding { expected: Some(expected), ..Finding::default() };
    let plain = stories.iter().filter(|story| story.newest.cause == Cause::Isp).count();
    let all: Vec<_> = stories.iter().map(|story| story.newest.cause.as_str()).collect();
    // Up to six ordinary incidents come first; the seventh failure opens the unstable one.
    let Some(story) = stories.iter().find(|story| story.newest.cause == Cause::Unstable) else {
        return Err(format!("no unstable incident, but {all:?}"));
    };
    let incident = &story.newest;
    finding.got = Some(Expected::of(incident));
    finding.require(plain <= 6 && stories.len() == plain + 1, || format!("recorded: {all:?}"));
    let first = first.expect("there is at least one failure");
    finding.detection = Measure { value: Some(difference(story.opened_at, first)), limit: None };
    let recorded: u64 = stories.iter().map(|story| story.newest.downtime_ms).sum();
    let truth = u64::try_from(down.as_millis()).unwrap_or(u64::MAX);
    finding.notes.push(format!(
        "{plain} incidents before it, {} failures in it; {:.1} s of downtime recorded, {:.1} s in truth",
        incident.failures,
        recorded as f64 / 1_000.0,
        truth as f64 / 1_000.0
    ));
    // Each start may be one probe late, each end two seconds.
    let allowed = u64::try_from((probe + seconds(2)).as_millis()).unwrap_or(0) * times;
    // An unstable incident is updated only now and then, and completed at its end.
    finding.require(incident.ended.is_none() || recorded.abs_diff(truth) <= allowed, || {
        "the downtime is wrong".to_owned()
    });
    finding.judge();
    Ok(finding)
}
