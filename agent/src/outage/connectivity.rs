//! Whether the internet can be reached: outages, of which at most one is open.
//!
//! | state | works | undecided | fails | gap |
//! |---|---|---|---|---|
//! | `Clear` | – | – | opens: `Failing`, the 6th in half an hour `Flapping` | – |
//! | `Failing` | closes: `Clear` | waits | continues; another cause or scope begins a segment | `Unverified` |
//! | `Flapping`, failing | a good segment begins | waits | as `Failing` | `Unverified` |
//! | `Flapping`, good | closes after 10 quiet minutes: `Clear` | waits | fails once more | `Unverified` |
//! | `Unverified` | closes at its last evidence: `Clear` | waits | resumes: `Failing`, `Flapping` | stays |
//!
//! - One outage is one incident, whichever families it affects: a family that returns before the other
//!   one, or fails after it, begins a segment of scope `ipv4` or `ipv6`.
//! - Another cause counts once it has held for three seconds, so that one lost answer does not split
//!   the incident; a missing link is reported by the kernel and counts at once.
//! - Two failures are separate incidents if everything worked in between, even if that was detected
//!   late.
//! - `Unverified`: the incident was left open by a gap, or by an earlier run of the agent.

use std::collections::VecDeque;

use fastrand::Rng;

use super::{
    Cause, Gap, Incident, IncidentId, Observation, Party, Scope, Transition,
    open::{OpenIncident, Opening},
    settings::MachineSettings,
};
use crate::clock::Stamp;

/// The combined condition of families and names.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is only one at a time")]
pub(super) enum OverallCondition {
    /// All judged families work.
    Works,
    /// Something may be failing, or about to return.
    Undecided,
    /// Something fails.
    Fails(CurrentFailure),
}

/// The current failure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CurrentFailure {
    pub(super) cause: Cause,
    pub(super) scope: Scope,
    /// Since when the failure has its current scope.
    pub(super) since: Stamp,
    /// The family that failed before the other one, and when.
    pub(super) before: Option<(Scope, Stamp)>,
    /// Its causes before it was known to be an outage, the current one last.
    pub(super) course: Vec<(Cause, Stamp)>,
    /// The last good answer before the failure.
    pub(super) last_ok: Option<Stamp>,
    pub(super) name_servers: Party,
    /// Since when the same families are judged: a change of scope for that reason begins no earlier.
    pub(super) judged_since: Stamp,
}

impl CurrentFailure {
    /// When the first part of the failure began.
    pub(super) fn first(&self) -> Stamp {
        self.before.map_or(self.since, |(_, at)| at)
    }
}

/// Whether an outage has outlasted a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterGap {
    /// Not known yet.
    Unknown,
    /// It ended during the gap.
    Over,
    /// It continues, with this cause.
    Fails(Cause),
}

/// The input of one step.
pub(super) struct StepContext<'a> {
    pub(super) now: Stamp,
    /// Whether this step has new evidence, and not only later time.
    pub(super) has_evidence: bool,
    pub(super) random: &'a mut Rng,
    /// The evidence for the failure, if there is one.
    pub(super) evidence: Vec<Observation>,
}

/// The state; see the module's table.
#[derive(Clone, Debug)]
enum ConnectivityState {
    Clear,
    Unverified(OpenIncident),
    Failing(OpenIncident, OtherCause),
    Flapping(OpenIncident, FlappingPhase),
}

/// The phase of a flapping connection.
#[derive(Clone, Copy, Debug)]
enum FlappingPhase {
    Failing(OtherCause),
    Good(Stamp),
}

/// A cause that differs from the current one, and since when it is seen.
type OtherCause = Option<(Cause, Stamp)>;

/// The outages.
#[derive(Debug)]
pub(super) struct Connectivity {
    settings: MachineSettings,
    state: ConnectivityState,
    /// The start times of the latest incidents, newest last: at most as many as make a flapping
    /// connection.
    recent_starts: VecDeque<Stamp>,
    /// When the last incident ended; the next one cannot begin earlier.
    last_ended: Option<Stamp>,
    /// When a failed part last returned since the incident opened.
    returned: Option<Stamp>,
    /// Something still failed after `returned`, so not everything had returned.
    fails_after_return: bool,
    /// When the progress of a flapping connection was last recorded.
    progressed: Option<Stamp>,
}

