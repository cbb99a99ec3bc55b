//! Whether the internet can be reached: outages, of which at most one is open.
//!
//! | state | works | undecided | fails | gap |
//! |---|---|---|---|---|
//! | `Clear` | – | – | opens: `Failing`, the 6th in half an hour `Flapping` | – |
//! | `Failing` | closes: `Clear` | waits | goes on; another cause or scope begins a segment | `Unverified` |
//! | `Flapping`, failing | a good segment begins | waits | as `Failing` | `Unverified` |
//! | `Flapping`, good | closes after 10 quiet minutes: `Clear` | waits | fails once more | `Unverified` |
//! | `Unverified` | closes where it was last seen: `Clear` | waits | resumes: `Failing`, `Flapping` | stays |
//!
//! - One outage is one incident, whichever families it touches: one that returns before or fails after
//!   the other begins a segment of scope `ipv4` or `ipv6`.
//! - Another cause counts when it holds for three seconds, so that one lost answer does not cut the
//!   incident to pieces; that there is no link is the kernel's word and counts at once.
//! - Everything that worked between two failures separates them, also where it was noticed late.
//! - `Unverified` was left open by a gap, or by an earlier run of the agent.

use std::collections::VecDeque;

use fastrand::Rng;

use super::{
    Cause, Gap, Incident, IncidentId, Observation, Party, Scope, Transition,
    machine::MachineSettings,
    open::{OpenIncident, Opening},
};
use crate::clock::Stamp;

/// What families and names say together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// Everything that is judged works.
    Works,
    /// Something may be failing, or may be about to return.
    Undecided,
    /// This fails.
    Fails(Failure),
}

/// What fails at present.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    pub(super) scope: Scope,
    /// Since when all of it fails.
    pub(super) since: Stamp,
    /// One family failed before the other, alone.
    pub(super) before: Option<(Scope, Stamp)>,
    /// The last good answer before it.
    pub(super) last_ok: Option<Stamp>,
    pub(super) name_servers: Party,
}

impl Failure {
    /// When its first part began.
    pub(super) fn first(&self) -> Stamp {
        self.before.map_or(self.since, |(_, at)| at)
    }
}

/// How a failure goes on after a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterGap {
    /// It is not known yet.
    Unknown,
    /// It has ended within the gap.
    Over,
    /// It still fails.
    Fails(Cause),
}

/// What a step works with.
pub(super) struct Step<'a> {
    pub(super) now: Stamp,
    /// Whether this step has brought evidence, and not only time.
    pub(super) has_evidence: bool,
    pub(super) random: &'a mut Rng,
    /// What speaks for the failure, if there is one.
    pub(super) evidence: Vec<Observation>,
}

/// The state; see the table of this module.
#[derive(Clone, Debug)]
enum State {
    Clear,
    Unverified(OpenIncident),
    Failing(OpenIncident, OtherCause),
    Flapping(OpenIncident, Phase),
}

/// A flapping connection fails, or has been good since then.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Failing(OtherCause),
    Good(Stamp),
}

/// A cause that differs from the present one, and since when it is seen.
type OtherCause = Option<(Cause, Stamp)>;

/// The outages.
#[derive(Debug)]
pub(super) struct Connectivity {
    settings: MachineSettings,
    state: State,
    /// When the last incidents began, the newest last: as many as make a flapping connection.
    begun: VecDeque<Stamp>,
    /// When the last incident ended; the next one cannot have begun before.
    last_ended: Option<Stamp>,
    /// When something has returned last since the incident opened.
    returned: Option<Stamp>,
    /// When the progress of a flapping connection was recorded last.
    progressed: Option<Stamp>,
}

impl Connectivity {
    pub(super) fn new(settings: MachineSettings, open: Option<OpenIncident>) -> Self {
        Self {
            settings,
            state: open.map_or(State::Clear, State::Unverified),
            begun: VecDeque::new(),
            last_ended: None,
            returned: None,
            progressed: None,
        }
    }

    pub(super) fn open(&self) -> Option<&OpenIncident> {
        match &self.state {
            State::Clear => None,
            State::Unverified(open) | State::Failing(open, _) | State::Flapping(open, _) => {
                Some(open)
            }
        }
    }

    /// Whether it fails at present, or did when it was monitored last.
    pub(super) fn is_failing(&self) -> bool {
        !matches!(self.state, State::Clear | State::Flapping(_, Phase::Good(_)))
    }

