use fastrand::Rng;
use ispmon_wire::comparison_key;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::{
    query::{Row, outage_report, silence},
    rules::{self, Rule, running::RunningRule},
};

const DEVICES: [&str; 3] = ["dl-home", " Office", "007"];

fn devices() -> Vec<String> {
    DEVICES.map(str::to_owned).to_vec()
}

fn begin() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().expect("a time")
}

/// Lines that the index must not classify as heartbeats or outages of the function.
const ODD: [&str; 10] = [
    r#"{"device":"dl-home","event":"heartbeat","quiet_s":600}"#,
    r#"prefix {"event":"heartbeat","device":"dl-home","quiet_s":0}"#,
    "",
    "null",
    "listening, dl-home heartbeat",
    r#"{"event":"heartbeat","device":"dl-home","seq":"7","quiet_s":600}"#,
    r#"{"event":"heartbeat","device":7,"quiet_s":0}"#,
    r#"{"event":"heartbeat","device":"office","boot":5,"quiet_s":60}"#,
    r#"{"event":"heartbeat","device":"office","key":"d:dl-home","quiet_s":60}"#,
    r#"{"event":["heartbeat"],"device":"dl-home"}"#,
];

/// Formats a line as the function does: the event is the first field.
fn message(mut line: Value) -> String {
    let event = line["event"].take();
    line.as_object_mut().expect("an object").remove("event");
    format!("{{\"event\":{event},{}", &line.to_string()[1..])
}

/// Heartbeats and outages at random times of four days, and when they become visible: often in
/// bursts, at equal times, out of order, and with sequence numbers that do not follow the time.
fn timeline(random: &mut Rng) -> Vec<(Timestamp, Trace)> {
    let length = random.i64(3_600..4 * 86_400);
    let mut at = begin();
    let end = begin() + SignedDuration::from_secs(length);
    let mut lines = Vec::new();
    let mut seq = 0_i64;
    while at < end && lines.len() < 60 {
        let gap = [0, 60, 60, 300, 3_600, 50 * 3_600][random.usize(..6)];
        at += SignedDuration::from_millis(random.i64(0..=1_000 * gap));
        let device = DEVICES[random.usize(..3)];
        let boot = ["a", "a", "a", "b", "c"][random.usize(..5)];
        seq = if random.u8(..15) == 0 { 0 } else { seq + random.i64(-1..=3) };
        let quiet = [0, 0, 0, 90, 1_800, 86_400][random.usize(..6)];
        let mut line = match random.u8(..10) {
            0 => {
                // An outage that ended more than a day earlier is only summed up.
                let ended = at - SignedDuration::from_hours([0, 30][random.usize(..2)]);
                json!({
                    "event": "outage", "device": device, "id": random.u8(..6).to_string(),
                    "kind": "incident", "cause": "isp",
                    "started": (ended - SignedDuration::from_mins(20)), "ended": ended,
                    "downtime_s": random.u32(200..2_000),
                })
            }
            1 => json!({"event": "heartbeat", "device": "stranger", "quiet_s": 0}),
            2 => {
                let message = ODD[random.usize(..ODD.len())].to_owned();
                lines.push((at, Trace { timestamp: at, message }));
                continue;
            }
            _ => json!({
                "event": "heartbeat", "device": device.to_uppercase(), "boot": boot,
                "seq": seq.max(0), "quiet_s": quiet,
            }),
        };
        if random.bool() {
            line["key"] = json!(comparison_key(line["device"].as_str().unwrap()));
        }
        if random.u8(..4) == 0
            && let Some(line) = line.as_object_mut()
        {
            line.remove(["boot", "seq", "quiet_s"][random.usize(..3)]);
        }
        let delay = [0, 0, 10, 203, 4_000][random.usize(..5)];
        let visible = at + SignedDuration::from_millis(random.i64(0..=1_000 * delay));
        lines.push((visible, Trace { timestamp: at, message: message(line) }));
    }
    lines.sort_by_key(|(visible, _)| *visible);
    lines
}

/// A row of the table as a [`TraceSource`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct ReadLine {
    trace: Trace,
    kind: LineKind,
}

impl ReadLine {
    /// Classifies a row, for rules that expect these devices.
    ///
    /// Only a heartbeat exactly as the function writes it counts as one; anything unusual is left
    /// to the query.
    fn read(trace: Trace, devices: &[String]) -> Self {
        let kind = kind(&trace.message, devices).unwrap_or(LineKind::Other);
        Self { trace, kind }
    }
}

impl TraceSource for ReadLine {
    fn timestamp(&self) -> Timestamp {
        self.trace.timestamp
    }

    fn kind(&self) -> LineKind {
        self.kind
    }

    fn to_trace(&self) -> Trace {
        self.trace.clone()
    }
}

fn kind(message: &str, devices: &[String]) -> Option<LineKind> {
    let line: Value = serde_json::from_str(message).ok()?;
    match line.get("event")?.as_str()? {
        "heartbeat" if message.starts_with(silence::HEARTBEAT_PREFIX) => heartbeat(&line, devices),
        "outage" if message.starts_with(outage_report::OUTAGE_PREFIX) => Some(LineKind::Outage),
        _ => None,
    }
}

