//! One recorded incident.

use std::time::Duration;

use jiff::Timestamp;

use super::Interval;
use crate::{
    outage::{Cause, Incident, Party, Scope},
    probe::Family,
};

/// An incident in its newest form, in corrected times.
#[derive(Clone, Debug, PartialEq)]
pub struct PastIncident {
    /// The incident as it was recorded.
    pub recorded: Incident,
    /// From its start to its end; an open one extends to the last monitored moment.
    pub time: Interval,
    /// Its segments.
    pub segments: Vec<PastSegment>,
    /// Segments that replace the earliest of many, of which the journal holds only sums and a
    /// count: the downtime, and the time of one family, spread evenly over the time of those
    /// segments. They overlap neither each other nor an unmonitored period.
    pub merged: Vec<PastSegment>,
    /// Whether the wall clock of its boot was ever right.
    pub clock_certain: bool,
    /// The last good response before it, if any.
    pub last_ok: Option<Timestamp>,
    /// When each of the recorded observations was made, in their order.
    pub observed: Vec<Timestamp>,
    /// The number of its newest record.
    pub seq: u64,
}

/// A part of an incident with one scope and one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastSegment {
    /// The scope.
    pub scope: Scope,
    /// The cause.
    pub cause: Cause,
    /// From when to when.
    pub time: Interval,
}

impl PastSegment {
    /// Whether exactly this scope was down in it.
    pub fn is_down(&self, scope: Scope) -> bool {
        self.scope == scope && self.cause.is_downtime()
    }
}

/// A period without internet, or without one address family, that counts as one failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downtime {
    /// The responsible party.
    pub party: Party,
    /// The intervals of downtime, without gaps.
    pub times: Vec<Interval>,
    /// Whether it has ended.
    pub has_ended: bool,
}

impl PastIncident {
    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.recorded.ended.is_none()
    }

    /// The downtime of this scope in it, without the unmonitored periods.
    pub(super) fn downtime_of(&self, scope: Scope, unmonitored: &[Interval]) -> Duration {
        let down = self.segments.iter().chain(&self.merged).filter(|phase| phase.is_down(scope));
        down.map(|phase| Interval::total(&phase.time.without(unmonitored))).sum()
    }

    /// Whether it can have downtime at all: heartbeat incidents and a degraded connection are not
    /// outages.
    pub fn is_outage(&self) -> bool {
        self.recorded.scope.is_connectivity()
            && (self.recorded.cause == Cause::Unstable || self.recorded.cause.is_downtime())
    }

    /// The failures of this scope in it; see [`History::failures`](super::History::failures).
    pub(super) fn failures_of(&self, scope: Scope, unmonitored: &[Interval]) -> Vec<Downtime> {
        if !self.is_outage() {
            return Vec::new();
        }
        let unstable = self.recorded.cause == Cause::Unstable;
        let merged = self.merged.iter().filter(|phase| phase.is_down(scope));
        let merged: Vec<_> = merged.map(|phase| phase.time.without(unmonitored)).collect();
        let mut failures = Vec::new();
        if unstable {
            let party = self.recorded.party.unwrap_or(Party::Provider);
            failures.extend(merged.into_iter().map(|times| Downtime {
                party,
                times,
                has_ended: true,
            }));
            let runs = self.segments.split(|phase| !phase.cause.is_downtime());
            failures.extend(runs.filter_map(|run| self.failure(scope, run, unmonitored)));
        } else if let Some(mut only) = self.failure(scope, &self.segments, unmonitored) {
            only.times.extend(merged.into_iter().flatten());
            failures.push(only);
        } else if !merged.is_empty() {
            let party = self.recorded.party.unwrap_or(Party::Provider);
            failures.push(Downtime { party, times: merged.concat(), has_ended: true });
        }
        if self.is_open()
            && self.segments.last().is_some_and(|last| last.is_down(scope))
            && let Some(last) = failures.last_mut()
        {
            last.has_ended = false;
        }
        failures
    }

    /// The downtime in `run` as one failure; `None` if there was none.
    fn failure(
        &self,
        scope: Scope,
        run: &[PastSegment],
        unmonitored: &[Interval],
    ) -> Option<Downtime> {
        let down: Vec<_> = run.iter().filter(|phase| phase.is_down(scope)).collect();
        let longest = longest_cause(&down)?;
        let unstable = self.recorded.cause == Cause::Unstable;
        let own = if unstable { None } else { self.recorded.party };
        let party = own.or_else(|| longest.party(self.name_servers()))?;
        let times = down.iter().flat_map(|phase| phase.time.without(unmonitored)).collect();
        Some(Downtime { party, times, has_ended: true })
    }

    /// The party that runs the name servers in use. The journal shows it only if DNS is the cause
    /// that lasted longest; otherwise the provider gets the benefit of the doubt.
    pub fn name_servers(&self) -> Party {
        let headline = self.segments.iter().filter(|phase| phase.is_down(self.recorded.scope));
        let named = longest_cause(&headline.collect::<Vec<_>>()) == Some(Cause::Dns);
        self.recorded.party.filter(|_| named).unwrap_or(Party::Other)
    }
}

