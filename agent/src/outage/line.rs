//! Whether the internet works: the incidents of scope `internet`, `ipv4` and `ipv6`, of which at
//! most one is open.

mod unstable;

use std::{collections::VecDeque, time::Duration};

use fastrand::Rng;

use super::{
    Cause, IncidentId, Observation, Scope, Transition,
    checks::Checks,
    family::{FamilyTrack, OPEN_AFTER, Standing, elapsed, reaches},
    machine::MachineSettings,
    open::{OpenIncident, Opening, earlier, later},
    verdict::{Facts, joint, verdict},
};
use crate::{clock::Stamp, probe::Family};

/// How long a family that is down waits for the verdict on the other one, which is in doubt: as long
/// as a round takes to fail. So a pulled cable opens one incident of the whole internet.
const OTHER_FAMILY_WAIT: Duration = Duration::from_millis(2_500);
/// How long a family may take to return after the other one before it has an incident of its own,
/// unless a round of it fails sooner.
const HALF_RETURN_WAIT: Duration = Duration::from_secs(5);

/// The incidents of the line.
#[derive(Debug)]
pub(super) struct Line {
    settings: MachineSettings,
    pub(super) families: [FamilyTrack; 2],
    pub(super) checks: Checks,
    open: Option<OpenIncident>,
    /// When the last incidents began, the newest last: as many as make a line unstable.
    begun: VecDeque<Stamp>,
    /// When the last incident ended; the next one cannot have begun before.
    last_ended: Option<Stamp>,
    /// A cause that differs from the present one, and since when; it counts when it is seen twice.
    other_cause: Option<(Cause, Stamp)>,
    /// When an unstable line has returned last, while it is up.
    quiet_since: Option<Stamp>,
    progressed: Option<Stamp>,
    /// What is open was found by checks alone, while anchors answer.
    soft: bool,
    /// A family has returned while the whole internet was down, and the other has not yet.
    half_returned: Option<Stamp>,
    /// When the last failure of anchors ended: checks that were asked before say nothing.
    sound_since: Option<Stamp>,
}

/// Heartbeats fail, which may be laid to the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    /// The sending of the first heartbeat that failed.
    pub(super) since: Stamp,
    /// When the last one before was delivered.
    pub(super) last_ok: Option<Stamp>,
    /// An incident of the heartbeats is open already, and has this time.
    pub(super) attributed: bool,
}

/// What the line should be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Up,
    Down(Scope),
    /// It is not decided: whatever is open stays open.
    Wait,
}

impl Line {
    pub(super) fn new(settings: MachineSettings, open: Option<OpenIncident>, now: Stamp) -> Self {
        let settle = settings.settle;
        Self {
            settings,
            families: Family::BOTH.map(|family| FamilyTrack::new(family, now, settle)),
            checks: Checks::default(),
            open,
            begun: VecDeque::new(),
            last_ended: None,
            other_cause: None,
            quiet_since: None,
            progressed: None,
            soft: false,
            half_returned: None,
            sound_since: None,
        }
    }

    pub(super) fn set_settle(&mut self, settle: Duration) {
        self.settings.settle = settle;
    }

