//! Situations in which nothing may be recorded.

use std::{fs, time::Duration};

use ispmon_agent::{clock, journal::Record};
use ispmon_wire::AgentState;

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding},
    rows::{Play, Row},
    settings::Settings,
    stage::{Run, Stage, gaps, recorded_incidents},
};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "anchors-blocked",
            title: "The anchors are blocked from the start, and heartbeats pass.",
            scaled: "",
            seconds: [100, 100],
            play: Play::Own(anchors_blocked),
        },
        Row {
            name: "ipv6-never",
            title: "The router advertises IPv6, which has never worked.",
            scaled: "",
            seconds: [100, 100],
            play: Play::Own(ipv6_never),
        },
        Row {
            name: "blip",
            title: "The connection is down for 2 s.",
            scaled: "",
            seconds: [50, 50],
            play: Play::Own(blip),
        },
        Row {
            name: "flapping",
            title: "The connection is down for 3 s and up for 3 s, ten times.",
            scaled: "",
            seconds: [85, 85],
            play: Play::Own(flapping),
        },
        Row {
            name: "start-late",
            title: "The agent starts 20 s before the network does.",
            scaled: "",
            seconds: [60, 60],
            play: Play::Own(start_late),
        },
        Row {
            name: "roam",
            title: "The device roams to another network within 2 s.",
            scaled: "",
            seconds: [60, 60],
            play: Play::Own(roam),
        },
        Row {
            name: "resolver-hangs",
            title: "The first of two name servers hangs for 5 min.",
            scaled: "90 s instead of 5 min",
            seconds: [115, 330],
            play: Play::Own(resolver_hangs),
        },
        Row {
            name: "disk-full",
            title: "The journal's disk is full for 5 min.",
            scaled: "60 s instead of 5 min, heartbeat every 5 s",
            seconds: [85, 330],
            play: Play::Own(disk_full),
        },
        Row {
            name: "quiet",
            title: "Nothing happens for 10 min.",
            scaled: "2 min instead of 10",
            seconds: [130, 610],
            play: Play::Own(quiet),
        },
    ]
}

/// Settings of rows that wait for heartbeats.
fn frequent_heartbeats(run: &Run) -> Settings {
    if run.full {
        return Settings::default();
    }
    Settings { heartbeat: Duration::from_secs(5), ..Settings::default() }
}

fn anchors_blocked(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.apply_habit(Fault::AnchorsBlocked)?;
    stage.start(&Settings::default())?;
    stage.wait_until_up()?;
    // Longer than the grace period after a start.
    stage.sleep(Duration::from_secs(80))?;
    let log = stage.agent().log();
    let warned = log.iter().filter(|line| line.text.contains(" WARN ")).count();
    let mut finding = nothing(&stage.finish()?);
    finding.require(warned == 1, || format!("expected one warning, got {warned}"));
    Ok(finding)
}

fn ipv6_never(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.apply_habit(Fault::IspSilentFor("ipv6"))?;
    stage.start(&Settings::default())?;
    stage.wait_until_up()?;
    stage.sleep(Duration::from_secs(80))?;
    Ok(nothing(&stage.finish()?))
}

fn blip(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.start(&Settings { probe: Duration::from_secs(1), ..Settings::default() })?;
    stage.wait_until_up()?;
    interrupt(&mut stage, Duration::from_secs(2))?;
    stage.sleep(Duration::from_secs(15))?;
    let blips = stage.agent().blips()?;
    let mut finding = nothing(&stage.finish()?);
    finding.require(blips == 1, || format!("expected one blip, got {blips}"));
    Ok(finding)
}

fn flapping(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.start(&Settings { probe: Duration::from_secs(1), ..Settings::default() })?;
    stage.wait_until_up()?;
    for _ in 0..10 {
        interrupt(&mut stage, Duration::from_secs(3))?;
        stage.sleep(Duration::from_secs(3))?;
    }
    stage.sleep(Duration::from_secs(10))?;
    let blips = stage.agent().blips()?;
    let mut finding = nothing(&stage.finish()?);
    // Each interruption is one blip, whichever families it affects. One that falls between two probes,
    // and two that touch, may be missed.
    finding.require((5..=10).contains(&blips), || format!("expected 5 to 10 blips, got {blips}"));
    finding.notes.push(format!("{blips} blips"));
    Ok(finding)
}

fn start_late(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.inject(Fault::CablePulled)?;
    stage.start(&Settings::default())?;
    stage.sleep(Duration::from_secs(20))?;
    stage.repair(Fault::CablePulled)?;
    stage.wait_until_up()?;
    stage.sleep(Duration::from_secs(15))?;
    Ok(nothing(&stage.finish()?))
}

