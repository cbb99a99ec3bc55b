//! Loss and latency of the connection while it worked.

use jiff::{ZonedDateTime, tz::TimeZone};
use serde::Serialize;

use super::{History, Interval, RecordedHour, days};

/// The combined statistics of several hours.
///
/// Loss is exact: all lost probes of all scheduled ones. Exact quantiles cannot be computed from
/// hourly quantiles, so these are the median of the hourly medians, and of the hourly 95th
/// percentiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QualityPart {
    /// The number of scheduled probes.
    pub probes: u64,
    /// How many of them were not answered within a second, or could not be sent.
    pub lost: u64,
    /// The median of the hourly medians, in milliseconds.
    pub p50_ms: Option<f64>,
    /// The median of the hourly 95th percentiles, in milliseconds.
    pub p95_ms: Option<f64>,
}

impl QualityPart {
    fn of<'a>(hours: impl IntoIterator<Item = &'a RecordedHour>) -> Self {
        let mut part = Self::default();
        let (mut p50, mut p95) = (Vec::new(), Vec::new());
        for RecordedHour { summary, .. } in hours {
            part.probes += u64::from(summary.probes);
            part.lost += u64::from(summary.lost);
            if let Some(rtt) = summary.rtt_ms {
                p50.push(rtt.p50);
                p95.push(rtt.p95);
            }
        }
        part.p50_ms = median(&mut p50);
        part.p95_ms = median(&mut p95);
        part
    }

    /// The share of lost probes, 0 to 1; `None` when none was sent.
    pub fn loss(&self) -> Option<f64> {
        (self.probes > 0).then(|| self.lost as f64 / self.probes as f64)
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Loss and latency over a period.
#[derive(Clone, Debug, PartialEq)]
pub struct QualitySummary {
    /// The whole period.
    pub whole: QualityPart,
    /// By time: per hour up to two weeks, else per day.
    pub by_time: Vec<(Interval, QualityPart)>,
    /// By the hour of the local day, 0 to 23: shows whether evenings are worse, for example.
    pub by_hour: Vec<QualityPart>,
}

impl QualitySummary {
    /// The longest period that is shown per hour, in hours.
    const HOURLY_UP_TO: u64 = 14 * 24;

    /// Combines the hours that start in `period`.
    pub fn of(history: &History, period: Interval, zone: &TimeZone) -> Self {
        let hours: Vec<_> = history
            .hours
            .iter()
            .filter(|hour| period.from <= hour.time.from && hour.time.from < period.to)
            .collect();
        let hourly = period.duration().as_secs() <= Self::HOURLY_UP_TO * 3_600;
        let by_time = if hourly {
            hours.iter().map(|hour| (hour.time, QualityPart::of([*hour]))).collect()
        } else {
            by_day(&hours, period, zone)
        };
        let mut of_day: Vec<Vec<&RecordedHour>> = vec![Vec::new(); 24];
        for &hour in &hours {
            let local = ZonedDateTime::new(hour.time.from, zone.clone()).hour();
            of_day[usize::try_from(local).unwrap_or(0) % 24].push(hour);
        }
        Self {
            whole: QualityPart::of(hours.iter().copied()),
            by_time,
            by_hour: of_day.into_iter().map(QualityPart::of).collect(),
        }
    }
}

fn by_day(
    hours: &[&RecordedHour],
    period: Interval,
    zone: &TimeZone,
) -> Vec<(Interval, QualityPart)> {
    let mut rest = hours;
    let mut parts = Vec::new();
    for day in days(period, zone) {
        let here = rest.partition_point(|hour| hour.time.from < day.time.to);
        let (of_day, later) = rest.split_at(here);
        rest = later;
        if !of_day.is_empty() {
            parts.push((day.time, QualityPart::of(of_day.iter().copied())));
        }
    }
    parts
}
