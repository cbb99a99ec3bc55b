//! How each kind of evidence changes the state of the incident machine.

use std::{net::SocketAddr, time::Duration};

use super::{OutageMachine, PortalPage};
use crate::{
    clock::Stamp,
    heartbeat::{NetworkPath, OutcomeKind},
    outage::{
        Cause, Evidence, Gap, GraceReason, Observation, Transition,
        blind::Sight,
        family::{Failed, FamilyChange, FamilyTrack, ProofSource},
        network::NetworkLesson,
        open::OpenIncident,
    },
    probe::{Family, LinkAnswer, PerFamily, PortalOutcome, RouterOutcome},
};

impl OutageMachine {
    /// Applies one piece of evidence. Returns the transitions that follow from it alone.
    pub(super) fn apply(&mut self, evidence: &Evidence, now: Stamp) -> Vec<Transition> {
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

    pub(super) fn gap_ended(&mut self, gap: &Gap, now: Stamp) -> Vec<Transition> {
        let mut transitions = self.quality.unmonitored(now, gap);
        transitions.push(Transition::GapEnded(gap.clone()));
        transitions.extend(self.connectivity.gap(gap));
        transitions.extend(self.heartbeats.gap(gap));
        self.heartbeat_proof = None;
        self.restart(gap.ended);
        transitions
    }

    pub(super) fn restart(&mut self, now: Stamp) {
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

    pub(super) fn doubt(&mut self, family: Option<Family>, sent: Stamp, what: Failed) {
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
    pub(super) fn family_changed(
        &mut self,
        family: Family,
        change: Option<FamilyChange>,
        now: Stamp,
    ) {
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
}