fn heartbeat(line: &Value, devices: &[String]) -> Option<LineKind> {
    let name = comparison_key(line.get("device")?.as_str()?);
    let key = line.get("key").map_or(Some(name.as_str()), Value::as_str)?;
    let mut places = devices.iter().enumerate().filter(|(_, each)| comparison_key(each) == name);
    let boot = line.get("boot").map_or(Some(""), Value::as_str)?;
    let seq = line.get("seq").map_or(Some(None), |seq| seq.as_u64().map(Some))?;
    match (places.next(), places.next()) {
        _ if key != name => None,
        (None, _) => Some(LineKind::Unexpected),
        (Some((device, _)), None) => {
            Some(LineKind::Heartbeat(HeartbeatKey { device, boot: number(boot), seq }))
        }
        // Two expected devices with one name: how they are treated depends on the query.
        (Some(_), Some(_)) => None,
    }
}

/// Hashes a boot id: FNV-1a, 0 only for no id.
fn number(boot: &str) -> u64 {
    if boot.is_empty() {
        return 0;
    }
    let hash = boot.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|one, other| {
        one.dimensions.cmp(&other.dimensions).then(one.value.total_cmp(&other.value))
    });
    rows
}

/// On any timeline, each rule returns the same on the index as on all lines.
#[test]
fn the_index_changes_nothing_on_random_timelines() {
    let rules: Vec<Rule> = rules::deployed()
        .expect("rules")
        .iter()
        .map(|rule| rule.with_devices(&devices()))
        .collect();
    let mut sent = 0;
    for seed in 0..150 {
        let mut random = Rng::with_seed(seed);
        let lines = timeline(&mut random);
        let mut index = TraceIndex::new(DEVICES.len());
        let mut plain: Vec<_> = rules.iter().cloned().map(RunningRule::new).collect();
        let mut indexed: Vec<_> = rules.iter().cloned().map(RunningRule::new).collect();
        let mut visible = 0;
        let mut now = begin();
        for _ in 0..60 {
            let step = [60, 300, 300, 300, 3_600, 20_000][random.usize(..6)];
            now += SignedDuration::from_millis(random.i64(1..=1_000 * step));
            while lines.get(visible).is_some_and(|(from, _)| *from <= now) {
                index.insert(ReadLine::read(lines[visible].1.clone(), &devices()));
                visible += 1;
            }
            let rows: Vec<_> = lines[..visible].iter().map(|(_, trace)| trace.clone()).collect();
            for (plain, indexed) in plain.iter_mut().zip(&mut indexed) {
                let name = &plain.rule().settings().name;
                let query = &plain.rule().query;
                index.expire(now);
                let kept = if indexed.is_report() { index.outages() } else { index.heartbeats() };
                assert_eq!(
                    sorted(query.evaluate(now, &rows)),
                    sorted(query.evaluate(now, kept)),
                    "seed {seed}, {name} at {now}"
                );
                let expected = plain.evaluate(now, &rows);
                sent += expected.len();
                let name = plain.rule().settings().name.clone();
                let found = indexed.evaluate_indexed(now, &mut index);
                assert_eq!(found, expected, "seed {seed}, {name} at {now}");
            }
        }
    }
    assert!(sent > 1_000, "{sent} notifications");
}

#[test]
fn of_many_heartbeats_only_the_newest_is_kept() {
    let mut index = TraceIndex::new(1);
    let at = |minute| begin() + SignedDuration::from_mins(minute);
    let beat = |minute: i64, boot: &str, seq: i64| {
        let line = json!({"event": "heartbeat", "device": "a", "boot": boot, "seq": seq});
        let trace = Trace { timestamp: at(minute), message: message(line) };
        ReadLine::read(trace, &["A".to_owned()])
    };
    for minute in 0..1_000 {
        index.insert(beat(minute, "one", minute));
    }
    assert_eq!(index.heartbeats().len(), 1);
    assert_eq!(index.all_alive_since(), Some(at(999)));
    // Written later, but sent earlier: either may count.
    index.insert(beat(1_000, "one", 998));
    assert_eq!(index.heartbeats().len(), 2);
    assert_eq!(index.all_alive_since(), Some(at(1_000)));
    // An earlier boot may continue when two machines have one name.
    index.insert(beat(1_001, "two", 1));
    assert_eq!(index.heartbeats().len(), 3);
    assert_eq!(index.all_alive_since(), Some(at(1_001)));
    index.expire(at(1_000) + LONGEST_RANGE);
    assert_eq!(index.heartbeats().len(), 1);
    index.insert(ReadLine::read(
        Trace { timestamp: at(1_002), message: r#"{"event":"heartbeat","device":5}"#.to_owned() },
        &["A".to_owned()],
    ));
    assert_eq!(index.all_alive_since(), None, "the line cannot be parsed");
}
