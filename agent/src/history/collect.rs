//! The whole past, made of the record's lines.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;

use super::{
    Downtime, HourOfRecord, Interval, PastIncident, PastSegment, incident::spread,
    walls::BootClocks,
};
use crate::{
    clock::Stamp,
    journal::{
        Digest, Entry, Record, Summary, UnknownRecord, UnknownRecords, ended_where_last_seen,
        is_same_device, is_same_kind, was_seen_at,
    },
    outage::{Gap, GapCause, Incident, IncidentId},
    printable::printable,
    probe::{Family, PerFamily},
};

/// For how long a record may end before `now` although the agent runs: it notes each minute that it
/// is alive.
const ALIVE_FOR: Duration = Duration::from_secs(150);

/// The shortest time between two runs that counts as a gap although no record names it so: a new
/// start takes as long.
const SHORTEST_UNNAMED: Duration = Duration::from_secs(1);

/// How many gaps a copied line may lie behind the one that it is a copy of.
const COPIES: usize = 256;

/// The end of the record's chain: whoever knows it can tell whether anything before was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last record.
    pub seq: u64,
    /// The hash of its line.
    pub hash: Digest,
}

/// An unmonitored period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmonitored {
    /// Its id; `None` for a time that no record names as a gap, but that lies between two records.
    pub id: Option<IncidentId>,
    /// Why nothing was monitored; `None` where no record says so.
    pub cause: Option<GapCause>,
    /// From when to when.
    pub time: Interval,
    /// How far its start may be off, in seconds.
    pub uncertain_s: u32,
    /// What kept a running agent from asking, where the record says so.
    pub reason: Option<String>,
    /// Whether it goes on: the agent does not run.
    pub open: bool,
}

impl Unmonitored {
    /// A time that no record names as a gap.
    fn unnamed(cause: Option<GapCause>, time: Interval) -> Self {
        Self { id: None, cause, time, uncertain_s: 0, reason: None, open: false }
    }
}

/// The past as the record tells it, all times corrected.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The device's name as the newest record has it.
    pub device: Option<String>,
    /// From the first record to the last moment that is known of, up to `now` when the agent runs no
    /// more; `None` when there is no record.
    pub span: Option<Interval>,
    /// All incidents in the order of their start.
    pub incidents: Vec<PastIncident>,
    /// All gaps in the order of their start.
    pub gaps: Vec<Unmonitored>,
    /// All hourly summaries in order.
    pub hours: Vec<HourOfRecord>,
    /// How many steps of the wall clock there were.
    pub clock_steps: u32,
    /// How many records were read.
    pub records: u64,
    /// Records that only a newer version understands: what they tell is missing in the rest.
    pub unknown: UnknownRecords,
    /// The times of all gaps, in order and without overlap.
    unmonitored: Vec<Interval>,
}

impl History {
    /// Makes a history of records, in their order. See [`Collector`].
    pub fn of(
        records: impl IntoIterator<Item = Record>,
        alive: Option<Stamp>,
        now: Timestamp,
    ) -> Self {
        let mut collector = Collector::default();
        for record in records {
            collector.add(record);
        }
        collector.finish(alive, now)
    }

    /// When nothing was monitored, in order and without overlap.
    pub fn unmonitored(&self) -> &[Interval] {
        &self.unmonitored
    }

    /// The incidents that lie in a time, wholly or in part.
    pub fn incidents_in(&self, period: Interval) -> impl Iterator<Item = &PastIncident> {
        self.incidents.iter().filter(move |incident| incident.time.touches(&period))
    }

    /// The gaps that lie in a time, wholly or in part.
    pub fn gaps_in(&self, period: Interval) -> impl Iterator<Item = &Unmonitored> {
        self.gaps.iter().filter(move |gap| gap.time.touches(&period))
    }

    /// The times without internet in an incident.
    pub fn failures(&self, incident: &PastIncident) -> Vec<Downtime> {
        incident.failures(&self.unmonitored)
    }

