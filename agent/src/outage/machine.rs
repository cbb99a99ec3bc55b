//! The incident machine: turns evidence into transitions and plans the next probes.

mod condition;
mod plan;

pub use plan::ProbePlan;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::{
    Cause, Evidence, Gap, GapCause, GraceReason, Incident, IncidentId, NetworkFacts, Observation,
    Scope, Transition,
    blind::Sight,
    blips::Blips,
    cause_history::CauseHistory,
    connectivity::{AfterGap, Connectivity, OverallCondition, StepContext},
    family::{Failed, FamilyChange, FamilyPhase, FamilyTrack, ProofSource, decides_by_contact},
    heartbeats::{HeartbeatContext, HeartbeatIncidents},
    names::NameLookups,
    network::{NetworkLesson, Networks},
    open::OpenIncident,
    quality::QualityMonitor,
};
use crate::{
    clock::Stamp,
    heartbeat::{NetworkPath, OutcomeKind},
    probe::{
        DnsOutcome, Family, LinkAnswer, LocalFailure, PerFamily, PortalOutcome, RouterOutcome,
    },
    summary::Summary,
};

/// The settings that decide how fast the machine reacts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineSettings {
    /// The grace period after a start, a resume or a link-up: no incident opens unless a round was good
    /// first.
    pub grace: Duration,
    /// Limits that are the same on every device; only tests change them.
    pub limits: MachineLimits,
}

/// Times and counts that are the same on every device. Tests that simulate an hour in a minute scale
/// them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineLimits {
    /// How long the same refusal must last before the cause is `credentials`: 10 minutes.
    pub credentials_after: Duration,
    /// How many incidents within `unstable_within` make a flapping connection: 6.
    pub unstable_after: usize,
    /// The period of `unstable_after`: 30 minutes.
    pub unstable_within: Duration,
    /// How long a flapping connection must stay up to count as stable again: 10 minutes.
    pub unstable_quiet: Duration,
    /// The shortest time between two progress records of a flapping connection: 15 minutes.
    pub progress_every: Duration,
    /// The period over which loss and latency are measured: 5 minutes.
    pub quality_window: Duration,
    /// How long another cause must hold before it begins a new segment: 3 seconds, the time for one
    /// more probe of each kind.
    pub cause_holds: Duration,
}

impl Default for MachineLimits {
    fn default() -> Self {
        Self {
            credentials_after: Duration::from_mins(10),
            unstable_after: 6,
            unstable_within: Duration::from_mins(30),
            unstable_quiet: Duration::from_mins(10),
            progress_every: Duration::from_mins(15),
            quality_window: Duration::from_mins(5),
            cause_holds: Duration::from_secs(3),
        }
    }
}

impl Default for MachineSettings {
    fn default() -> Self {
        Self { grace: Duration::from_mins(1), limits: MachineLimits::default() }
    }
}

/// Turns evidence into incidents. Deterministic: equal evidence, times and seeds give equal
/// transitions.
///
/// It lives for one boot at most. Pass evidence in the order in which it arrives; the probes behind it
/// may have been sent in another order, and are ordered by their send time.
#[derive(Debug)]
pub struct OutageMachine {
    settings: MachineSettings,
    random: Rng,
    now: Stamp,
    families: PerFamily<FamilyTrack>,
    networks: Networks,
    /// Facts about networks that are not in the journal yet.
    learned: Vec<NetworkFacts>,
    names: NameLookups,
    portal: Option<PortalPage>,
    sight: Sight,
    connectivity: Connectivity,
    heartbeats: HeartbeatIncidents,
    quality: QualityMonitor,
    blips: Blips,
    /// This device has no root certificates, so it cannot verify any server.
    cannot_verify: bool,
    /// Whether the last probe of each anchor was answered; at most 16 anchors.
    answered: BTreeMap<SocketAddr, bool>,
    /// When a heartbeat last proved that the internet works, over either family.
    heartbeat_proved: Option<Stamp>,
    /// The families by which the internet was last judged, and since when.
    were_judged: PerFamily<bool>,
    judged_since: Stamp,
    /// The path of the newest heartbeat, if its answer was proof.
    heartbeat_proof: Option<NetworkPath>,
    /// The causes so far of a failure that is not an outage yet.
    course: CauseHistory,
}