impl Connectivity {
    pub(super) fn new(settings: MachineSettings, open: Option<OpenIncident>) -> Self {
        Self {
            settings,
            state: open.map_or(ConnectivityState::Clear, ConnectivityState::Unverified),
            recent_starts: VecDeque::new(),
            last_ended: None,
            returned: None,
            fails_after_return: false,
            progressed: None,
        }
    }

    pub(super) fn open(&self) -> Option<&OpenIncident> {
        match &self.state {
            ConnectivityState::Clear => None,
            ConnectivityState::Unverified(open)
            | ConnectivityState::Failing(open, _)
            | ConnectivityState::Flapping(open, _) => Some(open),
        }
    }

    /// Whether the connection is down, or was before the current gap.
    pub(super) fn is_failing(&self) -> bool {
        !matches!(
            self.state,
            ConnectivityState::Clear | ConnectivityState::Flapping(_, FlappingPhase::Good(_))
        )
    }

    /// The incident that a gap has left open, until it is known whether it continues.
    pub(super) fn unverified(&self) -> Option<&OpenIncident> {
        match &self.state {
            ConnectivityState::Unverified(open) => Some(open),
            _ => None,
        }
    }

    /// A failed part works again since `at`.
    pub(super) fn note_return(&mut self, at: Stamp) {
        self.returned = Some(self.returned.map_or(at, |known| known.latest(at)));
        self.fails_after_return = false;
    }

    /// When a failed part last returned.
    pub(super) fn returned(&self) -> Option<Stamp> {
        self.returned
    }

    /// A gap has ended.
    pub(super) fn gap(&mut self, gap: &Gap) -> Option<Transition> {
        let (state, transition) = match std::mem::replace(&mut self.state, ConnectivityState::Clear)
        {
            ConnectivityState::Clear => (ConnectivityState::Clear, None),
            ConnectivityState::Unverified(mut open)
            | ConnectivityState::Failing(mut open, _)
            | ConnectivityState::Flapping(mut open, _) => {
                open.apply_gap(gap);
                let transition = Transition::Progressed(open.snapshot());
                (ConnectivityState::Unverified(open), Some(transition))
            }
        };
        self.state = state;
        self.returned = None;
        transition
    }

    /// Handles the decision on the outage that a gap has left open.
    pub(super) fn after_gap(&mut self, after: AfterGap, now: Stamp) -> Vec<Transition> {
        if self.unverified().is_none() {
            return Vec::new();
        }
        let ConnectivityState::Unverified(mut open) =
            std::mem::replace(&mut self.state, ConnectivityState::Clear)
        else {
            return Vec::new();
        };
        match after {
            AfterGap::Unknown => {
                self.state = ConnectivityState::Unverified(open);
                Vec::new()
            }
            AfterGap::Over => vec![self.closed(open.close_unmonitored())],
            AfterGap::Fails(cause) => {
                let scope = open.current_scope();
                open.resume(cause, scope, now);
                let transition = Transition::Changed(open.snapshot());
                self.state = if open.is_flapping() {
                    ConnectivityState::Flapping(open, FlappingPhase::Failing(None))
                } else {
                    ConnectivityState::Failing(open, None)
                };
                vec![transition]
            }
        }
    }

