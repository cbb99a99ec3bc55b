//! Compares what the agent wrote with what a perfect witness knows.

use ispmon_agent::{
    outage::{Cause, FamilyState, GapCause, Incident, Party, Scope, Segment, Transition, View},
    probe::{Family, PerFamily},
};

use super::{
    sketch::{Beating, Fault, Sketch, What},
    witness::{Seen, Stretch, witness},
};
use crate::{
    caught,
    player::{self, Outcome, Plot},
};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
/// What lasts this long must be in the record, or must have left it.
const KNOWN_WITHIN: u64 = 15 * SECOND;
/// How late an end may be.
const END_WITHIN: u64 = 2 * SECOND;
/// What a round trip and the order of messages blur.
const BLUR: u64 = 350;

/// A way in which the record is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// Which rule is broken.
    pub(super) rule: &'static str,
    pub(super) details: String,
}

/// Plays a world, and returns what is wrong with the record of it; a broken invariant as well.
pub(super) fn broken(sketch: &Sketch) -> Vec<Violation> {
    caught(|| compare_with(sketch, sketch))
        .unwrap_or_else(|details| vec![Violation { rule: "what must always hold", details }])
}

/// Plays a world, and prints everything that the machine learns.
pub(super) fn trace(sketch: &Sketch) {
    let _ = caught(|| player::play(&Plot { traced: true, ..sketch.plot() }));
}

/// Plays one world, and judges it by the truth of another.
pub(super) fn compare_with(known: &Sketch, played: &Sketch) -> Vec<Violation> {
    let mut judge = Judge::new(known);
    let mut plot = played.plot();
    plot.checkpoints = judge.checkpoints();
    judge.compare(&plot, &player::play(&plot));
    judge.found
}

/// A time in which something holds without a break.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    to: u64,
    /// The hardest to see of what failed in it.
    seen: Seen,
    /// What failed, where it is known.
    cause: Option<(Cause, Party)>,
}

/// What the agent must show at a time.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::enum_variant_names, reason = "each reads as a sentence")]
enum Must {
    ShowOutage(Scope, Run),
    ShowNone(Run),
    ShowHeartbeats(Run),
    ShowNoHeartbeats(Run),
    ShowNoQuality(Run),
}

struct Judge<'a> {
    sketch: &'a Sketch,
    stretches: Vec<Stretch>,
    musts: Vec<(u64, Must)>,
    down: Vec<Run>,
    family_down: PerFamily<Vec<Run>>,
    found: Vec<Violation>,
}

impl<'a> Judge<'a> {
    fn new(sketch: &'a Sketch) -> Self {
        let stretches = witness(sketch);
        let down = runs(&stretches, |at| at.watched && at.internet == Some(false));
        let family_down = PerFamily::from_fn(|family| {
            runs(&stretches, |at| {
                at.watched && at.internet == Some(true) && at.works[family] == Some(false)
            })
        });
        let mut judge =
            Self { sketch, stretches, musts: Vec::new(), down, family_down, found: Vec::new() };
        judge.expect();
        judge
    }

    fn report(&mut self, rule: &'static str, details: String) {
        self.found.push(Violation { rule, details });
    }

    /// How long it may take until a failure is seen that takes this.
    fn lag(&self, seen: Seen, family: Option<Family>) -> u64 {
        // A heartbeat every minute with jitter, or a proof every minute; each may wait for its end.
        let proof = match (self.sketch.setup.beating, family) {
            // By a family that no heartbeat travels on.
            (_, Some(_)) => 5 * MINUTE + 10 * SECOND,
            _ => 66 * SECOND + 10 * SECOND,
        };
        // Two heartbeats in a row, with what lies between them.
        let heartbeats = 66 * SECOND + 35 * SECOND;
        let look_up = self.look_up();
        match seen {
            // An anchor whose address the router owns answers in its turn.
            Seen::ByProbes => {
                let owned = |fault: &&Fault| matches!(fault.what, What::Owned(_));
                let owned = self.sketch.faults.iter().filter(owned).count() as u64;
                self.sketch.setup.interval_ms * (1 + owned.min(2)) + SECOND
            }
            Seen::ByProofs => proof + SECOND,
            Seen::ByHeartbeats => heartbeats,
            Seen::ByLookups => proof + look_up + SECOND,
            Seen::BySlowLookups => proof + 4 * look_up + SECOND,
        }
    }

