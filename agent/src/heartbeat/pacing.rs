//! The wait before the next heartbeat.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::{backoff::Backoff, outcome::HeartbeatOutcome};
use crate::config::settings::HeartbeatSettings;

/// The jitter of a heartbeat in either direction, as a fraction of the interval.
const JITTER: f64 = 0.1;
/// The longest `Retry-After` that is obeyed: a day, the longest silence that a device can announce. A
/// server that asks for more is more likely misconfigured than busy.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);
/// The same for an answer that was no proof: any host on the path can forge it.
const MAX_UNPROVED_RETRY_AFTER: Duration = Duration::from_hours(1);
/// The most jitter that is added to the wait after a refusal.
const MAX_REFUSAL_JITTER: Duration = Duration::from_mins(5);
/// The time over which the devices of one region spread their first heartbeats after a common outage.
const RETURN_SPREAD: Duration = Duration::from_secs(3);

/// Computes the wait after each heartbeat. It owns its random number generator: equal seeds and equal
/// outcomes give equal waits.
///
/// 1. If the first heartbeat was delivered, the second follows after a random part of the interval, so
///    that devices which start together (after a power cut) do not stay in step.
/// 2. After a delivered heartbeat, the next one starts one interval after that one started, with a
///    jitter of up to 10 % either way.
/// 3. After one that failed without an answer, [`Backoff`] decides; it never waits longer than the
///    interval.
/// 4. After a refusal, the wait is the interval, or the answer's `Retry-After` if that is longer, capped
///    at a day, or at an hour if the answer was no proof. A jitter of up to 10 %, 5 minutes at most, is
///    added so that devices which were refused together do not retry together.
#[derive(Clone, Debug)]
pub struct Pacing {
    interval: Duration,
    backoff: Backoff,
    random: Rng,
    has_begun: bool,
}

impl Pacing {
    /// Creates the pacing of one run from interval, back-off base and back-off cap.
    pub fn new(settings: &HeartbeatSettings) -> Self {
        Self::with_seed(settings, fastrand::u64(..))
    }

    /// The same with a fixed seed.
    pub fn with_seed(settings: &HeartbeatSettings, seed: u64) -> Self {
        let cap = settings.backoff_cap.min(settings.interval);
        Self {
            interval: settings.interval,
            backoff: Backoff::new(settings.backoff_base, cap),
            random: Rng::with_seed(seed),
            has_begun: false,
        }
    }

    /// The wait from `now` until the next heartbeat, after one that started at `sent` and ended with
    /// `outcome`.
    pub fn after_outcome(
        &mut self,
        outcome: &HeartbeatOutcome,
        sent: Instant,
        now: Instant,
    ) -> Duration {
        match outcome {
            HeartbeatOutcome::Delivered { .. } => self.after_delivery(sent, now),
            HeartbeatOutcome::Refused { retry_after, proof, .. } => {
                self.after_refusal(*retry_after, proof.is_some())
            }
            HeartbeatOutcome::Failed(_) => self.after_failure(),
        }
    }

