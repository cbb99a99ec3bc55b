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
    watched: Option<Stamp>,
    observed: Duration,
    rounds: u32,
    rounds_failed: u32,
    probes: u32,
    lost: u32,
    round_trips: Histogram,
    beats: u32,
    beats_failed: u32,
    blips: u32,
    since_beat: SinceBeat,
}

#[derive(Clone, Debug, Default)]
struct SinceBeat {
    probes: u64,
    lost: u64,
    round_trips: Histogram,
}

impl Tally {
    /// Starts to count at `now`, while monitoring.
    pub fn new(now: Stamp) -> Self {
        Self {
            from: now,
            watched: Some(now),
            observed: Duration::ZERO,
            rounds: 0,
            rounds_failed: 0,
            probes: 0,
            lost: 0,
            round_trips: Histogram::default(),
            beats: 0,
            beats_failed: 0,
            blips: 0,
            since_beat: SinceBeat::default(),
        }
    }

    /// Counts a scheduled probe of a judged family: its round-trip time, or `None` if it was lost,
    /// which includes a missing carrier or route.
    pub fn probe(&mut self, round_trip: Option<Duration>) {
        self.probes += 1;
        self.since_beat.probes += 1;
        if let Some(round_trip) = round_trip {
            self.round_trips.record(round_trip);
            self.since_beat.round_trips.record(round_trip);
        } else {
            self.lost += 1;
            self.since_beat.lost += 1;
        }
    }

    /// Counts a round.
    pub fn round(&mut self, is_good: bool) {
        self.rounds += 1;
        self.rounds_failed += u32::from(!is_good);
    }

    /// Counts a heartbeat.
    pub fn beat(&mut self, delivered: bool) {
        if delivered {
            self.beats += 1;
        } else {
            self.beats_failed += 1;
        }
    }

    /// Counts failures that were too short to be incidents.
    pub fn blips(&mut self, count: u32) {
        self.blips += count;
    }

    /// Counts the time since the last call as monitored, up to `now`.
    pub fn watch(&mut self, now: Stamp) {
        let since = self.watched.and_then(|before| now.since(&before)).unwrap_or_default();
        self.observed += since;
        self.watched = Some(now);
    }

    /// Stops counting time as monitored at `now`, until [`watch`](Self::watch) is called again.
    pub fn look_away(&mut self, now: Stamp) {
        self.watch(now);
        self.watched = None;
    }

    /// The time from `now` to the end of the wall clock's hour.
    pub fn rest_of_hour(&self, now: Stamp) -> Duration {
        let hour_ms = i64::try_from(HOUR.as_millis()).unwrap_or(i64::MAX);
        let passed_ms = now.wall.as_millisecond().rem_euclid(hour_ms);
        HOUR.saturating_sub(Duration::from_millis(passed_ms.unsigned_abs()))
    }

    /// Returns the summary of the hour, or of the counted part of it, at `now`, and starts the next.
    /// `None` when nothing was monitored.
    pub fn summarise(&mut self, now: Stamp) -> Option<Summary> {
        if self.watched.is_some() {
            self.watch(now);
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
            beats: self.beats,
            beats_failed: self.beats_failed,
            blips: self.blips,
        };
        let since_beat = std::mem::take(&mut self.since_beat);
        *self = Self { since_beat, watched: self.watched, ..Self::new(now) };
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
        let SinceBeat { probes, lost, round_trips } = std::mem::take(&mut self.since_beat);
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
        assert_eq!(Tally::new(at(0)).rest_of_hour(at(0)), Duration::from_mins(10));
        assert_eq!(Tally::new(at(0)).rest_of_hour(at(600)), HOUR);
    }

    #[test]
    fn a_summary_has_all_counts_and_the_next_begins_empty() {
        let mut tally = Tally::new(at(0));
        tally.probe(Some(Duration::from_millis(10)));
        tally.probe(None);
        tally.round(false);
        tally.round(true);
        tally.beat(true);
        tally.beat(false);
        tally.blips(1);
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
            tally.probe((!is_lost).then_some(Duration::from_millis(20)));
            tally.blips(u32::from(is_lost));
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
        tally.look_away(at(100));
        tally.watch(at(500));
        assert_eq!(tally.summarise(at(600)).map(|summary| summary.observed_ms), Some(200_000));
        tally.look_away(at(600));
        assert_eq!(tally.summarise(at(4_200)), None);
    }

    #[test]
    fn a_heartbeat_reports_the_quality_since_the_last_one() {
        let mut tally = Tally::new(at(0));
        assert_eq!(tally.take_link_quality(), None);
        tally.probe(Some(Duration::from_millis(20)));
        tally.probe(None);
        tally.summarise(at(600));
        let quality = tally.take_link_quality().expect("something was probed");
        assert_eq!((quality.probes, quality.lost), (2, 1));
        assert!(quality.rtt_ms.is_some());
        assert_eq!(tally.take_link_quality(), None);
    }
}