/// The result of the last portal check.
#[derive(Clone, Debug)]
struct PortalPage {
    answer: PortalOutcome,
    from_router: bool,
    observation: Observation,
}

/// The part of the state, besides transitions, that is published as soon as it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusKey {
    /// The state of each family.
    pub families: PerFamily<FamilyState>,
    /// How many failures were too short to be incidents since the agent started.
    pub blips: u64,
    /// Whether the anchors seem to be blocked here ([`MachineSnapshot::anchors_blocked`]).
    pub anchors_blocked: bool,
    /// Why this device cannot send probes, once that has lasted for ten seconds.
    pub blind: Option<LocalFailure>,
}

/// The state of the machine, for the status snapshot and for users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineSnapshot {
    /// The state of IPv4.
    pub ipv4: FamilyState,
    /// The state of IPv6.
    pub ipv6: FamilyState,
    /// The last good answer of each family.
    pub last_ok: PerFamily<Option<Stamp>>,
    /// The open incidents.
    pub incidents: Vec<Incident>,
    /// How many failures were too short to be incidents since the agent started.
    pub blips: u64,
    /// Whether heartbeats succeed while no anchor ever answers, so that the anchors seem to be blocked
    /// here. Worth one warning when it becomes true; it opens no incident.
    pub anchors_blocked: bool,
}

/// The state of an address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FamilyState {
    /// Not judged: it has no route, or it has never worked on this network while the other family does.
    Absent,
    /// Not known yet.
    Unknown,
    /// It works.
    Up,
    /// Something failed; not decided yet.
    Doubt,
    /// It does not work.
    Down,
}

impl OutageMachine {
    /// Starts at `now` with the incidents that the journal left open, at most one of each kind. Pass
    /// the [gap](Evidence::GapEnded) next, if there was one, then the [start](Evidence::Grace).
    ///
    /// `random` only affects the ids.
    pub fn new(settings: MachineSettings, random: Rng, open: Vec<Incident>, now: Stamp) -> Self {
        let (mut outage, mut heartbeats, mut quality) = (None, None, None);
        for incident in open {
            let slot = match incident.scope {
                Scope::Internet | Scope::Ipv4 | Scope::Ipv6 => &mut outage,
                Scope::Heartbeat => &mut heartbeats,
                Scope::Quality => &mut quality,
            };
            *slot = Some(OpenIncident::recover(incident, now));
        }
        Self {
            settings,
            random,
            now,
            families: PerFamily::from_fn(|family| FamilyTrack::new(family, now, settings.grace)),
            networks: Networks::default(),
            learned: Vec::new(),
            names: NameLookups::new(now, settings.grace),
            portal: None,
            sight: Sight::default(),
            connectivity: Connectivity::new(settings, outage),
            heartbeats: HeartbeatIncidents::new(settings, heartbeats, now),
            quality: QualityMonitor::new(settings, quality, now),
            blips: Blips::default(),
            cannot_verify: false,
            answered: BTreeMap::new(),
            heartbeat_proved: None,
            were_judged: PerFamily::default(),
            judged_since: now,
            heartbeat_proof: None,
            course: CauseHistory::default(),
        }
    }

    /// Learns the usual latency from an hourly summary of the journal: at start the summaries of the
    /// last 7 days, oldest first; later each new one.
    pub fn learn(&mut self, summary: &Summary) {
        self.quality.learn(summary);
    }

    /// Restores the facts about a network from the journal at start; call it oldest first.
    pub fn restore_network(&mut self, facts: &NetworkFacts) {
        self.networks.remember(facts);
    }

    /// Returns the facts about networks that were learned since the last call, for the journal.
    pub fn take_learned(&mut self) -> Vec<NetworkFacts> {
        std::mem::take(&mut self.learned)
    }

    /// Processes one piece of evidence that arrived at `now`. Returns the resulting transitions in the
    /// order in which the journal must store them.
    pub fn observe(&mut self, evidence: &Evidence, now: Stamp) -> Vec<Transition> {
        self.now = now;
        let mut transitions = self.update_sight(evidence, now);
        transitions.extend(self.apply(evidence, now));
        transitions.extend(self.conclude(*evidence != Evidence::Tick, now));
        transitions
    }

