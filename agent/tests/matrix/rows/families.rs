//! One address family that is dead when the connection comes up, beside one that works.

use std::time::Duration;

use ispmon_agent::{
    clock,
    outage::{Cause, Party, Scope},
};

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding, scope_of},
    rows::{
        Play, Row,
        truth::{Truth, compare, short_grace, until_ended},
    },
    settings::Settings,
    stage::{Run, Stage},
};

const IPV4: Fault = Fault::IspSilentFor("ipv4");

pub(super) fn rows() -> Vec<Row> {
    const SCALED: &str = "20 s instead of 60 s of grace, dead for 45 s instead of 150 s";
    type Plays = fn(&Run, &str) -> Result<Finding, String>;
    let row = |name, title, play: Plays| Row {
        name,
        title,
        scaled: SCALED,
        seconds: [90, 220],
        play: Play::Own(play),
    };
    vec![
        row(
            "ipv4-link-up",
            "The cable is out for 3 s, and IPv4 is dead at the provider when it is back.",
            link_up,
        ),
        row("ipv4-link-up-loc", "The same without heartbeats.", link_up_locally),
        row(
            "ipv4-start",
            "The agent starts with IPv4 dead at the provider, which it has seen working before.",
            |run, name| start(run, name, Scope::Ipv4, true),
        ),
        row(
            "ipv6-start",
            "The agent starts with IPv6 dead at the provider, which it has seen working before.",
            |run, name| start(run, name, Scope::Ipv6, true),
        ),
        row(
            "ipv4-first",
            "The agent starts for the first time, with IPv4 dead at the provider.",
            |run, name| start(run, name, Scope::Ipv4, false),
        ),
        row(
            "ipv4-carrier",
            "The cable is out for 10 s, and IPv4 stays dead at the provider when it is back.",
            carrier,
        ),
        row("ipv4-carrier-loc", "The same without heartbeats.", carrier_locally),
    ]
}

/// How long IPv4 is dead.
fn lasts(run: &Run) -> Duration {
    Duration::from_secs(if run.full { 150 } else { 45 })
}

fn provider_ipv4() -> Expected {
    Expected::new(Cause::Isp, Some(Party::Provider), Scope::Ipv4)
}

fn link_up(run: &Run, name: &str) -> Result<Finding, String> {
    dead_at_link_up(run, name, &short_grace(run))
}

fn link_up_locally(run: &Run, name: &str) -> Result<Finding, String> {
    dead_at_link_up(run, name, &short_grace(run).locally())
}

/// Lets IPv4 fail at the provider while the cable is out, plugs the cable in at a given time, and
/// repairs IPv4 later; returns the times of both.
fn plug_in_without_ipv4(
    stage: &mut Stage<'_>,
    run: &Run,
    at: Duration,
) -> Result<(Duration, Duration), String> {
    stage.inject_unverified(IPV4)?;
    stage.sleep_until(at)?;
    let plugged = stage.repair(Fault::CablePulled)?;
    stage.sleep(Duration::from_secs(1))?;
    stage.world.verify(IPV4, None)?;
    stage.sleep_until(plugged + lasts(run))?;
    let whole = stage.repair(IPV4)?;
    until_ended(stage)?;
    Ok((plugged, whole))
}

fn dead_at_link_up(run: &Run, name: &str, settings: &Settings) -> Result<Finding, String> {
    const OUT: Duration = Duration::from_secs(3);
    let mut stage = Stage::build(run, name)?;
    stage.start(settings)?;
    stage.wait_until_up()?;
    let pulled = stage.inject_unverified(Fault::CablePulled)?;
    let (plugged, whole) = plug_in_without_ipv4(&mut stage, run, pulled + OUT)?;
    let truth = Truth {
        expected: provider_ipv4(),
        broken: pulled,
        // A failure after a link-up may still be part of coming up.
        findable: plugged + settings.grace,
        whole,
        start_limit: OUT + settings.probe,
    };
    let (mut finding, _) = compare(&stage.finish()?, &truth)?;
    finding.judge();
    Ok(finding)
}

/// Starts the agent while a family is dead that worked in an earlier run (`seen`), or did not.
fn start(run: &Run, name: &str, dead: Scope, seen: bool) -> Result<Finding, String> {
    let settings = short_grace(run);
    let fault = Fault::IspSilentFor(dead.as_str());
    let mut stage = Stage::build(run, name)?;
    if seen {
        stage.start(&settings)?;
        stage.wait_until_up()?;
        stage.finish()?;
    }
    stage.inject(fault)?;
    let started = clock::boot_time();
    stage.start(&settings)?;
    stage.sleep_until(started + lasts(run))?;
    let whole = stage.repair(fault)?;
    until_ended(&mut stage)?;
    let truth = Truth {
        expected: Expected { scope: dead, ..provider_ipv4() },
        broken: started,
        findable: started + settings.grace,
        whole,
        start_limit: Duration::from_secs(2),
    };
    let (mut finding, _) = compare(&stage.finish()?, &truth)?;
    finding.judge();
    Ok(finding)
}

fn carrier(run: &Run, name: &str) -> Result<Finding, String> {
    ipv4_dead_after_carrier_loss(run, name, &short_grace(run))
}

fn carrier_locally(run: &Run, name: &str) -> Result<Finding, String> {
    ipv4_dead_after_carrier_loss(run, name, &short_grace(run).locally())
}

fn ipv4_dead_after_carrier_loss(
    run: &Run,
    name: &str,
    settings: &Settings,
) -> Result<Finding, String> {
    const OUT: Duration = Duration::from_secs(10);
    let mut stage = Stage::build(run, name)?;
    stage.start(settings)?;
    stage.wait_until_up()?;
    let pulled = stage.inject(Fault::CablePulled)?;
    let (plugged, whole) = plug_in_without_ipv4(&mut stage, run, pulled + OUT)?;
    // The headline is the longest cause while the whole internet was down.
    let expected = Expected::new(Cause::Link, Some(Party::Yours), Scope::Internet);
    let truth = Truth { expected, ..Truth::of_provider(pulled, whole) };
    let (mut finding, incident) = compare(&stage.finish()?, &truth)?;
    let segments: Vec<_> = incident
        .segments
        .iter()
        .map(|segment| (segment.cause, scope_of(segment, &incident)))
        .collect();
    let (first, last) = (segments.first(), segments.last());
    finding.require(
        first == Some(&(Cause::Link, Scope::Internet)) && last == Some(&(Cause::Isp, Scope::Ipv4)),
        || format!("the segments should go from link (internet) to isp (ipv4), got {segments:?}"),
    );
    // The internet was back with the carrier and IPv6.
    let down = plugged.saturating_sub(pulled);
    finding.require(incident.downtime().abs_diff(down) <= Duration::from_secs(4), || {
        format!("{:?} of downtime, but the internet was down for {down:?}", incident.downtime())
    });
    finding.judge();
    Ok(finding)
}
