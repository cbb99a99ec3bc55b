//! Builds the history from the records of the journal.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;

use super::{
    History, Interval, PastIncident, PastSegment, RecordedHour, Unmonitored,
    boot_clocks::BootClocks, incident::spread_merged,
};
use crate::{
    clock::Stamp,
    journal::{
        Entry, Record, Summary, UnknownRecord, UnknownRecords, ended_where_last_observed,
        is_same_device, is_same_kind, was_observed_at,
    },
    outage::{Gap, GapCause, Incident, IncidentId},
    printable::printable,
};

/// How far the journal may lag behind `now` although the agent runs: it updates the alive file each
/// minute.
const ALIVE_FOR: Duration = Duration::from_secs(150);

/// The shortest time between two runs that counts as a gap without a record of one: a restart takes
/// about as long.
const SHORTEST_UNNAMED: Duration = Duration::from_secs(1);

/// How many gaps back a copied line is searched for.
const COPIES: usize = 256;

/// Takes records in order and builds a [`History`]. Its memory depends on the number of incidents
/// and gaps, not on the number of their records.
#[derive(Debug, Default)]
pub struct Collector {
    walls: BootClocks,
    device: Option<String>,
    incidents: HashMap<IncidentId, KnownIncident>,
    gaps: Vec<Gap>,
    hours: Vec<Summary>,
    records: u64,
    unknown: UnknownRecords,
    /// The value of `records` when monitoring was last interrupted.
    interrupted: u64,
    first: Option<Stamp>,
    last: Option<Stamp>,
    /// Since when the agent is stopped, unless a later record shows that it runs.
    stopped: Option<Stamp>,
    /// Since when it is paused; a stop and a start in between do not end a pause.
    paused: Option<Stamp>,
    /// From the end of each run to the next start: gaps, unless a record names them.
    between_runs: Vec<BetweenRuns>,
}

/// The time between two runs of the agent.
#[derive(Clone, Copy, Debug)]
struct BetweenRuns {
    /// The cause of the gap; `None` if the earlier run did not record its end, which then came at
    /// some time after its last record.
    cause: Option<GapCause>,
    from: Stamp,
    to: Stamp,
}

/// An incident in its newest form.
#[derive(Debug)]
struct KnownIncident {
    incident: Incident,
    /// The number of its newest record.
    seq: u64,
    /// How many records were read by then.
    read: u64,
}

impl Collector {
    /// Processes the next record.
    pub fn add(&mut self, record: Record) {
        self.walls.learn(record.at);
        self.records += 1;
        self.first.get_or_insert(record.at);
        let before = self.last.replace(record.at);
        match record.entry {
            Entry::ChainStarted { device, .. } => self.begin(&device, before, record.at),
            Entry::AgentStarted { device, .. } => {
                self.begin(&device, before, record.at);
                self.interrupted = self.records;
                let (cause, from) = match (self.stopped.take(), before) {
                    (Some(since), _) => (Some(GapCause::Stopped), since),
                    (None, Some(before)) => (None, before),
                    (None, None) => return,
                };
                self.between_runs.push(BetweenRuns { cause, from, to: record.at });
            }
            Entry::AgentStopped { .. } => {
                self.stopped = Some(record.at);
                self.interrupted = self.records;
            }
            Entry::Paused { .. } => {
                self.paused.get_or_insert(record.at);
                self.interrupted = self.records;
            }
            Entry::IncidentOpened { incident }
            | Entry::IncidentChanged { incident }
            | Entry::IncidentClosed { incident } => self.keep(record.seq, incident),
            Entry::Gap { gap } => {
                self.interrupted = self.records;
                // A run that records a gap has started, even without a record of its start.
                if let Some(from) = self.stopped.take() {
                    let cause = Some(GapCause::Stopped);
                    self.between_runs.push(BetweenRuns { cause, from, to: record.at });
                }
                if gap.cause == GapCause::Paused {
                    self.paused = None;
                }
                // A copied line adds nothing.
                if self.gaps.iter().rev().take(COPIES).all(|known| known.id != gap.id) {
                    self.gaps.push(gap);
                }
            }
            Entry::Hour { summary } => self.hours.push(summary),
            Entry::ClockStepped { .. } | Entry::Network { .. } | Entry::RecordsDropped { .. } => {}
            Entry::Unknown(unknown) => self.count(&unknown),
        }
    }