    /// Updates whether this device can send probes at all.
    fn update_sight(&mut self, evidence: &Evidence, now: Stamp) -> Vec<Transition> {
        let is_asked = match evidence {
            Evidence::NotSent { reason, at } => {
                self.sight = self.sight.not_sent(*at, *reason);
                false
            }
            Evidence::Probe { .. } | Evidence::Round(_) | Evidence::Proof { .. } => true,
            Evidence::Heartbeat { proof, .. } => proof.is_some(),
            Evidence::Lookup { answer, .. } => *answer == DnsOutcome::Answered,
            Evidence::NameServers { answers, .. } => {
                answers.iter().any(|server| server.answer == DnsOutcome::Answered)
            }
            Evidence::Portal { answer, .. } => *answer != PortalOutcome::NoAnswer,
            // A gap of another kind covers the probes that could not be sent during it, but not those
            // before.
            Evidence::GapEnded(gap) => {
                let transitions = self.end_blindness(gap.started);
                self.sight = Sight::Seeing;
                return transitions;
            }
            _ => false,
        };
        let before = self.sight;
        self.sight = self.sight.at(now);
        let mut transitions = match (before.blind(), self.sight.blind()) {
            (None, Some(began)) => self.blindness_began(began),
            _ => Vec::new(),
        };
        if is_asked {
            transitions.extend(self.end_blindness(now));
            self.sight = Sight::Seeing;
        }
        transitions
    }

    /// Ends the blind period at `until`, if there is one.
    fn end_blindness(&mut self, until: Stamp) -> Vec<Transition> {
        let began = self.sight.blind().filter(|(since, _)| until.is_at_or_after(*since));
        let Some(began) = began else { return Vec::new() };
        self.sight = Sight::Seeing;
        let gap = self.blind_gap(began, until);
        self.gap_ended(&gap, until)
    }

    /// No probe could be sent for ten seconds. Records each open incident only up to the last evidence;
    /// otherwise a reader of the journal, now or after a crash, would assume that it continued.
    fn blindness_began(&mut self, began: (Stamp, LocalFailure)) -> Vec<Transition> {
        let gap = self.blind_gap(began, began.0);
        let left = [self.connectivity.gap(&gap), self.heartbeats.gap(&gap)];
        left.into_iter().flatten().collect()
    }

    fn blind_gap(&mut self, (started, reason): (Stamp, LocalFailure), ended: Stamp) -> Gap {
        Gap {
            id: IncidentId::new(ended, &mut self.random),
            cause: GapCause::Blind,
            started,
            ended,
            uncertain_s: 0,
            reason: Some(reason.as_str().to_owned()),
        }
    }

