//! Chooses the log events for a heartbeat's outcome, given the previous ones.

use std::time::Duration;

use crate::{
    config::settings::HeartbeatUrl,
    event::{
        DeviceExpected, DeviceNotExpected, FirstHeartbeatDelivered, HeartbeatDelivered,
        HeartbeatFailed, HeartbeatFailedAgain, HeartbeatsRecovered, LogEvent,
    },
    heartbeat::{HeartbeatOutcome, OutcomeKind},
};

/// Turns outcomes into log events; only these are above level `debug`:
///
/// 1. The first delivered heartbeat, and the first one after failures.
/// 2. A failure, if it is the first of its kind since the last success: a night without connectivity that
///    fails in two ways by turns gives two log lines.
/// 3. The cloud's answer that it does not expect this device, and later that it does.
#[derive(Debug)]
pub(super) struct HeartbeatObserver {
    device: String,
    url: HeartbeatUrl,
    has_delivered: bool,
    streak: Option<FailureStreak>,
    is_unexpected: bool,
}

/// Failures with no success in between.
#[derive(Debug)]
struct FailureStreak {
    failures: u64,
    since: Duration,
    kinds: Vec<OutcomeKind>,
}

impl HeartbeatObserver {
    /// Creates an observer of the heartbeats that `device` sends to `url`.
    pub(super) fn new(device: &str, url: HeartbeatUrl) -> Self {
        Self {
            device: device.to_owned(),
            url,
            has_delivered: false,
            streak: None,
            is_unexpected: false,
        }
    }

    /// Returns the log events of an outcome at `now` (time since boot); the next attempt follows after `wait`.
    pub(super) fn observe<'a>(
        &'a mut self,
        outcome: &'a HeartbeatOutcome,
        wait: Duration,
        now: Duration,
    ) -> Vec<Box<dyn LogEvent + 'a>> {
        match outcome {
            HeartbeatOutcome::Delivered { client_address, expected, took, .. } => {
                let mut events: Vec<Box<dyn LogEvent + 'a>> = Vec::new();
                let first = !std::mem::replace(&mut self.has_delivered, true);
                match self.streak.take() {
                    Some(FailureStreak { failures, since, .. }) => {
                        let after = now.saturating_sub(since);
                        events.push(Box::new(HeartbeatsRecovered { failures, after }));
                    }
                    None if !first => events.push(Box::new(HeartbeatDelivered { outcome })),
                    None => {}
                }
                if first {
                    let (client_address, took) = (*client_address, *took);
                    events.push(Box::new(FirstHeartbeatDelivered {
                        url: &self.url,
                        client_address,
                        took,
                    }));
                }
                if let Some(expected) = *expected
                    && self.is_unexpected == expected
                {
                    self.is_unexpected = !expected;
                    let device = &self.device;
                    events.push(if expected {
                        Box::new(DeviceExpected { device })
                    } else {
                        Box::new(DeviceNotExpected { device })
                    });
                }
                events
            }
            HeartbeatOutcome::Refused { .. } | HeartbeatOutcome::Failed(_) => {
                vec![self.failed(outcome, wait, now)]
            }
        }
    }

    fn failed<'a>(
        &mut self,
        outcome: &'a HeartbeatOutcome,
        wait: Duration,
        now: Duration,
    ) -> Box<dyn LogEvent + 'a> {
        let streak =
            self.streak.get_or_insert(FailureStreak { failures: 0, since: now, kinds: Vec::new() });
        streak.failures += 1;
        let kind = outcome.kind();
        if streak.kinds.contains(&kind) {
            return Box::new(HeartbeatFailedAgain { outcome, failures: streak.failures, wait });
        }
        streak.kinds.push(kind);
        Box::new(HeartbeatFailed { outcome, wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat;

    const WAIT: Duration = Duration::from_secs(2);

    fn observer() -> HeartbeatObserver {
        let url = "https://ispmon.example/api/ping".parse().expect("a URL");
        HeartbeatObserver::new("dl-home", HeartbeatUrl::new(url, false))
    }

    fn delivered(expected: Option<bool>) -> HeartbeatOutcome {
        let took = Duration::from_millis(132);
        HeartbeatOutcome::Delivered {
            client_address: None,
            expected,
            date: None,
            proof: None,
            took,
        }
    }

    fn refused(status: u16) -> HeartbeatOutcome {
        heartbeat::tests::refused(status, None)
    }

    /// The names of the log events when one outcome a second is observed.
    fn kinds(outcomes: &[HeartbeatOutcome]) -> Vec<Vec<&'static str>> {
        let mut observer = observer();
        let mut now = Duration::from_secs(1_000);
        let mut observe = |outcome| {
            now += Duration::from_secs(1);
            observer.observe(outcome, WAIT, now).iter().map(|event| event.kind().name).collect()
        };
        outcomes.iter().map(&mut observe).collect()
    }

    #[test]
    fn only_the_first_delivery_is_logged_as_first() {
        assert_eq!(
            kinds(&[delivered(None), delivered(None), delivered(None)]),
            [["first_delivered"], ["delivered"], ["delivered"]]
        );
    }

    #[test]
    fn each_kind_of_failure_is_reported_once_until_a_success() {
        assert_eq!(
            kinds(&[
                delivered(None),
                refused(401),
                refused(401),
                refused(503),
                refused(401),
                refused(503),
                delivered(None),
                refused(401),
            ]),
            [
                ["first_delivered"],
                ["failed"],
                ["failed_again"],
                ["failed"],
                ["failed_again"],
                ["failed_again"],
                ["delivered_again"],
                ["failed"],
            ]
        );
    }

    #[test]
    fn a_first_delivery_after_failures_gives_both_events() {
        assert_eq!(
            kinds(&[refused(401), delivered(None)]),
            [vec!["failed"], vec!["delivered_again", "first_delivered"]]
        );
    }

    #[test]
    fn an_unexpected_device_is_reported_once_and_again_when_the_cloud_expects_it() {
        assert_eq!(
            kinds(&[
                delivered(Some(false)),
                delivered(Some(false)),
                delivered(None),
                delivered(Some(true)),
                delivered(Some(true)),
                delivered(Some(false)),
            ]),
            [
                vec!["first_delivered", "not_expected"],
                vec!["delivered"],
                vec!["delivered"],
                vec!["delivered", "expected_after_all"],
                vec!["delivered"],
                vec!["delivered", "not_expected"],
            ]
        );
    }

    #[test]
    fn recovery_is_logged_with_number_and_duration_of_the_failures() {
        let mut observer = observer();
        for (second, outcome) in [(100, refused(500)), (160, refused(500)), (220, refused(500))] {
            observer.observe(&outcome, WAIT, Duration::from_secs(second));
        }
        let outcome = delivered(None);
        let events = observer.observe(&outcome, WAIT, Duration::from_secs(283));
        insta::assert_snapshot!(events[0], @"Heartbeats work again after 3 failed attempts in 3 min 3 s.");
        insta::assert_snapshot!(events[1], @"The first heartbeat reached https://ispmon.example/api/ping in 132 ms.");
    }
}
