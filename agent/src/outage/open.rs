//! An incident that is open: how its segments grow.

use std::{collections::BTreeMap, time::Duration};

use super::{Cause, Gap, Incident, IncidentId, Observation, Party, Scope, Segment};
use crate::clock::Stamp;

/// The most segments that an incident keeps; more are merged, the earliest first.
pub const MOST_SEGMENTS: usize = 100;

/// An incident that is open. It keeps these promises:
///
/// 1. Segments are in order, none overlaps another, and within what was watched there are no holes.
///    Each has the scope of the incident.
/// 2. The headline is the cause that lasted longest, ties to the earlier row of the verdict; in an
///    unstable one it is `unstable`, and the party is that of its longest cause.
/// 3. `downtime_ms` is exact, also after segments were merged. A merged segment has the cause
///    `unstable`, which is not downtime by itself; what it held is added apart.
#[derive(Clone, Debug)]
pub(super) struct OpenIncident {
    incident: Incident,
    unstable: bool,
    resolver_is_providers: bool,
    /// What the merged segments held.
    merged: BTreeMap<Cause, Duration>,
    watch: Watch,
}

/// Whether it is known that the incident goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// It does.
    Watched,
    /// The record left it open; at this moment watching began again.
    Recovered(Stamp),
    /// Nobody watched lately. A last segment of no length stands where watching began again; it
    /// grows if the incident goes on, and goes if it has ended. So the record, too, tells what was
    /// watched from what was not, should the agent stop before this is decided.
    Undecided,
}

/// What an incident opens with.
pub(super) struct Opening {
    pub(super) id: IncidentId,
    pub(super) scope: Scope,
    pub(super) cause: Cause,
    pub(super) unstable: bool,
    pub(super) resolver_is_providers: bool,
    pub(super) started: Stamp,
    pub(super) last_ok: Option<Stamp>,
    pub(super) evidence: Vec<Observation>,
}

impl OpenIncident {
    pub(super) fn open(opening: Opening, now: Stamp) -> Self {
        let Opening { id, scope, cause, started, last_ok, evidence, .. } = opening;
        let incident = Incident {
            id,
            scope,
            cause,
            party: None,
            started,
            last_ok,
            ended: None,
            downtime_ms: 0,
            one_family_ms: 0,
            failures: 1,
            segments: vec![Segment { scope, cause, from: started, to: started }],
            evidence,
        };
        let mut open = Self {
            incident,
            unstable: opening.unstable,
            resolver_is_providers: opening.resolver_is_providers,
            merged: BTreeMap::new(),
            watch: Watch::Watched,
        };
        open.extend(now);
        open
    }

    /// An incident that the record left open. Nobody has watched since; `now` somebody does.
    pub(super) fn recover(incident: Incident, now: Stamp) -> Self {
        let resolver_is_providers =
            incident.cause == Cause::Dns && incident.party == Some(Party::Provider);
        let merged_downtime = incident.merged_downtime() + incident.merged_one_family();
        let merged = (!merged_downtime.is_zero())
            // Which causes these were is not in the record; the party is, and its own cause may
            // still be seen in a segment.
            .then(|| {
                let longest = incident.segments.iter().map(|s| s.cause).find(|c| c.is_downtime());
                (longest.unwrap_or(Cause::Isp), merged_downtime)
            })
            .into_iter()
            .collect();
        let unstable = incident.cause == Cause::Unstable;
        let undecided =
            incident.segments.len() > 1 && incident.segments.last().is_some_and(is_empty);
        let watch = if undecided { Watch::Undecided } else { Watch::Recovered(now) };
        Self { incident, unstable, resolver_is_providers, merged, watch }
    }

    pub(super) fn scope(&self) -> Scope {
        self.incident.scope
    }

    /// The incident has this scope, and had it from its start.
    pub(super) fn set_scope(&mut self, scope: Scope) {
        self.incident.scope = scope;
        for segment in &mut self.incident.segments {
            segment.scope = scope;
        }
    }

    pub(super) fn started(&self) -> Stamp {
        self.incident.started
    }

