//! The usual round-trip time of this connection, from the hourly summaries of the last week.

use std::{collections::VecDeque, time::Duration};

use crate::summary::Summary;

/// The number of hours in a week.
const HOURS_KEPT: usize = 168;
/// How much must have been monitored before a round-trip time counts as usual: a day.
const LEARNING: Duration = Duration::from_hours(24);

/// The week's median round-trip time: the median of the hourly medians, weighted by their number of
/// answers.
#[derive(Debug, Default)]
pub(super) struct Usual {
    /// Ordered by age, the newest last.
    hours: VecDeque<Hour>,
    median_ms: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Hour {
    median_ms: f64,
    answered: u32,
    observed_ms: u64,
}

impl Usual {
    /// Adds an hourly summary of the journal.
    pub(super) fn learn(&mut self, summary: &Summary) {
        let Some(rtt_ms) = summary.rtt_ms else { return };
        if self.hours.len() == HOURS_KEPT {
            self.hours.pop_front();
        }
        self.hours.push_back(Hour {
            median_ms: rtt_ms.p50,
            answered: summary.probes.saturating_sub(summary.lost),
            observed_ms: summary.observed_ms,
        });
        self.median_ms = self.weighted_median();
    }

    /// The week's median in milliseconds; `None` until a day of samples is known.
    pub(super) fn median_ms(&self) -> Option<f64> {
        self.median_ms
    }

    fn weighted_median(&self) -> Option<f64> {
        let observed_ms: u64 = self.hours.iter().map(|hour| hour.observed_ms).sum();
        if u128::from(observed_ms) < LEARNING.as_millis() {
            return None;
        }
        let mut hours: Vec<_> = self.hours.iter().collect();
        hours.sort_by(|one, other| one.median_ms.total_cmp(&other.median_ms));
        let half = hours.iter().map(|hour| u64::from(hour.answered)).sum::<u64>() / 2;
        let mut seen = 0;
        let middle = hours.iter().find(|hour| {
            seen += u64::from(hour.answered);
            seen > half
        });
        middle.map(|hour| hour.median_ms)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        clock::{BootId, Stamp},
        summary::Quantiles,
    };

    /// An hour with the median round-trip time `median_ms`.
    pub(in super::super) fn hour(median_ms: f64, answered: u32) -> Summary {
        let now = Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall: jiff::Timestamp::UNIX_EPOCH };
        Summary {
            from: now,
            to: now,
            observed_ms: 3_600_000,
            rounds: 0,
            rounds_failed: 0,
            probes: answered,
            lost: 0,
            rtt_ms: Some(Quantiles { p50: median_ms, p95: median_ms, max: median_ms }),
            beats: 60,
            beats_failed: 0,
            blips: 0,
        }
    }

    #[test]
    fn the_median_needs_a_day_and_covers_a_week() {
        let mut usual = Usual::default();
        (0..23).for_each(|_| usual.learn(&hour(20.0, 720)));
        assert_eq!(usual.median_ms(), None);
        usual.learn(&hour(20.0, 720));
        assert_eq!(usual.median_ms(), Some(20.0));
        (0..168).for_each(|_| usual.learn(&hour(50.0, 720)));
        assert_eq!(usual.median_ms(), Some(50.0));
    }

    #[test]
    fn hours_are_weighted_by_their_answers() {
        let mut usual = Usual::default();
        (0..20).for_each(|_| usual.learn(&hour(20.0, 10)));
        (0..10).for_each(|_| usual.learn(&hour(50.0, 720)));
        assert_eq!(usual.median_ms(), Some(50.0));
    }
}