    fn apply(&mut self, evidence: &Evidence, now: Stamp) -> Vec<Transition> {
        let mut transitions = Vec::new();
        match evidence {
            Evidence::Grace(GraceReason::LinkUp) => self.link_up(now),
            Evidence::Grace(GraceReason::Started | GraceReason::Resumed) => self.restart(now),
            Evidence::Links { links, asked } => self.links_checked(links, *asked),
            Evidence::Probe { family, anchor, sent, rtt } => {
                self.probe_ended(*family, *anchor, *sent, *rtt, now);
            }
            Evidence::Doubt { family, since } => self.doubt(*family, *since, Failed::Connect),
            Evidence::Round(round) => {
                let by_contact = self.decides_by_contact(round.family);
                let change = self.families[round.family].round_ended(round, by_contact);
                if round.first_proof().is_some() {
                    self.learn_fact(round.family, round.started, NetworkLesson::AnchorProved);
                }
                self.family_changed(round.family, change, now);
            }
            Evidence::Proof { family, started, finished } => {
                let change =
                    self.families[*family].proved(*started, *finished, ProofSource::Anchor);
                self.learn_fact(*family, *started, NetworkLesson::AnchorProved);
                self.explain_heartbeats(*family);
                self.family_changed(*family, change, now);
            }
            Evidence::Gateway { family, answer, beneath, observation } => {
                let track = &mut self.families[*family];
                track.gateway_answered(*answer, beneath.as_ref(), observation);
                let lesson = match answer {
                    RouterOutcome::Alive => Some(NetworkLesson::RouterAnswered),
                    // A silent router that forwards packets will also be silent when the provider
                    // fails.
                    RouterOutcome::Silent if track.works_despite_silent_router(observation.at) => {
                        Some(NetworkLesson::RouterSilent)
                    }
                    RouterOutcome::Silent | RouterOutcome::Gone | RouterOutcome::NotAsked => None,
                };
                let network =
                    track.router_network().filter(|_| track.is_of_this_epoch(observation.at));
                let learned = network.zip(lesson);
                let learned =
                    learned.and_then(|(network, lesson)| self.networks.learn(network, lesson));
                self.learned.extend(learned);
            }
            Evidence::Lookup { answer, observation } => {
                let returned = self.names.lookup_ended(*answer, observation.clone());
                self.names_returned(returned);
            }
            Evidence::NameServers { asked, answers, party } => {
                let returned = self.names.servers_queried(*asked, answers, *party);
                self.names_returned(returned);
            }
            Evidence::Portal { answer, from_router, observation } => {
                self.portal_checked(*answer, *from_router, observation);
            }
            Evidence::Underlay { family, alive, observation } => {
                self.families[*family].underlay_answered(*alive, observation.clone());
            }
            Evidence::Heartbeat { started, finished, proof, outcome } => {
                transitions = self.heartbeat_ended(*started, *finished, *proof, *outcome, now);
            }
            Evidence::GapEnded(gap) => transitions = self.gap_ended(gap, now),
            Evidence::ClockImplausible(is_implausible) => {
                self.heartbeats.clock_implausible(*is_implausible, now);
            }
            Evidence::NoHeartbeats => {
                self.heartbeat_proof = None;
                self.families.iter_mut().for_each(|(_, track)| track.forget_heartbeats());
                transitions = self.heartbeats.forget();
            }
            Evidence::NoAnchors { family } => {
                self.families[*family] =
                    FamilyTrack::without_anchors(*family, now, self.settings.grace);
                self.quality.disregard(*family);
            }
            Evidence::CannotVerify(cannot) => self.cannot_verify = *cannot,
            Evidence::NotSent { .. } | Evidence::Tick => {}
        }
        transitions
    }

    /// Stores how the kernel would route to the anchors.
    fn links_checked(&mut self, links: &PerFamily<Option<LinkAnswer>>, asked: Stamp) {
        for (family, link) in links {
            let Some(link) = link else { continue };
            let before = self.families[family].link_checked(link.clone(), asked);
            let Some(network) = self.families[family].network().cloned() else { continue };
            self.learned.extend(self.networks.identify(&network));
            if let Some(before) = before {
                self.learned.extend(self.networks.take_over(&before, &network));
                self.families[family.other()].companion_replaced(&before, &network);
            }
        }
        if links.iter().all(|(_, link)| link.is_some()) {
            let networks = PerFamily::from_fn(|family| self.families[family].network().cloned());
            for (family, track) in &mut self.families {
                track.note_companion(networks[family.other()].as_ref());
            }
        }
    }

    /// Stores the result of a portal check.
    fn portal_checked(
        &mut self,
        answer: PortalOutcome,
        from_router: bool,
        observation: &Observation,
    ) {
        let asked = observation.at;
        self.portal = Some(PortalPage { answer, from_router, observation: observation.clone() });
        if answer == PortalOutcome::Intercepted {
            self.doubt(None, asked, Failed::Other);
        }
        // If a name server returns false addresses, the portal check goes to the wrong server.
        if answer != PortalOutcome::Genuine && self.heartbeat_proof.is_none() {
            self.names.doubted(asked);
        }
    }

    /// A scheduled probe was answered within a second, or was lost.
    fn probe_ended(
        &mut self,
        family: Family,
        anchor: SocketAddr,
        sent: Stamp,
        rtt: Option<Duration>,
        now: Stamp,
    ) {
        let (by_contact, is_judged) = (self.decides_by_contact(family), self.judged()[family]);
        let has_proved = self.networks.has_proved_anchor(self.families[family].network());
        let track = &mut self.families[family];
        let change = if let Some(rtt) = rtt {
            let change = track.contacted(sent, sent.later(rtt), by_contact, has_proved);
            self.explain_heartbeats(family);
            change
        } else {
            track.unanswered();
            None
        };
        let has_answered = self.answered.insert(anchor, rtt.is_some());
        // An anchor that has not answered for longer does not indicate packet loss.
        if rtt.is_none() && has_answered == Some(true) && is_judged {
            self.names.lost_probe(sent);
        }
        self.family_changed(family, change, now);
        let track = &self.families[family];
        if track.is_blocked() || track.is_down() || !is_judged {
            self.quality.disregard(family);
        } else if !self.is_internet_down() {
            self.quality.add_probe(anchor, sent, rtt);
        }
    }