    /// The incident that a gap has left open, until it is known whether it goes on.
    pub(super) fn unverified(&self) -> Option<&OpenIncident> {
        match &self.state {
            State::Unverified(open) => Some(open),
            _ => None,
        }
    }

    /// Something that failed works again since `at`.
    pub(super) fn note_return(&mut self, at: Stamp) {
        self.returned = Some(self.returned.map_or(at, |known| known.latest(at)));
    }

    /// A gap is over.
    pub(super) fn gap(&mut self, gap: &Gap) -> Option<Transition> {
        let (state, transition) = match std::mem::replace(&mut self.state, State::Clear) {
            State::Clear => (State::Clear, None),
            State::Unverified(mut open) | State::Failing(mut open, _) | State::Flapping(mut open, _) => {
                open.unwatch(gap);
                let transition = Transition::Progressed(open.snapshot());
                (State::Unverified(open), Some(transition))
            }
        };
        self.state = state;
        self.returned = None;
        transition
    }

    /// Whether what a gap left open goes on.
    pub(super) fn after_gap(&mut self, after: AfterGap, now: Stamp) -> Vec<Transition> {
        if self.unverified().is_none() {
            return Vec::new();
        }
        let State::Unverified(mut open) = std::mem::replace(&mut self.state, State::Clear) else {
            return Vec::new();
        };
        match after {
            AfterGap::Unknown => {
                self.state = State::Unverified(open);
                Vec::new()
            }
            AfterGap::Over => vec![self.closed(open.close_unwatched())],
            AfterGap::Fails(cause) => {
                let scope = open.current_scope();
                open.resume(cause, scope, now);
                let transition = Transition::Changed(open.snapshot());
                self.state = if open.is_flapping() {
                    State::Flapping(open, Phase::Failing(None))
                } else {
                    State::Failing(open, None)
                };
                vec![transition]
            }
        }
    }

    /// The next state, and what changes; the table of this module in code.
    pub(super) fn step(&mut self, condition: &Condition, step: &mut Step<'_>) -> Vec<Transition> {
        let now = step.now;
        let (state, transitions) = match (std::mem::replace(&mut self.state, State::Clear), condition) {
            (State::Clear, Condition::Fails(failure)) => return self.begin(failure, step),
            (State::Clear, _) => (State::Clear, Vec::new()),
            (State::Failing(open, _), Condition::Works) => return self.end(open, now),
            (State::Flapping(open, Phase::Failing(_)), Condition::Works) => self.rest(open, now),
            (State::Flapping(open, Phase::Good(since)), Condition::Works) => {
                let quiet = self.settings.limits.unstable_quiet;
                if now.since(&since).is_some_and(|lasted| lasted >= quiet) {
                    self.begun.clear();
                    return vec![self.closed(open.close(since))];
                }
                (State::Flapping(open, Phase::Good(since)), Vec::new())
            }
            (State::Failing(open, other), Condition::Fails(failure)) => {
                if let Some(returned) = self.worked_before(&open, failure) {
                    let mut transitions = vec![self.closed(open.close(returned))];
                    transitions.extend(self.begin(failure, step));
                    return transitions;
                }
                let (open, other, has_changed) = self.go_on(open, other, failure, step);
                let changed = has_changed.then(|| Transition::Changed(open.snapshot()));
                (State::Failing(open, other), changed.into_iter().collect())
            }
            (State::Flapping(mut open, Phase::Failing(other)), Condition::Fails(failure)) => {
                if let Some(returned) = self.worked_before(&open, failure) {
                    open.change(Cause::Up, open.current_scope(), returned, now);
                    self.fail_again(open, returned, failure, now)
                } else {
                    let (open, other, has_changed) = self.go_on(open, other, failure, step);
                    let progress = has_changed.then(|| self.progress(&open, now)).flatten();
                    let transitions = progress.into_iter().collect();
                    (State::Flapping(open, Phase::Failing(other)), transitions)
                }
            }
            (State::Flapping(open, Phase::Good(since)), Condition::Fails(failure)) => {
                self.fail_again(open, since, failure, now)
            }
            (state, _) => (state, Vec::new()),
        };
        self.state = state;
        transitions
    }

    /// When everything worked between the present segment and this failure, if it did.
    fn worked_before(&self, open: &OpenIncident, failure: &Failure) -> Option<Stamp> {
        let returned = self.returned?;
        let is_later = failure.first().boot_ms > returned.boot_ms;
        (is_later && returned.is_at_or_after(open.current_since())).then_some(returned)
    }

