//! The states of an address family, and the steps between them.
//!
//! A family is in one of four states; only [`FamilyPhase::step`] changes it:
//!
//! | state | doubt | good round | two good rounds | proof | failed long enough | link-up | start, resume |
//! |---|---|---|---|---|---|---|---|
//! | `Unknown` | – | `Up` | `Up` | `Up` | `Down` | – (the grace period continues) | `Unknown` |
//! | `Up` | `Doubt` | – | – | – | – | `Unknown` | `Unknown` |
//! | `Doubt` | earlier start | `Up`, maybe a blip | `Up` | `Up` | `Down` | `Unknown` (keeps its start) | `Unknown` |
//! | `Down` | – | – | `Up` | `Up` | – | – | `Unknown` |
//!
//! - *Doubt* is raised by a connect that fails or is not answered within a second, by a failed round,
//!   by a failed heartbeat, by a proof probe that fails, and by the kernel when there is no route.
//! - A *round* is good if an anchor proved itself; if none ever has on this network, a completed
//!   handshake is enough.
//! - *Failed long enough*: two failed rounds in a row, or no route, and four seconds since the probe
//!   that raised the doubt was sent; in `Unknown` the grace period is over.
//! - *Proof* comes from a heartbeat or a probe outside the rounds. It voids the failures of rounds that
//!   began before it was completed.

use std::time::Duration;

use crate::clock::Stamp;

/// A doubt without a failed round is a blip only if nothing answered for this long: a single lost
/// packet, answered after its retransmission, is packet loss and not a failure.
const SHORTEST_BLIP: Duration = Duration::from_millis(1_500);

/// The state of a family; see the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::outage) enum FamilyPhase {
    /// Not known yet, after a start, a resume or a link-up.
    Unknown {
        /// The start of the failure if it turns out to be one.
        since: Stamp,
        /// The end of the grace period; no incident opens before.
        until: Stamp,
        /// Whether the link-up came during a doubt, which is a blip if it ends well.
        was_doubted: bool,
    },
    /// It works.
    Up,
    /// Something failed; not decided yet.
    Doubt {
        /// When the first failed probe was sent.
        since: Stamp,
        /// The most certain failure so far.
        worst: Failed,
    },
    /// It does not work.
    Down {
        /// When the first failed probe was sent.
        since: Stamp,
    },
}

/// What can fail, the least certain first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::outage) enum Failed {
    /// A heartbeat or a proof probe, which can fail for other reasons.
    Other,
    /// A connect to an anchor.
    Connect,
    /// A round, or the link.
    Round,
}

/// An event that may change the state of a family.
#[derive(Clone, Copy, Debug)]
pub(in crate::outage) enum FamilySignal {
    /// The agent has started, or a gap has ended: the grace period lasts until `until`.
    Started { now: Stamp, until: Stamp },
    /// A link has come up.
    LinkUp { now: Stamp, until: Stamp },
    /// A probe failed that was sent at `sent`.
    Doubted { sent: Stamp, what: Failed },
    /// The newest round was good. `returned` is the first good answer of [`super::ROUNDS_TO_AGREE`] or more
    /// good rounds in a row, all of which began after the failure.
    Good { answered: Stamp, returned: Option<Stamp> },
    /// A proof was completed at `finished`.
    Proved { finished: Stamp },
    /// The failure that began at `since` has lasted long enough.
    FailedLongEnough { since: Stamp },
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::outage) enum FamilyChange {
    /// A failure ended that was too short to be an incident.
    Blip,
    /// It has failed long enough.
    WentDown,
    /// It works again since this stamp.
    CameUp(Stamp),
}

