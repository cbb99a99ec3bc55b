//! What the agent costs while all is well, with its defaults.

use std::{fs, time::Duration};

use crate::{
    agent::Settings,
    stage::{Run, Stage},
};

/// How long is measured.
const TIME: Duration = Duration::from_mins(10);

/// What is read at the start and at the end.
struct Reading {
    /// Processor time in ticks of 10 ms.
    ticks: u64,
    /// Bytes that went to the disk.
    written: u64,
    /// System calls that wrote.
    writes: u64,
    /// Bytes of the record.
    record: u64,
    /// Packets and bytes on the device's line, both ways.
    packets: u64,
    bytes: u64,
}

/// Measures and prints a table.
pub(crate) fn print(run: &Run) -> Result<(), String> {
    let mut stage = Stage::build(run, "figures")?;
    stage.start(&Settings::default())?;
    stage.wait_until_up()?;
    let before = read(&stage)?;
    let time = if run.full { TIME } else { TIME / 5 };
    stage.sleep(time)?;
    let after = read(&stage)?;
    let resident = field(&format!("/proc/{}/status", stage.agent().id()), "VmRSS:")?;
    let hours = time.as_secs_f64() / 3_600.0;
    let hourly = |one: u64, other: u64| (other - one) as f64 / hours;
    let ticks = after.ticks - before.ticks;
    let load = ticks as f64 / 100.0 / time.as_secs_f64() * 100.0;
    println!("While all is well, at defaults, over {} s:", time.as_secs());
    println!(
        "  resident memory        {:>10.2} MB     (wanted: at most 8)",
        resident as f64 / 1_024.0
    );
    println!("  processor time         {load:>10.3} %      (wanted: at most 0.1 of one core)");
    println!("  packets an hour        {:>10.0}", hourly(before.packets, after.packets));
    println!("  bytes an hour          {:>10.0} kB", hourly(before.bytes, after.bytes) / 1_000.0);
    println!(
        "  written to disk        {:>10.0} kB/h",
        hourly(before.written, after.written) / 1_000.0
    );
    println!("  writing system calls   {:>10.0} /h", hourly(before.writes, after.writes));
    println!("  growth of the record   {:>10.0} B/h", hourly(before.record, after.record));
    stage.finish()?;
    Ok(())
}

fn read(stage: &Stage<'_>) -> Result<Reading, String> {
    let process = format!("/proc/{}", stage.agent().id());
    let path = format!("{process}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The command in parentheses may contain spaces; the fields behind it are counted from 3.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    let line = "statistics";
    let count = |name: &str| -> Result<u64, String> {
        // The router's end of the line; `/sys` shows another namespace, so the counters are asked of `ip`.
        let show = stage
            .world
            .house
            .device
            .output("ip", &["-json", "-statistics", "link", "show", "eth0"]);
        let show = show.map_err(|error| format!("the counters of {line}: {error}"))?;
        let json: serde_json::Value =
            serde_json::from_str(&show).map_err(|error| error.to_string())?;
        let both = ["rx", "tx"].iter().filter_map(|way| json[0]["stats64"][way][name].as_u64());
        Ok(both.sum())
    };
    let record = fs::metadata(stage.agent().state().join("journal.ndjson"));
    Ok(Reading {
        ticks: ticks.iter().sum(),
        written: field(&format!("{process}/io"), "write_bytes:")?,
        writes: field(&format!("{process}/io"), "syscw:")?,
        record: record.map_or(0, |metadata| metadata.len()),
        packets: count("packets")?,
        bytes: count("bytes")?,
    })
}

/// The number behind a word in a file of `/proc`.
fn field(path: &str, name: &str) -> Result<u64, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{path} has no {name}"))
}
