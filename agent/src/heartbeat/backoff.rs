//! Exponential back-off with full jitter, for attempts that fail without an answer.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

/// The waits between failed attempts.
///
/// Each wait is a random part of a bound, which starts at `base` and doubles with every failure up
/// to `cap`. Full jitter, from zero to the bound, spreads many clients best (Marc Brooker,
/// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
///
/// One success does not reset the bound: on an intermittent connection it would never grow. It is
/// reset by a success at least `cap` after the first of an unbroken run of successes: by then the
/// connection has worked for longer than the longest wait would have been.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    success_since: Option<Instant>,
}

impl Backoff {
    /// Creates a back-off whose bound grows from `base` to `cap`; a base above the cap counts as the cap.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0, success_since: None }
    }

    /// Counts a failure and returns the wait until the next attempt: less than [`Self::bound`] was.
    pub fn record_failure(&mut self, random: &mut Rng) -> Duration {
        let wait = self.bound().mul_f64(random.f64());
        self.failures = self.failures.saturating_add(1);
        self.success_since = None;
        wait
    }

    /// Registers a success at `now`; resets the bound if the run of successes has lasted for `cap`.
    pub fn record_success(&mut self, now: Instant) {
        let since = *self.success_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.cap {
            self.failures = 0;
        }
    }

    /// Ends a run of successes without a connection failure, such as by a refusal.
    pub fn end_success_run(&mut self) {
        self.success_since = None;
    }

    /// Resets the bound to `base`, because connectivity is known to be back.
    pub fn reset(&mut self) {
        self.failures = 0;
        self.success_since = None;
    }

    /// The upper bound of the next wait.
    pub fn bound(&self) -> Duration {
        let factor = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(failures: u32, base: Duration, cap: Duration) -> Backoff {
        let mut backoff = Backoff::new(base, cap);
        let mut random = Rng::with_seed(0);
        for _ in 0..failures {
            backoff.record_failure(&mut random);
        }
        backoff
    }

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let bounds = [0, 1, 2, 3, 4, 5, 6, 100, 10_000]
            .map(|failures| after(failures, SECOND, 30 * SECOND).bound().as_secs());
        assert_eq!(bounds, [1, 2, 4, 8, 16, 30, 30, 30, 30]);
    }

    #[test]
    fn waits_are_spread_over_the_whole_bound_even_if_it_is_a_whole_second() {
        for bound in [SECOND, 4 * SECOND, Duration::from_millis(100)] {
            let mut random = Rng::with_seed(7);
            let mut tenths = [0_u32; 10];
            for _ in 0..10_000 {
                let wait = Backoff::new(bound, bound).record_failure(&mut random);
                tenths[(wait.as_secs_f64() / bound.as_secs_f64() * 10.0) as usize] += 1;
            }
            assert!(tenths.iter().all(|count| (800..1_200).contains(count)), "{tenths:?}");
        }
    }

    #[test]
    fn one_success_does_not_reset() {
        let start = Instant::now();
        let mut backoff = after(5, SECOND, 30 * SECOND);
        backoff.record_success(start);
        backoff.record_failure(&mut Rng::with_seed(0));
        backoff.record_success(start + 60 * SECOND);
        assert_eq!(backoff.bound(), 30 * SECOND, "a failure came between the two successes");
    }

    #[test]
    fn an_interrupted_run_of_successes_starts_over() {
        let start = Instant::now();
        let mut backoff = after(5, SECOND, 30 * SECOND);
        backoff.record_success(start);
        backoff.end_success_run();
        backoff.record_success(start + 60 * SECOND);
        assert_eq!(backoff.bound(), 30 * SECOND);
        backoff.record_success(start + 90 * SECOND);
        assert_eq!(backoff.bound(), SECOND);
    }

    #[test]
    fn returned_connectivity_resets_the_bound_at_once() {
        let mut backoff = after(5, SECOND, 30 * SECOND);
        backoff.reset();
        assert_eq!(backoff.bound(), SECOND);
    }

    proptest! {
        #[test]
        fn each_wait_stays_below_its_bound_and_the_bound_never_shrinks_while_attempts_fail(
            base in 0_u64..=u64::MAX,
            cap in 0_u64..=u64::MAX,
            failures in 1_u32..200,
            seed: u64,
        ) {
            let mut backoff = Backoff::new(Duration::from_nanos(base), Duration::from_nanos(cap));
            let mut random = Rng::with_seed(seed);
            for _ in 0..failures {
                let bound = backoff.bound();
                prop_assert!(bound <= Duration::from_nanos(cap));
                prop_assert!(backoff.record_failure(&mut random) <= bound);
                prop_assert!(backoff.bound() >= bound);
            }
        }

        #[test]
        fn the_longest_durations_do_not_overflow(failures in 0_u32..100, seed: u64) {
            let mut backoff = Backoff::new(Duration::MAX, Duration::MAX / 2);
            let mut random = Rng::with_seed(seed);
            for _ in 0..failures {
                prop_assert!(backoff.record_failure(&mut random) <= Duration::MAX / 2);
            }
        }

        #[test]
        fn success_resets_the_bound_exactly_when_it_has_lasted_for_the_cap(
            gaps in prop::collection::vec(0_u64..20, 1..20),
        ) {
            let cap = 30 * SECOND;
            let start = Instant::now();
            let mut backoff = after(5, SECOND, cap);
            let mut now = start;
            backoff.record_success(now);
            for gap in gaps {
                now += Duration::from_secs(gap);
                backoff.record_success(now);
                let lasted = now - start >= cap;
                prop_assert_eq!(backoff.bound(), if lasted { SECOND } else { cap });
            }
        }
    }
}
