//! Whether heartbeats are delivered while the internet works: the incidents of scope `heartbeat`.

use std::time::Duration;

use fastrand::Rng;

use super::{
    Cause, Gap, IncidentId, Observation, Party, ProbeKind, Scope, Transition,
    family::OPEN_AFTER,
    names::NameLookups,
    open::{OpenIncident, Opening},
    settings::MachineSettings,
    verdict::{FailureFacts, verdict},
};
use crate::{clock::Stamp, heartbeat::OutcomeKind, probe::Family};

/// How many heartbeats in a row must fail before `endpoint` opens.
const FAILURES_TO_AGREE: u32 = 2;
/// How many refusals in a row turn `endpoint` into `credentials`, if they also last long enough.
const REFUSALS_TO_AGREE: u32 = 5;
/// How long `endpoint` waits for a lookup after the first failed heartbeat: glibc may take twice five
/// seconds, and a short incident with the wrong cause `endpoint` would be a false one.
const NAMES_WAIT: Duration = Duration::from_secs(12);

/// How long after a single refusal `endpoint` opens: if the response asks for a wait of hours
/// (`Retry-After`), no second heartbeat follows. Longer than most heartbeat intervals.
const REFUSED_ALONE: Duration = Duration::from_mins(20);

/// The heartbeat incidents.
#[derive(Debug)]
pub(super) struct HeartbeatIncidents {
    settings: MachineSettings,
    open: Option<OpenIncident>,
    failing: Option<Failing>,
    last_delivered: Option<Stamp>,
    is_clock_implausible: bool,
    /// When the clock was last corrected: heartbeats sent before failed because of it.
    clock_right_since: Option<Stamp>,
    /// When connectivity last failed: heartbeats sent before failed because of it.
    ignored_until: Option<Stamp>,
    /// Since when monitoring has had no gap.
    monitored_since: Stamp,
    /// Until then a wrong clock is no incident: many devices get the time only after they start.
    clock_grace: Stamp,
}

/// Consecutive failed heartbeats.
#[derive(Clone, Debug)]
struct Failing {
    since: Stamp,
    newest_started: Stamp,
    newest: OutcomeKind,
    count: u32,
    refusals: u32,
    refused_since: Option<Stamp>,
    newest_finished: Stamp,
    evidence: Vec<Observation>,
}

/// The state of everything that heartbeats need.
pub(super) struct HeartbeatContext<'a> {
    /// Whether a judged family works, nothing is in doubt, and no outage is open.
    pub(super) works_for_certain: bool,
    /// The last good answer.
    pub(super) last_ok: Option<Stamp>,
    pub(super) names: &'a NameLookups,
}

impl HeartbeatIncidents {
    pub(super) fn new(settings: MachineSettings, open: Option<OpenIncident>, now: Stamp) -> Self {
        Self {
            settings,
            open,
            failing: None,
            last_delivered: None,
            is_clock_implausible: false,
            clock_right_since: None,
            ignored_until: None,
            monitored_since: now,
            clock_grace: now.later(settings.grace),
        }
    }

    pub(super) fn set_grace(&mut self, grace: Duration) {
        self.settings.grace = grace;
    }

    pub(super) fn open(&self) -> Option<&OpenIncident> {
        self.open.as_ref()
    }

    /// Whether the clock is so wrong that certificates are not valid.
    pub(super) fn is_clock_wrong(&self) -> bool {
        let failing = self.failing.as_ref();
        self.is_clock_implausible || failing.is_some_and(|failing| failing.newest.hints_at_clock())
    }

    pub(super) fn clock_implausible(&mut self, is_implausible: bool, now: Stamp) {
        if self.is_clock_implausible && !is_implausible {
            self.clock_right_since = Some(now);
        }
        self.is_clock_implausible = is_implausible;
    }

    /// A gap has ended. The open incident is recorded up to the last evidence.
    pub(super) fn gap(&mut self, gap: &Gap) -> Option<Transition> {
        self.failing = None;
        self.monitored_since = gap.ended;
        self.clock_grace = gap.ended.later(self.settings.grace);
        let open = self.open.as_mut()?;
        open.apply_gap(gap);
        Some(Transition::Progressed(open.snapshot()))
    }