    /// Changes the state as in the module's table; returns the transitions.
    pub(super) fn step(
        &mut self,
        condition: &OverallCondition,
        step: &mut StepContext<'_>,
    ) -> Vec<Transition> {
        let now = step.now;
        let (state, transitions) =
            match (std::mem::replace(&mut self.state, ConnectivityState::Clear), condition) {
                (ConnectivityState::Clear, OverallCondition::Fails(failure)) => {
                    return self.begin(failure, step);
                }
                (ConnectivityState::Clear, _) => (ConnectivityState::Clear, Vec::new()),
                (ConnectivityState::Failing(open, _), OverallCondition::Works) => {
                    return self.end(open, now);
                }
                (
                    ConnectivityState::Flapping(open, FlappingPhase::Failing(_)),
                    OverallCondition::Works,
                ) => self.begin_good_phase(open, now),
                (
                    ConnectivityState::Flapping(open, FlappingPhase::Good(since)),
                    OverallCondition::Works,
                ) => {
                    let quiet = self.settings.limits.unstable_quiet;
                    if now.since(&since).is_some_and(|lasted| lasted >= quiet) {
                        self.recent_starts.clear();
                        return vec![self.closed(open.close(since))];
                    }
                    (ConnectivityState::Flapping(open, FlappingPhase::Good(since)), Vec::new())
                }
                (ConnectivityState::Failing(open, other), OverallCondition::Fails(failure)) => {
                    if let Some(returned) = self.worked_before(&open, failure) {
                        let mut transitions = vec![self.closed(open.close(returned))];
                        transitions.extend(self.begin(failure, step));
                        return transitions;
                    }
                    let (open, other, has_changed) =
                        self.continue_failing(open, other, failure, step);
                    let changed = has_changed.then(|| Transition::Changed(open.snapshot()));
                    (ConnectivityState::Failing(open, other), changed.into_iter().collect())
                }
                (
                    ConnectivityState::Flapping(mut open, FlappingPhase::Failing(other)),
                    OverallCondition::Fails(failure),
                ) => {
                    if let Some(returned) = self.worked_before(&open, failure) {
                        open.change(Cause::Up, open.current_scope(), returned, now);
                        self.fail_again(open, returned, failure, now)
                    } else {
                        let (open, other, has_changed) =
                            self.continue_failing(open, other, failure, step);
                        let progress = has_changed.then(|| self.progress(&open, now)).flatten();
                        let transitions = progress.into_iter().collect();
                        (
                            ConnectivityState::Flapping(open, FlappingPhase::Failing(other)),
                            transitions,
                        )
                    }
                }
                (
                    ConnectivityState::Flapping(open, FlappingPhase::Good(since)),
                    OverallCondition::Fails(failure),
                ) => self.fail_again(open, since, failure, now),
                (state, _) => (state, Vec::new()),
            };
        self.state = state;
        transitions
    }

    /// When the last failed part returned. `None` if something still failed after that: then the
    /// failure ended in another way (a family is no longer judged).
    fn all_returned(&self) -> Option<Stamp> {
        self.returned.filter(|_| !self.fails_after_return)
    }

    /// When everything worked between the current segment and this failure, if it did.
    fn worked_before(&self, open: &OpenIncident, failure: &CurrentFailure) -> Option<Stamp> {
        let returned = self.all_returned()?;
        let is_later = failure.first().boot_ms > returned.boot_ms;
        (is_later && returned.is_at_or_after(open.current_since())).then_some(returned)
    }

    fn begin(&mut self, failure: &CurrentFailure, step: &mut StepContext<'_>) -> Vec<Transition> {
        let now = step.now;
        // An incident of an earlier boot cannot overlap.
        let ended = self.last_ended.filter(|ended| ended.is_same_boot(now));
        let not_before = |at: Stamp| ended.map_or(at, |ended| ended.latest(at));
        let started = not_before(failure.first());
        let last_ok = failure.last_ok.filter(|ok| started.is_at_or_after(*ok));
        let is_flapping = self.count_opening(started);
        let scope = failure.before.map_or(failure.scope, |(scope, _)| scope);
        let first = failure.course.first().map_or(failure.cause, |(cause, _)| *cause);
        let opening = Opening {
            id: IncidentId::new(now, step.random),
            scope,
            cause: first,
            is_flapping,
            name_servers: failure.name_servers,
            started,
            last_ok,
            evidence: std::mem::take(&mut step.evidence),
        };
        let mut open = OpenIncident::open(opening, now);
        open.change(first, failure.scope, not_before(failure.since), now);
        for (cause, from) in &failure.course {
            open.change(*cause, failure.scope, not_before(*from), now);
        }
        self.returned = None;
        self.progressed = None;
        let opened = Transition::Opened(open.snapshot());
        self.state = if is_flapping {
            ConnectivityState::Flapping(open, FlappingPhase::Failing(None))
        } else {
            ConnectivityState::Failing(open, None)
        };
        vec![opened]
    }

    /// Counts an opening incident; returns whether that makes the connection a flapping one.
    fn count_opening(&mut self, started: Stamp) -> bool {
        let limits = self.settings.limits;
        self.recent_starts.push_back(started);
        while self.recent_starts.len() > limits.unstable_after {
            self.recent_starts.pop_front();
        }
        let first = self
            .recent_starts
            .front()
            .filter(|_| self.recent_starts.len() == limits.unstable_after);
        first.is_some_and(|first| {
            started.since(first).is_some_and(|within| within <= limits.unstable_within)
        })
    }

