//! An open incident and the growth of its segments.

use std::{collections::BTreeMap, time::Duration};

use super::{Cause, Gap, Incident, IncidentId, Observation, Party, Scope, Segment};
use crate::clock::Stamp;

/// The most segments that an incident keeps; beyond that the earliest are merged.
pub const MOST_SEGMENTS: usize = 100;

/// Two failures that begin within this time of each other count as simultaneous: the families are
/// probed one after the other, and the delay between two probes is not a difference between two
/// failures.
const SIMULTANEOUS_WITHIN: Duration = Duration::from_secs(1);

/// An open incident. Its invariants:
///
/// 1. Segments are in chronological order, do not overlap, and leave no holes within monitored time.
/// 2. The scope of an outage is the internet if any segment has that scope, else the scope of its
///    family. The headline is the cause that lasted longest in that scope; a tie goes to the earlier
///    row of the verdict. A flapping incident has the headline `unstable` and the party of its longest
///    cause.
/// 3. `downtime_ms` and `one_family_ms` stay exact when segments are merged. A merged segment has the
///    cause `unstable`, which is not downtime by itself; the downtime of its parts is added separately.
/// 4. No segment extends beyond its last evidence.
#[derive(Clone, Debug)]
pub(super) struct OpenIncident {
    incident: Incident,
    is_flapping: bool,
    /// Who runs the name servers; the party of segments of cause `dns`.
    name_servers: Party,
    /// The total length of the merged segments.
    merged: BTreeMap<(Cause, Scope), Duration>,
    monitoring: MonitoringState,
}

/// Whether evidence shows that the incident continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MonitoringState {
    /// Evidence shows that it continues.
    Monitored,
    /// The journal left the incident open; monitoring resumed at this stamp.
    Recovered(Stamp),
    /// A gap has ended. The last segment has zero length and begins where monitoring resumed; it grows
    /// if the incident continues and is removed if it has ended. So the journal, too, separates the gap
    /// from monitored time if the agent stops before this is decided.
    Undecided,
}