    /// A heartbeat has ended.
    pub(super) fn ended(
        &mut self,
        started: Stamp,
        finished: Stamp,
        family: Option<Family>,
        outcome: OutcomeKind,
        now: Stamp,
    ) -> Vec<Transition> {
        if outcome == OutcomeKind::Delivered {
            self.failing = None;
            self.last_delivered = Some(finished);
            return self.close(finished);
        }
        // It was in flight during a gap, when another one was delivered, or when anchors failed.
        let is_unmonitored = !started.is_at_or_after(self.monitored_since);
        let mut late = [self.last_delivered, self.ignored_until].into_iter().flatten();
        if is_unmonitored || self.open.is_none() && late.any(|at| at.is_at_or_after(started)) {
            return Vec::new();
        }
        let failing = self.failing.get_or_insert_with(|| Failing {
            since: started,
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
        if failing.evidence.len() == FAILURES_TO_AGREE as usize {
            failing.evidence.remove(0);
        }
        failing.evidence.push(Observation {
            probe: ProbeKind::Heartbeat,
            target: "heartbeat".to_owned(),
            family,
            answer: outcome.journal_name(),
            ms: finished.since(&started).map(|took| took.as_millis() as u64),
            at: started,
        });
        match &mut self.open {
            // After a gap the first heartbeat decides.
            Some(open) if open.is_unmonitored() => {
                let cause = open.current_cause();
                open.resume(cause, Scope::Heartbeat, now);
                vec![Transition::Changed(open.snapshot())]
            }
            Some(open) => {
                open.extend(now);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// The internet is down since `started`. That explains the heartbeat failures from then on, and
    /// possibly those before: a heartbeat incident ends here, and a new one begins if heartbeats still
    /// fail once the internet is back. So no time belongs to two incidents.
    pub(super) fn outage_opened(&mut self, started: Stamp) -> Vec<Transition> {
        let at = self.open.as_ref().map(|open| open.not_before(started));
        at.map(|at| self.close(at)).unwrap_or_default()
    }

    /// Anchors fail: heartbeat failures meanwhile do not count.
    pub(super) fn ignore_until(&mut self, now: Stamp) {
        self.ignored_until = Some(now);
        if self.open.is_none() {
            self.failing = None;
        }
    }

    /// The internet is back: only heartbeats from now on count.
    pub(super) fn outage_closed(&mut self) {
        self.failing = None;
    }

    /// No heartbeats are sent any more: the open incident ends at its last evidence.
    pub(super) fn forget(&mut self) -> Vec<Transition> {
        (self.failing, self.last_delivered) = (None, None);
        let open = self.open.take();
        open.map(|open| Transition::Closed(open.close_unmonitored())).into_iter().collect()
    }

    fn close(&mut self, at: Stamp) -> Vec<Transition> {
        self.open.take().map(|open| Transition::Closed(open.close(at))).into_iter().collect()
    }

    /// Opens or changes an incident while the connection works.
    pub(super) fn decide(
        &mut self,
        connection: &HeartbeatContext<'_>,
        now: Stamp,
        random: &mut Rng,
    ) -> Vec<Transition> {
        let Some(failing) = &self.failing else { return Vec::new() };
        // The connection must have worked during or after the newest heartbeat.
        let worked = connection.last_ok.is_some_and(|ok| ok.is_at_or_after(failing.newest_started));
        if !connection.works_for_certain || !worked {
            return Vec::new();
        }
        let Some(facts) = self.facts(failing, connection.names, now) else { return Vec::new() };
        let cause = verdict(&facts);
        match &mut self.open {
            Some(open) if open.is_unmonitored() || open.current_cause() == cause => Vec::new(),
            Some(open) => {
                if let (Cause::Credentials, Some(since)) = (cause, failing.refused_since) {
                    open.relabel(cause, since, now);
                } else {
                    open.change(cause, Scope::Heartbeat, failing.newest_started, now);
                }
                vec![Transition::Changed(open.snapshot())]
            }
            None => {
                let open = OpenIncident::open(
                    Opening {
                        id: IncidentId::new(now, random),
                        scope: Scope::Heartbeat,
                        cause,
                        is_flapping: false,
                        name_servers: Party::Other,
                        started: failing.since,
                        last_ok: self.last_delivered,
                        evidence: failing.evidence.clone(),
                    },
                    now,
                );
                let opened = Transition::Opened(open.snapshot());
                self.open = Some(open);
                vec![opened]
            }
        }
    }

    /// Why heartbeats fail, once the evidence is sufficient.
    ///
    /// 1. A certificate that is not valid yet, or an impossible clock: `clock`, at once, but not while
    ///    a device that has just started may still be getting the time.
    /// 2. The same refusal of this device five times in a row and for ten minutes: `credentials`.
    /// 3. Two heartbeats failed, the first four seconds ago or more, or one was refused and none
    ///    followed for twenty minutes; and names can be looked up, or no lookup has failed in twelve
    ///    seconds: `endpoint`.
    fn facts(&self, failing: &Failing, names: &NameLookups, now: Stamp) -> Option<FailureFacts> {
        let facts = FailureFacts { anchors_alive: true, ..FailureFacts::default() };
        if self.is_clock_wrong() {
            let is_certain = now.is_at_or_after(self.clock_grace);
            return is_certain.then_some(FailureFacts { clock: true, ..facts });
        }
        if self.clock_right_since.is_some_and(|at| at.is_at_or_after(failing.newest_started)) {
            return None;
        }
        let refused_long = failing
            .refused_since
            .and_then(|since| failing.newest_finished.since(&since))
            .is_some_and(|lasted| lasted >= self.settings.limits.credentials_after);
        if failing.refusals >= REFUSALS_TO_AGREE && refused_long {
            return Some(FailureFacts { heartbeat: Some(Cause::Credentials), ..facts });
        }
        let lasted = now.since(&failing.since).unwrap_or_default();
        let are_names_fine = !names.is_doubted() && names.failing_since().is_none();
        let is_refused_alone =
            matches!(failing.newest, OutcomeKind::Refused(_)) && lasted >= REFUSED_ALONE;
        let is_certain = (failing.count >= FAILURES_TO_AGREE || is_refused_alone)
            && lasted >= OPEN_AFTER
            && (are_names_fine || lasted >= NAMES_WAIT && !names.has_failed());
        (is_certain || self.open.is_some())
            .then_some(FailureFacts { heartbeat: Some(Cause::Endpoint), ..facts })
    }

    pub(super) fn deadlines(&self) -> Vec<Stamp> {
        match &self.failing {
            Some(failing) if self.open.is_none() => vec![
                failing.since.later(OPEN_AFTER),
                failing.since.later(NAMES_WAIT),
                failing.since.later(REFUSED_ALONE),
                self.clock_grace,
            ],
            _ => Vec::new(),
        }
    }
}