    /// The failure continues, possibly with another cause or scope; also returns whether these have
    /// changed.
    fn continue_failing(
        &mut self,
        mut open: OpenIncident,
        other: OtherCause,
        failure: &CurrentFailure,
        step: &StepContext<'_>,
    ) -> (OpenIncident, OtherCause, bool) {
        let now = step.now;
        self.fails_after_return = true;
        let (cause, scope) = (open.current_cause(), open.current_scope());
        if failure.scope != scope {
            let from = failure.since.latest(failure.judged_since);
            let from = self.returned.map_or(from, |at| at.latest(from));
            open.set_name_servers(failure.name_servers);
            open.change(failure.cause, failure.scope, from, now);
            return (open, None, true);
        }
        if failure.cause == cause {
            if step.has_evidence {
                open.extend(now);
            }
            return (open, None, false);
        }
        let seen = other.filter(|(other, _)| *other == failure.cause);
        let since = seen.map_or(now, |(_, since)| since);
        let holds = now.since(&since).unwrap_or_default();
        if failure.cause != Cause::Link && holds < self.settings.limits.cause_holds {
            if step.has_evidence {
                open.extend(now);
            }
            return (open, Some((failure.cause, since)), false);
        }
        open.set_name_servers(failure.name_servers);
        open.change(failure.cause, scope, since, now);
        (open, None, true)
    }

    fn end(&mut self, open: OpenIncident, now: Stamp) -> Vec<Transition> {
        let at = self.all_returned().unwrap_or(now);
        vec![self.closed(open.close(at))]
    }

    fn closed(&mut self, incident: Incident) -> Transition {
        self.state = ConnectivityState::Clear;
        self.last_ended = incident.ended;
        self.returned = None;
        Transition::Closed(incident)
    }

    /// A flapping connection works again.
    fn begin_good_phase(
        &mut self,
        mut open: OpenIncident,
        now: Stamp,
    ) -> (ConnectivityState, Vec<Transition>) {
        let at = self.all_returned().unwrap_or(now);
        open.change(Cause::Up, open.current_scope(), at, now);
        let progress = self.progress(&open, now);
        (ConnectivityState::Flapping(open, FlappingPhase::Good(at)), progress.into_iter().collect())
    }

    /// A flapping connection fails once more, after it was good since `good_since`.
    fn fail_again(
        &mut self,
        mut open: OpenIncident,
        good_since: Stamp,
        failure: &CurrentFailure,
        now: Stamp,
    ) -> (ConnectivityState, Vec<Transition>) {
        let from = failure.first().latest(good_since);
        let scope = failure.before.map_or(failure.scope, |(scope, _)| scope);
        let was = open.scope();
        open.count_failure();
        open.set_name_servers(failure.name_servers);
        open.change(failure.cause, scope, from, now);
        open.change(failure.cause, failure.scope, failure.since.latest(from), now);
        self.returned = None;
        let news = self.record_scope_or_progress(was, &open, now);
        (
            ConnectivityState::Flapping(open, FlappingPhase::Failing(None)),
            news.into_iter().collect(),
        )
    }

    /// Returns a transition at once if the scope has widened from `was`, for example from one family to
    /// the internet; else a progress record if one is due.
    fn record_scope_or_progress(
        &mut self,
        was: Scope,
        open: &OpenIncident,
        now: Stamp,
    ) -> Option<Transition> {
        if open.scope() == was {
            return self.progress(open, now);
        }
        self.progressed = Some(now);
        Some(Transition::Changed(open.snapshot()))
    }

    /// Records the progress of a flapping connection, at most once per `progress_every`.
    fn progress(&mut self, open: &OpenIncident, now: Stamp) -> Option<Transition> {
        let every = self.settings.limits.progress_every;
        let age = self.progressed.and_then(|at| now.since(&at));
        if age.is_some_and(|age| age < every) {
            return None;
        }
        self.progressed = Some(now);
        Some(Transition::Progressed(open.snapshot()))
    }

