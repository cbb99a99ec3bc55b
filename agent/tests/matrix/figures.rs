//! What the agent costs while all is well, with its defaults. Figures are printed and not judged, because
//! they depend on the machine and on how the agent was built.

use std::{fs, io, os::unix::fs::chown, path::Path, time::Duration};

use serde_json::Value;

use crate::play::{
    agent::USER,
    record::Maker,
    settings::Settings,
    stage::{Run, Stage},
};

/// How long is measured.
const TIME: Duration = Duration::from_mins(10);
/// Processor time is counted in ticks of this length (`USER_HZ` is 100 on every Linux).
const TICK: Duration = Duration::from_millis(10);

/// What has been counted so far.
struct Count {
    /// Ticks of processor time.
    ticks: u64,
    /// Bytes that went to the disk, in whole pages.
    written: u64,
    /// Bytes of the record.
    record: u64,
    /// Packets on the device's line, both ways.
    packets: u64,
    /// Their bytes, with the head of each Ethernet frame.
    bytes: u64,
}

/// Measures and prints tables.
pub(crate) fn print(run: &Run) -> Result<(), String> {
    print_memory(run)?;
    let defaults = Settings { log: "info", ..Settings::default() };
    print_costs(run, "with the defaults", &defaults)?;
    // For whoever pays for what is sent.
    let sparing = Settings { probe: Duration::from_mins(1), ..defaults };
    print_costs(run, "with a probe each minute", &sparing)
}

/// Prints that memory does not depend on the record.
fn print_memory(run: &Run) -> Result<(), String> {
    println!("Resident memory a minute after the start:");
    for years in [0, 6] {
        let mut stage = Stage::build(run, &format!("figures-{years}"))?;
        let megabytes = provide_record(&stage.desk.state(), years).map_err(|e| e.to_string())?;
        stage.start(&Settings { log: "info", ..Settings::default() })?;
        stage.wait_until_up()?;
        stage.sleep(Duration::from_mins(1))?;
        let resident = resident(&stage)?;
        stage.finish()?;
        println!("  with {megabytes:>4.1} MB of record{resident:>10.2} MB");
    }
    Ok(())
}

/// Makes the record of so many years with 2,000 incidents each, and returns its size in MB.
fn provide_record(folder: &Path, years: u32) -> io::Result<f64> {
    if years > 0 {
        // The name is that of the agent here: another device's record would not be gone on with.
        let mut record = Maker::begin(1, "matrix", "2020-11-01T00:00:00Z");
        record.fill("2020-11-01T00:00:00Z", years * 365, years * 2_000);
        record.write(folder);
    }
    let mut bytes = 0;
    for file in fs::read_dir(folder)? {
        let file = file?;
        chown(file.path(), Some(USER), Some(USER))?;
        bytes += file.metadata()?.len();
    }
    Ok(bytes as f64 / 1_000_000.0)
}

fn resident(stage: &Stage<'_>) -> Result<f64, String> {
    let kibibytes = number_in(&format!("/proc/{}/status", stage.agent().id()), "VmRSS:")?;
    Ok(kibibytes as f64 * 1_024.0 / 1_000_000.0)
}

fn print_costs(run: &Run, how: &str, settings: &Settings) -> Result<(), String> {
    let mut stage = Stage::build(run, &how.replace(' ', "-"))?;
    stage.start(settings)?;
    stage.wait_until_up()?;
    let before = count(&stage)?;
    stage.sleep(TIME)?;
    let after = count(&stage)?;
    let resident = resident(&stage)?;
    stage.finish()?;
    let counted = |of: fn(&Count) -> u64| (of(&after) - of(&before)) as f64;
    let hourly = |of: fn(&Count) -> u64| counted(of) * 3_600.0 / TIME.as_secs_f64();
    let load = counted(|count| count.ticks) * TICK.as_secs_f64() / TIME.as_secs_f64();
    println!("While all is well, {how}, over {} min:", TIME.as_secs() / 60);
    for (what, figure, unit) in [
        ("resident memory", resident, "MB (wanted: at most 8)"),
        ("processor time", load * 100.0, "% of one core (wanted: at most 0.1)"),
        ("packets", hourly(|count| count.packets), "an hour"),
        ("bytes on the line", hourly(|count| count.bytes) / 1_000.0, "kB an hour"),
        ("bytes to the disk", hourly(|count| count.written) / 1_000.0, "kB an hour"),
        ("growth of the record", hourly(|count| count.record), "bytes an hour"),
    ] {
        println!("  {what:<22}{figure:>10.2} {unit}");
    }
    Ok(())
}

fn count(stage: &Stage<'_>) -> Result<Count, String> {
    let process = format!("/proc/{}", stage.agent().id());
    let stat = read(&format!("{process}/stat"))?;
    // The command in parentheses may contain spaces; the fields behind it are counted from 3, and those of
    // processor time are 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let device = &stage.world.house.device;
    let link = device.output("ip", &["-json", "-statistics", "link", "show", "eth0"]);
    let link = link.map_err(|error| format!("the counters of the line: {error}"))?;
    let link: Value = serde_json::from_str(&link).map_err(|error| error.to_string())?;
    let both = |name: &str| {
        ["rx", "tx"].iter().filter_map(|way| link[0]["stats64"][way][name].as_u64()).sum()
    };
    Ok(Count {
        ticks,
        written: number_in(&format!("{process}/io"), "write_bytes:")?,
        record: fs::metadata(stage.agent().state().join("journal.ndjson"))
            .map_or(0, |metadata| metadata.len()),
        packets: both("packets"),
        bytes: both("bytes"),
    })
}

/// The number behind a word in a file of `/proc`.
fn number_in(path: &str, name: &str) -> Result<u64, String> {
    let text = read(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{path} has no {name}"))
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}