    /// Processes the start of a run or chain. After a change of the device name nothing continues
    /// what was open: it ends where it was last monitored, and a gap follows.
    fn begin(&mut self, device: &str, before: Option<Stamp>, at: Stamp) {
        let device = printable(device).into_owned();
        if self.device.as_ref().is_some_and(|known| !is_same_device(known, &device)) {
            for known in self.incidents.values_mut().filter(|known| known.is_open()) {
                known.end_unobserved();
            }
            let paused = self.paused.take().map(|since| (Some(GapCause::Paused), since));
            let silent = before.filter(|_| self.stopped.is_none()).map(|since| (None, since));
            if let Some((cause, from)) = paused.or(silent) {
                self.between_runs.push(BetweenRuns { cause, from, to: at });
            }
        }
        self.device = Some(device);
    }

    /// Counts a record that cannot be shown. If it closed an incident, that incident has ended.
    fn count(&mut self, unknown: &UnknownRecord) {
        self.unknown.count(unknown);
        if unknown.kind == "incident_closed"
            && let Some(known) = unknown.incident.and_then(|id| self.incidents.get_mut(&id))
        {
            known.end_unobserved();
        }
    }

    /// Keeps an incident's newest form; only the opening record has the evidence.
    fn keep(&mut self, seq: u64, mut incident: Incident) {
        if let Some(known) = self.incidents.get_mut(&incident.id) {
            if known.seq > seq {
                // The lines were swapped.
                if known.incident.evidence.is_empty() {
                    known.incident.evidence = incident.evidence;
                }
                return;
            }
            if incident.evidence.is_empty() {
                incident.evidence = std::mem::take(&mut known.incident.evidence);
            }
        }
        self.incidents.insert(incident.id, KnownIncident { incident, seq, read: self.records });
    }

    /// Ends incidents that a later one of the same kind has superseded: their end was not observed.
    fn end_superseded(&mut self) {
        let mut open: Vec<_> =
            self.incidents.values_mut().filter(|known| known.is_open()).collect();
        open.sort_unstable_by_key(|known| std::cmp::Reverse(known.read));
        let mut newest: Vec<Incident> = Vec::new();
        for known in open {
            if newest.iter().any(|newer| is_same_kind(newer, &known.incident)) {
                known.end_unobserved();
            } else {
                newest.push(known.incident.clone());
            }
        }
    }

