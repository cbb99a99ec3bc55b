//! Counters for the hourly summary, and for the quality since the last heartbeat.

use std::time::Duration;

use ispmon_wire::{LinkQuality, RoundTrip};

use super::histogram::Histogram;
use crate::{clock::Stamp, status::QualityStatus, summary::Summary};

/// An hour of the wall clock; summaries end on it, so that they can be compared.
const HOUR: Duration = Duration::from_hours(1);

/// Counters since the hour began, and since the last heartbeat was sent.
#[derive(Clone, Debug)]
pub struct Tally {
    from: Stamp,
    /// The newest monitored moment; the time since then is added to `observed` as it passes. `None`
    /// while not monitoring.
    monitored_at: Option<Stamp>,
    observed: Duration,
    rounds: u32,
    rounds_failed: u32,
    probes: u32,
    lost: u32,
    round_trips: Histogram,
    heartbeats: u32,
    heartbeats_failed: u32,
    blips: u32,
    since_heartbeat: SinceHeartbeat,
}

#[derive(Clone, Debug, Default)]
struct SinceHeartbeat {
    probes: u64,
    lost: u64,
    round_trips: Histogram,
}

impl Tally {
    /// Starts to count at `now`, while monitoring.
    pub fn new(now: Stamp) -> Self {
        Self {
            from: now,
            monitored_at: Some(now),
            observed: Duration::ZERO,
            rounds: 0,
            rounds_failed: 0,
            probes: 0,
            lost: 0,
            round_trips: Histogram::default(),
            heartbeats: 0,
            heartbeats_failed: 0,
            blips: 0,
            since_heartbeat: SinceHeartbeat::default(),
        }
    }

    /// Counts a scheduled probe of a judged family: its round-trip time, or `None` if it was lost,
    /// which includes a missing carrier or route.
    pub fn count_probe(&mut self, round_trip: Option<Duration>) {
        self.probes += 1;
        self.since_heartbeat.probes += 1;
        if let Some(round_trip) = round_trip {
            self.round_trips.record(round_trip);
            self.since_heartbeat.round_trips.record(round_trip);
        } else {
            self.lost += 1;
            self.since_heartbeat.lost += 1;
        }
    }

    /// Counts a round.
    pub fn count_round(&mut self, is_good: bool) {
        self.rounds += 1;
        self.rounds_failed += u32::from(!is_good);
    }

    /// Counts a heartbeat.
    pub fn count_heartbeat(&mut self, delivered: bool) {
        if delivered {
            self.heartbeats += 1;
        } else {
            self.heartbeats_failed += 1;
        }
    }

    /// Counts failures that were too short to be incidents.
    pub fn count_blips(&mut self, count: u32) {
        self.blips += count;
    }

    /// Counts the time since the last call as monitored, up to `now`.
    pub fn mark_monitored(&mut self, now: Stamp) {
        let since = self.monitored_at.and_then(|before| now.since(&before)).unwrap_or_default();
        self.observed += since;
        self.monitored_at = Some(now);
    }

    /// Stops counting time as monitored at `now`, until [`mark_monitored`](Self::mark_monitored) is called again.
    pub fn stop_monitoring(&mut self, now: Stamp) {
        self.mark_monitored(now);
        self.monitored_at = None;
    }

    /// The time from `now` to the end of the wall clock's hour.
    pub fn time_to_full_hour(&self, now: Stamp) -> Duration {
        let hour_ms = i64::try_from(HOUR.as_millis()).unwrap_or(i64::MAX);
        let passed_ms = now.wall.as_millisecond().rem_euclid(hour_ms);
        HOUR.saturating_sub(Duration::from_millis(passed_ms.unsigned_abs()))
    }

    /// Returns the summary of the hour, or of the counted part of it, at `now`, and starts the next.
    /// `None` when nothing was monitored.
    pub fn summarise(&mut self, now: Stamp) -> Option<Summary> {
        if self.monitored_at.is_some() {
            self.mark_monitored(now);
        }
        let observed_ms = u64::try_from(self.observed.as_millis()).unwrap_or(u64::MAX);
        let summary = Summary {
            from: self.from,
            to: now,
            observed_ms,
            rounds: self.rounds,
            rounds_failed: self.rounds_failed,
            probes: self.probes,
            lost: self.lost,
            rtt_ms: self.round_trips.quantiles(),
            beats: self.heartbeats,
            beats_failed: self.heartbeats_failed,
            blips: self.blips,
        };
        let since_beat = std::mem::take(&mut self.since_heartbeat);
        *self =
            Self { since_heartbeat: since_beat, monitored_at: self.monitored_at, ..Self::new(now) };
        (observed_ms > 0).then_some(summary)
    }

