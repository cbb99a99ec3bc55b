//! Whether heartbeats get through while the internet works: the incidents of scope `heartbeat`.

use std::time::Duration;

use fastrand::Rng;

use super::{
    BeatOutcome, Cause, Gap, IncidentId, Observation, ProbeKind, Scope, Transition,
    family::{OPEN_AFTER, elapsed, reaches},
    line::{Line, Suspicion},
    machine::MachineSettings,
    open::{OpenIncident, Opening},
    verdict::{Facts, HeartbeatFault, verdict},
};
use crate::{clock::Stamp, probe::Family};

/// How many heartbeats in a row must have failed before `endpoint` opens.
const BEATS_TO_AGREE: u32 = 2;
/// How many refusals in a row make `credentials` out of `endpoint`, if they last long enough too.
const REFUSALS_TO_AGREE: u32 = 5;
/// How long `endpoint` waits for the name servers' answer after the first heartbeat that failed.
const CHECKS_WAIT: Duration = Duration::from_secs(10);

/// The incidents of the heartbeats.
#[derive(Debug)]
pub(super) struct Beats {
    settings: MachineSettings,
    open: Option<OpenIncident>,
    failing: Option<Failing>,
    last_delivered: Option<Stamp>,
    clock_implausible: bool,
    /// When anchors failed last: what was sent before failed for that.
    troubled: Option<Stamp>,
    /// Since when somebody watches without a break.
    watching_since: Stamp,
    /// A clock may be wrong until then: many devices learn the time only after they start.
    clock_settles: Stamp,
}

/// Heartbeats that failed in a row.
#[derive(Clone, Debug)]
struct Failing {
    since: Stamp,
    first_finished: Stamp,
    newest_started: Stamp,
    newest: BeatOutcome,
    count: u32,
    refusals: u32,
    refused_since: Option<Stamp>,
    newest_finished: Stamp,
    evidence: Vec<Observation>,
}

impl Beats {
    pub(super) fn new(settings: MachineSettings, open: Option<OpenIncident>, now: Stamp) -> Self {
        Self {
            settings,
            open,
            failing: None,
            last_delivered: None,
            clock_implausible: false,
            troubled: None,
            watching_since: now,
            clock_settles: now.later(settings.settle),
        }
    }

    pub(super) fn set_settle(&mut self, settle: Duration) {
        self.settings.settle = settle;
    }

    pub(super) fn open(&self) -> Option<&OpenIncident> {
        self.open.as_ref()
    }

    pub(super) fn suspicion(&self) -> Option<Suspicion> {
        self.failing.as_ref().map(|failing| Suspicion {
            since: failing.since,
            last_ok: self.last_delivered,
            attributed: self.open.is_some(),
        })
    }

    pub(super) fn clock_implausible(&mut self, implausible: bool) {
        self.clock_implausible = implausible;
    }

    /// Time passed that nobody watched. What is open is noted, as far as it was watched.
    pub(super) fn unwatched(&mut self, gap: &Gap) -> Option<Transition> {
        self.failing = None;
        self.watching_since = gap.ended;
        self.clock_settles = gap.ended.later(self.settings.settle);
        let open = self.open.as_mut()?;
        open.unwatch(gap);
        Some(Transition::Progressed(open.snapshot(gap.ended)))
    }

    /// A heartbeat has ended.
    pub(super) fn heard(
        &mut self,
        started: Stamp,
        finished: Stamp,
        family: Option<Family>,
        outcome: BeatOutcome,
        now: Stamp,
    ) -> Vec<Transition> {
        if outcome == BeatOutcome::Delivered {
            self.failing = None;
            self.last_delivered = Some(finished);
            return self.close(finished);
        }
        // It was under way when nobody watched, when another one was delivered, or when anchors
        // failed.
        let unwatched = !reaches(started, self.watching_since);
        let mut late = [self.last_delivered, self.troubled].into_iter().flatten();
        if unwatched || self.open.is_none() && late.any(|at| reaches(at, started)) {
            return Vec::new();
        }
        let failing = self.failing.get_or_insert_with(|| Failing {
            since: started,
            first_finished: finished,
            newest_started: started,
            newest: outcome,
            count: 0,
            refusals: 0,
            refused_since: None,
            newest_finished: finished,
            evidence: Vec::new(),
        });
        failing.count += 1;
        failing.newest = outcome;
        failing.newest_started = started;
        failing.newest_finished = finished;
        if outcome.refuses_device() {
            failing.refusals += 1;
            failing.refused_since.get_or_insert(started);
        } else {
            failing.refusals = 0;
            failing.refused_since = None;
        }
        if failing.evidence.len() == BEATS_TO_AGREE as usize {
            failing.evidence.remove(0);
        }
        failing.evidence.push(Observation {
            probe: ProbeKind::Heartbeat,
            target: "heartbeat".to_owned(),
            family,
            answer: outcome.word(),
            ms: finished.since(&started).map(|took| took.as_millis() as u64),
            at: started,
        });
        match &mut self.open {
            // After a time that nobody watched the first heartbeat decides.
            Some(open) if open.is_unwatched() => {
                let cause = open.current_cause();
                open.resume(cause, now);
                vec![Transition::Changed(open.snapshot(now))]
            }
            _ => Vec::new(),
        }
    }