    fn heartbeat_ended(
        &mut self,
        started: Stamp,
        finished: Stamp,
        proof: Option<NetworkPath>,
        outcome: OutcomeKind,
        now: Stamp,
    ) -> Vec<Transition> {
        if self.sight != Sight::Seeing && proof.is_none() && outcome != OutcomeKind::Delivered {
            // It failed for the same local reason as the probes.
            return Vec::new();
        }
        let family = proof.and_then(NetworkPath::family);
        let transitions = self.heartbeats.ended(started, finished, family, outcome, now);
        self.heartbeat_proof = proof.filter(|path| *path != NetworkPath::Nearby);
        if self.heartbeat_proof.is_some() {
            self.heartbeat_proved = Some(finished);
        }
        let Some(path) = self.heartbeat_proof else {
            // Heartbeats within the local network, or over an unverified connection, prove nothing.
            if outcome != OutcomeKind::Delivered {
                let judged = self.judged();
                for (family, track) in &mut self.families {
                    track.heartbeat_failed(started, judged[family]);
                }
                // If it failed for another reason, its lookup may have succeeded: only queries after its
                // end count.
                self.names.doubted(if outcome.hints_at_dns() { started } else { finished });
            }
            return transitions;
        };
        // A family without anchors is not judged; a heartbeat over it proves only as much as one
        // through a proxy: that the internet works, over an unknown family.
        let travelled = path.family().filter(|family| self.families[*family].link().is_some());
        let is_one_up = self.is_any_family_up();
        // If the family is unknown, the heartbeat ends a failure only where all families are down, or
        // were down when a gap began.
        let left_open = self.connectivity.unverified().map(OpenIncident::current_scope);
        let is_down = PerFamily::from_fn(|family| {
            self.families[family].is_down() || left_open.is_some_and(|scope| scope.covers(family))
        });
        let are_all_down = self.judged_families().iter().all(|family| is_down[*family]);
        for family in Family::BOTH {
            let track = &self.families[family];
            let has_travelled = match travelled {
                Some(travelled) => travelled == family,
                None if is_down[family] => are_all_down,
                None => !is_one_up && track.is_routed(),
            };
            if !has_travelled {
                continue;
            }
            let change = self.families[family].proved(started, finished, ProofSource::Heartbeat);
            if travelled.is_some() {
                self.learn_fact(family, started, NetworkLesson::FamilyProved);
            }
            self.family_changed(family, change, now);
        }
        let returned = self.names.proved(started, finished);
        self.names_returned(returned);
        transitions
    }

    fn gap_ended(&mut self, gap: &Gap, now: Stamp) -> Vec<Transition> {
        let mut transitions = self.quality.unmonitored(now, gap);
        transitions.push(Transition::GapEnded(gap.clone()));
        transitions.extend(self.connectivity.gap(gap));
        transitions.extend(self.heartbeats.gap(gap));
        self.heartbeat_proof = None;
        self.restart(gap.ended);
        transitions
    }

    fn restart(&mut self, now: Stamp) {
        for (_, track) in &mut self.families {
            track.restart(now, self.settings.grace);
        }
        self.networks.forget_ambiguous();
        self.names.restart(now, self.settings.grace);
        self.portal = None;
    }

    fn link_up(&mut self, now: Stamp) {
        for (_, track) in &mut self.families {
            track.link_up(now, self.settings.grace);
        }
        self.networks.forget_ambiguous();
        self.names.link_up(now, self.settings.grace);
        self.portal = None;
    }

    fn doubt(&mut self, family: Option<Family>, sent: Stamp, what: Failed) {
        for (other, track) in &mut self.families {
            if family.is_none_or(|family| family == other) {
                track.doubted(sent, what);
            }
        }
    }

