//! Whether one address family works, and since when it does not.
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

use std::{collections::VecDeque, time::Duration};

use super::{
    Observation, ProbeKind, RoundResult,
    network::{Network, Networks},
};
use crate::{
    clock::Stamp,
    probe::{AnchorAnswer, AnchorEnd, Family, LinkAnswer, RouterOutcome},
};

/// How long a failure must have lasted before an incident opens, counted from the sending of the probe
/// that raised the doubt.
pub const OPEN_AFTER: Duration = Duration::from_secs(4);
/// How many rounds in a row must fail before an incident opens, and succeed before it closes.
pub const ROUNDS_TO_AGREE: usize = 2;
/// A doubt without a failed round is a blip only if nothing answered for this long: a single lost
/// packet, answered after its retransmission, is packet loss and not a failure.
const SHORTEST_BLIP: Duration = Duration::from_millis(1_500);
/// How many rounds are kept. Up to five overlap, so a late one can still be inserted in order.
const ROUNDS_KEPT: usize = 10;
/// How many rounds and probes must fail, while heartbeats succeed, before anchors that have never
/// answered count as blocked.
const NEVER_ANSWERED: u32 = 3;
/// How soon after the router was probed something must prove itself for the router's silence to count as
/// its normal behaviour. Below a second: the TCP probe of the router is retransmitted after one second
/// (RFC 6298), and that packet must have found a working connection.
const PROVED_WITHIN: Duration = Duration::from_millis(900);
/// How long the kernel's report that the router is gone takes precedence over a silent router.
const GONE_HOLDS: Duration = Duration::from_mins(1);

/// The state of a family; see the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FamilyPhase {
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
pub(super) enum Failed {
    /// A heartbeat or a proof probe, which can fail for other reasons.
    Other,
    /// A connect to an anchor.
    Connect,
    /// A round, or the link.
    Round,
}

/// An event that may change the state of a family.
#[derive(Clone, Copy, Debug)]
pub(super) enum FamilySignal {
    /// The agent has started, or a gap has ended: the grace period lasts until `until`.
    Started { now: Stamp, until: Stamp },
    /// A link has come up.
    LinkUp { now: Stamp, until: Stamp },
    /// A probe failed that was sent at `sent`.
    Doubted { sent: Stamp, what: Failed },
    /// The newest round was good. `returned` is the first good answer of [`ROUNDS_TO_AGREE`] or more
    /// good rounds in a row, all of which began after the failure.
    Good { answered: Stamp, returned: Option<Stamp> },
    /// A proof was completed at `finished`.
    Proved { finished: Stamp },
    /// The failure that began at `since` has lasted long enough.
    FailedLongEnough { since: Stamp },
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FamilyChange {
    /// A failure ended that was too short to be an incident.
    Blip,
    /// It has failed long enough.
    WentDown,
    /// It works again since this stamp.
    CameUp(Stamp),
}

impl FamilyPhase {
    /// Returns the next state and the outcome; implements the module's table.
    pub(super) fn step(self, signal: FamilySignal) -> (Self, Option<FamilyChange>) {
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

/// How the anchors have answered on this network since the last link-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnchorAnswers {
    /// None has answered, out of this many rounds and probes.
    Unanswered(u32),
    /// At least one has answered.
    Answered,
    /// One had answered, then rounds failed and a heartbeat succeeded: the next rounds decide whether
    /// anchors are blocked here, or a failure has just ended.
    Disputed { since: Stamp },
    /// Rounds kept failing after a heartbeat had succeeded: the anchors are blocked. `connect` if they
    /// still complete handshakes but prove nothing.
    Overruled { connect: bool },
}

/// Whether heartbeats over this family give proof, since the last link-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeartbeatProof {
    Unknown,
    Pass,
    Fail,
}

/// The source of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProofSource {
    Anchor,
    Heartbeat,
}