    /// The line has failed since `started`. What heartbeats do from then on is its doing, and so may
    /// be what they did before: an incident of theirs ends here, and one begins anew if they still
    /// fail when the line is back. So no time belongs to two incidents.
    pub(super) fn line_failed(&mut self, started: Stamp) -> Vec<Transition> {
        let at = self.open.as_ref().map(|open| open.not_before(started));
        at.map(|at| self.close(at)).unwrap_or_default()
    }

    /// Anchors fail: what heartbeats do meanwhile is no fault of theirs.
    pub(super) fn line_troubled(&mut self, now: Stamp) {
        self.troubled = Some(now);
        if self.open.is_none() {
            self.failing = None;
        }
    }

    /// The line is back: only what heartbeats do from now on counts.
    pub(super) fn line_returned(&mut self) {
        self.failing = None;
    }

    fn close(&mut self, at: Stamp) -> Vec<Transition> {
        self.open.take().map(|open| Transition::Closed(open.close(at))).into_iter().collect()
    }

    /// Draws the conclusions while nothing is wrong with the line.
    pub(super) fn decide(&mut self, line: &Line, now: Stamp, random: &mut Rng) -> Vec<Transition> {
        if let Some(open) = &mut self.open {
            open.extend(now);
        }
        let Some(failing) = &self.failing else { return Vec::new() };
        // The line must have worked while the newest one was under way, or after.
        let worked = line.last_ok().is_some_and(|ok| reaches(ok, failing.newest_started));
        if !line.is_fine() || !worked {
            return Vec::new();
        }
        let Some(fault) = self.fault(failing, line, now) else { return Vec::new() };
        let facts = Facts { anchors_alive: true, heartbeat: Some(fault), ..Facts::default() };
        let cause = verdict(&facts);
        match &mut self.open {
            Some(open) if open.is_unwatched() || open.current_cause() == cause => Vec::new(),
            Some(open) => {
                if let (Cause::Credentials, Some(since)) = (cause, failing.refused_since) {
                    open.relabel(cause, since, now);
                } else {
                    open.change(cause, failing.newest_started, now);
                }
                vec![Transition::Changed(open.snapshot(now))]
            }
            None => {
                let open = OpenIncident::open(
                    Opening {
                        id: IncidentId::new(now, random),
                        scope: Scope::Heartbeat,
                        cause,
                        unstable: false,
                        resolver_is_providers: false,
                        started: failing.since,
                        last_ok: self.last_delivered,
                        evidence: failing.evidence.clone(),
                    },
                    now,
                );
                let opened = Transition::Opened(open.snapshot(now));
                self.open = Some(open);
                vec![opened]
            }
        }
    }

    /// Why heartbeats fail, once it is certain enough.
    ///
    /// 1. A certificate that is not valid yet, or a clock that cannot be right: `clock`, at once, but
    ///    not while a device that has just started may still be learning the time.
    /// 2. The same refusal of this device five times in a row and for ten minutes: `credentials`.
    /// 3. Two heartbeats failed, the first four seconds ago or more; the name servers were asked
    ///    since or have had ten seconds to answer, and neither they nor a login page are under
    ///    suspicion: `endpoint`.
    fn fault(&self, failing: &Failing, line: &Line, now: Stamp) -> Option<HeartbeatFault> {
        if failing.newest.hints_at_clock() || self.clock_implausible {
            return reaches(now, self.clock_settles).then_some(HeartbeatFault::Clock);
        }
        let refused_long = failing.refused_since.is_some_and(|since| {
            elapsed(since, failing.newest_finished) >= self.settings.limits.credentials_after
        });
        if failing.refusals >= REFUSALS_TO_AGREE && refused_long {
            return Some(HeartbeatFault::Credentials);
        }
        let asked = line.checks.asked_dns(failing.since)
            || elapsed(failing.first_finished, now) >= CHECKS_WAIT;
        let certain = failing.count >= BEATS_TO_AGREE
            && elapsed(failing.since, now) >= OPEN_AFTER
            && asked
            && !line.checks.suspicious(failing.since);
        (certain || self.open.is_some()).then_some(HeartbeatFault::Endpoint)
    }

    /// Whether it is still open why heartbeats fail, or open again.
    pub(super) fn is_puzzled(&self) -> bool {
        let failing = self.failing.as_ref();
        failing.is_some_and(|failing| self.open.is_none() || failing.newest.hints_at_dns())
    }

    pub(super) fn deadlines(&self) -> Vec<Stamp> {
        match &self.failing {
            Some(failing) if self.open.is_none() => vec![
                failing.since.later(OPEN_AFTER),
                failing.first_finished.later(CHECKS_WAIT),
                self.clock_settles,
            ],
            _ => Vec::new(),
        }
    }
}
