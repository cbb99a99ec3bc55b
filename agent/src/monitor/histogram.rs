//! A distribution of durations in a fixed amount of memory.

use std::time::Duration;

use crate::journal::Quantiles;

/// Buckets per doubling: a quantile is off by at most 2^(1/16) − 1, which is 4.4 %.
const BUCKETS_PER_DOUBLING: f64 = 8.0;
/// The upper bound of the first bucket, in milliseconds.
const SMALLEST_MS: f64 = 0.1;
/// Enough for 0.1 ms to 100 s.
const BUCKETS: usize = 160;

/// Counts durations in buckets that grow by 9 % each, from 0.1 ms to 100 s.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u32; BUCKETS]>,
    total: u64,
    longest_ms: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0, longest_ms: 0.0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let milliseconds = duration.as_secs_f64() * 1_000.0;
        let doublings = (milliseconds / SMALLEST_MS).max(1.0).log2();
        let bucket = ((doublings * BUCKETS_PER_DOUBLING).ceil() as usize).min(BUCKETS - 1);
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.total += 1;
        self.longest_ms = self.longest_ms.max(milliseconds);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The duration, in milliseconds to one decimal, that the part `quantile` (0 to 1) of all does
    /// not exceed; `None` when nothing was counted.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let rank = ((self.total as f64 * quantile).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        // The middle of the bucket, by its ratio; never more than was measured.
        let doublings = (bucket as f64 - 0.5).max(0.0) / BUCKETS_PER_DOUBLING;
        Some(tenths((SMALLEST_MS * doublings.exp2()).min(self.longest_ms)))
    }

    /// Median, 95th percentile and longest; `None` when nothing was counted.
    pub fn quantiles(&self) -> Option<Quantiles> {
        Some(Quantiles {
            p50: self.quantile_ms(0.5)?,
            p95: self.quantile_ms(0.95)?,
            max: tenths(self.longest_ms),
        })
    }
}

fn tenths(milliseconds: f64) -> f64 {
    (milliseconds * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_quantiles() {
        assert_eq!(Histogram::default().quantiles(), None);
    }

    #[test]
    fn one_duration_is_all_quantiles() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_micros(12_340));
        let quantiles = histogram.quantiles().expect("one was counted");
        assert!((quantiles.p50 - 12.3).abs() < 0.6, "{quantiles:?}");
        assert!((quantiles.max - 12.3).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn quantiles_are_close_to_the_true_ones(
            mut micros in prop::collection::vec(100_u64..90_000_000, 1..400),
        ) {
            let mut histogram = Histogram::default();
            for duration in &micros {
                histogram.record(Duration::from_micros(*duration));
            }
            micros.sort_unstable();
            let quantiles = histogram.quantiles().expect("some were counted");
            for (quantile, found) in [(0.5, quantiles.p50), (0.95, quantiles.p95)] {
                let rank = (micros.len() as f64 * quantile).ceil() as usize;
                let exact = micros[rank.max(1) - 1] as f64 / 1_000.0;
                prop_assert!((found - exact).abs() <= exact * 0.046 + 0.06, "{found} for {exact}");
            }
            prop_assert!(quantiles.p50 <= quantiles.p95 && quantiles.p95 <= quantiles.max + 0.06);
        }
    }
}