/// The state of one address family and the evidence behind it.
#[derive(Clone, Debug)]
pub(super) struct FamilyTrack {
    pub(super) family: Family,
    state: FamilyPhase,
    link: Option<(LinkAnswer, Stamp)>,
    /// The network of the last link that had a route.
    network: Option<Network>,
    /// The network of the other family while this one had a link.
    companion: Option<Network>,
    anchors: AnchorAnswers,
    heartbeats: HeartbeatProof,
    /// Decided rounds, ordered by their start.
    rounds: VecDeque<Decided>,
    /// Probes sent before this concern an earlier network or period.
    epoch: Stamp,
    last_contact: Option<Stamp>,
    last_proof: Option<Stamp>,
    /// The latest send time of a probe that proved itself.
    proof_sent: Option<Stamp>,
    /// Failed rounds that began no later than this do not count: a proof was completed then.
    void_until: Option<Stamp>,
    gateway: Option<(RouterOutcome, Observation)>,
    /// The network of the probed router, if that is beneath a tunnel.
    underlay_network: Option<Network>,
    gone: Option<Stamp>,
    underlay: Option<(bool, Observation)>,
    /// No anchor is of this family; reset when the kernel is queried for a route to one.
    has_no_anchors: bool,
    /// The router's hardware address has been known at some time since the last link-up.
    is_router_known: bool,
}

#[derive(Clone, Debug)]
struct Decided {
    started: Stamp,
    /// The first good answer; `None` for a failed round.
    good: Option<Stamp>,
    answers: Vec<AnchorAnswer>,
}

impl FamilyTrack {
    pub(super) fn new(family: Family, now: Stamp, grace: Duration) -> Self {
        Self {
            family,
            state: FamilyPhase::Unknown { since: now, until: now.later(grace), was_doubted: false },
            link: None,
            network: None,
            companion: None,
            anchors: AnchorAnswers::Unanswered(0),
            heartbeats: HeartbeatProof::Unknown,
            rounds: VecDeque::new(),
            epoch: now,
            last_contact: None,
            last_proof: None,
            proof_sent: None,
            void_until: None,
            gateway: None,
            underlay_network: None,
            gone: None,
            underlay: None,
            has_no_anchors: false,
            is_router_known: false,
        }
    }

    /// A family without anchors, which is not probed.
    pub(super) fn without_anchors(family: Family, now: Stamp, grace: Duration) -> Self {
        Self { has_no_anchors: true, ..Self::new(family, now, grace) }
    }

    // Queries.

    /// Whether no anchor is of this family.
    pub(super) fn has_no_anchors(&self) -> bool {
        self.has_no_anchors
    }

    pub(super) fn state(&self) -> FamilyPhase {
        self.state
    }

    /// Whether packets can be sent over it: there is a route, or it is not known that there is none.
    pub(super) fn is_routed(&self) -> bool {
        matches!(self.link(), Some(LinkAnswer::Routed(_) | LinkAnswer::Unknown))
    }

    /// Whether it is known that there is no route.
    pub(super) fn has_no_route(&self) -> bool {
        self.link().is_some() && !self.is_routed()
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(self.state, FamilyPhase::Down { .. })
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == FamilyPhase::Up
    }

    pub(super) fn link(&self) -> Option<&LinkAnswer> {
        self.link.as_ref().map(|(link, _)| link)
    }

    /// The current network, or the last one.
    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// The network of the router on its path.
    pub(super) fn router_network(&self) -> Option<&Network> {
        self.underlay_network.as_ref().or(self.network())
    }

    /// Whether the family works although the router is silent: it is up, and something proved itself
    /// soon after the router was probed at `asked`. The router is probed twice, a second apart, so it was
    /// probed again after that proof.
    pub(super) fn works_despite_silent_router(&self, asked: Stamp) -> bool {
        let is_soon = |proof: Stamp| {
            proof.since(&asked).is_some_and(|after| after < PROVED_WITHIN)
                && proof.is_at_or_after(asked)
        };
        self.is_up() && self.last_proof.is_some_and(is_soon)
    }

    /// Whether its route leads into a tunnel.
    pub(super) fn is_tunnelled(&self) -> bool {
        self.link().and_then(LinkAnswer::route).is_some_and(|route| route.tunnel)
    }

    /// Whether it has lost its route on a network that the device is still on. `other` is the current
    /// network of the other family; it shows whether the device has moved.
    pub(super) fn has_lost_its_route(&self, other: Option<&Network>) -> bool {
        let is_same = match (&self.companion, other) {
            (Some(before), Some(now)) => before.may_be(now),
            (before, now) => before.is_none() && now.is_none(),
        };
        self.has_no_route() && self.network.is_some() && is_same
    }

    /// Whether heartbeats succeed while no anchor ever answers.
    pub(super) fn is_blocked(&self) -> bool {
        self.heartbeats == HeartbeatProof::Pass
            && match self.anchors {
                AnchorAnswers::Unanswered(failures) => failures >= NEVER_ANSWERED,
                AnchorAnswers::Answered | AnchorAnswers::Disputed { .. } => false,
                AnchorAnswers::Overruled { .. } => true,
            }
    }