    /// When something must be known that fails from `run.from` on.
    fn known(&self, run: Run, family: Option<Family>) -> u64 {
        let lag = self.lag(run.seen, family);
        let known = run.from + KNOWN_WITHIN.max(9 * SECOND + lag);
        // While nothing is known yet, nothing opens.
        let unsettled = self.unsettled(run, known);
        unsettled.map_or(known, |at| {
            at.from.max(run.from) + self.grace() + KNOWN_WITHIN.max(9 * SECOND + lag)
        })
    }

    /// The grace period that a failure began in, or that began before it was known.
    fn unsettled(&self, run: Run, known: u64) -> Option<&Stretch> {
        let worked = self.stretches.iter().rfind(|at| {
            at.to <= run.from && at.internet == Some(true) && at.to - at.from >= 3 * SECOND
        });
        let since =
            worked.map_or(0, |worked| worked.from).max(run.from.saturating_sub(self.grace()));
        self.stretches.iter().find(|at| at.unsettled && at.from >= since && at.from <= known)
    }

    /// How long a look-up takes that nobody answers.
    fn look_up(&self) -> u64 {
        10 * SECOND * self.sketch.setup.servers as u64
    }

    fn grace(&self) -> u64 {
        let set = self.sketch.faults.iter().filter_map(|fault| match fault.what {
            What::Grace(grace) => Some(grace),
            _ => None,
        });
        set.chain([self.sketch.setup.grace_ms]).max().unwrap_or(0)
    }

    fn expect(&mut self) {
        let mut musts = Vec::new();
        for run in &self.down {
            let known = self.known(*run, None);
            for at in [known, known.midpoint(run.to), run.to.saturating_sub(BLUR)] {
                if known <= at && at < run.to {
                    musts.push((at, Must::ShowOutage(Scope::Internet, *run)));
                }
            }
        }
        for (family, runs) in &self.family_down {
            for run in runs {
                let known = self.known(*run, Some(family));
                for at in [known, known.midpoint(run.to), run.to.saturating_sub(BLUR)] {
                    if known <= at && at < run.to {
                        musts.push((at, Must::ShowOutage(family.into(), *run)));
                    }
                }
            }
        }
        let fine = |at: &Stretch| at.watched && at.fine == Some(true);
        for run in runs(&self.stretches, fine) {
            let before = self.stretches.iter().find(|at| at.to == run.from);
            let slow = match before.map(|before| before.seen) {
                Some(Seen::BySlowLookups) => self.look_up(),
                Some(Seen::ByHeartbeats) => 35 * SECOND,
                _ => 0,
            };
            let known = run.from + KNOWN_WITHIN + slow;
            for at in [known, known.midpoint(run.to), run.to.saturating_sub(BLUR)] {
                if known <= at && at < run.to {
                    musts.push((at, Must::ShowNone(run)));
                }
            }
        }
        let can_fail = matches!(self.sketch.setup.beating, Beating::Https | Beating::Plain);
        let delivered = |at: &Stretch| fine(at) && at.endpoint == Some(true) && at.loss == 0;
        for run in runs(&self.stretches, delivered) {
            let known = run.from + 90 * SECOND;
            if known < run.to {
                musts.push((known, Must::ShowNoHeartbeats(run)));
            }
        }
        let refused = |at: &Stretch| fine(at) && at.endpoint == Some(false) && at.loss == 0;
        for run in runs(&self.stretches, refused) {
            let known = run.from + self.grace() + 4 * MINUTE;
            if can_fail && known < run.to {
                musts.push((known, Must::ShowHeartbeats(run)));
            }
        }
        let good = |at: &Stretch| fine(at) && at.loss == 0 && at.latency_ms <= 50 && at.anchors;
        for run in runs(&self.stretches, good) {
            let known = run.from + 11 * MINUTE;
            if known < run.to {
                musts.push((known, Must::ShowNoQuality(run)));
            }
        }
        musts.sort_by_key(|(at, _)| *at);
        self.musts = musts;
    }

