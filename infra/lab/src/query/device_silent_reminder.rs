//! All silent devices in one row, when a reminder is due.
//!
//! A query has no state, yet each mark must be reached in exactly one evaluation. So time is
//! divided into steps as long as the evaluation frequency, which begin one minute before the
//! multiples of the frequency since midnight UTC, and a mark belongs to the step that contains it.
//! An evaluation may be late or early as long as it stays in its step; for rules that are evaluated
//! at multiples of their frequency that means up to a minute early, and late by up to the frequency
//! minus one minute.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::{
    silence::{RecentHeartbeats, minutes, tenths},
    table::{Row, Trace},
    template::{Captures, QueryError, Template, quote, quote_all},
};

/// `infra/queries/device-silent-reminder.kql`.
pub const TEMPLATE: Template = Template {
    name: "device-silent-reminder.kql",
    text: include_str!("../../../queries/device-silent-reminder.kql"),
    placeholders: &["DEVICES", "SILENCE_MINUTES", "FREQUENCY_MINUTES", "DAILY_HOUR", "MARKS"],
};

/// The column that the rule measures, in minutes.
pub const MEASURED_COLUMN: &str = "longestMinutes";

/// How long before a multiple of the frequency its step begins.
const EARLY: SignedDuration = SignedDuration::from_mins(1);

const DAY_MINUTES: i64 = 24 * 60;

/// The query and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSilentReminder {
    /// The expected devices, at most 200 per rule.
    pub devices: Vec<String>,
    /// The minutes of silence from which a device counts as silent.
    pub silence_minutes: f64,
    /// The minutes between two evaluations: a divisor of 60.
    pub frequency_minutes: u32,
    /// The minutes of silence at which a reminder is due.
    pub marks: Vec<u64>,
    /// The hour of the day, UTC, of the reminder that is due daily after 24 hours of silence.
    pub daily_hour: u32,
}

/// How many devices a reminder names; the others are counted.
const MAX_NAMED: usize = 5;

/// A device that is silent.
#[derive(Debug)]
struct Silent<'devices> {
    device: &'devices str,
    minutes: f64,
    /// Whether its silence has reached a mark in the current step.
    is_due: bool,
}

/// The step of time to which an evaluation belongs.
#[derive(Debug)]
struct EvaluationStep {
    /// The multiple of the frequency in the step.
    at: Timestamp,
    /// The same in minutes since midnight UTC.
    minute_of_day: i64,
}

impl DeviceSilentReminder {
    pub(super) fn from_captures(captures: &Captures) -> Result<Self, QueryError> {
        let positive = |text: &str| text.parse().ok().filter(|minutes| *minutes > 0.0);
        let divisor = |text: &str| {
            text.parse().ok().filter(|minutes| (1..=60).contains(minutes) && 60 % minutes == 0)
        };
        let hour = |text: &str| text.parse().ok().filter(|hour| *hour < 24);
        Ok(Self {
            devices: captures.texts("DEVICES")?,
            silence_minutes: captures.one("SILENCE_MINUTES", positive, "a number of minutes")?,
            frequency_minutes: captures.one(
                "FREQUENCY_MINUTES",
                divisor,
                "a number of minutes that divides an hour",
            )?,
            marks: captures.numbers("MARKS")?,
            daily_hour: captures.one("DAILY_HOUR", hour, "an hour from 0 to 23")?,
        })
    }

    pub(super) fn text(&self) -> String {
        let marks: Vec<_> = self.marks.iter().map(u64::to_string).collect();
        TEMPLATE.fill(&[
            ("DEVICES", quote_all(&self.devices)),
            ("SILENCE_MINUTES", quote(&self.silence_minutes.to_string())),
            ("FREQUENCY_MINUTES", quote(&self.frequency_minutes.to_string())),
            ("DAILY_HOUR", quote(&self.daily_hour.to_string())),
            ("MARKS", marks.join(", ")),
        ])
    }

    /// Returns one row with the silent devices if the silence of one of them has reached a mark in
    /// the step of `now`, otherwise none. Devices that have reached a mark come first, then the
    /// longest silence. Five are named, the others counted.
    pub fn evaluate(&self, now: Timestamp, rows: &[Trace]) -> Vec<Row> {
        let heartbeats = RecentHeartbeats::read(now, rows);
        let step = self.step(now);
        let mut silent = Vec::new();
        for device in &self.devices {
            let since = heartbeats.silent_since(device);
            let minutes = minutes(since, now);
            if minutes >= self.silence_minutes {
                silent.push(Silent { device, minutes, is_due: self.is_due(&step, since) });
            }
        }
        silent.sort_by(Silent::compare_due_first);
        let longest = silent.iter().map(|silent| silent.minutes).fold(0.0, f64::max);
        if !silent.first().is_some_and(|silent| silent.is_due) {
            return Vec::new();
        }
        let named: Vec<_> = silent.iter().take(MAX_NAMED).map(Silent::sentence).collect();
        let more = match silent.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        vec![Row {
            dimensions: vec![("Computer".to_owned(), format!("{}{more}", named.join(", ")))],
            value: tenths(longest),
        }]
    }

