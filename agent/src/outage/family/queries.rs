//! What the evidence shows about an address family.

use std::time::Duration;

use super::{
    AnchorAnswers, Decided, FamilyPhase, FamilyTrack, HeartbeatProof, OPEN_AFTER, ROUNDS_TO_AGREE,
    latest,
};
use crate::{
    clock::Stamp,
    outage::{Observation, ProbeKind, network::Network},
    probe::{AnchorEnd, LinkAnswer, RouterOutcome},
};

/// How many rounds and probes must fail, while heartbeats succeed, before anchors that have never
/// answered count as blocked.
const NEVER_ANSWERED: u32 = 3;
/// How soon after the router was probed something must prove itself for the router's silence to count as
/// its normal behaviour. Below a second: the TCP probe of the router is retransmitted after one second
/// (RFC 6298), and that packet must have found a working connection.
const PROVED_WITHIN: Duration = Duration::from_millis(900);
/// How long the kernel's report that the router is gone takes precedence over a silent router.
const GONE_HOLDS: Duration = Duration::from_mins(1);

impl FamilyTrack {
    /// Whether no anchor is of this family.
    pub(in crate::outage) fn has_no_anchors(&self) -> bool {
        self.has_no_anchors
    }

    pub(in crate::outage) fn state(&self) -> FamilyPhase {
        self.state
    }

    /// Whether packets can be sent over it: there is a route, or it is not known that there is none.
    pub(in crate::outage) fn is_routed(&self) -> bool {
        matches!(self.link(), Some(LinkAnswer::Routed(_) | LinkAnswer::Unknown))
    }

    /// Whether it is known that there is no route.
    pub(in crate::outage) fn has_no_route(&self) -> bool {
        self.link().is_some() && !self.is_routed()
    }

    pub(in crate::outage) fn is_down(&self) -> bool {
        matches!(self.state, FamilyPhase::Down { .. })
    }

    pub(in crate::outage) fn is_up(&self) -> bool {
        self.state == FamilyPhase::Up
    }

    pub(in crate::outage) fn link(&self) -> Option<&LinkAnswer> {
        self.link.as_ref().map(|(link, _)| link)
    }

    /// The current network, or the last one.
    pub(in crate::outage) fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// The network of the router on its path.
    pub(in crate::outage) fn router_network(&self) -> Option<&Network> {
        self.underlay_network.as_ref().or(self.network())
    }

    /// Whether the family works although the router is silent: it is up, and something proved itself
    /// soon after the router was probed at `asked`. The router is probed twice, a second apart, so it was
    /// probed again after that proof.
    pub(in crate::outage) fn works_despite_silent_router(&self, asked: Stamp) -> bool {
        let is_soon = |proof: Stamp| {
            proof.since(&asked).is_some_and(|after| after < PROVED_WITHIN)
                && proof.is_at_or_after(asked)
        };
        self.is_up() && self.last_proof.is_some_and(is_soon)
    }

    /// Whether its route leads into a tunnel.
    pub(in crate::outage) fn is_tunnelled(&self) -> bool {
        self.link().and_then(LinkAnswer::route).is_some_and(|route| route.tunnel)
    }

    /// Whether it has lost its route on a network that the device is still on. `other` is the current
    /// network of the other family; it shows whether the device has moved.
    pub(in crate::outage) fn has_lost_its_route(&self, other: Option<&Network>) -> bool {
        let is_same = match (&self.companion, other) {
            (Some(before), Some(now)) => before.may_be(now),
            (before, now) => before.is_none() && now.is_none(),
        };
        self.has_no_route() && self.network.is_some() && is_same
    }

    /// Whether heartbeats succeed while no anchor ever answers.
    pub(in crate::outage) fn is_blocked(&self) -> bool {
        self.heartbeats == HeartbeatProof::Pass
            && match self.anchors {
                AnchorAnswers::Unanswered(failures) => failures >= NEVER_ANSWERED,
                AnchorAnswers::Answered | AnchorAnswers::Disputed { .. } => false,
                AnchorAnswers::Overruled { .. } => true,
            }
    }

    /// Whether no anchor has answered since the last link-up.
    pub(in crate::outage) fn has_no_answer(&self) -> bool {
        matches!(self.anchors, AnchorAnswers::Unanswered(_))
    }

    /// Whether no round has been decided since the last link-up.
    pub(in crate::outage) fn has_no_round(&self) -> bool {
        self.rounds.is_empty()
    }

    /// Whether a round that began at `at` or later has been decided, or no round can be.
    pub(in crate::outage) fn has_round_since(&self, at: Stamp) -> bool {
        self.has_no_route() || self.rounds.iter().any(|round| round.started.is_at_or_after(at))
    }

    /// Whether the next rounds must decide if anchors are blocked here.
    pub(in crate::outage) fn is_disputed(&self) -> bool {
        matches!(self.anchors, AnchorAnswers::Disputed { .. })
    }

    /// Whether an answer since `at` shows that it works; contact counts if `by_contact`.
    pub(in crate::outage) fn is_verified_since(&self, at: Stamp, by_contact: bool) -> bool {
        let contact = self.last_contact.filter(|_| by_contact);
        let ok = latest(self.last_proof, contact);
        self.trusts_heartbeats() || ok.is_some_and(|ok| ok.is_at_or_after(at))
    }

    /// Whether heartbeats decide instead of the anchors, because these are blocked here or may be.
    pub(in crate::outage) fn trusts_heartbeats(&self) -> bool {
        self.heartbeats == HeartbeatProof::Pass && self.anchors != AnchorAnswers::Answered
    }

