//! The state that a starting agent restores from the journal.

mod builder;
#[cfg(test)]
mod tests;

use super::clock_offsets::WallClockOffsets;
use crate::{
    clock::{BootId, Stamp},
    outage::{GapCause, Incident, NetworkFacts},
    pause::Pause,
    summary::Summary,
};
pub(super) use builder::RecoveredBuilder;
pub(crate) use builder::{
    ended_where_last_observed, is_same_device, is_same_kind, was_observed_at,
};

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
    pub pause: Option<Pause>,
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
    pub pause: Option<Pause>,
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
        let pause = pause.continued(now);
        let goes_on = !pause.time_left(&now).is_zero();
        match self.last_run.filter(|last| last.cause != GapCause::Stopped) {
            Some(last) => Start {
                gaps: vec![
                    gap(GapCause::Paused, pause.since, last.ended, 0),
                    gap(last.cause, last.ended, now, last.uncertain_s),
                ],
                pause: goes_on.then_some(pause.starting(now)),
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

impl LastRun {
    /// How the run ended whose last record is of `last`; `stopped` if that records a stop.
    fn of(last: Stamp, stopped: bool, alive: Option<Stamp>, now: Stamp) -> Self {
        if stopped {
            return Self { cause: GapCause::Stopped, ended: last, uncertain_s: 0 };
        }
        let is_later = |alive: &Stamp| {
            if alive.is_same_boot(last) {
                alive.boot_ms > last.boot_ms
            } else {
                alive.wall > last.wall
            }
        };
        let ended = alive.filter(is_later).unwrap_or(last);
        if ended.is_same_boot(now) {
            Self { cause: GapCause::Crashed, ended, uncertain_s: CRASH_UNCERTAIN_S }
        } else {
            Self { cause: GapCause::PowerLost, ended, uncertain_s: POWER_UNCERTAIN_S }
        }
    }
}
