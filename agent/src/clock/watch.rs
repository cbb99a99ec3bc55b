//! What the clocks of one boot tell when they are compared: sleep, steps, and the best-known time.
//!
//! Nothing here reads a clock; [`super::Clock`] does, and hands its [`Reading`]s in.
//!
//! **Suspension.** One clock counts the time since the boot with sleep, another one without. Where
//! the first has gained [`SHORTEST_SUSPENSION`] or more on the second between two readings, the machine
//! slept; nothing was monitored from the reading before to the reading after. A machine that wakes for less
//! than [`DARK_WAKE`] and sleeps again has not really been awake: the second suspension then begins
//! where the first ended, so that the short wake counts as unmonitored too.
//!
//! **Steps.** The wall clock's *offset* is its distance from the boot-time clock. It is constant while
//! nobody sets the clock: on Linux NTP bends both clocks alike, on macOS the boot-time clock keeps its own
//! rate, which differs by no more than 500 parts in a million. Where the offset moves by more than that and
//! [`SMALLEST_STEP`] between two readings, the clock was set. Smaller moves are followed in silence.
//!
//! **The best-known time** is the boot-time clock plus the best-known offset: the system's own, until the
//! answer to a heartbeat names another time; from then on the corrected one, until the system's clock is
//! set, because whoever sets it should know best, or until another answer names yet another time.
//!
//! Durations are differences of the boot-time clock alone, so that neither steps nor corrections reach
//! them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BootId, Stamp};

/// The shortest sleep that counts. The two clocks are read one after the other, so that less may be
/// nothing but the time between the two looks.
pub const SHORTEST_SUSPENSION: Duration = Duration::from_secs(1);

/// A machine that is awake for less than this between two suspensions was not awake for its user: a
/// Mac wakes so for about 55 s several times a night.
pub const DARK_WAKE: Duration = Duration::from_mins(1);

/// The smallest move of the wall clock that counts as a step; above 1 s, so that a leap second is none.
pub const SMALLEST_STEP: Duration = Duration::from_secs(2);

/// How far two clocks may drift apart by their rates: 1 part of this many (500 parts in a million,
/// the most that NTP corrects).
const DRIFT_DIVISOR: u64 = 2_000;

/// By how much more than can be explained the time of an answer must differ from the best-known one
/// for the latter to be corrected. A heartbeat's `Date` is made by clocks that are right to the second,
/// and whoever compares the record with other logs can live with a few.
pub const DATE_TOLERANCE: Duration = Duration::from_secs(5);

/// An answer that took longer than this tells the time too vaguely.
const SLOWEST_ANSWER: Duration = Duration::from_mins(1);

/// The day of this source: a clock that shows an earlier time is wrong.
///
/// It is a constant and not the time of the build, so that the same source always gives the same
/// program. Raise it with each release.
pub const SOURCE_DATE: Timestamp = Timestamp::constant(SOURCE_SECOND, 0);
const SOURCE_SECOND: i64 = 1_795_478_400;

/// A `Date` later than this is not believed: 20 years after the source, when nobody runs it any more.
pub const LATEST_DATE: Timestamp = Timestamp::constant(SOURCE_SECOND + 20 * 31_557_600, 0);

/// One look at all clocks at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Milliseconds since the boot, the time that the machine slept included.
    pub boot_ms: u64,
    /// Milliseconds by a clock that stands still while the machine sleeps; its zero does not matter.
    pub awake_ms: u64,
    /// The system's wall clock.
    pub wall: Timestamp,
}

impl Reading {
    /// The wall clock's distance from the boot-time clock, in milliseconds.
    fn offset_ms(&self) -> i64 {
        self.wall.as_millisecond().saturating_sub_unsigned(self.boot_ms)
    }
}

/// How a step of the wall clock was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepSource {
    /// The system's clock moved against the boot-time clock: NTP or a person set it.
    System,
    /// The answer to a heartbeat named another time than the system's clock.
    Heartbeat,
}

/// Something that the clocks tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockEvent {
    /// The machine slept.
    Suspended {
        /// The last moment that was watched before it; the end of the suspension before, when the
        /// machine was awake for less than [`DARK_WAKE`] in between.
        from: Stamp,
        /// The first moment that was watched after it.
        to: Stamp,
    },
    /// The best-known wall clock has moved against the boot-time clock.
    Stepped {
        /// By how much, in milliseconds: positive when it shows a later time now.
        by_ms: i64,
        /// How that is known.
        source: StepSource,
    },
}

/// The clocks of one boot, compared.
#[derive(Clone, Debug)]
pub struct ClockWatch {
    boot: BootId,
    last: Reading,
    /// What the answer to a heartbeat added to the system's wall clock, in milliseconds.
    correction_ms: i64,
    /// Whether the answer to a heartbeat has named the time of this boot.
    is_confirmed: bool,
    /// A clock that shows an earlier time than this is wrong.
    not_before: Timestamp,
    /// The end of the newest suspension, by the boot-time clock.
    woke_ms: Option<u64>,
}

