//! Compares the clocks of one boot to detect suspensions and steps and to keep the best-known time.
//!
//! Nothing here reads a clock; [`super::Clock`] does and passes in its [`Reading`]s.
//!
//! **Suspension.** One clock counts the time since boot with sleep, another one without. Where the
//! first gains [`SHORTEST_SUSPENSION`] or more on the second between two readings, the machine slept,
//! and nothing was monitored between them. If the machine wakes for less than [`DARK_WAKE`] and sleeps
//! again, the second suspension begins where the first ended, so that the short wake counts as
//! unmonitored too.
//!
//! **Steps.** The *offset* is the wall clock minus boot time. It is constant unless the wall clock is
//! set: on Linux NTP slews both clocks alike; on macOS the boot-time clock keeps its own rate, which
//! differs by no more than 500 parts in a million. If the offset moves by more than that plus
//! [`SMALLEST_STEP`] between two readings, the wall clock was set. Smaller moves are followed without
//! an event.
//!
//! **The best-known time** is boot time plus the best-known offset. That is the system's offset until
//! the response to a heartbeat contradicts it; from then on the corrected one, until another response
//! contradicts that or the system's clock is set, because NTP or the user who sets it should know best.
//!
//! Durations are differences of boot time, so neither steps nor corrections affect them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BootId, Stamp};

/// The shortest suspension that counts. The two clocks are read one after the other, so a smaller
/// difference may just be the time between the two reads.
const SHORTEST_SUSPENSION: Duration = Duration::from_secs(1);

/// A machine that is awake for less than this between two suspensions was not awake for its user: a Mac
/// does that for about 55 s several times a night.
const DARK_WAKE: Duration = Duration::from_mins(1);

/// The smallest move of the wall clock that counts as a step; above 1 s, so that a leap second does
/// not.
pub(super) const SMALLEST_STEP: Duration = Duration::from_secs(2);

/// The clocks' rates may differ by 1 part in this many: 500 parts in a million, the most that NTP
/// corrects.
const DRIFT_DIVISOR: u64 = 2_000;

/// How far the `Date` of a response must lie outside its uncertainty for the clock to be corrected.
/// `Date` is made by clocks that are right to the second, and a few seconds do not matter when the
/// journal is compared with other logs.
const DATE_TOLERANCE: Duration = Duration::from_secs(5);

/// The date of a slower response is too uncertain to use.
const SLOWEST_RESPONSE: Duration = Duration::from_mins(1);

/// The date of this source: a clock that shows an earlier time is wrong.
///
/// It is a constant and not the build time, so that builds are reproducible. Raise it with each
/// release.
pub const SOURCE_DATE: Timestamp = Timestamp::constant(SOURCE_SECOND, 0);
const SOURCE_SECOND: i64 = 1_795_478_400;

/// A later `Date` is rejected: 20 years after the source, when this version is no longer in use.
pub const LATEST_DATE: Timestamp = Timestamp::constant(SOURCE_SECOND + 20 * 31_557_600, 0);

/// One simultaneous reading of all clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Milliseconds since boot, sleep included.
    pub boot_ms: u64,
    /// Milliseconds by a clock that stops while the machine sleeps; its zero is arbitrary.
    pub awake_ms: u64,
    /// The system's wall clock.
    pub wall: Timestamp,
}

impl Reading {
    /// The wall clock minus boot time, in milliseconds.
    fn offset_ms(&self) -> i64 {
        self.wall.as_millisecond().saturating_sub_unsigned(self.boot_ms)
    }
}

/// How a step of the wall clock was detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepSource {
    /// The system's clock moved against boot time: NTP or a user set it.
    System,
    /// The `Date` of a heartbeat response contradicted the system's clock.
    Heartbeat,
}

/// A change that comparing the clocks detects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockEvent {
    /// The machine slept.
    Suspended {
        /// The last monitored moment before it; the end of the previous suspension when the machine was
        /// awake for less than a minute in between.
        from: Stamp,
        /// The first monitored moment after it.
        to: Stamp,
    },
    /// The best-known wall clock moved against boot time.
    Stepped {
        /// By how much, in milliseconds: positive when it now shows a later time.
        by_ms: i64,
        /// How it was detected.
        source: StepSource,
    },
}

/// Compares the clocks of one boot.
#[derive(Clone, Debug)]
pub struct ClockComparison {
    boot: BootId,
    last: Reading,
    /// The correction that a heartbeat response added to the system's wall clock, in milliseconds.
    correction_ms: i64,
    /// Whether the `Date` of a heartbeat response has confirmed the time since the last step.
    is_confirmed: bool,
    /// A clock that shows an earlier time than this is wrong.
    not_before: Timestamp,
    /// The end of the newest suspension, in milliseconds since boot.
    woke_ms: Option<u64>,
}

impl ClockComparison {
    /// Starts to compare the clocks of `boot`.
    ///
    /// `not_before` is a time that has certainly passed, such as that of the newest record. It counts
    /// where it is later than [`SOURCE_DATE`]: a machine without a battery for its clock starts in
    /// 1970, or at the time that it saved last.
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

    /// Adds a time that has certainly passed, such as that of the newest record.
    pub fn not_before(&mut self, passed: Timestamp) {
        self.not_before = self.not_before.max(passed);
    }

    /// The correction that a heartbeat response added to the system's wall clock, in milliseconds.
    pub fn correction_ms(&self) -> i64 {
        self.correction_ms
    }

    /// Compares a new reading with the previous one. A suspension is returned before a step that was
    /// detected with it.
    ///
    /// A reading whose boot time has gone back is ignored: no system does that, so it cannot be
    /// interpreted.
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
            // The system's clock was set, so a correction of its old time is void.
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

    /// Compares the best-known time with the `date` of the response to a heartbeat that was `sent` and
    /// `received` at these moments, and corrects it when it cannot be right.
    ///
    /// The response was made between the two moments and `date` has whole seconds, so the true offset
    /// is known to that span plus one second. Only an offset outside of it by more than
    /// `DATE_TOLERANCE` is corrected: to the system's own if that fits, else to the middle of the
    /// span.
    pub fn heartbeat_date(
        &mut self,
        date: Timestamp,
        sent: Stamp,
        received: Stamp,
    ) -> Option<ClockEvent> {
        let took = received.since(&sent)?;
        if sent.boot != self.boot || took > SLOWEST_RESPONSE {
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

    /// The moment at `boot_ms`, with the best-known wall clock.
    pub fn stamp(&self, boot_ms: u64) -> Stamp {
        let wall = self.offset_ms().saturating_add_unsigned(boot_ms);
        let wall = Timestamp::from_millisecond(wall).unwrap_or(self.last.wall);
        Stamp { boot: self.boot, boot_ms, wall }
    }

    /// Whether the best-known wall clock can be right: a heartbeat response confirmed it, or it lies
    /// between a time that has certainly passed and [`LATEST_DATE`].
    pub fn is_plausible(&self) -> bool {
        let wall = self.stamp(self.last.boot_ms).wall;
        self.is_confirmed || (self.not_before <= wall && wall <= LATEST_DATE)
    }

    /// The best-known wall clock minus boot time, in milliseconds.
    fn offset_ms(&self) -> i64 {
        self.last.offset_ms().saturating_add(self.correction_ms)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