/// The initial data of an incident.
pub(super) struct Opening {
    pub(super) id: IncidentId,
    pub(super) scope: Scope,
    pub(super) cause: Cause,
    pub(super) is_flapping: bool,
    pub(super) name_servers: Party,
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
            is_flapping: opening.is_flapping,
            name_servers: opening.name_servers,
            merged: BTreeMap::new(),
            monitoring: MonitoringState::Monitored,
        };
        open.extend(now);
        open
    }

    /// Restores an incident that the journal left open. Nothing was monitored since; monitoring resumes
    /// at `now`.
    pub(super) fn recover(incident: Incident, now: Stamp) -> Self {
        let name_servers = match (incident.cause, incident.party) {
            (Cause::Dns, Some(party)) => party,
            _ => Party::Provider,
        };
        // The journal does not store which causes were merged; it stores the party, and that party's
        // cause may still have a segment.
        let known = incident.segments.iter().find(|segment| segment.cause.is_downtime());
        let cause = known.map_or(Cause::Isp, |segment| segment.cause);
        let one_family =
            if incident.scope == Scope::Internet { Scope::Ipv4 } else { incident.scope };
        let merged = [
            ((cause, Scope::Internet), incident.merged_downtime()),
            ((cause, one_family), incident.merged_one_family()),
        ];
        let merged = merged.into_iter().filter(|(_, length)| !length.is_zero()).collect();
        let is_flapping = incident.cause == Cause::Unstable;
        // A change of cause or scope just before the journal was written also leaves an empty last
        // segment. After a gap, cause and scope equal those of the segment before.
        let is_undecided = match incident.segments.as_slice() {
            [.., before, last] => {
                is_empty(last) && (before.cause, before.scope) == (last.cause, last.scope)
            }
            _ => false,
        };
        let watch =
            if is_undecided { MonitoringState::Undecided } else { MonitoringState::Recovered(now) };
        Self { incident, is_flapping, name_servers, merged, monitoring: watch }
    }

    pub(super) fn started(&self) -> Stamp {
        self.incident.started
    }

    /// Returns the later of `at` and the start of this incident.
    pub(super) fn not_before(&self, at: Stamp) -> Stamp {
        if self.incident.started.is_same_boot(at) { self.incident.started.latest(at) } else { at }
    }

    pub(super) fn is_flapping(&self) -> bool {
        self.is_flapping
    }

    /// Whether a gap has ended and it is not yet decided whether the failure continues.
    pub(super) fn is_unmonitored(&self) -> bool {
        self.monitoring != MonitoringState::Monitored
    }

    /// The widest scope so far.
    pub(super) fn scope(&self) -> Scope {
        self.incident.scope
    }

    /// The cause of the last segment.
    pub(super) fn current_cause(&self) -> Cause {
        self.incident.segments.last().map_or(self.incident.cause, |segment| segment.cause)
    }

    /// The scope of the last segment.
    pub(super) fn current_scope(&self) -> Scope {
        self.incident.segments.last().map_or(self.incident.scope, |segment| segment.scope)
    }

    /// The start of the last segment.
    pub(super) fn current_since(&self) -> Stamp {
        self.incident.segments.last().map_or(self.incident.started, |segment| segment.from)
    }

    pub(super) fn set_name_servers(&mut self, party: Party) {
        self.name_servers = party;
        self.recompute_headline();
    }

    /// Extends the last segment to `now`, on new evidence.
    pub(super) fn extend(&mut self, now: Stamp) {
        if !self.is_unmonitored()
            && let Some(last) = self.incident.segments.last_mut()
            && now.is_at_or_after(last.to)
        {
            last.to = now;
        }
        self.recompute_headline();
    }

    /// Starts a new segment at `from`, with another cause or scope.
    pub(super) fn change(&mut self, cause: Cause, scope: Scope, from: Stamp, now: Stamp) {
        if self.is_unmonitored() || (cause, scope) == (self.current_cause(), self.current_scope()) {
            return self.extend(now);
        }
        let segments = &mut self.incident.segments;
        let earliest = segments.last().map_or(from, |last| last.from.latest(from));
        let mut from = earliest.earliest(now);
        if let Some(last) = segments.last_mut() {
            let is_at_once =
                from.since(&last.from).is_some_and(|after| after < SIMULTANEOUS_WITHIN);
            if is_at_once && last.cause.is_downtime() && cause.is_downtime() && last.scope != scope
            {
                from = last.from;
            }
            last.to = from;
        }
        // A segment of zero length is replaced, even if that joins its neighbours.
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
        self.recompute_headline();
    }

    /// Counts one more failure of the connection.
    pub(super) fn count_failure(&mut self) {
        self.incident.failures = self.incident.failures.saturating_add(1);
    }

    /// Sets the cause of everything since `from`, because it is only known now.
    pub(super) fn relabel(&mut self, cause: Cause, from: Stamp, now: Stamp) {
        let scope = self.current_scope();
        for segment in self.incident.segments.iter_mut().filter(|s| s.from.is_at_or_after(from)) {
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
        self.change(cause, scope, from, now);
    }

    /// A gap has ended: the last segment ends where the gap began.
    pub(super) fn apply_gap(&mut self, gap: &Gap) {
        match self.monitoring {
            // No evidence since the previous gap.
            MonitoringState::Undecided => {
                if let Some(last) = self.incident.segments.last_mut() {
                    (last.from, last.to) = (gap.ended, gap.ended);
                }
            }
            MonitoringState::Monitored => self.begin_undecided(gap),
            MonitoringState::Recovered(_) => {
                // An incident that is open in the journal failed until the last sign of life: otherwise
                // its end would be recorded. This does not hold for a flapping one, because the journal
                // does not record each of its failures.
                let started = gap.started;
                if !self.is_flapping
                    && let Some(last) = self.incident.segments.last_mut()
                    && started.is_at_or_after(last.to)
                {
                    last.to = started;
                }
                self.begin_undecided(gap);
            }
        }
        self.recompute_headline();
    }

    fn begin_undecided(&mut self, gap: &Gap) {
        if let Some(last) = self.incident.segments.last_mut()
            && last.to.is_at_or_after(gap.started)
        {
            last.to = last.from.latest(gap.started);
        }
        let (cause, scope) = (self.current_cause(), self.current_scope());
        self.push(cause, scope, gap.ended);
        self.monitoring = MonitoringState::Undecided;
    }

    /// The failure has outlasted the gap.
    pub(super) fn resume(&mut self, cause: Cause, scope: Scope, now: Stamp) {
        match std::mem::replace(&mut self.monitoring, MonitoringState::Monitored) {
            MonitoringState::Monitored => {}
            MonitoringState::Recovered(from) => self.push(cause, scope, from),
            MonitoringState::Undecided => {
                if let Some(last) = self.incident.segments.last_mut() {
                    (last.cause, last.scope) = (cause, scope);
                }
            }
        }
        self.extend(now);
    }

    fn push(&mut self, cause: Cause, scope: Scope, from: Stamp) {
        self.incident.segments.push(Segment { scope, cause, from, to: from });
        if self.incident.segments.len() > MOST_SEGMENTS {
            self.merge_earliest();
        }
    }

    /// Returns the incident as far as there is evidence, for the journal and for users.
    pub(super) fn snapshot(&self) -> Incident {
        self.incident.clone()
    }

    /// Closes the incident at `ended`, or at its last monitored failure if a gap came in between.
    pub(super) fn close(mut self, ended: Stamp) -> Incident {
        if self.is_unmonitored() {
            return self.close_unmonitored();
        }
        self.extend(ended);
        self.trim(ended);
        self.incident
    }

    /// Closes the incident at its last monitored failure.
    pub(super) fn close_unmonitored(mut self) -> Incident {
        if self.monitoring == MonitoringState::Undecided {
            self.incident.segments.pop();
        }
        let ended = self.incident.segments.last().map_or(self.incident.started, |last| last.to);
        self.trim(ended);
        self.incident
    }

    fn trim(&mut self, ended: Stamp) {
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
            if last.to.is_at_or_after(ended) {
                last.to = last.from.latest(ended);
            }
            self.incident.ended = Some(last.to);
        } else {
            self.incident.ended = Some(started);
        }
        self.recompute_headline();
    }

    fn merge_earliest(&mut self) {
        // Only adjacent segments are merged: each boot has its own clock, and a gap was not monitored.
        // If a hundred gaps leave no adjacent segments, the earliest one is dropped.
        let segments = &mut self.incident.segments;
        let Some(first) = (1..segments.len()).find(|&i| segments[i - 1].to == segments[i].from)
        else {
            let dropped = segments.remove(0);
            *self.merged.entry((dropped.cause, dropped.scope)).or_default() += dropped.length();
            return;
        };
        for segment in [&segments[first - 1], &segments[first]] {
            if segment.cause != Cause::Unstable {
                *self.merged.entry((segment.cause, segment.scope)).or_default() += segment.length();
            }
        }
        let removed = segments.remove(first);
        let merged = &mut segments[first - 1];
        if removed.scope != merged.scope {
            merged.scope = Scope::Internet;
        }
        merged.cause = Cause::Unstable;
        merged.to = removed.to;
    }

    /// Recomputes scope, headline, party and downtime.
    fn recompute_headline(&mut self) {
        let mut totals = self.merged.clone();
        for segment in &self.incident.segments {
            *totals.entry((segment.cause, segment.scope)).or_default() += segment.length();
        }
        let down = |is_internet: bool| {
            let counted = totals.iter().filter(|((cause, scope), _)| {
                cause.is_downtime() && (*scope == Scope::Internet) == is_internet
            });
            let sum: Duration = counted.map(|(_, length)| length).sum();
            u64::try_from(sum.as_millis()).unwrap_or(u64::MAX)
        };
        (self.incident.downtime_ms, self.incident.one_family_ms) = (down(true), down(false));
        let is_named = |cause: Cause| !matches!(cause, Cause::Up | Cause::Unstable);
        let mut named = totals.iter().filter(|((cause, _), _)| is_named(*cause));
        if named.clone().any(|((_, scope), _)| *scope == Scope::Internet) {
            self.incident.scope = Scope::Internet;
        } else if let Some(((_, scope), _)) = named.next() {
            self.incident.scope = *scope;
        }
        // The map is ordered by the rows of the verdict, so the first of several equal causes wins.
        let mut longest = None;
        for ((cause, scope), length) in totals {
            let is_headline = is_named(cause) && scope == self.incident.scope;
            if is_headline && longest.is_none_or(|(_, most)| length > most) {
                longest = Some((cause, length));
            }
        }
        if let Some((cause, _)) = longest {
            self.incident.cause = if self.is_flapping { Cause::Unstable } else { cause };
            self.incident.party = cause.party(self.name_servers);
        }
    }
}