    /// Records a fact about the current network of a family.
    fn learn_fact(&mut self, family: Family, asked: Stamp, lesson: NetworkLesson) {
        // A probe sent before a link-up concerns the previous network.
        let track = &self.families[family];
        let network = track.network().filter(|_| track.is_of_this_epoch(asked));
        self.learned.extend(network.and_then(|network| self.networks.learn(network, lesson)));
    }

    /// An anchor of `family` answers, so heartbeats of an unknown family must travel over this one.
    fn explain_heartbeats(&mut self, family: Family) {
        if self.heartbeat_proof == Some(NetworkPath::Unknown) {
            self.families[family.other()].heartbeats_pass_by_the_other();
        }
    }

    /// Handles a state change of a family.
    fn family_changed(&mut self, family: Family, change: Option<FamilyChange>, now: Stamp) {
        match change {
            Some(FamilyChange::Blip) => self.blips.note(family, now),
            Some(FamilyChange::CameUp(at)) => {
                self.connectivity.note_return(at);
                let other = family.other();
                if !(self.judged()[other] && self.families[other].is_up()) {
                    self.names.connectivity_returned(at);
                }
            }
            Some(FamilyChange::WentDown) | None => {}
        }
    }

    fn names_returned(&mut self, returned: Option<Stamp>) {
        let cause = self.connectivity.open().map(OpenIncident::current_cause);
        if let Some(at) = returned.filter(|_| cause == Some(Cause::Dns)) {
            self.connectivity.note_return(at);
        }
    }

    /// Whether a completed handshake counts as proof for this family: no anchor has ever proved itself
    /// on this network, or this device cannot verify any; and no login page contradicts it.
    fn decides_by_contact(&self, family: Family) -> bool {
        !self.is_intercepted() && self.contact_would_decide(family)
    }

    /// The same, regardless of the portal pages.
    fn contact_would_decide(&self, family: Family) -> bool {
        self.cannot_verify || decides_by_contact(&self.networks, self.families[family].network())
    }

    /// Whether the last portal check was intercepted.
    fn is_intercepted(&self) -> bool {
        self.portal.as_ref().is_some_and(|page| page.answer == PortalOutcome::Intercepted)
    }

    /// Whether a family that is not up can only recover once the portal pages are no longer
    /// intercepted.
    fn waits_for_portal(&self) -> bool {
        let waits =
            |family: Family| !self.families[family].is_up() && self.contact_would_decide(family);
        self.is_intercepted() && self.judged_families().into_iter().any(waits)
    }

    /// Derives transitions from the current state.
    fn conclude(&mut self, has_evidence: bool, now: Stamp) -> Vec<Transition> {
        // While no probes can be sent nothing is decided.
        if self.sight != Sight::Seeing {
            return Vec::new();
        }
        let mut transitions = Vec::new();
        for family in Family::BOTH {
            let is_judged = self.judged()[family];
            if is_judged != std::mem::replace(&mut self.were_judged[family], is_judged) {
                self.judged_since = now;
                self.families[family].begin_judging(now);
            }
            if is_judged && !self.are_anchors_presumed_blocked(family) {
                let change = self.families[family].go_down_if_due(now);
                self.family_changed(family, change, now);
            } else if self.families[family].is_down() {
                // The device has moved to a network without this family.
                self.families[family].restart(now, self.settings.grace);
                self.connectivity.note_return(now);
            }
        }
        if self.heartbeats.is_clock_wrong() {
            // A validating resolver also fails if the clock is wrong.
            self.names.disregard(now);
        } else if self.is_any_family_up() && self.heartbeat_proof.is_none() {
            self.names.fail_if_due(now);
        }
        if self.explains_heartbeat_failures() {
            self.heartbeats.ignore_until(now);
        }
        let was_down = self.is_internet_down();
        let decided = self.conclude_connectivity(has_evidence, now);
        match (was_down, self.connectivity.open()) {
            (false, Some(open)) if self.is_internet_down() => {
                let since = open.current_since();
                transitions.extend(self.heartbeats.outage_opened(since));
                transitions.extend(self.quality.outage_opened(since));
            }
            (true, _) if !self.is_internet_down() => {
                self.heartbeats.outage_closed();
                self.quality.outage_closed(now);
            }
            _ => {}
        }
        transitions.extend(decided);
        let connection = HeartbeatContext {
            works_for_certain: self.works_for_certain(),
            last_ok: self.last_ok(),
            names: &self.names,
        };
        transitions.extend(self.heartbeats.decide(&connection, now, &mut self.random));
        // Loss while nothing works yet may turn out to be an outage.
        if !self.is_internet_down() && self.is_any_family_up() {
            transitions.extend(self.quality.decide(now, &mut self.random));
        }
        transitions
    }

