//! Periods in which the device cannot send any probe.

use std::time::Duration;

use ispmon_agent::{
    clock,
    outage::{Cause, Party, Scope},
};

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding, Measure, difference},
    rows::{Play, Row, truth::moment},
    settings::Settings,
    stage::{Run, Stage, gaps, recorded_incidents},
};

pub(super) fn rows() -> Vec<Row> {
    let row = |name, title, play| Row {
        name,
        title,
        scaled: "",
        seconds: [75, 75],
        play: Play::Own(play),
    };
    vec![
        row("no-descriptors", "The agent gets no file descriptors for 30 s.", no_descriptors),
        row("no-descr-local", "The same without heartbeats.", no_descriptors_locally),
        row("no-port", "All source ports are taken for 30 s.", no_port),
        row("no-port-local", "The same without heartbeats.", no_port_locally),
        row(
            "policy-rule",
            "A policy rule prohibits all traffic for 8 s; half a minute later the connection fails.",
            policy_rule,
        ),
        row("policy-rule-loc", "The same without heartbeats.", policy_rule_locally),
    ]
}

/// How long no probe can be sent.
const BLIND: Duration = Duration::from_secs(30);

fn no_descriptors(run: &Run, name: &str) -> Result<Finding, String> {
    without_descriptors(run, name, &Settings::default())
}

fn no_descriptors_locally(run: &Run, name: &str) -> Result<Finding, String> {
    without_descriptors(run, name, &Settings::default().locally())
}

fn without_descriptors(run: &Run, name: &str, settings: &Settings) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.start(settings)?;
    stage.wait_until_up()?;
    let limit_to = |stage: &Stage<'_>, descriptors| {
        let limited = stage.agent().limit_descriptors(descriptors);
        limited.map_err(|error| format!("the limit of file descriptors: {error}"))
    };
    let began = clock::boot_time();
    // Open descriptors stay open, and none can be opened.
    limit_to(&stage, 3)?;
    stage.sleep_until(began + BLIND)?;
    limit_to(&stage, 1_024)?;
    blind(&mut stage, began)
}

fn no_port(run: &Run, name: &str) -> Result<Finding, String> {
    without_port(run, name, &Settings::default())
}

fn no_port_locally(run: &Run, name: &str) -> Result<Finding, String> {
    without_port(run, name, &Settings::default().locally())
}

fn without_port(run: &Run, name: &str, settings: &Settings) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.start(settings)?;
    stage.wait_until_up()?;
    let began = stage.inject(Fault::NoFreePort)?;
    stage.sleep_until(began + BLIND)?;
    stage.repair(Fault::NoFreePort)?;
    blind(&mut stage, began)
}

/// Requires one gap since `began`, and no incident.
fn blind(stage: &mut Stage<'_>, began: Duration) -> Result<Finding, String> {
    let ended = clock::boot_time();
    stage.sleep(Duration::from_secs(20))?;
    let warned = stage.agent().log().iter().any(|line| line.text.contains(" WARN "));
    let records = stage.finish()?;
    let mut finding = Finding::default();
    if let Some(story) = recorded_incidents(&records).first() {
        finding.got = Some(Expected::of(&story.newest));
    }
    let gaps = gaps(&records);
    match gaps.as_slice() {
        [gap] if gap.cause.as_str() == "blind" => {
            // The last answer arrived at most two probe turns of both families before.
            let (early, late) = (Duration::from_secs(10), Duration::from_secs(10));
            finding.start = Measure::of(difference(began, moment(gap.started)).abs(), early);
            finding.end = Measure::of(difference(moment(gap.ended), ended), late);
        }
        _ => {
            let causes: Vec<_> = gaps.iter().map(|gap| gap.cause.as_str()).collect();
            finding.failures.push(format!("expected one gap \"blind\", got {causes:?}"));
        }
    }
    finding.require(warned, || "nothing was logged at WARN".to_owned());
    finding.judge();
    Ok(finding)
}

fn policy_rule(run: &Run, name: &str) -> Result<Finding, String> {
    prohibited(run, name, &Settings::default())
}

fn policy_rule_locally(run: &Run, name: &str) -> Result<Finding, String> {
    prohibited(run, name, &Settings::default().locally())
}

/// Prohibits everything by a policy rule for 8 s, then breaks the connection to verify that the agent
/// still probes.
fn prohibited(run: &Run, name: &str, settings: &Settings) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.start(settings)?;
    stage.wait_until_up()?;
    let began = stage.inject_unverified(Fault::Prohibited)?;
    stage.sleep_until(began + Duration::from_secs(8))?;
    let allowed = stage.repair(Fault::Prohibited)?;
    stage.sleep(Duration::from_secs(20))?;
    let mut finding = Finding {
        expected: Some(Expected::new(Cause::Isp, Some(Party::Provider), Scope::Internet)),
        ..Finding::default()
    };
    for story in recorded_incidents(&stage.agent().journal()?) {
        let incident = &story.newest;
        let expected =
            Expected { cause: "firewall", party: Some(Party::Yours), scope: Scope::Internet };
        let got = Expected::of(incident);
        finding.require(got == expected, || format!("the rule was recorded as {got}"));
        match incident.ended {
            Some(ended) => {
                let late = difference(moment(ended), allowed);
                finding.require((-500..=2_500).contains(&late), || {
                    format!("the incident of the rule ended {late} ms after the rule was removed")
                });
            }
            None => finding.failures.push("the incident of the rule has not ended".to_owned()),
        }
    }
    let condition = stage.agent().read_status()?["condition"].clone();
    finding.require(condition == "up", || {
        format!("20 s after the rule the condition in the status snapshot is {condition}")
    });
    // An agent that no longer probes does not detect this failure.
    stage.sleep_until(allowed + Duration::from_secs(30))?;
    let broken = stage.inject_unverified(Fault::IspSilent)?;
    stage.sleep_until(broken + Duration::from_secs(20))?;
    let whole = stage.repair(Fault::IspSilent)?;
    stage.sleep(Duration::from_secs(8))?;
    let stories = recorded_incidents(&stage.finish()?);
    let Some(story) = stories.iter().find(|story| story.opened_at > broken) else {
        finding.failures.push("the failure of the connection was not detected".to_owned());
        return Ok(finding);
    };
    finding.got = Some(Expected::of(&story.newest));
    let limit = Duration::from_secs(10);
    finding.detection = Measure::of(difference(story.opened_at, broken), limit);
    let start = difference(moment(story.newest.started), broken);
    finding.start = Measure::of(start, settings.probe);
    match story.newest.ended {
        Some(ended) => {
            finding.end = Measure::of(difference(moment(ended), whole), Duration::from_secs(2));
        }
        None => finding.failures.push("the incident has not ended".to_owned()),
    }
    finding.judge();
    Ok(finding)
}