/// Whether a segment has zero length.
fn is_empty(segment: &Segment) -> bool {
    segment.length().is_zero()
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

    fn open(cause: Cause, is_flapping: bool) -> OpenIncident {
        let opening = Opening {
            id: IncidentId::new(at(0), &mut Rng::with_seed(1)),
            scope: Scope::Internet,
            cause,
            is_flapping,
            name_servers: Party::Provider,
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
    fn a_tie_between_causes_goes_to_the_earlier_row_of_the_verdict() {
        let mut incident = open(Cause::Isp, false);
        incident.change(Cause::Gateway, Scope::Internet, at(1_000), at(1_500));
        incident.extend(at(1_999));
        assert_eq!(incident.snapshot().cause, Cause::Isp);
        incident.extend(at(2_000));
        assert_eq!(incident.snapshot().cause, Cause::Gateway);
        assert_eq!(incident.snapshot().party, Some(Party::Yours));
    }

    #[test]
    fn an_incident_that_flaps_for_days_stays_small_and_keeps_exact_downtime() {
        let mut incident = open(Cause::Isp, true);
        for flap in 0..5_000 {
            let began = flap * 80_000;
            incident.change(Cause::Up, Scope::Internet, at(began + 40_000), at(began + 42_000));
            incident.change(Cause::Isp, Scope::Internet, at(began + 80_000), at(began + 84_000));
        }
        let closed = incident.close(at(5_000 * 80_000));
        assert!(closed.segments.len() <= MOST_SEGMENTS);
        assert_eq!(closed.downtime(), Duration::from_secs(5_000 * 40));
        assert_eq!((closed.cause, closed.party), (Cause::Unstable, Some(Party::Provider)));
        assert_eq!(closed.segments[0].from, closed.started);
    }

    #[test]
    fn a_recovered_incident_continues_with_the_recorded_downtime() {
        let mut incident = open(Cause::Isp, true);
        for flap in 0..200 {
            incident.change(
                Cause::Up,
                Scope::Internet,
                at(flap * 80_000 + 40_000),
                at(flap * 80_000 + 42_000),
            );
            incident.change(
                Cause::Isp,
                Scope::Internet,
                at(flap * 80_000 + 80_000),
                at(flap * 80_000 + 84_000),
            );
        }
        incident.extend(at(16_010_000));
        let recorded = incident.snapshot();
        let mut recovered = OpenIncident::recover(recorded.clone(), at(16_100_000));
        recovered.apply_gap(&gap(16_020_000, 16_100_000));
        recovered.resume(Cause::Isp, Scope::Internet, at(16_105_000));
        let now = recovered.snapshot();
        assert_eq!(now.downtime_ms, recorded.downtime_ms + 5_000);
    }

    #[test]
    fn two_gaps_without_evidence_between_them_count_as_one() {
        let mut incident = open(Cause::Isp, false);
        incident.extend(at(10_000));
        incident.apply_gap(&gap(10_000, 20_000));
        // The agent stops before this is decided; the recovered incident is equally undecided.
        let mut incident = OpenIncident::recover(incident.snapshot(), at(40_000));
        incident.apply_gap(&gap(25_000, 40_000));
        let mut ended = incident.clone().close(at(50_000));
        assert_eq!((ended.ended, ended.downtime_ms), (Some(at(10_000)), 10_000));
        incident.resume(Cause::Isp, Scope::Internet, at(41_000));
        ended = incident.close(at(50_000));
        assert_eq!((ended.ended, ended.downtime_ms), (Some(at(50_000)), 20_000));
    }

    #[test]
    fn a_change_of_scope_begins_a_segment() {
        let mut incident = open(Cause::Isp, false);
        incident.change(Cause::Isp, Scope::Ipv6, at(60_000), at(62_000));
        let closed = incident.close(at(100_000));
        assert_eq!(closed.scope, Scope::Internet);
        assert_eq!((closed.downtime_ms, closed.one_family_ms), (60_000, 40_000));
        let scopes: Vec<_> = closed.segments.iter().map(|segment| segment.scope).collect();
        assert_eq!(scopes, [Scope::Internet, Scope::Ipv6]);
    }

    #[test]
    fn families_that_fail_simultaneously_share_one_segment() {
        let mut incident = open(Cause::Isp, false);
        incident.change(Cause::Isp, Scope::Ipv4, at(300), at(4_000));
        assert_eq!(incident.snapshot().segments.len(), 1);
        incident.change(Cause::Gateway, Scope::Internet, at(1_500), at(5_000));
        assert_eq!(incident.snapshot().segments.len(), 2);
    }

    #[test]
    fn the_headline_comes_from_the_widest_scope() {
        let mut incident = open(Cause::Gateway, false);
        incident.change(Cause::Isp, Scope::Ipv4, at(10_000), at(12_000));
        let closed = incident.close(at(500_000));
        assert_eq!((closed.scope, closed.cause), (Scope::Internet, Cause::Gateway));
    }

    #[test]
    fn after_a_crash_a_flapping_incident_counts_only_recorded_downtime() {
        let mut incident = open(Cause::Isp, true);
        incident.extend(at(7_000));
        let mut recovered = OpenIncident::recover(incident.snapshot(), at(170_000));
        recovered.apply_gap(&gap(124_000, 170_000));
        assert_eq!(recovered.close_unmonitored().downtime_ms, 7_000);
        // An incident that does not flap still failed at the last stored sign of life; otherwise its
        // end would be recorded.
        let mut incident = open(Cause::Isp, false);
        incident.extend(at(7_000));
        let mut recovered = OpenIncident::recover(incident.snapshot(), at(170_000));
        recovered.apply_gap(&gap(124_000, 170_000));
        assert_eq!(recovered.close_unmonitored().downtime_ms, 124_000);
    }
}
