//! One incident of the past.

use std::time::Duration;

use super::Interval;
use crate::outage::{Cause, Incident, Party, Scope};

/// An incident in its newest form, in corrected times.
#[derive(Clone, Debug, PartialEq)]
pub struct PastIncident {
    /// The incident as it was recorded.
    pub recorded: Incident,
    /// From its start to its end; that of an open one reaches to the last moment that was watched.
    pub time: Interval,
    /// Its segments.
    pub phases: Vec<Phase>,
    /// Whether the wall clock of its boot was ever right.
    pub clock_certain: bool,
    /// The last good answer before it, when there was one.
    pub last_ok: Option<jiff::Timestamp>,
    /// When each of the recorded observations was made, in their order.
    pub observed: Vec<jiff::Timestamp>,
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
        let downtime = self.phases.iter().filter(|phase| phase.cause.is_downtime());
        downtime.map(|phase| Interval::total(&phase.time.without(unwatched))).sum()
    }

    /// Whether it can have downtime at all: heartbeats that do not arrive and a line that is merely
    /// bad are no outage of the internet.
    pub fn is_outage(&self) -> bool {
        matches!(self.recorded.scope, Scope::Internet | Scope::Ipv4 | Scope::Ipv6)
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
        let mut failures: Vec<Failure> = self
            .phases
            .split(|phase| unstable && !phase.cause.is_downtime())
            .filter_map(|run| self.failure(run, unstable, unwatched))
            .collect();
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
        let party = own.or_else(|| cause.party(self.resolver_is_providers()))?;
        let times = down.iter().flat_map(|phase| phase.time.without(unwatched)).collect();
        Some(Failure { party, times, over: true })
    }

    /// Whether the record says that the resolver in use was the provider's. An unstable line says it
    /// only where DNS is what lasted longest in it; elsewhere the provider gets the benefit of the
    /// doubt.
    fn resolver_is_providers(&self) -> bool {
        let all: Vec<_> = self.phases.iter().filter(|phase| phase.cause.is_downtime()).collect();
        self.recorded.party == Some(Party::Provider) && longest_cause(&all) == Some(Cause::Dns)
    }
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
