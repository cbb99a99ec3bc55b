//! Whether this device can send probes at all, and the gap while it cannot.

use super::OutageMachine;
use crate::{
    clock::Stamp,
    outage::{Evidence, Gap, GapCause, IncidentId, Transition, blind::Sight},
    probe::{DnsOutcome, LocalFailure, PortalOutcome},
};

impl OutageMachine {
    /// Updates whether this device can send probes at all.
    pub(super) fn update_sight(&mut self, evidence: &Evidence, now: Stamp) -> Vec<Transition> {
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
    pub(super) fn end_blindness(&mut self, until: Stamp) -> Vec<Transition> {
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
}
