//! Random heartbeats: most as the function writes them, some as older versions did, without keys,
//! some malformed.

use std::net::{IpAddr, Ipv4Addr};

use fastrand::Rng;
use ispmon_function::line;
use ispmon_wire::{AgentInfo, AgentState, Device, Heartbeat, comparison_key};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::arrival::{Arrival, MINUTE, arrival, choice, spelling};
use crate::query::{Trace, message, silence::HEARTBEAT_PREFIX, table::event};

/// One device with its sequence numbers.
struct Sender<'device> {
    device: &'device str,
    boot: u32,
    seq: u64,
}

/// Generates the heartbeats of one device until `end`, and the times at which its silence changes.
pub(super) fn generate(
    random: &mut Rng,
    device: &str,
    end: Timestamp,
    arrivals: &mut Vec<Arrival>,
    changes: &mut Vec<Timestamp>,
) {
    if random.u8(0..8) == 0 {
        return;
    }
    let mut sender = Sender { device, boot: 1, seq: random.u64(0..3) };
    let mut at = end - SignedDuration::from_mins(random.i64(0..2_000));
    let pace = random.i64(1..120);
    let first = arrivals.len();
    while at < end {
        let announces = random.u8(0..12) == 0;
        arrivals.push(sender.heartbeat(random, at, announces));
        at += MINUTE * random.i32(1..=2 * pace as i32);
    }
    // The last ones are close together and announce more, so that late and repeated ones affect the
    // result.
    for _ in 0..random.u8(0..4) {
        let announces = random.bool();
        let at = end - SignedDuration::from_secs(random.i64(0..90));
        arrivals.push(sender.heartbeat(random, at, announces));
    }
    let announces = random.u8(0..3) == 0;
    arrivals.push(sender.heartbeat(random, end, announces));
    if random.u8(0..6) == 0 {
        // Two heartbeats with one time, of which one announces a silence.
        let announces = random.bool();
        arrivals.push(sender.heartbeat(random, end, announces));
    }
    if random.u8(0..6) == 0 {
        let again = arrivals[random.usize(first..arrivals.len())].trace.clone();
        let at = again.timestamp + SignedDuration::from_secs(random.i64(0..200));
        arrivals.push(arrival(random, at, again.message));
    }
    for Trace { timestamp, message } in
        arrivals[first..].iter().rev().take(4).map(|last| &last.trace)
    {
        let announced_seconds = event(message, HEARTBEAT_PREFIX, "heartbeat")
            .and_then(|line| line["quiet_s"].as_f64())
            .filter(|seconds| (0.0..=86_400.0).contains(seconds));
        changes.push(*timestamp);
        let quiet = SignedDuration::from_secs_f64(announced_seconds.unwrap_or_default());
        changes.push(*timestamp + quiet);
    }
}

impl Sender<'_> {
    fn heartbeat(&mut self, random: &mut Rng, at: Timestamp, announces: bool) -> Arrival {
        self.seq += 1;
        if random.u8(0..30) == 0 {
            (self.boot, self.seq) = (self.boot + 1, 1);
        }
        // A sequence number lower or higher than those at about the same time.
        let seq = match random.u8(0..4) {
            0 => self.seq.saturating_add_signed(random.i64(-3..=3)),
            _ => self.seq,
        };
        let line = match random.u8(0..4) {
            0 => self.malformed_line(random, seq, announces),
            _ => self.function_line(random, seq, announces),
        };
        let before = match random.u8(0..40) {
            0 => "[Information] ",
            1 => "2026-11-28T12:00:00Z {} ",
            _ => "",
        };
        arrival(random, at, format!("{before}{line}"))
    }

    fn boot(&self) -> String {
        format!("b{}", self.boot)
    }

    /// The line as the function writes it, without its line feed, as the host passes it on.
    fn function_line(&self, random: &mut Rng, seq: u64, announces: bool) -> String {
        let quiet = [1_800, 43_200, 86_400, random.u32(1..600), random.u32(1..86_400)];
        let agent = AgentInfo {
            version: "0.1.0".to_owned(),
            boot: self.boot(),
            seq,
            state: if announces { AgentState::Stopping } else { AgentState::Running },
            quiet_s: if announces { choice(random, &quiet) } else { 0 },
        };
        let heartbeat = Heartbeat {
            note: Some("it's \"heartbeat\", {\"event\":\"heartbeat\"} and outage".to_owned()),
            agent: (random.u8(0..10) > 0).then_some(agent),
            ..Heartbeat::default()
        };
        let device = Device::from(spelling(random, self.device).as_str());
        let address = random.bool().then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        message(&line::heartbeat(&device, address, &heartbeat))
    }

    /// A line without key, or with fields that no agent sends.
    fn malformed_line(&self, random: &mut Rng, seq: u64, announces: bool) -> String {
        let mut fields = Map::new();
        fields.insert("device".to_owned(), json!(spelling(random, self.device)));
        // A numeric name may be sent as a number.
        if self.device == "5" && random.bool() {
            fields.insert("device".to_owned(), json!(5));
        }
        let quiet = if announces { Some(announced(random)) } else { unannounced(random) };
        let key = choice(random, &[None, None, Some(Value::Null), Some(json!(""))]);
        let key = if random.u8(0..4) == 0 { Some(json!(comparison_key(self.device))) } else { key };
        let boot = [None, None, Some(Value::Null), Some(json!("")), Some(json!(self.boot()))];
        let odd = [json!(seq), json!(seq), json!(seq.to_string()), json!("x"), json!([seq])];
        let seq = if random.bool() { None } else { Some(choice(random, &odd)) };
        let more =
            [("quiet_s", quiet), ("key", key), ("boot", choice(random, &boot)), ("seq", seq)];
        for (name, value) in more {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        }
        Value::Object(fields).to_string().replacen('{', r#"{"event":"heartbeat","#, 1)
    }
}

fn announced(random: &mut Rng) -> Value {
    match random.u8(0..8) {
        0 => json!(1_800),
        1 => json!(43_200),
        2 => json!(86_400),
        3 => json!(random.u32(1..600)),
        4 => json!(f64::from(random.u32(1..4_000)) / 4.0),
        5 => json!(random.u32(1..3_600).to_string()),
        6 => json!(1e12),
        _ => json!(random.u32(1..86_400)),
    }
}

fn unannounced(random: &mut Rng) -> Option<Value> {
    match random.u8(0..16) {
        0 => None,
        1 => Some(Value::Null),
        2 => Some(json!("soon")),
        3 => Some(json!(-600)),
        4 => Some(json!(-0.5)),
        5 => Some(json!([600])),
        6 => Some(json!({"quiet_s": 600})),
        7 => Some(json!("")),
        _ => Some(json!(0)),
    }
}