impl FamilyPhase {
    /// Returns the next state and the outcome; implements the module's table.
    pub(in crate::outage) fn step(self, signal: FamilySignal) -> (Self, Option<FamilyChange>) {
        match (self, signal) {
            (_, FamilySignal::Started { now, until })
            | (Self::Up, FamilySignal::LinkUp { now, until }) => {
                (Self::Unknown { since: now, until, was_doubted: false }, None)
            }
            (Self::Doubt { since, .. }, FamilySignal::LinkUp { until, .. }) => {
                (Self::Unknown { since, until, was_doubted: true }, None)
            }
            (Self::Up, FamilySignal::Doubted { sent, what }) => {
                (Self::Doubt { since: sent, worst: what }, None)
            }
            (Self::Doubt { since, worst }, FamilySignal::Doubted { sent, what }) => {
                (Self::Doubt { since: since.earliest(sent), worst: worst.max(what) }, None)
            }
            (
                Self::Unknown { was_doubted, .. },
                FamilySignal::Good { .. } | FamilySignal::Proved { .. },
            ) => (Self::Up, was_doubted.then_some(FamilyChange::Blip)),
            (
                Self::Doubt { since, worst },
                FamilySignal::Good { answered, .. } | FamilySignal::Proved { finished: answered },
            ) => {
                let is_long = answered.since(&since).is_some_and(|took| took >= SHORTEST_BLIP);
                let is_blip = match worst {
                    Failed::Other => false,
                    Failed::Connect => is_long,
                    Failed::Round => true,
                };
                (Self::Up, is_blip.then_some(FamilyChange::Blip))
            }
            (Self::Down { .. }, FamilySignal::Good { returned: Some(at), .. })
            | (Self::Down { .. }, FamilySignal::Proved { finished: at }) => {
                (Self::Up, Some(FamilyChange::CameUp(at)))
            }
            (
                Self::Unknown { .. } | Self::Doubt { .. },
                FamilySignal::FailedLongEnough { since },
            ) => (Self::Down { since }, Some(FamilyChange::WentDown)),
            (state, _) => (state, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootId;

    fn at(ms: u64) -> Stamp {
        Stamp { boot: BootId::UNKNOWN, boot_ms: ms, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    /// Checks the module's whole table.
    #[test]
    fn every_state_handles_every_signal() {
        let unknown = FamilyPhase::Unknown { since: at(1), until: at(60), was_doubted: false };
        let doubt = FamilyPhase::Doubt { since: at(10), worst: Failed::Connect };
        let down = FamilyPhase::Down { since: at(10) };
        let doubted = FamilySignal::Doubted { sent: at(5), what: Failed::Round };
        let good = FamilySignal::Good { answered: at(9), returned: None };
        let returned = FamilySignal::Good { answered: at(9), returned: Some(at(8)) };
        let proved = FamilySignal::Proved { finished: at(9) };
        let ripe = FamilySignal::FailedLongEnough { since: at(3) };
        let link_up = FamilySignal::LinkUp { now: at(20), until: at(80) };
        let started = FamilySignal::Started { now: at(20), until: at(80) };
        let fresh = FamilyPhase::Unknown { since: at(20), until: at(80), was_doubted: false };
        let kept = FamilyPhase::Unknown { since: at(10), until: at(80), was_doubted: true };
        let now_doubt = FamilyPhase::Doubt { since: at(5), worst: Failed::Round };
        let now_down = FamilyPhase::Down { since: at(3) };
        for (state, signal, next) in [
            (unknown, doubted, unknown),
            (unknown, good, FamilyPhase::Up),
            (unknown, proved, FamilyPhase::Up),
            (unknown, ripe, now_down),
            (unknown, link_up, unknown),
            (FamilyPhase::Up, doubted, now_doubt),
            (FamilyPhase::Up, good, FamilyPhase::Up),
            (FamilyPhase::Up, proved, FamilyPhase::Up),
            (FamilyPhase::Up, ripe, FamilyPhase::Up),
            (FamilyPhase::Up, link_up, fresh),
            (doubt, doubted, now_doubt),
            (doubt, good, FamilyPhase::Up),
            (doubt, proved, FamilyPhase::Up),
            (doubt, ripe, now_down),
            (doubt, link_up, kept),
            (down, doubted, down),
            (down, good, down),
            (down, returned, FamilyPhase::Up),
            (down, proved, FamilyPhase::Up),
            (down, ripe, down),
            (down, link_up, down),
        ] {
            assert_eq!(state.step(signal).0, next, "{state:?} and {signal:?}");
            assert_eq!(state.step(started), (fresh, None));
        }
    }

    #[test]
    fn a_doubt_that_ends_well_is_a_blip_depending_on_what_failed() {
        let end = |worst, ms| {
            let doubt = FamilyPhase::Doubt { since: at(0), worst };
            doubt.step(FamilySignal::Good { answered: at(ms), returned: None }).1
        };
        assert_eq!(end(Failed::Other, 30_000), None, "a heartbeat can fail for other reasons");
        assert_eq!(end(Failed::Connect, 1_400), None, "one lost packet");
        assert_eq!(end(Failed::Connect, 1_500), Some(FamilyChange::Blip));
        assert_eq!(end(Failed::Round, 20), Some(FamilyChange::Blip));
        let interrupted = FamilyPhase::Unknown { since: at(0), until: at(60), was_doubted: true };
        assert_eq!(
            interrupted.step(FamilySignal::Proved { finished: at(5) }).1,
            Some(FamilyChange::Blip)
        );
    }
}
