//! The state that a starting agent restores from the journal.

use std::{collections::VecDeque, time::Duration};

use ispmon_wire::comparison_key;

use super::{
    alive::Alive,
    clock_offsets::WallClockOffsets,
    record::{Entry, Record, UnknownRecord},
};
use crate::{
    clock::{BootId, Stamp},
    outage::{Cause, GapCause, Incident, IncidentId, NetworkFacts, Scope},
    pause::LONGEST_PAUSE,
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
/// The largest age in seconds of the alive file at a crash: it is written each minute.
const CRASH_UNCERTAIN_S: u32 = 60;
/// The largest age in seconds of the alive file after a power cut: it is not synced, and Linux
/// writes back data that has been dirty for 30 s, checking every 5 s (`vm.dirty_expire_centisecs`);
/// rounded up.
const POWER_UNCERTAIN_S: u32 = 120;

/// The state of the last run that a starting agent restores.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The incidents that are still open, with their evidence: at most one of connectivity, one of
    /// the heartbeats and one of the quality.
    pub open: Vec<Incident>,
    /// Incidents that are open in the journal although a later one of their kind has opened. They
    /// ended where they were last observed, and must be recorded as closed.
    pub superseded: Vec<Incident>,
    /// How the last run ended; `None` when there was none. The caller must append the resulting gap
    /// before anything else, so that it is not lost if this run ends early.
    pub last_run: Option<LastRun>,
    /// The last pause, unless its end was recorded. It may be over by now.
    pub pause: Option<RecoveredPause>,
    /// The hourly summaries of the last week, oldest first.
    pub hours: Vec<Summary>,
    /// The facts that the agent learned about networks, the latest last.
    pub networks: Vec<NetworkFacts>,
    /// The wall-clock offsets of the latest boots.
    pub clock_offsets: WallClockOffsets,
    /// The boot id for the stamps of this run, if it is not the system's: the journal contains
    /// later moments of the boot with that id, so its clock was set back, as in a restored virtual
    /// machine or container.
    pub boot: Option<BootId>,
    /// Notes on the journal itself for the user, as sentences.
    pub notes: Vec<String>,
}

/// The consequences of the last run for the one that starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The unmonitored periods, oldest first.
    pub gaps: Vec<PastGap>,
    /// The pause that continues.
    pub pause: Option<RecoveredPause>,
    /// Whether the pause must be recorded again, because a gap has ended it.
    pub must_record_pause: bool,
}

/// An unmonitored period before this start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastGap {
    /// Its cause.
    pub cause: GapCause,
    /// When it started.
    pub started: Stamp,
    /// When it ended.
    pub ended: Stamp,
    /// The uncertainty of `started`, in seconds.
    pub uncertain_s: u32,
}

impl Recovered {
    /// Returns the consequences for a run that starts at `now`.
    ///
    /// A stop during a pause does not affect it. A crash ends it: the pause lasted until the last
    /// update of the alive file, and the time since counts as a crash.
    pub fn start(&self, now: Stamp) -> Start {
        let gap =
            |cause, started, ended, uncertain_s| PastGap { cause, started, ended, uncertain_s };
        let Some(pause) = self.pause else {
            let last = self.last_run.iter();
            let gaps =
                last.map(|last| gap(last.cause, last.ended, now, last.uncertain_s)).collect();
            return Start { gaps, ..Start::default() };
        };
        let goes_on = !pause.time_left(&now).is_zero();
        match self.last_run.filter(|last| last.cause != GapCause::Stopped) {
            Some(last) => Start {
                gaps: vec![
                    gap(GapCause::Paused, pause.since, last.ended, 0),
                    gap(last.cause, last.ended, now, last.uncertain_s),
                ],
                pause: goes_on.then_some(RecoveredPause { since: now, ..pause }),
                must_record_pause: goes_on,
            },
            None if goes_on => Start { pause: Some(pause), ..Start::default() },
            None => {
                Start { gaps: vec![gap(GapCause::Paused, pause.since, now, 0)], ..Start::default() }
            }
        }
    }
}