    /// `at`, or the start of this incident where that is later.
    pub(super) fn not_before(&self, at: Stamp) -> Stamp {
        let started = self.incident.started;
        if started.is_same_boot(at) { started.latest(at) } else { at }
    }

    pub(super) fn is_unstable(&self) -> bool {
        self.unstable
    }

    /// Whether nobody watched lately, and it is not yet known whether the failure goes on.
    pub(super) fn is_unwatched(&self) -> bool {
        self.watch != Watch::Watched
    }

    /// The cause at present.
    pub(super) fn current_cause(&self) -> Cause {
        self.incident.segments.last().map_or(self.incident.cause, |segment| segment.cause)
    }

    pub(super) fn set_resolver_is_providers(&mut self, is_providers: bool) {
        self.resolver_is_providers = is_providers;
        self.retitle();
    }

    /// The present cause has lasted until `now`.
    pub(super) fn extend(&mut self, now: Stamp) {
        if !self.is_unwatched()
            && let Some(last) = self.incident.segments.last_mut()
            && last.to.is_same_boot(now)
            && !last.to.is_at_or_after(now)
        {
            last.to = now;
        }
        self.retitle();
    }

    /// The cause is another one since `from`.
    pub(super) fn change(&mut self, cause: Cause, from: Stamp, now: Stamp) {
        if self.is_unwatched() || cause == self.current_cause() {
            return self.extend(now);
        }
        self.extend(now);
        let scope = self.incident.scope;
        let segments = &mut self.incident.segments;
        let from = segments.last().map_or(from, |last| last.from.latest(from)).earliest(now);
        if let Some(last) = segments.last_mut() {
            last.to = from;
        }
        // A segment that lasted no time at all is replaced, also when that joins its neighbours.
        if segments.last().is_some_and(is_empty) {
            segments.pop();
        }
        match segments.last_mut() {
            Some(last) if (last.scope, last.cause, last.to) == (scope, cause, from) => {
                last.to = now;
            }
            _ => segments.push(Segment { scope, cause, from, to: now }),
        }
        if segments.len() > MOST_SEGMENTS {
            self.merge_earliest();
        }
        self.retitle();
    }

    /// The line has failed once more.
    pub(super) fn failed_again(&mut self) {
        self.incident.failures = self.incident.failures.saturating_add(1);
    }

    /// Everything from `from` on had this cause, as is known now.
    pub(super) fn relabel(&mut self, cause: Cause, from: Stamp, now: Stamp) {
        let segments = self.incident.segments.iter_mut();
        for segment in segments.filter(|segment| segment.from.is_at_or_after(from)) {
            segment.cause = cause;
        }
        self.incident.segments.dedup_by(|later, earlier| {
            let joins = (later.scope, later.cause, later.from)
                == (earlier.scope, earlier.cause, earlier.to);
            if joins {
                earlier.to = later.to;
            }
            joins
        });
        self.change(cause, from, now);
    }

    /// Nobody watched for a while: what is known ends where that began.
    pub(super) fn unwatch(&mut self, gap: &Gap) {
        if self.watch == Watch::Undecided {
            // Nothing was learned since the gap before.
            if let Some(last) = self.incident.segments.last_mut() {
                (last.from, last.to) = (gap.ended, gap.ended);
            }
        } else {
            if let Some(last) = self.incident.segments.last_mut()
                && last.to.is_same_boot(gap.started)
            {
                last.to = last.from.latest(gap.started);
            }
            self.push(self.current_cause(), gap.ended);
            self.watch = Watch::Undecided;
        }
        self.retitle();
    }

    /// The failure has outlasted the time that nobody watched.
    pub(super) fn resume(&mut self, cause: Cause, now: Stamp) {
        match std::mem::replace(&mut self.watch, Watch::Watched) {
            Watch::Watched => {}
            Watch::Recovered(from) => self.push(cause, from),
            Watch::Undecided => {
                if let Some(last) = self.incident.segments.last_mut() {
                    last.cause = cause;
                }
            }
        }
        self.extend(now);
    }