    /// Whether no anchor has answered since the last link-up.
    pub(super) fn has_no_answer(&self) -> bool {
        matches!(self.anchors, AnchorAnswers::Unanswered(_))
    }

    /// Whether no round has been decided since the last link-up.
    pub(super) fn has_no_round(&self) -> bool {
        self.rounds.is_empty()
    }

    /// Whether a round that began at `at` or later has been decided, or no round can be.
    pub(super) fn has_round_since(&self, at: Stamp) -> bool {
        self.has_no_route() || self.rounds.iter().any(|round| round.started.is_at_or_after(at))
    }

    /// Whether the next rounds must decide if anchors are blocked here.
    pub(super) fn is_disputed(&self) -> bool {
        matches!(self.anchors, AnchorAnswers::Disputed { .. })
    }

    /// Whether an answer since `at` shows that it works; contact counts if `by_contact`.
    pub(super) fn is_verified_since(&self, at: Stamp, by_contact: bool) -> bool {
        let contact = self.last_contact.filter(|_| by_contact);
        let ok = latest(self.last_proof, contact);
        self.trusts_heartbeats() || ok.is_some_and(|ok| ok.is_at_or_after(at))
    }

    /// Whether heartbeats decide instead of the anchors, because these are blocked here or may be.
    pub(super) fn trusts_heartbeats(&self) -> bool {
        self.heartbeats == HeartbeatProof::Pass && self.anchors != AnchorAnswers::Answered
    }

    /// The last good answer. Contact counts unless the newest rounds contradict it, that is, unless
    /// they found anchors that connect and prove nothing.
    pub(super) fn last_ok(&self) -> Option<Stamp> {
        let failed = self.rounds.iter().rev().take(self.failed_in_a_row());
        let mut answers = failed.flat_map(|round| &round.answers);
        let is_contradicted = answers.any(|answer| answer.end == AnchorEnd::Unproved);
        let contact = self.last_contact.filter(|_| !is_contradicted);
        latest(self.last_proof, contact)
    }

    /// When the first failed probe was sent, or the last good answer if that is later.
    pub(super) fn failing_since(&self) -> Option<Stamp> {
        match self.state {
            FamilyPhase::Unknown { since, .. } | FamilyPhase::Doubt { since, .. } => {
                Some(self.last_ok().filter(|ok| ok.is_at_or_after(since)).unwrap_or(since))
            }
            FamilyPhase::Down { since } => Some(since),
            FamilyPhase::Up => None,
        }
    }

    /// When the current failure will have lasted long enough, if it continues.
    pub(super) fn due_at(&self) -> Option<Stamp> {
        match self.state {
            FamilyPhase::Unknown { until, .. } => Some(until),
            FamilyPhase::Doubt { since, .. } => Some(since.later(OPEN_AFTER)),
            FamilyPhase::Up | FamilyPhase::Down { .. } => None,
        }
    }

    /// Whether it is in doubt and the probes since then have failed: it is about to be decided.
    pub(super) fn is_failing(&self) -> bool {
        matches!(self.state, FamilyPhase::Doubt { .. })
            && (self.has_no_route() || self.has_failed())
    }

    /// Whether its state explains failing heartbeats.
    pub(super) fn excuses_heartbeats(&self) -> bool {
        self.is_down() || !self.is_up() && (self.has_no_route() || self.has_failed())
    }

    /// Whether it is down and the newest round was good: it is about to return.
    pub(super) fn is_returning(&self) -> bool {
        self.is_down() && !self.has_no_route() && self.first_good_of_row().is_some()
    }

