//! Since when is a device silent?
//!
//! A device is silent from its last heartbeat on, or from the end of the silence that this heartbeat
//! announced. Device names are compared trimmed and in lower case.

use std::collections::HashMap;

use ispmon_wire::comparison_key;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Trace, text};

/// How far back a query of an alert rule can see:
/// <https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule>.
pub const RANGE: SignedDuration = SignedDuration::from_hours(48);

/// The longest silence that a heartbeat can announce, in seconds.
const LONGEST_QUIET_SECONDS: f64 = 86_400.0;

/// The heartbeats of the last 48 hours.
#[derive(Debug)]
pub struct Heartbeats {
    /// For each device, in the form in which names are compared: its last heartbeat, and the silence in
    /// seconds that it announced.
    last: HashMap<String, (Timestamp, f64)>,
    /// The beginning of what can be seen.
    from: Timestamp,
}

impl Heartbeats {
    /// Picks the heartbeats from all lines. Lines that are none are passed over.
    ///
    /// Of two heartbeats of one device with the same time, the one that announced the longer silence
    /// counts.
    pub fn read(now: Timestamp, rows: &[Trace]) -> Self {
        let from = now - RANGE;
        let mut last: HashMap<String, (Timestamp, f64)> = HashMap::new();
        for row in rows.iter().filter(|row| row.timestamp > from) {
            let Some((device, quiet_seconds)) = heartbeat(&row.message) else { continue };
            let heartbeat = (row.timestamp, quiet_seconds);
            let known = last.entry(device).or_insert(heartbeat);
            if *known < heartbeat {
                *known = heartbeat;
            }
        }
        Self { last, from }
    }

    /// Since when the device has been silent; 48 hours ago if it has sent no heartbeat since.
    ///
    /// Lies in the future while an announced silence lasts.
    pub fn silent_since(&self, device: &str) -> Timestamp {
        self.last.get(&comparison_key(device)).map_or(self.from, |&(timestamp, quiet_seconds)| {
            timestamp + SignedDuration::from_secs_f64(quiet_seconds)
        })
    }
}

/// The minutes from one time to another, negative when `to` is earlier.
pub fn minutes(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() / 60.0
}

/// Minutes as they are shown: in whole tenths.
///
/// They are cut off, not rounded: a threshold that is a number of tenths is reached by what is shown
/// exactly when it is reached by the silence itself.
pub fn tenths(minutes: f64) -> f64 {
    (minutes * 10.0).floor() / 10.0
}

/// The device and the announced silence in seconds, when the line is a heartbeat.
fn heartbeat(line: &str) -> Option<(String, f64)> {
    let line: Value = serde_json::from_str(line).ok()?;
    if text(&line["event"]) != "heartbeat" {
        return None;
    }
    let announced: f64 = text(&line["quiet_s"]).parse().unwrap_or_default();
    Some((comparison_key(&text(&line["device"])), announced.clamp(0.0, LONGEST_QUIET_SECONDS)))
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
        minutes(Heartbeats::read(now(), &rows).silent_since(device), now())
    }

    #[track_caller]
    fn check(device: &str, lines: &[(f64, &str)], expected: f64) {
        assert!((silent_minutes(device, lines) - expected).abs() < 1e-9, "{lines:?}");
    }

    #[test]
    fn the_last_heartbeat_counts_in_whatever_order_the_lines_come() {
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
    fn an_announced_silence_that_makes_no_sense_is_none_or_a_day_at_most() {
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
    fn shown_minutes_are_tenths_that_read_well() {
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

    /// Between a threshold and the last moment before it lies a tick of 100 ns, as Kusto counts time.
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
    fn lines_that_are_no_heartbeats_are_passed_over() {
        for line in [
            "",
            "listening on 127.0.0.1:7071, device dl-home, heartbeat",
            r#"{"event":"heartbeat","device":"dl-home""#,
            r#"{"event":"outage","device":"dl-home","quiet_s":0}"#,
            r#"{"device":"dl-home","quiet_s":0}"#,
            r#"{"event":["heartbeat"],"device":"dl-home","quiet_s":0}"#,
            r#"["heartbeat","dl-home"]"#,
            r#""heartbeat""#,
            "null",
        ] {
            check("dl-home", &[(3.0, line)], 2_880.0);
        }
    }
}