    fn checkpoints(&self) -> Vec<u64> {
        let mut times: Vec<_> = self.musts.iter().map(|(at, _)| *at).collect();
        times.dedup();
        times
    }

    fn compare(&mut self, plot: &Plot, outcome: &Outcome) {
        self.compare_shown(outcome);
        self.compare_asked(plot, outcome);
        let incidents = recorded(outcome);
        for incident in incidents.iter().filter(|incident| incident.scope.is_line()) {
            self.compare_downtime(incident, outcome);
            self.compare_party(incident, outcome);
        }
        self.compare_coverage(&incidents, outcome);
        self.compare_quality(outcome);
        self.compare_blindness(outcome);
    }

    /// Liveness: what is shown at each time.
    fn compare_shown(&mut self, outcome: &Outcome) {
        for (at, must) in std::mem::take(&mut self.musts) {
            let Some((_, view)) = outcome.views.iter().find(|(shown, _)| *shown == at) else {
                continue;
            };
            let line = view.incidents.iter().find(|open| open.scope.is_line());
            let last = line.and_then(|open| open.segments.last());
            let of = |scope| view.incidents.iter().find(|open| open.scope == scope);
            let is_down = |scope: Scope| {
                last.is_some_and(|last| last.scope == scope && last.cause.is_downtime())
            };
            let (rule, run, holds) = match must {
                Must::ShowOutage(Scope::Internet, run) => {
                    let claims_up = run.seen <= Seen::ByProofs && is_one_up(view);
                    let holds = is_down(Scope::Internet) && !claims_up;
                    ("a dead line is in the record", run, holds)
                }
                Must::ShowOutage(scope, run) => {
                    ("a dead family is in the record", run, is_down(scope))
                }
                Must::ShowNone(run) => {
                    let calm = last.is_none_or(|last| last.cause == Cause::Up);
                    let calm = calm && ![view.ipv4, view.ipv6].contains(&FamilyState::Down);
                    ("a line that is fine has no open outage", run, calm)
                }
                Must::ShowHeartbeats(run) => {
                    ("failing heartbeats are in the record", run, of(Scope::Heartbeat).is_some())
                }
                Must::ShowNoHeartbeats(run) => (
                    "delivered heartbeats have no open incident",
                    run,
                    of(Scope::Heartbeat).is_none(),
                ),
                Must::ShowNoQuality(run) => {
                    ("a good line has no open `degraded`", run, of(Scope::Quality).is_none())
                }
            };
            if !holds {
                let details = format!("at {at} ms of {run:?}: {}", shown(view));
                self.report(rule, details);
            }
        }
    }

    /// Liveness: the agent still asks.
    fn compare_asked(&mut self, plot: &Plot, outcome: &Outcome) {
        let most = plot.interval_ms + SECOND;
        if outcome.blindness.0 > most {
            let (lasted, until) = outcome.blindness;
            self.report("links are looked at", format!("for {lasted} ms until {until} ms, not"));
        }
        for (family, (lasted, until)) in &outcome.silence {
            if *lasted > most {
                let details = format!("no {family} anchor for {lasted} ms until {until} ms");
                self.report("the agent still asks", details);
            }
        }
    }

