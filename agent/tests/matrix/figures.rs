//! Resource usage of the agent in the steady state, with its defaults. Figures are printed and not
//! checked, because they depend on the machine and on the build.

use std::{fs, io, os::unix::fs::chown, path::Path, time::Duration};

use serde_json::Value;

use crate::play::{
    agent::USER,
    record::JournalBuilder,
    settings::Settings,
    stage::{Run, Stage},
};

/// Length of the measurement.
const TIME: Duration = Duration::from_mins(10);
/// Processor time is counted in ticks of this length (`USER_HZ` is 100 on every Linux).
const TICK: Duration = Duration::from_millis(10);

/// Counters read at one moment.
struct Count {
    /// Processor time in ticks.
    ticks: u64,
    /// Bytes written to the disk, in whole pages.
    written: u64,
    /// Size of the journal in bytes.
    journal_size: u64,
    /// Packets on the device's interface, both directions.
    packets: u64,
    /// Their bytes, including Ethernet headers.
    bytes: u64,
}

/// Measures and prints the tables.
pub(crate) fn print(run: &Run) -> Result<(), String> {
    print_memory(run)?;
    let defaults = Settings { log: "info", ..Settings::default() };
    print_costs(run, "with the defaults", &defaults)?;
    // For users on a metered connection.
    let sparing = Settings { probe: Duration::from_mins(1), ..defaults };
    print_costs(run, "with a probe each minute", &sparing)
}

/// Prints resident memory for journals of several sizes: it does not depend on the size.
fn print_memory(run: &Run) -> Result<(), String> {
    println!("Resident memory a minute after the start:");
    for years in [0, 6] {
        let mut stage = Stage::build(run, &format!("figures-{years}"))?;
        let megabytes = write_journal(&stage.desk.state(), years).map_err(|e| e.to_string())?;
        stage.start(&Settings { log: "info", ..Settings::default() })?;
        stage.wait_until_up()?;
        stage.sleep(Duration::from_mins(1))?;
        let resident = resident(&stage)?;
        stage.finish()?;
        println!("  with {megabytes:>4.1} MB of journal{resident:>10.2} MB");
    }
    Ok(())
}

/// Writes a journal of so many years with 2,000 incidents each, and returns its size in MB.
fn write_journal(folder: &Path, years: u32) -> io::Result<f64> {
    if years > 0 {
        // It names this agent's device: the agent would not continue a journal of another device.
        let mut journal = JournalBuilder::start(1, "matrix", "2020-11-01T00:00:00Z");
        journal.fill_hours("2020-11-01T00:00:00Z", years * 365, years * 2_000);
        journal.write(folder);
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
    println!("In the steady state, {how}, over {} min:", TIME.as_secs() / 60);
    for (what, figure, unit) in [
        ("resident memory", resident, "MB (wanted: at most 8)"),
        ("processor time", load * 100.0, "% of one core (wanted: at most 0.1)"),
        ("packets", hourly(|count| count.packets), "an hour"),
        ("bytes on the network", hourly(|count| count.bytes) / 1_000.0, "kB an hour"),
        ("bytes to the disk", hourly(|count| count.written) / 1_000.0, "kB an hour"),
        ("growth of the journal", hourly(|count| count.journal_size), "bytes an hour"),
    ] {
        println!("  {what:<22}{figure:>10.2} {unit}");
    }
    Ok(())
}

fn count(stage: &Stage<'_>) -> Result<Count, String> {
    let process = format!("/proc/{}", stage.agent().id());
    let stat = read(&format!("{process}/stat"))?;
    // The command in parentheses may contain spaces; the fields after it are numbered from 3, and those
    // of processor time are 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let device = &stage.world.house.device;
    let link = device.output("ip", &["-json", "-statistics", "link", "show", "eth0"]);
    let link = link.map_err(|error| format!("the counters of the interface: {error}"))?;
    let link: Value = serde_json::from_str(&link).map_err(|error| error.to_string())?;
    let both = |name: &str| {
        ["rx", "tx"].iter().filter_map(|way| link[0]["stats64"][way][name].as_u64()).sum()
    };
    Ok(Count {
        ticks,
        written: number_in(&format!("{process}/io"), "write_bytes:")?,
        journal_size: fs::metadata(stage.agent().state().join("journal.ndjson"))
            .map_or(0, |metadata| metadata.len()),
        packets: both("packets"),
        bytes: both("bytes"),
    })
}

/// The number after `name` in a file of `/proc`.
fn number_in(path: &str, name: &str) -> Result<u64, String> {
    let text = read(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{path} has no {name}"))
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}
