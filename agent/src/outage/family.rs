//! Whether one address family works, and since when it does not: its state, and the evidence behind it.

mod phase;
mod queries;

use std::{collections::VecDeque, time::Duration};

use super::{
    Observation, RoundResult,
    network::{Network, Networks},
};
use crate::{
    clock::Stamp,
    probe::{AnchorAnswer, AnchorEnd, Family, LinkAnswer, RouterOutcome},
};
use phase::FamilySignal;
pub(super) use phase::{Failed, FamilyChange, FamilyPhase};

/// How long a failure must have lasted before an incident opens, counted from the sending of the probe
/// that raised the doubt.
pub(super) const OPEN_AFTER: Duration = Duration::from_secs(4);
/// How many rounds in a row must fail before an incident opens, and succeed before it closes.
pub(super) const ROUNDS_TO_AGREE: usize = 2;
/// How many rounds are kept. Up to five overlap, so a late one can still be inserted in order.
const ROUNDS_KEPT: usize = 10;

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
        let is_answer = match self.anchors {
            AnchorAnswers::Unanswered(_) => has_proved && self.is_of_this_epoch(sent),
            AnchorAnswers::Overruled { connect } => !connect,
            AnchorAnswers::Answered | AnchorAnswers::Disputed { .. } => false,
        };
        if is_answer {
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
