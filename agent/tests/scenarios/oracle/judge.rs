//! Compares the journal with what is certain of the world.

use ispmon_agent::{
    outage::{Cause, FamilyState, Incident, MachineSnapshot, Party, Scope, Segment, Transition},
    probe::{Family, PerFamily},
};

use super::{
    sketch::{Fault, HeartbeatPath, RandomWorld, WorldCondition},
    witness::{Detection, Stretch, witness},
};
use crate::{
    caught,
    player::{self, Outcome, Plot},
};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
/// A state that lasts this long must be in the journal, or must have left it.
const KNOWN_WITHIN: u64 = 15 * SECOND;
/// Limit of the delay of an end.
const END_WITHIN: u64 = 2 * SECOND;
/// Blur of times by a round trip and the order of messages.
const BLUR: u64 = 350;

/// A way in which the journal is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// The broken rule.
    pub(super) rule: &'static str,
    pub(super) details: String,
}

/// Runs a world, and returns the violations in its journal, including a broken invariant.
pub(super) fn broken(sketch: &RandomWorld) -> Vec<Violation> {
    caught(|| compare_with(sketch, sketch))
        .unwrap_or_else(|details| vec![Violation { rule: "invariants hold", details }])
}

/// Runs a world, and prints all evidence that the machine receives.
pub(super) fn trace(sketch: &RandomWorld) {
    let _ = caught(|| player::play(&Plot { traced: true, ..sketch.plot() }));
}

/// Runs the world `played`, and judges its journal by the truth of the world `known`.
pub(super) fn compare_with(known: &RandomWorld, played: &RandomWorld) -> Vec<Violation> {
    let mut judge = Judge::new(known);
    let mut plot = played.plot();
    plot.checkpoints = judge.checkpoints();
    judge.compare(&plot, &player::play(&plot));
    judge.found
}

/// A period in which a condition holds without a break.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    to: u64,
    /// The failure in it that is hardest to detect.
    seen: Detection,
    /// The cause of the failure, if it is certain.
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

mod truth;

struct Judge<'a> {
    sketch: &'a RandomWorld,
    stretches: Vec<Stretch>,
    musts: Vec<(u64, Must)>,
    down: Vec<Run>,
    family_down: PerFamily<Vec<Run>>,
    found: Vec<Violation>,
}