    /// The times in an incident in which this family alone was down.
    pub fn family_failures(&self, incident: &PastIncident, family: Family) -> Vec<Downtime> {
        incident.family_failures(family, &self.unmonitored)
    }

    /// How long the internet was down in an incident.
    pub fn downtime(&self, incident: &PastIncident) -> Duration {
        incident.downtime(&self.unmonitored)
    }

    /// How long each family alone was down in an incident.
    pub fn family_downtime(&self, incident: &PastIncident) -> PerFamily<Duration> {
        PerFamily::from_fn(|family| incident.family_downtime(family, &self.unmonitored))
    }
}

/// Takes records in their order and makes a [`History`] of them. What it keeps depends on what
/// happened, not on how many lines tell of it.
#[derive(Debug, Default)]
pub struct Collector {
    walls: BootClocks,
    device: Option<String>,
    incidents: HashMap<IncidentId, Known>,
    gaps: Vec<Gap>,
    hours: Vec<Summary>,
    clock_steps: u32,
    records: u64,
    unknown: UnknownRecords,
    /// How many records were read when monitoring was interrupted last.
    interrupted: u64,
    first: Option<Stamp>,
    last: Option<Stamp>,
    /// Since when the agent is stopped, when the record says so and has not taken it back.
    stopped: Option<Stamp>,
    /// Since when it is paused, which a stop and a start in between do not end.
    paused: Option<Stamp>,
    /// From the end of a run to the start after it: gaps, should no record name them so.
    between_runs: Vec<BetweenRuns>,
}

/// A time between two runs of the agent.
#[derive(Clone, Copy, Debug)]
struct BetweenRuns {
    /// Why nothing was monitored; `None` where the earlier run ended without saying so. Then all that is
    /// known of its end is that it came after its last record.
    cause: Option<GapCause>,
    from: Stamp,
    to: Stamp,
}

/// An incident in its newest form.
#[derive(Debug)]
struct Known {
    incident: Incident,
    /// The record that told of it: its number, and how many were read by then.
    seq: u64,
    read: u64,
}

