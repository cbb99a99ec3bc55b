//! Whether this device can ask anything at all.
//!
//! | state | question not asked | a question was asked | 10 s later |
//! |---|---|---|---|
//! | `Seeing` | `Failing` | – | – |
//! | `Failing` | – | `Seeing` | `Blind` |
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

    /// A question was asked; the beginning of the gap and its reason if there was one.
    pub(super) fn asked(self) -> (Self, Option<(Stamp, LocalFailure)>) {
        match self {
            Self::Seeing | Self::Failing { .. } => (Self::Seeing, None),
            Self::Blind { since, reason } => (Self::Seeing, Some((since, reason))),
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

    /// Why nothing can be asked, when that has lasted for long enough.
    pub(super) fn blind_reason(self) -> Option<LocalFailure> {
        match self {
            Self::Blind { reason, .. } => Some(reason),
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
        assert_eq!(failing.at(at(14)).asked(), (Sight::Seeing, None));
        let blind = failing.at(at(15));
        assert_eq!(blind.blind_reason(), Some(reason));
        assert_eq!(blind.asked(), (Sight::Seeing, Some((at(5), reason))));
    }
}