    pub(super) fn family(&self, family: Family) -> &FamilyTrack {
        let [ipv4, ipv6] = &self.families;
        match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        }
    }

    pub(super) fn family_mut(&mut self, family: Family) -> &mut FamilyTrack {
        let [ipv4, ipv6] = &mut self.families;
        match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        }
    }

    pub(super) fn open(&self) -> Option<&OpenIncident> {
        self.open.as_ref()
    }

    /// Whether the internet is failing now, or was when somebody last watched.
    pub(super) fn is_failing(&self) -> bool {
        self.open.is_some() && self.quiet_since.is_none()
    }

    /// Whether it works for certain: something is judged, nothing is in doubt, nothing is open.
    pub(super) fn is_fine(&self) -> bool {
        let judged = self.judged();
        !self.is_failing()
            && !judged.is_empty()
            && judged.iter().all(|family| !family.is_doubted() && !family.is_down())
    }

    /// Whether anchors fail at present, so that heartbeats may fail for that.
    pub(super) fn is_troubled(&self) -> bool {
        let judged = self.judged();
        !self.soft && !judged.is_empty() && judged.iter().all(|family| family.is_troubled())
    }

    /// The latest good answer.
    pub(super) fn last_ok(&self) -> Option<Stamp> {
        self.families.iter().filter_map(FamilyTrack::last_ok).reduce(later)
    }

    /// The families by which the internet is judged: those that have worked on this network, or else
    /// those that have a route, or else, when it is known that none has, both. One that is down stays
    /// among them until it is over.
    pub(super) fn judged(&self) -> Vec<&FamilyTrack> {
        let of = |judged: fn(&FamilyTrack) -> bool| -> Vec<&FamilyTrack> {
            self.families.iter().filter(|family| judged(family)).collect()
        };
        if self.families.iter().any(FamilyTrack::is_alive) {
            return of(|family| family.is_alive() || family.is_down());
        }
        let routed = of(|family| family.is_routed() || family.is_down());
        if !routed.is_empty() {
            return routed;
        }
        of(FamilyTrack::is_cut)
    }

    /// Time passed that nobody watched. What is open is noted, as far as it was watched.
    pub(super) fn unwatched(&mut self, gap: &super::Gap) -> Option<Transition> {
        let settle = self.settings.settle;
        for family in &mut self.families {
            family.unwatched(gap, settle);
        }
        self.checks = Checks::default();
        self.other_cause = None;
        self.quiet_since = None;
        self.soft = false;
        self.half_returned = None;
        let open = self.open.as_mut()?;
        open.unwatch(gap);
        Some(Transition::Progressed(open.snapshot(gap.ended)))
    }

    /// A heartbeat was delivered: what it vetoes is over, as of the returned moment.
    ///
    /// One whose family is not known (it went through a proxy) vetoes both families only if none is
    /// up by rounds of its own: else it has most likely travelled on that one, and would hide for
    /// ever that the other one is down.
    pub(super) fn beat_delivered(
        &mut self,
        family: Option<Family>,
        finished: Stamp,
        now: Stamp,
    ) -> Option<Stamp> {
        let one_is_up = self.one_is_up(now);
        // A family that nobody watches is as good as one that is not known.
        let family = family.filter(|family| self.family(*family).link().is_some());
        let mut returned = None;
        for track in &mut self.families {
            let travelled = match family {
                Some(family) => track.family == family,
                None => !one_is_up && (track.is_routed() || track.is_down()),
            };
            if travelled {
                returned = track.beat_delivered(finished).or(returned);
            }
        }
        let checks = std::mem::take(&mut self.checks);
        let soft = self.open.as_ref().filter(|_| self.soft);
        returned.or(soft.map(|open| checks.good_before(open.current_cause(), finished)))
    }

    fn one_is_up(&self, now: Stamp) -> bool {
        self.families.iter().any(|family| family.is_alive() && family.standing(now) == Standing::Up)
    }

    /// Draws the conclusions from everything known. `returned` is when a heartbeat has brought
    /// something back, if one has.
    pub(super) fn decide(
        &mut self,
        suspicion: Option<Suspicion>,
        returned: Option<Stamp>,
        now: Stamp,
        random: &mut Rng,
    ) -> Vec<Transition> {
        if self.open.as_ref().is_some_and(OpenIncident::is_unwatched) {
            return self.decide_unwatched(now);
        }
        let mut returned = returned;
        let settle = self.settings.settle;
        let one_is_up = self.one_is_up(now);
        for family in self.families.iter_mut().filter(|family| family.is_down()) {
            let back = family.returned();
            let given_up = family
                .given_up_at(settle)
                .filter(|at| one_is_up && reaches(now, *at))
                .map(|at| at.earlier(settle));
            if let Some(at) = back.or(given_up) {
                match back {
                    Some(_) => family.came_up(),
                    None => family.forget(now, settle),
                }
                returned = Some(returned.map_or(at, |other| earlier(other, at)));
            }
        }
        self.sound_since = returned.or(self.sound_since);
        let target = self.target(now, suspicion);
        let mut transitions = self.settle_on(target, returned, suspicion, now, random);
        transitions.extend(self.calm_down(now));
        transitions
    }

    /// Decides whether an incident has outlasted a time that nobody watched: it has ended in it when
    /// the first round of one of its families is good, and goes on when no family could still be so.
    fn decide_unwatched(&mut self, now: Stamp) -> Vec<Transition> {
        let one_is_up = self.one_is_up(now);
        let Some(open) = &mut self.open else { return Vec::new() };
        let scope = open.scope();
        let concerned: Vec<_> = self
            .families
            .iter_mut()
            .filter(|family| scope == Scope::Internet || scope == family.family.into())
            .collect();
        if concerned.iter().any(|family| family.works()) {
            return self.end_unwatched();
        }
        let settled =
            concerned.iter().all(|family| family.ripe_at().is_none_or(|at| reaches(now, at)));
        let routed: Vec<_> = concerned.iter().filter(|family| family.is_routed()).collect();
        let all_failed = !routed.is_empty() && routed.iter().all(|f| f.failed_in_a_row() > 0);
        let no_way = routed.is_empty() && concerned.iter().any(|family| family.is_cut());
        // Nobody asks any more for families that have no anchors.
        let unasked = settled && concerned.iter().all(|family| family.link().is_none());
        if !(all_failed || settled && no_way || unasked) {
            return Vec::new();
        }
        if unasked || no_way && one_is_up {
            // One family failed, and now there is no way for it at all while the other works: it woke in
            // another network, which does not have that family and is not judged by it.
            return self.end_unwatched();
        }
        for family in concerned {
            if family.is_routed() || no_way {
                family.went_down();
            }
        }
        let cause = open.current_cause();
        // The good part of an unstable line is over; what breaks it now is seen with the next round.
        let cause = if cause.is_downtime() { cause } else { Cause::Isp };
        open.resume(cause, now);
        vec![Transition::Changed(open.snapshot(now))]
    }

    fn target(&self, now: Stamp, suspicion: Option<Suspicion>) -> Target {
        let judged = self.judged();
        let standing = |which: Standing| -> Vec<&&FamilyTrack> {
            judged.iter().filter(|family| family.standing(now) == which).collect()
        };
        let (up, doubt, down) =
            (standing(Standing::Up), standing(Standing::Doubt), standing(Standing::Down));
        match (up.is_empty(), doubt.is_empty(), down.first()) {
            (_, _, None) if self.soft_holds(suspicion) => Target::Down(Scope::Internet),
            (false, true, None) if self.soft_cause(suspicion, now).is_some() => {
                Target::Down(Scope::Internet)
            }
            (false, _, None) => Target::Up,
            (true, _, None) => Target::Wait,
            (true, true, Some(_)) => Target::Down(Scope::Internet),
            (false, _, Some(family)) => Target::Down(family.family.into()),
            // All that are decided are down, and one is in doubt.
            (true, false, Some(family)) => {
                let open = self.open.as_ref().map(OpenIncident::scope);
                let waited = down
                    .iter()
                    .filter_map(|family| family.ripe_at())
                    .reduce(later)
                    .is_none_or(|ripe| reaches(now, ripe.later(OTHER_FAMILY_WAIT)));
                match open {
                    None if waited => Target::Down(family.family.into()),
                    _ => Target::Wait,
                }
            }
        }
    }

    /// The cause that lets anchors through, and that only checks beside the heartbeats show.
    fn soft_cause(&self, suspicion: Option<Suspicion>, now: Stamp) -> Option<(Cause, Stamp)> {
        let failing = suspicion?.since;
        let since = self.sound_since.map_or(failing, |sound| later(sound, failing));
        (elapsed(since, now) >= OPEN_AFTER).then(|| self.checks.cause(since)).flatten()
    }

    /// Whether an incident that checks have found goes on: heartbeats fail still, and the checks
    /// have not said otherwise often enough.
    fn soft_holds(&self, suspicion: Option<Suspicion>) -> bool {
        let current = self.open.as_ref().map(OpenIncident::current_cause);
        self.soft
            && suspicion.is_some()
            && current.is_some_and(|cause| self.checks.good_since(cause).is_none())
    }

    /// Opens, changes and closes, so that what is open is what should be.
    fn settle_on(
        &mut self,
        target: Target,
        returned: Option<Stamp>,
        suspicion: Option<Suspicion>,
        now: Stamp,
        random: &mut Rng,
    ) -> Vec<Transition> {
        let open = self.open.as_ref().map(|open| (open.scope(), open.is_unstable()));
        if let (Some((was, true)), Target::Down(scope)) = (open, target)
            && was != scope
            && let Some(transitions) =
                self.leave_unstable(was, scope, returned, suspicion, now, random)
        {
            return transitions;
        }
        match (open, target) {
            (None, Target::Up | Target::Wait) => Vec::new(),
            (None, Target::Down(scope)) => self.begin(scope, None, suspicion, now, random),
            (Some(_), Target::Wait) => self.wait(now),
            (Some((was, true)), Target::Down(scope)) if was == scope => {
                self.fail_again(suspicion, now)
            }
            (Some((_, true)), Target::Up) => self.pause_unstable(returned.unwrap_or(now), now),
            (Some((_, false)), Target::Up) => self.end(returned, now),
            (Some((was, false)), Target::Down(scope)) if was == scope => self.go_on(suspicion, now),
            (Some((Scope::Internet, false)), Target::Down(scope)) => {
                self.half_return(scope, returned, suspicion, now, random)
            }
            (Some((was, _)), Target::Down(scope)) => {
                let began = self.failing_since(scope, was).unwrap_or(now);
                let at = returned.map_or(began, |at| later(at, began));
                let started = self.open.as_ref().map_or(at, OpenIncident::started);
                if returned.is_none() && reaches(started, at) {
                    // It was the whole internet from the beginning.
                    return self.widen(scope, now);
                }
                let mut transitions = self.end(returned.or(Some(at)), now);
                transitions.extend(self.begin(scope, Some(at), suspicion, now, random));
                transitions
            }
        }
    }

    fn wait(&mut self, now: Stamp) -> Vec<Transition> {
        if let Some(open) = &mut self.open {
            open.extend(now);
        }
        Vec::new()
    }

    /// One of two families has returned. The other one is on its own from then on, unless it returns
    /// within moments, or is not judged on the network that was found.
    fn half_return(
        &mut self,
        scope: Scope,
        returned: Option<Stamp>,
        suspicion: Option<Suspicion>,
        now: Stamp,
        random: &mut Rng,
    ) -> Vec<Transition> {
        let at = *self.half_returned.get_or_insert(returned.unwrap_or(now));
        let settle = self.settings.settle;
        let Some(other) = self.families.iter_mut().find(|family| scope == family.family.into())
        else {
            return Vec::new();
        };
        if other.is_relinked() {
            other.forget(now, settle);
            return self.end(Some(at), now);
        }
        if !other.has_failed_since(at) && elapsed(at, now) < HALF_RETURN_WAIT {
            return self.wait(now);
        }
        let mut transitions = self.end(Some(at), now);
        transitions.extend(self.begin(scope, Some(at), suspicion, now, random));
        transitions
    }

    /// Since when the families of `scope` fail, those of `except` left out.
    fn failing_since(&self, scope: Scope, except: Scope) -> Option<Stamp> {
        self.families
            .iter()
            .filter(|family| scope == Scope::Internet || scope == family.family.into())
            .filter(|family| except != family.family.into())
            .filter_map(FamilyTrack::failing_since)
            .reduce(earlier)
    }

    fn widen(&mut self, scope: Scope, now: Stamp) -> Vec<Transition> {
        self.mark_down(scope, now);
        let cause = self.cause(scope, None, now);
        let Some(open) = &mut self.open else { return Vec::new() };
        open.set_scope(scope);
        if let Some(cause) = cause {
            open.change(cause, now, now);
        }
        vec![Transition::Changed(open.snapshot(now))]
    }

    fn mark_down(&mut self, scope: Scope, now: Stamp) {
        let judged: Vec<Family> = self
            .judged()
            .iter()
            .filter(|family| family.standing(now) == Standing::Down)
            .map(|family| family.family)
            .collect();
        for family in &mut self.families {
            let concerned = scope == Scope::Internet || scope == family.family.into();
            if concerned && judged.contains(&family.family) {
                family.went_down();
            }
        }
    }

    fn begin(
        &mut self,
        scope: Scope,
        handed_over: Option<Stamp>,
        suspicion: Option<Suspicion>,
        now: Stamp,
        random: &mut Rng,
    ) -> Vec<Transition> {
        let down = self.judged().iter().any(|family| family.standing(now) == Standing::Down);
        let soft = self.soft_cause(suspicion, now).filter(|_| !down);
        let first_fail = match (soft, suspicion) {
            (Some((_, first_check)), Some(suspicion)) if suspicion.attributed => first_check,
            (Some(_), Some(suspicion)) => suspicion.since,
            _ => self.first_fail(scope, now),
        };
        let last_ok = match (soft, handed_over) {
            // The anchors answer all the while; only heartbeats prove that names are looked up.
            (Some(_), _) => suspicion.and_then(|suspicion| suspicion.last_ok),
            (None, Some(_)) if scope != Scope::Internet => None,
            (None, _) => self
                .judged()
                .iter()
                .filter(|family| scope == Scope::Internet || scope == family.family.into())
                .filter_map(|family| family.last_ok())
                .reduce(later),
        };
        let mut started = handed_over.unwrap_or(first_fail);
        if handed_over.is_none() {
            started = last_ok.map_or(started, |ok| later(ok, started));
        }
        // One that ended in an earlier boot ended before.
        let ended = self.last_ended.filter(|ended| ended.boot == started.boot);
        started = ended.map_or(started, |ended| later(ended, started));
        let last_ok = last_ok.filter(|ok| reaches(started, *ok));
        self.mark_down(scope, now);
        let cause = match soft {
            Some((cause, _)) => cause,
            None => self.cause(scope, handed_over, now).unwrap_or(Cause::Isp),
        };
        self.soft = soft.is_some();
        let evidence = self.evidence(scope, first_fail);
        let unstable = handed_over.is_none() && self.is_unstable_with(started);
        let open = OpenIncident::open(
            Opening {
                id: IncidentId::new(now, random),
                scope,
                cause,
                unstable,
                resolver_is_providers: self.checks.resolver_is_providers(),
                started,
                last_ok,
                evidence,
            },
            now,
        );
        self.other_cause = None;
        self.quiet_since = None;
        self.progressed = Some(now);
        let opened = Transition::Opened(open.snapshot(now));
        self.open = Some(open);
        vec![opened]
    }

    /// The sending of the first thing that failed in families that are down together.
    fn first_fail(&self, scope: Scope, now: Stamp) -> Stamp {
        self.judged()
            .iter()
            .filter(|family| scope == Scope::Internet || scope == family.family.into())
            .filter(|family| family.standing(now) == Standing::Down)
            .filter_map(|family| family.failing_since())
            .reduce(earlier)
            .unwrap_or(now)
    }

    fn evidence(&self, scope: Scope, since: Stamp) -> Vec<Observation> {
        self.judged()
            .iter()
            .filter(|family| scope == Scope::Internet || scope == family.family.into())
            .flat_map(|family| family.evidence(since))
            .chain(self.checks.evidence(since))
            .collect()
    }

    /// What the verdict is on the families of `scope` that are down; `None` when none is.
    fn cause(&self, scope: Scope, opened: Option<Stamp>, now: Stamp) -> Option<Cause> {
        let causes: Vec<_> = self
            .families
            .iter()
            .filter(|family| scope == Scope::Internet || scope == family.family.into())
            .filter(|family| family.is_down())
            // A network that may not have this family at all says nothing about why it failed.
            .filter(|family| scope == Scope::Internet || !(family.is_relinked() && family.is_cut()))
            .map(|family| {
                let since = family.failing_since().or(opened).unwrap_or(now);
                verdict(&Facts {
                    link: family.link().cloned(),
                    gateway: family.gateway(since, now),
                    gateway_answered_before: family.gateway_answered_before(),
                    opened: opened.is_some(),
                    alive_beneath: family.alive_beneath(since),
                    portal: self.checks.portal(since),
                    anchors_alive: false,
                    system_dns: None,
                    heartbeat: None,
                })
            })
            .collect();
        (!causes.is_empty()).then(|| joint(causes))
    }

    /// The incident goes on, maybe with another cause.
    fn go_on(&mut self, suspicion: Option<Suspicion>, now: Stamp) -> Vec<Transition> {
        let Some(open) = &self.open else { return Vec::new() };
        let (scope, started) = (open.scope(), open.started());
        self.mark_down(scope, now);
        let soft = self.soft_cause(suspicion, now).map(|(cause, _)| cause);
        let hard = self.cause(scope, Some(started), now);
        self.soft &= hard.is_none();
        self.half_returned = None;
        let cause = hard.or(soft);
        let resolver_is_providers = self.checks.resolver_is_providers();
        let Some(open) = &mut self.open else { return Vec::new() };
        let current = open.current_cause();
        let Some(cause) = cause.filter(|cause| *cause != current) else {
            self.other_cause = None;
            open.extend(now);
            return Vec::new();
        };
        // One answer that was lost must not cut the incident to pieces, nor the moment between a
        // link that is there again and the first answer; that it is gone is the kernel's word.
        let certain = cause == Cause::Link;
        let seen = self.other_cause.filter(|(other, _)| *other == cause);
        match seen {
            None if !certain => {
                self.other_cause = Some((cause, now));
                open.extend(now);
                Vec::new()
            }
            Some((_, since))
                if !certain && elapsed(since, now) < self.settings.limits.cause_holds =>
            {
                open.extend(now);
                Vec::new()
            }
            _ => {
                let since = seen.map_or(now, |(_, since)| since);
                self.other_cause = None;
                open.set_resolver_is_providers(resolver_is_providers);
                open.change(cause, since, now);
                if open.is_unstable() {
                    return self.progress(now);
                }
                vec![Transition::Changed(open.snapshot(now))]
            }
        }
    }

    fn end(&mut self, returned: Option<Stamp>, now: Stamp) -> Vec<Transition> {
        let checked =
            self.open.as_ref().and_then(|open| self.checks.good_since(open.current_cause()));
        let at = self.half_returned.or(returned).or(checked).unwrap_or(now);
        self.open.take().map(|open| self.closed(open.close(at))).into_iter().collect()
    }

    /// Ends what is open where it was last watched.
    fn end_unwatched(&mut self) -> Vec<Transition> {
        self.open.take().map(|open| self.closed(open.close_unwatched())).into_iter().collect()
    }

    fn closed(&mut self, incident: super::Incident) -> Transition {
        self.last_ended = incident.ended;
        self.other_cause = None;
        self.quiet_since = None;
        self.half_returned = None;
        self.soft = false;
        Transition::Closed(incident)
    }

    /// When a look is needed although nothing new is heard.
    pub(super) fn deadlines(&self, suspicion: Option<Suspicion>) -> Vec<Stamp> {
        let settle = self.settings.settle;
        let half = self.half_returned.map(|at| at.later(HALF_RETURN_WAIT));
        let ripe = self.judged().iter().filter_map(|family| family.ripe_at()).collect::<Vec<_>>();
        let after_other = ripe.iter().map(|at| at.later(OTHER_FAMILY_WAIT)).collect::<Vec<_>>();
        let quiet = self.quiet_since.map(|since| since.later(self.settings.limits.unstable_quiet));
        let given_up = self.families.iter().filter_map(|family| family.given_up_at(settle));
        let soft = suspicion.map(|suspicion| suspicion.since.later(OPEN_AFTER));
        let other =
            self.other_cause.map(|(_, since)| since.later(self.settings.limits.cause_holds));
        ripe.into_iter()
            .chain(after_other)
            .chain(quiet)
            .chain(given_up)
            .chain(soft)
            .chain(other)
            .chain(half)
            .collect()
    }
}