    /// Truth: no downtime while the internet worked, or nobody watched.
    fn compare_downtime(&mut self, incident: &Incident, outcome: &Outcome) {
        for (index, segment) in incident.segments.iter().enumerate() {
            if !segment.cause.is_downtime() {
                continue;
            }
            let (from, to) = (outcome.time_of(segment.from), outcome.time_of(segment.to));
            let worked = |stretch: &Stretch| {
                stretch.watched
                    && match segment.scope {
                        Scope::Ipv4 => stretch.works.ipv4 == Some(true),
                        Scope::Ipv6 => stretch.works.ipv6 == Some(true),
                        _ => stretch.internet == Some(true),
                    }
            };
            // The latest stretch in which it did not work, and what was lost in it.
            let mut failed: Option<&Stretch> = None;
            for stretch in &self.stretches {
                let is_worked = worked(stretch);
                let blind = self.blind_since(stretch.from);
                let is_unwatched = !stretch.watched
                    && (self.is_gap(stretch.from)
                        || blind.is_some_and(|(from, to)| to - from >= 17 * SECOND));
                // When it may have ended for the machine at the latest.
                let known = if is_worked {
                    failed.map_or(0, |failed| failed.to + self.late(failed, stretch))
                } else {
                    // What was asked before nothing could be asked may take until then.
                    blind.map_or(stretch.from, |(from, _)| from + self.under_way()) + BLUR
                };
                let lossy = stretch.loss > 0 || failed.is_some_and(|before| before.loss > 0);
                if !is_worked {
                    failed = Some(stretch);
                }
                // A heartbeat that fails for something else raises doubt from its start on.
                let broken = stretch.fine != Some(true)
                    || stretch.endpoint != Some(true)
                    || !stretch.anchors;
                let blur =
                    BLUR + 2 * stretch.latency_ms + if lossy || broken { 11 * SECOND } else { 0 };
                let wrong = is_worked || is_unwatched;
                let late = known.saturating_sub(stretch.from);
                let (begins, ends) =
                    ((stretch.from + late).max(from), stretch.to.saturating_sub(blur).min(to));
                if wrong && begins + 100 < ends {
                    let rule = if stretch.watched {
                        "no downtime while it worked"
                    } else {
                        "no downtime that nobody watched"
                    };
                    let details = format!(
                        "segment {index} {} {} from {from} to {to} ms covers {begins} to {ends} ms of {stretch:?}: {}",
                        segment.scope,
                        segment.cause,
                        line(incident, outcome)
                    );
                    self.found.push(Violation { rule, details });
                    break;
                }
            }
        }
    }

    /// How long after the end of a failure it may be open.
    fn late(&self, failed: &Stretch, now: &Stretch) -> u64 {
        let seen = match failed.seen {
            // With contact alone, the login page must have gone first.
            Seen::ByProbes | Seen::ByProofs if !self.sketch.setup.tls => 2 * SECOND,
            Seen::ByProbes => 0,
            // Names that are dead with the line may be noticed first.
            Seen::ByProofs | Seen::ByLookups => SECOND,
            Seen::ByHeartbeats => 35 * SECOND,
            // The look-up that is under way has to end.
            Seen::BySlowLookups => self.look_up(),
        };
        // A family of which nobody knows may keep the other one waiting until its proof has failed.
        let families = &self.sketch.setup.families;
        let is_vague = !self.sketch.setup.ipv6_broken
            && families.iter().any(|family| now.works[*family].is_none());
        let wait = if is_vague { 4 * SECOND } else { 0 };
        END_WITHIN + BLUR + seen + wait + 2 * now.latency_ms
    }

    /// How long what was asked may take: a proof, or a heartbeat.
    fn under_way(&self) -> u64 {
        if self.sketch.setup.beating == Beating::None { 4 * SECOND } else { 10 * SECOND }
    }

    /// From when to when this device can ask nobody, around a time.
    fn blind_since(&self, at: u64) -> Option<(u64, u64)> {
        let blind = self.sketch.faults.iter().filter(|fault| {
            matches!(fault.what, What::LocalFailure(_)) && fault.from <= at && at < fault.to
        });
        blind.map(|fault| (fault.from, fault.to)).min()
    }

    fn is_gap(&self, at: u64) -> bool {
        self.sketch.is(at, |what| matches!(what, What::Gap(_)))
    }

    /// Truth: the right cause in the middle of a long failure, and the right party.
    fn compare_party(&mut self, incident: &Incident, outcome: &Outcome) {
        let mut all_of: Option<(Cause, Party)> = None;
        let mut mixed = false;
        for stretch in &self.stretches {
            let Some((cause, party)) = stretch.cause.filter(|_| stretch.watched) else {
                mixed |= incident.segments.iter().any(|segment| {
                    overlap(segment, stretch, outcome, 0) > 0 && stretch.internet != Some(true)
                });
                continue;
            };
            let Stretch { from, to, seen, .. } = *stretch;
            let run = Run { from, to, seen, cause: stretch.cause };
            let settled = self.known(run, None) + 15 * SECOND - stretch.from;
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
                        line(incident, outcome)
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
                format!("{:?} is not {party}: {}", incident.party, line(incident, outcome));
            self.report("the right party", details);
        }
    }

