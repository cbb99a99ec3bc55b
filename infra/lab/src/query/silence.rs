//! Computes since when a device is silent.
//!
//! The silence of a device begins at its last heartbeat, or at the end of the silence that it
//! announced. Devices are compared by the key that the function writes ([`comparison_key`]).

use std::collections::HashMap;

use ispmon_wire::comparison_key;
use jiff::{SignedDuration, Timestamp};

use super::table::{LONGEST_RANGE, Trace, device_key, event, text};

/// The longest silence that a heartbeat can announce, in seconds.
const MAX_ANNOUNCED_SECONDS: f64 = 86_400.0;

/// The text by which the query finds the log lines of heartbeats.
pub(crate) const HEARTBEAT_PREFIX: &str = r#"{"event":"heartbeat""#;

/// The heartbeats of the last 48 hours.
#[derive(Debug)]
pub struct RecentHeartbeats {
    /// By device key: when the device was last seen, and the end of its announced silence.
    last: HashMap<String, LastSeen>,
    /// The start of the query's range.
    from: Timestamp,
}

/// When a device was last seen and the end of its announced silence; ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LastSeen {
    at: Timestamp,
    silent_since: Timestamp,
}

/// The heartbeats of one device since one boot.
#[derive(Clone, Copy, Debug)]
struct BootHeartbeats {
    /// When the last one arrived.
    seen: Timestamp,
    /// The one with the highest sequence number.
    newest: Numbered,
}

/// One heartbeat; ordered by sequence number, then by time, then by announced silence.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Numbered {
    seq: f64,
    at: Timestamp,
    announced_seconds: f64,
}

impl RecentHeartbeats {
    /// Extracts the heartbeats from all lines; ignores other lines.
    ///
    /// Within one boot, the heartbeat with the highest `seq` decides which silence is announced,
    /// whenever it arrived: a delayed heartbeat must not override a newer one. Between boots, and
    /// among heartbeats that have no boot or no number, the time of arrival decides. Any heartbeat
    /// proves that the device was alive.
    pub fn read(now: Timestamp, rows: &[Trace]) -> Self {
        let from = now - LONGEST_RANGE;
        let mut boots: HashMap<(String, String), BootHeartbeats> = HashMap::new();
        for row in rows.iter().filter(|row| row.timestamp > from) {
            let Some(line) = heartbeat(&row.message) else { continue };
            let newest = Numbered {
                seq: line.seq,
                at: row.timestamp,
                announced_seconds: line.announced_seconds,
            };
            let known = boots
                .entry((line.key, line.boot))
                .or_insert(BootHeartbeats { seen: row.timestamp, newest });
            known.seen = known.seen.max(row.timestamp);
            if known.newest < newest {
                known.newest = newest;
            }
        }
        let mut last: HashMap<String, LastSeen> = HashMap::new();
        for ((key, _), boot) in boots {
            let quiet = SignedDuration::from_secs_f64(boot.newest.announced_seconds);
            let seen =
                LastSeen { at: boot.seen, silent_since: boot.seen.max(boot.newest.at + quiet) };
            let known = last.entry(key).or_insert(seen);
            *known = seen.max(*known);
        }
        Self { last, from }
    }

    /// Since when the device has been silent; 48 hours ago if it has sent no heartbeat since then.
    ///
    /// In the future during an announced silence.
    pub fn silent_since(&self, device: &str) -> Timestamp {
        self.last.get(&comparison_key(device)).map_or(self.from, |seen| seen.silent_since)
    }
}

/// The minutes from `from` to `to`, negative when `to` is earlier.
pub fn minutes(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() / 60.0
}

/// Truncates minutes to tenths, as they are shown.
///
/// Truncated, not rounded, so that the shown value reaches a threshold, which is a number of
/// tenths, exactly when the silence does.
pub fn tenths(minutes: f64) -> f64 {
    (minutes * 10.0).floor() / 10.0
}

/// The fields of a heartbeat that the queries use.
struct HeartbeatFields {
    key: String,
    /// Empty when the line lacks the boot or the number.
    boot: String,
    /// 0 when the line lacks the boot or the number.
    seq: f64,
    announced_seconds: f64,
}

