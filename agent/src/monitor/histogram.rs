//! A histogram of durations in constant memory.

use std::time::Duration;

use crate::summary::Quantiles;

/// Buckets per doubling, all of equal width: the middle of a bucket is off by at most 1/32, which is
/// 3.2 %.
const BUCKETS_PER_DOUBLING: u64 = 16;
/// The unit of the bucket bounds.
const UNIT: Duration = Duration::from_micros(10);
/// Longer durations share the last bucket, which ends at 2^24 units, or 168 s.
const MOST_UNITS: u64 = (1 << 24) - 1;
/// The number of buckets.
const BUCKETS: usize = bucket(MOST_UNITS) + 1;

/// Counts durations up to 168 s in buckets whose width is 10 µs or a sixteenth of the largest power of
/// two below the duration. This needs no logarithm and so does not load the math library.
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

/// The bucket of a number of units.
const fn bucket(units: u64) -> usize {
    let Some(doublings) = (units / BUCKETS_PER_DOUBLING).checked_ilog2() else {
        return units as usize;
    };
    // Within its doubling, the four bits after the leading one select the bucket.
    let first = (doublings as u64 + 1) * BUCKETS_PER_DOUBLING;
    (first + (units >> doublings) - BUCKETS_PER_DOUBLING) as usize
}

/// The middle of a bucket, in units.
fn middle(bucket: usize) -> f64 {
    let bucket = bucket as u64;
    let doublings = (bucket / BUCKETS_PER_DOUBLING).saturating_sub(1);
    let below = bucket - doublings * BUCKETS_PER_DOUBLING;
    (below as f64 + 0.5) * (1_u64 << doublings) as f64
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let units = u64::try_from(duration.as_micros() / UNIT.as_micros()).unwrap_or(MOST_UNITS);
        let count = &mut self.counts[bucket(units.min(MOST_UNITS))];
        *count = count.saturating_add(1);
        self.total += 1;
        self.longest_ms = self.longest_ms.max(duration.as_secs_f64() * 1_000.0);
    }

    /// The duration that the share `quantile` (0 to 1) of all does not exceed, in milliseconds to one
    /// decimal; `None` when nothing was counted.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let rank = ((self.total as f64 * quantile).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        let milliseconds = middle(bucket) * UNIT.as_secs_f64() * 1_000.0;
        // Never more than the longest measured value.
        Some(tenths(milliseconds.min(self.longest_ms)))
    }

    /// Median, 95th percentile and maximum; `None` when nothing was counted.
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
    fn an_empty_histogram_has_no_quantiles() {
        assert_eq!(Histogram::default().quantiles(), None);
    }

    #[test]
    fn a_single_duration_is_every_quantile() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_micros(12_340));
        let quantiles = histogram.quantiles().expect("one was counted");
        assert!((quantiles.p50 - 12.3).abs() < 0.6, "{quantiles:?}");
        assert!((quantiles.max - 12.3).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn every_bucket_holds_its_middle(units in 0..=MOST_UNITS) {
            let bucket = bucket(units);
            let middle = middle(bucket);
            prop_assert!(bucket < BUCKETS);
            prop_assert_eq!(super::bucket(middle as u64), bucket);
            prop_assert!((middle - units as f64).abs() <= (units as f64 / 32.0).max(0.5));
        }

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