    /// Whether the newest round has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed_in_a_row() > 0
    }

    fn failed_in_a_row(&self) -> usize {
        self.rounds.iter().rev().take_while(|round| round.good.is_none()).count()
    }

    /// The first good answer of the good rounds in a row that began after the failure, and the number
    /// of these rounds.
    fn first_good_of_row(&self) -> Option<(Stamp, usize)> {
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
    pub(super) fn gateway(&self, since: Stamp, now: Stamp) -> Option<RouterOutcome> {
        let gone = self.gone.filter(|at| {
            at.is_at_or_after(since) && now.since(at).is_some_and(|age| age < GONE_HOLDS)
        });
        let answered = self.gateway.as_ref().filter(|(_, asked)| asked.at.is_at_or_after(since));
        gone.map(|_| RouterOutcome::Gone).or(answered.map(|(answer, _)| *answer))
    }

    /// Whether an anchor answered beneath the tunnel, if it was probed at `since` or later.
    pub(super) fn is_underlay_alive(&self, since: Stamp) -> bool {
        self.underlay
            .as_ref()
            .is_some_and(|(alive, asked)| *alive && asked.at.is_at_or_after(since))
    }

    /// Whether this device blocked the packets to at least half of the anchors in the newest failed
    /// round.
    pub(super) fn is_forbidden(&self) -> bool {
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
    pub(super) fn evidence(&self, since: Stamp) -> Vec<Observation> {
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

    // Updates.

    fn step(&mut self, signal: FamilySignal) -> Option<FamilyChange> {
        let (state, change) = self.state.step(signal);
        self.state = state;
        change
    }

    /// Whether a probe sent at `asked` concerns the current network and period.
    pub(super) fn is_of_this_epoch(&self, asked: Stamp) -> bool {
        asked.is_at_or_after(self.epoch)
    }

    /// Resets the state: the agent has started, or a gap has ended.
    pub(super) fn restart(&mut self, now: Stamp, grace: Duration) {
        self.begin_epoch(now);
        self.step(FamilySignal::Started { now, until: now.later(grace) });
    }

    /// The family is judged from `now` on; its earlier behaviour is not part of a failure.
    pub(super) fn begin_judging(&mut self, now: Stamp) {
        if let FamilyPhase::Unknown { since, .. } | FamilyPhase::Doubt { since, .. } =
            &mut self.state
        {
            *since = since.latest(now);
        }
    }

    /// A link has come up: earlier results may no longer hold. A family that is down stays down, and a
    /// running grace period does not begin anew: otherwise an interface that flaps would hide every
    /// failure.
    pub(super) fn link_up(&mut self, now: Stamp, grace: Duration) {
        self.begin_epoch(now);
        self.step(FamilySignal::LinkUp { now, until: now.later(grace) });
    }

    fn begin_epoch(&mut self, now: Stamp) {
        self.anchors = AnchorAnswers::Unanswered(0);
        self.heartbeats = HeartbeatProof::Unknown;
        self.rounds.clear();
        self.is_router_known = false;
        self.epoch = now;
    }

    /// Stores how the kernel would route. Returns the previous network if only the router has changed
    /// and no link has come up: then another router has taken over its address.
    pub(super) fn link_checked(&mut self, link: LinkAnswer, asked: Stamp) -> Option<Network> {
        if self.link.as_ref().is_some_and(|(_, newest)| !asked.is_at_or_after(*newest)) {
            return None;
        }
        let mut before = None;
        let known = Network::of(self.family, &link);
        let is_nameless = link == LinkAnswer::Unknown && self.network.is_none();
        if let Some(network) = known.or(is_nameless.then(|| Network::nameless(self.family))) {
            if !self.network.as_ref().is_some_and(|known| known.may_be(&network)) {
                self.gateway = None;
                self.gone = None;
                before = self
                    .network
                    .take()
                    .filter(|known| self.is_router_known && known.is_alike(&network));
            }
            self.is_router_known |= network.router_mac.is_some();
            self.network = Some(network);
        }
        self.link = Some((link, asked));
        self.has_no_anchors = false;
        if self.has_no_route() {
            self.step(FamilySignal::Doubted { sent: asked, what: Failed::Round });
        }
        before
    }

    /// The other family's router, of the network `before`, was replaced by that of `now`.
    pub(super) fn companion_replaced(&mut self, before: &Network, now: &Network) {
        if self.companion.as_ref() == Some(before) {
            self.companion = Some(now.clone());
        }
    }

    /// Both families were checked, and this one has a route: it belongs to the same network as the
    /// other one.
    pub(super) fn note_companion(&mut self, other: Option<&Network>) {
        if !self.has_no_route() {
            self.companion = other.cloned();
        }
    }

    /// A probe failed that was sent at `sent`.
    pub(super) fn doubted(&mut self, sent: Stamp, what: Failed) {
        if self.trusts_heartbeats() && !self.has_no_route() || !sent.is_at_or_after(self.epoch) {
            return;
        }
        // A good answer to a later probe has already decided it.
        let good = self.rounds.iter().filter(|round| round.good.is_some());
        let mut good = good.map(|round| round.started).chain(self.proof_sent);
        if !good.any(|started| started.is_at_or_after(sent)) {
            self.step(FamilySignal::Doubted { sent, what });
        }
    }

    /// An anchor has completed a handshake with a probe sent at `sent`. With `is_good`, contact counts
    /// as a good round. With `has_proved`, an anchor has proved itself on this network before, so the
    /// anchors are not blocked.
    pub(super) fn contacted(
        &mut self,
        sent: Stamp,
        answered: Stamp,
        is_good: bool,
        has_proved: bool,
    ) -> Option<FamilyChange> {
        self.note_contact(Some(answered));
        let is_heard = match self.anchors {
            AnchorAnswers::Unanswered(_) => has_proved && self.is_of_this_epoch(sent),
            AnchorAnswers::Overruled { connect } => !connect,
            AnchorAnswers::Answered | AnchorAnswers::Disputed { .. } => false,
        };
        if is_heard {
            self.anchors = AnchorAnswers::Answered;
        }
        let decided = Decided { started: sent, good: Some(answered), answers: Vec::new() };
        is_good.then(|| self.decide(decided, false)).flatten()
    }

    /// Stores a completed handshake; ignored while the family is down, because middleboxes complete
    /// handshakes too.
    fn note_contact(&mut self, answered: Option<Stamp>) {
        if !self.is_down() {
            self.last_contact = latest(self.last_contact, answered);
        }
    }

    /// An anchor did not answer in time.
    pub(super) fn unanswered(&mut self) {
        if let AnchorAnswers::Unanswered(failures) = &mut self.anchors {
            *failures = failures.saturating_add(1);
        }
    }

    /// A round has ended. With `by_contact` a completed handshake counts as proof.
    pub(super) fn round_ended(
        &mut self,
        round: &RoundResult,
        by_contact: bool,
    ) -> Option<FamilyChange> {
        let (proof, contact) = (round.first_proof(), round.first_contact());
        self.note_contact(contact);
        let good = proof.or(contact.filter(|_| by_contact));
        let decided = Decided { started: round.started, good, answers: round.answers.clone() };
        self.decide(decided, proof.is_some())
    }

    fn decide(&mut self, decided: Decided, is_proof: bool) -> Option<FamilyChange> {
        let (started, good) = (decided.started, decided.good);
        if good.is_none() {
            self.unanswered();
        }
        let is_void = self.void_until.is_some_and(|void| void.is_at_or_after(started));
        if good.is_none() && is_void || !started.is_at_or_after(self.epoch) {
            return None;
        }
        let index = self.rounds.partition_point(|round| started.is_at_or_after(round.started));
        let is_newest = index == self.rounds.len();
        self.rounds.insert(index, decided);
        if self.rounds.len() > ROUNDS_KEPT {
            self.rounds.pop_front();
        }
        let Some(answered) = good else {
            self.decide_dispute();
            if is_newest {
                self.doubted(started, Failed::Round);
            }
            return None;
        };
        self.anchors = AnchorAnswers::Answered;
        if is_proof {
            self.last_proof = latest(self.last_proof, Some(answered));
        }
        let enough = self.first_good_of_row().filter(|(_, count)| *count >= ROUNDS_TO_AGREE);
        let returned = enough.map(|(first, _)| first).filter(|_| !self.has_no_route());
        is_newest.then(|| self.step(FamilySignal::Good { answered, returned })).flatten()
    }

    /// An anchor proved itself outside the rounds, or a heartbeat over this family gave proof.
    pub(super) fn proved(
        &mut self,
        sent: Stamp,
        finished: Stamp,
        by: ProofSource,
    ) -> Option<FamilyChange> {
        if !sent.is_at_or_after(self.epoch) {
            return None;
        }
        match by {
            ProofSource::Anchor => self.anchors = AnchorAnswers::Answered,
            ProofSource::Heartbeat => {
                let newest = self.rounds.back().filter(|round| round.good.is_none());
                let contradicts = newest
                    .is_some_and(|round| finished.is_at_or_after(round.started))
                    && self.failed_in_a_row() >= ROUNDS_TO_AGREE;
                if contradicts && self.anchors == AnchorAnswers::Answered {
                    self.anchors = AnchorAnswers::Disputed { since: finished };
                }
                self.heartbeats = HeartbeatProof::Pass;
            }
        }
        self.last_proof = latest(self.last_proof, Some(finished));
        self.proof_sent = latest(self.proof_sent, Some(sent));
        self.void_until = latest(self.void_until, Some(finished));
        // Rounds may have detected the return before.
        let first = self.first_good_of_row().filter(|_| self.is_down() && !self.has_no_route());
        let finished = first.map_or(finished, |(first, _)| first.earliest(finished));
        // A failure that began after the proof was completed still stands.
        let fails_later = match self.state {
            FamilyPhase::Doubt { since, .. } | FamilyPhase::Down { since } => {
                !finished.is_at_or_after(since)
            }
            FamilyPhase::Unknown { .. } | FamilyPhase::Up => false,
        };
        if fails_later { None } else { self.step(FamilySignal::Proved { finished }) }
    }

    /// Decides a dispute by the rounds that began after the heartbeat had succeeded.
    fn decide_dispute(&mut self) {
        let AnchorAnswers::Disputed { since } = self.anchors else { return };
        let failed = self.rounds.iter().rev().take_while(|round| round.good.is_none());
        let after: Vec<_> = failed.filter(|round| round.started.is_at_or_after(since)).collect();
        if after.len() >= ROUNDS_TO_AGREE {
            let answers = after.iter().flat_map(|round| &round.answers);
            let connect = answers.clone().any(|answer| answer.end == AnchorEnd::Unproved);
            self.anchors = AnchorAnswers::Overruled { connect };
        }
    }

    /// An anchor of the other family answers, so that one carries the heartbeats through a proxy: they
    /// are no evidence about this family or its anchors.
    pub(super) fn heartbeats_pass_by_the_other(&mut self) {
        self.heartbeats = HeartbeatProof::Unknown;
        if matches!(self.anchors, AnchorAnswers::Disputed { .. } | AnchorAnswers::Overruled { .. })
        {
            self.anchors = AnchorAnswers::Answered;
        }
    }

    /// No heartbeats are sent any more.
    pub(super) fn forget_heartbeats(&mut self) {
        self.heartbeats = HeartbeatProof::Unknown;
    }

    /// A heartbeat over this family, or over an unknown one, failed or proved nothing.
    pub(super) fn heartbeat_failed(&mut self, started: Stamp, is_judged: bool) {
        if self.heartbeats == HeartbeatProof::Pass {
            self.heartbeats = HeartbeatProof::Fail;
        }
        if is_judged {
            self.doubted(started, Failed::Other);
        }
    }

    /// Goes down at `now` if it has failed long enough.
    pub(super) fn go_down_if_due(&mut self, now: Stamp) -> Option<FamilyChange> {
        // Rounds before the doubt belong to a failure that has ended.
        let begun = match self.state {
            FamilyPhase::Unknown { .. } => Some(self.epoch),
            FamilyPhase::Doubt { since, .. } => Some(since),
            FamilyPhase::Up | FamilyPhase::Down { .. } => None,
        };
        let failed = self.rounds.iter().rev().take_while(|round| {
            round.good.is_none() && begun.is_some_and(|begun| round.started.is_at_or_after(begun))
        });
        let fails = self.has_no_route() || failed.count() >= ROUNDS_TO_AGREE;
        let is_ripe = self.due_at().is_some_and(|at| now.is_at_or_after(at));
        let since = self.failing_since().filter(|_| fails && is_ripe)?;
        self.step(FamilySignal::FailedLongEnough { since })
    }

    /// Goes down at once, because a failure has outlasted a gap.
    pub(super) fn resume_failing(&mut self) {
        if let Some(since) = self.failing_since() {
            self.step(FamilySignal::FailedLongEnough { since });
        }
    }

    pub(super) fn gateway_answered(
        &mut self,
        answer: RouterOutcome,
        beneath: Option<&Network>,
        observation: &Observation,
    ) {
        self.underlay_network = beneath.cloned();
        match answer {
            RouterOutcome::Alive => self.gone = None,
            RouterOutcome::Gone => self.gone = Some(observation.at),
            RouterOutcome::Silent | RouterOutcome::NotAsked => {}
        }
        let newest = self.gateway.as_ref();
        if newest.is_none_or(|(_, known)| observation.at.is_at_or_after(known.at)) {
            self.gateway = Some((answer, observation.clone()));
        }
    }

    pub(super) fn underlay_answered(&mut self, alive: bool, observation: Observation) {
        self.underlay = Some((alive, observation));
    }
}

/// The later of two stamps, either of which may be missing.
fn latest(one: Option<Stamp>, other: Option<Stamp>) -> Option<Stamp> {
    [one, other].into_iter().flatten().reduce(Stamp::latest)
}

/// Whether a completed handshake counts as proof on `network`: no anchor has ever proved itself there
/// (no root certificates, a TLS-inspecting proxy, anchors configured without TLS).
pub(super) fn decides_by_contact(networks: &Networks, network: Option<&Network>) -> bool {
    !networks.has_proved_anchor(network)
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