impl Collector {
    /// Takes the next record.
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
                // A run that records something has begun.
                if let Some(from) = self.stopped.take() {
                    let cause = Some(GapCause::Stopped);
                    self.between_runs.push(BetweenRuns { cause, from, to: record.at });
                }
                if gap.cause == GapCause::Paused {
                    self.paused = None;
                }
                // A line that was copied tells nothing new.
                if self.gaps.iter().rev().take(COPIES).all(|known| known.id != gap.id) {
                    self.gaps.push(gap);
                }
            }
            Entry::ClockStepped { .. } => self.clock_steps += 1,
            Entry::Hour { summary } => self.hours.push(summary),
            Entry::Network { .. } | Entry::RecordsDropped { .. } => {}
            Entry::Unknown(unknown) => self.count(&unknown),
        }
    }

    /// A run of a device begins. Where it has another name than before, nobody goes on with what the
    /// record left open: that ends where it was last watched, and a gap follows.
    fn begin(&mut self, device: &str, before: Option<Stamp>, at: Stamp) {
        let device = printable(device).into_owned();
        if self.device.as_ref().is_some_and(|known| !is_same_device(known, &device)) {
            for known in self.incidents.values_mut().filter(|known| known.is_open()) {
                known.end_unseen();
            }
            let paused = self.paused.take().map(|since| (Some(GapCause::Paused), since));
            let silent = before.filter(|_| self.stopped.is_none()).map(|since| (None, since));
            if let Some((cause, from)) = paused.or(silent) {
                self.between_runs.push(BetweenRuns { cause, from, to: at });
            }
        }
        self.device = Some(device);
    }

    /// Counts a record that cannot be shown. Where it has closed an incident, that has ended.
    fn count(&mut self, unknown: &UnknownRecord) {
        self.unknown.count(unknown);
        if unknown.kind == "incident_closed"
            && let Some(known) = unknown.incident.and_then(|id| self.incidents.get_mut(&id))
        {
            known.end_unseen();
        }
    }

    /// Keeps an incident's newest form; what opened it is told only once.
    fn keep(&mut self, seq: u64, mut incident: Incident) {
        if let Some(known) = self.incidents.get_mut(&incident.id) {
            if known.seq > seq {
                // The lines have changed places.
                if known.incident.evidence.is_empty() {
                    known.incident.evidence = incident.evidence;
                }
                return;
            }
            if incident.evidence.is_empty() {
                incident.evidence = std::mem::take(&mut known.incident.evidence);
            }
        }
        self.incidents.insert(incident.id, Known { incident, seq, read: self.records });
    }

    /// Ends what a later incident of the same kind has superseded: nobody has seen its end.
    fn end_superseded(&mut self) {
        let mut open: Vec<_> =
            self.incidents.values_mut().filter(|known| known.is_open()).collect();
        open.sort_unstable_by_key(|known| std::cmp::Reverse(known.read));
        let mut newest: Vec<Incident> = Vec::new();
        for known in open {
            if newest.iter().any(|newer| is_same_kind(newer, &known.incident)) {
                known.end_unseen();
            } else {
                newest.push(known.incident.clone());
            }
        }
    }

    /// The history of all records so far. `alive` is the last moment at which the agent is known to
    /// have run; without it that is the last record.
    pub fn finish(mut self, alive: Option<Stamp>, now: Timestamp) -> History {
        if let Some(alive) = alive.filter(|alive| self.walls.knows(alive.boot)) {
            // It may know the clock better than the last record.
            self.walls.learn(alive);
        }
        self.walls.settle();
        self.end_superseded();
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return History::default();
        };
        let begin = self.walls.time(&first);
        let known = alive.map_or(begin, |alive| self.walls.time(&alive));
        let known = known.max(self.walls.time(&last));
        let mut gaps: Vec<_> = self.gaps.iter().map(|gap| self.unmonitored(gap)).collect();
        gaps.extend(self.unnamed_gaps(&gaps));
        // The end of the record is not the end of time: since then nobody has watched.
        let silent = now > known.saturating_add(ALIVE_FOR).unwrap_or(known);
        let mut paused = self.paused.map(|since| (GapCause::Paused, since));
        if let Some((cause, since)) = paused.filter(|_| silent && self.stopped.is_none()) {
            // A crash within a pause is a crash.
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
            gaps.push(Unmonitored { open: true, ..Unmonitored::unnamed(cause, time) });
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
            .map(|summary| HourOfRecord { time: self.between(&summary.from, &summary.to), summary })
            .collect();
        hours.sort_by_key(|hour| hour.time.from);
        History {
            device: self.device,
            span: Some(Interval::new(begin, end)),
            incidents,
            gaps,
            hours,
            clock_steps: self.clock_steps,
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
            open: false,
        }
    }

    /// The times between two runs that no recorded gap covers. Where it is known when a run ended,
    /// that is whatever remains of the time; else a gap that touches it tells of it.
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

    /// An incident in corrected times. An open one reaches to the last evidence for it: its last
    /// segment, or where that goes on, the last moment at which the agent is known to have run.
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
        if let Some(alive) = runs_until.filter(|alive| was_seen_at(&recorded, *alive))
            && let Some(last) = phases.last_mut()
        {
            last.time.to = last.time.to.max(self.walls.time(&alive));
        }
        let last_seen = phases.last().map_or(from, |last| last.time.to);
        let to = recorded.ended.as_ref().map_or(last_seen, |ended| self.walls.time(ended));
        PastIncident {
            time: Interval::new(from, to),
            merged: spread(&recorded, &phases, from, unmonitored),
            phases,
            clock_certain: self.walls.is_certain(recorded.started.boot),
            last_ok: recorded.last_ok.as_ref().map(|stamp| self.walls.time(stamp)),
            observed: recorded.evidence.iter().map(|one| self.walls.time(&one.at)).collect(),
            seq,
            recorded,
        }
    }
}

impl Known {
    fn is_open(&self) -> bool {
        self.incident.ended.is_none()
    }

    fn end_unseen(&mut self) {
        if self.is_open() {
            self.incident = ended_where_last_seen(self.incident.clone());
        }
    }
}
