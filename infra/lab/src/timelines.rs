//! Random histories of heartbeats and outages, with the results of the queries.
//!
//! They are the input of a comparison: `infra/queries/compare.py` runs each query's text on the
//! same rows and expects the same result. So they contain everything on which two implementations
//! could differ, and times around which a result changes.

mod arrival;
mod heartbeats;
mod outages;

use std::io::{self, Write};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::query::{
    DeviceSilent, DeviceSilentReminder, LONGEST_RANGE, Query, Row, device_silent_minute,
};
use arrival::{Arrival, MINUTE, arrival, choice};
use outages::Outages;

/// Device names in the timelines. No name may change the meaning of a query.
const DEVICES: [&str; 22] = [
    "dl-home",
    "Office",
    "raspberry pi 4",
    " padded ",
    "it's",
    r"back\slash\'",
    "DEVICES",
    "x', 'y",
    "Büro-ÄÖÜ",
    "ΣΟΦΟΣ",
    "5",
    "🏠",
    "007",
    "1e5",
    "1.50",
    "-0",
    "true",
    "null",
    "2026-11-28",
    "01936F3E-0000-7000-8000-000000000001",
    "traces | take 1 //",
    "d:office",
];

/// Lines that are not heartbeats of an expected device, though some look similar.
const FOREIGN_LINES: [&str; 20] = [
    "",
    "listening on 127.0.0.1:7071",
    "heartbeat",
    "\"heartbeat\"",
    "null",
    "5",
    "[{\"event\":\"heartbeat\",\"device\":\"dl-home\",\"quiet_s\":0}]",
    "{\"event\":\"heartbeat\",\"device\":\"dl-home\",\"quiet_s\":0",
    "{\"event\":\"heartbeat\",\"quiet_s\":0}",
    "{\"event\":\"heartbeat\",\"device\":null,\"quiet_s\":0}",
    "{\"event\":\"heartbeat\",\"device\":{\"name\":\"dl-home\"},\"quiet_s\":0}",
    "{\"event\":\"heartbeats\",\"device\":\"dl-home\",\"quiet_s\":0}",
    "{\"event\":\"Heartbeat\",\"device\":\"dl-home\",\"quiet_s\":0}",
    "{\"event\":\"outage\",\"device\":\"dl-home\",\"id\":\"0198\",\"note\":\"heartbeat\"}",
    "{\"device\":\"dl-home\",\"quiet_s\":0}",
    "{\"event\":\"heartbeat\",\"device\":\"stranger\",\"quiet_s\":86400}",
    "{\"event\":\"heartbeat\",\"device\":\"dl-home\",\"key\":\"d:stranger\",\"quiet_s\":86400}",
    "{\"event\":\"heartbeat\",\"device\":\"dl-home\"} {\"event\":\"heartbeat\",\"device\":\"dl-home\"}",
    "{\"event\":\"failure\",\"message\":\"{\\\"event\\\":\\\"heartbeat\\\",\\\"device\\\":\\\"dl-home\\\"}\"}",
    "{\"event\":\"failure\",\"message\":\"heartbeat, outage\"}",
];

/// The component whose rows the one-minute form of a query reads.
const COMPONENT: &str =
    "/subscriptions/s/resourcegroups/g/providers/microsoft.insights/components/c";

/// One query on one timeline at one time, and its result.
#[derive(Debug, Serialize)]
struct Comparison {
    /// The seed of the timeline.
    seed: u64,
    rule: &'static str,
    query: String,
    now: Timestamp,
    rows: Vec<(Timestamp, String)>,
    expected: Vec<Map<String, Value>>,
}

/// Writes comparisons for `count` timelines as JSON, one per line: one result per query and
/// timeline. The seed of the first timeline is `seed`, each further one's is one higher.
///
/// Each line holds `seed`, `rule`, `query` (its text), `now`, `rows` (time and message of each) and
/// `expected` (the rows of the result, in any order).
pub fn write(seed: u64, count: usize, mut out: impl Write) -> io::Result<()> {
    for seed in (seed..).take(count) {
        for comparison in timeline(seed) {
            serde_json::to_writer(&mut out, &comparison)?;
            writeln!(out)?;
        }
    }
    out.flush()
}

fn timeline(seed: u64) -> [Comparison; 4] {
    let random = &mut Rng::with_seed(seed);
    let base = start(random);
    let devices = some_devices(random);
    let silent = DeviceSilent { devices: devices.clone() };
    let settings = reminder(random, devices);
    let mut arrivals = Vec::new();
    let mut changes = vec![base];
    for device in &settings.devices {
        let end = last_heartbeat(random, base, settings.daily_hour);
        heartbeats::generate(random, device, end, &mut arrivals, &mut changes);
    }
    foreign_lines(random, base, &mut arrivals);
    let mut reported = arrivals.clone();
    let outages = Outages::generate(random, base, &settings.devices, &mut reported);
    random.shuffle(&mut arrivals);
    random.shuffle(&mut reported);

    let minute = device_silent_minute::text(&silent, COMPONENT);
    let (silent, report) =
        (Query::DeviceSilent(silent), Query::OutageReport(outages.query().clone()));
    let mut look = || evaluation_time(random, base, &settings, &changes);
    let [at_silent, at_minute, at_reminder] = [look(), look(), look()];
    let reminder = Query::DeviceSilentReminder(settings.clone());
    let at_report = outages.evaluation_time(random);
    [
        compare(seed, "device-silent", &silent, at_silent, &arrivals),
        Comparison {
            query: minute,
            ..compare(seed, "device-silent-minute", &silent, at_minute, &arrivals)
        },
        compare(seed, "device-silent-reminder", &reminder, at_reminder, &arrivals),
        compare(seed, "outage-report", &report, at_report, &reported),
    ]
}