    fn conclude_connectivity(&mut self, has_evidence: bool, now: Stamp) -> Vec<Transition> {
        if self.connectivity.unverified().is_some() {
            let after = self.after_gap(now);
            if let AfterGap::Fails(_) = after {
                self.resume_failing();
            }
            return self.connectivity.after_gap(after, now);
        }
        self.follow_course(now);
        let condition = self.condition(now);
        let evidence = match &condition {
            OverallCondition::Fails(failure) => self.evidence(failure.scope, failure.first()),
            OverallCondition::Works | OverallCondition::Undecided => Vec::new(),
        };
        let mut step = StepContext { now, has_evidence, random: &mut self.random, evidence };
        self.connectivity.step(&condition, &mut step)
    }

    /// Monitoring stops at `now`. Returns the open incidents up to the last evidence, so that the
    /// journal has them even if monitoring never resumes.
    pub fn stop_monitoring(&mut self, now: Stamp) -> Vec<Transition> {
        self.now = now;
        let mut transitions = self.end_blindness(now);
        let open = [self.connectivity.open(), self.heartbeats.open(), self.quality.open()];
        let open = open.into_iter().flatten().filter(|open| !open.is_unmonitored());
        transitions.extend(open.map(|open| Transition::Progressed(open.snapshot())));
        transitions
    }

    /// Whether an outage is open and the connection is down, so that heartbeats cannot succeed.
    pub fn is_failing(&self) -> bool {
        self.connectivity.is_failing()
    }

    /// Sets the grace period that applies from the next start, resume or link-up on.
    pub fn set_grace(&mut self, grace: Duration) {
        self.settings.grace = grace;
        self.heartbeats.set_grace(grace);
    }

    /// When to call [`Self::observe`] with [`Evidence::Tick`] if no evidence arrives before; always
    /// later than the newest evidence.
    pub fn deadline(&self) -> Option<Stamp> {
        let families = self.families.iter().filter_map(|(_, track)| track.due_at());
        families
            .chain(self.names.deadline())
            .chain(self.sight.deadline())
            .chain(self.connectivity.deadline())
            .chain(self.heartbeats.deadlines())
            .filter(|at| at.is_same_boot(self.now) && at.boot_ms > self.now.boot_ms)
            .reduce(Stamp::earliest)
    }

    /// Returns the part of the state that is published as soon as it changes.
    pub fn status_key(&self) -> StatusKey {
        StatusKey {
            families: PerFamily::from_fn(|family| self.family_state(family)),
            blips: self.blips.count(),
            anchors_blocked: self.families.iter().any(|(_, track)| track.is_blocked()),
            blind: self.sight.blind().map(|(_, reason)| reason),
        }
    }

    /// Returns the current state.
    pub fn snapshot(&self) -> MachineSnapshot {
        let open = [self.connectivity.open(), self.heartbeats.open(), self.quality.open()];
        let StatusKey { families, blips, anchors_blocked, .. } = self.status_key();
        MachineSnapshot {
            ipv4: families.ipv4,
            ipv6: families.ipv6,
            last_ok: PerFamily::from_fn(|family| self.families[family].last_ok()),
            incidents: open.into_iter().flatten().map(OpenIncident::snapshot).collect(),
            blips,
            anchors_blocked,
        }
    }

    fn family_state(&self, family: Family) -> FamilyState {
        let track = &self.families[family];
        if !self.judged()[family] {
            return if track.link().is_none() { FamilyState::Unknown } else { FamilyState::Absent };
        }
        match track.state() {
            FamilyPhase::Unknown { .. } => FamilyState::Unknown,
            FamilyPhase::Up => FamilyState::Up,
            FamilyPhase::Doubt { .. } => FamilyState::Doubt,
            FamilyPhase::Down { .. } => FamilyState::Down,
        }
    }
}
