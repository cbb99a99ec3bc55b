//! Builds the state that a starting agent restores, from the journal's records.

use std::collections::VecDeque;

use ispmon_wire::comparison_key;

use super::{LastRun, Recovered};
use crate::{
    clock::{BootId, Stamp},
    journal::{
        alive::Alive,
        clock_offsets::WallClockOffsets,
        record::{Entry, Record, UnknownRecord},
    },
    outage::{Cause, GapCause, Incident, IncidentId, NetworkFacts, Scope},
    pause::Pause,
    summary::Summary,
};

/// The largest number of hourly summaries returned: one week, with room for a restart a day.
const MOST_HOURS: usize = 7 * 24 + 7;
/// The largest number of boots whose clock offset is returned.
const MOST_BOOTS: usize = 256;
/// The largest number of superseded incidents that are closed.
const MOST_SUPERSEDED: usize = 1_000;
/// How many closed incidents are remembered, in case their records are out of order.
const MOST_CLOSED: usize = 64;

/// Builds a [`Recovered`] from records, in bounded memory.
#[derive(Clone, Debug, Default)]
pub(in crate::journal) struct RecoveredBuilder {
    /// The device of the latest records.
    pub(in crate::journal) device: Option<String>,
    open: Vec<UnclosedIncident>,
    superseded: VecDeque<UnclosedIncident>,
    closed: VecDeque<IncidentId>,
    last: Option<(Stamp, bool)>,
    pause: Option<Pause>,
    hours: VecDeque<Summary>,
    networks: Vec<NetworkFacts>,
    walls: WallClockOffsets,
    /// The latest boot time of each boot in milliseconds.
    latest: VecDeque<(BootId, u64)>,
    /// The number of records read.
    records: u64,
    /// The value of `records` when monitoring was last interrupted.
    interrupted: u64,
}

/// An incident that no record has closed.
#[derive(Clone, Debug)]
struct UnclosedIncident {
    incident: Incident,
    /// The number of its latest record.
    seq: u64,
    /// How many records were read by then.
    read: u64,
}

impl RecoveredBuilder {
    /// Processes the next record.
    pub(in crate::journal) fn apply(&mut self, record: Record) {
        self.records += 1;
        self.walls.update(&record.at);
        self.walls.keep_latest(MOST_BOOTS);
        self.note_boot_time(record.at);
        let stopped = matches!(record.entry, Entry::AgentStopped { .. });
        match record.entry {
            Entry::ChainStarted { device, .. } => self.begin(device),
            Entry::AgentStarted { device, .. } => {
                self.begin(device);
                self.interrupted = self.records;
            }
            Entry::IncidentOpened { incident } | Entry::IncidentChanged { incident } => {
                self.remember(incident, record.seq);
            }
            Entry::IncidentClosed { incident } => self.close(incident.id),
            Entry::Unknown(UnknownRecord { kind, incident: Some(id), .. })
                if kind == "incident_closed" =>
            {
                self.close(id);
            }
            Entry::Paused { until } => {
                // A new end for a running pause does not change its start.
                let since = self.pause.map_or(record.at, |pause| pause.since);
                self.pause = Some(Pause::new(since, until));
                self.interrupted = self.records;
            }
            Entry::Gap { gap } => {
                if gap.cause == GapCause::Paused {
                    self.pause = None;
                }
                self.interrupted = self.records;
            }
            Entry::Network { network } => network.add_to(&mut self.networks),
            Entry::Hour { summary } => {
                self.hours.push_back(summary);
                if self.hours.len() > MOST_HOURS {
                    self.hours.pop_front();
                }
            }
            Entry::AgentStopped { .. }
            | Entry::ClockStepped { .. }
            | Entry::RecordsDropped { .. }
            | Entry::Unknown(_) => {}
        }
        self.last = Some((record.at, stopped));
    }

    fn begin(&mut self, device: String) {
        if self.device.as_ref().is_some_and(|known| !is_same_device(known, &device)) {
            let (walls, latest) =
                (std::mem::take(&mut self.walls), std::mem::take(&mut self.latest));
            *self = Self { walls, latest, records: self.records, ..Self::default() };
        }
        self.device = Some(device);
    }

    /// Notes the latest boot time of a boot.
    fn note_boot_time(&mut self, at: Stamp) {
        if let Some((_, latest)) = self.latest.iter_mut().rfind(|(boot, _)| *boot == at.boot) {
            *latest = at.boot_ms.max(*latest);
            return;
        }
        self.latest.push_back((at.boot, at.boot_ms));
        if self.latest.len() > MOST_BOOTS {
            self.latest.pop_front();
        }
    }

    /// The boot id for a run that starts at `now`: the system's, unless the journal contains later
    /// moments of that boot.
    fn boot(&self, now: Stamp) -> BootId {
        let is_ahead =
            |boot| self.latest.iter().any(|(known, ms)| *known == boot && *ms > now.boot_ms);
        let mut boot = now.boot;
        // The loop ends, because each turn needs another boot in the bounded list.
        while is_ahead(boot) {
            boot = boot.set_back();
        }
        boot
    }