    fn push(&mut self, cause: Cause, from: Stamp) {
        let scope = self.incident.scope;
        self.incident.segments.push(Segment { scope, cause, from, to: from });
        if self.incident.segments.len() > MOST_SEGMENTS {
            self.merge_earliest();
        }
    }

    /// The incident as it is `now`, for the record and for people.
    pub(super) fn snapshot(&self, now: Stamp) -> Incident {
        let mut open = self.clone();
        open.extend(now);
        open.incident
    }

    /// Ends it at `ended`, or where it was last watched.
    pub(super) fn close(mut self, ended: Stamp) -> Incident {
        if self.is_unwatched() {
            return self.close_unwatched();
        }
        self.extend(ended);
        self.cut(ended);
        self.incident
    }

    /// Ends it where it was last watched and down.
    pub(super) fn close_unwatched(mut self) -> Incident {
        if self.watch == Watch::Undecided {
            self.incident.segments.pop();
        }
        let ended = self.incident.segments.last().map_or(self.incident.started, |last| last.to);
        self.cut(ended);
        self.incident
    }

    fn cut(&mut self, ended: Stamp) {
        let started = self.incident.started;
        while self.incident.segments.len() > 1
            && self
                .incident
                .segments
                .last()
                .is_some_and(|last| last.from.is_at_or_after(ended) || last.cause == Cause::Up)
        {
            self.incident.segments.pop();
        }
        if let Some(last) = self.incident.segments.last_mut() {
            if last.to.is_same_boot(ended) && !ended.is_at_or_after(last.to) {
                last.to = ended.latest(last.from);
            }
            self.incident.ended = Some(last.to);
        } else {
            self.incident.ended = Some(started);
        }
        self.retitle();
    }

    fn merge_earliest(&mut self) {
        // A boot has a clock of its own, and a gap was not watched: only what touches is merged.
        // Where a hundred gaps leave nothing that touches, the earliest segment is dropped.
        let segments = &mut self.incident.segments;
        let Some(first) = (1..segments.len()).find(|&i| segments[i - 1].to == segments[i].from)
        else {
            let dropped = segments.remove(0);
            *self.merged.entry(dropped.cause).or_default() += dropped.length();
            return;
        };
        for segment in [&segments[first - 1], &segments[first]] {
            if segment.cause != Cause::Unstable {
                *self.merged.entry(segment.cause).or_default() += segment.length();
            }
        }
        let removed = segments.remove(first);
        segments[first - 1].cause = Cause::Unstable;
        segments[first - 1].to = removed.to;
    }

    /// Brings headline, party and downtime up to date.
    fn retitle(&mut self) {
        let mut totals = self.merged.clone();
        for segment in &self.incident.segments {
            *totals.entry(segment.cause).or_default() += segment.length();
        }
        let down = totals.iter().filter(|(cause, _)| cause.is_downtime());
        let down: Duration = down.map(|(_, length)| length).sum();
        let down = u64::try_from(down.as_millis()).unwrap_or(u64::MAX);
        // For now all segments of an incident have its own scope.
        let internet = self.incident.scope == Scope::Internet;
        (self.incident.downtime_ms, self.incident.one_family_ms) =
            if internet { (down, 0) } else { (0, down) };
        // The map goes by the rows of the verdict: of equal ones the first stays.
        let mut longest = None;
        for (cause, length) in totals {
            let named = !matches!(cause, Cause::Up | Cause::Unstable);
            if named && longest.is_none_or(|(_, most)| length > most) {
                longest = Some((cause, length));
            }
        }
        if let Some((cause, _)) = longest {
            self.incident.cause = if self.unstable { Cause::Unstable } else { cause };
            let name_servers =
                if self.resolver_is_providers { Party::Provider } else { Party::Other };
            self.incident.party = cause.party(name_servers);
        }
    }
}

/// Whether a segment lasted no time at all.
fn is_empty(segment: &Segment) -> bool {
    segment.length().is_zero()
}

/// The later of two moments of one boot.
pub(super) fn later(one: Stamp, other: Stamp) -> Stamp {
    one.latest(other)
}

