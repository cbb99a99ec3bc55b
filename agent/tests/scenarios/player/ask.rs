//! Sends probes to the world, and returns their results as evidence.

use std::time::Duration;

use ispmon_agent::{
    monitor::schedule::DueProbe,
    outage::{Evidence, RoundResult},
    probe::{
        AnchorAnswer, AnchorEnd, DnsOutcome, Family, LocalFailure, PortalOutcome, ProbeKind,
        RouterOutcome, ServerAnswer,
    },
};

use super::{Action, LOST_MS, Player, anchor_of, next, observation};
use crate::world::{ANCHORS, FamilyWorld, PortalState};

impl Player<'_> {
    pub(super) fn ask(&mut self, question: DueProbe) {
        match question {
            DueProbe::Probe(family) => self.probe(family),
            DueProbe::Round(family) => self.round(family),
            DueProbe::Proof(family) => self.proof(family),
            DueProbe::Gateway(family) => self.gateway(family),
            DueProbe::Lookup => self.look_up(),
            DueProbe::NameServers => self.name_servers(),
            DueProbe::Portal | DueProbe::PortalPage => self.portal(question),
        }
    }

    /// An answer arrives after `took` milliseconds.
    fn answer(&mut self, took: u64, evidence: Vec<Evidence>, question: DueProbe) {
        self.at(self.now + took, Action::Learn(self.now, evidence, Some(question)));
    }

    fn not_asked(&mut self, reason: LocalFailure, question: DueProbe) {
        let at = self.stamp(self.now);
        self.answer(0, vec![Evidence::NotSent { reason, at }], question);
    }

    fn probe(&mut self, family: Family) {
        self.note_anchor_probed(family);
        // An anchor with a separate path is no evidence for the family's path.
        let own_path = self.world().families[family].own_path;
        let turn = next(&mut self.turns[family], |anchor| !own_path[anchor]).unwrap_or(0);
        let mut random = self.random.fork();
        let (end, took) = self.plot.timeline.connect(family, turn, self.now, &mut random);
        if let AnchorEnd::NotAsked(reason) = end {
            return self.not_asked(reason, DueProbe::Probe(family));
        }
        let sent = self.stamp(self.now);
        let answered = end == AnchorEnd::Contact && took <= LOST_MS;
        let rtt = answered.then(|| Duration::from_millis(took));
        let anchor = anchor_of(family, turn);
        let mut evidence = vec![Evidence::Probe { family, anchor, sent, rtt }];
        if !answered {
            evidence.push(Evidence::Doubt { family: Some(family), since: sent });
        }
        self.answer(took.min(LOST_MS), evidence, DueProbe::Probe(family));
    }

    fn round(&mut self, family: Family) {
        self.note_anchor_probed(family);
        let mut random = self.random.fork();
        let started = self.stamp(self.now);
        let own_path = self.world().families[family].own_path;
        let mut ends = [(AnchorEnd::TimedOut, 0); ANCHORS];
        for (anchor, end) in ends.iter_mut().enumerate() {
            *end = self.plot.timeline.prove(family, anchor, self.now, &mut random);
        }
        if let AnchorEnd::NotAsked(reason) = ends[0].0
            && ends.iter().all(|(end, _)| matches!(end, AnchorEnd::NotAsked(_)))
        {
            return self.not_asked(reason, DueProbe::Round(family));
        }
        // An anchor with a separate path decides nothing.
        let proved = ends
            .iter()
            .zip(own_path)
            .filter(|((end, _), own_path)| *end == AnchorEnd::Proved && !own_path);
        let first = proved.map(|((_, took), _)| *took).min();
        let took = first.unwrap_or_else(|| ends.iter().map(|(_, took)| *took).max().unwrap_or(0));
        let answers = ends.into_iter().enumerate().filter(|(_, (_, ended))| *ended <= took);
        let answers = answers.map(|(anchor, (end, took))| AnchorAnswer {
            anchor: anchor_of(family, anchor),
            sent: started,
            took: Duration::from_millis(took),
            end,
            from: None,
            own_path: own_path[anchor],
        });
        let answers = answers.collect();
        let finished = self.stamp(self.now + took);
        let round = RoundResult { family, started, finished, answers };
        self.answer(took, vec![Evidence::Round(round)], DueProbe::Round(family));
        if self.world().families[family].tunnel {
            let alive = self.world().underlay;
            let word = if alive { "connected" } else { "timeout" };
            let seen = observation(ProbeKind::Underlay, Some(family), word, started, 40);
            let evidence = vec![Evidence::Underlay { family, alive, observation: seen }];
            self.at(self.now + 40, Action::Learn(self.now, evidence, None));
        }
    }

    fn proof(&mut self, family: Family) {
        self.note_anchor_probed(family);
        let FamilyWorld { own_path, tls, .. } = &self.plot.timeline.at(self.now).families[family];
        let can_prove = |anchor: usize| tls[anchor] && !own_path[anchor];
        let Some(turn) = next(&mut self.proof_turns[family], can_prove) else {
            return self.answer(0, Vec::new(), DueProbe::Proof(family));
        };
        let mut random = self.random.fork();
        let (end, took) = self.plot.timeline.prove(family, turn, self.now, &mut random);
        let started = self.stamp(self.now);
        let evidence = match end {
            AnchorEnd::NotAsked(reason) => {
                return self.not_asked(reason, DueProbe::Proof(family));
            }
            AnchorEnd::Proved => {
                Evidence::Proof { family, started, finished: self.stamp(self.now + took) }
            }
            _ => Evidence::Doubt { family: Some(family), since: started },
        };
        self.answer(took, vec![evidence], DueProbe::Proof(family));
    }

    pub(super) fn report_gateway(&mut self, family: Family, answer: RouterOutcome) {
        let at = self.stamp(self.now);
        let seen = observation(ProbeKind::Gateway, Some(family), answer.as_str(), at, 0);
        let beneath = self.world().underlay_network(family);
        self.learn(&Evidence::Gateway { family, answer, beneath, observation: seen });
    }

    fn gateway(&mut self, family: Family) {
        let (answer, took) = self.plot.timeline.gateway(family, self.now);
        let at = self.stamp(self.now);
        let seen = observation(ProbeKind::Gateway, Some(family), answer.as_str(), at, took);
        let beneath = self.world().underlay_network(family);
        let evidence = Evidence::Gateway { family, answer, beneath, observation: seen };
        self.answer(took, vec![evidence], DueProbe::Gateway(family));
    }

    fn look_up(&mut self) {
        if let Some(reason) = self.world().local_failure {
            return self.not_asked(reason, DueProbe::Lookup);
        }
        let mut random = self.random.fork();
        let (answer, took) = self.plot.timeline.look_up(self.now, &mut random);
        let at = self.stamp(self.now);
        let seen = observation(ProbeKind::SystemDns, None, answer.as_str(), at, took);
        self.answer(took, vec![Evidence::Lookup { answer, observation: seen }], DueProbe::Lookup);
    }

    fn name_servers(&mut self) {
        if let Some(reason) = self.world().local_failure {
            return self.not_asked(reason, DueProbe::NameServers);
        }
        let mut random = self.random.fork();
        let ends = self.plot.timeline.query_servers(self.now, &mut random);
        let took = ends.iter().map(|(_, took)| *took).max().unwrap_or(0);
        let asked = self.stamp(self.now);
        let answers = ends.into_iter().enumerate();
        let answers = answers.map(|(server, (answer, took)): (usize, (DnsOutcome, u64))| {
            let number = u8::try_from(server).unwrap_or_default();
            ServerAnswer {
                server: ([192, 168, number, 53], 53).into(),
                answer,
                observation: observation(ProbeKind::DirectDns, None, answer.as_str(), asked, took),
            }
        });
        let party = self.world().servers_of;
        let evidence = Evidence::NameServers { asked, answers: answers.collect(), party };
        self.answer(took, vec![evidence], DueProbe::NameServers);
    }

    fn portal(&mut self, question: DueProbe) {
        if let Some(reason) = self.world().local_failure {
            return self.not_asked(reason, question);
        }
        let mut random = self.random.fork();
        let (answer, took) = self.plot.timeline.portal(self.now, &mut random);
        let at = self.stamp(self.now);
        let seen = observation(ProbeKind::Portal, None, answer.as_str(), at, took);
        let from_router =
            answer == PortalOutcome::Intercepted && self.world().portal == PortalState::FromRouter;
        let evidence = Evidence::Portal { answer, from_router, observation: seen };
        self.answer(took, vec![evidence], question);
    }
}
