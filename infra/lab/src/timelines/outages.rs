//! Random outages, as devices hand them over: some twice, some late, some malformed.

use fastrand::Rng;
use ispmon_function::line;
use ispmon_wire::{Device, ReportedIncident, comparison_key};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::arrival::{Arrival, MINUTE, arrival, choice, spelling};
use crate::query::{
    LONGEST_RANGE, OutageReportQuery, message,
    outage_report::{SHOWN_FOR, SUMMED_UP_AFTER},
};

/// Causes, including some of newer agents.
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
    query: OutageReportQuery,
    changes: Vec<Timestamp>,
}

impl Outages {
    /// Generates outages of these devices, handed over up to three days before `base`.
    pub(super) fn generate(
        random: &mut Rng,
        base: Timestamp,
        devices: &[String],
        arrivals: &mut Vec<Arrival>,
    ) -> Self {
        let minimum_minutes = choice(random, &[1, 5, 5, 12, 60]);
        let query = OutageReportQuery { devices: devices.to_vec(), minimum_minutes };
        let mut changes = vec![base];
        for number in 0..random.usize(0..8) {
            let longest = choice(random, &[20, 40, 200, 2_880, 4_320]);
            let at = base - MINUTE * random.i32(0..=longest);
            handed_over(random, &query, &format!("{number}"), at, arrivals, &mut changes);
        }
        if random.u8(0..4) == 0 {
            flood(random, base, &query, arrivals, &mut changes);
        }
        Self { query, changes }
    }

    /// The query about them.
    pub(super) const fn query(&self) -> &OutageReportQuery {
        &self.query
    }

    /// A time at which the result is likely to change, or one close to it.
    pub(super) fn evaluation_time(&self, random: &mut Rng) -> Timestamp {
        let change = choice(random, &self.changes);
        let hour = Timestamp::UNIX_EPOCH
            + SignedDuration::from_hours(change.as_second().div_euclid(3_600));
        let exact = match random.u8(0..6) {
            0 => hour + SHOWN_FOR,
            1 => hour + SUMMED_UP_AFTER,
            2 => change + LONGEST_RANGE,
            3 => change + SignedDuration::from_secs(random.i64(0..=2_400)),
            _ => change + SignedDuration::from_secs(random.i64(0..=24_000)),
        };
        exact + SignedDuration::from_micros(random.i64(-1..=1))
    }
}

/// Generates an outage that is handed over once or several times.
fn handed_over(
    random: &mut Rng,
    query: &OutageReportQuery,
    id: &str,
    mut at: Timestamp,
    arrivals: &mut Vec<Arrival>,
    changes: &mut Vec<Timestamp>,
) {
    let device = choice(random, &query.devices);
    let line = outage(random, query, &device, id, at);
    arrivals.push(arrival(random, at, line.clone()));
    changes.push(at);
    while random.u8(0..3) == 0 {
        if random.u8(0..6) > 0 {
            at += SignedDuration::from_micros(random.i64(1..=7_200_000_000));
        }
        // The same contents again, or others: those of the first row count.
        let again = if at == changes[changes.len() - 1] || random.bool() {
            line.clone()
        } else {
            outage(random, query, &device, id, at)
        };
        arrivals.push(arrival(random, at, again));
        changes.push(at);
    }
}

/// Generates many outages within minutes, as from a device that could not hand over for long.
fn flood(
    random: &mut Rng,
    base: Timestamp,
    query: &OutageReportQuery,
    arrivals: &mut Vec<Arrival>,
    changes: &mut Vec<Timestamp>,
) {
    let from = base - MINUTE * random.i32(0..=600);
    let seconds = choice(random, &[1, 60, 900, 7_200]);
    for number in 0..choice(random, &[15, 60, 120]) {
        let at = from + SignedDuration::from_secs(random.i64(0..=seconds));
        handed_over(random, query, &format!("f{number}"), at, arrivals, changes);
    }
}

/// Generates the line of an outage, usually as the function writes it.
fn outage(
    random: &mut Rng,
    query: &OutageReportQuery,
    device: &str,
    id: &str,
    handed_over: Timestamp,
) -> String {
    let before = match random.u8(0..6) {
        0 => SignedDuration::from_hours(24) - SignedDuration::from_secs(random.i64(-2..=2)),
        1 => SignedDuration::from_secs(random.i64(0..1_000_000)),
        _ => SignedDuration::from_micros(random.i64(0..600_000_000)),
    };
    let ended = handed_over - before;
    let seconds = downtime(random, query.minimum_minutes);
    let started = ended - SignedDuration::from_secs(seconds.unwrap_or_default());
    // The id is the same in every line of the outage.
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes());
    let mut line = json!({
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
    if random.u8(0..4) > 0
        && let Ok(incident) = serde_json::from_value::<ReportedIncident>(line.clone())
    {
        let device = Device::from(line["device"].as_str().unwrap_or_default());
        return message(&line::outage(&device, &incident, None));
    }
    match random.u8(0..8) {
        0 => line["key"] = json!(""),
        1 => line["key"] = json!(comparison_key(device)),
        2 => line["id"] = json!(""),
        3 => line["ended"] = json!(choice(random, &["soon", ""])),
        _ => {}
    }
    line.to_string().replacen('{', r#"{"event":"outage","#, 1)
}

/// Generates segments of an outage, usually each with its scope.
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

/// Generates a downtime in seconds close to the reported minimum, or to a change of units in the
/// text.
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

/// Formats a time with a random number of decimal places.
fn time(random: &mut Rng, at: Timestamp) -> String {
    let places = random.usize(0..=9);
    format!("{at:.places$}")
}

#[cfg(test)]
mod tests {
    use ispmon_agent::outage::Cause;

    use super::CAUSES;

    #[test]
    fn the_timelines_have_every_cause_of_the_agent() {
        for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::Up) {
            assert!(CAUSES.contains(&cause.as_str()), "CAUSES lacks {cause}");
        }
    }
}