fn roam(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    stage.start(&frequent_heartbeats(run))?;
    stage.wait_until_up()?;
    stage.inject_unverified(Fault::CablePulled)?;
    stage.sleep(Duration::from_secs(1))?;
    let house = &stage.world.house;
    let moved = house.router.ip("link set lan0 master guest\nlink set lan0 up\n").and_then(|()| {
        house.device.ip("addr flush dev eth0 scope global\nroute del ::/0 dev eth0\n")
    });
    moved.map_err(|error| format!("the move: {error}"))?;
    stage.sleep(Duration::from_millis(700))?;
    let addresses = crate::play::house::House::device_addresses(1);
    let joined = stage.world.house.device.ip(&addresses);
    joined.map_err(|error| format!("the new network: {error}"))?;
    stage.sleep(Duration::from_secs(30))?;
    Ok(nothing(&stage.finish()?))
}

fn resolver_hangs(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    let settings = frequent_heartbeats(run);
    stage.start(&settings)?;
    stage.wait_until_up()?;
    stage.inject(Fault::FirstNameServerSilent)?;
    stage.sleep(Duration::from_secs(if run.full { 300 } else { 90 }))?;
    stage.repair(Fault::FirstNameServerSilent)?;
    stage.sleep(Duration::from_secs(10))?;
    let mut finding = check_heartbeats(&stage, &settings);
    let findings = nothing(&stage.finish()?);
    finding.failures.extend(findings.failures);
    Ok(finding)
}

fn disk_full(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    let settings = Settings { disk: Some("256k"), ..frequent_heartbeats(run) };
    stage.start(&settings)?;
    stage.wait_until_up()?;
    let filler = stage.agent().state().join("filler");
    // It fails once the disk is full, as intended.
    let _ = fs::write(&filler, vec![0; 1024 * 1024]);
    stage.sleep(Duration::from_secs(if run.full { 300 } else { 60 }))?;
    let full = fs::write(stage.agent().state().join("more"), [0; 8192]).is_err();
    fs::remove_file(&filler).map_err(|error| format!("the filler: {error}"))?;
    let _ = fs::remove_file(stage.agent().state().join("more"));
    stage.sleep(Duration::from_secs(10))?;
    let mut finding = check_heartbeats(&stage, &settings);
    let findings = nothing(&stage.finish()?);
    finding.failures.extend(findings.failures);
    finding.require(full, || "the disk was not full".to_owned());
    Ok(finding)
}

fn quiet(run: &Run, name: &str) -> Result<Finding, String> {
    let mut stage = Stage::build(run, name)?;
    let settings = Settings::default();
    stage.start(&settings)?;
    stage.wait_until_up()?;
    stage.sleep(Duration::from_secs(if run.full { 600 } else { 120 }))?;
    let mut finding = check_heartbeats(&stage, &settings);
    let findings = nothing(&stage.finish()?);
    finding.failures.extend(findings.failures);
    Ok(finding)
}

/// Lets the provider drop everything for exactly that long.
fn interrupt(stage: &mut Stage<'_>, time: Duration) -> Result<(), String> {
    let broken = stage.inject_unverified(Fault::IspSilent)?;
    stage.sleep_until(broken + time)?;
    stage.repair(Fault::IspSilent)?;
    Ok(())
}

/// Requires that the journal has no incidents and no gaps.
pub(super) fn nothing(records: &[Record]) -> Finding {
    let mut finding = Finding::default();
    for story in recorded_incidents(records) {
        let incident = &story.newest;
        finding.got = Some(Expected::of(incident));
        let milliseconds = incident.downtime_ms;
        finding.notes.push(format!("{} with {milliseconds} ms of downtime", incident.cause));
    }
    for gap in gaps(records) {
        finding.failures.push(format!("a gap was recorded: {}", gap.cause));
    }
    finding.judge();
    finding
}

/// Requires that every heartbeat that was sent arrived, at the configured interval.
fn check_heartbeats(stage: &Stage<'_>, settings: &Settings) -> Finding {
    /// A heartbeat takes a moment, and may need a second attempt with another name server.
    const ALLOWANCE: Duration = Duration::from_secs(12);
    let mut finding = Finding::default();
    let beats = stage.world.servers.endpoint.heartbeats();
    let beats: Vec<_> = beats.iter().filter(|beat| beat.state == AgentState::Running).collect();
    let arrived = |number: &u64| beats.iter().any(|beat| beat.sequence == *number);
    // Sequence numbers start from the time since boot.
    let newest = beats.last().map_or(0, |beat| beat.sequence);
    let oldest = beats.first().map_or(newest, |beat| beat.sequence);
    let missing: Vec<u64> = (oldest..=newest).filter(|number| !arrived(number)).collect();
    finding.require(missing.is_empty(), || format!("heartbeats were lost: {missing:?}"));
    let pauses = beats.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at));
    let since_newest = beats.last().map(|beat| clock::boot_time().saturating_sub(beat.at));
    let longest = pauses.chain(since_newest).max().unwrap_or(Duration::MAX);
    finding.require(longest <= settings.heartbeat.mul_f64(1.1) + ALLOWANCE, || {
        format!("for {} s no heartbeat arrived", longest.as_secs())
    });
    finding.notes.push(format!("{} heartbeats", beats.len()));
    finding
}
