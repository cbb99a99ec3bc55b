//! One incident of the past.

use std::time::Duration;

use jiff::Timestamp;

use super::Interval;
use crate::outage::{Cause, Incident, Party};

/// An incident in its newest form, in corrected times.
#[derive(Clone, Debug, PartialEq)]
pub struct PastIncident {
    /// The incident as it was recorded.
    pub recorded: Incident,
    /// From its start to its end; that of an open one reaches to the last moment that was watched.
    pub time: Interval,
    /// Its segments.
    pub phases: Vec<Phase>,
    /// Downtime that the record holds as a sum and a number only, because it merges the earliest of
    /// many segments: spread evenly over the time that they took.
    pub merged: Vec<Interval>,
    /// Whether the wall clock of its boot was ever right.
    pub clock_certain: bool,
    /// The last good answer before it, when there was one.
    pub last_ok: Option<Timestamp>,
    /// When each of the recorded observations was made, in their order.
    pub observed: Vec<Timestamp>,
    /// The number of the record that told of it last.
    pub seq: u64,
}

/// A part of an incident that had one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What failed.
    pub cause: Cause,
    /// From when to when.
    pub time: Interval,
}

/// A time without internet that counts as one, and whose it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whose part failed.
    pub party: Party,
    /// When the internet was down; gaps that nobody watched are cut out.
    pub times: Vec<Interval>,
    /// Whether it is over.
    pub over: bool,
}

impl Failure {
    /// How long the internet was down in it.
    pub fn downtime(&self) -> Duration {
        Interval::total(&self.times)
    }
}

impl PastIncident {
    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.recorded.ended.is_none()
    }

    /// How long the internet was down in it: its segments of a cause that is downtime, without the
    /// times that nobody watched.
    pub fn downtime(&self, unwatched: &[Interval]) -> Duration {
        let down = self.phases.iter().filter(|phase| phase.cause.is_downtime());
        let down = down.map(|phase| &phase.time).chain(&self.merged);
        down.map(|time| Interval::total(&time.without(unwatched))).sum()
    }

    /// What failed in merged segments, as far as the rest tells: the cause that lasted longest there.
    pub fn merged_cause(&self) -> Cause {
        let all: Vec<_> = self.phases.iter().filter(|phase| phase.cause.is_downtime()).collect();
        longest_cause(&all).unwrap_or(Cause::Isp)
    }

    /// Whether it can have downtime at all: heartbeats that do not arrive and a line that is merely
    /// bad are no outage of the internet.
    pub fn is_outage(&self) -> bool {
        self.recorded.scope.is_line()
            && (self.recorded.cause == Cause::Unstable || self.recorded.cause.is_downtime())
    }

    /// The times without internet in it.
    ///
    /// An incident is one failure and counts for its own party, as it is listed. An unstable one is as
    /// many as it had times between good ones, and each counts for the party of what lasted longest
    /// in it: a router that fails now and then on an unstable line is not the provider's fault.
    pub fn failures(&self, unwatched: &[Interval]) -> Vec<Failure> {
        if !self.is_outage() {
            return Vec::new();
        }
        let unstable = self.recorded.cause == Cause::Unstable;
        let runs = self
            .phases
            .split(|phase| unstable && !phase.cause.is_downtime())
            .filter_map(|run| self.failure(run, unstable, unwatched));
        let merged = self.merged.iter().map(|time| time.without(unwatched));
        let mut failures: Vec<Failure>;
        if unstable {
            let party = self.recorded.party.unwrap_or(Party::Provider);
            let merged = merged.map(|times| Failure { party, times, over: true });
            failures = merged.chain(runs).collect();
        } else {
            failures = runs.collect();
            if let Some(only) = failures.first_mut() {
                only.times.extend(merged.flatten());
            }
        }
        if self.is_open()
            && self.phases.last().is_some_and(|last| last.cause.is_downtime())
            && let Some(last) = failures.last_mut()
        {
            last.over = false;
        }
        failures
    }

    fn failure(&self, run: &[Phase], unstable: bool, unwatched: &[Interval]) -> Option<Failure> {
        let down: Vec<_> = run.iter().filter(|phase| phase.cause.is_downtime()).collect();
        let cause = if unstable { longest_cause(&down)? } else { self.recorded.cause };
        let own = if unstable { None } else { self.recorded.party };
        let party = own.or_else(|| cause.party(self.name_servers()))?;
        let times = down.iter().flat_map(|phase| phase.time.without(unwatched)).collect();
        Some(Failure { party, times, over: true })
    }

    /// Whose the name servers were. An unstable line says it only where DNS is what lasted longest in it;
    /// elsewhere nobody is blamed for them but the user.
    fn name_servers(&self) -> Party {
        let all: Vec<_> = self.phases.iter().filter(|phase| phase.cause.is_downtime()).collect();
        let is_known = longest_cause(&all) == Some(Cause::Dns);
        self.recorded.party.filter(|_| is_known).unwrap_or(Party::Other)
    }
}

/// The downtime of merged segments, evenly spread: each room gets as much of it, in as many pieces, as
/// its length is of all rooms.
pub(super) fn spread(recorded: &Incident, phases: &[Phase], from: Timestamp) -> Vec<Interval> {
    let hidden = recorded.merged_downtime();
    let merged = phases.iter().filter(|phase| phase.cause == Cause::Unstable);
    let mut rooms: Vec<Interval> = merged.map(|phase| phase.time).collect();
    if rooms.is_empty() {
        // Where nothing could be merged, the earliest segment was dropped.
        rooms.extend(phases.first().map(|first| Interval::new(from, first.time.from)));
    }
    let whole = Interval::total(&rooms);
    if hidden.is_zero() || whole.is_zero() {
        return Vec::new();
    }
    let runs = phases.split(|phase| !phase.cause.is_downtime()).filter(|run| !run.is_empty());
    let failures = match recorded.cause {
        Cause::Unstable => recorded.failures.saturating_sub(runs.count() as u32).max(1),
        _ => 1,
    };
    let mut spread = Vec::new();
    for room in rooms {
        let share = room.duration().as_secs_f64() / whole.as_secs_f64();
        let pieces = ((f64::from(failures) * share).round() as u32).max(1);
        let step = room.duration() / pieces;
        let length = (hidden.mul_f64(share) / pieces).min(step);
        spread.extend((0..pieces).map(|piece| {
            let from = room.from + step * piece;
            Interval::new(from, from + length)
        }));
    }
    spread
}

/// The cause that lasted longest, of equal ones the earlier in the order of the verdict.
fn longest_cause(phases: &[&Phase]) -> Option<Cause> {
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