fn heartbeat(message: &str) -> Option<HeartbeatFields> {
    let line = event(message, HEARTBEAT_PREFIX, "heartbeat")?;
    let number = |name: &str| text(&line[name]).parse::<f64>().ok();
    let boot = Some(text(&line["boot"])).filter(|boot| !boot.is_empty());
    let (boot, seq) = boot.zip(number("seq")).unwrap_or_default();
    let announced_seconds = number("quiet_s").unwrap_or_default().clamp(0.0, MAX_ANNOUNCED_SECONDS);
    Some(HeartbeatFields { key: device_key(&line), boot, seq, announced_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn silent_minutes(device: &str, lines: &[(f64, &str)]) -> f64 {
        let rows: Vec<_> = lines
            .iter()
            .map(|&(minutes_ago, message)| Trace {
                timestamp: now() - SignedDuration::from_secs_f64(minutes_ago * 60.0),
                message: message.to_owned(),
            })
            .collect();
        minutes(RecentHeartbeats::read(now(), &rows).silent_since(device), now())
    }

    #[track_caller]
    fn check(device: &str, lines: &[(f64, &str)], expected: f64) {
        let found = silent_minutes(device, lines);
        assert!((found - expected).abs() < 1e-9, "{found} {lines:?}");
    }

    #[test]
    fn the_last_heartbeat_counts_in_any_order_of_the_lines() {
        let beat = r#"{"event":"heartbeat","device":"dl-home","quiet_s":0}"#;
        check("dl-home", &[(7.0, beat), (3.0, beat), (5.0, beat)], 3.0);
    }

    #[test]
    fn a_device_without_a_heartbeat_in_48_hours_is_silent_for_48_hours() {
        let beat = r#"{"event":"heartbeat","device":"dl-home","quiet_s":0}"#;
        check("dl-home", &[], 2_880.0);
        check("dl-home", &[(2_880.0, beat)], 2_880.0);
        check("dl-home", &[(2_879.0, beat)], 2_879.0);
        check("office", &[(1.0, beat)], 2_880.0);
    }

    #[test]
    fn only_the_silence_that_the_last_heartbeat_announced_counts() {
        let stopping = r#"{"event":"heartbeat","device":"dl-home","quiet_s":1800}"#;
        let beat = r#"{"event":"heartbeat","device":"dl-home","quiet_s":0}"#;
        check("dl-home", &[(40.0, stopping)], 10.0);
        check("dl-home", &[(10.0, stopping)], -20.0);
        check("dl-home", &[(40.0, stopping), (39.0, beat)], 39.0);
        check("dl-home", &[(39.0, beat), (39.0, stopping)], 9.0);
    }

    #[test]
    fn an_invalid_announced_silence_is_ignored_or_limited_to_a_day() {
        for (quiet, expected) in [
            (r#","quiet_s":-60"#, 2_000.0),
            (r#","quiet_s":null"#, 2_000.0),
            (r#","quiet_s":"soon""#, 2_000.0),
            (r#","quiet_s":[60]"#, 2_000.0),
            ("", 2_000.0),
            (r#","quiet_s":"60""#, 1_999.0),
            (r#","quiet_s":1.5"#, 1_999.975),
            (r#","quiet_s":1e12"#, 560.0),
        ] {
            let line = format!(r#"{{"event":"heartbeat","device":"dl-home"{quiet}}}"#);
            check("dl-home", &[(2_000.0, &line)], expected);
        }
    }

    #[test]
    fn shown_minutes_are_exact_tenths() {
        for (seconds, shown) in [(528.911, "8.8"), (297.6, "4.9"), (299.999_999, "4.9"), (0.0, "0")]
        {
            assert_eq!(tenths(seconds / 60.0).to_string(), shown, "{seconds} s");
        }
        for tenth in 0..=28_800_i64 {
            let silence = SignedDuration::from_secs(6 * tenth);
            let shown = tenths(minutes(now() - silence, now()));
            assert_eq!(shown.to_string(), (tenth as f64 / 10.0).to_string(), "{silence:#}");
        }
    }

    /// Just below a threshold by one tick of 100 ns, the resolution of Kusto's times.
    #[test]
    fn shown_minutes_reach_a_threshold_exactly_when_the_silence_does() {
        let tick = SignedDuration::from_nanos(100);
        for tenth in 1..=1_000_i64 {
            let threshold = tenth as f64 / 10.0;
            let silence = SignedDuration::from_secs(6 * tenth);
            for (silence, reached) in
                [(silence - tick, false), (silence, true), (silence + tick, true)]
            {
                let shown = tenths(minutes(now() - silence, now()));
                assert_eq!(shown >= threshold, reached, "{silence:#}");
            }
        }
    }

    #[test]
    fn devices_are_compared_trimmed_and_in_lower_case() {
        let beat = r#"{"event":"heartbeat","device":"  Büro-Ä \t","quiet_s":0}"#;
        check("büro-ä", &[(3.0, beat)], 3.0);
        check(" BÜRO-ä ", &[(3.0, beat)], 3.0);
    }

    #[test]
    fn lines_that_are_not_heartbeats_are_ignored() {
        for line in [
            "",
            "listening on 127.0.0.1:7071, device dl-home, heartbeat",
            r#"{"event":"heartbeat","device":"dl-home""#,
            r#"{"event":"outage","device":"dl-home","quiet_s":0}"#,
            r#"{"device":"dl-home","quiet_s":0}"#,
            r#"{"event":"heartbeats","device":"dl-home","quiet_s":0}"#,
            r#"{"event":"heartbeat","device":"dl-home"} and more"#,
            r#"{"event":["heartbeat"],"device":"dl-home","quiet_s":0}"#,
            r#"["heartbeat","dl-home"]"#,
            r#""heartbeat""#,
            "null",
        ] {
            check("dl-home", &[(3.0, line)], 2_880.0);
        }
    }

    /// A line of an agent: device, boot, sequence number, announced silence.
    fn line(boot: &str, seq: &str, quiet_s: u32) -> String {
        format!(
            r#"{{"event":"heartbeat","device":"DL-Home","key":"d:dl-home","seq":{seq},"boot":{boot},"quiet_s":{quiet_s}}}"#
        )
    }

    #[test]
    fn within_a_boot_the_highest_number_decides_what_was_announced() {
        let running = |seq| line("\"a\"", seq, 0);
        let stopping = |seq| line("\"a\"", seq, 1_800);
        // The one that was sent first arrives last.
        check("dl-home", &[(20.0, &stopping("8")), (19.0, &running("7"))], -10.0);
        check("dl-home", &[(20.0, &running("8")), (19.0, &stopping("7"))], 19.0);
        check("dl-home", &[(40.0, &stopping("10")), (39.0, &running("9"))], 10.0);
        // They arrive in order.
        check("dl-home", &[(20.0, &stopping("8")), (19.0, &running("9"))], 19.0);
        // One that arrives twice, and two with the same time.
        check("dl-home", &[(20.0, &stopping("8")), (15.0, &stopping("8"))], -15.0);
        check("dl-home", &[(20.0, &stopping("8")), (20.0, &running("9"))], 20.0);
        check("dl-home", &[(20.0, &stopping("9")), (20.0, &running("8"))], -10.0);
        // It still proves that the device was alive.
        check("dl-home", &[(20.0, &running("8")), (2.0, &running("7"))], 2.0);
    }

    #[test]
    fn between_boots_and_without_a_number_time_decides() {
        let beat = |boot: &str, seq: &str, quiet| line(boot, seq, quiet);
        let (a, b) = ("\"a\"", "\"b\"");
        check("dl-home", &[(20.0, &beat(a, "900", 1_800)), (19.0, &beat(b, "1", 0))], 19.0);
        check("dl-home", &[(20.0, &beat(b, "1", 0)), (19.0, &beat(a, "900", 1_800))], -11.0);
        for (boot, seq) in [("null", "7"), ("\"\"", "7"), (a, "null"), (a, "\"x\""), (a, "[7]")] {
            let late = [(20.0, &*beat(a, "8", 1_800)), (19.0, &*beat(boot, seq, 0))];
            check("dl-home", &late, 19.0);
            let late = [(20.0, &*beat(boot, seq, 1_800)), (19.0, &*beat(boot, seq, 0))];
            check("dl-home", &late, 19.0);
        }
        // A number in a string is accepted.
        check("dl-home", &[(20.0, &beat(a, "\"8\"", 1_800)), (19.0, &beat(a, "7", 0))], -10.0);
    }

    #[test]
    fn the_key_identifies_the_device_else_its_name_does() {
        let line = r#"{"event":"heartbeat","device":7,"key":"d:007"}"#;
        check("007", &[(3.0, line)], 3.0);
        check("7", &[(3.0, line)], 2_880.0);
        let old = r#"{"event":"heartbeat","device":"007","key":""}"#;
        check("007", &[(3.0, old)], 3.0);
    }

    #[test]
    fn a_prefix_before_the_json_is_skipped() {
        let line = r#"[2026-03-01T11:57:00Z] {"event":"heartbeat","device":"dl-home"}"#;
        check("dl-home", &[(3.0, line)], 3.0);
    }
}
