//! When a stateful alert resolves.

use jiff::SignedDuration;

/// A frequency at which no stateful rule can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an alert of a rule that is evaluated every {frequency:#} cannot resolve: stateful rules run every 1 min to 12 h"
)]
pub struct FrequencyError {
    frequency: SignedDuration,
}

/// Returns how many consecutive healthy evaluations resolve an alert of a rule with this frequency.
///
/// From Azure's table for log alerts (Microsoft Learn, "Types of Azure Monitor alerts", stateful
/// log alerts): with an evaluation every minute the condition must not be met for 10 minutes, every
/// 5 to 15 minutes for three periods, every 15 minutes to 11 hours for two, every 11 to 12 hours
/// for one; above 12 hours alerts are not stateful. The table lists 15 minutes twice: a rule with a
/// frequency of 15 minutes was measured to resolve at its second healthy evaluation, which also
/// shows that a period is one evaluation. So with five minutes the resolved mail is sent 10 to 15
/// minutes after the heartbeats are back, plus ingestion; if a period were the time between two
/// healthy evaluations, it would be sent five minutes later. A frequency between 1 and 5 minutes
/// does not exist.
pub fn healthy_evaluations(frequency: SignedDuration) -> Result<u32, FrequencyError> {
    const MINUTE: SignedDuration = SignedDuration::from_mins(1);
    const FIVE_MINUTES: SignedDuration = SignedDuration::from_mins(5);
    const QUARTER: SignedDuration = SignedDuration::from_mins(15);
    const ELEVEN_HOURS: SignedDuration = SignedDuration::from_hours(11);
    const TWELVE_HOURS: SignedDuration = SignedDuration::from_hours(12);
    if frequency == MINUTE {
        Ok(10)
    } else if (FIVE_MINUTES..QUARTER).contains(&frequency) {
        Ok(3)
    } else if (QUARTER..ELEVEN_HOURS).contains(&frequency) {
        Ok(2)
    } else if (ELEVEN_HOURS..=TWELVE_HOURS).contains(&frequency) {
        Ok(1)
    } else {
        Err(FrequencyError { frequency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table() {
        for (minutes, evaluations) in [
            (1, 10),
            (5, 3),
            (10, 3),
            (15, 2),
            (30, 2),
            (60, 2),
            (6 * 60, 2),
            (11 * 60, 1),
            (12 * 60, 1),
        ] {
            let frequency = SignedDuration::from_mins(minutes);
            assert_eq!(healthy_evaluations(frequency), Ok(evaluations), "every {minutes} min");
        }
    }

    #[test]
    fn no_stateful_rule_beyond_twelve_hours_or_between_the_rows() {
        for minutes in [0, 2, 4, 12 * 60 + 1, 24 * 60] {
            let error =
                healthy_evaluations(SignedDuration::from_mins(minutes)).expect_err("no row");
            assert!(error.to_string().contains("1 min to 12 h"));
        }
    }
}