    fn step(&self, now: Timestamp) -> EvaluationStep {
        let frequency = i64::from(self.frequency_minutes);
        let minute = (now + EARLY).as_second().div_euclid(60);
        let minute = minute - minute.rem_euclid(frequency);
        EvaluationStep {
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute),
            minute_of_day: minute.rem_euclid(DAY_MINUTES),
        }
    }

    /// Whether a silence that began at `since` has reached a mark in this step.
    fn is_due(&self, step: &EvaluationStep, since: Timestamp) -> bool {
        let frequency = f64::from(self.frequency_minutes);
        let reached = minutes(since, step.at);
        let mark_reached =
            |&mark: &u64| reached >= mark as f64 && reached < mark as f64 + frequency;
        let daily = step.minute_of_day == 60 * i64::from(self.daily_hour);
        let daily = daily && reached > DAY_MINUTES as f64;
        daily || self.marks.iter().any(mark_reached)
    }
}

impl Silent<'_> {
    /// Sorts due devices before the others, then by length of silence.
    fn compare_due_first(&self, other: &Self) -> Ordering {
        let due = other.is_due.cmp(&self.is_due);
        let longest = other.minutes.total_cmp(&self.minutes);
        due.then(longest).then_with(|| self.device.cmp(other.device))
    }

    fn sentence(&self) -> String {
        let minutes = self.minutes as u64;
        let duration = match (minutes / 60, minutes % 60) {
            (48.., _) => "48 h or longer".to_owned(),
            (0, minutes) => format!("{minutes} min"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        };
        format!("{} for {duration}", self.device)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reminder(devices: &[&str], frequency_minutes: u32) -> DeviceSilentReminder {
        let marks = (2..=12).map(|step| step * 5).chain((2..=24).map(|hour| hour * 60)).collect();
        DeviceSilentReminder {
            devices: devices.iter().map(|&device| device.to_owned()).collect(),
            silence_minutes: 5.0,
            frequency_minutes,
            marks,
            daily_hour: 8,
        }
    }

    fn heartbeat(device: &str, timestamp: Timestamp, quiet_s: u32) -> Trace {
        let message = format!(r#"{{"event":"heartbeat","device":"{device}","quiet_s":{quiet_s}}}"#);
        Trace { timestamp, message }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn one_row_names_five_devices_due_ones_first_and_counts_the_others() {
        let now = at("2026-03-01T12:00:00Z");
        let names: Vec<_> = (0..20).map(|number| format!("d{number:02}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let beat = |number: usize, minutes| {
            heartbeat(names[number], now - SignedDuration::from_mins(minutes), 0)
        };
        // Only the 17th silent device has just reached a mark, ten minutes.
        let mut rows: Vec<_> =
            (0..20).zip(90..).map(|(number, minutes)| beat(number, minutes)).collect();
        rows[17] = beat(17, 12);
        let [row] = &reminder(&names, 5).evaluate(now, &rows)[..] else { panic!("one row") };
        insta::assert_snapshot!(row.dimensions[0].1, @"d17 for 12 min, d19 for 1 h 49 min, d18 for 1 h 48 min, d16 for 1 h 46 min, d15 for 1 h 45 min and 15 more");
        assert!((row.value - 109.0).abs() < 1e-9, "the longest silence is measured");
        let six: Vec<_> = [&names[13..18], &["never"]].concat();
        let [row] = &reminder(&six, 5).evaluate(now, &rows)[..] else { panic!("one row") };
        assert!(row.dimensions[0].1.ends_with(" and 1 more"), "{}", row.dimensions[0].1);
    }

    #[test]
    fn one_row_names_all_silent_devices() {
        let now = at("2026-03-01T12:00:00Z");
        let rows = [
            heartbeat("dl-home", now - SignedDuration::from_mins(12), 0),
            heartbeat("Office", now - SignedDuration::from_mins(200), 0),
            heartbeat("attic", now - SignedDuration::from_secs(299), 0),
            heartbeat("laptop", now - SignedDuration::from_mins(200), 43_200),
        ];
        let query = reminder(&["dl-home", "office", "attic", "laptop", "garage"], 5);
        let [row] = &query.evaluate(now, &rows)[..] else { panic!("one row") };
        insta::assert_snapshot!(row.dimensions[0].1, @"dl-home for 12 min, garage for 48 h or longer, office for 3 h 20 min");
        assert!((row.value - 2_880.0).abs() < 1e-9);
    }

    /// The times of the evaluations in which a reminder is due, in minutes of silence.
    fn due(query: &DeviceSilentReminder, last: Timestamp, evaluations: &[Timestamp]) -> Vec<u64> {
        let beat = heartbeat("dl-home", last, 0);
        evaluations
            .iter()
            .filter(|&&now| !query.evaluate(now, std::slice::from_ref(&beat)).is_empty())
            .map(|&now| minutes(last, now) as u64)
            .collect()
    }

    #[test]
    fn marks_come_every_5_minutes_then_hourly_then_daily_at_the_fixed_hour() {
        let last = at("2026-03-01T03:02:30Z");
        let evaluations: Vec<_> = (0..6 * 24 * 12)
            .map(|step| at("2026-03-01T03:05:00Z") + SignedDuration::from_mins(step * 5))
            .collect();
        let due = due(&reminder(&["dl-home"], 5), last, &evaluations);
        let first_hour = (2..=12).map(|step| step * 5 + 2);
        let first_day = (2..=24).map(|hour| hour * 60 + 2);
        // From 8:00 on the second next day, 28 h 57 min into the silence.
        let daily = (0..5).map(|day| 28 * 60 + 57 + day * 24 * 60);
        assert_eq!(due, first_hour.chain(first_day).chain(daily).collect::<Vec<_>>());
    }

    proptest! {
        /// Evaluations up to 50 seconds early or 3 minutes late.
        #[test]
        fn every_mark_is_reached_in_exactly_one_evaluation(
            frequency in prop::sample::select(vec![5_u32, 10, 15]),
            last_seconds in 0_i64..7_200,
            jitter in prop::collection::vec(-50_i64..180, 400),
        ) {
            let start = at("2026-03-01T00:00:00Z");
            let last = start + SignedDuration::from_secs(last_seconds);
            let step = SignedDuration::from_mins(frequency.into());
            let evaluations: Vec<_> = (0..).zip(&jitter)
                .map(|(index, &jitter)| start + step * index + SignedDuration::from_secs(jitter))
                .collect();
            for mark in [20, 60, 300, 1_440] {
                let query = DeviceSilentReminder { marks: vec![mark], ..reminder(&["dl-home"], frequency) };
                let marks: Vec<_> = due(&query, last, &evaluations).into_iter().filter(|&minutes| minutes <= 1_460).collect();
                let longest = mark + u64::from(frequency) + 3;
                prop_assert!(matches!(marks[..], [once] if (mark - 1..=longest).contains(&once)), "{marks:?}");
            }
        }

        /// Evaluations up to 50 seconds early or 3 minutes late.
        #[test]
        fn the_daily_reminder_is_due_once_a_day_also_at_midnight(
            frequency in prop::sample::select(vec![5_u32, 10, 15]),
            daily_hour in prop::sample::select(vec![0_u32, 1, 8, 23]),
            jitter in prop::collection::vec(-50_i64..180, 3 * 24 * 12),
        ) {
            let start = at("2026-03-01T12:00:00Z");
            let step = SignedDuration::from_mins(frequency.into());
            let query = DeviceSilentReminder { daily_hour, ..reminder(&["dl-home"], frequency) };
            let steps = 3 * 24 * 60 / frequency as usize;
            let due: Vec<_> = (0..).zip(&jitter[..steps])
                .map(|(index, &jitter)| start + step * index + SignedDuration::from_secs(jitter))
                .filter(|&now| !query.evaluate(now, &[]).is_empty())
                .collect();
            prop_assert_eq!(due.len(), 3);
            for now in due {
                let hour = (now + EARLY).as_second().rem_euclid(86_400) / 3_600;
                prop_assert_eq!(hour, i64::from(daily_hour));
            }
        }

        /// At any phase of the evaluations and any mark, a device below the threshold is not named.
        #[test]
        fn a_device_below_the_threshold_is_never_named(now_seconds in 0_i64..86_400, silent in 0_i64..300, quiet_s in 0_u32..86_400) {
            let now = at("2026-03-01T00:00:00Z") + SignedDuration::from_secs(now_seconds);
            let rows = [
                heartbeat("dl-home", now - SignedDuration::from_secs(silent), 0),
                heartbeat("laptop", now - SignedDuration::from_secs(silent + i64::from(quiet_s)), quiet_s),
            ];
            let query = DeviceSilentReminder { marks: vec![1, 2, 3, 4, 5], ..reminder(&["dl-home", "laptop", "garage"], 5) };
            let named: Vec<_> = query.evaluate(now, &rows).into_iter().map(|row| row.dimensions[0].1.clone()).collect();
            prop_assert!(named.is_empty() || named == ["garage for 48 h or longer"], "{named:?}");
        }
    }
}
