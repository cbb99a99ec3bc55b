//! When a line becomes visible to queries.

use fastrand::Rng;

use super::{
    assumptions::Assumptions,
    random::log_normal,
    time::{Millis, Span, seconds},
};

/// The standard normal quantile of 99 in 100.
const Z_P99: f64 = 2.326_348;
/// The standard normal quantile of 9,999 in 10,000: about one line in a week of heartbeats, which
/// has 10,080.
const Z_WORST: f64 = 3.719_016;

/// Assigns each line the time at which it becomes visible to queries.
///
/// Delays are log-normal, through the two measured figures: 99 in 100 within 49 s, the worst of a
/// week's heartbeats 203 s, which is also the bound. The resulting median is 4.6 s and the mean 7.7
/// s, in line with Microsoft's average of "less than 10 seconds". Unless lines may overtake each
/// other, none becomes visible before an earlier one.
#[derive(Clone, Debug)]
pub struct IngestionDelays<'world> {
    random: Rng,
    median: f64,
    spread: f64,
    longest: Millis,
    is_in_order: bool,
    down: &'world [Span],
    last: Millis,
}

impl<'world> IngestionDelays<'world> {
    /// Creates delays for an ingestion that is down during these spans.
    pub fn new(assumptions: &Assumptions, down: &'world [Span], random: Rng) -> Self {
        let (p99, worst) = (assumptions.delay_p99, assumptions.delay_worst);
        let spread = (worst.max(p99) / p99).ln() / (Z_WORST - Z_P99);
        Self {
            random,
            median: 1_000.0 * p99 / (spread * Z_P99).exp(),
            spread,
            longest: seconds(worst),
            is_in_order: !assumptions.overtaking,
            down,
            last: Millis::MIN,
        }
    }

    /// When a line written at `at` becomes visible; call it in order of time.
    pub fn visible(&mut self, at: Millis) -> Millis {
        let delay = log_normal(&mut self.random, self.median, self.spread) as Millis;
        let mut visible = at + delay.min(self.longest);
        if let Some(down) = Span::at(self.down, at) {
            visible = visible.max(down.to);
        }
        if self.is_in_order {
            visible = visible.max(self.last);
            self.last = visible;
        }
        visible
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{
        SimulationSettings,
        time::{HOUR, MINUTE},
    };

    fn delays(overtaking: bool) -> Vec<f64> {
        let assumptions = Assumptions { overtaking, ..SimulationSettings::default_assumptions() };
        let mut ingestion = IngestionDelays::new(&assumptions, &[], Rng::with_seed(5));
        let mut delays: Vec<_> = (0..200_000)
            .map(|minute| (ingestion.visible(minute * MINUTE) - minute * MINUTE) as f64 / 1_000.0)
            .collect();
        delays.sort_by(f64::total_cmp);
        delays
    }

    #[test]
    fn delays_have_the_measured_tail() {
        for overtaking in [true, false] {
            let delays = delays(overtaking);
            let p99 = delays[198_000];
            assert!((47.0..53.0).contains(&p99), "{p99}");
            let p9999 = delays[199_980];
            assert!((170.0..=203.0).contains(&p9999), "{p9999}");
            assert!(delays[199_999] <= 203.0);
            let mean = delays.iter().sum::<f64>() / 200_000.0;
            assert!((7.0..8.5).contains(&mean), "{mean}");
        }
    }

    #[test]
    fn while_ingestion_is_down_lines_wait_for_its_end() {
        let down = [Span { from: HOUR, to: 2 * HOUR }];
        let mut ingestion =
            IngestionDelays::new(&Assumptions::without_events(), &down, Rng::with_seed(5));
        let seen: Vec<_> = [59, 61, 119, 120].map(|at| ingestion.visible(at * MINUTE)).to_vec();
        assert_eq!(seen, [59 * MINUTE + 1, 2 * HOUR, 2 * HOUR, 2 * HOUR + 1]);
    }
}
