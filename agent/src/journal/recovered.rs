//! What the record says about the time before this start.

use std::{collections::VecDeque, time::Duration};

use super::{
    alive::Alive,
    record::{Entry, Record},
    walls::Walls,
};
use crate::{
    clock::Stamp,
    outage::{GapCause, Incident, NetworkFacts},
    pause::LONGEST_PAUSE,
    summary::Summary,
};

/// How many hourly summaries are handed back: those of a week, with room for a restart a day.
const MOST_HOURS: usize = 7 * 24 + 7;
/// How many networks are handed back.
const MOST_NETWORKS: usize = 64;
/// Of how many boots the clock's offset is handed back.
const MOST_BOOTS: usize = 256;
/// How many incidents can be open at once, with room to spare: one a scope.
const MOST_OPEN: usize = 16;
/// How old the sign of life can be at a crash: it is written each minute.
const CRASH_UNCERTAIN_S: u32 = 60;
/// How old what is left of it can be after a power cut: it is not synced, and Linux writes back what
/// has been dirty for 30 s, looking every 5 s (`vm.dirty_expire_centisecs`); rounded up.
const POWER_UNCERTAIN_S: u32 = 120;

/// What the agent must know of its last run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The incidents that are still open, with their evidence, oldest first.
    pub open: Vec<Incident>,
    /// How the last run ended; `None` when there was none. The gap that follows from it is to be
    /// appended before anything else, so that it is not lost when this run ends early.
    pub last_run: Option<LastRun>,
    /// The last pause, unless its end was noted. It may be over by now.
    pub pause: Option<Pause>,
    /// The hourly summaries of the last week, oldest first.
    pub hours: Vec<Summary>,
    /// What was learned of networks, the latest last.
    pub networks: Vec<NetworkFacts>,
    /// What is known of the wall clock of the latest boots.
    pub walls: Walls,
    /// What the user should know about the journal itself, as sentences.
    pub notes: Vec<String>,
}

/// How the last run of the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// [`GapCause::Stopped`], [`GapCause::Crashed`] or [`GapCause::PowerLost`].
    pub cause: GapCause,
    /// The last moment of which something is known.
    pub ended: Stamp,
    /// How far that may be off, in seconds: 0 when it was a stop.
    pub uncertain_s: u32,
}

/// A pause whose end is not in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it began.
    pub since: Stamp,
    /// When it ends by itself.
    pub until: Stamp,
}

impl Pause {
    /// How much of it is left at `now`. Across a start of the machine only the wall clocks know, and
    /// these may be wrong, so it is never more than the whole, nor than the longest pause there is.
    pub fn rest(&self, now: &Stamp) -> Duration {
        self.until.rest(now).min(self.longest())
    }

    /// How long it can last from now on, whatever the clocks say.
    pub fn longest(&self) -> Duration {
        let whole = self.until.since(&self.since).unwrap_or(LONGEST_PAUSE);
        whole.min(LONGEST_PAUSE)
    }
}

/// Gathers [`Recovered`] from records, in bounded memory.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// The device that the latest records are about.
    pub(super) device: Option<String>,
    open: VecDeque<Incident>,
    last: Option<(Stamp, bool)>,
    pause: Option<Pause>,
    hours: VecDeque<Summary>,
    networks: VecDeque<NetworkFacts>,
    walls: Walls,
}

impl History {
    /// Takes the next record into account.
    pub(super) fn apply(&mut self, record: Record) {
        self.walls.learn(&record.at);
        self.walls.forget_beyond(MOST_BOOTS);
        let stopped = matches!(record.entry, Entry::AgentStopped { .. });
        match record.entry {
            Entry::ChainStarted { device, .. } | Entry::AgentStarted { device, .. } => {
                if self.device.as_ref().is_some_and(|known| !is_same_device(known, &device)) {
                    *self = Self { walls: std::mem::take(&mut self.walls), ..Self::default() };
                }
                self.device = Some(device);
            }
            Entry::IncidentOpened { incident } | Entry::IncidentChanged { incident } => {
                self.remember(incident);
            }
            Entry::IncidentClosed { incident } => self.open.retain(|open| open.id != incident.id),
            Entry::Paused { until } => {
                // Another time for a pause that goes on; it is one, from its beginning.
                let since = self.pause.map_or(record.at, |pause| pause.since);
                self.pause = Some(Pause { since, until });
            }
            Entry::Gap { gap } if gap.cause == GapCause::Paused => self.pause = None,
            Entry::Network { network } => {
                self.networks.retain(|known| known.network != network.network);
                self.networks.push_back(network);
                if self.networks.len() > MOST_NETWORKS {
                    self.networks.pop_front();
                }
            }
            Entry::Hour { summary } => {
                self.hours.push_back(summary);
                if self.hours.len() > MOST_HOURS {
                    self.hours.pop_front();
                }
            }
            Entry::Gap { .. }
            | Entry::AgentStopped { .. }
            | Entry::ClockStepped { .. }
            | Entry::RecordsDropped { .. }
            | Entry::Unknown => {}
        }
        self.last = Some((record.at, stopped));
    }

