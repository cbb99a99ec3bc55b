//! Invariants that hold at every step, whatever the evidence.

use std::collections::BTreeMap;

use ispmon_agent::{
    clock::Stamp,
    outage::{
        Cause, Evidence, Gap, Incident, IncidentId, MOST_SEGMENTS, OutageMachine, Scope, Transition,
    },
};

/// Limit of the pieces of evidence in an opening record.
const MOST_EVIDENCE: usize = 64;

/// The incidents and gaps so far.
#[derive(Debug, Default)]
pub(crate) struct Invariants {
    open: BTreeMap<IncidentId, Incident>,
    closed_connectivity: Vec<Incident>,
    gaps: Vec<Gap>,
    pub(crate) opened: usize,
    pub(crate) failures: u32,
}

/// Whether one moment is before another of the same boot.
fn is_before(one: Stamp, other: Stamp) -> bool {
    one.boot == other.boot && one.boot_ms < other.boot_ms
}

impl Invariants {
    /// Checks the machine's reaction to one piece of evidence.
    pub(crate) fn check(
        &mut self,
        machine: &OutageMachine,
        evidence: &Evidence,
        transitions: &[Transition],
        now: Stamp,
    ) {
        if let Evidence::GapEnded(gap) = evidence {
            self.gaps.push(gap.clone());
        }
        for transition in transitions {
            // The machine itself detects that it is blind.
            if let Transition::GapEnded(gap) = transition
                && !self.gaps.contains(gap)
            {
                self.gaps.push(gap.clone());
            }
        }
        for transition in transitions {
            match transition {
                Transition::Opened(incident) => self.opened(incident, now),
                Transition::Changed(incident) | Transition::Progressed(incident) => {
                    let before = self.open.insert(incident.id, incident.clone());
                    let before = before.expect("only open incidents change");
                    assert_eq!(before.scope.is_connectivity(), incident.scope.is_connectivity());
                    self.sound(incident);
                }
                Transition::Closed(incident) => self.closed(incident, now),
                Transition::GapEnded(_) => {}
            }
            let lines = self.open.values().filter(|open| open.scope.is_connectivity()).count();
            assert!(lines <= 1, "two connectivity incidents are open: {:#?}", self.open);
        }
        let mut viewed: Vec<_> = machine.snapshot().incidents.iter().map(|open| open.id).collect();
        viewed.sort();
        let open: Vec<_> = self.open.keys().copied().collect();
        assert_eq!(viewed, open, "the snapshot shows the incidents that were reported");
        for incident in machine.snapshot().incidents {
            self.sound(&incident);
        }
        if let Some(deadline) = machine.deadline() {
            assert!(
                is_before(now, deadline),
                "a deadline in the past would wake the agent for ever"
            );
        }
    }

    fn opened(&mut self, incident: &Incident, now: Stamp) {
        self.opened += 1;
        assert!(!is_before(now, incident.started), "no incident starts in the future");
        assert_eq!(incident.ended, None);
        let same = self.open.values().find(|open| open.scope == incident.scope);
        assert!(same.is_none(), "an incident of this scope is already open: {same:#?}");
        if incident.scope.is_connectivity()
            && let Some(last) = self.closed_connectivity.last()
        {
            let ended = last.ended.expect("a closed incident has an end");
            assert!(
                !is_before(incident.started, ended),
                "two connectivity incidents overlap: {last:#?} {incident:#?}"
            );
        }
        assert!(incident.evidence.len() <= MOST_EVIDENCE, "{:#?}", incident.evidence);
        self.sound(incident);
        assert!(self.open.insert(incident.id, incident.clone()).is_none());
    }

    fn closed(&mut self, incident: &Incident, now: Stamp) {
        let open = self.open.remove(&incident.id);
        assert!(open.is_some(), "only open incidents close: {incident:#?}");
        let ended = incident.ended.expect("a closed incident has an end");
        assert!(!is_before(ended, incident.started), "no duration is negative: {incident:#?}");
        assert!(!is_before(now, ended), "no incident ends in the future");
        assert_eq!(incident.segments.last().map(|last| last.to), Some(ended), "{incident:#?}");
        self.sound(incident);
        self.failures += incident.failures;
        if incident.scope.is_connectivity() {
            self.closed_connectivity.push(incident.clone());
        }
    }

    /// Checks that hold for an incident at any time.
    fn sound(&self, incident: &Incident) {
        let segments = &incident.segments;
        assert!(!segments.is_empty() && segments.len() <= MOST_SEGMENTS, "{incident:#?}");
        assert_eq!(segments[0].from, incident.started, "{incident:#?}");
        if let Some(last_ok) = incident.last_ok {
            assert!(!is_before(incident.started, last_ok), "{incident:#?}");
        }
        for segment in segments {
            assert_eq!(segment.from.boot, segment.to.boot, "{incident:#?}");
            assert_eq!(
                segment.scope.is_connectivity(),
                incident.scope.is_connectivity(),
                "{incident:#?}"
            );
            assert!(!is_before(segment.to, segment.from), "{incident:#?}");
            for gap in &self.gaps {
                let overlaps =
                    is_before(segment.from, gap.ended) && is_before(gap.started, segment.to);
                assert!(
                    !overlaps || !segment.cause.is_downtime(),
                    "the segment is in a gap: {gap:#?} {incident:#?}"
                );
            }
        }
        for (index, pair) in segments.windows(2).enumerate() {
            let (before, after) = (&pair[0], &pair[1]);
            assert!(!is_before(after.from, before.to), "segments overlap: {incident:#?}");
            let hole = before.to != after.from;
            let unmonitored = self
                .gaps
                .iter()
                .any(|gap| !is_before(after.from, gap.ended) && !is_before(gap.started, before.to));
            // A segment cut short by a gap is recorded before the gap, which has not ended yet.
            let is_cut = index + 2 == segments.len() && after.from == after.to;
            assert!(
                !hole || unmonitored || is_cut,
                "there is a hole: {incident:#?} {:#?}",
                self.gaps
            );
        }
        let mut totals: BTreeMap<Cause, u64> = BTreeMap::new();
        let mut down = 0;
        for segment in segments {
            let length = segment.to.boot_ms - segment.from.boot_ms;
            // The headline is that of the widest scope.
            if segment.scope == incident.scope {
                *totals.entry(segment.cause).or_default() += length;
            }
            if segment.scope == Scope::Internet && segment.cause.is_downtime() {
                down += length;
            }
        }
        let merged = totals.contains_key(&Cause::Unstable);
        assert!(
            incident.downtime_ms == down || merged && incident.downtime_ms > down,
            "the downtime is the sum of the segments, {down} ms: {incident:#?}"
        );
        if !incident.scope.is_connectivity() {
            assert_eq!(incident.downtime_ms, 0, "{incident:#?}");
        }
        if incident.cause != Cause::Unstable && !merged {
            let longest = totals.values().max().expect("there is at least one segment");
            let headline = totals.iter().find(|(_, ms)| *ms == longest).map(|(cause, _)| *cause);
            assert_eq!(Some(incident.cause), headline, "{incident:#?}");
        }
    }
}