    /// Returns the history of all records so far. `alive` is the last moment at which the agent is
    /// known to have run; without it that is the last record.
    pub fn finish(mut self, alive: Option<Stamp>, now: Timestamp) -> History {
        if let Some(alive) = alive.filter(|alive| self.walls.contains(alive.boot)) {
            // It may have a better clock offset than the last record.
            self.walls.learn(alive);
        }
        self.walls.order_boots();
        self.end_superseded();
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return History::default();
        };
        let begin = self.walls.time(&first);
        let known = alive.map_or(begin, |alive| self.walls.time(&alive));
        let known = known.max(self.walls.time(&last));
        let mut gaps: Vec<_> = self.gaps.iter().map(|gap| self.unmonitored(gap)).collect();
        gaps.extend(self.unnamed_gaps(&gaps));
        // Nothing was monitored between the end of the journal and now.
        let silent = now > known.saturating_add(ALIVE_FOR).unwrap_or(known);
        let mut paused = self.paused.map(|since| (GapCause::Paused, since));
        if let Some((cause, since)) = paused.filter(|_| silent && self.stopped.is_none()) {
            // A crash during a pause is a gap of its own.
            let time = Interval::new(self.walls.time(&since), known);
            let cause = Some(cause);
            gaps.push(Unmonitored::unnamed(cause, time));
            paused = None;
        }
        let off = paused.or(self.stopped.map(|since| (GapCause::Stopped, since)));
        let off = off.map(|(cause, since)| (Some(cause), self.walls.time(&since)));
        let end = if off.is_some() || silent { known.max(now) } else { known };
        if let Some((cause, since)) = off.or_else(|| silent.then_some((None, known))) {
            let time = Interval::new(since, end);
            gaps.push(Unmonitored { is_open: true, ..Unmonitored::unnamed(cause, time) });
        }
        gaps.sort_by_key(|gap| gap.time.from);
        let unmonitored = Interval::union(gaps.iter().map(|gap| gap.time).collect());
        let runs_until = alive.unwrap_or(last);
        let incidents = std::mem::take(&mut self.incidents);
        let mut incidents: Vec<_> = incidents
            .into_values()
            .map(|known| {
                let runs_until = (known.read > self.interrupted).then_some(runs_until);
                self.past(known.seq, known.incident, runs_until, &unmonitored)
            })
            .collect();
        incidents.sort_by_key(|incident| (incident.time.from, incident.recorded.id));
        let mut hours: Vec<_> = std::mem::take(&mut self.hours)
            .into_iter()
            .map(|summary| RecordedHour { time: self.between(&summary.from, &summary.to), summary })
            .collect();
        hours.sort_by_key(|hour| hour.time.from);
        History {
            device: self.device,
            span: Some(Interval::new(begin, end)),
            incidents,
            gaps,
            hours,
            records: self.records,
            unknown: self.unknown,
            unmonitored,
        }
    }

    fn between(&self, from: &Stamp, to: &Stamp) -> Interval {
        Interval::new(self.walls.time(from), self.walls.time(to))
    }

    fn unmonitored(&self, gap: &Gap) -> Unmonitored {
        Unmonitored {
            id: Some(gap.id),
            cause: Some(gap.cause),
            time: self.between(&gap.started, &gap.ended),
            uncertain_s: gap.uncertain_s,
            reason: gap.reason.clone(),
            is_open: false,
        }
    }

    /// The times between two runs that no recorded gap covers. If the end of a run is known, they
    /// are the uncovered parts; otherwise any gap that overlaps the time accounts for all of it.
    fn unnamed_gaps(&self, named: &[Unmonitored]) -> Vec<Unmonitored> {
        let known = Interval::union(named.iter().map(|gap| gap.time).collect());
        let mut unnamed = Vec::new();
        for BetweenRuns { cause, from, to } in &self.between_runs {
            let time = self.between(from, to);
            let rest = match cause {
                Some(_) => time.without(&known),
                None if known.iter().any(|gap| gap.touches(&time)) => Vec::new(),
                None => vec![time],
            };
            let rest = rest.into_iter().filter(|time| time.duration() >= SHORTEST_UNNAMED);
            unnamed.extend(rest.map(|time| Unmonitored::unnamed(*cause, time)));
        }
        unnamed
    }

    /// Converts an incident to corrected times. An open one extends to the last evidence for it:
    /// its last segment, or, if that continues, the last moment at which the agent is known to have
    /// run.
    fn past(
        &self,
        seq: u64,
        recorded: Incident,
        runs_until: Option<Stamp>,
        unmonitored: &[Interval],
    ) -> PastIncident {
        let from = self.walls.time(&recorded.started);
        let mut phases: Vec<_> = recorded
            .segments
            .iter()
            .map(|segment| PastSegment {
                scope: segment.scope,
                cause: segment.cause,
                time: self.between(&segment.from, &segment.to),
            })
            .collect();
        if let Some(alive) = runs_until.filter(|alive| was_observed_at(&recorded, *alive))
            && let Some(last) = phases.last_mut()
        {
            last.time.to = last.time.to.max(self.walls.time(&alive));
        }
        let last_seen = phases.last().map_or(from, |last| last.time.to);
        let to = recorded.ended.as_ref().map_or(last_seen, |ended| self.walls.time(ended));
        PastIncident {
            time: Interval::new(from, to),
            merged: spread_merged(&recorded, &phases, from, unmonitored),
            segments: phases,
            clock_certain: self.walls.is_certain(recorded.started.boot),
            last_ok: recorded.last_ok.as_ref().map(|stamp| self.walls.time(stamp)),
            observed: recorded.evidence.iter().map(|one| self.walls.time(&one.at)).collect(),
            seq,
            recorded,
        }
    }
}

impl KnownIncident {
    fn is_open(&self) -> bool {
        self.incident.ended.is_none()
    }

    fn end_unobserved(&mut self) {
        if self.is_open() {
            self.incident = ended_where_last_observed(self.incident.clone());
        }
    }
}