    /// When a decision is due without new evidence.
    pub(super) fn deadline(&self) -> Option<Stamp> {
        match &self.state {
            ConnectivityState::Flapping(_, FlappingPhase::Good(since)) => {
                Some(since.later(self.settings.limits.unstable_quiet))
            }
            ConnectivityState::Failing(_, other)
            | ConnectivityState::Flapping(_, FlappingPhase::Failing(other)) => {
                other.map(|(_, since)| since.later(self.settings.limits.cause_holds))
            }
            ConnectivityState::Clear | ConnectivityState::Unverified(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{clock::BootId, outage::GapCause};

    fn at(seconds: u64) -> Stamp {
        let boot_ms = seconds * 1_000;
        Stamp { boot: BootId::UNKNOWN, boot_ms, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    fn fails(scope: Scope, cause: Cause, since: u64) -> OverallCondition {
        let name_servers = Party::Provider;
        let since = at(since);
        let (before, last_ok, judged_since) = (None, None, at(0));
        OverallCondition::Fails(CurrentFailure {
            cause,
            scope,
            since,
            before,
            course: Vec::new(),
            last_ok,
            name_servers,
            judged_since,
        })
    }

    struct ConnectivityStory {
        connectivity: Connectivity,
        random: Rng,
    }

    impl ConnectivityStory {
        fn new() -> Self {
            let connectivity = Connectivity::new(MachineSettings::default(), None);
            Self { connectivity, random: Rng::with_seed(1) }
        }

        /// Passes the condition at this second; returns the transitions.
        fn at(&mut self, second: u64, condition: &OverallCondition) -> Vec<Transition> {
            let (now, random) = (at(second), &mut self.random);
            let mut step = StepContext { now, has_evidence: true, random, evidence: Vec::new() };
            self.connectivity.step(condition, &mut step)
        }

        fn gap(&mut self, from: u64, to: u64) {
            self.connectivity.gap(&Gap {
                id: IncidentId::new(at(from), &mut self.random),
                cause: GapCause::Suspended,
                started: at(from),
                ended: at(to),
                uncertain_s: 0,
                reason: None,
            });
        }

        /// Fails from `second` on, for `lasts` seconds.
        fn outage(&mut self, second: u64, lasts: u64) -> Vec<Transition> {
            let mut all = self.at(second + 4, &fails(Scope::Internet, Cause::Isp, second));
            self.connectivity.note_return(at(second + lasts));
            all.extend(self.at(second + lasts + 1, &OverallCondition::Works));
            all
        }
    }

    fn closed(transitions: &[Transition]) -> &Incident {
        match transitions {
            [.., Transition::Closed(incident)] => incident,
            other => panic!("it should end with a close: {other:?}"),
        }
    }

    #[test]
    fn an_outage_opens_and_closes() {
        let mut story = ConnectivityStory::new();
        assert_eq!(story.at(1, &OverallCondition::Works), []);
        assert_eq!(story.at(2, &OverallCondition::Undecided), []);
        let transitions = story.outage(10, 60);
        let incident = closed(&transitions);
        assert_eq!((incident.started, incident.ended), (at(10), Some(at(70))));
        assert_eq!((incident.downtime_ms, incident.party), (60_000, Some(Party::Provider)));
    }

    #[test]
    fn a_family_that_returns_first_begins_a_segment() {
        let mut story = ConnectivityStory::new();
        story.at(14, &fails(Scope::Internet, Cause::Isp, 10));
        story.connectivity.note_return(at(60));
        let changed = story.at(61, &fails(Scope::Ipv4, Cause::Isp, 10));
        assert!(matches!(changed.as_slice(), [Transition::Changed(_)]), "{changed:?}");
        story.connectivity.note_return(at(90));
        let transitions = story.at(91, &OverallCondition::Works);
        let incident = closed(&transitions);
        assert_eq!((incident.downtime_ms, incident.one_family_ms), (50_000, 30_000));
        assert_eq!(incident.scope, Scope::Internet);
    }

    #[test]
    fn a_family_that_fails_later_widens_the_incident() {
        let mut story = ConnectivityStory::new();
        story.at(14, &fails(Scope::Ipv6, Cause::Isp, 10));
        story.at(44, &fails(Scope::Internet, Cause::Isp, 40));
        story.connectivity.note_return(at(90));
        let transitions = story.at(91, &OverallCondition::Works);
        let incident = closed(&transitions);
        assert_eq!((incident.started, incident.scope), (at(10), Scope::Internet));
        assert_eq!((incident.downtime_ms, incident.one_family_ms), (50_000, 30_000));
    }

    #[test]
    fn two_failures_with_a_working_period_between_them_are_separate() {
        let mut story = ConnectivityStory::new();
        story.at(14, &fails(Scope::Ipv6, Cause::Isp, 10));
        story.connectivity.note_return(at(30));
        story.at(31, &OverallCondition::Undecided);
        let transitions = story.at(36, &fails(Scope::Ipv4, Cause::Isp, 32));
        let [Transition::Closed(first), Transition::Opened(second)] = transitions.as_slice() else {
            panic!("{transitions:?}")
        };
        assert_eq!((first.ended, second.started), (Some(at(30)), at(32)));
    }

    #[test]
    fn another_cause_must_hold_for_three_seconds() {
        let mut story = ConnectivityStory::new();
        story.at(14, &fails(Scope::Internet, Cause::Isp, 10));
        assert_eq!(story.at(20, &fails(Scope::Internet, Cause::Gateway, 10)), []);
        assert_eq!(story.at(21, &fails(Scope::Internet, Cause::Isp, 10)), []);
        assert_eq!(story.at(30, &fails(Scope::Internet, Cause::Gateway, 10)), []);
        assert_eq!(story.at(33, &fails(Scope::Internet, Cause::Gateway, 10)).len(), 1);
        assert_eq!(story.at(40, &fails(Scope::Internet, Cause::Link, 10)).len(), 1);
        story.connectivity.note_return(at(50));
        let transitions = story.at(51, &OverallCondition::Works);
        let causes: Vec<_> = closed(&transitions).segments.iter().map(|s| s.cause).collect();
        assert_eq!(causes, [Cause::Isp, Cause::Gateway, Cause::Link]);
    }

    #[test]
    fn the_sixth_outage_in_half_an_hour_flaps_until_ten_quiet_minutes() {
        let mut story = ConnectivityStory::new();
        for number in 0..5 {
            closed(&story.outage(number * 120, 7));
        }
        let transitions = story.outage(600, 7);
        assert!(matches!(
            transitions.as_slice(),
            [Transition::Opened(_), Transition::Progressed(_)]
        ));
        story.outage(720, 7);
        assert_eq!(story.at(1_326, &OverallCondition::Works), []);
        let transitions = story.at(1_327, &OverallCondition::Works);
        let incident = closed(&transitions);
        assert_eq!((incident.cause, incident.failures), (Cause::Unstable, 2));
        assert_eq!((incident.downtime_ms, incident.ended), (14_000, Some(at(727))));
        assert_eq!(incident.party, Some(Party::Provider));
    }

    #[test]
    fn a_gap_leaves_an_outage_unverified() {
        for (after, ended, downtime) in
            [(AfterGap::Over, 20, 10_000), (AfterGap::Fails(Cause::Isp), 110, 10_000 + 10_000)]
        {
            let mut story = ConnectivityStory::new();
            story.at(14, &fails(Scope::Internet, Cause::Isp, 10));
            story.at(20, &fails(Scope::Internet, Cause::Isp, 10));
            story.gap(20, 100);
            assert_eq!(story.connectivity.after_gap(AfterGap::Unknown, at(101)), []);
            let mut transitions = story.connectivity.after_gap(after, at(102));
            if after != AfterGap::Over {
                story.connectivity.note_return(at(110));
                transitions = story.at(111, &OverallCondition::Works);
            }
            let incident = closed(&transitions);
            assert_eq!((incident.ended, incident.downtime_ms), (Some(at(ended)), downtime));
        }
    }

    #[test]
    fn time_without_evidence_is_not_downtime() {
        let mut story = ConnectivityStory::new();
        story.at(14, &fails(Scope::Internet, Cause::Isp, 10));
        let condition = fails(Scope::Internet, Cause::Isp, 10);
        let random = &mut story.random;
        let mut step =
            StepContext { now: at(90), has_evidence: false, random, evidence: Vec::new() };
        story.connectivity.step(&condition, &mut step);
        let open = story.connectivity.open().expect("it is open");
        assert_eq!(open.snapshot().downtime(), Duration::from_secs(4));
    }
}