impl<'a> Judge<'a> {
    fn new(sketch: &'a RandomWorld) -> Self {
        let stretches = witness(sketch);
        let down = runs(&stretches, |at| at.monitored && at.internet == Some(false));
        let family_down = PerFamily::from_fn(|family| {
            runs(&stretches, |at| {
                at.monitored && at.internet == Some(true) && at.works[family] == Some(false)
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

    /// How long it may take until a failure is detected that takes this evidence.
    fn lag(&self, seen: Detection, family: Option<Family>) -> u64 {
        // A heartbeat every minute with jitter, or a proof every minute; each may wait for its end.
        let proof = match (self.sketch.setup.heartbeats, family) {
            // A family that no heartbeat travels on.
            (_, Some(_)) => 5 * MINUTE + 10 * SECOND,
            _ => 66 * SECOND + 10 * SECOND,
        };
        // Two heartbeats in a row, with the time between them.
        let heartbeats = 66 * SECOND + 35 * SECOND;
        let look_up = self.look_up();
        match seen {
            // An anchor whose address the router owns answers in its turn.
            Detection::ByProbes => {
                let owned = |fault: &&Fault| matches!(fault.what, WorldCondition::Owned(_));
                let owned = self.sketch.faults.iter().filter(owned).count() as u64;
                self.sketch.setup.interval_ms * (1 + owned.min(2)) + SECOND
            }
            Detection::ByProofs => proof + SECOND,
            Detection::ByHeartbeats => heartbeats,
            Detection::ByLookups => proof + look_up + SECOND,
            Detection::BySlowLookups => proof + 4 * look_up + SECOND,
        }
    }

    /// The time by which a failure that starts at `run.from` must be recorded.
    fn recorded_by(&self, run: Run, family: Option<Family>) -> u64 {
        let lag = self.lag(run.seen, family);
        let known = run.from + KNOWN_WITHIN.max(9 * SECOND + lag);
        // In a grace period no incident opens.
        let unsettled = self.unsettled(run, known);
        unsettled.map_or(known, |at| {
            at.from.max(run.from) + self.grace() + KNOWN_WITHIN.max(9 * SECOND + lag)
        })
    }

    /// The grace period in which a failure started, or which started before the failure was recorded.
    fn unsettled(&self, run: Run, known: u64) -> Option<&Stretch> {
        let worked = self.stretches.iter().rfind(|at| {
            at.to <= run.from && at.all_work == Some(true) && at.to - at.from >= 3 * SECOND
        });
        let since =
            worked.map_or(0, |worked| worked.from).max(run.from.saturating_sub(self.grace()));
        self.stretches.iter().find(|at| at.in_grace && at.from >= since && at.from <= known)
    }

    /// Duration of a lookup without an answer.
    fn look_up(&self) -> u64 {
        10 * SECOND * self.sketch.setup.servers as u64
    }

    fn grace(&self) -> u64 {
        let set = self.sketch.faults.iter().filter_map(|fault| match fault.what {
            WorldCondition::Grace(grace) => Some(grace),
            _ => None,
        });
        set.chain([self.sketch.setup.grace_ms]).max().unwrap_or(0)
    }

    fn expect(&mut self) {
        let mut musts = Vec::new();
        for run in &self.down {
            let known = self.recorded_by(*run, None);
            for at in [known, known.midpoint(run.to), run.to.saturating_sub(BLUR)] {
                if known <= at && at < run.to {
                    musts.push((at, Must::ShowOutage(Scope::Internet, *run)));
                }
            }
        }
        for (family, runs) in &self.family_down {
            for run in runs {
                let known = self.recorded_by(*run, Some(family));
                for at in [known, known.midpoint(run.to), run.to.saturating_sub(BLUR)] {
                    if known <= at && at < run.to {
                        musts.push((at, Must::ShowOutage(family.into(), *run)));
                    }
                }
            }
        }
        let fine = |at: &Stretch| at.monitored && at.all_work == Some(true);
        for run in runs(&self.stretches, fine) {
            let before = self.stretches.iter().find(|at| at.to == run.from);
            let slow = match before.map(|before| before.seen) {
                Some(Detection::BySlowLookups) => self.look_up(),
                Some(Detection::ByHeartbeats) => 35 * SECOND,
                _ => 0,
            };
            let known = run.from + KNOWN_WITHIN + slow;
            for at in [known, known.midpoint(run.to), run.to.saturating_sub(BLUR)] {
                if known <= at && at < run.to {
                    musts.push((at, Must::ShowNone(run)));
                }
            }
        }
        let can_fail =
            matches!(self.sketch.setup.heartbeats, HeartbeatPath::Https | HeartbeatPath::Plain);
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
        self.compare_probed(plot, outcome);
        let incidents = recorded(outcome);
        for incident in incidents.iter().filter(|incident| incident.scope.is_connectivity()) {
            self.compare_downtime(incident, outcome);
            self.compare_party(incident, outcome);
        }
        self.compare_coverage(&incidents, outcome);
        self.compare_quality(outcome);
        self.compare_blindness(outcome);
    }

    /// Liveness: the state that is shown at each time.
    fn compare_shown(&mut self, outcome: &Outcome) {
        for (at, must) in std::mem::take(&mut self.musts) {
            let Some((_, view)) = outcome.snapshots.iter().find(|(shown, _)| *shown == at) else {
                continue;
            };
            let line = view.incidents.iter().find(|open| open.scope.is_connectivity());
            let last = line.and_then(|open| open.segments.last());
            let of = |scope| view.incidents.iter().find(|open| open.scope == scope);
            let is_down = |scope: Scope| {
                last.is_some_and(|last| last.scope == scope && last.cause.is_downtime())
            };
            let (rule, run, holds) = match must {
                Must::ShowOutage(Scope::Internet, run) => {
                    let claims_up = run.seen <= Detection::ByProofs && is_one_up(view);
                    let holds = is_down(Scope::Internet) && !claims_up;
                    ("an outage is in the journal", run, holds)
                }
                Must::ShowOutage(scope, run) => {
                    ("an outage of a family is in the journal", run, is_down(scope))
                }
                Must::ShowNone(run) => {
                    let calm = last.is_none_or(|last| last.cause == Cause::Up);
                    let calm = calm && ![view.ipv4, view.ipv6].contains(&FamilyState::Down);
                    ("working connectivity has no open outage", run, calm)
                }
                Must::ShowHeartbeats(run) => {
                    ("failing heartbeats are in the journal", run, of(Scope::Heartbeat).is_some())
                }
                Must::ShowNoHeartbeats(run) => (
                    "delivered heartbeats have no open incident",
                    run,
                    of(Scope::Heartbeat).is_none(),
                ),
                Must::ShowNoQuality(run) => {
                    ("good quality has no open `degraded`", run, of(Scope::Quality).is_none())
                }
            };
            if !holds {
                let details = format!("at {at} ms of {run:?}: {}", shown(view));
                self.report(rule, details);
            }
        }
    }

    /// Liveness: the agent still probes.
    fn compare_probed(&mut self, plot: &Plot, outcome: &Outcome) {
        let most = plot.interval_ms + SECOND;
        if outcome.longest_link_silence.0 > most {
            let (lasted, until) = outcome.longest_link_silence;
            self.report(
                "links are queried",
                format!("for {lasted} ms until {until} ms without a query"),
            );
        }
        for (family, (lasted, until)) in &outcome.silence {
            if *lasted > most {
                let details = format!("no {family} anchor for {lasted} ms until {until} ms");
                self.report("the agent still probes", details);
            }
        }
    }
}

/// The periods in which a condition holds.
fn runs(stretches: &[Stretch], holds: impl Fn(&Stretch) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for stretch in stretches {
        if !holds(stretch) {
            continue;
        }
        let Stretch { from, to, seen, cause, .. } = *stretch;
        let run = Run { from, to, seen, cause };
        // A failure of DNS behind dead connectivity is detected anew, and so is a resolver behind dead
        // name servers.
        let fails =
            |cause: Option<(Cause, Party)>| cause.is_some_and(|(cause, _)| cause == Cause::Dns);
        let is_new = |last: &Run| {
            last.cause != run.cause && (fails(last.cause) || fails(run.cause))
                || (last.seen < Detection::ByLookups) != (run.seen < Detection::ByLookups)
        };
        match runs.last_mut() {
            // On another network the failure of a family must be detected anew.
            Some(last) if last.to == run.from && !is_new(last) && !stretch.moved => {
                last.to = run.to;
                last.seen = last.seen.max(run.seen);
            }
            _ => runs.push(run),
        }
    }
    runs
}

/// Duration of a segment within a stretch, without the first `skipped` milliseconds of the stretch.
fn overlap(segment: &Segment, stretch: &Stretch, outcome: &Outcome, skipped: u64) -> u64 {
    let begins = outcome.time_of(segment.from).max(stretch.from + skipped);
    let ends = outcome.time_of(segment.to).min(stretch.to.saturating_sub(END_WITHIN));
    ends.saturating_sub(begins)
}

/// The incidents in the journal at the end: each in its newest record, and as it is shown.
fn recorded(outcome: &Outcome) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = Vec::new();
    let told = outcome.transitions.iter().filter_map(|(_, transition)| match transition {
        Transition::Opened(incident)
        | Transition::Changed(incident)
        | Transition::Progressed(incident)
        | Transition::Closed(incident) => Some(incident),
        Transition::GapEnded(_) => None,
    });
    for incident in told.chain(&outcome.view.incidents) {
        match incidents.iter_mut().find(|known| known.id == incident.id) {
            Some(known) => known.clone_from(incident),
            None => incidents.push(incident.clone()),
        }
    }
    incidents
}

fn text_line(incident: &Incident, outcome: &Outcome) -> String {
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

fn is_one_up(view: &MachineSnapshot) -> bool {
    [view.ipv4, view.ipv6].contains(&FamilyState::Up)
}

fn shown(view: &MachineSnapshot) -> String {
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