    /// Keeps the newest state of an open incident, with the evidence of its opening. Another open
    /// incident of its kind is superseded: it ended unobserved.
    fn remember(&mut self, mut incident: Incident, seq: u64) {
        if self.closed.contains(&incident.id) {
            return;
        }
        let known = self.open.iter().position(|open| open.incident.id == incident.id);
        let known = known.map(|index| self.open.remove(index)).or_else(|| {
            let known = self.superseded.iter().position(|open| open.incident.id == incident.id);
            known.and_then(|index| self.superseded.remove(index))
        });
        if let Some(known) = known {
            if known.seq > seq {
                // The lines were swapped.
                self.open.push(known);
                return;
            }
            if incident.evidence.is_empty() {
                incident.evidence = known.incident.evidence;
            }
        }
        let others = self.open.extract_if(.., |open| is_same_kind(&open.incident, &incident));
        self.superseded.extend(others);
        let surplus = self.superseded.len().saturating_sub(MOST_SUPERSEDED);
        self.superseded.drain(..surplus);
        self.open.push(UnclosedIncident { incident, seq, read: self.records });
    }

    fn close(&mut self, id: IncidentId) {
        self.open.retain(|open| open.incident.id != id);
        self.superseded.retain(|open| open.incident.id != id);
        self.closed.push_back(id);
        if self.closed.len() > MOST_CLOSED {
            self.closed.pop_front();
        }
    }

    /// Returns the state for a run of `device` that starts at `now`.
    pub(in crate::journal) fn finish(
        mut self,
        device: &str,
        alive: Option<Alive>,
        now: Stamp,
        notes: Vec<String>,
    ) -> Recovered {
        let alive = alive.map(|alive| alive.at);
        if let Some(at) = alive {
            self.note_boot_time(at);
        }
        let system = now.boot;
        let now = Stamp { boot: self.boot(now), ..now };
        let boot = (now.boot != system).then_some(now.boot);
        if self.device.as_ref().is_some_and(|known| !is_same_device(known, device)) {
            return Recovered { clock_offsets: self.walls, boot, notes, ..Recovered::default() };
        }
        let week_ago = now.wall - jiff::SignedDuration::from_hours(7 * 24);
        let walls = self.walls;
        let hours =
            self.hours.into_iter().filter(|hour| walls.wall_time(&hour.to) >= week_ago).collect();
        let last_run = self.last.map(|(at, stopped)| LastRun::of(at, stopped, alive, now));
        let (paused, interrupted) = (self.pause.is_some(), self.interrupted);
        let died = last_run.filter(|last| last.cause != GapCause::Stopped && !paused);
        let open = self.open.into_iter().map(|UnclosedIncident { mut incident, read, .. }| {
            if let Some(last) = died
                && read > interrupted
                && was_observed_at(&incident, last.ended)
            {
                incident.extend_to(last.ended);
            }
            incident
        });
        Recovered {
            open: open.collect(),
            superseded: self
                .superseded
                .into_iter()
                .map(|open| ended_where_last_observed(open.incident))
                .collect(),
            last_run,
            pause: self.pause,
            hours,
            networks: self.networks,
            clock_offsets: walls,
            boot,
            notes,
        }
    }
}

/// Whether an open incident was observed to continue at `alive`, a moment at which the agent ran
/// and would have closed it had it ended. False for an unstable one, whose good periods are
/// recorded only now and then, and after a gap until the incident was observed to continue.
pub(crate) fn was_observed_at(incident: &Incident, alive: Stamp) -> bool {
    incident.ended.is_none()
        && incident.cause != Cause::Unstable
        && incident.segments.last().is_some_and(|last| {
            last.cause != Cause::Up && !last.length().is_zero() && alive.is_at_or_after(last.to)
        })
}

/// Whether at most one of two incidents can be open.
pub(crate) fn is_same_kind(one: &Incident, other: &Incident) -> bool {
    let kind = |scope| match scope {
        Scope::Internet | Scope::Ipv4 | Scope::Ipv6 => Scope::Internet,
        Scope::Heartbeat | Scope::Quality => scope,
    };
    kind(one.scope) == kind(other.scope)
}

/// Ends an incident whose end was not observed where it was last observed. Its downtime stays as
/// recorded.
pub(crate) fn ended_where_last_observed(mut incident: Incident) -> Incident {
    let segments = &mut incident.segments;
    while segments.len() > 1
        && segments.last().is_some_and(|last| last.cause == Cause::Up || last.length().is_zero())
    {
        segments.pop();
    }
    incident.ended = Some(segments.last().map_or(incident.started, |last| last.to));
    incident
}

/// Whether two names are those of one device: compared trimmed and in lower case, as everywhere.
pub(crate) fn is_same_device(one: &str, other: &str) -> bool {
    comparison_key(one) == comparison_key(other)
}