    /// The wait from `now` after a heartbeat that started at `sent` was delivered.
    pub fn after_delivery(&mut self, sent: Instant, now: Instant) -> Duration {
        let first = !std::mem::replace(&mut self.has_begun, true);
        self.backoff.record_success(now);
        let gap = if first {
            self.interval.mul_f64(self.random.f64())
        } else {
            self.interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * self.random.f64())
        };
        gap.saturating_sub(now.saturating_duration_since(sent))
    }

    /// The wait after a refusal with this `Retry-After`; `is_proof` says whether verified TLS proved the
    /// sender.
    pub fn after_refusal(&mut self, retry_after: Option<Duration>, is_proof: bool) -> Duration {
        self.has_begun = true;
        self.backoff.end_success_run();
        let longest = if is_proof { MAX_RETRY_AFTER } else { MAX_UNPROVED_RETRY_AFTER };
        let wait = self.interval.max(retry_after.unwrap_or_default().min(longest));
        wait + wait.mul_f64(JITTER).min(MAX_REFUSAL_JITTER).mul_f64(self.random.f64())
    }

    /// The wait after a heartbeat that got no answer.
    pub fn after_failure(&mut self) -> Duration {
        self.has_begun = true;
        self.backoff.record_failure(&mut self.random)
    }

    /// The wait until the next heartbeat when connectivity is known to be back: 3 s at most. Resets the
    /// back-off.
    pub fn after_reconnection(&mut self) -> Duration {
        self.backoff.reset();
        RETURN_SPREAD.min(self.interval).mul_f64(self.random.f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::heartbeat::{
        NetworkPath,
        tests::{delivered, failed, refused, settings},
    };

    const INTERVAL: Duration = Duration::from_mins(1);

    fn pacing(seed: u64) -> Pacing {
        Pacing::with_seed(&settings("http://127.0.0.1/"), seed)
    }

    /// A pacing after its first heartbeat.
    fn begun(seed: u64) -> Pacing {
        let mut pacing = pacing(seed);
        let now = Instant::now();
        pacing.after_outcome(&delivered(), now, now);
        pacing
    }

    #[test]
    fn second_heartbeats_are_spread_over_the_whole_interval() {
        let now = Instant::now();
        let mut sixths = [0_u32; 6];
        for seed in 0..6_000 {
            let wait = pacing(seed).after_outcome(&delivered(), now, now);
            sixths[(wait.as_secs() / 10) as usize] += 1;
        }
        assert!(sixths.iter().all(|count| (800..1_200).contains(count)), "{sixths:?}");
    }

    #[test]
    fn equal_seeds_give_equal_waits() {
        let now = Instant::now();
        let mut one = pacing(3);
        let mut other = pacing(3);
        for outcome in [delivered(), failed(), refused(503, None), failed(), delivered()] {
            assert_eq!(
                one.after_outcome(&outcome, now, now),
                other.after_outcome(&outcome, now, now)
            );
        }
    }

    #[test]
    fn returned_connectivity_is_used_within_three_seconds_and_never_by_two_devices_at_once() {
        let mut waits: Vec<Duration> =
            (0..100).map(|seed| begun(seed).after_reconnection()).collect();
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(3)), "{waits:?}");
        waits.sort();
        waits.dedup();
        assert_eq!(waits.len(), 100);
    }

    proptest! {
        #[test]
        fn after_a_delivery_the_next_heartbeat_comes_one_interval_later_within_ten_percent(
            seed: u64,
            took_ms in 0_u64..40_000,
        ) {
            let sent = Instant::now();
            let took = Duration::from_millis(took_ms);
            let wait = begun(seed).after_outcome(&delivered(), sent, sent + took);
            prop_assert!(took + wait >= INTERVAL.mul_f64(0.9));
            prop_assert!(took + wait <= INTERVAL.mul_f64(1.1));
        }

        #[test]
        fn after_an_answer_slower_than_the_interval_the_wait_is_zero(seed: u64, took_s in 67_u64..1_000) {
            let sent = Instant::now();
            let wait = begun(seed).after_outcome(&delivered(), sent, sent + Duration::from_secs(took_s));
            prop_assert_eq!(wait, Duration::ZERO);
        }

        #[test]
        fn the_wait_after_a_refusal_obeys_retry_after_within_bounds(
            seed: u64,
            asked_s in prop::option::of(prop_oneof![0_u64..=200_000, 0_u64..=u64::MAX]),
            proved: bool,
        ) {
            let asked = asked_s.map(Duration::from_secs);
            let now = Instant::now();
            let mut answer = refused(429, asked);
            if let HeartbeatOutcome::Refused { proof, .. } = &mut answer {
                *proof = proved.then_some(NetworkPath::Unknown);
            }
            let wait = begun(seed).after_outcome(&answer, now, now);
            let longest = Duration::from_hours(if proved { 24 } else { 1 });
            let least = asked.unwrap_or_default().clamp(INTERVAL, longest);
            let most = (least.mul_f64(1.1)).min(least + Duration::from_mins(5));
            prop_assert!(wait >= least && wait <= most, "{wait:?}");
        }

        #[test]
        fn the_wait_after_a_failure_stays_below_the_cap(seed: u64, failures in 1_usize..50) {
            let mut pacing = pacing(seed);
            let now = Instant::now();
            for _ in 0..failures {
                prop_assert!(pacing.after_outcome(&failed(), now, now) < Duration::from_secs(30));
            }
        }

        #[test]
        fn the_cap_is_never_above_the_interval(seed: u64, interval_ms in 1_u64..60_000) {
            let interval = Duration::from_millis(interval_ms);
            let settings = HeartbeatSettings { interval, ..settings("http://127.0.0.1/") };
            let mut pacing = Pacing::with_seed(&settings, seed);
            let now = Instant::now();
            for _ in 0..20 {
                prop_assert!(pacing.after_outcome(&failed(), now, now) <= interval);
            }
        }
    }
}
