//! A pause of the monitoring, and its limits.

use std::time::Duration;

use crate::clock::Stamp;

/// The longest pause, which is the longest silence that a heartbeat can announce.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(ispmon_wire::limits::QUIET_SECONDS as u64);
/// The shortest pause.
pub const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// A pause that a user has requested. The [`service`](crate::service) owns the current one and decides
/// when it is over; the monitor holds a copy to record it. Only at a start the monitor decides, by the
/// journal, whether an earlier pause continues; after a crash it counts from the restart on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it began.
    pub since: Stamp,
    /// When it ends by itself.
    pub until: Stamp,
    /// When it ends at the latest, in the current boot: `until` may be of an earlier boot, and the wall
    /// clocks of two boots may disagree.
    latest: Stamp,
}

impl Pause {
    /// Creates a pause between two moments.
    pub fn new(since: Stamp, until: Stamp) -> Self {
        Self { since, until, latest: until }
    }

    /// Returns the pause as it continues in a run of the agent that starts at `now`: for at most its whole
    /// length from then on, and at most [`LONGEST_PAUSE`], whatever the clocks show.
    #[must_use]
    pub fn continued(self, now: Stamp) -> Self {
        let whole = self.until.since(&self.since).unwrap_or(LONGEST_PAUSE);
        Self { latest: now.later(whole.min(LONGEST_PAUSE)), ..self }
    }

    /// Returns a pause of the same end that began at `since`.
    #[must_use]
    pub fn starting(self, since: Stamp) -> Self {
        Self { since, ..self }
    }

    /// The time left at `now`, zero when it is over.
    pub fn time_left(&self, now: &Stamp) -> Duration {
        self.until.time_left(now).min(self.latest.time_left(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot: u128, second: u64, wall: &str) -> Stamp {
        let boot = uuid::Uuid::from_u128(boot).to_string().parse().expect("a boot id");
        Stamp { boot, boot_ms: second * 1_000, wall: wall.parse().expect("a time") }
    }

    #[test]
    fn a_clock_that_starts_in_the_past_does_not_prolong_a_pause() {
        let since = stamp(1, 0, "2026-11-24T10:00:00Z");
        let pause = Pause::new(since, since.later(Duration::from_hours(2)));
        let time_left = |now| pause.continued(now).time_left(&now);
        assert_eq!(time_left(stamp(2, 30, "1970-01-01T00:00:30Z")), Duration::from_hours(2));
        let set = stamp(2, 60, "2026-11-24T11:45:00Z");
        assert_eq!(time_left(set), Duration::from_mins(15));
        assert_eq!(time_left(stamp(2, 60, "2026-11-25T08:00:00Z")), Duration::ZERO);
    }
}