/// The earlier of two moments of one boot.
pub(super) fn earlier(one: Stamp, other: Stamp) -> Stamp {
    one.earliest(other)
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use jiff::Timestamp;

    use super::*;
    use crate::{clock::BootId, outage::GapCause};

    fn at(ms: u64) -> Stamp {
        Stamp { boot: BootId::UNKNOWN, boot_ms: ms, wall: Timestamp::UNIX_EPOCH }
    }

    fn open(cause: Cause, unstable: bool) -> OpenIncident {
        let opening = Opening {
            id: IncidentId::new(at(0), &mut Rng::with_seed(1)),
            scope: Scope::Internet,
            cause,
            unstable,
            resolver_is_providers: true,
            started: at(0),
            last_ok: None,
            evidence: Vec::new(),
        };
        OpenIncident::open(opening, at(0))
    }

    fn gap(from: u64, to: u64) -> Gap {
        Gap {
            id: IncidentId::new(at(from), &mut Rng::with_seed(2)),
            cause: GapCause::Suspended,
            started: at(from),
            ended: at(to),
            uncertain_s: 0,
            reason: None,
        }
    }

    #[test]
    fn of_two_causes_that_lasted_equally_long_the_earlier_row_is_the_headline() {
        let mut incident = open(Cause::Isp, false);
        incident.change(Cause::Gateway, at(1_000), at(1_500));
        assert_eq!(incident.snapshot(at(1_999)).cause, Cause::Isp);
        assert_eq!(incident.snapshot(at(2_000)).cause, Cause::Gateway);
        assert_eq!(incident.snapshot(at(2_000)).party, Some(Party::Yours));
    }

    #[test]
    fn a_line_that_flaps_for_days_stays_small_and_its_downtime_exact() {
        let mut incident = open(Cause::Isp, true);
        for flap in 0..5_000 {
            let began = flap * 80_000;
            incident.change(Cause::Up, at(began + 40_000), at(began + 42_000));
            incident.change(Cause::Isp, at(began + 80_000), at(began + 84_000));
        }
        let closed = incident.close(at(5_000 * 80_000));
        assert!(closed.segments.len() <= MOST_SEGMENTS);
        assert_eq!(closed.downtime(), Duration::from_secs(5_000 * 40));
        assert_eq!((closed.cause, closed.party), (Cause::Unstable, Some(Party::Provider)));
        assert_eq!(closed.segments[0].from, closed.started);
    }

    #[test]
    fn what_the_record_holds_goes_on_where_it_was() {
        let mut incident = open(Cause::Isp, true);
        for flap in 0..200 {
            incident.change(Cause::Up, at(flap * 80_000 + 40_000), at(flap * 80_000 + 42_000));
            incident.change(Cause::Isp, at(flap * 80_000 + 80_000), at(flap * 80_000 + 84_000));
        }
        let recorded = incident.snapshot(at(16_010_000));
        let mut recovered = OpenIncident::recover(recorded.clone(), at(16_100_000));
        recovered.unwatch(&gap(16_020_000, 16_100_000));
        recovered.resume(Cause::Isp, at(16_105_000));
        let now = recovered.snapshot(at(16_105_000));
        assert_eq!(now.downtime_ms, recorded.downtime_ms + 10_000 + 5_000);
    }

    #[test]
    fn two_gaps_with_nothing_learned_between_them_are_one() {
        let mut incident = open(Cause::Isp, false);
        incident.unwatch(&gap(10_000, 20_000));
        // The agent is stopped before it knows, and what it recovers tells as much.
        let mut incident = OpenIncident::recover(incident.snapshot(at(25_000)), at(40_000));
        incident.unwatch(&gap(25_000, 40_000));
        let mut ended = incident.clone().close(at(50_000));
        assert_eq!((ended.ended, ended.downtime_ms), (Some(at(10_000)), 10_000));
        incident.resume(Cause::Isp, at(41_000));
        ended = incident.close(at(50_000));
        assert_eq!((ended.ended, ended.downtime_ms), (Some(at(50_000)), 20_000));
    }
}
