//! Whether this device can ask anything at all.
//!
//! | state | question not asked | a question was asked | 10 s later |
//! |---|---|---|---|
//! | `Seeing` | `Failing` | – | – |
//! | `Failing` | – | `Seeing` | `Blind`: what is open is recorded as far as it was seen |
//! | `Blind` | – | `Seeing`, and a gap | – |
//!
//! A failure that is made on this device (no free descriptor, no memory, no free port) says nothing about
//! the connection. While nothing can be asked nothing is monitored, and that is a gap.

use std::time::Duration;

use crate::{clock::Stamp, probe::LocalFailure};

/// How long nothing could be asked until that is a gap.
const BLIND_AFTER: Duration = Duration::from_secs(10);

/// The state; see the table of this module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sight {
    /// Questions are asked.
    #[default]
    Seeing,
    /// The last question could not be asked.
    Failing { since: Stamp, reason: LocalFailure },
    /// Nothing could be asked for ten seconds.
    Blind { since: Stamp, reason: LocalFailure },
}

impl Sight {
    /// A question could not be asked.
    pub(super) fn not_asked(self, at: Stamp, reason: LocalFailure) -> Self {
        match self {
            Self::Seeing => Self::Failing { since: at, reason },
            other => other,
        }
    }

    /// Time has passed.
    pub(super) fn at(self, now: Stamp) -> Self {
        match self {
            Self::Failing { since, reason } if now.is_at_or_after(since.later(BLIND_AFTER)) => {
                Self::Blind { since, reason }
            }
            other => other,
        }
    }

    /// Since when and why nothing can be asked, when that has lasted for long enough.
    pub(super) fn blind(self) -> Option<(Stamp, LocalFailure)> {
        match self {
            Self::Blind { since, reason } => Some((since, reason)),
            Self::Seeing | Self::Failing { .. } => None,
        }
    }

    /// When it becomes a gap.
    pub(super) fn deadline(self) -> Option<Stamp> {
        match self {
            Self::Failing { since, .. } => Some(since.later(BLIND_AFTER)),
            Self::Seeing | Self::Blind { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootId;

    #[test]
    fn what_cannot_be_asked_for_ten_seconds_is_a_gap_from_its_beginning() {
        let at = |seconds| {
            let start =
                Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall: jiff::Timestamp::UNIX_EPOCH };
            start.later(Duration::from_secs(seconds))
        };
        let reason = LocalFailure::NoDescriptors;
        let failing = Sight::Seeing.not_asked(at(5), reason).not_asked(at(6), LocalFailure::NoPort);
        assert_eq!(failing.at(at(14)).blind(), None);
        let blind = failing.at(at(15));
        assert_eq!(blind.blind(), Some((at(5), reason)));
        assert_eq!(blind.deadline(), None);
    }
}