    /// Truth: what failed is counted, but for what the probes cannot see at its beginning.
    fn compare_coverage(&mut self, incidents: &[Incident], outcome: &Outcome) {
        let down = self.down.iter().map(|run| (Scope::Internet, *run, self.known(*run, None)));
        let families = self.family_down.iter().flat_map(|(family, runs)| {
            runs.iter().map(move |run| (Scope::from(family), *run, Some(family)))
        });
        let families = families.map(|(scope, run, family)| (scope, run, self.known(run, family)));
        let all: Vec<_> = down.chain(families).collect();
        for (scope, run, known) in all {
            if known + BLUR >= run.to {
                continue;
            }
            let family = Family::BOTH.into_iter().find(|family| Scope::from(*family) == scope);
            // What fails since before the grace period is dated back to it.
            let unsettled = self.stretches.iter().rfind(|at| at.unsettled && at.from <= known);
            let is_graced = self.unsettled(run, known).is_some();
            let began =
                unsettled.filter(|_| is_graced).map_or(run.from, |at| at.from.max(run.from));
            // The look-up of names that failed before has to end.
            let names = self.stretches.iter().any(|at| {
                at.to == run.from && at.seen == Seen::BySlowLookups && scope != Scope::Internet
            });
            let began = began + if names { self.look_up() } else { 0 };
            let from = began + self.lag(run.seen, family);
            let expected = run.to.saturating_sub(from);
            let counted: u64 = incidents
                .iter()
                .flat_map(|incident| &incident.segments)
                .filter(|segment| segment.scope == scope && segment.cause.is_downtime())
                .map(|segment| {
                    let (begins, ends) =
                        (outcome.time_of(segment.from), outcome.time_of(segment.to));
                    ends.min(run.to).saturating_sub(begins.max(from))
                })
                .sum();
            let crashed = self.sketch.faults.iter().any(|fault| {
                matches!(fault.what, What::Gap(cause) if !super::witness::is_dated(cause))
                    && run.from <= fault.from
                    && fault.from <= run.to
            });
            // A crash is dated by the last sign of life.
            let tolerated = 1_500 + if crashed { MINUTE } else { 0 };
            if counted + tolerated < expected {
                let lines: Vec<_> =
                    incidents.iter().map(|incident| line(incident, outcome)).collect();
                let details =
                    format!("{counted} of {expected} ms of {scope} in {run:?}: {lines:#?}");
                self.report("what failed is counted", details);
            }
        }
    }

    /// Truth: a line is bad only when packets are lost or late.
    fn compare_quality(&mut self, outcome: &Outcome) {
        for (at, transition) in &outcome.transitions {
            let Transition::Opened(incident) = transition else { continue };
            let recent =
                self.stretches.iter().filter(|s| s.from <= *at && s.to + 330 * SECOND >= *at);
            // Slow probes are few, and anchors that die again and again lose packets like a bad line.
            let dead: Vec<_> = self
                .sketch
                .faults
                .iter()
                .filter(|fault| {
                    matches!(fault.what, What::Anchor(..))
                        && fault.to + 330 * SECOND >= *at
                        && fault.from <= *at
                })
                .collect();
            let is_clear = dead.is_empty()
                || self.sketch.setup.interval_ms <= 5 * SECOND
                    && dead.len() == 1
                    && dead.iter().all(|fault| fault.to - fault.from >= MINUTE);
            let good = is_clear
                && recent.clone().all(|s| {
                    s.watched && s.fine == Some(true) && s.loss == 0 && s.latency_ms <= 50
                });
            if incident.scope == Scope::Quality && good {
                let details = format!("at {at} ms: {}", line(incident, outcome));
                self.report("a line is bad only when it loses or delays", details);
            }
        }
    }

