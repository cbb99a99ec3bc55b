//! Evidence: where it comes from, and what the monitor does with the transitions that follow from it.

use std::time::Duration;

use super::{Monitor, prober::ProbeResult};
use crate::{
    clock::{ClockEvent, Stamp},
    event::{AnchorsBlocked, ClockStepped, LogEvent, MonitoringBlind},
    heartbeat::HeartbeatOutcome,
    journal::Entry,
    outage::{Evidence, FamilyState, GraceReason, StatusKey},
    probe::{Family, LinkAnswer, PerFamily},
};

impl Monitor {
    /// Looks up the routes to the anchors and returns whether they changed. Whichever caller detects
    /// that a link came up starts the grace period.
    pub(super) fn look_up_links(&mut self, now: Stamp) -> bool {
        let before = self.prober.links().clone();
        let evidence = self.prober.look_up_links();
        let after = self.prober.links();
        let returned = |family| {
            let (before, after) = (before[family].as_ref(), after[family].as_ref());
            before.zip(after).is_some_and(|(before, after)| after.has_come_up_since(before))
        };
        let has_returned = Family::BOTH.into_iter().any(returned);
        let way = |links: &PerFamily<Option<LinkAnswer>>| {
            PerFamily::from_fn(|family| links[family].as_ref().map(LinkAnswer::without_mac))
        };
        let has_changed = has_returned || way(after) != way(&before);
        if has_returned {
            self.observe(&Evidence::Grace(GraceReason::LinkUp), now);
        }
        self.observe(&evidence, now);
        has_changed
    }

    /// The kernel reported that interfaces, addresses or routes may have changed.
    pub(super) fn links_changed(&mut self) {
        if self.is_paused() {
            return;
        }
        let now = self.clock.now();
        if self.look_up_links(now) {
            self.schedule.hurry();
            self.show();
        }
    }

    /// Handles the result of a probe.
    pub(super) fn handle_result(&mut self, answer: ProbeResult) {
        let ProbeResult { sent: asked, evidence, ended } = answer;
        if let Some(probe) = ended {
            self.schedule.answered(probe);
        }
        let now = self.read_clocks();
        if asked.boot_ms < self.void_before_ms || self.is_paused() {
            return;
        }
        for evidence in evidence {
            match &evidence {
                Evidence::Probe { family, rtt, .. } if self.counts_probes(*family) => {
                    self.tally.lock().count_probe(*rtt);
                }
                Evidence::Round(round) => self.tally.lock().count_round(round.is_answered()),
                _ => {}
            }
            self.observe(&evidence, now);
        }
    }

    /// Whether probes of a family count for the quality: it has a route, and no outage is open.
    fn counts_probes(&self, family: Family) -> bool {
        self.machine.status_key().families[family] != FamilyState::Absent
            && !self.machine.is_failing()
    }

    /// Passes evidence to the machine and handles its transitions. During a pause evidence is ignored.
    pub(super) fn observe(&mut self, evidence: &Evidence, now: Stamp) {
        if self.is_paused() {
            return;
        }
        let was_failing = self.machine.is_failing();
        let transitions = self.machine.observe(evidence, now);
        if was_failing && !self.machine.is_failing() {
            self.connectivity_restored.notify_one();
        }
        for network in self.machine.take_learned() {
            self.recorder.write(Entry::Network { network }, now);
        }
        let has_changed = !transitions.is_empty();
        for transition in transitions {
            self.recorder.transition(transition, now);
        }
        let status_key = self.machine.status_key();
        if self.status_key != Some(status_key) {
            self.note_status_key(status_key);
            self.show();
        } else if has_changed {
            self.show();
        }
    }

    /// Discards evidence of families without anchors, and of heartbeats when none are sent.
    pub(super) fn discard_unprobed(&mut self, now: Stamp) {
        for family in Family::BOTH {
            if self.prober.links()[family].is_none() {
                self.observe(&Evidence::NoAnchors { family }, now);
            }
        }
        if self.settings.heartbeat.is_none() {
            self.observe(&Evidence::NoHeartbeats, now);
        }
    }

    /// Counts blips, logs once that anchors are blocked, and logs when this device can no longer send probes.
    fn note_status_key(&mut self, status_key: StatusKey) {
        let before = self.status_key.replace(status_key);
        let new = status_key.blips - before.map_or(0, |before| before.blips);
        if new > 0 {
            self.tally.lock().count_blips(u32::try_from(new).unwrap_or(u32::MAX));
        }
        if status_key.anchors_blocked && !std::mem::replace(&mut self.has_warned_of_blocked, true) {
            AnchorsBlocked.emit();
        }
        if let Some(reason) = status_key.blind
            && before.is_none_or(|before| before.blind.is_none())
        {
            MonitoringBlind { reason }.emit();
        }
    }

    pub(super) fn heartbeat(&mut self, started: Duration, outcome: &HeartbeatOutcome, now: Stamp) {
        let started = now.earlier(Duration::from_millis(now.boot_ms).saturating_sub(started));
        self.tally.lock().count_heartbeat(outcome.is_delivered());
        self.status_builder.heartbeat(outcome, now);
        let proof = outcome.proof();
        // Any intermediary can send a `Date`; only a response that counts as proof is trusted.
        if let (HeartbeatOutcome::Delivered { date: Some(date), .. }, Some(_)) = (outcome, proof) {
            let step = self.clock.heartbeat_date(*date, started, now);
            if let Some(ClockEvent::Stepped { by_ms, source }) = step {
                // The record of the step is the first one with the right time.
                let now = now.corrected(&self.clock.now());
                self.recorder.write(Entry::ClockStepped { by_ms, source }, now);
                ClockStepped { by_ms, source }.emit();
            }
            self.observe(&Evidence::ClockImplausible(!self.clock.is_plausible()), now);
        }
        // The wall clock may just have been corrected.
        let now = now.corrected(&self.clock.now());
        if started.boot_ms < self.void_before_ms || self.is_paused() {
            return;
        }
        let evidence =
            Evidence::Heartbeat { started, finished: now, proof, outcome: outcome.kind() };
        self.observe(&evidence, now);
    }
}