    fn begin(&mut self, failure: &Failure, step: &mut Step<'_>) -> Vec<Transition> {
        let now = step.now;
        // One that ended in an earlier boot ended before.
        let ended = self.last_ended.filter(|ended| ended.is_same_boot(now));
        let not_before = |at: Stamp| ended.map_or(at, |ended| ended.latest(at));
        let started = not_before(failure.first());
        let last_ok = failure.last_ok.filter(|ok| started.is_at_or_after(*ok));
        let is_flapping = self.count_opening(started);
        let scope = failure.before.map_or(failure.scope, |(scope, _)| scope);
        let opening = Opening {
            id: IncidentId::new(now, step.random),
            scope,
            cause: failure.cause,
            is_flapping,
            name_servers: failure.name_servers,
            started,
            last_ok,
            evidence: std::mem::take(&mut step.evidence),
        };
        let mut open = OpenIncident::open(opening, now);
        open.change(failure.cause, failure.scope, not_before(failure.since), now);
        self.returned = None;
        self.progressed = None;
        let opened = Transition::Opened(open.snapshot());
        self.state = if is_flapping {
            State::Flapping(open, Phase::Failing(None))
        } else {
            State::Failing(open, None)
        };
        vec![opened]
    }

    /// Counts an incident that begins, and tells whether it makes a flapping connection.
    fn count_opening(&mut self, started: Stamp) -> bool {
        let limits = self.settings.limits;
        self.begun.push_back(started);
        while self.begun.len() > limits.unstable_after {
            self.begun.pop_front();
        }
        let first = self.begun.front().filter(|_| self.begun.len() == limits.unstable_after);
        first.is_some_and(|first| {
            started.since(first).is_some_and(|within| within <= limits.unstable_within)
        })
    }

    /// It still fails, maybe with another cause or scope; tells whether that has changed.
    fn go_on(
        &self,
        mut open: OpenIncident,
        other: OtherCause,
        failure: &Failure,
        step: &Step<'_>,
    ) -> (OpenIncident, OtherCause, bool) {
        let now = step.now;
        let (cause, scope) = (open.current_cause(), open.current_scope());
        if failure.scope != scope {
            let from = self.returned.map_or(failure.since, |at| at.latest(failure.since));
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
        let at = self.returned.unwrap_or(now);
        vec![self.closed(open.close(at))]
    }

    fn closed(&mut self, incident: Incident) -> Transition {
        self.state = State::Clear;
        self.last_ended = incident.ended;
        self.returned = None;
        Transition::Closed(incident)
    }

    /// A flapping connection works again.
    fn rest(&mut self, mut open: OpenIncident, now: Stamp) -> (State, Vec<Transition>) {
        let at = self.returned.unwrap_or(now);
        open.change(Cause::Up, open.current_scope(), at, now);
        let progress = self.progress(&open, now);
        (State::Flapping(open, Phase::Good(at)), progress.into_iter().collect())
    }

    /// A flapping connection fails once more, after it was good since `good_since`.
    fn fail_again(
        &mut self,
        mut open: OpenIncident,
        good_since: Stamp,
        failure: &Failure,
        now: Stamp,
    ) -> (State, Vec<Transition>) {
        let from = failure.first().latest(good_since);
        let scope = failure.before.map_or(failure.scope, |(scope, _)| scope);
        open.count_failure();
        open.set_name_servers(failure.name_servers);
        open.change(failure.cause, scope, from, now);
        open.change(failure.cause, failure.scope, failure.since.latest(from), now);
        self.returned = None;
        let progress = self.progress(&open, now);
        (State::Flapping(open, Phase::Failing(None)), progress.into_iter().collect())
    }

    /// Records how a flapping connection does, but not each time.
    fn progress(&mut self, open: &OpenIncident, now: Stamp) -> Option<Transition> {
        let every = self.settings.limits.progress_every;
        let is_recent = self.progressed.and_then(|at| now.since(&at)).is_some_and(|age| age < every);
        if is_recent {
            return None;
        }
        self.progressed = Some(now);
        Some(Transition::Progressed(open.snapshot()))
    }

    /// When something is decided although nothing new is known.
    pub(super) fn deadline(&self) -> Option<Stamp> {
        match &self.state {
            State::Flapping(_, Phase::Good(since)) => {
                Some(since.later(self.settings.limits.unstable_quiet))
            }
            State::Failing(_, other) | State::Flapping(_, Phase::Failing(other)) => {
                other.map(|(_, since)| since.later(self.settings.limits.cause_holds))
            }
            State::Clear | State::Unverified(_) => None,
        }
    }
}
