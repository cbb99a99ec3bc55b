//! Whether this device can send probes at all.
//!
//! | state | probe not sent | probe sent | 10 s later |
//! |---|---|---|---|
//! | `Seeing` | `Failing` | – | – |
//! | `Failing` | – | `Seeing` | `Blind`: open incidents are recorded up to the last evidence |
//! | `Blind` | – | `Seeing`, and a gap | – |
//!
//! A local failure (no free descriptor, no memory, no free port) is no evidence about the connection.
//! While no probe can be sent nothing is monitored, and that is a gap.

use std::time::Duration;

use crate::{clock::Stamp, probe::LocalFailure};

/// How long no probe could be sent before that counts as a gap.
const BLIND_AFTER: Duration = Duration::from_secs(10);

/// The state; see the module's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sight {
    /// Probes are sent.
    #[default]
    Seeing,
    /// The last probe could not be sent.
    Failing { since: Stamp, reason: LocalFailure },
    /// No probe could be sent for ten seconds.
    Blind { since: Stamp, reason: LocalFailure },
}

impl Sight {
    /// Handles a probe that could not be sent.
    pub(super) fn not_sent(self, at: Stamp, reason: LocalFailure) -> Self {
        match self {
            Self::Seeing => Self::Failing { since: at, reason },
            other => other,
        }
    }

    /// Advances to `now`.
    pub(super) fn at(self, now: Stamp) -> Self {
        match self {
            Self::Failing { since, reason } if now.is_at_or_after(since.later(BLIND_AFTER)) => {
                Self::Blind { since, reason }
            }
            other => other,
        }
    }

    /// Since when and why no probes can be sent, once that has lasted for [`BLIND_AFTER`].
    pub(super) fn blind(self) -> Option<(Stamp, LocalFailure)> {
        match self {
            Self::Blind { since, reason } => Some((since, reason)),
            Self::Seeing | Self::Failing { .. } => None,
        }
    }

    /// When `Failing` becomes `Blind`.
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
    fn ten_seconds_without_probes_are_a_gap_from_the_first_failure() {
        let at = |seconds| {
            let start =
                Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall: jiff::Timestamp::UNIX_EPOCH };
            start.later(Duration::from_secs(seconds))
        };
        let reason = LocalFailure::NoDescriptors;
        let failing = Sight::Seeing.not_sent(at(5), reason).not_sent(at(6), LocalFailure::NoPort);
        assert_eq!(failing.at(at(14)).blind(), None);
        let blind = failing.at(at(15));
        assert_eq!(blind.blind(), Some((at(5), reason)));
        assert_eq!(blind.deadline(), None);
    }
}
