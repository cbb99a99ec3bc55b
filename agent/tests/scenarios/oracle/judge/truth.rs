//! Truth: the journal has only what happened, and everything that happened.

use ispmon_agent::{
    outage::{Cause, GapCause, Incident, Party, Scope, Transition},
    probe::Family,
};

use super::{
    super::{
        sketch::{HeartbeatPath, WorldCondition},
        witness::{Detection, Stretch, is_dated},
    },
    BLUR, END_WITHIN, Judge, MINUTE, Run, SECOND, Violation, overlap, text_line,
};
use crate::player::Outcome;

impl Judge<'_> {
    /// Truth: no downtime while the internet worked, or while nothing was monitored.
    pub(super) fn compare_downtime(&mut self, incident: &Incident, outcome: &Outcome) {
        for (index, segment) in incident.segments.iter().enumerate() {
            if !segment.cause.is_downtime() {
                continue;
            }
            let (from, to) = (outcome.time_of(segment.from), outcome.time_of(segment.to));
            let worked = |stretch: &Stretch| {
                stretch.monitored
                    && match segment.scope {
                        Scope::Ipv4 => stretch.works.ipv4 == Some(true),
                        Scope::Ipv6 => stretch.works.ipv6 == Some(true),
                        _ => stretch.internet == Some(true),
                    }
            };
            // The latest stretch in which it did not work, and what failed in it.
            let mut failed: Option<&Stretch> = None;
            // The first stretch after that.
            let mut since: Option<&Stretch> = None;
            for stretch in &self.stretches {
                let is_worked = worked(stretch);
                let blind = self.blind_since(stretch.from);
                let is_unmonitored = !stretch.monitored
                    && (self.is_gap(stretch.from)
                        || blind.is_some_and(|(from, to)| to - from >= 17 * SECOND));
                // The latest end that the machine can know.
                let known = if is_worked {
                    let since = *since.get_or_insert(stretch);
                    failed.map_or(0, |failed| failed.to + self.late(failed, since))
                } else {
                    // Probes sent before the device became blind may take until then.
                    blind.map_or(stretch.from, |(from, _)| from + self.under_way()) + BLUR
                };
                let lossy = stretch.loss > 0 || failed.is_some_and(|before| before.loss > 0);
                if !is_worked {
                    (failed, since) = (Some(stretch), None);
                }
                // A heartbeat that fails for another reason raises doubt from its start on.
                let broken = stretch.all_work != Some(true)
                    || stretch.endpoint != Some(true)
                    || !stretch.anchors;
                // Lookups are made every two seconds; a DNS failure is dated back to the last answer.
                let names = if segment.cause == Cause::Dns { 2 * SECOND } else { 0 };
                // A proof takes three round trips.
                let blur = BLUR
                    + names
                    + 3 * stretch.latency_ms
                    + if lossy || broken { 11 * SECOND } else { 0 };
                let wrong = is_worked && !self.is_overlooked(stretch) || is_unmonitored;
                let late = known.saturating_sub(stretch.from);
                let (begins, ends) =
                    ((stretch.from + late).max(from), stretch.to.saturating_sub(blur).min(to));
                if wrong && begins + 100 < ends {
                    let rule = if stretch.monitored {
                        "no downtime while it worked"
                    } else {
                        "no downtime while unmonitored"
                    };
                    let details = format!(
                        "segment {index} {} {} from {from} to {to} ms covers {begins} to {ends} ms of {stretch:?}: {}",
                        segment.scope,
                        segment.cause,
                        text_line(incident, outcome)
                    );
                    self.found.push(Violation { rule, details });
                    break;
                }
            }
        }
    }

    /// How long after the end of a failure its incident may stay open.
    fn late(&self, failed: &Stretch, now: &Stretch) -> u64 {
        let seen = match failed.seen {
            // With contact alone, the login page must have gone first.
            Detection::ByProbes | Detection::ByProofs if !self.sketch.setup.tls => 2 * SECOND,
            Detection::ByProbes => 0,
            // A DNS failure that started with the outage may be detected first.
            Detection::ByProofs | Detection::ByLookups => SECOND,
            Detection::ByHeartbeats => 35 * SECOND,
            // The lookup in flight has to end.
            Detection::BySlowLookups => self.look_up(),
        };
        // A family that has not returned may delay the other one until its proof has failed, and a
        // packet of the proof may be lost.
        let families = &self.sketch.setup.families;
        let waits = !self.sketch.setup.ipv6_broken
            && families.iter().any(|family| now.works[*family] != Some(true));
        let wait = if waits || now.loss > 0 { 4 * SECOND } else { 0 };
        END_WITHIN + BLUR + seen + wait + 3 * now.latency_ms
    }

    /// Whether it worked between two failures that only proof shows, and for less time than one probe
    /// takes: a probe sent in the first may end after the start of the second.
    fn is_overlooked(&self, worked: &Stretch) -> bool {
        let needs_proof = |at: &Stretch| at.monitored && at.seen >= Detection::ByProofs;
        let before = self.stretches.iter().find(|at| at.to == worked.from);
        let after = self.stretches.iter().find(|at| at.from == worked.to);
        worked.to - worked.from < self.under_way()
            && before.is_some_and(needs_proof)
            && after.is_some_and(needs_proof)
    }

    /// Longest duration of a probe in flight: a proof, or a heartbeat.
    fn under_way(&self) -> u64 {
        if self.sketch.setup.heartbeats == HeartbeatPath::None { 4 * SECOND } else { 10 * SECOND }
    }

    /// The period around a time in which the device can send no probe.
    fn blind_since(&self, at: u64) -> Option<(u64, u64)> {
        let blind = self.sketch.faults.iter().filter(|fault| {
            matches!(fault.what, WorldCondition::LocalFailure(_))
                && fault.from <= at
                && at < fault.to
        });
        blind.map(|fault| (fault.from, fault.to)).min()
    }

    fn is_gap(&self, at: u64) -> bool {
        self.sketch.is(at, |what| matches!(what, WorldCondition::Gap(_)))
    }

    /// Truth: the right cause in the middle of a long failure, and the right party.
    pub(super) fn compare_party(&mut self, incident: &Incident, outcome: &Outcome) {
        let mut all_of: Option<(Cause, Party)> = None;
        let mut mixed = false;
        for stretch in &self.stretches {
            let Some((cause, party)) = stretch.cause.filter(|_| stretch.monitored) else {
                mixed |= incident.segments.iter().any(|segment| {
                    overlap(segment, stretch, outcome, 0) > 0 && stretch.internet != Some(true)
                });
                continue;
            };
            let Stretch { from, to, seen, .. } = *stretch;
            let run = Run { from, to, seen, cause: stretch.cause };
            let settled = self.recorded_by(run, None) + 15 * SECOND - stretch.from;
            for segment in &incident.segments {
                if overlap(segment, stretch, outcome, 0) > 0 {
                    mixed |= all_of.is_some_and(|before| before != (cause, party));
                    all_of = Some((cause, party));
                }
                let wrong = segment.scope == Scope::Internet
                    && segment.cause.is_downtime()
                    && segment.cause != cause;
                if wrong && overlap(segment, stretch, outcome, settled) > 5 * SECOND {
                    let details = format!(
                        "{} in place of {cause} in {stretch:?}: {}",
                        segment.cause,
                        text_line(incident, outcome)
                    );
                    self.found.push(Violation { rule: "the right cause", details });
                    return;
                }
            }
        }
        let simple = incident.segments.len() == 1 && !mixed && incident.ended.is_some();
        if let Some((cause, party)) = all_of.filter(|_| simple)
            && incident.cause == cause
            && incident.party != Some(party)
            && self.stretches.iter().all(|stretch| stretch.loss == 0)
        {
            let details =
                format!("{:?} is not {party}: {}", incident.party, text_line(incident, outcome));
            self.report("the right party", details);
        }
    }

    /// Truth: failures are counted, except for a start that the probes cannot detect.
    pub(super) fn compare_coverage(&mut self, incidents: &[Incident], outcome: &Outcome) {
        let down =
            self.down.iter().map(|run| (Scope::Internet, *run, self.recorded_by(*run, None)));
        let families = self.family_down.iter().flat_map(|(family, runs)| {
            runs.iter().map(move |run| (Scope::from(family), *run, Some(family)))
        });
        let families =
            families.map(|(scope, run, family)| (scope, run, self.recorded_by(run, family)));
        let all: Vec<_> = down.chain(families).collect();
        for (scope, run, known) in all {
            if known + BLUR >= run.to {
                continue;
            }
            let family = Family::BOTH.into_iter().find(|family| Scope::from(*family) == scope);
            // A failure from before the grace period is dated back to it.
            let unsettled = self.stretches.iter().rfind(|at| at.in_grace && at.from <= known);
            let is_graced = self.unsettled(run, known).is_some();
            let began =
                unsettled.filter(|_| is_graced).map_or(run.from, |at| at.from.max(run.from));
            // The lookup that was in flight when DNS failed has to end.
            let names = self.stretches.iter().any(|at| {
                at.to == run.from && at.seen == Detection::BySlowLookups && scope != Scope::Internet
            });
            let began = began + if names { self.look_up() } else { 0 };
            let from = began + self.lag(run.seen, family);
            let expected = run.to.saturating_sub(from);
            let counted: u64 = incidents
                .iter()
                .flat_map(|incident| &incident.segments)
                .filter(|segment| [scope, Scope::Internet].contains(&segment.scope))
                .filter(|segment| segment.cause.is_downtime())
                .map(|segment| {
                    let (begins, ends) =
                        (outcome.time_of(segment.from), outcome.time_of(segment.to));
                    ends.min(run.to).saturating_sub(begins.max(from))
                })
                .sum();
            let crashed = self.sketch.faults.iter().any(|fault| {
                matches!(fault.what, WorldCondition::Gap(cause) if !is_dated(cause))
                    && run.from <= fault.from
                    && fault.from <= run.to + MINUTE
            });
            // A crash is dated by the alive file.
            let tolerated = 1_500 + if crashed { MINUTE } else { 0 };
            if counted + tolerated < expected {
                let lines: Vec<_> =
                    incidents.iter().map(|incident| text_line(incident, outcome)).collect();
                let details =
                    format!("{counted} of {expected} ms of {scope} in {run:?}: {lines:#?}");
                self.report("failures are counted", details);
            }
        }
    }

    /// Truth: a connection is degraded only while packets are lost or late.
    pub(super) fn compare_quality(&mut self, outcome: &Outcome) {
        for (at, transition) in &outcome.transitions {
            let Transition::Opened(incident) = transition else { continue };
            let recent =
                self.stretches.iter().filter(|s| s.from <= *at && s.to + 330 * SECOND >= *at);
            // Two dead anchors lose packets like a degraded connection.
            let dead = self.sketch.faults.iter().filter(|fault| {
                matches!(fault.what, WorldCondition::Anchor(..))
                    && fault.to + 330 * SECOND >= *at
                    && fault.from <= *at
            });
            let good = dead.count() <= 1
                && recent.clone().all(|s| {
                    s.monitored && s.all_work == Some(true) && s.loss == 0 && s.latency_ms <= 50
                });
            if incident.scope == Scope::Quality && good {
                let details = format!("at {at} ms: {}", text_line(incident, outcome));
                self.report("`degraded` only with loss or delay", details);
            }
        }
    }

    /// A device that can send no probe is blind, and the journal has a gap for it.
    pub(super) fn compare_blindness(&mut self, outcome: &Outcome) {
        let blind = |what: &WorldCondition| matches!(what, WorldCondition::LocalFailure(_));
        let mut expected = Vec::new();
        for fault in self.sketch.faults.iter().filter(|fault| blind(&fault.what)) {
            let gap = |what: &WorldCondition| matches!(what, WorldCondition::Gap(_));
            let touched = self.sketch.faults.iter().any(|other| {
                gap(&other.what) && other.from <= fault.to && fault.from <= other.to
                    || blind(&other.what)
                        && other != fault
                        && other.to + 30_000 > fault.from
                        && other.from < fault.to + 30_000
            });
            if fault.to - fault.from >= 30 * SECOND && !touched {
                expected.push((fault.from, fault.to));
            }
        }
        for (from, to) in expected {
            let seen = outcome.transitions.iter().any(|(_, transition)| {
                let Transition::GapEnded(gap) = transition else { return false };
                gap.cause == GapCause::Blind
                    && outcome.time_of(gap.started).abs_diff(from)
                        <= 15 * SECOND.max(self.sketch.setup.interval_ms)
                    && outcome.time_of(gap.ended).abs_diff(to)
                        <= 5 * SECOND + self.sketch.setup.interval_ms
            });
            if !seen {
                self.report("blindness is in the journal", format!("from {from} to {to} ms"));
            }
        }
    }
}