    /// Keeps the newest state of an open incident, with the evidence of its opening.
    fn remember(&mut self, mut incident: Incident) {
        if let Some(open) = self.open.iter_mut().find(|open| open.id == incident.id) {
            if incident.evidence.is_empty() {
                incident.evidence = std::mem::take(&mut open.evidence);
            }
            *open = incident;
            return;
        }
        self.open.push_back(incident);
        if self.open.len() > MOST_OPEN {
            self.open.pop_front();
        }
    }

    /// What a run of `device` that starts at `now` must know.
    pub(super) fn finish(
        self,
        device: &str,
        alive: Option<Alive>,
        now: Stamp,
        notes: Vec<String>,
    ) -> Recovered {
        if self.device.as_ref().is_some_and(|known| !is_same_device(known, device)) {
            return Recovered { walls: self.walls, notes, ..Recovered::default() };
        }
        let week_ago = now.wall - jiff::SignedDuration::from_hours(7 * 24);
        let walls = self.walls;
        let hours =
            self.hours.into_iter().filter(|hour| walls.wall(&hour.to) >= week_ago).collect();
        Recovered {
            open: self.open.into(),
            last_run: self.last.map(|(at, stopped)| last_run(at, stopped, alive, now)),
            pause: self.pause,
            hours,
            networks: self.networks.into(),
            walls,
            notes,
        }
    }
}

/// How the run ended whose last record was made at `last`.
fn last_run(last: Stamp, stopped: bool, alive: Option<Alive>, now: Stamp) -> LastRun {
    if stopped {
        return LastRun { cause: GapCause::Stopped, ended: last, uncertain_s: 0 };
    }
    let is_later = |alive: &Stamp| {
        if alive.is_same_boot(last) { alive.boot_ms > last.boot_ms } else { alive.wall > last.wall }
    };
    let ended = alive.map(|alive| alive.at).filter(is_later).unwrap_or(last);
    if ended.is_same_boot(now) {
        LastRun { cause: GapCause::Crashed, ended, uncertain_s: CRASH_UNCERTAIN_S }
    } else {
        LastRun { cause: GapCause::PowerLost, ended, uncertain_s: POWER_UNCERTAIN_S }
    }
}

/// Whether two names mean one device: trimmed and in lower case, as everywhere.
pub(crate) fn is_same_device(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
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

    fn pause(at: Stamp, time: Duration) -> Record {
        Record { seq: 1, prev: Digest::none(), at, entry: Entry::Paused { until: at.later(time) } }
    }

    #[test]
    fn a_second_request_moves_the_end_of_a_pause_and_not_its_beginning() {
        let mut history = History::default();
        let first = stamp(1, 0, "2026-11-24T10:00:00Z");
        let second = stamp(1, 3_600, "2026-11-24T11:00:00Z");
        history.apply(pause(first, Duration::from_hours(2)));
        history.apply(pause(second, Duration::from_hours(2)));
        let now = stamp(1, 5_400, "2026-11-24T11:30:00Z");
        let found = history.finish("dl-home", None, now, Vec::new()).pause.expect("a pause");
        assert_eq!(found, Pause { since: first, until: second.later(Duration::from_hours(2)) });
        assert_eq!(found.rest(&now), Duration::from_mins(90));
    }

    #[test]
    fn a_clock_that_starts_in_the_past_makes_no_pause_longer_than_it_was() {
        let since = stamp(1, 0, "2026-11-24T10:00:00Z");
        let pause = Pause { since, until: since.later(Duration::from_hours(2)) };
        let in_1970 = stamp(2, 30, "1970-01-01T00:00:30Z");
        assert_eq!(pause.rest(&in_1970), Duration::from_hours(2));
        let set = stamp(2, 60, "2026-11-24T11:45:00Z");
        assert_eq!(pause.rest(&set), Duration::from_mins(15));
        assert_eq!(pause.rest(&stamp(2, 60, "2026-11-25T08:00:00Z")), Duration::ZERO);
    }
}