impl ClockWatch {
    /// Begins to compare the clocks of `boot`.
    ///
    /// `not_before` is a time that has certainly passed, such as that of the newest record: a machine
    /// without a battery for its clock starts in 1970, or at the time that was saved last. It matters
    /// where it is later than [`SOURCE_DATE`].
    pub fn new(boot: BootId, first: Reading, not_before: Timestamp) -> Self {
        Self {
            boot,
            last: first,
            correction_ms: 0,
            is_confirmed: false,
            not_before: not_before.max(SOURCE_DATE),
            woke_ms: None,
        }
    }

    /// Learns of a time that has certainly passed, such as that of the newest record.
    pub fn not_before(&mut self, passed: Timestamp) {
        self.not_before = self.not_before.max(passed);
    }

    /// What the answer to a heartbeat added to the system's wall clock, in milliseconds.
    pub fn correction_ms(&self) -> i64 {
        self.correction_ms
    }

    /// Compares a new reading with the one before. A suspension comes before the step that was noticed
    /// after it.
    ///
    /// A reading whose boot-time clock has gone back is ignored: no system does that, and whatever it
    /// was, it measures nothing.
    pub fn observe(&mut self, new: Reading) -> Vec<ClockEvent> {
        let Some(elapsed_ms) = new.boot_ms.checked_sub(self.last.boot_ms) else {
            return Vec::new();
        };
        let awake_ms = new.awake_ms.saturating_sub(self.last.awake_ms);
        let slept_ms = elapsed_ms.saturating_sub(awake_ms);
        let from = self.stamp(self.last.boot_ms);
        let moved_ms = new.offset_ms().saturating_sub(self.last.offset_ms());
        let threshold_ms = milliseconds(SMALLEST_STEP).saturating_add(elapsed_ms / DRIFT_DIVISOR);
        let old_offset_ms = self.offset_ms();
        let is_step = moved_ms.unsigned_abs() > threshold_ms;
        self.last = new;
        if is_step {
            // The system's clock was set; what a heartbeat said about the old time is void.
            self.correction_ms = 0;
            self.is_confirmed = false;
        }
        let mut events = Vec::new();
        if slept_ms >= milliseconds(SHORTEST_SUSPENSION) {
            let to = self.stamp(new.boot_ms);
            let dark_wake = self
                .woke_ms
                .filter(|woke| from.boot_ms.saturating_sub(*woke) < milliseconds(DARK_WAKE));
            let from = dark_wake.map_or(from, |woke_ms| {
                from.earlier(Duration::from_millis(from.boot_ms - woke_ms))
            });
            self.woke_ms = Some(new.boot_ms);
            events.push(ClockEvent::Suspended { from, to });
        }
        let by_ms = self.offset_ms().saturating_sub(old_offset_ms);
        if is_step && by_ms.unsigned_abs() > milliseconds(SMALLEST_STEP) {
            events.push(ClockEvent::Stepped { by_ms, source: StepSource::System });
        }
        events
    }

    /// Takes the `date` of an answer to a heartbeat that was `sent` and `received` then, and corrects the
    /// best-known time when it cannot be right.
    ///
    /// The answer was made at some moment between the two, and `date` has whole seconds; so the true
    /// offset is known to that span and a second. Only what lies outside by more than
    /// [`DATE_TOLERANCE`] is corrected: to the system's own clock if that fits, else to the middle.
    pub fn heartbeat_date(
        &mut self,
        date: Timestamp,
        sent: Stamp,
        received: Stamp,
    ) -> Option<ClockEvent> {
        let took = received.since(&sent)?;
        if sent.boot != self.boot || took > SLOWEST_ANSWER {
            return None;
        }
        if !(SOURCE_DATE..=LATEST_DATE).contains(&date) {
            return None;
        }
        let date_ms = date.as_millisecond();
        let earliest = date_ms.saturating_sub_unsigned(received.boot_ms);
        let latest = date_ms.saturating_add(1_000).saturating_sub_unsigned(sent.boot_ms);
        let tolerance = milliseconds(DATE_TOLERANCE);
        let fits = |offset: i64| {
            (earliest.saturating_sub_unsigned(tolerance)
                ..=latest.saturating_add_unsigned(tolerance))
                .contains(&offset)
        };
        self.is_confirmed = true;
        let old = self.offset_ms();
        if fits(old) {
            return None;
        }
        let system = self.last.offset_ms();
        self.correction_ms =
            if fits(system) { 0 } else { i64::midpoint(earliest, latest) - system };
        Some(ClockEvent::Stepped { by_ms: self.offset_ms() - old, source: StepSource::Heartbeat })
    }

    /// The moment at which the boot-time clock shows `boot_ms`, with the best-known wall clock.
    pub fn stamp(&self, boot_ms: u64) -> Stamp {
        let wall = self.offset_ms().saturating_add_unsigned(boot_ms);
        let wall = Timestamp::from_millisecond(wall).unwrap_or(self.last.wall);
        Stamp { boot: self.boot, boot_ms, wall }
    }

    /// Whether the best-known wall clock can be right: an answer to a heartbeat has named the time, or the
    /// clock shows none that has certainly passed, or that nobody will see who runs this.
    pub fn is_plausible(&self) -> bool {
        let wall = self.stamp(self.last.boot_ms).wall;
        self.is_confirmed || (self.not_before <= wall && wall <= LATEST_DATE)
    }

    /// The best-known wall clock's distance from the boot-time clock, in milliseconds.
    fn offset_ms(&self) -> i64 {
        self.last.offset_ms().saturating_add(self.correction_ms)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
