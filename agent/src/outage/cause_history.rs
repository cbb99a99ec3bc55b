//! The causes of a failure while it is not decided yet whether it is an outage.
//!
//! In the grace period after a link-up an outage may go through several causes before it opens: a
//! router that reboots drops its carrier for a moment, does not answer for half a minute, and comes
//! back before its uplink does. The newest evidence alone would blame the last of them for all of that
//! time.

use std::time::Duration;

use super::Cause;
use crate::clock::Stamp;

/// The causes of a failure so far, in chronological order.
#[derive(Clone, Debug, Default)]
pub(super) struct CauseHistory {
    /// Each cause and its start.
    causes: Vec<(Cause, Stamp)>,
    /// A different cause that was seen after the last one.
    other: Option<Other>,
}

/// A cause that has not held for long enough yet.
#[derive(Clone, Copy, Debug)]
struct Other {
    cause: Cause,
    /// Since when this cause is seen.
    seen: Stamp,
    /// Since when the last confirmed cause is no longer seen. Short-lived causes in between were probes
    /// without a result yet.
    from: Stamp,
}

/// The most causes that are kept: a grace period is a minute by default, and each cause must hold for
/// seconds.
const MOST_CAUSES: usize = 20;

impl CauseHistory {
    /// Notes that the failure that began at `since` has this cause at `now`. The cause counts once it
    /// has been seen for `holds`, enough for every probe to have a result; a missing link is reported
    /// by the kernel and counts at once.
    pub(super) fn note(&mut self, cause: Cause, since: Stamp, now: Stamp, holds: Duration) {
        let last = self.causes.last().map(|(last, _)| *last);
        if last == Some(cause) {
            self.other = None;
            return;
        }
        let begins = if last.is_none() { since } else { now };
        let other = match self.other {
            Some(other) if other.cause == cause => other,
            Some(other) => Other { cause, seen: now, from: other.from },
            None => Other { cause, seen: begins, from: begins },
        };
        let is_certain =
            cause == Cause::Link || now.since(&other.seen).is_some_and(|held| held >= holds);
        if !is_certain {
            self.other = Some(other);
        } else if self.causes.len() < MOST_CAUSES {
            self.causes.push((cause, other.from));
            self.other = None;
        }
    }

    /// The causes until `now`, the last of which is `cause`.
    pub(super) fn until(&self, cause: Cause, since: Stamp, now: Stamp) -> Vec<(Cause, Stamp)> {
        let mut course = self.clone();
        course.note(cause, since, now, Duration::ZERO);
        course.causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootId;

    const HOLDS: Duration = Duration::from_secs(6);

    fn at(s: u64) -> Stamp {
        Stamp { boot: BootId::UNKNOWN, boot_ms: s * 1_000, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_cause_counts_once_it_has_held() {
        let mut course = CauseHistory::default();
        course.note(Cause::Link, at(0), at(1), HOLDS);
        course.note(Cause::Isp, at(0), at(4), HOLDS);
        course.note(Cause::Gateway, at(0), at(5), HOLDS);
        course.note(Cause::Gateway, at(0), at(11), HOLDS);
        course.note(Cause::Isp, at(0), at(30), HOLDS);
        course.note(Cause::Link, at(0), at(31), HOLDS);
        course.note(Cause::Isp, at(0), at(40), HOLDS);
        assert_eq!(
            course.until(Cause::Isp, at(0), at(41)),
            [
                (Cause::Link, at(0)),
                (Cause::Gateway, at(4)),
                (Cause::Link, at(30)),
                (Cause::Isp, at(40))
            ]
        );
    }

    #[test]
    fn a_short_first_cause_is_dropped() {
        let mut course = CauseHistory::default();
        course.note(Cause::Isp, at(0), at(1), HOLDS);
        course.note(Cause::Gateway, at(0), at(2), HOLDS);
        assert_eq!(course.until(Cause::Gateway, at(0), at(4)), [(Cause::Gateway, at(0))]);
    }

    #[test]
    fn a_failure_without_earlier_causes_has_one_cause() {
        assert_eq!(CauseHistory::default().until(Cause::Isp, at(3), at(9)), [(Cause::Isp, at(3))]);
    }
}