fn compare(
    seed: u64,
    rule: &'static str,
    query: &Query,
    now: Timestamp,
    arrivals: &[Arrival],
) -> Comparison {
    let visible = arrivals.iter().filter(|arrival| arrival.visible <= now);
    let rows: Vec<_> = visible.map(|arrival| arrival.trace.clone()).collect();
    let expected = query.evaluate(now, &rows).into_iter();
    Comparison {
        seed,
        rule,
        query: query.text(),
        now,
        expected: expected.map(|row| columns(query, row)).collect(),
        rows: rows.into_iter().map(|row| (row.timestamp, row.message)).collect(),
    }
}

/// Converts a row to the other engine's form: the value of each column by its name.
pub(crate) fn columns(query: &Query, row: Row) -> Map<String, Value> {
    let dimensions = row.dimensions.into_iter().map(|(name, value)| (name, Value::from(value)));
    dimensions.chain([(query.measured_column().to_owned(), Value::from(row.value))]).collect()
}

/// Returns a random whole minute of a year.
fn start(random: &mut Rng) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(29_500_000 + random.i64(0..525_600))
}

fn some_devices(random: &mut Rng) -> Vec<String> {
    let mut devices = DEVICES.map(str::to_owned).to_vec();
    random.shuffle(&mut devices);
    if random.u8(0..10) > 0 {
        devices.truncate(random.usize(1..=4));
    }
    devices
}

fn reminder(random: &mut Rng, devices: Vec<String>) -> DeviceSilentReminder {
    let marks = match random.u8(0..3) {
        0 => (2..=12).map(|step| step * 5).chain((2..=24).map(|hour| hour * 60)).collect(),
        1 => vec![60],
        _ => (0..random.usize(1..6)).map(|_| random.u64(6..=1_440)).collect(),
    };
    DeviceSilentReminder {
        devices,
        silence_minutes: choice(random, &[5.0, 5.5, 6.5, 10.0, 30.0]),
        frequency_minutes: choice(random, &[5, 10, 15]),
        marks,
        // At midnight, one evaluation period of the reminder spans two days.
        daily_hour: if random.u8(0..4) == 0 { 0 } else { random.u32(0..24) },
    }
}

/// Returns the time of a device's last heartbeat: up to three days ago, or around the daily hour of
/// a day.
fn last_heartbeat(random: &mut Rng, base: Timestamp, daily_hour: u32) -> Timestamp {
    if random.u8(0..4) > 0 {
        return base - silence_before(random);
    }
    let off = match random.u8(0..6) {
        0..3 => SignedDuration::ZERO,
        3 => SignedDuration::from_micros(random.i64(-1..=1)),
        4 => SignedDuration::from_secs(random.i64(-7_200..=7_200)),
        _ => SignedDuration::from_secs(random.i64(-1_200..=1_200)),
    };
    daily(base, random.i64(-2..=0), daily_hour) + off
}

/// Returns a duration of up to three days, often a whole number of minutes.
fn silence_before(random: &mut Rng) -> SignedDuration {
    let longest = choice(random, &[10, 70, 1_500, 2_880, 4_320]);
    let whole = MINUTE * random.i32(0..=longest);
    match random.u8(0..3) {
        0 => whole,
        1 => whole + SignedDuration::from_micros(random.i64(0..60_000_000)),
        _ => whole - SignedDuration::from_secs(random.i64(0..30)),
    }
}

fn foreign_lines(random: &mut Rng, base: Timestamp, arrivals: &mut Vec<Arrival>) {
    for _ in 0..random.usize(0..12) {
        let line = choice(random, &FOREIGN_LINES).to_owned();
        let at = base - SignedDuration::from_secs(random.i64(0..7_200));
        arrivals.push(arrival(random, at, line));
    }
}

/// Returns a time at which a result is likely to change, or one close to it, or a random one.
fn evaluation_time(
    random: &mut Rng,
    base: Timestamp,
    reminder: &DeviceSilentReminder,
    changes: &[Timestamp],
) -> Timestamp {
    let frequency = SignedDuration::from_mins(reminder.frequency_minutes.into());
    let change = choice(random, changes);
    let mark = SignedDuration::from_mins(choice(random, &reminder.marks).cast_signed());
    let exact = match random.u8(0..11) {
        0 => base,
        1 => base + SignedDuration::from_secs(random.i64(0..86_400)),
        2 => change + SignedDuration::from_secs_f64(reminder.silence_minutes * 60.0),
        3 => change + LONGEST_RANGE,
        4 | 5 => {
            let latest = choice(random, &[0, 1_200]);
            let late = SignedDuration::from_secs(random.i64(-60..=latest));
            daily(base, random.i64(-1..=1), reminder.daily_hour) + late
        }
        6 => change + mark,
        7 => change + SignedDuration::from_hours(24),
        _ => change + mark + SignedDuration::from_secs(random.i64(0..=2 * frequency.as_secs())),
    };
    match random.u8(0..4) {
        0 => exact,
        1 => exact + SignedDuration::from_micros(random.i64(-2..=2)),
        2 => exact + SignedDuration::from_secs(random.i64(-61..=61)),
        _ => step_border(exact, frequency) + SignedDuration::from_micros(random.i64(-1..=1)),
    }
}

/// Returns the daily hour, `days` days after the date of `base`.
fn daily(base: Timestamp, days: i64, hour: u32) -> Timestamp {
    let days = base.as_second().div_euclid(86_400) + days;
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(days * 24 + i64::from(hour))
}

/// Returns the next start of an evaluation period of the reminder.
fn step_border(at: Timestamp, frequency: SignedDuration) -> Timestamp {
    let step = frequency.as_secs();
    let next = (at.as_second() + 60).div_euclid(step) * step + step;
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(next - 60)
}
