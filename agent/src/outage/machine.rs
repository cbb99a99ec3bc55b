//! The incident machine: turns evidence into transitions and plans the next probes.

mod condition;
mod evidence;
mod plan;
mod sight;
mod snapshot;

pub use plan::ProbePlan;
pub use snapshot::{FamilyState, MachineSnapshot, StatusKey};

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use fastrand::Rng;

use super::{
    Evidence, Incident, NetworkFacts, Observation, Scope, Transition,
    blind::Sight,
    blips::Blips,
    cause_history::CauseHistory,
    connectivity::{AfterGap, Connectivity, OverallCondition, StepContext},
    family::{FamilyTrack, decides_by_contact},
    heartbeats::{HeartbeatContext, HeartbeatIncidents},
    names::NameLookups,
    network::Networks,
    open::OpenIncident,
    quality::QualityMonitor,
    settings::MachineSettings,
};
use crate::{
    clock::Stamp,
    heartbeat::NetworkPath,
    probe::{Family, PerFamily, PortalOutcome},
    summary::Summary,
};

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
}