    /// A device that can ask nobody is blind, and the record says so.
    fn compare_blindness(&mut self, outcome: &Outcome) {
        let blind = |what: &What| matches!(what, What::LocalFailure(_));
        let mut expected = Vec::new();
        for fault in self.sketch.faults.iter().filter(|fault| blind(&fault.what)) {
            let gap = |what: &What| matches!(what, What::Gap(_));
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
                let Transition::Watched(gap) = transition else { return false };
                gap.cause == GapCause::Blind
                    && outcome.time_of(gap.started).abs_diff(from)
                        <= 15 * SECOND.max(self.sketch.setup.interval_ms)
                    && outcome.time_of(gap.ended).abs_diff(to)
                        <= 5 * SECOND + self.sketch.setup.interval_ms
            });
            if !seen {
                self.report("a blind agent says so", format!("from {from} to {to} ms"));
            }
        }
    }
}

/// The times in which something holds.
fn runs(stretches: &[Stretch], holds: impl Fn(&Stretch) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for stretch in stretches {
        if !holds(stretch) {
            continue;
        }
        let Stretch { from, to, seen, cause, .. } = *stretch;
        let run = Run { from, to, seen, cause };
        // That names fail behind a dead line is seen anew, and so is a resolver behind dead servers.
        let fails =
            |cause: Option<(Cause, Party)>| cause.is_some_and(|(cause, _)| cause == Cause::Dns);
        let is_new = |last: &Run| {
            last.cause != run.cause && (fails(last.cause) || fails(run.cause))
                || (last.seen < Seen::ByLookups) != (run.seen < Seen::ByLookups)
        };
        match runs.last_mut() {
            Some(last) if last.to == run.from && !is_new(last) => {
                last.to = run.to;
                last.seen = last.seen.max(run.seen);
            }
            _ => runs.push(run),
        }
    }
    runs
}

/// For how long a segment lies in a stretch, after the first `skipped` milliseconds of that.
fn overlap(segment: &Segment, stretch: &Stretch, outcome: &Outcome, skipped: u64) -> u64 {
    let begins = outcome.time_of(segment.from).max(stretch.from + skipped);
    let ends = outcome.time_of(segment.to).min(stretch.to.saturating_sub(END_WITHIN));
    ends.saturating_sub(begins)
}

/// What the record holds at the end: each incident as it was told last, and as it is shown.
fn recorded(outcome: &Outcome) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = Vec::new();
    let told = outcome.transitions.iter().filter_map(|(_, transition)| match transition {
        Transition::Opened(incident)
        | Transition::Changed(incident)
        | Transition::Progressed(incident)
        | Transition::Closed(incident) => Some(incident),
        Transition::Watched(_) => None,
    });
    for incident in told.chain(&outcome.view.incidents) {
        match incidents.iter_mut().find(|known| known.id == incident.id) {
            Some(known) => known.clone_from(incident),
            None => incidents.push(incident.clone()),
        }
    }
    incidents
}

fn line(incident: &Incident, outcome: &Outcome) -> String {
    let segments: Vec<_> = incident
        .segments
        .iter()
        .map(|segment| {
            let (from, to) = (outcome.time_of(segment.from), outcome.time_of(segment.to));
            format!("{} {} {from}..{to}", segment.scope, segment.cause)
        })
        .collect();
    let state = if incident.ended.is_some() { "closed" } else { "open" };
    format!(
        "{} {} {:?} {state}, {} failures, down {} ms {segments:?}",
        incident.scope, incident.cause, incident.party, incident.failures, incident.downtime_ms
    )
}

fn is_one_up(view: &View) -> bool {
    [view.ipv4, view.ipv6].contains(&FamilyState::Up)
}

fn shown(view: &View) -> String {
    let open: Vec<_> = view
        .incidents
        .iter()
        .map(|open| {
            let last = open.segments.last().map(|last| (last.scope, last.cause));
            format!("{} {} {last:?}", open.scope, open.cause)
        })
        .collect();
    format!("ipv4 {:?}, ipv6 {:?}, open: {open:?}", view.ipv4, view.ipv6)
}