    /// The last good answer. Contact counts unless the newest rounds contradict it, that is, unless
    /// they found anchors that connect and prove nothing.
    pub(in crate::outage) fn last_ok(&self) -> Option<Stamp> {
        let failed = self.rounds.iter().rev().take(self.failed_in_a_row());
        let mut answers = failed.flat_map(|round| &round.answers);
        let is_contradicted = answers.any(|answer| answer.end == AnchorEnd::Unproved);
        let contact = self.last_contact.filter(|_| !is_contradicted);
        latest(self.last_proof, contact)
    }

    /// When the first failed probe was sent, or the last good answer if that is later.
    pub(in crate::outage) fn failing_since(&self) -> Option<Stamp> {
        match self.state {
            FamilyPhase::Unknown { since, .. } | FamilyPhase::Doubt { since, .. } => {
                Some(self.last_ok().filter(|ok| ok.is_at_or_after(since)).unwrap_or(since))
            }
            FamilyPhase::Down { since } => Some(since),
            FamilyPhase::Up => None,
        }
    }

    /// When the current failure will have lasted long enough, if it continues.
    pub(in crate::outage) fn due_at(&self) -> Option<Stamp> {
        match self.state {
            FamilyPhase::Unknown { until, .. } => Some(until),
            FamilyPhase::Doubt { since, .. } => Some(since.later(OPEN_AFTER)),
            FamilyPhase::Up | FamilyPhase::Down { .. } => None,
        }
    }

    /// Whether it is in doubt and the probes since then have failed: it is about to be decided.
    pub(in crate::outage) fn is_failing(&self) -> bool {
        matches!(self.state, FamilyPhase::Doubt { .. })
            && (self.has_no_route() || self.has_failed())
    }

    /// Whether its state explains failing heartbeats.
    pub(in crate::outage) fn excuses_heartbeats(&self) -> bool {
        self.is_down() || !self.is_up() && (self.has_no_route() || self.has_failed())
    }

    /// Whether it is down and the newest round was good: it is about to return.
    pub(in crate::outage) fn is_returning(&self) -> bool {
        self.is_down() && !self.has_no_route() && self.first_good_of_row().is_some()
    }

    /// Whether the newest round has failed.
    pub(in crate::outage) fn has_failed(&self) -> bool {
        self.failed_in_a_row() > 0
    }

    pub(super) fn failed_in_a_row(&self) -> usize {
        self.rounds.iter().rev().take_while(|round| round.good.is_none()).count()
    }

    /// The first good answer of the good rounds in a row that began after the failure, and the number
    /// of these rounds.
    pub(super) fn first_good_of_row(&self) -> Option<(Stamp, usize)> {
        let failed = self.failing_since();
        let good: Vec<_> = self
            .rounds
            .iter()
            .rev()
            .take_while(|round| failed.is_none_or(|failed| round.started.is_at_or_after(failed)))
            .map_while(|round| round.good)
            .collect();
        let first = good.iter().copied().reduce(Stamp::earliest)?;
        Some((first, good.len()))
    }

    /// The router's answer, if it was probed at `since` or later.
    pub(in crate::outage) fn gateway(&self, since: Stamp, now: Stamp) -> Option<RouterOutcome> {
        let gone = self.gone.filter(|at| {
            at.is_at_or_after(since) && now.since(at).is_some_and(|age| age < GONE_HOLDS)
        });
        let answered = self.gateway.as_ref().filter(|(_, asked)| asked.at.is_at_or_after(since));
        gone.map(|_| RouterOutcome::Gone).or(answered.map(|(answer, _)| *answer))
    }

    /// Whether an anchor answered beneath the tunnel, if it was probed at `since` or later.
    pub(in crate::outage) fn is_underlay_alive(&self, since: Stamp) -> bool {
        self.underlay
            .as_ref()
            .is_some_and(|(alive, asked)| *alive && asked.at.is_at_or_after(since))
    }

    /// Whether this device blocked the packets to at least half of the anchors in the newest failed
    /// round.
    pub(in crate::outage) fn is_forbidden(&self) -> bool {
        let since = self.failing_since();
        let is_fresh = |round: &&Decided| {
            round.good.is_none() && since.is_none_or(|since| round.started.is_at_or_after(since))
        };
        let Some(round) = self.rounds.back().filter(is_fresh) else { return false };
        let counted = round.answers.iter().filter(|answer| !answer.own_path);
        let forbidden = counted.clone().filter(|answer| answer.end == AnchorEnd::Forbidden).count();
        forbidden > 0 && forbidden * 2 >= counted.count()
    }

    /// All observations that support the current state and were made at `since` or later.
    pub(in crate::outage) fn evidence(&self, since: Stamp) -> Vec<Observation> {
        let link = self.link.as_ref().map(|(link, asked)| Observation {
            probe: ProbeKind::Link,
            target: link.route().map_or_else(|| "any".to_owned(), |route| route.interface.clone()),
            family: Some(self.family),
            answer: link.as_str().to_owned(),
            ms: None,
            at: *asked,
        });
        let failed = self.failed_in_a_row().min(ROUNDS_TO_AGREE);
        let rounds = self.rounds.iter().skip(self.rounds.len() - failed);
        let answers = rounds.flat_map(|round| &round.answers);
        let fresh = |asked: &&Observation| asked.at.is_at_or_after(since);
        link.into_iter()
            .chain(answers.map(|answer| answer.observation(self.family)))
            .chain(self.gateway.as_ref().map(|(_, asked)| asked).filter(fresh).cloned())
            .chain(self.underlay.as_ref().map(|(_, asked)| asked).filter(fresh).cloned())
            .collect()
    }
}