/// How the last run of the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// [`GapCause::Stopped`], [`GapCause::Crashed`] or [`GapCause::PowerLost`].
    pub cause: GapCause,
    /// The last moment for which the journal has evidence.
    pub ended: Stamp,
    /// The uncertainty of `ended`, in seconds: 0 for a stop.
    pub uncertain_s: u32,
}

/// A pause whose end is not in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveredPause {
    /// When it started.
    pub since: Stamp,
    /// When it ends automatically.
    pub until: Stamp,
}

impl RecoveredPause {
    /// How much of it is left at `now`. Across a boot only wall clocks can be compared, and they
    /// may be wrong, so it is never more than the whole pause, nor than the longest allowed one.
    pub fn time_left(&self, now: &Stamp) -> Duration {
        self.until.time_left(now).min(self.longest())
    }

    /// The longest time that it can last from now on, whatever the clocks show.
    pub fn longest(&self) -> Duration {
        let whole = self.until.since(&self.since).unwrap_or(LONGEST_PAUSE);
        whole.min(LONGEST_PAUSE)
    }
}

/// Builds a [`Recovered`] from records, in bounded memory.
#[derive(Clone, Debug, Default)]
pub(super) struct RecoveredBuilder {
    /// The device of the latest records.
    pub(super) device: Option<String>,
    open: Vec<UnclosedIncident>,
    superseded: VecDeque<UnclosedIncident>,
    closed: VecDeque<IncidentId>,
    last: Option<(Stamp, bool)>,
    pause: Option<RecoveredPause>,
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
    pub(super) fn apply(&mut self, record: Record) {
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
                self.pause = Some(RecoveredPause { since, until });
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
    pub(super) fn finish(
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
        let last_run = self.last.map(|(at, stopped)| last_run(at, stopped, alive, now));
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

/// How the run ended whose last record is of `last`.
fn last_run(last: Stamp, stopped: bool, alive: Option<Stamp>, now: Stamp) -> LastRun {
    if stopped {
        return LastRun { cause: GapCause::Stopped, ended: last, uncertain_s: 0 };
    }
    let is_later = |alive: &Stamp| {
        if alive.is_same_boot(last) { alive.boot_ms > last.boot_ms } else { alive.wall > last.wall }
    };
    let ended = alive.filter(is_later).unwrap_or(last);
    if ended.is_same_boot(now) {
        LastRun { cause: GapCause::Crashed, ended, uncertain_s: CRASH_UNCERTAIN_S }
    } else {
        LastRun { cause: GapCause::PowerLost, ended, uncertain_s: POWER_UNCERTAIN_S }
    }
}

/// Whether two names are those of one device: compared trimmed and in lower case, as everywhere.
pub(crate) fn is_same_device(one: &str, other: &str) -> bool {
    comparison_key(one) == comparison_key(other)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::outage::Segment;
    use crate::{
        clock::BootId,
        journal::{Digest, Record},
    };

    fn stamp(boot: u8, second: u64, wall: &str) -> Stamp {
        let boot: BootId =
            format!("00000000-0000-0000-0000-0000000000{boot:02}").parse().expect("a boot id");
        let wall: Timestamp = wall.parse().expect("a time");
        Stamp { boot, boot_ms: second * 1_000, wall }
    }

    #[test]
    fn devices_are_compared_as_the_cloud_compares_them() {
        for (one, other, same) in
            [("dl-home", " DL-Home ", true), ("ΟΔΟΣ", "οδοσ", true), ("dl-home", "dl-home2", false)]
        {
            assert_eq!(super::is_same_device(one, other), same, "{one} {other}");
        }
    }

    fn pause(at: Stamp, time: Duration) -> Record {
        record(1, at, Entry::Paused { until: at.later(time) })
    }

    #[test]
    fn a_second_request_moves_the_end_of_a_pause_but_not_its_start() {
        let mut history = RecoveredBuilder::default();
        let first = stamp(1, 0, "2026-11-24T10:00:00Z");
        let second = stamp(1, 3_600, "2026-11-24T11:00:00Z");
        history.apply(pause(first, Duration::from_hours(2)));
        history.apply(pause(second, Duration::from_hours(2)));
        let now = stamp(1, 5_400, "2026-11-24T11:30:00Z");
        let found = history.finish("dl-home", None, now, Vec::new()).pause.expect("a pause");
        assert_eq!(
            found,
            RecoveredPause { since: first, until: second.later(Duration::from_hours(2)) }
        );
        assert_eq!(found.time_left(&now), Duration::from_mins(90));
    }

    fn record(seq: u64, at: Stamp, entry: Entry) -> Record {
        Record { seq, prev: Digest::none(), at, entry }
    }

    fn second(second: u64) -> Stamp {
        let begin = stamp(1, 0, "2026-11-24T10:00:00Z");
        begin.later(Duration::from_secs(second))
    }

    fn incident(number: u128, scope: Scope, cause: Cause, from: u64, to: u64) -> Incident {
        Incident {
            id: IncidentId(uuid::Uuid::from_u128(number)),
            scope,
            cause,
            party: None,
            started: second(from),
            last_ok: None,
            ended: None,
            downtime_ms: if cause.is_downtime() { (to - from) * 1_000 } else { 0 },
            one_family_ms: 0,
            failures: 1,
            segments: vec![Segment { scope, cause, from: second(from), to: second(to) }],
            evidence: Vec::new(),
        }
    }

    fn opened(incident: &Incident) -> Entry {
        Entry::IncidentOpened { incident: incident.clone() }
    }

    fn alive(at: Stamp) -> Alive {
        Alive::new(at, 1, &Digest::none())
    }

    #[test]
    fn only_the_newest_open_incident_of_a_kind_stays_open() {
        let mut history = RecoveredBuilder::default();
        let all = [
            incident(1, Scope::Ipv4, Cause::Isp, 10, 20),
            incident(2, Scope::Heartbeat, Cause::Endpoint, 30, 40),
            incident(3, Scope::Ipv6, Cause::Isp, 50, 60),
            incident(4, Scope::Internet, Cause::Dns, 70, 80),
        ];
        for (seq, one) in (1..).zip(&all) {
            let at = one.segments[0].to;
            history.apply(record(seq, at, opened(one)));
        }
        let found = history.finish("dl-home", None, second(100), Vec::new());
        let open: Vec<_> = found.open.iter().map(|one| one.id).collect();
        assert_eq!(open, [all[1].id, all[3].id]);
        let ended = found.superseded.iter().map(|one| (one.id, one.ended, one.downtime_ms));
        let wanted = [(all[0].id, Some(second(20)), 10_000), (all[2].id, Some(second(60)), 10_000)];
        assert_eq!(ended.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn an_open_incident_extends_to_the_alive_file_unless_it_is_unstable() {
        // Six outages of 7 s each; the last one ended and was recorded long ago.
        let mut unstable = incident(1, Scope::Internet, Cause::Unstable, 0, 7);
        unstable.downtime_ms = 42_000;
        unstable.segments[0].cause = Cause::Isp;
        let outage = incident(2, Scope::Internet, Cause::Isp, 0, 7);
        for (open, down_ms) in [(unstable, 42_000), (outage, 120_000)] {
            let mut history = RecoveredBuilder::default();
            history.apply(record(1, second(7), opened(&open)));
            let now = second(300);
            let found = history.finish("dl-home", Some(alive(second(120))), now, Vec::new());
            assert_eq!(found.open[0].downtime_ms, down_ms, "{:?}", open.cause);
        }
    }

    #[test]
    fn an_open_incident_does_not_extend_into_an_unmonitored_period() {
        let outage = incident(2, Scope::Internet, Cause::Isp, 0, 7);
        let device = "dl-home".to_owned();
        let version = "0.1.0".to_owned();
        for entry in [
            Entry::AgentStarted { version, device },
            Entry::AgentStopped { reason: "SIGTERM".to_owned() },
            Entry::Paused { until: second(7_200) },
        ] {
            let mut history = RecoveredBuilder::default();
            history.apply(record(1, second(7), opened(&outage)));
            history.apply(record(2, second(20), entry));
            let found =
                history.finish("dl-home", Some(alive(second(120))), second(300), Vec::new());
            assert_eq!(found.open, std::slice::from_ref(&outage));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_gets_another_boot_id() {
        let mut history = RecoveredBuilder::default();
        history.apply(record(1, second(5_000), Entry::AgentStopped { reason: "x".to_owned() }));
        let now = second(100);
        let found = history.clone().finish("dl-home", None, now, Vec::new());
        let boot = found.boot.expect("another boot id");
        assert_ne!(boot, now.boot);
        assert!(boot.is_same_of_system(now.boot));
        // The next run finds the moments of this one, and they are in order.
        let later = Stamp { boot, ..second(200) };
        history.apply(record(2, later, Entry::Hour { summary: hour(later) }));
        let found = history.clone().finish("dl-home", None, second(300), Vec::new());
        assert_eq!(found.boot, Some(boot));
        assert_eq!(found.last_run.map(|last| last.cause), Some(GapCause::Crashed));
        let found = history.finish("dl-home", None, second(150), Vec::new());
        assert_eq!(found.boot, Some(boot.set_back()));
        let last = found.last_run.expect("a run");
        assert_eq!(last.cause, GapCause::PowerLost, "the same as for any other boot");
    }

    fn hour(at: Stamp) -> Summary {
        Summary {
            from: at,
            to: at,
            observed_ms: 0,
            rounds: 0,
            rounds_failed: 0,
            probes: 0,
            lost: 0,
            rtt_ms: None,
            beats: 0,
            beats_failed: 0,
            blips: 0,
        }
    }

    #[test]
    fn a_crash_during_a_pause_ends_the_pause() {
        let started = |entry: Entry, alive: Option<Alive>, now: Stamp| {
            let mut history = RecoveredBuilder::default();
            history.apply(pause(second(100), Duration::from_hours(1)));
            if !matches!(entry, Entry::Hour { .. }) {
                history.apply(record(2, second(110), entry));
            }
            history.finish("dl-home", alive, now, Vec::new()).start(now)
        };
        let nothing = || Entry::Hour { summary: hour(second(0)) };
        let gap = |cause, from, to, uncertain_s| PastGap {
            cause,
            started: second(from),
            ended: second(to),
            uncertain_s,
        };
        let crashed = started(nothing(), Some(alive(second(110))), second(140));
        let gaps = [gap(GapCause::Paused, 100, 110, 0), gap(GapCause::Crashed, 110, 140, 60)];
        assert_eq!(crashed.gaps, gaps);
        let until = second(100 + 3_600);
        assert_eq!(crashed.pause, Some(RecoveredPause { since: second(140), until }));
        assert!(crashed.must_record_pause);
        let over = started(nothing(), Some(alive(second(110))), second(4_000));
        assert_eq!((over.gaps.len(), over.pause, over.must_record_pause), (2, None, false));
        // A clean stop does not affect the pause.
        let stop = || Entry::AgentStopped { reason: "SIGTERM".to_owned() };
        let stopped = started(stop(), None, second(140));
        let pause = Some(RecoveredPause { since: second(100), until });
        assert_eq!(stopped, Start { gaps: vec![], pause, must_record_pause: false });
        let over = started(stop(), None, second(4_000));
        assert_eq!(over.gaps, [gap(GapCause::Paused, 100, 4_000, 0)]);
    }

    #[test]
    fn a_clock_that_starts_in_the_past_does_not_prolong_a_pause() {
        let since = stamp(1, 0, "2026-11-24T10:00:00Z");
        let pause = RecoveredPause { since, until: since.later(Duration::from_hours(2)) };
        let in_1970 = stamp(2, 30, "1970-01-01T00:00:30Z");
        assert_eq!(pause.time_left(&in_1970), Duration::from_hours(2));
        let set = stamp(2, 60, "2026-11-24T11:45:00Z");
        assert_eq!(pause.time_left(&set), Duration::from_mins(15));
        assert_eq!(pause.time_left(&stamp(2, 60, "2026-11-25T08:00:00Z")), Duration::ZERO);
    }
}