/// Spreads the downtime and the one-family time of merged segments evenly over their intervals:
/// each gets a share, and a number of pieces, in proportion to its length. Gaps are excluded.
pub(super) fn spread_merged(
    recorded: &Incident,
    phases: &[PastSegment],
    from: Timestamp,
    unmonitored: &[Interval],
) -> Vec<PastSegment> {
    let hidden = [recorded.merged_downtime(), recorded.merged_one_family()];
    let merged = phases.iter().filter(|phase| phase.cause == Cause::Unstable);
    let mut rooms: Vec<Interval> = merged.map(|phase| phase.time).collect();
    if rooms.is_empty() {
        // If no segments could be merged, the earliest one was dropped.
        rooms.extend(phases.first().map(|first| Interval::new(from, first.time.from)));
    }
    let rooms: Vec<_> = rooms.iter().flat_map(|room| room.without(unmonitored)).collect();
    let whole = Interval::total(&rooms);
    if whole.is_zero() || hidden.iter().all(Duration::is_zero) {
        return Vec::new();
    }
    let runs = phases.split(|phase| !phase.cause.is_downtime()).filter(|run| !run.is_empty());
    let failures = match recorded.cause {
        Cause::Unstable => recorded.failures.saturating_sub(runs.count() as u32).max(1),
        _ => 1,
    };
    let kinds = [(Scope::Internet, hidden[0]), (family_of_merged(recorded, phases), hidden[1])];
    let mut spread = Vec::new();
    for room in rooms {
        let share = room.duration().as_secs_f64() / whole.as_secs_f64();
        let pieces = ((f64::from(failures) * share).round() as u32).max(1);
        let step = room.duration() / pieces;
        for piece in 0..pieces {
            let (mut from, end) = (room.from + step * piece, room.from + step * (piece + 1));
            for (scope, hidden) in kinds {
                let length = hidden.mul_f64(share) / pieces;
                let time = Interval::new(from, from + length).within(&Interval::new(from, end));
                from = time.to;
                if !time.is_empty() {
                    spread.push(PastSegment { scope, cause: merged_cause(phases, scope), time });
                }
            }
        }
    }
    spread
}

/// The family that was down alone in merged segments, inferred from the other segments.
fn family_of_merged(recorded: &Incident, phases: &[PastSegment]) -> Scope {
    let total = |family: Family| {
        let down = phases.iter().filter(|phase| phase.is_down(family.into()));
        down.map(|phase| phase.time.duration()).sum::<Duration>()
    };
    match recorded.scope {
        Scope::Ipv4 | Scope::Ipv6 => recorded.scope,
        _ if total(Family::Ipv4) > total(Family::Ipv6) => Scope::Ipv4,
        _ => Scope::Ipv6,
    }
}

/// The cause of merged segments, inferred as the longest-lasting one of the other segments.
fn merged_cause(phases: &[PastSegment], scope: Scope) -> Cause {
    let down = |wanted: &dyn Fn(&&PastSegment) -> bool| {
        let down: Vec<_> =
            phases.iter().filter(|phase| phase.cause.is_downtime()).filter(wanted).collect();
        longest_cause(&down)
    };
    down(&|phase| phase.scope == scope).or_else(|| down(&|_| true)).unwrap_or(Cause::Isp)
}

/// The longest-lasting cause; of equal ones the earlier in the order of the verdict.
fn longest_cause(phases: &[&PastSegment]) -> Option<Cause> {
    let mut causes: Vec<(Cause, Duration)> = Vec::new();
    for phase in phases {
        match causes.iter_mut().find(|(cause, _)| *cause == phase.cause) {
            Some((_, duration)) => *duration += phase.time.duration(),
            None => causes.push((phase.cause, phase.time.duration())),
        }
    }
    causes
        .into_iter()
        .min_by_key(|(cause, duration)| (std::cmp::Reverse(*duration), *cause))
        .map(|it| it.0)
}
