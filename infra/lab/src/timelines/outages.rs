//! Made-up outages, as devices hand them over: some twice, some late, some that are none.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Arrival, MINUTE, arrival, choice, spelling};
use crate::query::{OutageReport, outage_report::SHOWN_FOR, silence};

/// What can be handed over, with causes that only a newer agent knows.
const CAUSES: [&str; 15] = [
    "isp",
    "isp",
    "gateway",
    "captive_portal",
    "dns",
    "vpn",
    "link",
    "firewall",
    "unstable",
    "some_new_cause",
    "it's",
    "endpoint",
    "credentials",
    "clock",
    "degraded",
];

/// Outages of a timeline, and the times at which their reports change.
#[derive(Debug)]
pub(super) struct Outages {
    query: OutageReport,
    changes: Vec<Timestamp>,
}

impl Outages {
    /// Makes up outages of these devices, handed over up to three days before `base`.
    pub(super) fn make(
        random: &mut Rng,
        base: Timestamp,
        devices: &[String],
        arrivals: &mut Vec<Arrival>,
    ) -> Self {
        let query = OutageReport { minimum_minutes: choice(random, &[1, 5, 5, 12, 60]) };
        let mut changes = vec![base];
        for number in 0..random.usize(0..8) {
            let device = choice(random, devices);
            let longest = choice(random, &[20, 40, 200, 2_880, 4_320]);
            let mut at = base - MINUTE * random.i32(0..=longest);
            let id = format!("0198c0de-{number}");
            let line = outage(random, &query, &device, &id, at);
            arrivals.push(arrival(random, at, line.clone()));
            changes.push(at);
            while random.u8(0..3) == 0 {
                if random.u8(0..6) > 0 {
                    at += SignedDuration::from_micros(random.i64(1..=7_200_000_000));
                }
                // The same words again, or others: those of the first row count.
                let again = if at == changes[changes.len() - 1] || random.bool() {
                    line.clone()
                } else {
                    outage(random, &query, &device, &id, at)
                };
                arrivals.push(arrival(random, at, again));
                changes.push(at);
            }
        }
        Self { query, changes }
    }

    /// What is asked about them.
    pub(super) const fn query(&self) -> &OutageReport {
        &self.query
    }

    /// A time at which the result is likely to change, or shortly before or after it.
    pub(super) fn look(&self, random: &mut Rng) -> Timestamp {
        let change = choice(random, &self.changes);
        let exact = match random.u8(0..5) {
            0 => change + SHOWN_FOR,
            1 => change + silence::RANGE,
            _ => change + SignedDuration::from_secs(random.i64(0..=2_400)),
        };
        exact + SignedDuration::from_micros(random.i64(-1..=1))
    }
}

fn outage(
    random: &mut Rng,
    query: &OutageReport,
    device: &str,
    id: &str,
    handed_over: Timestamp,
) -> String {
    let ended = handed_over - SignedDuration::from_micros(random.i64(0..600_000_000));
    let seconds = downtime(random, query.minimum_minutes);
    let started = ended - SignedDuration::from_secs(seconds.unwrap_or_default());
    let mut line = json!({
        "event": "outage",
        "device": spelling(random, device),
        "id": id,
        "kind": choice(random, &["incident", "incident", "incident", "incident", "gap", "unknown"]),
        "cause": choice(random, &CAUSES),
        "started": time(random, started),
        "ended": time(random, ended),
        "downtime_s": seconds,
    });
    for (field, values) in [
        ("party", [json!("provider"), json!("yours"), json!("other"), Value::Null]),
        ("scope", [json!("ipv4"), json!("ipv6"), json!("internet"), Value::Null]),
        ("one_family_s", [json!(0), json!(59), json!(random.u32(60..200_000)), Value::Null]),
    ] {
        if random.u8(0..4) > 0 {
            line[field] = choice(random, &values);
        }
    }
    if random.u8(0..4) > 0 {
        line["segments"] = segments(random, &line);
    }
    line.to_string()
}

/// Segments of an outage, each with its scope where an agent says so.
fn segments(random: &mut Rng, line: &Value) -> Value {
    let scopes =
        [json!("internet"), json!("ipv4"), json!("ipv6"), json!("some_new_scope"), Value::Null];
    let count = random.usize(0..4);
    let one = |_| {
        json!({
            "cause": choice(random, &CAUSES), "scope": choice(random, &scopes),
            "from": line["started"], "to": line["ended"],
        })
    };
    (0..count).map(one).collect()
}

/// Seconds of downtime about the fewest that are reported, or where the words for them change.
fn downtime(random: &mut Rng, minimum_minutes: u32) -> Option<i64> {
    let fewest = 60 * i64::from(minimum_minutes);
    let about = choice(random, &[fewest, fewest, 60, 3_600, 86_400, 2 * 86_400]);
    match random.u8(0..8) {
        0 => None,
        1 => Some(0),
        2 => Some(random.i64(0..500_000)),
        3 => Some(about - 1),
        4 => Some(about + random.i64(1..7_300)),
        _ => Some(about),
    }
}

/// A time with as many decimal places as chance wants.
fn time(random: &mut Rng, at: Timestamp) -> String {
    let places = random.usize(0..=9);
    format!("{at:.places$}")
}