    /// The quality in this hour so far; `None` when nothing was probed.
    pub fn quality(&self, now: Stamp) -> Option<QualityStatus> {
        let quantiles = self.round_trips.quantiles();
        (self.probes > 0).then(|| QualityStatus {
            over_s: now.since(&self.from).unwrap_or_default().as_secs(),
            probes: self.probes.into(),
            lost: self.lost.into(),
            p50_ms: quantiles.map(|quantiles| quantiles.p50),
            p95_ms: quantiles.map(|quantiles| quantiles.p95),
        })
    }

    /// The quality since the last call, for the next heartbeat; `None` when nothing was probed.
    pub fn take_link_quality(&mut self) -> Option<LinkQuality> {
        let SinceHeartbeat { probes, lost, round_trips } =
            std::mem::take(&mut self.since_heartbeat);
        let rtt_ms = round_trips
            .quantiles()
            .map(|quantiles| RoundTrip { p50: quantiles.p50, p95: quantiles.p95 });
        (probes > 0).then_some(LinkQuality { probes, lost, rtt_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootId;

    fn at(seconds: u64) -> Stamp {
        let wall = "2026-03-29T00:50:00Z".parse().expect("a time");
        Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall }.later(Duration::from_secs(seconds))
    }

    #[test]
    fn an_hour_ends_with_the_hour_of_the_wall_clock() {
        assert_eq!(Tally::new(at(0)).time_to_full_hour(at(0)), Duration::from_mins(10));
        assert_eq!(Tally::new(at(0)).time_to_full_hour(at(600)), HOUR);
    }

    #[test]
    fn a_summary_has_all_counts_and_the_next_begins_empty() {
        let mut tally = Tally::new(at(0));
        tally.count_probe(Some(Duration::from_millis(10)));
        tally.count_probe(None);
        tally.count_round(false);
        tally.count_round(true);
        tally.count_heartbeat(true);
        tally.count_heartbeat(false);
        tally.count_blips(1);
        let summary = tally.summarise(at(600)).expect("monitored time");
        assert_eq!((summary.from, summary.to, summary.observed_ms), (at(0), at(600), 600_000));
        assert_eq!((summary.probes, summary.lost), (2, 1));
        assert_eq!((summary.rounds, summary.rounds_failed), (2, 1));
        assert_eq!((summary.beats, summary.beats_failed, summary.blips), (1, 1, 1));
        assert!(summary.rtt_ms.is_some_and(|times| (times.max - 10.0).abs() < 0.01));
        let next = tally.summarise(at(4_200)).expect("monitored time");
        assert_eq!((next.probes, next.rtt_ms, next.observed_ms), (0, None, 3_600_000));
    }

    #[test]
    fn an_hour_of_short_carrier_losses_shows_its_lost_probes_and_blips() {
        let mut tally = Tally::new(at(600));
        for number in 0..720 {
            let is_lost = number % 24 == 0;
            tally.count_probe((!is_lost).then_some(Duration::from_millis(20)));
            tally.count_blips(u32::from(is_lost));
        }
        let quality = tally.quality(at(4_200)).expect("something was probed");
        assert_eq!((quality.probes, quality.lost, quality.over_s), (720, 30, 3_600));
        let summary = tally.summarise(at(4_200)).expect("monitored time");
        assert_eq!((summary.probes, summary.lost, summary.blips), (720, 30, 30));
        let times = summary.rtt_ms.expect("answered probes");
        assert!((times.p95 - 20.0).abs() < 0.7, "lost probes have no round-trip time: {times:?}");
    }

    #[test]
    fn unmonitored_time_does_not_count() {
        let mut tally = Tally::new(at(0));
        tally.stop_monitoring(at(100));
        tally.mark_monitored(at(500));
        assert_eq!(tally.summarise(at(600)).map(|summary| summary.observed_ms), Some(200_000));
        tally.stop_monitoring(at(600));
        assert_eq!(tally.summarise(at(4_200)), None);
    }

    #[test]
    fn a_heartbeat_reports_the_quality_since_the_last_one() {
        let mut tally = Tally::new(at(0));
        assert_eq!(tally.take_link_quality(), None);
        tally.count_probe(Some(Duration::from_millis(20)));
        tally.count_probe(None);
        tally.summarise(at(600));
        let quality = tally.take_link_quality().expect("something was probed");
        assert_eq!((quality.probes, quality.lost), (2, 1));
        assert!(quality.rtt_ms.is_some());
        assert_eq!(tally.take_link_quality(), None);
    }
}
