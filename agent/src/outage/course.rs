//! What a failure looked like while it was not known yet whether it is an outage.
//!
//! In the grace period after a link-up an outage may go through several causes before it opens: a router
//! that reboots takes its carrier away for a moment, is silent for half a minute, and comes back before
//! its line does. The newest evidence alone would blame the last of them for all of that time.

use std::time::Duration;

use super::Cause;
use crate::clock::Stamp;

/// The causes of a failure so far, in the order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct CauseCourse {
    /// Each cause, and since when it holds.
    causes: Vec<(Cause, Stamp)>,
    /// What is seen in place of the last of them.
    other: Option<Other>,
}

/// A cause that does not hold for long enough yet.
#[derive(Clone, Copy, Debug)]
struct Other {
    cause: Cause,
    /// Since when it is seen.
    seen: Stamp,
    /// Since when the last cause that holds is not seen any more: what was seen in between for a moment was a
    /// question that had no answer yet.
    from: Stamp,
}

/// The most causes that are kept: a grace period is a minute by default, and each must hold for seconds.
const MOST_CAUSES: usize = 20;

impl CauseCourse {
    /// The failure that began at `since` has this cause at `now`. It counts when it is seen for as long as
    /// `holds`, in which everybody who is asked has answered; that there is no link is the kernel's word and
    /// counts at once.
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

    /// The causes until `now`, of which the last is `cause`.
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
    fn a_cause_counts_when_it_holds() {
        let mut course = CauseCourse::default();
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
    fn a_first_impression_is_no_cause() {
        let mut course = CauseCourse::default();
        course.note(Cause::Isp, at(0), at(1), HOLDS);
        course.note(Cause::Gateway, at(0), at(2), HOLDS);
        assert_eq!(course.until(Cause::Gateway, at(0), at(4)), [(Cause::Gateway, at(0))]);
    }

    #[test]
    fn a_failure_without_a_course_has_one_cause() {
        assert_eq!(CauseCourse::default().until(Cause::Isp, at(3), at(9)), [(Cause::Isp, at(3))]);
    }
}
